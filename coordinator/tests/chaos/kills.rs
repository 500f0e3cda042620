//! `kill -9` of coordinators, workers and trainers; and a worker that is stopped in its tracks.

use std::thread::sleep;
use std::time::Duration;

use rand::RngExt;

use crate::common::{Process, Start, children, kill, signal};
use crate::form::{form, random, seen};
use crate::stale::Stale;
use crate::world::{Shape, World, pause};

#[test]
fn coordinator_at_random() {
    let mut random = random("coordinator_at_random");
    let kills = form(12, 200);
    let shape = Shape::of(form(50, 500));
    let mut world = World::new(shape, Start::default());
    let _workers = [0, 1].map(|number| world.worker(&format!("worker-{number}"), 2, form(40, 80)));
    for _ in 0..kills {
        // Some die before they serve.
        pause(&mut random, 0..700);
        world.kill();
        world.launch(&[]);
    }
    world.until_serving();
    world.assert_going();
    world.assert_undisturbed();
    seen(
        "coordinator killed at random",
        kills,
        "results equal, store whole",
    );
}

#[test]
fn workers_and_trainers() {
    let mut random = random("workers_and_trainers");
    let kills = form(30, 300);
    let shape = Shape::of(form(60, 500));
    let world = World::new(shape, Start::default());
    let start = |number: usize| world.worker(&format!("worker-{number}"), 2, form(30, 60));
    let mut workers: Vec<Process> = (0..3).map(start).collect();
    let (mut dead_workers, mut dead_trainers) = (0, 0);
    while dead_workers + dead_trainers < kills {
        pause(&mut random, 20..400);
        let number = random.random_range(0..workers.len());
        let trainers = children(workers[number].0.id());
        if trainers.is_empty() || random.random_range(0..3) == 0 {
            workers[number].kill();
            workers[number] = start(number);
            dead_workers += 1;
        } else {
            kill(trainers[random.random_range(0..trainers.len())]);
            dead_trainers += 1;
        }
    }
    world.assert_going();
    world.assert_undisturbed();
    let times = format!("{dead_workers} + {dead_trainers}");
    seen(
        "worker, or a trainer, killed at random",
        times,
        "results equal, store whole",
    );
}

/// The machine sleeps: the worker goes on where it was, long after its trials were given to another.
#[test]
fn worker_stopped_for_long() {
    let mut random = random("worker_stopped_for_long");
    let start = Start {
        lease_term: form(1, 15),
        grace: form(1, 15),
        ..Start::default()
    };
    let shape = Shape::of(form(60, 500));
    let world = World::new(shape, start);
    let epoch_ms = form(50, 100);
    let (stopped, other) = (
        world.worker("stopped", 2, epoch_ms),
        world.worker("other", 2, epoch_ms),
    );
    let mut stale = Stale::default();
    for time in 0..2 {
        world.until_progress();
        pause(&mut random, 0..300);
        signal(stopped.0.id(), "-STOP");
        // Its trainers train on, or are asleep as well.
        let asleep = if time == 1 {
            children(stopped.0.id())
        } else {
            Vec::new()
        };
        asleep.iter().for_each(|trainer| signal(*trainer, "-STOP"));
        sleep(Duration::from_secs(form(4, 120)));
        world.assert_going();
        stale.note(&world, "stopped");
        // The worker last: it kills them when it hears what has happened.
        asleep.iter().for_each(|trainer| signal(*trainer, "-CONT"));
        signal(stopped.0.id(), "-CONT");
        stale.until_dead(&world);
    }
    let (leases, training, longest) = stale.assert_refused(&world);
    assert!(leases > 0, "no trial was taken from the worker that slept");
    world.assert_undisturbed();
    drop((stopped, other));
    let what = format!("worker stopped (SIGSTOP) for {} s", form(4, 120));
    let saw = format!(
        "{leases} leases stale, none accepted, {training} still in training, at rest after {longest} ms; results equal"
    );
    seen(&what, 2, &saw);
}
