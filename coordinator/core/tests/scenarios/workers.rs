//! Workers that are lost, fail at everything, or are sent away.

use std::collections::BTreeMap;

use tenfold_core::record::Slot;
use tenfold_core::trial::TrialState;
use tenfold_core::{Acknowledgement, Answer, Input, Refusal, Settings, Standing};
use tenfold_types::{DeviceKind, Outcome, RequestId, SweepId, WorkerId};

use crate::World;
use crate::world::{Held, SETTINGS};

fn patient() -> World {
    World::with(Settings {
        grace: 50,
        ..SETTINGS
    })
}

fn suspect(world: &World, sweep: SweepId) -> (u64, u64) {
    let counts = world.state.sweep(sweep).unwrap().counts();
    (counts.leased + counts.running, counts.suspect)
}

#[test]
fn a_silent_worker_is_suspected_and_may_go_on_within_the_grace() {
    let mut world = patient();
    let sweep = world.sweep(2, 1, 3);
    let (worker, other) = (world.worker(1, 1), world.worker(2, 1));
    let held = world.lease(worker, 1);
    world.train(&held, 1..=1);
    world.pass(99);
    assert_eq!(suspect(&world, sweep), (1, 0));
    world.pass(1);
    assert_eq!(suspect(&world, sweep), (0, 1));
    assert_eq!(world.state.next_deadline(), Some(world.now + 50));
    let another = world.lease(other, 1);
    assert_ne!(another.key(), held.key(), "nobody else gets what is suspected");
    world.complete(&another);
    world.pass(40);
    world.train(&held, 2..=2);
    assert_eq!(suspect(&world, sweep), (1, 0), "its epochs show that it lives");
    world.pass(100);
    assert_eq!(suspect(&world, sweep), (0, 1));
    assert_eq!(world.heartbeat(worker, vec![held.fence()]), []);
    assert_eq!(suspect(&world, sweep), (1, 0), "and so does a heartbeat");
    world.train(&held, 3..=3);
    assert_eq!(world.finish(&held, 3, Outcome::Succeeded), Ok(Standing::Ended));
    assert!(world.is_over(sweep));
}

#[test]
fn when_the_grace_is_over_the_fence_is_stale() {
    let mut world = patient();
    let sweep = world.sweep(1, 1, 3);
    let worker = world.worker(1, 1);
    let held = world.lease(worker, 1);
    world.pass(100);
    assert!(!world.woken());
    world.pass(50);
    assert!(world.woken());
    assert_eq!(suspect(&world, sweep), (0, 0));
    assert_eq!(
        world.append(&held, vec![held.block(1..=1)]),
        Err(Refusal::StaleFence(held.fence()))
    );
    let again = world.lease(worker, 2);
    assert_eq!((again.key(), again.attempt()), (held.key(), 2));
    world.complete(&again);
}

#[test]
fn a_restart_forgets_suspicions() {
    let mut world = patient();
    let sweep = world.sweep(1, 1, 3);
    let worker = world.worker(1, 1);
    let held = world.lease(worker, 1);
    world.pass(120);
    assert_eq!(suspect(&world, sweep), (0, 1));
    world.restart();
    assert_eq!(suspect(&world, sweep), (1, 0), "downtime expires nothing");
    world.pass(99);
    world.complete(&held);
}

fn pack(world: &mut World, worker: WorkerId, request: u8, trials: u32) -> Held {
    let answer = world.ask(Input::Acquire {
        worker,
        request: RequestId([request; 16]),
        slot: 0,
        max_trials: trials,
        sizes: BTreeMap::new(),
    });
    match answer {
        Ok(Answer::Leased(grant)) => Held { worker, grant },
        other => panic!("no lease but {other:?}"),
    }
}

/// All trials of the pack are lost with their trainer.
fn lose(world: &mut World, held: &Held) {
    let together = held.grant.trials.len() as u32;
    for one in held.singly() {
        let error = "it burst".to_owned();
        let lost = Outcome::Lost { error, together };
        assert_eq!(world.finish(&one, 0, lost), Ok(Standing::Ended));
    }
}

#[test]
fn a_pack_that_kills_its_trainer_is_halved_until_the_culprit_is_found() {
    let mut world = World::new();
    let sweep = world.sweep(8, 1, 1);
    let worker = world.worker(1, 1);
    let culprit = 5;
    let (mut sizes, mut request) = (Vec::new(), 0);
    while !world.is_over(sweep) {
        request += 1;
        let held = pack(&mut world, worker, request, 8);
        sizes.push(held.grant.trials.len());
        let bad = held.singly().iter().any(|one| one.key().index == culprit);
        match (bad, held.grant.trials.len()) {
            (true, 1) => {
                world.fail(&held);
                world.pass(20);
            }
            (true, _) => lose(&mut world, &held),
            (false, _) => held.singly().iter().for_each(|one| world.complete(one)),
        }
    }
    assert!(world.woken());
    assert_eq!(world.counts(sweep), [0, 0, 0, 7, 0, 1, 0]);
    // All; the good half; the bad one; its bad half; the good trial there; the culprit, three times; the good half left.
    assert_eq!(sizes, [8, 4, 4, 2, 1, 1, 1, 1, 2]);
    for index in 0..8 {
        let key = tenfold_types::TrialKey {
            index,
            ..tenfold_types::TrialKey::FIRST
        };
        let failures = world.trial(sweep, key).failures;
        assert_eq!(failures, if index == culprit { 3 } else { 0 }, "point {index}");
    }
}

#[test]
fn what_was_lost_is_not_packed_with_what_was_not() {
    let mut world = World::new();
    world.sweep(8, 1, 1);
    let worker = world.worker(1, 2);
    let first = pack(&mut world, worker, 1, 4);
    lose(&mut world, &first);
    assert!(world.woken());
    let indices = |held: &Held| {
        held.singly()
            .iter()
            .map(|one| one.key().index)
            .collect::<Vec<_>>()
    };
    let half = pack(&mut world, worker, 2, 4);
    assert_eq!(indices(&half), [0, 1]);
    let other = pack(&mut world, worker, 3, 4);
    assert_eq!(indices(&other), [2, 3]);
    world.restart();
    let fresh = pack(&mut world, worker, 4, 4);
    assert_eq!(indices(&fresh), [4, 5, 6, 7]);
    lose(&mut world, &half);
    world.restart();
    assert!(world.woken());
    let quarter = pack(&mut world, worker, 5, 4);
    assert_eq!(indices(&quarter), [0], "a restart remembers");
}

#[test]
fn a_lone_trial_lost_with_its_trainer_is_charged_whatever_its_worker_says() {
    for together in [0, 1, 8] {
        let mut world = World::new();
        let sweep = world.sweep(1, 1, 1);
        let worker = world.worker(1, 1);
        let held = world.lease(worker, 1);
        let error = "it burst".to_owned();
        assert_eq!(
            world.finish(&held, 0, Outcome::Lost { error, together }),
            Ok(Standing::Ended)
        );
        assert_eq!(world.trial(sweep, held.key()).failures, 1, "{together}");
    }
}

/// A worker takes and fails so many trials, one after the other.
fn fail_in_a_row(world: &mut World, worker: WorkerId, requests: std::ops::Range<u8>) -> Vec<Held> {
    requests
        .map(|request| {
            let held = world.lease(worker, request);
            world.fail(&held);
            held
        })
        .collect()
}

#[test]
fn a_worker_on_which_everything_fails_is_quarantined_and_its_trials_are_not_charged() {
    let mut world = World::new();
    let sweep = world.sweep(8, 1, 1);
    let (bad, good) = (world.worker(1, 1), world.worker(2, 1));
    let failed = fail_in_a_row(&mut world, bad, 0..5);
    assert!(world.woken());
    for held in &failed {
        let trial = world.trial(sweep, held.key());
        assert_eq!((trial.failures, trial.state), (0, TrialState::Pending));
    }
    assert!(world.is_idle(bad, 50), "it gets nothing");
    let mut request = 0;
    while !world.is_over(sweep) {
        request += 1;
        let held = world.lease(good, request);
        world.complete(&held);
    }
    assert_eq!(world.counts(sweep)[3], 8);
}

#[test]
fn a_quarantine_ends() {
    let mut world = World::new();
    world.sweep(8, 1, 1);
    let (bad, _good) = (world.worker(1, 1), world.worker(2, 1));
    fail_in_a_row(&mut world, bad, 0..5);
    assert!(world.woken());
    world.pass(599_999);
    assert!(world.is_idle(bad, 50));
    world.pass(1);
    let held = world.lease(bad, 51);
    world.complete(&held);
}

#[test]
fn the_only_worker_is_never_quarantined_so_a_bad_sweep_ends() {
    let mut world = World::new();
    let sweep = world.sweep(6, 1, 1);
    let worker = world.worker(1, 1);
    let gpu = Slot {
        kind: DeviceKind::Cuda,
        device: "a GPU".to_owned(),
        threads: 1,
    };
    world.register(2, vec![gpu]);
    let mut request = 0;
    while !world.is_over(sweep) {
        match world.acquire(worker, request) {
            Ok(Answer::Leased(grant)) => {
                let held = Held { worker, grant };
                world.fail(&held);
            }
            _ => world.pass(20),
        }
        request = (request + 1) % 200;
    }
    world.woken();
    assert_eq!(world.counts(sweep), [0, 0, 0, 0, 0, 6, 0]);
}

#[test]
fn a_success_in_between_ends_a_streak() {
    let mut world = World::new();
    let sweep = world.sweep(12, 1, 1);
    let (worker, _other) = (world.worker(1, 1), world.worker(2, 1));
    let mut failed = fail_in_a_row(&mut world, worker, 0..4);
    let held = world.lease(worker, 20);
    world.complete(&held);
    failed.extend(fail_in_a_row(&mut world, worker, 30..34));
    for held in &failed {
        assert_eq!(world.trial(sweep, held.key()).failures, 1);
    }
    assert!(!world.is_idle(worker, 60));
}

#[test]
fn a_drained_worker_finishes_and_gets_no_more() {
    let mut world = World::new();
    let sweep = world.sweep(2, 1, 2);
    let (worker, other) = (world.worker(1, 2), world.worker(2, 1));
    let held = world.lease(worker, 1);
    assert_eq!(world.ask(Input::Drain(worker)), Ok(Answer::Draining));
    assert!(world.is_idle(worker, 2));
    world.restart();
    assert!(world.is_idle(worker, 3), "a restart remembers");
    world.worker(1, 2);
    assert!(world.is_idle(worker, 4), "and so does registering again");
    let heard = world.ask(Input::Heartbeat {
        worker,
        fences: vec![held.fence()],
    });
    assert!(
        matches!(heard, Ok(Answer::Heard { drain: true, ref stale, .. }) if stale.is_empty()),
        "{heard:?}"
    );
    world.complete(&held);
    let rest = world.lease(other, 1);
    world.complete(&rest);
    assert!(world.is_over(sweep));
    let nobody = WorkerId([9; 8]);
    assert_eq!(
        world.ask(Input::Drain(nobody)),
        Err(Refusal::UnknownWorker(nobody))
    );
}

#[test]
fn only_what_is_over_is_deleted_and_then_it_is_gone() {
    let mut world = World::new();
    let sweep = world.sweep(1, 1, 1);
    let worker = world.worker(1, 1);
    let held = world.lease(worker, 1);
    let refused = world.ask(Input::Delete(sweep));
    assert!(matches!(refused, Err(Refusal::NotNow { .. })), "{refused:?}");
    world.complete(&held);
    assert_eq!(world.ask(Input::Delete(sweep)), Ok(Answer::Deleted));
    assert_eq!(world.ask(Input::Delete(sweep)), Err(Refusal::UnknownSweep(sweep)));
    assert_eq!(
        world.append(&held, vec![held.block(1..=1)]),
        Err(Refusal::UnknownSweep(sweep))
    );
    assert_eq!(world.sweep(1, 1, 1), sweep, "submitted again it is a new one");
}

#[test]
fn epochs_and_end_come_in_one_append() {
    let mut world = World::new();
    let sweep = world.sweep(3, 1, 4);
    let worker = world.worker(1, 1);
    let held = pack(&mut world, worker, 1, 3);
    let all = held.singly();
    let report = |one: &Held, epochs, end| tenfold_core::TrialReport {
        key: one.key(),
        attempt: one.attempt(),
        blocks: vec![one.block(1..=epochs)],
        end,
    };
    let end = |epochs, outcome| {
        Some(tenfold_core::End {
            epochs,
            outcome,
            stderr: String::new(),
        })
    };
    let append = Input::Append {
        worker,
        sweep,
        fence: held.fence(),
        trials: vec![
            report(&all[0], 4, end(4, Outcome::Succeeded)),
            report(&all[1], 2, end(2, Outcome::Succeeded)),
            report(&all[2], 3, None),
        ],
    };
    let Ok(Answer::Acknowledged(said)) = world.ask(append.clone()) else {
        panic!("no acknowledgement");
    };
    let said: Vec<_> = said.into_iter().map(|one| (one.epochs, one.standing)).collect();
    assert_eq!(said[0], (4, Standing::Ended));
    assert!(
        matches!(said[1], (2, Standing::Refused(Refusal::IncompleteCurve { .. }))),
        "its epochs are taken, its end is not: {said:?}"
    );
    assert_eq!(said[2], (3, Standing::Going));
    let again = world.ask(append).unwrap();
    assert!(
        matches!(again, Answer::Acknowledged(ref all) if all[0] == Acknowledgement { epochs: 4, standing: Standing::Ended }),
        "{again:?}"
    );
    assert_eq!(world.wrote, 0);
    for one in &all[1..] {
        let have = world
            .state
            .sweep(sweep)
            .unwrap()
            .live(one.key())
            .unwrap()
            .epochs();
        world.train(one, have + 1..=4);
        assert_eq!(world.finish(one, 4, Outcome::Succeeded), Ok(Standing::Ended));
    }
    assert!(world.is_over(sweep));
    assert_eq!(world.heartbeat(worker, vec![held.fence()]), [held.fence()]);
}
