//! A worker that is part of the test: it speaks Fleet as real ones do, but its curves are made up, and it does nothing
//! that it is not told.

use tenfold_proto::PROTOCOL;
use tenfold_proto::v1::fleet_client::FleetClient;
use tenfold_proto::v1::{self, end::Outcome};
use tenfold_types::floats;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use super::Cluster;

fn client(address: &str) -> FleetClient<Channel> {
    FleetClient::new(Endpoint::from_shared(address.to_owned()).unwrap().connect_lazy())
}

/// How a trial ends.
pub enum Fate {
    Succeeds,
    DivergesIn(u32),
    Fails(&'static str),
}

pub struct FakeWorker {
    runtime: Runtime,
    address: String,
    client: FleetClient<Channel>,
    id: Vec<u8>,
    requests: u8,
    /// What a metric, counted from 0, comes to at an epoch.
    values: fn(v1::TrialKey, u32, u32) -> f32,
}

impl FakeWorker {
    /// Registers a worker with one slot.
    pub fn register(cluster: &Cluster, name: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let address = cluster.address();
        let client = runtime.block_on(async { client(&address) });
        let id = name.bytes().chain(std::iter::repeat(0)).take(8).collect();
        let mut worker = Self {
            runtime,
            address,
            client,
            id,
            requests: 0,
            values: value,
        };
        worker.register_again(name);
        worker
    }

    /// With curves of these values.
    pub fn with_values(self, values: fn(v1::TrialKey, u32, u32) -> f32) -> Self {
        Self { values, ..self }
    }

    pub fn register_again(&mut self, name: &str) {
        self.register_saying(name, "an abacus", "0.1.0", "none");
    }

    /// Registers again with these texts.
    pub fn register_saying(&mut self, host: &str, device: &str, version: &str, libtorch: &str) {
        let slot = v1::Slot {
            kind: v1::DeviceKind::Cpu.into(),
            device: device.to_owned(),
            threads: 1,
        };
        let request = v1::RegisterRequest {
            protocol: PROTOCOL,
            worker: self.id.clone(),
            host: host.to_owned(),
            process: 1,
            version: version.to_owned(),
            libtorch: libtorch.to_owned(),
            slots: vec![slot],
        };
        let register = async |mut client: FleetClient<Channel>| client.register(request.clone()).await;
        self.call(register).unwrap();
    }

    /// Makes a call, and once more on a new connection when the old one is broken: a killed coordinator leaves it so, and a living
    /// one, when this worker did nothing for so long that it did not even answer pings.
    fn call<T>(
        &mut self,
        call: impl AsyncFn(FleetClient<Channel>) -> Result<Response<T>, Status>,
    ) -> Result<T, Status> {
        let answer = self.runtime.block_on(call(self.client.clone()));
        let answer = match answer {
            // What a coordinator says has no source.
            Err(status) if std::error::Error::source(&status).is_some() => {
                self.client = self.runtime.block_on(async { client(&self.address) });
                self.runtime.block_on(call(self.client.clone()))
            }
            answer => answer,
        };
        answer.map(Response::into_inner)
    }

    /// The next trial; waits for a while until there is one.
    pub fn lease(&mut self) -> Option<v1::Lease> {
        self.requests += 1;
        let (worker, request) = (self.id.clone(), vec![self.requests; 16]);
        let request = v1::AcquireRequest {
            worker,
            request,
            slot: 0,
            max_trials: 1,
            sizes: Vec::new(),
        };
        let acquire = async |mut client: FleetClient<Channel>| client.acquire(request.clone()).await;
        self.call(acquire).unwrap().lease
    }

    /// Hands over some epochs of a lease's trial; returns up to which they are durable.
    pub fn append(&mut self, lease: &v1::Lease, epochs: std::ops::RangeInclusive<u32>) -> u32 {
        let leased = &lease.trials[0];
        let trial = leased.trial.unwrap();
        let spec = leased.spec.as_ref().unwrap();
        let auxiliary = if spec.auxiliary_loss {
            lease.architecture.as_ref().unwrap().sub_networks
        } else {
            0
        };
        let values = self.values;
        let columns = (0..4 + auxiliary)
            .flat_map(|metric| epochs.clone().map(move |epoch| values(trial, metric, epoch)));
        let block = v1::Block {
            first: *epochs.start(),
            epochs: epochs.clone().count() as u32,
            columns: floats::to_bytes(&columns.collect::<Vec<_>>()),
            seconds: floats::to_bytes(&epochs.map(|_| 0.25).collect::<Vec<_>>()),
        };
        let request = v1::AppendRequest {
            worker: self.id.clone(),
            sweep: lease.sweep.clone(),
            fence: lease.fence,
            trials: vec![v1::TrialReport {
                trial: Some(trial),
                attempt: leased.attempt,
                blocks: vec![block],
                end: None,
            }],
        };
        self.report(request).epochs
    }

    fn report(&mut self, request: v1::AppendRequest) -> v1::Acknowledgement {
        let append = async |mut client: FleetClient<Channel>| client.append(request.clone()).await;
        let said = self.call(append).unwrap().acknowledgements.remove(0);
        assert_eq!(said.refused, "");
        said
    }

    /// Ends a lease's trial, which has so many epochs.
    pub fn finish(&mut self, lease: &v1::Lease, epochs: u32, fate: Fate) {
        let outcome = match fate {
            Fate::Succeeds => Outcome::Succeeded(v1::Succeeded {}),
            Fate::DivergesIn(epoch) => Outcome::Diverged(v1::Diverged { epoch }),
            Fate::Fails(why) => {
                let stderr = format!("a line before\n{why}, said the trainer");
                Outcome::Failed(v1::Failed {
                    error: why.to_owned(),
                    stderr,
                })
            }
        };
        let request = v1::AppendRequest {
            worker: self.id.clone(),
            sweep: lease.sweep.clone(),
            fence: lease.fence,
            trials: vec![v1::TrialReport {
                trial: lease.trials[0].trial,
                attempt: lease.trials[0].attempt,
                blocks: Vec::new(),
                end: Some(v1::End {
                    epochs,
                    outcome: Some(outcome),
                }),
            }],
        };
        assert!(self.report(request).ended);
    }

    /// Trains so many trials from beginning to end, each with the fate of its key.
    pub fn train(&mut self, trials: usize, mut fate: impl FnMut(v1::TrialKey) -> Fate) {
        for _ in 0..trials {
            let lease = self.lease().expect("a trial waits");
            let epochs = lease.trials[0].spec.as_ref().unwrap().epochs;
            let fate = fate(lease.trials[0].trial.unwrap());
            let trained = match fate {
                Fate::Succeeds => epochs,
                Fate::DivergesIn(epoch) => epoch - 1,
                Fate::Fails(_) => 1,
            };
            if trained > 0 {
                assert_eq!(self.append(&lease, 1..=trained), trained);
            }
            self.finish(&lease, trained, fate);
        }
    }
}

/// Made-up metrics that fall with the epochs and differ from trial to trial; all have few digits.
fn value(trial: v1::TrialKey, metric: u32, epoch: u32) -> f32 {
    let (index, repetition) = (trial.index as f32, trial.repetition as f32);
    0.25 / epoch as f32 + index / 8.0 + repetition / 16.0 + metric as f32 / 32.0
}
