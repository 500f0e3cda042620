//! How many calls may be under way, over all connections, by kind. One more is turned away at once, with the pause
//! after which it may come again, instead of waiting in a queue that grows.
//!
//! Kinds are counted apart: calls that wait for work, and streams, take nothing from calls that are answered at once,
//! and people who ask take nothing from workers who report. Together they fit the turn's queue, so that one which is
//! let in is not turned away there.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::{Body as HttpBody, Frame};
use rand::RngExt;
use tenfold_proto::pushback;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Bytes, Service, http};
use tonic::server::NamedService;

/// Workers' calls that are answered at once.
const REPORTS: usize = 4096;
/// People's calls that are answered at once.
const QUESTIONS: usize = 512;
/// Workers that wait for work.
const WAITING: usize = 16_384;
/// Streams: people who follow sweeps or fetch results.
const STREAMS: usize = 1024;
/// Bytes of the bodies of calls that are under way.
const BODIES: usize = 128 << 20;
/// How long a call may take that is no stream; those that wait for work are answered long before. Else a peer that
/// sends half a message would keep its place for ever.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// All limits.
pub(super) struct Limits {
    reports: Kind,
    questions: Kind,
    waiting: Kind,
    streams: Kind,
    bodies: AtomicUsize,
}

/// Calls that are counted together.
struct Kind {
    what: &'static str,
    limit: usize,
    places: Arc<Semaphore>,
    /// Whoever is turned away is to come again after this, up to twice: not all at once.
    pause: Duration,
    stream: bool,
}

impl Kind {
    fn new(what: &'static str, limit: usize, pause: u64) -> Self {
        Self {
            what,
            limit,
            places: Arc::new(Semaphore::new(limit)),
            pause: Duration::from_millis(pause),
            stream: false,
        }
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let Self { what, limit, .. } = self;
            self.later(format!(
                "the coordinator has {limit} {what} under way; try again in a moment"
            ))
        })
    }

    fn later(&self, why: String) -> Status {
        let pause = self.pause.mul_f64(rand::rng().random_range(1.0..2.0));
        pushback::with(Status::resource_exhausted(why), pause)
    }
}

impl Limits {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            reports: Kind::new("reports of workers", REPORTS, 250),
            questions: Kind::new("questions", QUESTIONS, 250),
            waiting: Kind::new("workers waiting", WAITING, 2_000),
            streams: Kind {
                stream: true,
                ..Kind::new("streams", STREAMS, 2_000)
            },
            bodies: AtomicUsize::new(0),
        })
    }

    /// The kind of a call, by the path of its method.
    fn kind(&self, path: &str) -> &Kind {
        let Some((service, method)) = path.rsplit_once('/') else {
            return &self.questions;
        };
        match method {
            "Acquire" => &self.waiting,
            "Watch" | "Results" | "Curves" | "Backup" => &self.streams,
            _ if service.ends_with(".Fleet") => &self.reports,
            _ => &self.questions,
        }
    }
}

/// A service within the limits.
#[derive(Clone)]
pub(super) struct Limited<S> {
    pub(super) service: S,
    pub(super) limits: Arc<Limits>,
}

impl<S: NamedService> NamedService for Limited<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Limited<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let kind = self.limits.kind(request.uri().path());
        let place = match kind.place() {
            Ok(place) => place,
            Err(status) => return Box::pin(std::future::ready(Ok(status.into_http()))),
        };
        let stream = kind.stream;
        let bodies = Arc::new(Bodies {
            limits: Arc::clone(&self.limits),
            bytes: AtomicUsize::new(0),
        });
        let metered = |body| {
            Body::new(Metered {
                body,
                bodies: Arc::clone(&bodies),
            })
        };
        let answer = self.service.call(request.map(metered));
        Box::pin(async move {
            let answer = match tokio::time::timeout(DEADLINE, answer).await {
                Ok(answer) => answer?,
                Err(_) => {
                    let why = format!("the call took longer than {} s", DEADLINE.as_secs());
                    Status::deadline_exceeded(why).into_http()
                }
            };
            drop(bodies);
            // An answer that its reader does not take keeps no place: it is bounded by the streams of a connection.
            Ok(if stream {
                answer.map(|body| Body::new(Held { body, _place: place }))
            } else {
                answer
            })
        })
    }
}

/// What the body of one call takes, until it is answered.
struct Bodies {
    limits: Arc<Limits>,
    bytes: AtomicUsize,
}

impl Bodies {
    fn take(&self, bytes: usize) -> Result<(), Status> {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.limits.bodies.fetch_add(bytes, Ordering::Relaxed) + bytes > BODIES {
            let why = format!(
                "the coordinator has {} MiB of messages under way; try again in a moment",
                BODIES >> 20
            );
            return Err(self.limits.reports.later(why));
        }
        Ok(())
    }
}

impl Drop for Bodies {
    fn drop(&mut self) {
        self.limits
            .bodies
            .fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

/// A request's body, counted as it comes.
struct Metered {
    body: Body,
    bodies: Arc<Bodies>,
}

impl HttpBody for Metered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        let bytes = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        Poll::Ready(match this.bodies.take(bytes) {
            Ok(()) => frame,
            Err(status) => Some(Err(status)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// A stream's body, which keeps its place until it ends or nobody reads it any more.
struct Held {
    body: Body,
    _place: OwnedSemaphorePermit,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
