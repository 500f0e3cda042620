//! Programs of other versions: who is served, and who is told what to install.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use common::fleet::FakeWorker;
use common::{Cluster, SWEEP, tenfold, text, worker_program};
use tenfold_proto::v1::control_client::ControlClient;
use tenfold_proto::v1::fleet_client::FleetClient;
use tenfold_proto::{PROTOCOL, v1};
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{NamedService, UnaryService};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status};

fn own() -> String {
    format!("tenfold {} with protocol {PROTOCOL}", env!("CARGO_PKG_VERSION"))
}

fn channel(cluster: &Cluster) -> Channel {
    Endpoint::from_shared(cluster.address()).unwrap().connect_lazy()
}

fn says<T>(message: T, version: &'static str, protocol: &'static str) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("tenfold-version", version.parse().unwrap());
    metadata.insert("tenfold-protocol", protocol.parse().unwrap());
    request
}

#[test]
fn callers_of_another_protocol_are_told_what_to_install_and_those_that_say_none_are_served() {
    let cluster = Cluster::patient();
    let list = v1::ListRequest::default;
    Runtime::new().unwrap().block_on(async {
        let mut control = ControlClient::new(channel(&cluster));
        for (version, protocol) in [("0.0.9", "3"), ("9.9.9", "5"), ("0.1.0", "new")] {
            let refused = control.list(says(list(), version, protocol)).await.unwrap_err();
            assert_eq!(refused.code(), Code::FailedPrecondition);
            let why = refused.message();
            for part in [version, protocol, &own(), "install"] {
                assert!(why.contains(part), "{part} is not in {why:?}");
            }
        }
        let current = PROTOCOL.to_string();
        for request in [Request::new(list()), says(list(), "0.1.0", current.leak())] {
            let answer = control.list(request).await.unwrap();
            let said = |key| answer.metadata().get(key).unwrap().to_str().unwrap();
            assert_eq!(said("tenfold-version"), env!("CARGO_PKG_VERSION"));
            assert_eq!(said("tenfold-protocol"), PROTOCOL.to_string());
        }
        // Refusals say it too.
        let selector = "nothing".to_owned();
        let refused = control.show(v1::ShowRequest { selector }).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        assert!(refused.metadata().get("tenfold-protocol").is_some());
        // Other services, such as those for health and reflection, know nothing of versions.
        let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let mut other = tonic::client::Grpc::new(channel(&cluster));
        other.ready().await.unwrap();
        let answer = other.unary(says((), "0.0.9", "3"), path, codec).await;
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
    });
}

#[test]
fn a_worker_of_the_protocol_before_is_told_what_to_install_when_it_registers() {
    let cluster = Cluster::patient();
    let request = v1::RegisterRequest {
        protocol: PROTOCOL - 1,
        worker: vec![1; 8],
        version: "0.0.9".to_owned(),
        slots: vec![v1::Slot::default()],
        ..v1::RegisterRequest::default()
    };
    let register = async { FleetClient::new(channel(&cluster)).register(request).await };
    let refused = Runtime::new().unwrap().block_on(register).unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let told = format!(
        "the worker is tenfold 0.0.9 with protocol {}, and this coordinator {1}; install {1} in its place",
        PROTOCOL - 1,
        own()
    );
    assert_eq!(refused.message(), told);
}

#[test]
fn a_worker_that_was_there_before_the_upgrade_hands_over_what_it_has_and_registers_for_more() {
    let mut cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let mut worker = FakeWorker::register(&cluster, "abacus");
    let lease = worker.lease().unwrap();
    cluster.stop();
    // As the coordinator of the protocol before has written it.
    let store = rusqlite::Connection::open(cluster.folder.path().join("runs/tenfold.sqlite")).unwrap();
    let older = "UPDATE worker SET row = json_remove(row, '$.protocol')";
    assert_eq!(store.execute(older, []).unwrap(), 1);
    drop(store);
    cluster.serve();
    assert_eq!(worker.append(&lease, 1..=2), 2);
    let acquire = v1::AcquireRequest {
        worker: b"abacus\0\0".to_vec(),
        request: vec![77; 16],
        max_trials: 1,
        ..v1::AcquireRequest::default()
    };
    let again = async { FleetClient::new(channel(&cluster)).acquire(acquire).await };
    let refused = Runtime::new().unwrap().block_on(again).unwrap_err();
    assert_eq!(refused.code(), Code::NotFound, "{refused:?}");
    worker.register_again("abacus");
    assert!(worker.lease().is_some());
}

/// A coordinator from before versions were said: it answers each call with an empty message, and nothing else.
#[derive(Clone, Default)]
struct Older(Arc<Mutex<Vec<String>>>);

impl NamedService for Older {
    const NAME: &'static str = "tenfold.v1.Control";
}

struct Empty;

impl UnaryService<()> for Empty {
    type Response = ();
    type Future = Ready<Result<Response<()>, Status>>;

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(())))
    }
}

impl Service<http::Request<Body>> for Older {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.0.lock().unwrap().push(request.uri().path().to_owned());
        Box::pin(async move {
            let codec = tonic_prost::ProstCodec::<(), ()>::default();
            Ok(tonic::server::Grpc::new(codec).unary(Empty, request).await)
        })
    }
}

#[test]
fn an_older_coordinator_is_said_to_be_one_before_anything_is_changed() {
    let runtime = Runtime::new().unwrap();
    let older = Older::default();
    let serve = async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let serving = Server::builder()
            .add_service(older.clone())
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serving);
        format!("http://{address}")
    };
    let address = runtime.block_on(serve);
    for arguments in [
        &["list"][..],
        &["pause", "last"],
        &["delete", "last"],
        &["workers", "--json"],
    ] {
        let output = tenfold()
            .args(["--coordinator", &address])
            .args(arguments)
            .output()
            .unwrap();
        let why = text(&output.stderr);
        assert_eq!(
            (output.status.code(), text(&output.stdout).as_str()),
            (Some(4), ""),
            "{why}"
        );
        let told = "the coordinator is older than this program";
        assert!(
            why.contains(told) && why.contains(&own()) && why.contains("install"),
            "{why}"
        );
    }
    let called = older.0.lock().unwrap().join(" ");
    assert!(
        called.contains("/List") && !called.contains("/Pause") && !called.contains("/Delete"),
        "{called}"
    );
    let doctor = Command::new(worker_program())
        .args(["doctor", "--coordinator", &address, "--trainer", "/bin/false"])
        .output()
        .unwrap();
    let found = text(&doctor.stdout);
    assert!(
        found.contains("the coordinator is older than this program"),
        "{found}"
    );
}
