//! How long an append takes to be durable, and to be seen.

use std::time::{Duration, Instant};

use tenfold_proto::v1;
use tenfold_proto::v1::control_client::ControlClient;
use tenfold_proto::v1::watch_response::Event;

use crate::Arguments;
use crate::fleet::{How, Work, Worker, block, report};
use crate::server::Server;
use crate::table::{Table, Target};
use crate::throughput;

pub(crate) fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() as f64 * share) as usize).min(values.len() - 1)]
}

pub(crate) fn measure(arguments: &Arguments, table: &mut Table) {
    acknowledged(arguments, table);
    seen(arguments, table);
}

/// A thousand workers, each an epoch every tenth of a second.
fn acknowledged(arguments: &Arguments, table: &mut Table) {
    let server = Server::fresh(&arguments.output, "latency");
    server.submit("paced", 1_000, 5_000);
    let seconds = arguments.sized(20, 5);
    let fleet = server.fleet(Work {
        workers: 1_000,
        pack: 1,
        epochs: 5_000,
        how: How::Paced {
            every: 100,
            for_seconds: seconds,
        },
        ..Work::default()
    });
    let said = fleet.said();
    assert_eq!(said.failed, 0);
    let mut latencies: Vec<f64> = said
        .latencies
        .iter()
        .map(|&seconds| 1e3 * f64::from(seconds))
        .collect();
    let rate = latencies.len() as f64 / seconds as f64;
    table.add(
        "1,000 workers: epochs a second that came",
        rate,
        "epochs/s",
        Target::None,
    );
    let fsync = 2.0;
    table.add(
        "1,000 workers: append to acknowledgement, median",
        percentile(&mut latencies, 0.5),
        "ms",
        Target::None,
    );
    table.add(
        "1,000 workers: append to acknowledgement, 99th percentile (50 ms and an fsync)",
        percentile(&mut latencies, 0.99),
        "ms",
        Target::AtMost(50.0 + fsync),
    );
}

/// Somebody tails a sweep of which a hundred thousand trials are in the store.
fn seen(arguments: &Arguments, table: &mut Table) {
    let server = Server::fresh(&arguments.output, "tail");
    let trials = arguments.sized(100_000, 10_000);
    // The rest of the sweep is what is watched.
    server.submit("tailed", trials + 1_000, 50);
    let work = Work {
        address: server.address.clone(),
        workers: 4,
        pack: 250,
        epochs: 50,
        trials: trials.next_multiple_of(1_000),
        ..Work::default()
    };
    let said = server.fleet(work.clone()).said();
    assert!(said.trials >= trials);
    throughput::sweep(&server, "another", 1_000, 1);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    for raw in [true, false] {
        let mut latencies =
            runtime.block_on(tail(&server.address, &work, raw, arguments.sized(40, 15) as u32));
        let how = if raw { "single trials" } else { "groups" };
        let name = format!("append to a tailing client, {how}, {trials} trials stored, 99th percentile");
        table.add(
            name,
            percentile(&mut latencies, 0.99),
            "ms",
            Target::AtMost(100.0),
        );
    }
}

/// Milliseconds from each append to its event. An epoch every 1.1 s: a group has a line of progress a second at most.
async fn tail(address: &str, work: &Work, raw: bool, epochs: u32) -> Vec<f64> {
    let pack = Work {
        pack: 1,
        ..work.clone()
    };
    let mut worker = Worker::new(&pack, 9_000 + u32::from(raw));
    worker.register().await.unwrap();
    let mut control = ControlClient::connect(address.to_owned()).await.unwrap();
    let mut lease = worker.acquire().await.unwrap();
    let request = |since, follow| v1::WatchRequest {
        selector: "tailed".to_owned(),
        by: Vec::new(),
        raw,
        since,
        follow,
    };
    // What is stored first, to its end.
    let mut stored = control.watch(request(0, false)).await.unwrap().into_inner();
    let mut cursor = 0;
    while let Some(message) = stored.message().await.unwrap() {
        cursor = message.cursor;
    }
    let mut live = control.watch(request(cursor, true)).await.unwrap().into_inner();
    let mut latencies = Vec::new();
    let mut leased = lease.trials.remove(0);
    let pause = if raw { 70 } else { 1_100 };
    let epochs = if raw { epochs } else { epochs / 2 };
    for epoch in 1..=epochs {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let began = Instant::now();
        let appended = worker.append(&lease, vec![report(&leased, block(epoch, 1), false)]);
        let seen = async {
            while let Some(message) = live.message().await.unwrap() {
                match message.event {
                    Some(Event::Epochs(progress))
                        if progress.block.as_ref().is_some_and(|block| block.first == epoch) =>
                    {
                        break;
                    }
                    Some(Event::Progress(progress)) if progress.epoch >= epoch => break,
                    _ => {}
                }
            }
            began.elapsed()
        };
        let (_, after) = tokio::join!(appended, seen);
        // The first epoch changes the trial's state as well.
        if epoch > 1 {
            latencies.push(1e3 * after.as_secs_f64());
        }
    }
    leased.attempt = 0;
    latencies
}
