//! A PostgreSQL server that dies and comes back.

use crate::common::Start;
use crate::common::postgres::Postgres;
use crate::form::{form, random, seen};
use crate::world::{Shape, World, pause};

#[test]
fn postgresql_at_random() {
    let mut random = random("postgresql_at_random");
    let kills = form(4, 40);
    let mut server = Postgres::start();
    let start = Start {
        store: Some(server.database("sweeps")),
        ..Start::default()
    };
    let shape = Shape::of(form(60, 400));
    let mut world = World::new(shape, start);
    let _workers = [0, 1].map(|number| world.worker(&format!("worker-{number}"), 2, form(40, 80)));
    for _ in 0..kills {
        world.until_progress();
        pause(&mut random, 0..700);
        server.kill();
        pause(&mut random, 0..1_500);
        server.serve();
    }
    world.assert_going();
    world.assert_alive();
    world.assert_undisturbed();
    seen(
        "PostgreSQL killed and started again",
        kills,
        "the coordinator goes on, results equal",
    );
}
