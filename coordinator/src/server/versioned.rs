//! Versions of callers: one that says another protocol than this coordinator's is refused, and told what to install.

use std::convert::Infallible;
use std::task::{Context, Poll};

use tenfold_proto::version::{self, Said};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;

/// A service that says its version in each answer, and serves callers that say the same or nothing.
#[derive(Clone)]
pub(super) struct Versioned<S>(pub(super) S);

impl<S: NamedService> NamedService for Versioned<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Versioned<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let stranger = Said::by(request.headers()).filter(|said| !said.fits());
        if let Some(said) = stranger {
            let refused = Status::failed_precondition(said.refusal("the caller"));
            return Box::pin(std::future::ready(Ok(announced(refused.into_http()))));
        }
        let answer = self.0.call(request);
        Box::pin(async move { answer.await.map(announced) })
    }
}

fn announced(mut answer: http::Response<Body>) -> http::Response<Body> {
    version::announce(answer.headers_mut());
    answer
}
