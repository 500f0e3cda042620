//! Answers to people's requests, which are kept for a while, and workers of an older protocol.

use tenfold_core::record::{Record, RequestKey, RequestRow, WorkerRow};
use tenfold_core::request::{KEPT_FOR, answered, keep};
use tenfold_core::{Answer, Refusal, Settings};

use crate::world::{SETTINGS, World};

fn key(id: &str, asked: u8) -> RequestKey {
    RequestKey {
        id: id.to_owned(),
        method: "Refine".to_owned(),
        digest: [asked; 32],
    }
}

/// Keeps an answer as the turn does; how many records that takes.
fn decided(world: &mut World, id: &str, bytes: usize) -> usize {
    let records = keep(&world.state, key(id, 1), 0, vec![7; bytes], world.now);
    records.iter().for_each(|record| world.write(record));
    records.len()
}

fn kept(world: &World) -> Vec<&str> {
    world.state.check_invariants();
    world.state.requests().map(|row| row.key.id.as_str()).collect()
}

#[test]
fn a_request_that_comes_again_finds_its_answer_and_another_under_its_id_is_refused() {
    let mut world = World::new();
    assert_eq!(answered(&world.state, &key("a", 1)), Ok(None));
    decided(&mut world, "a", 3);
    let found = answered(&world.state, &key("a", 1)).unwrap().unwrap();
    assert_eq!((found.answer.as_slice(), found.number), (&[7; 3][..], 1));
    let reused = Err(Refusal::RequestReused {
        id: "a".to_owned(),
        method: "Refine".to_owned(),
    });
    assert_eq!(answered(&world.state, &key("a", 2)), reused);
    let method = "Extend".to_owned();
    let other = RequestKey {
        method,
        ..key("a", 1)
    };
    assert_eq!(answered(&world.state, &other), reused);
    assert_eq!(answered(&world.state, &key("b", 1)), Ok(None));
}

#[test]
fn answers_are_kept_for_a_day_and_go_when_others_come() {
    let mut world = World::new();
    for id in ["a", "b"] {
        decided(&mut world, id, 0);
        world.now += 1;
    }
    world.now = 1_000 + KEPT_FOR - 1;
    decided(&mut world, "c", 0);
    assert_eq!(kept(&world), ["a", "b", "c"]);
    world.now += 1;
    decided(&mut world, "d", 0);
    assert_eq!(kept(&world), ["b", "c", "d"]);
    // Nothing removes them but another one.
    world.now *= 9;
    assert_eq!(kept(&world), ["b", "c", "d"]);
    decided(&mut world, "e", 0);
    assert_eq!(kept(&world), ["e"]);
    assert_eq!(
        world.state.requests().next().unwrap().number,
        5,
        "numbers only grow"
    );
    // A clock that was set back removes nothing.
    world.now = 0;
    decided(&mut world, "f", 0);
    assert_eq!(kept(&world), ["e", "f"]);
}

#[test]
fn the_oldest_make_room_however_young_they_are() {
    let mut world = World::new();
    let most = RequestRow::MAX_BYTES / RequestRow::OVERHEAD;
    for number in 0..most {
        assert_eq!(decided(&mut world, &format!("small-{number}"), 0), 1);
    }
    assert_eq!(kept(&world).len(), most);
    assert_eq!(decided(&mut world, "one more", 0), 2);
    assert_eq!((kept(&world).len(), kept(&world)[0]), (most, "small-1"));
    decided(&mut world, "large", 4 << 20);
    let left = kept(&world);
    assert_eq!(left.len(), most - (4 << 20) / RequestRow::OVERHEAD);
    assert_eq!(left.last(), Some(&"large"));
    // After a quiet day they go bit by bit.
    let before = left.len();
    world.now += KEPT_FOR;
    decided(&mut world, "tomorrow", 0);
    assert_eq!(kept(&world).len(), before + 1 - 256);
}

#[test]
fn a_worker_that_an_older_coordinator_took_in_registers_before_it_gets_more() {
    let mut world = World::with(Settings {
        protocol: 4,
        ..SETTINGS
    });
    world.sweep(1, 1, 1);
    let worker = world.worker(1, 1);
    let older = Err(Refusal::UnknownWorker(worker));
    assert_eq!(world.acquire(worker, 1), older);
    let row = world.state.worker(worker).unwrap().row.clone();
    world.write(&Record::Worker(WorkerRow { protocol: 4, ..row }));
    assert!(matches!(world.acquire(worker, 1), Ok(Answer::Leased(_))));
}
