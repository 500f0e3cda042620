//! The agent: the session, the slots and the calls to the coordinator, tied together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenfold_proto::convert;
use tenfold_proto::dial::{Addresses, Channel};
use tenfold_proto::v1::fleet_client::FleetClient;
use tenfold_proto::{PROTOCOL, pushback, v1};
use tenfold_types::frame::Device;
use tenfold_types::{Fence, TrialKey, WorkerId};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tonic::{Code, Request, Status};

use crate::session::{Acknowledgement, Action, Call, Event, Exit, Failure, Lease, Options, Report, Session};
use crate::slot::{self, Launch};
use crate::throughput::Cache;

/// `Acquire` waits for work on the coordinator's side; the other calls are answered at once.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest reply that is taken, in bytes: that which a coordinator sends at most.
const MAX_MESSAGE: usize = 16 << 20;
/// How long a coordinator may say that it cannot work until another address is tried.
const USELESS: Duration = Duration::from_secs(3);
/// Calls that wait for work at once. A connection has 256 places for calls, and the others need some too.
const WAITING: usize = 128;

/// What an agent needs to know.
pub struct Config {
    /// Where the coordinator is, or may be.
    pub coordinator: Addresses,
    /// This node's name.
    pub host: String,
    /// How to start the trainer of each slot.
    pub slots: Vec<Launch>,
    /// What the session may be told.
    pub session: Options,
    /// Where it keeps the sizes of packs that it finds out.
    pub cache: Cache,
}

/// Runs until it is stopped, and says why it ended.
pub async fn run(config: Config, mut stop: mpsc::Receiver<()>) -> Exit {
    let worker = WorkerId(rand::random());
    let began = Instant::now();
    let (events, mut inbox) = mpsc::channel::<(usize, Event)>(256);
    let (pause, paused) = watch::channel(false);
    let slots: Vec<mpsc::UnboundedSender<slot::Order>> = config
        .slots
        .iter()
        .enumerate()
        .map(|(number, launch)| {
            let (sender, orders) = mpsc::unbounded_channel();
            tokio::spawn(slot::run(
                number,
                launch.clone(),
                orders,
                events.clone(),
                paused.clone(),
            ));
            sender
        })
        .collect();
    let mut session = Session::new(slots.len(), config.session, rand::random());
    let caller = Arc::new(Caller::new(config.coordinator, worker, config.host));
    let (answers, mut answered) = mpsc::channel::<Event>(256);
    let mut stops = 0;
    loop {
        let wake = session.next_wake().map(|at| began + Duration::from_millis(at));
        let event = tokio::select! {
            event = inbox.recv() => event.map_or(Event::Tick, |(_, event)| event),
            event = answered.recv() => event.unwrap_or(Event::Tick),
            asked = stop.recv(), if stops < 2 => {
                stops += if asked.is_some() { 1 } else { 2 };
                Event::Stop
            }
            () = sleep_until(wake) => Event::Tick,
        };
        let now = began.elapsed().as_millis() as u64;
        for action in session.step(event, now) {
            match action {
                Action::Exit(exit) => return exit,
                Action::Tell { slot, frame } => _ = slots[slot].send(slot::Order::Tell(frame)),
                Action::Kill { slot } => _ = slots[slot].send(slot::Order::Kill),
                Action::Learn { machine, shape, size } => {
                    let cache = config.cache.clone();
                    // A table that cannot be kept is measured again at the next start.
                    tokio::task::spawn_blocking(move || {
                        if let Err(error) = cache.learn(&machine, shape, size) {
                            let file = cache.path().display();
                            tracing::warn!(%file, %error, "the table of throughputs cannot be kept");
                        }
                    });
                }
                call => {
                    let (caller, answers) = (Arc::clone(&caller), answers.clone());
                    tokio::spawn(async move {
                        if let Some(event) = caller.call(call).await {
                            _ = answers.send(event).await;
                        }
                    });
                }
            }
        }
        pause.send_if_modified(|paused| std::mem::replace(paused, session.is_paused()) != *paused);
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Makes the calls, all on one connection: a call that waits for work takes nothing from those beside it.
struct Caller {
    worker: WorkerId,
    host: String,
    coordinator: Addresses,
    client: Mutex<Reached>,
    waiting: Semaphore,
}

/// The connection under way.
struct Reached {
    client: FleetClient<Channel>,
    /// Since when all that it says is that it cannot work.
    useless_since: Option<Instant>,
}

impl Reached {
    fn new(coordinator: &Addresses) -> Self {
        Self {
            client: FleetClient::new(coordinator.connect_lazy()).max_decoding_message_size(MAX_MESSAGE),
            useless_since: None,
        }
    }
}

impl Caller {
    fn new(coordinator: Addresses, worker: WorkerId, host: String) -> Self {
        Self {
            worker,
            host,
            client: Mutex::new(Reached::new(&coordinator)),
            coordinator,
            waiting: Semaphore::new(WAITING),
        }
    }

    fn client(&self) -> FleetClient<Channel> {
        self.client
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .client
            .clone()
    }

    /// Takes note of how a call ended. A coordinator that answers but cannot work, as one that has lost its database, may
    /// have a successor at another address.
    fn note(&self, result: Result<(), &Status>) {
        let mut reached = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        // What broke on the way has a source, and is dialled anew by itself.
        let useless = result.is_err_and(|status| {
            status.code() == Code::Unavailable && std::error::Error::source(status).is_none()
        });
        if !useless {
            reached.useless_since = None;
        } else if reached.useless_since.get_or_insert_with(Instant::now).elapsed() > USELESS
            && self.coordinator.are_several()
        {
            tracing::info!("the coordinator cannot work; the next address is tried");
            self.coordinator.turn();
            *reached = Reached::new(&self.coordinator);
        }
    }

    async fn call(&self, action: Action) -> Option<Event> {
        let (call, result) = match action {
            Action::Register(slots) => (Call::Register, self.register(slots).await),
            Action::Acquire {
                slot,
                request,
                max_trials,
                sizes,
            } => {
                let message = v1::AcquireRequest {
                    worker: self.id(),
                    request: request.0.to_vec(),
                    slot: slot as u32,
                    max_trials,
                    sizes: sizes
                        .into_iter()
                        .map(|(shape, trials)| v1::PackSize {
                            shape: shape.0,
                            trials,
                        })
                        .collect(),
                };
                let _place = self.waiting.acquire().await;
                let answer = self.client().acquire(timed(message, ACQUIRE_TIMEOUT)).await;
                let event = |answer: v1::AcquireResponse| Event::Acquired {
                    slot,
                    lease: lease(answer),
                };
                (
                    Call::Acquire(slot),
                    answer.map(|answer| event(answer.into_inner())),
                )
            }
            Action::Append { fence, sweep, trials } => {
                let keys: Vec<TrialKey> = trials.iter().map(|report| report.key).collect();
                let message = v1::AppendRequest {
                    worker: self.id(),
                    sweep: sweep.0.to_vec(),
                    fence: fence.0,
                    trials: trials.into_iter().map(report).collect(),
                };
                let answer = self.client().append(timed(message, CALL_TIMEOUT)).await;
                let event = |answer: v1::AppendResponse| Event::Appended {
                    fence,
                    acknowledgements: keys
                        .into_iter()
                        .zip(answer.acknowledgements.into_iter().map(acknowledgement))
                        .collect(),
                };
                (
                    Call::Append(fence),
                    answer.map(|answer| event(answer.into_inner())),
                )
            }
            Action::Heartbeat(fences) => {
                let fences = fences.iter().map(|fence| fence.0).collect();
                let message = v1::HeartbeatRequest {
                    worker: self.id(),
                    fences,
                };
                let answer = self.client().heartbeat(timed(message, CALL_TIMEOUT)).await;
                (Call::Heartbeat, answer.map(|answer| heard(answer.into_inner())))
            }
            Action::Tell { .. } | Action::Kill { .. } | Action::Learn { .. } | Action::Exit(_) => {
                return None;
            }
        };
        self.note(result.as_ref().map(|_| ()));
        Some(result.unwrap_or_else(|status| failed(call, &status)))
    }

    fn id(&self) -> Vec<u8> {
        self.worker.0.to_vec()
    }

    async fn register(&self, slots: Vec<Device>) -> Result<Event, Status> {
        let message = v1::RegisterRequest {
            protocol: PROTOCOL,
            worker: self.id(),
            host: self.host.clone(),
            process: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch: slots
                .first()
                .map(|device| device.libtorch.clone())
                .unwrap_or_default(),
            slots: slots
                .into_iter()
                .map(|device| v1::Slot {
                    kind: v1::DeviceKind::from(device.kind).into(),
                    device: device.name,
                    threads: device.threads,
                })
                .collect(),
        };
        let answer = self
            .client()
            .register(timed(message, CALL_TIMEOUT))
            .await?
            .into_inner();
        tracing::info!(worker = %self.worker, "registered");
        Ok(Event::Registered {
            heartbeat_interval: u64::from(answer.heartbeat_interval_ms),
        })
    }
}

fn timed<T>(message: T, timeout: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    request
}

fn report(report: Report) -> v1::TrialReport {
    v1::TrialReport {
        trial: Some(report.key.into()),
        attempt: report.attempt,
        blocks: report.blocks.iter().map(Into::into).collect(),
        end: report
            .end
            .map(|(epochs, outcome, stderr)| convert::end(epochs, outcome, stderr)),
    }
}

fn acknowledgement(said: v1::Acknowledgement) -> Acknowledgement {
    Acknowledgement {
        epochs: said.epochs,
        cancelled: said.cancelled,
        ended: said.ended,
        refused: (!said.refused.is_empty()).then_some(said.refused),
    }
}

fn lease(answer: v1::AcquireResponse) -> Result<Lease, u64> {
    let again = u64::from(answer.retry_after_ms).max(10);
    let lease = answer.lease.ok_or(again)?;
    let sweep = convert::sweep_id(&lease.sweep).map_err(|_| again)?;
    let architecture = lease.architecture;
    let trials = lease.trials.into_iter().map(|trial| {
        let key = trial.trial.map(TrialKey::from).unwrap_or(TrialKey::FIRST);
        let attempt = trial.attempt;
        let trial = convert::trial(trial, architecture.as_ref())
            .map_err(|error| format!("this worker does not understand the trial: {error}"));
        (key, attempt, trial)
    });
    Ok(Lease {
        fence: Fence(lease.fence),
        sweep,
        trials: trials.collect(),
        of_sweep: lease.sweep_trials,
    })
}

fn heard(answer: v1::HeartbeatResponse) -> Event {
    let cancelled = answer.cancelled.into_iter();
    Event::Heard {
        stale: answer.stale.into_iter().map(Fence).collect(),
        cancelled: cancelled
            .filter_map(|trial| Some((Fence(trial.fence), trial.trial?.into())))
            .collect(),
        drain: answer.drain,
    }
}

fn failed(call: Call, status: &Status) -> Event {
    let failure = match status.code() {
        Code::NotFound => Failure::Unknown,
        Code::Aborted => Failure::Stale,
        // Out of range: a message that is longer than those that are taken.
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::PermissionDenied
        | Code::Unimplemented
        | Code::OutOfRange => Failure::Refused(status.message().to_owned()),
        Code::ResourceExhausted => Failure::Busy {
            why: status.message().to_owned(),
            pause: pushback::of(status).map_or(0, |pause| pause.as_millis() as u64),
        },
        _ => Failure::Passing(status.message().to_owned()),
    };
    match &failure {
        Failure::Passing(why) | Failure::Busy { why, .. } => {
            tracing::debug!(?call, why, "a call failed; it is made again")
        }
        Failure::Refused(why) => tracing::error!(?call, why, "the coordinator refuses"),
        Failure::Unknown | Failure::Stale => tracing::info!(?call, ?failure, "the coordinator's word"),
    }
    Event::Failed { call, failure }
}
