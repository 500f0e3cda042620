//! Clients that do not do their part: tails that never read, sockets that never speak.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::common::tails::unread_tails;
use crate::common::{Start, signal};
use crate::form::{form, random, seen};
use crate::world::{Shape, World};

const TAILS: usize = 50;
const SILENT: usize = 10;

#[test]
fn tails_never_read_and_silent_sockets() {
    let _ = random("tails_never_read_and_silent_sockets");
    let shape = Shape {
        trials: form(60, 500),
        epochs: form(20, 200),
    };
    let mut world = World::new(shape, Start::default());
    let runtime = Runtime::new().unwrap();
    let tails = [true, false].map(|raw| unread_tails(&runtime, &world, TAILS / 2, raw));
    let workers = ["one", "two"].map(|name| world.worker(name, 2, 0));
    world.until_over();
    drop(workers);

    let silent: Vec<TcpStream> = (0..SILENT)
        .map(|_| TcpStream::connect(("127.0.0.1", world.port)).unwrap())
        .collect();
    let mut coordinator = world.coordinator.take().unwrap();
    signal(coordinator.0.id(), "-TERM");
    let began = Instant::now();
    let status = world.until("the coordinator ends", || coordinator.0.try_wait().unwrap());
    let took = began.elapsed();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(15), "{took:?}");
    drop((tails, silent));
    world.serve();
    world.assert_undisturbed();
    seen(
        "tails that never read; silent sockets while it shuts down",
        format!("{TAILS}; {SILENT}"),
        &format!(
            "sweep done, shut down in {:.1} s, results equal",
            took.as_secs_f64()
        ),
    );
}
