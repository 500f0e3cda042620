//! Workers that train nothing: they take packs and hand over made-up curves.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tenfold_proto::v1::fleet_client::FleetClient;
use tenfold_proto::{PROTOCOL, v1};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

/// What a process of workers is to do.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) address: String,
    pub(crate) workers: u32,
    /// Trials that each takes at once.
    pub(crate) pack: u32,
    /// Epochs of each trial.
    pub(crate) epochs: u32,
    /// End after so many trials.
    pub(crate) trials: u64,
    pub(crate) how: How,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) enum How {
    /// Whole curves with their ends, as fast as they are taken.
    #[default]
    Whole,
    /// An epoch of one trial every so many milliseconds, and how long each took to be acknowledged.
    Paced { every: u64, for_seconds: u64 },
    /// Connected and alive, until the end of the input; connects again when the coordinator was away.
    Present,
}

/// What came of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) trials: u64,
    /// Seconds from the call to its answer.
    pub(crate) latencies: Vec<f32>,
    /// Calls that failed.
    pub(crate) failed: u64,
    /// When each worker was served again after the coordinator was away, in seconds since 1970.
    pub(crate) served_at: Vec<f64>,
}

pub(crate) fn run(work: &Work) {
    _ = rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit {
            current: Some(65_536),
            maximum: Some(65_536),
        },
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let said = runtime.block_on(async {
        let mut workers = JoinSet::new();
        for number in 0..work.workers {
            let work = work.clone();
            workers.spawn(async move {
                match work.how {
                    How::Whole => whole(&work, number).await,
                    How::Paced { every, for_seconds } => paced(&work, number, every, for_seconds).await,
                    How::Present => present(&work, number).await,
                }
            });
        }
        let mut all = Said::default();
        while let Some(said) = workers.join_next().await {
            let said = said.unwrap();
            all.trials += said.trials;
            all.failed += said.failed;
            all.latencies.extend(said.latencies);
            all.served_at.extend(said.served_at);
        }
        all
    });
    println!("{}", serde_json::to_string(&said).unwrap());
}

/// One worker, connected.
pub(crate) struct Worker {
    client: FleetClient<Channel>,
    id: Vec<u8>,
    requests: u64,
    pack: u32,
}

impl Worker {
    pub(crate) fn new(work: &Work, number: u32) -> Self {
        let endpoint = Endpoint::from_shared(work.address.clone()).unwrap();
        let channel = endpoint
            .tcp_nodelay(true)
            .initial_stream_window_size(1 << 20)
            .connect_timeout(Duration::from_secs(30))
            .connect_lazy();
        let id = [std::process::id(), number].map(u32::to_le_bytes).concat();
        Self {
            client: FleetClient::new(channel).max_decoding_message_size(64 << 20),
            id,
            requests: 0,
            pack: work.pack,
        }
    }

    pub(crate) async fn register(&mut self) -> Result<(), tonic::Status> {
        let slot = v1::Slot {
            kind: v1::DeviceKind::Cpu.into(),
            device: "an abacus".to_owned(),
            threads: 1,
        };
        let request = v1::RegisterRequest {
            protocol: PROTOCOL,
            worker: self.id.clone(),
            host: "bench".to_owned(),
            process: 1,
            version: "0.1.0".to_owned(),
            libtorch: "none".to_owned(),
            slots: vec![slot],
        };
        self.client.register(request).await.map(|_| ())
    }

    pub(crate) async fn acquire(&mut self) -> Option<v1::Lease> {
        self.requests += 1;
        let mut request = self.requests.to_le_bytes().to_vec();
        request.resize(16, 0);
        let request = v1::AcquireRequest {
            worker: self.id.clone(),
            request,
            slot: 0,
            max_trials: self.pack,
            sizes: Vec::new(),
        };
        self.client.acquire(request).await.unwrap().into_inner().lease
    }

    pub(crate) async fn append(
        &mut self,
        lease: &v1::Lease,
        trials: Vec<v1::TrialReport>,
    ) -> Result<v1::AppendResponse, tonic::Status> {
        let request = v1::AppendRequest {
            worker: self.id.clone(),
            sweep: lease.sweep.clone(),
            fence: lease.fence,
            trials,
        };
        self.client.append(request).await.map(tonic::Response::into_inner)
    }

    async fn heartbeat(&mut self) -> Result<(), tonic::Status> {
        let request = v1::HeartbeatRequest {
            worker: self.id.clone(),
            fences: Vec::new(),
        };
        self.client.heartbeat(request).await.map(|_| ())
    }
}

pub(crate) fn block(first: u32, epochs: u32) -> v1::Block {
    v1::Block {
        first,
        epochs,
        columns: (0..4 * epochs).map(|at| 0.5 / (1 + at) as f32).collect(),
        seconds: vec![0.125; epochs as usize],
    }
}

pub(crate) fn report(leased: &v1::LeasedTrial, block: v1::Block, ends: bool) -> v1::TrialReport {
    let end = v1::End {
        epochs: block.first + block.epochs - 1,
        outcome: Some(v1::end::Outcome::Succeeded(v1::Succeeded {})),
    };
    v1::TrialReport {
        trial: leased.trial,
        attempt: leased.attempt,
        blocks: vec![block],
        end: ends.then_some(end),
    }
}

/// Bytes of one append: what a worker sends at most.
const APPEND: usize = 512 << 10;

async fn whole(work: &Work, number: u32) -> Said {
    let mut worker = Worker::new(work, number);
    worker.register().await.unwrap();
    let mut said = Said::default();
    let curve = block(1, work.epochs);
    let at_once = (APPEND / (20 * work.epochs as usize + 40)).max(1);
    while said.trials < work.trials / u64::from(work.workers) {
        let Some(lease) = worker.acquire().await else {
            break;
        };
        for some in lease.trials.chunks(at_once) {
            let reports = some
                .iter()
                .map(|leased| report(leased, curve.clone(), true))
                .collect();
            let answer = worker.append(&lease, reports).await.unwrap();
            assert!(answer.acknowledgements.iter().all(|said| said.ended));
        }
        said.trials += lease.trials.len() as u64;
    }
    said
}

async fn paced(work: &Work, number: u32, every: u64, for_seconds: u64) -> Said {
    let mut worker = Worker::new(work, number);
    worker.register().await.unwrap();
    let lease = worker.acquire().await.expect("a trial for each worker");
    let leased = lease.trials[0].clone();
    let mut said = Said::default();
    // Not all at the same moment.
    tokio::time::sleep(Duration::from_millis(
        2_000 + every * u64::from(number) / u64::from(work.workers),
    ))
    .await;
    let began = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(every));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for epoch in 1.. {
        ticks.tick().await;
        if began.elapsed() > Duration::from_secs(for_seconds) || epoch > work.epochs {
            break;
        }
        let at = Instant::now();
        match worker
            .append(&lease, vec![report(&leased, block(epoch, 1), false)])
            .await
        {
            Ok(answer) => {
                assert_eq!(answer.acknowledgements[0].epochs, epoch);
                said.latencies.push(at.elapsed().as_secs_f32());
            }
            Err(_) => said.failed += 1,
        }
    }
    said
}

async fn present(work: &Work, number: u32) -> Said {
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.unwrap().as_secs_f64()
    };
    let mut worker = Worker::new(work, number);
    while worker.register().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println_ready(number, work.workers);
    let mut said = Said::default();
    while worker.heartbeat().await.is_ok() {
        tokio::time::sleep(Duration::from_millis(800)).await;
    }
    // As agents do, with a random pause.
    let mut pause = 20 + u64::from(number) % 80;
    while worker.register().await.is_err() || worker.heartbeat().await.is_err() {
        said.failed += 1;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        pause = (2 * pause).min(1_000);
    }
    said.served_at.push(now());
    // Stay, so that the coordinator has all of them at once.
    tokio::time::sleep(Duration::from_secs(work.epochs.into())).await;
    said
}

fn println_ready(number: u32, workers: u32) {
    if number + 1 == workers {
        eprintln!("  the last worker is there");
    }
}
