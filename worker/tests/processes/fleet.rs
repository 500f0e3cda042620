//! A coordinator for agents under test: hands out trials, keeps what it is told, and misbehaves on request.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use tenfold_proto::convert;
use tenfold_proto::v1::fleet_server::{Fleet, FleetServer};
use tenfold_proto::v1::{self, end};
use tenfold_types::{Block, TrialKey, TrialSpec};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, async_trait};

use crate::{AT_MOST, soon};

/// Retitles the terminal of whoever reads it, rings, turns text around, and goes on in a line of its own.
const EVIL: &str = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}lave\u{2028}\u{e0041}\r\nFORGED";

/// What it knows. Outlives the process, as a store does.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) waiting: VecDeque<TrialSpec>,
    pub(crate) workers: BTreeMap<Vec<u8>, v1::RegisterRequest>,
    pub(crate) registrations: u32,
    leases: BTreeMap<(Vec<u8>, Vec<u8>), v1::Lease>,
    pub(crate) leased: u64,
    pub(crate) epochs: BTreeMap<u64, u32>,
    pub(crate) columns: BTreeMap<u64, Vec<f32>>,
    pub(crate) ends: BTreeMap<u64, end::Outcome>,
    pub(crate) stale: BTreeSet<u64>,
    pub(crate) cancelled: BTreeSet<u64>,
    /// The answer to every other call is lost, after it was heeded.
    pub(crate) loses_answers: bool,
    pub(crate) refuses_workers: bool,
    pub(crate) drains: bool,
    calls: u64,
}

impl Book {
    /// Whether so many leases are over.
    pub(crate) fn are_over(&self, leases: usize) -> bool {
        self.ends.len() == leases
    }

    pub(crate) fn failure(&self, fence: u64) -> &v1::Failed {
        match &self.ends[&fence] {
            end::Outcome::Failed(failed) => failed,
            other => panic!("{other:?}"),
        }
    }

    fn is_lost(&mut self) -> bool {
        self.calls += 1;
        self.loses_answers && self.calls % 2 == 1
    }
}

/// The book, which tests wait on.
#[derive(Clone)]
pub(crate) struct Shared(Arc<watch::Sender<Book>>);

impl Shared {
    /// With so many trials of so many epochs.
    pub(crate) fn new(trials: u32, epochs: u32) -> Self {
        let spec = |repetition| TrialSpec {
            repetition,
            ..crate::spec(epochs)
        };
        let book = Book {
            waiting: (0..trials).map(spec).collect(),
            ..Book::default()
        };
        Self(Arc::new(watch::Sender::new(book)))
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        let mut result = None;
        self.0.send_modify(|book| result = Some(change(book)));
        result.unwrap()
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(&Book) -> T) -> T {
        look(&self.0.borrow())
    }

    pub(crate) async fn until(&self, what: &str, happened: impl FnMut(&Book) -> bool) {
        let mut seen = self.0.subscribe();
        if tokio::time::timeout(AT_MOST, seen.wait_for(happened))
            .await
            .is_err()
        {
            panic!("waited too long until {what}: {:#?}", self.0.borrow());
        }
    }

    fn answer<T>(&self, answer: impl FnOnce(&mut Book) -> Result<T, Status>) -> Result<Response<T>, Status> {
        self.change(|book| {
            let lost = book.is_lost();
            let answer = answer(book)?;
            if lost {
                Err(Status::unavailable("the answer is lost"))
            } else {
                Ok(Response::new(answer))
            }
        })
    }
}

#[async_trait]
impl Fleet for Shared {
    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        let message = request.into_inner();
        self.answer(|book| {
            if book.refuses_workers {
                return Err(Status::failed_precondition(format!(
                    "this coordinator wants none{EVIL}"
                )));
            }
            book.registrations += 1;
            book.workers.insert(message.worker.clone(), message);
            Ok(v1::RegisterResponse {
                lease_term_ms: 15_000,
                heartbeat_interval_ms: 50,
            })
        })
    }

    async fn acquire(
        &self,
        request: Request<v1::AcquireRequest>,
    ) -> Result<Response<v1::AcquireResponse>, Status> {
        let message = request.into_inner();
        self.answer(|book| {
            if !book.workers.contains_key(&message.worker) {
                return Err(Status::not_found("register first"));
            }
            let retry_after_ms = 20;
            let request = (message.worker, message.request);
            if let Some(lease) = book.leases.get(&request).cloned() {
                let lease = Some(lease);
                return Ok(v1::AcquireResponse {
                    lease,
                    retry_after_ms,
                });
            }
            let lease = book.waiting.pop_front().map(|spec| {
                book.leased += 1;
                let lease = v1::Lease {
                    fence: book.leased,
                    sweep: vec![4; 16],
                    trials: vec![convert::leased_trial(TrialKey::FIRST, 1, &spec, false)],
                    sweep_trials: 40,
                    architecture: Some((&spec.architecture).into()),
                    metrics: vec![v1::MetricNames {
                        names: spec.metrics().iter().map(ToString::to_string).collect(),
                    }],
                    shape: spec.shape().0,
                };
                book.leases.insert(request, lease.clone());
                lease
            });
            Ok(v1::AcquireResponse {
                lease,
                retry_after_ms,
            })
        })
    }

    async fn append(
        &self,
        request: Request<v1::AppendRequest>,
    ) -> Result<Response<v1::AppendResponse>, Status> {
        let message = request.into_inner();
        self.answer(|book| {
            let fence = message.fence;
            if book.stale.contains(&fence) {
                return Err(Status::aborted("stale"));
            }
            let mut said = Vec::new();
            for trial in message.trials {
                for block in trial.blocks {
                    let have = book.epochs.entry(fence).or_default();
                    let block = Block::try_from(block).unwrap();
                    if block.first > *have + 1 {
                        return Err(Status::failed_precondition("a gap"));
                    }
                    if let Some(new) = block.from_epoch(*have + 1) {
                        *have = new.last();
                        book.columns
                            .entry(fence)
                            .or_default()
                            .extend((new.first..=new.last()).map(|epoch| new.value(0, epoch)));
                    }
                }
                let mut acknowledgement = v1::Acknowledgement {
                    epochs: book.epochs.get(&fence).copied().unwrap_or_default(),
                    cancelled: book.cancelled.contains(&fence),
                    ..v1::Acknowledgement::default()
                };
                if let Some(end) = trial.end {
                    let outcome = end
                        .outcome
                        .ok_or_else(|| Status::invalid_argument("no outcome"))?;
                    if matches!(outcome, end::Outcome::Succeeded(_)) && end.epochs != acknowledgement.epochs {
                        acknowledgement.refused = "epochs are missing".to_owned();
                    } else {
                        book.ends.insert(fence, outcome);
                        acknowledgement.ended = true;
                    }
                }
                said.push(acknowledgement);
            }
            Ok(v1::AppendResponse {
                acknowledgements: said,
            })
        })
    }

    async fn heartbeat(
        &self,
        request: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let message = request.into_inner();
        self.answer(|book| {
            if !book.workers.contains_key(&message.worker) {
                return Err(Status::not_found("register first"));
            }
            let named = |set: &BTreeSet<u64>| -> Vec<u64> {
                message
                    .fences
                    .iter()
                    .copied()
                    .filter(|fence| set.contains(fence))
                    .collect()
            };
            let cancelled = named(&book.cancelled)
                .into_iter()
                .map(|fence| v1::CancelledTrial {
                    fence,
                    trial: Some(TrialKey::FIRST.into()),
                });
            Ok(v1::HeartbeatResponse {
                cancelled: cancelled.collect(),
                stale: named(&book.stale),
                drain: book.drains,
            })
        })
    }
}

/// A coordinator that serves a book, on a runtime of its own, so that it can be gone from one moment to the next.
pub(crate) struct Coordinator {
    runtime: Option<Runtime>,
    pub(crate) address: SocketAddr,
}

impl Coordinator {
    pub(crate) async fn start(book: &Shared) -> Self {
        Self::start_at(book, "127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_at(book: &Shared, address: SocketAddr) -> Self {
        let builder = &mut tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let service = FleetServer::new(book.clone());
        let serving = runtime.spawn(async move {
            let listener = TcpListener::bind(address).await.unwrap();
            let bound = listener.local_addr().unwrap();
            tokio::spawn(
                tonic::transport::Server::builder()
                    .add_service(service)
                    .serve_with_incoming(TcpListenerStream::new(listener)),
            );
            bound
        });
        let address = soon("the coordinator to listen", serving).await.unwrap();
        let runtime = Some(runtime);
        Self { runtime, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// All its connections break.
impl Drop for Coordinator {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not on a thread of another runtime, which must not block.
            let gone = std::thread::spawn(move || runtime.shutdown_timeout(AT_MOST));
            assert!(gone.join().is_ok() || std::thread::panicking());
        }
    }
}
