//! Leases, epochs and ends of trials, when all goes well and when messages are lost, repeated, late or wrong.

use tenfold_core::trial::TrialState;
use tenfold_core::{Acknowledgement, Answer, End, Input, Refusal, Standing, TrialReport};
use tenfold_types::{Block, Fence, Outcome, TrialKey};

use crate::World;

const DURABLE: fn(u32) -> Result<Acknowledgement, Refusal> = |epochs| {
    Ok(Acknowledgement {
        epochs,
        standing: Standing::Going,
    })
};

#[test]
fn a_trial_is_leased_runs_and_succeeds() {
    let mut world = World::new();
    let sweep = world.sweep(1, 1, 3);
    let worker = world.worker(1, 1);
    let held = world.lease(worker, 1);
    let (fence, spec) = (held.fence(), &held.grant.trials[0].2);
    assert_eq!(
        (held.key(), held.attempt(), spec.epochs, spec.repetition),
        (TrialKey::FIRST, 1, 3, 0)
    );
    assert_eq!(world.trial_state(&held), TrialState::Leased { fence, worker });
    world.train(&held, 1..=1);
    assert_eq!(world.trial_state(&held), TrialState::Running { fence, worker });
    world.train(&held, 2..=3);
    world.pass(7);
    assert_eq!(world.finish(&held, 3, Outcome::Succeeded), Ok(Standing::Ended));
    assert_eq!(
        world.trial_state(&held),
        TrialState::Succeeded { fence, epochs: 3 }
    );
    assert!(world.is_over(sweep) && world.is_idle(worker, 2));
    assert_eq!(world.stored(sweep, held.key()), [(fence, 3)]);
    assert_eq!(world.trial(sweep, held.key()).accepted_at, Some(1007));
    assert_eq!(
        world.attempts(sweep, held.key()),
        [],
        "the trial and its lease tell all"
    );
}

#[test]
fn a_request_asked_again_finds_its_lease_and_no_other() {
    let mut world = World::new();
    world.sweep(2, 1, 3);
    let (worker, other) = (world.worker(1, 1), world.worker(2, 1));
    let held = world.lease(worker, 1);
    world.pass(90);
    assert_eq!(world.lease(worker, 1), held, "the answer was lost");
    assert_eq!(world.wrote, 0);
    world.pass(90);
    assert_eq!(world.lease(worker, 1), held, "asking renews the term");
    let elsewhere = world.lease(other, 1);
    assert_ne!(elsewhere.fence(), held.fence(), "a worker's requests are its own");
    world.complete(&held);
    assert!(
        world.is_idle(worker, 1),
        "a lease that is over is not found again"
    );
    world.complete(&elsewhere);
}

#[test]
fn epochs_that_come_again_are_acknowledged_and_not_written() {
    let mut world = World::new();
    let sweep = world.sweep(1, 1, 6);
    let worker = world.worker(1, 1);
    let held = world.lease(worker, 1);
    world.train(&held, 1..=3);
    for block in [held.block(1..=3), held.block(2..=2)] {
        assert_eq!(world.append(&held, vec![block]), DURABLE(3));
        assert_eq!(world.wrote, 0);
    }
    let overlapping = vec![held.block(1..=2), held.block(3..=4), held.block(5..=5)];
    assert_eq!(world.append(&held, overlapping), DURABLE(5));
    assert_eq!(
        world.stored(sweep, held.key()),
        [(held.fence(), 5)],
        "each epoch is stored once"
    );
    assert_eq!(
        world.append(&held, Vec::new()),
        DURABLE(5),
        "nothing new is no error"
    );
    let mut differently_timed = held.block(1..=1);
    differently_timed.seconds[0] = 9.0;
    assert_eq!(
        world.append(&held, vec![differently_timed]),
        DURABLE(5),
        "seconds are no part of the curve"
    );
    world.train(&held, 6..=6);
    let curve = world
        .state
        .sweep(sweep)
        .unwrap()
        .live(held.key())
        .unwrap()
        .clone();
    assert_eq!(
        curve.columns.concat(),
        held.block(1..=6).columns,
        "the curve is whole and in order"
    );
    assert_eq!(world.finish(&held, 6, Outcome::Succeeded), Ok(Standing::Ended));
    assert_eq!(
        world.append(&held, vec![held.block(6..=6)]),
        Ok(Acknowledgement {
            epochs: 6,
            standing: Standing::Ended
        }),
        "also when the trial is over"
    );
    assert_eq!(world.wrote, 0);
}

#[test]
fn epochs_that_are_wrong_are_refused_and_nothing_is_written() {
    let mut world = World::new();
    world.sweep(1, 1, 4);
    let worker = world.worker(1, 1);
    let held = world.lease(worker, 1);
    let key = held.key();
    world.train(&held, 1..=2);
    let gap = |got, expected| Err(Refusal::Gap { key, got, expected });
    assert_eq!(world.append(&held, vec![held.block(4..=4)]), gap(4, 3));
    let hole_behind = vec![held.block(3..=3), held.block(3..=3)];
    assert_eq!(
        world.append(&held, hole_behind),
        gap(3, 4),
        "a repeat within one append"
    );
    let mut other = held.block(1..=3);
    other.columns[1] += 1.0;
    assert_eq!(
        world.append(&held, vec![other]),
        Err(Refusal::Differs { key, epoch: 2 })
    );
    let mut zero = held.block(3..=3);
    zero.columns[0] = 0.0;
    world.append(&held, vec![zero.clone()]).unwrap();
    zero.columns[0] = -0.0;
    assert_eq!(
        world.append(&held, vec![zero]),
        Err(Refusal::Differs { key, epoch: 3 }),
        "to the bit"
    );

    let good = held.block(4..=4);
    let with = |change: fn(&mut Block)| {
        let mut block = good.clone();
        change(&mut block);
        block
    };
    let malformed = [
        with(|block| block.epochs = 0),
        with(|block| block.first = 0),
        with(|block| block.first = u32::MAX),
        with(|block| block.epochs = u32::MAX),
        with(|block| _ = block.columns.pop()),
        with(|block| block.seconds.push(1.0)),
        with(|block| block.columns[2] = f32::NAN),
        with(|block| block.columns[2] = f32::INFINITY),
        with(|block| block.seconds[0] = f32::NAN),
        held.block(4..=5),
    ];
    for block in malformed {
        let refused = world.append(&held, vec![good.clone(), block.clone()]);
        assert!(
            matches!(refused, Err(Refusal::Malformed { .. })),
            "{block:?}: {refused:?}"
        );
    }
    let twice = TrialReport {
        key,
        attempt: 1,
        blocks: vec![good],
        end: None,
    };
    let (sweep, fence) = (held.grant.sweep, held.fence());
    let trials = vec![twice.clone(), twice];
    let refused = world.ask(Input::Append {
        worker,
        sweep,
        fence,
        trials,
    });
    assert!(matches!(refused, Err(Refusal::Malformed { .. })), "{refused:?}");
    assert_eq!(world.stored(sweep, key), [(fence, 3)]);
}

#[test]
fn a_write_must_name_its_own_lease_trial_and_attempt() {
    let mut world = World::new();
    let sweep = world.sweep(2, 1, 2);
    let (worker, other) = (world.worker(1, 1), world.worker(2, 1));
    let (held, neighbour) = (world.lease(worker, 1), world.lease(other, 1));
    let foreign = world.sweep_with("seed = 2", 1, 1, 2);
    let stale = Err(Refusal::StaleFence(held.fence()));
    let append = |worker, sweep, fence, key, attempt| {
        let blocks = vec![held.block(1..=1)];
        let trials = vec![TrialReport {
            key,
            attempt,
            blocks,
            end: None,
        }];
        Input::Append {
            worker,
            sweep,
            fence,
            trials,
        }
    };
    let (key, fence) = (held.key(), held.fence());
    assert_eq!(
        world.ask(append(other, sweep, fence, key, 1)),
        stale,
        "another worker"
    );
    assert_eq!(
        world.ask(append(worker, foreign, fence, key, 1)),
        stale,
        "another sweep"
    );
    assert_eq!(
        world.ask(append(worker, sweep, Fence(99), key, 1)),
        Err(Refusal::StaleFence(Fence(99))),
        "a fence never given out"
    );
    let unknown = |key, attempt| {
        Ok(Answer::Acknowledged(vec![Acknowledgement {
            epochs: 0,
            standing: Standing::Refused(Refusal::UnknownAttempt { fence, key, attempt }),
        }]))
    };
    assert_eq!(world.ask(append(worker, sweep, fence, key, 2)), unknown(key, 2));
    let neighbours = neighbour.key();
    assert_eq!(
        world.ask(append(worker, sweep, fence, neighbours, 1)),
        unknown(neighbours, 1)
    );
    assert_eq!(
        world.ask(append(worker, sweep, fence, TrialKey::LAST, 1)),
        unknown(TrialKey::LAST, 1)
    );
    let nowhere = tenfold_types::SweepId([0; 16]);
    assert_eq!(
        world.ask(append(worker, nowhere, fence, key, 1)),
        Err(Refusal::UnknownSweep(nowhere))
    );
    let end = End {
        epochs: 0,
        outcome: Outcome::Released,
        stderr: String::new(),
    };
    let theft = TrialReport {
        key,
        attempt: 1,
        blocks: Vec::new(),
        end: Some(end),
    };
    let thief = Input::Append {
        worker: other,
        sweep,
        fence,
        trials: vec![theft],
    };
    assert_eq!(world.ask(thief), stale);
    world.complete(&held);
    world.complete(&neighbour);
}

#[test]
fn a_trial_ends_with_its_whole_curve_or_not_at_all() {
    let mut world = World::new();
    world.sweep(1, 1, 3);
    let worker = world.worker(1, 1);
    let held = world.lease(worker, 1);
    world.train(&held, 1..=2);
    let key = held.key();
    let incomplete = |claimed, wanted| {
        let have = 2;
        Err(Refusal::IncompleteCurve {
            key,
            claimed,
            have,
            wanted,
        })
    };
    assert_eq!(world.finish(&held, 3, Outcome::Succeeded), incomplete(3, 3));
    assert_eq!(world.finish(&held, 2, Outcome::Succeeded), incomplete(2, 3));
    assert_eq!(
        world.finish(&held, 2, Outcome::Diverged { epoch: 2 }),
        incomplete(2, 1)
    );
    assert_eq!(
        world.finish(&held, 1, Outcome::Diverged { epoch: 3 }),
        incomplete(1, 2)
    );
    assert!(world.finish(&held, 2, Outcome::Diverged { epoch: 0 }).is_err());
    assert!(
        world
            .finish(&held, 2, Outcome::Diverged { epoch: u32::MAX })
            .is_err()
    );
    assert_eq!(
        world.finish(&held, 2, Outcome::Diverged { epoch: 3 }),
        Ok(Standing::Ended)
    );
}

#[test]
fn divergence_is_a_result_that_never_changes() {
    let mut world = World::new();
    let sweep = world.sweep(1, 1, 3);
    let worker = world.worker(1, 1);
    let held = world.lease(worker, 1);
    let (fence, key) = (held.fence(), held.key());
    let diverged = Outcome::Diverged { epoch: 1 };
    assert_eq!(world.finish(&held, 0, diverged.clone()), Ok(Standing::Ended));
    assert_eq!(world.trial_state(&held), TrialState::Diverged { fence, epoch: 1 });
    assert!(world.is_over(sweep));
    for again in [
        diverged,
        Outcome::Succeeded,
        Outcome::Released,
        Outcome::Failed {
            error: "no".to_owned(),
        },
    ] {
        assert_eq!(world.finish(&held, 0, again), Ok(Standing::Ended), "said again");
        assert_eq!(world.wrote, 0);
    }
    assert_eq!(world.attempts(sweep, key), [], "no attempt without a result");
}

#[test]
fn what_comes_too_late_is_refused_and_changes_nothing() {
    let mut world = World::new();
    let sweep = world.sweep(1, 1, 3);
    let (slow, quick) = (world.worker(1, 1), world.worker(2, 1));
    let late = world.lease(slow, 1);
    world.train(&late, 1..=2);
    world.pass(100);
    assert!(world.woken());
    let stale = Refusal::StaleFence(late.fence());
    assert_eq!(
        world.append(&late, vec![late.block(3..=3)]),
        Err(stale.clone()),
        "before another has it"
    );
    let held = world.lease(quick, 1);
    assert_eq!((held.key(), held.attempt()), (late.key(), 2));
    assert!(held.fence() > late.fence());
    assert_eq!(
        world.stored(sweep, held.key()),
        [],
        "an attempt begins from nothing"
    );
    assert_eq!(
        world.append(&late, vec![late.block(3..=3)]),
        Err(stale.clone()),
        "while another has it"
    );
    assert_eq!(world.finish(&late, 3, Outcome::Succeeded), Err(stale.clone()));
    world.complete(&held);
    assert_eq!(
        world.append(&late, vec![late.block(3..=3)]),
        Err(stale.clone()),
        "after another's was accepted"
    );
    assert_eq!(world.finish(&late, 3, Outcome::Succeeded), Err(stale));
    assert_eq!(world.stored(sweep, held.key()), [(held.fence(), 3)]);
    let ended: Vec<String> = world
        .attempts(sweep, held.key())
        .into_iter()
        .map(|row| row.ended)
        .collect();
    assert_eq!(ended, ["lease expired"]);
}

#[test]
fn heartbeats_renew_the_leases_they_name_and_tell_which_are_over() {
    let mut world = World::new();
    let sweep = world.sweep(3, 1, 1);
    let (worker, other) = (world.worker(1, 1), world.worker(2, 1));
    let (named, forgotten, foreign) = (
        world.lease(worker, 1),
        world.lease(worker, 2),
        world.lease(other, 1),
    );
    world.pass(60);
    let fences = vec![named.fence(), named.fence(), foreign.fence(), Fence(77)];
    assert_eq!(
        world.heartbeat(worker, fences),
        [foreign.fence(), Fence(77)],
        "others' leases and those that are none are over for this worker"
    );
    assert_eq!(world.wrote, 0, "a heartbeat costs no commit");
    world.pass(40);
    assert!(
        world.woken(),
        "one expired because nobody named it, one because its worker is silent"
    );
    assert_eq!(world.counts(sweep), [2, 1, 0, 0, 0, 0, 0]);
    assert_eq!(
        world.heartbeat(worker, vec![forgotten.fence(), named.fence()]),
        [forgotten.fence()]
    );
    world.pass(99);
    assert_eq!(
        world.counts(sweep),
        [2, 1, 0, 0, 0, 0, 0],
        "to the last millisecond"
    );
    world.pass(1);
    assert!(world.woken());
    assert_eq!(world.counts(sweep), [3, 0, 0, 0, 0, 0, 0]);
    let unknown = tenfold_types::WorkerId([9; 8]);
    let refused = world.ask(Input::Heartbeat {
        worker: unknown,
        fences: Vec::new(),
    });
    assert_eq!(refused, Err(Refusal::UnknownWorker(unknown)));
}
