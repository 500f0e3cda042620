//! What the workers do, each kind of work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Status;

use super::encoded::{Lease, epochs};
use super::{How, Said, Work, Worker, ready};

/// Bytes of one append at most: what the coordinator takes is twice that.
const APPEND: usize = 512 << 10;

pub(super) async fn work(work: &Work) -> Said {
    let mut workers = Vec::new();
    for number in 0..work.workers {
        let mut worker = Worker::new(&work.address, number, work.pack);
        worker.register().await.unwrap();
        workers.push(worker);
    }
    match work.how {
        How::Whole { trials } => whole(workers, trials).await,
        How::Paced { every, seconds } => paced(workers, every, seconds).await,
        How::Returning => returning(workers).await,
    }
}

async fn whole(workers: Vec<Worker>, trials: u64) -> Said {
    ready().await;
    let done = Arc::new(AtomicU64::new(0));
    let mut all = JoinSet::new();
    for worker in workers {
        let done = done.clone();
        all.spawn(pack_after_pack(worker, trials, done));
    }
    while let Some(ended) = all.join_next().await {
        ended.unwrap();
    }
    Said {
        trials: done.load(Ordering::Relaxed),
        ..Said::default()
    }
}

async fn pack_after_pack(mut worker: Worker, trials: u64, done: Arc<AtomicU64>) {
    let (mut length, mut curve) = (0, Vec::new());
    while done.load(Ordering::Relaxed) < trials {
        let Some(lease) = worker.acquire().await.unwrap() else {
            continue;
        };
        let wanted = lease.trials[0].spec.as_ref().unwrap().epochs;
        if wanted != length {
            (length, curve) = (wanted, epochs(1, wanted, true));
        }
        let at_once = (APPEND / (curve.len() + 40)).max(1);
        for some in lease.trials.chunks(at_once) {
            let answers = worker.append(&lease, some, &curve).await.unwrap();
            if let Some(refused) = answers.iter().find(|answer| !answer.ended) {
                panic!("a trial's end was not taken: {refused:?}");
            }
        }
        done.fetch_add(lease.trials.len() as u64, Ordering::Relaxed);
    }
}

async fn leases(workers: &mut [Worker]) -> Vec<Lease> {
    let mut leases = Vec::new();
    for worker in workers {
        leases.push(worker.acquire().await.unwrap().expect("a trial for each worker"));
    }
    leases
}

async fn paced(mut workers: Vec<Worker>, every: u64, seconds: u64) -> Said {
    let leases = leases(&mut workers).await;
    ready().await;
    let every = Duration::from_millis(every);
    let count = workers.len() as u32;
    let begin = Instant::now() + Duration::from_millis(100);
    let end = begin + Duration::from_secs(seconds);
    let mut all = JoinSet::new();
    for ((worker, lease), number) in workers.into_iter().zip(leases).zip(0..) {
        // Not all at the same moment.
        all.spawn(steadily(
            worker,
            lease,
            begin + every * number / count,
            every,
            end,
        ));
    }
    let mut said = Said::default();
    while let Some(latencies) = all.join_next().await {
        said.latencies.extend(latencies.unwrap());
    }
    said.took = begin.elapsed().as_secs_f64();
    said
}

/// Epochs come when they are due, however long the ones before take: as from a trainer. Those that have come meanwhile
/// go together, as from an outbox, and each counts from when it was due.
async fn steadily(
    mut worker: Worker,
    lease: Lease,
    begin: Instant,
    every: Duration,
    end: Instant,
) -> Vec<f32> {
    let due = |epoch: u32| begin + every * (epoch - 1);
    let (mut next, mut latencies) = (1, Vec::new());
    while due(next) < end {
        tokio::time::sleep_until(due(next)).await;
        let mut last = next;
        while due(last + 1) <= Instant::now() && due(last + 1) < end {
            last += 1;
        }
        let news = epochs(next, last - next + 1, false);
        let answers = worker.append(&lease, &lease.trials, &news).await.unwrap();
        assert_eq!(answers[0].epochs, last, "{answers:?}");
        let now = Instant::now();
        latencies.extend((next..=last).map(|epoch| 1e3 * (now - due(epoch)).as_secs_f32()));
        next = last + 1;
    }
    latencies
}

async fn returning(mut workers: Vec<Worker>) -> Said {
    let leases = leases(&mut workers).await;
    ready().await;
    let word = Instant::now();
    let mut all = JoinSet::new();
    for (mut worker, lease) in workers.into_iter().zip(leases) {
        all.spawn(async move {
            // As agents do.
            let mut pause = 50;
            while let Err(error) = back(&mut worker, &lease).await {
                assert!(pause < 100_000, "a worker is not served: {error}");
                tokio::time::sleep(Duration::from_millis(pause.min(1_000))).await;
                pause *= 2;
            }
            1e3 * word.elapsed().as_secs_f32()
        });
    }
    let mut said = Said::default();
    while let Some(served) = all.join_next().await {
        said.latencies.push(served.unwrap());
    }
    said.took = word.elapsed().as_secs_f64();
    said
}

/// A worker that has lost its coordinator says who it is, shows its lease, and goes on with its trial.
async fn back(worker: &mut Worker, lease: &Lease) -> Result<(), Status> {
    worker.register().await?;
    assert!(
        worker.heartbeat(&[lease.fence]).await?,
        "its lease is no longer alive"
    );
    let answers = worker.append(lease, &lease.trials, &epochs(1, 1, false)).await?;
    assert_eq!(answers[0].epochs, 1, "{answers:?}");
    Ok(())
}
