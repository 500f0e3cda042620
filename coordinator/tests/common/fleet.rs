//! A worker that is part of the test: it speaks Fleet as real ones do, but its curves are made up, and it does nothing
//! that it is not told.

use tenfold_proto::PROTOCOL;
use tenfold_proto::v1::fleet_client::FleetClient;
use tenfold_proto::v1::{self, end::Outcome};
use tenfold_types::floats;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use super::Cluster;

/// How a trial ends.
pub enum Fate {
    Succeeds,
    DivergesIn(u32),
    Fails(&'static str),
}

pub struct FakeWorker {
    runtime: Runtime,
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
        let channel =
            runtime.block_on(async { Endpoint::from_shared(cluster.address()).unwrap().connect_lazy() });
        let id = name.bytes().chain(std::iter::repeat(0)).take(8).collect();
        let mut worker = Self {
            runtime,
            client: FleetClient::new(channel),
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
        // The first call on a connection that a killed coordinator has left behind finds out that it is broken.
        let mut register = || self.runtime.block_on(self.client.register(request.clone()));
        register().or_else(|_| register()).unwrap();
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
        self.runtime
            .block_on(self.client.acquire(request))
            .unwrap()
            .into_inner()
            .lease
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
        // As in `register_again`; to say it twice is harmless.
        let mut append = || self.runtime.block_on(self.client.append(request.clone()));
        let answer = append().or_else(|_| append());
        let said = answer.unwrap().into_inner().acknowledgements.remove(0);
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
