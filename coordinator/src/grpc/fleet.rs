//! The service Fleet: what workers ask.

use std::collections::BTreeMap;
use std::time::Duration;

use tenfold_core::record::{Slot, WorkerRow};
use tenfold_core::{Acknowledgement, Answer, End, Grant, Input, Standing, TrialReport};
use tenfold_proto::PROTOCOL;
use tenfold_proto::convert::{self, ConvertError};
use tenfold_proto::v1::{self, fleet_server::Fleet};
use tenfold_proto::version::Said;
use tenfold_types::{DeviceKind, Metric, Outcome, ShapeKey};
use tonic::{Request, Response, Status};

use super::{Service, status};

/// How long an `Acquire` waits for work before it is answered without any.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);
/// What a worker waits before it asks again.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// How often workers are told to send a heartbeat: a cancel reaches a running trainer within this.
const HEARTBEAT: Duration = Duration::from_millis(800);
/// Bounds on what one message may name; far above what any worker sends.
pub(super) const MAX_SLOTS: usize = 1024;
pub(super) const MAX_TRIALS: usize = tenfold_types::frame::MAX_PACK as usize;
pub(super) const MAX_SIZES: usize = 1024;
pub(super) const MAX_FENCES: usize = 65_536;
/// Text that a worker sends is cut to this many bytes.
pub(super) const MAX_TEXT: usize = 16 * 1024;

#[tonic::async_trait]
impl Fleet for Service {
    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        let message = request.into_inner();
        if message.protocol != PROTOCOL {
            let said = Said::in_message(&message.version, message.protocol);
            return Err(Status::failed_precondition(said.refusal("the worker")));
        }
        if message.slots.is_empty() || message.slots.len() > MAX_SLOTS {
            let slots = message.slots.len();
            return Err(Status::invalid_argument(format!(
                "a worker has 1 to {MAX_SLOTS} slots, not {slots}"
            )));
        }
        let slot = |slot: v1::Slot| {
            Ok(Slot {
                kind: DeviceKind::try_from(slot.kind())?,
                device: cut(slot.device),
                threads: slot.threads,
            })
        };
        let row = WorkerRow {
            id: convert::worker_id(&message.worker).map_err(status::of_convert)?,
            host: cut(message.host),
            process: message.process,
            protocol: message.protocol,
            version: cut(message.version),
            libtorch: cut(message.libtorch),
            slots: message
                .slots
                .into_iter()
                .map(slot)
                .collect::<Result<_, ConvertError>>()
                .map_err(status::of_convert)?,
            draining: false,
        };
        tracing::info!(worker = %row.id, host = row.host, slots = row.slots.len(), "a worker registers");
        self.decide(Input::Register(row)).await?;
        let term = self
            .turn
            .read(|state, _| state.settings().lease_term)
            .await
            .map_err(status::of_turn)?;
        Ok(Response::new(v1::RegisterResponse {
            lease_term_ms: u32::try_from(term).unwrap_or(u32::MAX),
            heartbeat_interval_ms: (HEARTBEAT.as_millis() as u32).min((term / 4).max(1) as u32),
        }))
    }

    async fn acquire(
        &self,
        request: Request<v1::AcquireRequest>,
    ) -> Result<Response<v1::AcquireResponse>, Status> {
        let message = request.into_inner();
        if message.sizes.len() > MAX_SIZES {
            return Err(Status::invalid_argument(format!(
                "an acquire names at most {MAX_SIZES} shapes"
            )));
        }
        let mut sizes = BTreeMap::new();
        for size in &message.sizes {
            if sizes.insert(ShapeKey(size.shape), size.trials).is_some() {
                return Err(Status::invalid_argument(format!(
                    "an acquire names shape {} twice; name each once",
                    size.shape
                )));
            }
        }
        let input = Input::Acquire {
            worker: convert::worker_id(&message.worker).map_err(status::of_convert)?,
            request: convert::request_id(&message.request).map_err(status::of_convert)?,
            slot: message.slot,
            max_trials: message.max_trials,
            sizes,
        };
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        let mut work = self.turn.work();
        let mut shutdown = self.shutdown.clone();
        loop {
            // Marked before deciding, so that work which comes up in between is not slept through.
            work.borrow_and_update();
            let answer = {
                let _look = self.gates.look.acquire().await;
                self.decide(input.clone()).await?
            };
            if let Answer::Leased(grant) = answer {
                return Ok(Response::new(v1::AcquireResponse {
                    lease: Some(lease(grant)),
                    retry_after_ms: 0,
                }));
            }
            let idle = v1::AcquireResponse {
                lease: None,
                retry_after_ms: RETRY_AFTER.as_millis() as u32,
            };
            tokio::select! {
                changed = work.changed() => if changed.is_err() { return Ok(Response::new(idle)) },
                () = &mut patience => return Ok(Response::new(idle)),
                () = shutdown.wait() => return Err(Status::unavailable("the coordinator is shutting down")),
            }
        }
    }

    async fn append(
        &self,
        request: Request<v1::AppendRequest>,
    ) -> Result<Response<v1::AppendResponse>, Status> {
        let message = request.into_inner();
        if message.trials.len() > MAX_TRIALS {
            return Err(Status::invalid_argument(format!(
                "an append names at most {MAX_TRIALS} trials"
            )));
        }
        let trials = message.trials.into_iter().map(report).collect::<Result<_, _>>();
        let input = Input::Append {
            worker: convert::worker_id(&message.worker).map_err(status::of_convert)?,
            sweep: convert::sweep_id(&message.sweep).map_err(status::of_convert)?,
            fence: convert::fence(message.fence).map_err(status::of_convert)?,
            trials: trials.map_err(status::of_convert)?,
        };
        match self.decide(input).await? {
            Answer::Acknowledged(acknowledgements) => Ok(Response::new(v1::AppendResponse {
                acknowledgements: acknowledgements.into_iter().map(acknowledgement).collect(),
            })),
            other => Err(super::unexpected(&other)),
        }
    }

    async fn heartbeat(
        &self,
        request: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let message = request.into_inner();
        if message.fences.len() > MAX_FENCES {
            return Err(Status::invalid_argument(format!(
                "a heartbeat names at most {MAX_FENCES} leases"
            )));
        }
        let worker = convert::worker_id(&message.worker).map_err(status::of_convert)?;
        let fences = message.fences.into_iter().map(tenfold_types::Fence).collect();
        match self.decide(Input::Heartbeat { worker, fences }).await? {
            Answer::Heard {
                stale,
                cancelled,
                drain,
            } => Ok(Response::new(v1::HeartbeatResponse {
                stale: stale.iter().map(|fence| fence.0).collect(),
                cancelled: cancelled
                    .into_iter()
                    .map(|(fence, key)| v1::CancelledTrial {
                        fence: fence.0,
                        trial: Some(key.into()),
                    })
                    .collect(),
                drain,
            })),
            other => Err(super::unexpected(&other)),
        }
    }
}

fn lease(grant: Grant) -> v1::Lease {
    let first = grant.trials.first().map(|(_, _, spec, _)| spec);
    let (architecture, shape) = match first {
        Some(spec) => (Some((&spec.architecture).into()), spec.shape().0),
        None => (None, 0),
    };
    // Lists of metrics differ by the auxiliary loss alone, which is no part of a shape: there are two at most, however many trials.
    let mut lists: Vec<Vec<Metric>> = Vec::new();
    let trials = grant.trials.iter().map(|(key, attempt, spec, continued)| {
        let metrics = spec.metrics();
        let place = lists.iter().position(|list| *list == metrics);
        let place = place.unwrap_or_else(|| {
            lists.push(metrics);
            lists.len() - 1
        });
        v1::LeasedTrial {
            metrics: place as u32,
            ..convert::leased_trial(*key, *attempt, spec, *continued)
        }
    });
    let trials = trials.collect();
    let names = |list: &Vec<Metric>| v1::MetricNames {
        names: list.iter().map(Metric::to_string).collect(),
    };
    v1::Lease {
        fence: grant.fence.0,
        sweep: grant.sweep.0.to_vec(),
        trials,
        sweep_trials: grant.sweep_trials,
        architecture,
        metrics: lists.iter().map(names).collect(),
        shape,
    }
}

fn report(trial: v1::TrialReport) -> Result<TrialReport, ConvertError> {
    let end = |end: v1::End| {
        let epochs = end.epochs;
        let (outcome, stderr) = convert::ended(end)?;
        Ok::<_, ConvertError>(End {
            epochs,
            outcome: match outcome {
                Outcome::Failed { error } => Outcome::Failed { error: cut(error) },
                Outcome::Lost { error, together } => Outcome::Lost {
                    error: cut(error),
                    together,
                },
                other => other,
            },
            stderr: cut(stderr),
        })
    };
    Ok(TrialReport {
        key: convert::trial_key(trial.trial)?,
        attempt: trial.attempt,
        blocks: trial
            .blocks
            .into_iter()
            .map(TryInto::try_into)
            .collect::<Result<_, _>>()?,
        end: trial.end.map(end).transpose()?,
    })
}

fn acknowledgement(acknowledgement: Acknowledgement) -> v1::Acknowledgement {
    let (mut cancelled, mut ended, mut refused) = (false, false, String::new());
    match acknowledgement.standing {
        Standing::Going => {}
        Standing::Ended => ended = true,
        Standing::Cancelled => cancelled = true,
        Standing::Refused(refusal) => refused = refusal.to_string(),
    }
    v1::Acknowledgement {
        epochs: acknowledgement.epochs,
        cancelled,
        ended,
        refused,
    }
}

/// The end of a text that is too long, whole characters only: the last words say most.
fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let mut from = text.len() - MAX_TEXT;
        while !text.is_char_boundary(from) {
            from += 1;
        }
        text.drain(..from);
    }
    text
}
