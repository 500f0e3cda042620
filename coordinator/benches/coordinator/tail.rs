//! How soon somebody who tails a sweep sees what has come.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tenfold_proto::v1;
use tenfold_proto::v1::control_client::ControlClient;
use tenfold_proto::v1::watch_response::Event;

use crate::Arguments;
use crate::fleet::{How, Leased, Worker, epochs};
use crate::server::Server;
use crate::table::{Table, Target, number};
use crate::throughput::{PACK, WORKERS, percentile};

/// Groups that get epochs, each at a moment of its own.
const GROUPS: usize = 40;
/// A group gets an epoch so often, as a watcher is told of a group once a second at most.
const EVERY: Duration = Duration::from_millis(1_300);
/// When an epoch that has not been seen is given up.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn measure(arguments: &Arguments, table: &mut Table) {
    let server = Server::fresh(&arguments.output, "tail");
    let trials = arguments.sized(100_000, 10_000);
    // The rest of the sweep is what is watched.
    server.submit("tailed", trials + 10_000, 50);
    let mut fleet = server.fleet(WORKERS, PACK, How::Whole { trials });
    fleet.begin();
    assert!(fleet.said().trials >= trials);
    server.rested();
    let stored = format!("{} trials of the sweep stored", number(trials as f64));
    seen(&server, &stored, arguments, table);
}

/// Has epochs appended to the sweep `tailed`, which two clients tail, one by group and one by trial.
pub(crate) fn seen(server: &Server, stored: &str, arguments: &Arguments, table: &mut Table) {
    let rounds = arguments.sized(15, 5) as u32;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (raw, grouped) = runtime.block_on(async {
        let appended = Appended::default();
        let raw = Tailer::start(&server.address, true, appended.clone()).await;
        let grouped = Tailer::start(&server.address, false, appended.clone()).await;
        append(&server.address, rounds, &appended).await;
        let wanted = GROUPS * (rounds as usize - 1);
        (raw.latencies(wanted).await, grouped.latencies(wanted).await)
    });
    for (how, latencies) in [("trials", raw), ("groups", grouped)] {
        let figures = [
            ("median", 0.5, Target::None),
            ("99th percentile", 0.99, Target::AtMost(100.0)),
        ];
        for (what, share, aim) in figures {
            let latency = percentile(latencies.iter().copied(), share);
            let name = format!("append to a client that tails {how}, {stored}: {what}");
            table.add(name, latency, "ms", aim);
        }
    }
}

/// When each epoch was sent, by point and epoch.
type Appended = Arc<Mutex<BTreeMap<(u64, u32), Instant>>>;

/// Appends an epoch to a trial of each group in turn.
async fn append(address: &str, rounds: u32, appended: &Appended) {
    let mut worker = Worker::new(address, 9_000, 10 * GROUPS as u32);
    worker.register().await.unwrap();
    let lease = worker.acquire().await.unwrap().expect("trials to lease");
    let mut points: BTreeMap<u64, Leased> = BTreeMap::new();
    for leased in &lease.trials {
        points
            .entry(leased.trial.unwrap().index)
            .or_insert_with(|| leased.clone());
    }
    assert!(points.len() >= GROUPS, "{} groups", points.len());
    // By no rhythm that a watcher's passes could fall in with.
    let mut random = StdRng::seed_from_u64(1);
    let mut moments: Vec<(Duration, u64, Leased)> = points
        .into_iter()
        .take(GROUPS)
        .map(|(point, leased)| (EVERY.mul_f64(random.random()), point, leased))
        .collect();
    moments.sort_by_key(|moment| moment.0);
    let began = tokio::time::Instant::now();
    for epoch in 1..=rounds {
        let news = epochs(epoch, 1, false);
        for (moment, point, leased) in &moments {
            tokio::time::sleep_until(began + EVERY * epoch + *moment).await;
            // The first epoch changes the trial's state as well, of which the watchers are told at once.
            if epoch > 1 {
                appended.lock().unwrap().insert((*point, epoch), Instant::now());
            }
            let trial = std::slice::from_ref(leased);
            let answers = worker.append(&lease, trial, &news).await.unwrap();
            assert_eq!(answers[0].epochs, epoch);
        }
    }
}

/// A client that tails.
struct Tailer {
    latencies: Arc<Mutex<Vec<f64>>>,
    reads: tokio::task::JoinHandle<()>,
}

impl Tailer {
    /// Reads what is stored first, then goes on from there.
    async fn start(address: &str, raw: bool, appended: Appended) -> Self {
        let request = |since, follow| v1::WatchRequest {
            selector: "tailed".to_owned(),
            by: Vec::new(),
            raw,
            since,
            follow,
        };
        let mut control = ControlClient::connect(address.to_owned())
            .await
            .unwrap()
            .max_decoding_message_size(64 << 20);
        let mut stored = control.watch(request(0, false)).await.unwrap().into_inner();
        let mut cursor = 0;
        while let Some(message) = stored.message().await.unwrap() {
            cursor = message.cursor;
        }
        let mut live = control.watch(request(cursor, true)).await.unwrap().into_inner();
        let latencies = Arc::new(Mutex::new(Vec::new()));
        let measured = latencies.clone();
        let reads = tokio::spawn(async move {
            while let Some(message) = live.message().await.unwrap() {
                let seen = match message.event {
                    Some(Event::Epochs(trial)) => (trial.trial.unwrap().index, trial.block.unwrap().first),
                    Some(Event::Progress(progress)) => (progress.group.unwrap().index, progress.epoch),
                    _ => continue,
                };
                let sent = appended.lock().unwrap().get(&seen).copied();
                if let Some(sent) = sent {
                    measured.lock().unwrap().push(1e3 * sent.elapsed().as_secs_f64());
                }
            }
        });
        Self { latencies, reads }
    }

    /// Milliseconds from each append to its event.
    async fn latencies(self, wanted: usize) -> Vec<f64> {
        let count = || self.latencies.lock().unwrap().len();
        let all = async {
            while count() < wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        _ = tokio::time::timeout(PATIENCE, all).await;
        self.reads.abort();
        assert_eq!(count(), wanted, "epochs that the tailing client was told of");
        std::mem::take(&mut self.latencies.lock().unwrap())
    }
}
