//! `kill -9` of the coordinator at each of its commits: before a page goes to the write-ahead log, before the log is
//! synced, and behind that, before the answer leaves.

use rand::RngExt;

use crate::common::{Start, children, kill};
use crate::form::{form, random, seen};
use crate::world::{Shape, World};

const SHAPE: Shape = Shape { trials: 5, epochs: 3 };

/// Whether the coordinator died of it: at the so-manieth of these calls that one of its threads makes.
fn killed_at(call: &str, number: u32) -> bool {
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
    let start = Start {
        through: through.map(str::to_owned).to_vec(),
        ..Start::default()
    };
    let mut world = World::stopped(SHAPE, start, tempfile::tempdir().unwrap());
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
    }
    drop(strace);
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

/// Every such call, or some of them in the short form.
fn kill_at_each(test: &str, fault: &str, call: &str) {
    let mut random = random(test);
    let mut number = random.random_range(1..=form(12, 1));
    let mut kills = 0;
    while killed_at(call, number) {
        kills += 1;
        number += form(random.random_range(8..24), 1);
    }
    assert!(kills > 0, "it was never killed");
    seen(
        fault,
        kills,
        "what was promised is there, results equal, store whole",
    );
}

#[test]
fn before_a_page_is_written() {
    kill_at_each(
        "before_a_page_is_written",
        "coordinator killed before a write to its store",
        "pwrite64",
    );
}

#[test]
fn before_the_sync() {
    kill_at_each(
        "before_the_sync",
        "coordinator killed before a sync of its store",
        "fdatasync",
    );
}

#[test]
fn before_the_answer() {
    kill_at_each(
        "before_the_answer",
        "coordinator killed before an answer leaves",
        "sendto,writev",
    );
}
