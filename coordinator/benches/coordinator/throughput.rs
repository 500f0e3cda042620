//! Trials and epochs a second, and what each costs.

use std::time::Instant;

use crate::Arguments;
use crate::fleet::Work;
use crate::server::Server;
use crate::table::{Table, Target};

/// Trials of a pack.
const PACK: u32 = 250;

/// What a run of a whole sweep took.
pub(crate) struct Run {
    /// Seconds from the submit to the last durable end.
    pub(crate) wall: f64,
    /// Seconds of the coordinator's processor time.
    pub(crate) cpu: f64,
}

/// Submits a sweep and has four workers do it.
pub(crate) fn sweep(server: &Server, name: &str, trials: u64, epochs: u32) -> Run {
    let (began, cpu) = (Instant::now(), server.cpu());
    server.submit(name, trials, epochs);
    let fleet = server.fleet(Work {
        workers: 4,
        pack: PACK,
        epochs,
        trials: trials + u64::from(4 * PACK),
        ..Work::default()
    });
    loop {
        let status = server.status(name);
        if status.finished_at_ms.is_some() {
            assert_eq!(status.trials.unwrap().succeeded, trials);
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let run = Run {
        wall: began.elapsed().as_secs_f64(),
        cpu: server.cpu() - cpu,
    };
    drop(fleet);
    run
}

pub(crate) fn measure(arguments: &Arguments, table: &mut Table) {
    let start: Vec<Server> = (0..5)
        .map(|at| Server::fresh(&arguments.output, &format!("start-{at}")))
        .collect();
    let mut times: Vec<f64> = start
        .iter()
        .map(|server| server.started_in.as_secs_f64())
        .collect();
    times.sort_by(f64::total_cmp);
    table.add(
        "start to serving, empty store",
        1e3 * times[2],
        "ms",
        Target::AtMost(30.0),
    );
    std::thread::sleep(std::time::Duration::from_secs(2));
    table.add(
        "memory, idle",
        start[0].memory().0 / 1e6,
        "MB",
        Target::AtMost(20.0),
    );
    drop(start);

    let server = Server::fresh(&arguments.output, "throughput");
    sweep(&server, "warm", 2_000, 100);
    let trials = arguments.sized(60_000, 10_000);
    let run = sweep(&server, "hundred", trials, 100);
    let done = trials as f64;
    table.ours(
        "trials of 100 reports",
        "fake trials of 100 epochs, submitted to durably succeeded",
        done / run.wall,
        "trials/s",
        Target::AtLeast(10_000.0),
    );
    let began = Instant::now();
    assert_eq!(server.results("hundred"), trials / 10);
    let aggregated = run.wall + began.elapsed().as_secs_f64();
    table.ours(
        "reports",
        "epochs accepted and durable, of 4 metrics",
        100.0 * done / run.wall,
        "epochs/s",
        Target::AtLeast(1e6),
    );
    table.add(
        "epochs accepted, durable, and aggregated to results",
        100.0 * done / aggregated,
        "epochs/s",
        Target::AtLeast(1e6),
    );
    table.add(
        "server CPU, a trial of 100 epochs",
        1e6 * run.cpu / done,
        "µs",
        Target::AtMost(40.0),
    );
    let trials = arguments.sized(100_000, 20_000);
    let run = sweep(&server, "one", trials, 1);
    table.add(
        "server CPU, a trial of 1 epoch (HyperQueue, published: 16 without, 23 with its journal)",
        1e6 * run.cpu / trials as f64,
        "µs",
        Target::AtMost(16.0),
    );
    table.add(
        "fake trials of 1 epoch",
        trials as f64 / run.wall,
        "trials/s",
        Target::None,
    );
}
