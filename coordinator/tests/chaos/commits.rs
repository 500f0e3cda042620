//! `kill -9` of the coordinator at each of its commits: before a page goes to the write-ahead log, before the log is
//! synced, and behind that, before the answer leaves.

use rand::RngExt;

use crate::common::{Start, children, kill};
use crate::form::{form, random, seen};
use crate::world::{Shape, World};

const SHAPE: Shape = Shape { trials: 5, epochs: 3 };

/// Whether the coordinator died of it: at the so-manieth of these calls that one of its threads makes, in a new store,
/// where most of them lay the store out, or in one that is there.
fn killed_at(call: &str, number: u32, new: bool) -> bool {
    let inject = format!("inject={call}:signal=KILL:when={number}");
    let trace = format!("trace={call}");
    let through = [
        "strace",
        "-f",
        "-qqq",
        "-o",
        "/dev/null",
        "-e",
        &trace,
        "-e",
        &inject,
    ];
    let mut world = World::stopped(SHAPE, Start::default(), tempfile::tempdir().unwrap());
    if !new {
        world.serve();
        world.kill();
    }
    world.start.through = through.map(str::to_owned).to_vec();
    let _worker = world.worker("worker", 2, 5);
    world.launch(&[]);
    // It may die before it serves, while it takes the sweep, or long after that.
    let mut promised = false;
    let mut strace = world.coordinator.take().unwrap();
    let killed = world.until("it dies, or all is over", || {
        if strace.0.try_wait().unwrap().is_some() {
            return Some(true);
        }
        promised = promised || world.try_submit();
        (promised && world.is_over()).then_some(false)
    });
    if !killed {
        // The tracer would let it live when it is killed itself.
        children(strace.0.id()).into_iter().for_each(kill);
        strace.0.wait().unwrap();
    }
    world.start.through.clear();
    world.serve();
    if promised {
        assert!(world.status().is_some(), "the sweep was promised and is gone");
    } else {
        world.submit();
    }
    world.assert_undisturbed();
    killed
}

/// Every such call; in the short form one in so many.
fn kill_at_each(test: &str, fault: &str, call: &str, one_in: u32) {
    let mut random = random(test);
    let one_in = form(one_in, 1);
    let mut kills = 0;
    for new in [true, false] {
        let mut number = random.random_range(1..=one_in);
        let before = kills;
        while killed_at(call, number, new) {
            kills += 1;
            number += one_in;
        }
        assert!(kills > before, "it was never killed");
    }
    seen(
        fault,
        kills,
        "what was promised is there, results equal, store whole",
    );
}

#[test]
fn before_a_page_is_written() {
    let fault = "coordinator killed before a write to its store";
    kill_at_each("before_a_page_is_written", fault, "pwrite64", 16);
}

#[test]
fn before_the_sync() {
    let fault = "coordinator killed before a sync of its store";
    kill_at_each("before_the_sync", fault, "fsync,fdatasync", 6);
}

#[test]
fn before_the_answer() {
    let fault = "coordinator killed before an answer leaves";
    kill_at_each("before_the_answer", fault, "sendto,writev", 8);
}
