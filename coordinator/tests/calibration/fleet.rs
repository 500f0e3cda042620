//! Workers whose curves come from known distributions. They take packs, and hand over whole curves many at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use prost::Message;
use tenfold_proto::PROTOCOL;
use tenfold_proto::v1::fleet_client::FleetClient;
use tenfold_proto::v1::{self, end::Outcome};
use tenfold_types::floats;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// Trials of a pack at most.
const PACK: u32 = 512;
/// Bytes of one append at most: the coordinator takes a MiB.
const APPEND: usize = 512 << 10;
const WORKERS: u8 = 2;

type Value = dyn Fn(&v1::TrialSpec, usize, u32) -> f64 + Send + Sync;

/// What a trial's curve is: a pure function of its spec, so that it does not matter who trains it, or how often.
pub(crate) struct Model {
    /// The value of a column after an epoch, from 1.
    pub(crate) value: Box<Value>,
    /// Whether it diverges in its first epoch.
    pub(crate) diverges: Box<dyn Fn(&v1::TrialSpec) -> bool + Send + Sync>,
}

impl Model {
    /// Returns a model without divergence.
    pub(crate) fn of(value: impl Fn(&v1::TrialSpec, usize, u32) -> f64 + Send + Sync + 'static) -> Self {
        Self {
            value: Box::new(value),
            diverges: Box::new(|_| false),
        }
    }
}

type Models = Arc<Mutex<HashMap<u64, Arc<Model>>>>;

/// Some workers of a coordinator, in a thread.
pub(crate) struct Fleet {
    models: Models,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fleet {
    /// Starts workers for the coordinator at an address.
    pub(crate) fn start(address: &str) -> Self {
        let fleet = Self {
            models: Models::default(),
            over: Arc::default(),
            thread: None,
        };
        let (address, models, over) = (address.to_owned(), fleet.models.clone(), fleet.over.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut all = tokio::task::JoinSet::new();
                for number in 0..WORKERS {
                    let channel = Endpoint::from_shared(address.clone()).unwrap();
                    let channel = channel.tcp_nodelay(true).connect_lazy();
                    let worker = Worker {
                        client: FleetClient::new(channel).max_decoding_message_size(64 << 20),
                        id: vec![number; 8],
                        requests: 0,
                        models: models.clone(),
                    };
                    all.spawn(worker.work(over.clone()));
                }
                while let Some(ended) = all.join_next().await {
                    if let Err(error) = ended {
                        assert!(over.load(Ordering::Relaxed), "a worker broke: {error}");
                    }
                }
            });
        });
        Self {
            thread: Some(thread),
            ..fleet
        }
    }

    /// Sets what the trials of sweeps with this seed are.
    pub(crate) fn learn(&self, seed: u64, model: Model) {
        self.models.lock().unwrap().insert(seed, Arc::new(model));
    }

    /// Says that the coordinator is about to end.
    pub(crate) fn dismiss(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether the workers have broken down.
    pub(crate) fn is_broken(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }
}

struct Worker {
    client: FleetClient<Channel>,
    id: Vec<u8>,
    requests: u64,
    models: Models,
}

impl Worker {
    async fn work(mut self, over: Arc<AtomicBool>) {
        let worked = self.pack_after_pack().await;
        if let Err(error) = worked {
            assert!(over.load(Ordering::Relaxed), "{error}");
        }
    }

    async fn pack_after_pack(&mut self) -> Result<(), Status> {
        let slot = v1::Slot {
            kind: v1::DeviceKind::Cpu.into(),
            device: "an abacus".to_owned(),
            threads: 1,
        };
        let request = v1::RegisterRequest {
            protocol: PROTOCOL,
            worker: self.id.clone(),
            host: "calibration".to_owned(),
            process: 1,
            version: "0.1.0".to_owned(),
            libtorch: "none".to_owned(),
            slots: vec![slot],
        };
        self.client.register(request).await?;
        loop {
            self.requests += 1;
            let request = [self.requests, 0].map(u64::to_le_bytes).concat();
            let request = v1::AcquireRequest {
                worker: self.id.clone(),
                request,
                slot: 0,
                max_trials: PACK,
                sizes: Vec::new(),
            };
            if let Some(lease) = self.client.acquire(request).await?.into_inner().lease {
                self.train(&lease).await?;
            }
        }
    }

    async fn train(&mut self, lease: &v1::Lease) -> Result<(), Status> {
        let (mut reports, mut bytes) = (Vec::new(), 0);
        for leased in &lease.trials {
            let report = self.report(lease, leased);
            let length = report.encoded_len() + 8;
            if bytes + length > APPEND && !reports.is_empty() {
                self.append(lease, std::mem::take(&mut reports)).await?;
                bytes = 0;
            }
            bytes += length;
            reports.push(report);
        }
        self.append(lease, reports).await
    }

    fn report(&self, lease: &v1::Lease, leased: &v1::LeasedTrial) -> v1::TrialReport {
        let spec = leased.spec.as_ref().unwrap();
        let model = self.models.lock().unwrap().get(&spec.seed).cloned();
        let model = model.expect("a model for each seed");
        let networks = lease.architecture.as_ref().map_or(0, |of| of.sub_networks);
        let columns = 4 + if spec.auxiliary_loss { networks as usize } else { 0 };
        let (blocks, end) = if (model.diverges)(spec) {
            let outcome = Some(Outcome::Diverged(v1::Diverged { epoch: 1 }));
            (Vec::new(), v1::End { epochs: 0, outcome })
        } else {
            let values = (0..columns).flat_map(|column| {
                let value = |epoch| (model.value)(spec, column, epoch) as f32;
                (1..=spec.epochs).map(value).collect::<Vec<_>>()
            });
            let block = v1::Block {
                first: 1,
                epochs: spec.epochs,
                columns: floats::to_bytes(&values.collect::<Vec<_>>()),
                seconds: floats::to_bytes(&vec![0.25; spec.epochs as usize]),
            };
            let outcome = Some(Outcome::Succeeded(v1::Succeeded {}));
            let epochs = spec.epochs;
            (vec![block], v1::End { epochs, outcome })
        };
        v1::TrialReport {
            trial: leased.trial,
            attempt: leased.attempt,
            blocks,
            end: Some(end),
        }
    }

    async fn append(&mut self, lease: &v1::Lease, trials: Vec<v1::TrialReport>) -> Result<(), Status> {
        let request = v1::AppendRequest {
            worker: self.id.clone(),
            sweep: lease.sweep.clone(),
            fence: lease.fence,
            trials,
        };
        let answer = self.client.append(request).await?.into_inner();
        let refused = answer.acknowledgements.iter().find(|one| !one.ended);
        assert_eq!(refused, None, "a trial's end was not taken");
        Ok(())
    }
}
