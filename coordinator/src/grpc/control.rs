//! The service Control: what people ask.

use std::collections::HashMap;
use std::sync::Arc;

use tenfold_core::record::RequestKey;
use tenfold_core::sweep::{Around, Extension, Grouping, Passage, Stage, Sweep, SweepError};
use tenfold_core::{Answer, Input, Order, State, SweepState, Wider};
use tenfold_proto::convert;
use tenfold_proto::v1::{self, control_server::Control};
use tenfold_types::curve::UnknownMetric;
use tenfold_types::{Curve, Metric, SweepId, TrialId, WorkerId};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::once::{self, Decided};
use super::tail::Tail;
use super::{Service, backup, messages, parts, selector, status};
use crate::groups::{Found, Groups};
use crate::store::Reader;
use crate::watch::{self, Watch};

/// Sweeps listed when no limit is given, and at most.
pub(super) const LIST: usize = 100;
pub(super) const MAX_LIST: usize = 1000;
/// Failed trials that `show` names.
pub(super) const FAILURES: usize = 20;
/// Choices between stages in an answer: with what they were made from, they are the longest part of it.
pub(super) const CHOICES: usize = 10_000;
/// What they were made from is told of so many values; of choices beyond them only what was chosen.
const CANDIDATES: usize = 20_000;
/// Attempts of a trial that are shown, with the ends of their trainers' standard errors.
pub(super) const ATTEMPTS: usize = 64;
/// Workers listed at most.
pub(super) const WORKERS: usize = 1000;
/// Messages that wait for a slow reader of a stream, then whoever makes them waits. Few: each can be half a MiB, and
/// there are many readers.
const STREAM: usize = 2;
/// Workers not heard of for so long, in milliseconds, count as gone.
const CONNECTED: u64 = 10_000;

type Stream<T> = ReceiverStream<Result<T, Status>>;

impl Service {
    /// Looks at one sweep.
    async fn with_sweep<R: Send + 'static>(
        &self,
        selector: String,
        look: impl FnOnce(&State, &SweepState) -> R + Send + 'static,
    ) -> Result<R, Status> {
        let look =
            move |state: &State, _| selector::resolve(state, &selector).map(|sweep| look(state, sweep));
        self.turn.read(look).await.map_err(status::of_turn)?
    }

    /// An order about a sweep as it is, which is answered by where the sweep stands.
    async fn order(
        &self,
        method: &str,
        mut message: v1::SelectRequest,
        order: Order,
    ) -> Result<Response<v1::SweepStatus>, Status> {
        let key = once::key(method, &mut message)?;
        let prepare = move |state: &State| {
            let sweep = selector::resolve(state, &message.selector)?.row().id;
            let answer = move |state: &State, _: Vec<Answer>| once::status_of(state, sweep);
            Ok(Decided::new(vec![Input::Order { sweep, order }], answer))
        };
        self.once(key, prepare).await
    }

    /// Has a sweep extended. `answer` makes the answer from the sweep and from how many choices stay as they are.
    async fn extended<R: prost::Message + Default + 'static>(
        &self,
        key: Option<RequestKey>,
        selector: String,
        wider: Wider,
        answer: fn(&SweepState, u64) -> R,
    ) -> Result<Response<R>, Status> {
        let prepare = move |state: &State| {
            let sweep = selector::resolve(state, &selector)?.row().id;
            let answer = move |state: &State, answers: Vec<Answer>| match answers.as_slice() {
                [Answer::Extended { kept }] => {
                    tracing::info!(%sweep, "a sweep is extended");
                    selector::resolve(state, &sweep.to_string()).map(|sweep| answer(sweep, *kept))
                }
                other => Err(super::unexpected(other)),
            };
            Ok(Decided::new(vec![Input::Extend { sweep, wider }], answer))
        };
        self.once(key, prepare).await
    }

    /// The attempts at a trial, the newest first.
    pub(super) async fn attempts(&self, trial: TrialId) -> Result<Vec<v1::Attempt>, Status> {
        let read = move |reader: &mut dyn Reader| reader.attempts(trial);
        let attempts = self.readers.with(read).await.map_err(status::of_store)?;
        Ok(attempts
            .into_iter()
            .take(ATTEMPTS)
            .map(messages::attempt)
            .collect())
    }

    async fn exists(&self, sweep: SweepId) -> Result<bool, Status> {
        self.turn
            .read(move |state, _| state.sweep(sweep).is_some())
            .await
            .map_err(status::of_turn)
    }
}

impl Service {
    /// Parses where it may take its time, a few at once.
    async fn parse(&self, source: Option<v1::SweepSource>) -> Result<Sweep, Status> {
        let _turn = self.gates.parse.acquire().await;
        parse(source).await
    }
}

async fn parse(source: Option<v1::SweepSource>) -> Result<Sweep, Status> {
    let source = source.ok_or_else(|| Status::invalid_argument("the sweep's text is missing"))?;
    let parse = move || Sweep::parse(&source.text, &source.file, &source.overrides, source.repetitions);
    let parsed: Result<Sweep, SweepError> = tokio::task::spawn_blocking(parse)
        .await
        .map_err(|error| Status::internal(format!("the sweep could not be read: {error}")))?;
    parsed.map_err(|error| Status::invalid_argument(error.to_string()))
}

fn grouping(sweep: &Sweep, by: &[String]) -> Result<Arc<Grouping>, Status> {
    sweep
        .grouping(by)
        .map(Arc::new)
        .map_err(|error| Status::invalid_argument(error.to_string()))
}

#[tonic::async_trait]
impl Control for Service {
    type WatchStream = Tail;
    type ResultsStream = Stream<v1::GroupResult>;
    type CurvesStream = Stream<v1::TrialCurve>;
    type BackupStream = Stream<v1::BackupChunk>;

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let mut message = request.into_inner();
        let key = once::key("Submit", &mut message)?;
        let sweep = self.parse(message.source).await?;
        let answer = |state: &State, answers: Vec<Answer>| match *answers.as_slice() {
            [Answer::Submitted { sweep, existing }] => {
                tracing::info!(%sweep, existing, "a sweep is submitted");
                let sweep = Some(once::status_of(state, sweep)?);
                Ok(v1::SubmitResponse { sweep, existing })
            }
            ref other => Err(super::unexpected(other)),
        };
        self.once(key, move |_| Ok(Decided::new(vec![Input::Submit(sweep)], answer)))
            .await
    }

    async fn plan(&self, request: Request<v1::PlanRequest>) -> Result<Response<v1::PlanResponse>, Status> {
        let sweep = self.parse(request.into_inner().source).await?;
        let existing = self.exists(sweep.id()).await?;
        Ok(Response::new(messages::plan(&sweep, existing)))
    }

    async fn list(&self, request: Request<v1::ListRequest>) -> Result<Response<v1::ListResponse>, Status> {
        let message = request.into_inner();
        let limit = match message.limit as usize {
            0 => LIST,
            limit => limit.min(MAX_LIST),
        };
        let before = match message.before.as_slice() {
            [] => None,
            bytes => Some(convert::sweep_id(bytes).map_err(status::of_convert)?),
        };
        let list = move |state: &State, _| {
            let before = match before {
                None => u64::MAX,
                Some(id) => state.sweep(id)?.row().number,
            };
            let older = state
                .newest_sweeps()
                .skip_while(|sweep| sweep.row().number >= before);
            let mut sweeps: Vec<_> = older.take(limit + 1).map(messages::sweep_status).collect();
            let more = sweeps.len() > limit;
            sweeps.truncate(limit);
            let damaged = state.refused_sweeps().map(messages::damaged_sweep).collect();
            Some(v1::ListResponse {
                sweeps,
                more,
                damaged,
            })
        };
        let listed = self.turn.read(list).await.map_err(status::of_turn)?;
        listed
            .map(Response::new)
            .ok_or_else(|| Status::not_found("the sweep to list before is not there"))
    }

    async fn show(&self, request: Request<v1::ShowRequest>) -> Result<Response<v1::ShowResponse>, Status> {
        let show = |_: &State, sweep: &SweepState| v1::ShowResponse {
            status: Some(messages::sweep_status(sweep)),
            description: sweep.sweep().describe(),
            normalised: sweep.row().normalised.clone(),
            choices: sweep
                .choices()
                .filter_map(|row| messages::choice(sweep.sweep(), row))
                .take(CHOICES)
                .scan(CANDIDATES, |left, mut choice| {
                    match left.checked_sub(choice.candidates.len()) {
                        Some(rest) => *left = rest,
                        None => choice.candidates.clear(),
                    }
                    Some(choice)
                })
                .collect(),
            extensions: sweep
                .extensions()
                .map(|row| messages::extension(sweep.sweep(), row))
                .collect(),
            failures: sweep
                .failed()
                .take(FAILURES)
                .map(|trial| messages::trial_status(sweep.sweep(), trial, 0))
                .collect(),
        };
        self.with_sweep(request.into_inner().selector, show)
            .await
            .map(Response::new)
    }

    async fn show_trial(
        &self,
        request: Request<v1::ShowTrialRequest>,
    ) -> Result<Response<v1::ShowTrialResponse>, Status> {
        let (selector, key) = selector::trial(&request.into_inner().trial)?;
        let look = move |_: &State, sweep: &SweepState| {
            let (row, status) = messages::trial_now(sweep, key);
            let left_out = sweep.sweep().passage(key) == Passage::LeftOut;
            (sweep.has(key) || left_out).then_some((row.id, status, left_out))
        };
        let found = self.with_sweep(selector, look).await?;
        let (id, mut trial, left_out) = found.ok_or_else(|| selector::no_trial(key))?;
        if left_out {
            trial.state = v1::TrialState::LeftOut.into();
        }
        Ok(Response::new(v1::ShowTrialResponse {
            status: Some(trial),
            attempts: self.attempts(id).await?,
        }))
    }

    async fn explain(
        &self,
        request: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::ExplainResponse>, Status> {
        self.explained(&request.into_inner().trial)
            .await
            .map(Response::new)
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let message = request.into_inner();
        let look = |_: &State, sweep: &SweepState| (sweep.row().id, sweep.sweep().clone());
        let (id, sweep) = self.with_sweep(message.selector, look).await?;
        let grouping = grouping(&sweep, &message.by)?;
        let options = Watch {
            sweep: id,
            grouping,
            raw: message.raw,
            since: message.since,
            follow: message.follow,
        };
        let (out, seen) = mpsc::channel(STREAM);
        let watcher = watch::watch(
            self.turn.clone(),
            self.readers.clone(),
            self.kept.clone(),
            options,
            out,
            self.shutdown.clone(),
        );
        Ok(Response::new(Tail::new(sweep, seen, tokio::spawn(watcher))))
    }

    async fn results(
        &self,
        request: Request<v1::ResultsRequest>,
    ) -> Result<Response<Self::ResultsStream>, Status> {
        let message = request.into_inner();
        let look = |_: &State, sweep: &SweepState| (sweep.row().control, sweep.sweep().clone());
        let (control, sweep) = self.with_sweep(message.selector, look).await?;
        let stage = message
            .stage
            .map(|name| stage_number(&sweep, &name))
            .transpose()?;
        let grouping = grouping(&sweep, &message.by)?;
        let readers = self.readers.clone();
        let of = Arc::new(Groups {
            sweep,
            control,
            grouping: Arc::clone(&grouping),
            kept: self.kept.clone(),
        });
        let (sender, stream) = mpsc::channel(STREAM);
        tokio::spawn(async move {
            let groups = grouping.groups();
            for group in groups.filter(|group| stage.is_none_or(|stage| stage == group.stage)) {
                let (mut next, mut in_hand, mut begun) = (Some(1), None, None);
                while let Some(first) = next {
                    // Curves are in hand only while the reader keeps up; else they are read again for the next part.
                    let room = match sender.try_reserve() {
                        Ok(room) => room,
                        Err(_) => {
                            in_hand = None;
                            let Ok(room) = sender.reserve().await else { return };
                            room
                        }
                    };
                    let read = || {
                        let of = Arc::clone(&of);
                        move |reader: &mut dyn Reader| {
                            let standing = of.standing(reader, group)?;
                            of.result(reader, &standing)
                        }
                    };
                    let found = match in_hand.take() {
                        Some(found) => found,
                        None => match readers.with_whole(read).await {
                            Ok(Some(found)) => found,
                            Ok(None) => {
                                return room.send(Err(Status::not_found("the sweep has been deleted")));
                            }
                            Err(error) => return room.send(Err(status::of_store(error))),
                        },
                    };
                    let part = match &found {
                        Found::Whole(part) => Arc::clone(part),
                        Found::Curves(curves) => Arc::new(curves.part(first)),
                    };
                    let group = &part.result.group;
                    if begun.is_some_and(|begun| begun != *group) {
                        let why = "the results changed while they were read; ask again";
                        return room.send(Err(Status::unavailable(why)));
                    }
                    (next, begun) = (part.next(), Some(group.clone()));
                    room.send(Ok(messages::group_part(&part)));
                    in_hand = Some(found);
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn curves(
        &self,
        request: Request<v1::CurvesRequest>,
    ) -> Result<Response<Self::CurvesStream>, Status> {
        let message = request.into_inner();
        let look = |_: &State, sweep: &SweepState| (sweep.row().id, sweep.sweep().clone());
        let (id, sweep) = self.with_sweep(message.selector, look).await?;
        let wanted = wanted(&sweep, message.stage, &message.metrics)?;
        let wanted = Arc::new(CurvesWanted {
            provenance: message.provenance,
            every_trial: message.every_trial,
            ..wanted
        });
        let readers = self.readers.clone();
        let (sender, stream) = mpsc::channel(STREAM);
        tokio::spawn(async move {
            let points = (0..).zip(sweep.stages());
            let points = points.filter(|(number, _)| wanted.stage.is_none_or(|stage| stage == *number));
            let points = points.flat_map(|(number, stage)| stage.indexes().map(move |index| (number, index)));
            for (stage, index) in points {
                let read = || {
                    let (of, wanted) = (sweep.clone(), Arc::clone(&wanted));
                    move |reader: &mut dyn Reader| point_curves(reader, &of, id, (stage, index), &wanted)
                };
                let curves = readers.with_whole(read).await;
                let messages = match curves {
                    Ok(messages) => messages,
                    Err(error) => {
                        _ = sender.send(Err(status::of_store(error))).await;
                        return;
                    }
                };
                for message in messages.into_iter().flat_map(parts::of_curve) {
                    if sender.send(Ok(message)).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn pause(&self, request: Request<v1::SelectRequest>) -> Result<Response<v1::SweepStatus>, Status> {
        self.order("Pause", request.into_inner(), Order::Pause).await
    }

    async fn resume(&self, request: Request<v1::SelectRequest>) -> Result<Response<v1::SweepStatus>, Status> {
        self.order("Resume", request.into_inner(), Order::Resume).await
    }

    async fn stop(&self, request: Request<v1::SelectRequest>) -> Result<Response<v1::SweepStatus>, Status> {
        self.order("Stop", request.into_inner(), Order::Stop).await
    }

    async fn cancel(&self, request: Request<v1::SelectRequest>) -> Result<Response<v1::SweepStatus>, Status> {
        self.order("Cancel", request.into_inner(), Order::Cancel).await
    }

    async fn retry(&self, request: Request<v1::RetryRequest>) -> Result<Response<v1::RetryResponse>, Status> {
        let mut message = request.into_inner();
        let key = once::key("Retry", &mut message)?;
        let v1::RetryRequest {
            selector,
            failed,
            cancelled,
            ..
        } = message;
        if !failed && !cancelled {
            return Err(Status::invalid_argument(
                "say which trials to retry: failed ones, cancelled ones, or both",
            ));
        }
        let prepare = move |state: &State| {
            let sweep = selector::resolve(state, &selector)?.row().id;
            let answer = move |state: &State, answers: Vec<Answer>| match *answers.as_slice() {
                [Answer::Ordered { retried }] => Ok(v1::RetryResponse {
                    status: Some(once::status_of(state, sweep)?),
                    retried,
                }),
                ref other => Err(super::unexpected(other)),
            };
            let order = Order::Retry { failed, cancelled };
            Ok(Decided::new(vec![Input::Order { sweep, order }], answer))
        };
        self.once(key, prepare).await
    }

    async fn extend(
        &self,
        request: Request<v1::ExtendRequest>,
    ) -> Result<Response<v1::ExtendResponse>, Status> {
        let mut message = request.into_inner();
        let key = once::key("Extend", &mut message)?;
        let wider = Wider::Repetitions {
            stage: message.stage,
            repetitions: message.repetitions,
        };
        self.extended(key, message.selector, wider, |sweep, kept| v1::ExtendResponse {
            status: Some(messages::sweep_status(sweep)),
            kept,
        })
        .await
    }

    async fn refine(
        &self,
        request: Request<v1::RefineRequest>,
    ) -> Result<Response<v1::RefineResponse>, Status> {
        let mut wanted = request.into_inner();
        let key = once::key("Refine", &mut wanted)?;
        let metric = match wanted.metric.as_str() {
            "" => Ok(Metric::TestError),
            name => name.parse().map_err(|error: UnknownMetric| error.to_string()),
        };
        let around = Around {
            axis: wanted.axis,
            points: wanted.points,
            span: wanted.span,
            stage: wanted.stage,
            metric: metric.map_err(Status::invalid_argument)?,
        };
        self.extended(key, wanted.selector, Wider::Around(around), |sweep, _| {
            let newest = sweep
                .extensions()
                .rev()
                .find(|row| matches!(row.extension, Extension::Stage { .. }));
            v1::RefineResponse {
                status: Some(messages::sweep_status(sweep)),
                extension: newest.map(|row| messages::extension(sweep.sweep(), row)),
            }
        })
        .await
    }

    async fn workers(
        &self,
        request: Request<v1::WorkersRequest>,
    ) -> Result<Response<v1::WorkersResponse>, Status> {
        let message = request.into_inner();
        let limit = match message.limit as usize {
            0 => WORKERS,
            limit => limit.min(WORKERS),
        };
        let after = match message.after.as_slice() {
            [] => None,
            bytes => Some(convert::worker_id(bytes).map_err(status::of_convert)?),
        };
        let look = move |state: &State, now: tenfold_core::Millis| {
            let mut busy: HashMap<WorkerId, u32> = HashMap::new();
            for lease in state.leases() {
                *busy.entry(lease.row.worker).or_default() += 1;
            }
            let worker = |worker: &tenfold_core::Worker| {
                let row = &worker.row;
                let first = row.slots.first();
                v1::Worker {
                    worker: row.id.0.to_vec(),
                    host: row.host.clone(),
                    process: row.process,
                    version: row.version.clone(),
                    libtorch: row.libtorch.clone(),
                    slots: row.slots.len() as u32,
                    busy: busy.get(&row.id).copied().unwrap_or_default(),
                    kind: first.map_or(0, |slot| v1::DeviceKind::from(slot.kind).into()),
                    device: first.map(|slot| slot.device.clone()).unwrap_or_default(),
                    last_seen_ms: worker.seen.unwrap_or_default(),
                    connected: worker
                        .seen
                        .is_some_and(|seen| now.saturating_sub(seen) < CONNECTED),
                    draining: row.draining,
                    quarantined_until_ms: worker.quarantined.filter(|until| now < *until),
                }
            };
            // Those of earlier lives of the coordinator that never came back are of no interest.
            let mut workers: Vec<_> = state
                .workers()
                .filter(|worker| worker.seen.is_some() && after.is_none_or(|after| worker.row.id > after))
                .collect();
            workers.sort_by_key(|worker| worker.row.id);
            v1::WorkersResponse {
                more: workers.len() > limit,
                workers: workers.into_iter().take(limit).map(worker).collect(),
            }
        };
        self.turn
            .read(look)
            .await
            .map(Response::new)
            .map_err(status::of_turn)
    }

    async fn backup(&self, _: Request<v1::BackupRequest>) -> Result<Response<Self::BackupStream>, Status> {
        let place = backup::place(self)?;
        let (sender, stream) = mpsc::channel(STREAM);
        tokio::spawn(backup::send(self.clone(), place, sender));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn drain(&self, request: Request<v1::DrainRequest>) -> Result<Response<v1::DrainResponse>, Status> {
        let mut message = request.into_inner();
        let key = once::key("Drain", &mut message)?;
        let prepare = move |state: &State| {
            let workers = selector::workers(state, &message.worker)?;
            let inputs = workers.iter().map(|worker| Input::Drain(*worker)).collect();
            let answer = move |_: &State, _: Vec<Answer>| {
                for worker in &workers {
                    tracing::info!(%worker, "a worker is drained");
                }
                Ok(v1::DrainResponse {
                    workers: workers.iter().map(|worker| worker.0.to_vec()).collect(),
                })
            };
            Ok(Decided::new(inputs, answer))
        };
        self.once(key, prepare).await
    }

    async fn delete(
        &self,
        request: Request<v1::SelectRequest>,
    ) -> Result<Response<v1::DeleteResponse>, Status> {
        let mut message = request.into_inner();
        let key = once::key("Delete", &mut message)?;
        let prepare = move |state: &State| {
            // One that is damaged on disk is not served, but may be deleted.
            let damaged = selector::damaged(state, &message.selector);
            let (sweep, name) = match damaged.and_then(|refused| Some((refused.id?, refused.name.clone()))) {
                Some(damaged) => damaged,
                None => {
                    let row = selector::resolve(state, &message.selector)?.row();
                    (row.id, row.name.clone())
                }
            };
            let answer = move |_: &State, _: Vec<Answer>| {
                tracing::info!(%sweep, name, "a sweep is deleted");
                let sweep = sweep.0.to_vec();
                Ok(v1::DeleteResponse { sweep, name })
            };
            Ok(Decided::new(vec![Input::Delete(sweep)], answer))
        };
        self.once(key, prepare).await
    }
}

/// Which curves are wanted, and what of them.
#[derive(Default)]
struct CurvesWanted {
    stage: Option<u32>,
    /// All where it is empty.
    metrics: Vec<Metric>,
    provenance: bool,
    every_trial: bool,
}

impl CurvesWanted {
    fn only(&self, curve: Curve) -> Curve {
        if self.metrics.is_empty() {
            return curve;
        }
        let columns = curve.metrics.into_iter().zip(curve.columns);
        let (metrics, columns) = columns
            .filter(|(metric, _)| self.metrics.contains(metric))
            .unzip();
        Curve { metrics, columns }
    }
}

/// The number of the stage of this name.
fn stage_number(sweep: &Sweep, name: &str) -> Result<u32, Status> {
    let mut stages = (0..).zip(sweep.stages());
    let found = stages.find(|(_, stage)| stage.name() == name);
    let names = || -> Vec<&str> {
        let names = sweep.stages().iter().map(Stage::name);
        names.filter(|name| !name.is_empty()).collect()
    };
    found.map(|(number, _)| number).ok_or_else(|| {
        Status::invalid_argument(match names().join(", ").as_str() {
            "" => format!("the sweep has no stages, and so none called {name:?}"),
            names => format!("no stage is called {name:?}; the sweep's are {names}"),
        })
    })
}

fn wanted(sweep: &Sweep, stage: Option<String>, metrics: &[String]) -> Result<CurvesWanted, Status> {
    let number = |name: String| stage_number(sweep, &name);
    let metrics = metrics.iter().map(|name| name.parse::<Metric>());
    Ok(CurvesWanted {
        stage: stage.map(number).transpose()?,
        metrics: metrics
            .collect::<Result<_, _>>()
            .map_err(|error| Status::invalid_argument(error.to_string()))?,
        ..CurvesWanted::default()
    })
}

/// The accepted curves of one point, in repetition order.
fn point_curves(
    reader: &mut dyn crate::store::Reader,
    sweep: &Sweep,
    id: SweepId,
    (stage, index): (u32, u64),
    wanted: &CurvesWanted,
) -> Result<Vec<v1::TrialCurve>, crate::store::StoreError> {
    let mut curves = Vec::new();
    for trial in reader.point(id, stage, index)? {
        let key = trial.row.id.key;
        let Some(fence) = trial.row.state.accepted() else {
            if wanted.every_trial {
                curves.push(v1::TrialCurve {
                    trial: Some(key.into()),
                    point: messages::assignments(&sweep.values(key)),
                    state: messages::trial_state(&trial.row.state).into(),
                    ..v1::TrialCurve::default()
                });
            }
            continue;
        };
        let mut curve = Curve::new(sweep.metrics(key));
        let whole = trial.blocks.iter().all(|block| curve.push(block));
        if !whole || curve.epochs() != trial.row.state.accepted_epochs() {
            return Err(crate::store::StoreError::damaged_epochs(trial.row.id, fence));
        }
        let epochs = curve.epochs();
        let curve = wanted.only(curve);
        let attempt = if wanted.provenance {
            reader
                .attempts(trial.row.id)?
                .into_iter()
                .find(|attempt| attempt.fence == fence)
        } else {
            None
        };
        let seconds = trial
            .blocks
            .iter()
            .flat_map(|block| block.seconds.iter().copied());
        curves.push(v1::TrialCurve {
            trial: Some(key.into()),
            point: messages::assignments(&sweep.values(key)),
            state: messages::trial_state(&trial.row.state).into(),
            metrics: messages::metrics(&curve.metrics),
            epochs,
            columns: curve.columns.concat(),
            attempt: attempt.map(messages::attempt),
            seconds: if wanted.provenance {
                seconds.collect()
            } else {
                Vec::new()
            },
            more: false,
        });
    }
    Ok(curves)
}
