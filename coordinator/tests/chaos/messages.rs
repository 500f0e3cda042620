//! Messages that come twice, answers that are lost, and words that arrive long after those that were said later, by
//! another connection: a go-between that speaks Fleet to both sides.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tenfold_proto::v1::fleet_client::FleetClient;
use tenfold_proto::v1::fleet_server::{Fleet, FleetServer};
use tenfold_proto::v1::{
    AcquireRequest, AcquireResponse, AppendRequest, AppendResponse, HeartbeatRequest, HeartbeatResponse,
    RegisterRequest, RegisterResponse,
};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::time::sleep;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

use crate::common::Start;
use crate::form::{form, random, seen};
use crate::world::{Shape, World};

/// How often something went wrong.
#[derive(Default)]
struct Counts {
    twice: AtomicU32,
    lost: AtomicU32,
    unanswered: AtomicU32,
    late: AtomicU32,
}

struct GoBetween {
    coordinator: String,
    shared: FleetClient<Channel>,
    random: Mutex<StdRng>,
    counts: Arc<Counts>,
}

fn connect(coordinator: &str) -> FleetClient<Channel> {
    FleetClient::new(
        Endpoint::from_shared(coordinator.to_owned())
            .unwrap()
            .connect_lazy(),
    )
}

fn count(counter: &AtomicU32) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Hands a request on, twice at the least.
macro_rules! meddle {
    ($self:ident, $request:ident, $call:ident) => {{
        let message = $request.into_inner();
        let chance = $self.random.lock().unwrap().random_range(0..100);
        let delay = Duration::from_millis($self.random.lock().unwrap().random_range(10..4_000));
        if chance < 8 {
            count(&$self.counts.lost);
            return Err(Status::unavailable("lost on the way there"));
        }
        if chance >= 80 {
            // It comes once more, behind what is said later, by a connection of its own.
            count(&$self.counts.late);
            let (mut late, message) = (connect(&$self.coordinator), message.clone());
            tokio::spawn(async move {
                sleep(delay).await;
                _ = late.$call(message).await;
            });
        }
        let (mut first, mut second) = ($self.shared.clone(), $self.shared.clone());
        count(&$self.counts.twice);
        // Now one of the two is decided first, now the other; either's answer must do.
        let (first, second) = tokio::join!(first.$call(message.clone()), second.$call(message));
        if chance < 16 {
            count(&$self.counts.unanswered);
            return Err(Status::unavailable("lost on the way back"));
        }
        let answer = if chance % 2 == 0 { first } else { second };
        answer.map(|answer| Response::new(answer.into_inner()))
    }};
}

#[tonic::async_trait]
impl Fleet for GoBetween {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        meddle!(self, request, register)
    }

    async fn acquire(&self, request: Request<AcquireRequest>) -> Result<Response<AcquireResponse>, Status> {
        meddle!(self, request, acquire)
    }

    async fn append(&self, request: Request<AppendRequest>) -> Result<Response<AppendResponse>, Status> {
        meddle!(self, request, append)
    }

    async fn heartbeat(
        &self,
        request: Request<HeartbeatRequest>,
    ) -> Result<Response<HeartbeatResponse>, Status> {
        meddle!(self, request, heartbeat)
    }
}

#[test]
fn twice_lost_and_late() {
    let random = random("twice_lost_and_late");
    let shape = Shape::of(form(60, 500));
    let world = World::new(shape, Start::default());
    let counts = Arc::new(Counts::default());
    let runtime = Runtime::new().unwrap();
    let address = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let go_between = GoBetween {
            coordinator: world.address(),
            shared: connect(&world.address()),
            random: Mutex::new(random),
            counts: Arc::clone(&counts),
        };
        let server = Server::builder().add_service(FleetServer::new(go_between));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        address
    });
    let _workers = ["one", "two"].map(|name| world.fake_worker(name, &address, 3, 5));
    world.assert_undisturbed();
    let of = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
    let [twice, lost, unanswered, late] =
        [&counts.twice, &counts.lost, &counts.unanswered, &counts.late].map(of);
    assert!(
        lost > 0 && unanswered > 0 && late > 0,
        "{lost} {unanswered} {late}"
    );
    seen(
        "every message twice at once; lost; answer lost; once more up to 4 s later",
        format!("{twice}; {lost}; {unanswered}; {late}"),
        "results equal",
    );
}
