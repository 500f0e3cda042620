//! Failures and whom they are charged to.

use tenfold_core::trial::TrialState;
use tenfold_core::{Order, Standing};
use tenfold_types::{Outcome, TrialKey};

use crate::World;

const RETRY_FAILED: Order = Order::Retry {
    failed: true,
    cancelled: false,
};

#[test]
fn a_trial_that_fails_rests_longer_each_time_and_then_is_failed() {
    let mut world = World::new();
    let sweep = world.sweep(1, 1, 2);
    let worker = world.worker(1, 1);
    // The pause doubles from 10 and is capped at 15.
    for (attempt, rest) in [(1, 10), (2, 15)] {
        let held = world.lease(worker, attempt as u8);
        assert_eq!(held.attempt(), attempt);
        world.train(&held, 1..=1);
        world.fail(&held);
        let until = world.now + rest;
        assert_eq!(world.trial_state(&held), TrialState::Backoff { until });
        assert_eq!(
            world.stored(sweep, held.key()),
            [],
            "the epochs of a failed attempt are dropped"
        );
        assert_eq!(world.state.next_deadline(), Some(until));
        world.pass(rest - 1);
        assert!(world.is_idle(worker, 90) && !world.woken());
        world.pass(1);
        assert!(world.woken());
    }
    let held = world.lease(worker, 3);
    world.fail(&held);
    let trial = world.trial(sweep, held.key());
    assert_eq!(
        (&trial.state, trial.failures, trial.attempts),
        (&TrialState::Failed, 3, 3)
    );
    assert_eq!(trial.error.as_deref(), Some("it burst"));
    assert!(world.is_over(sweep));
    let last = world.attempts(sweep, held.key()).pop().unwrap();
    assert_eq!((last.ended.as_str(), last.error.as_str()), ("failed", "it burst"));
    assert_eq!(last.stderr, "its last words");

    assert_eq!(world.obey(sweep, RETRY_FAILED), 1);
    assert!(world.woken() && !world.is_over(sweep));
    let trial = world.trial(sweep, held.key());
    assert_eq!((trial.failures, trial.attempts, trial.error), (0, 3, None));
    let held = world.lease(worker, 4);
    assert_eq!(held.attempt(), 4, "attempts go on counting");
    world.complete(&held);
    assert!(world.is_over(sweep));
    assert_eq!(world.obey(sweep, RETRY_FAILED), 0, "nothing has failed now");
}

#[test]
fn lost_workers_and_released_trials_are_charged_to_nobody() {
    let mut world = World::new();
    let sweep = world.sweep(1, 1, 2);
    let worker = world.worker(1, 1);
    for request in 0..10 {
        let held = world.lease(worker, request);
        world.train(&held, 1..=1);
        if request % 2 == 0 {
            assert_eq!(world.finish(&held, 1, Outcome::Released), Ok(Standing::Ended));
        } else {
            world.pass(100);
        }
        assert!(world.woken(), "it can be leased at once");
        assert_eq!(world.trial_state(&held), TrialState::Pending);
        assert_eq!(world.stored(sweep, held.key()), []);
    }
    let trial = world.trial(sweep, TrialKey::FIRST);
    assert_eq!((trial.failures, trial.attempts), (0, 10));
    let ended: Vec<String> = world
        .attempts(sweep, TrialKey::FIRST)
        .into_iter()
        .map(|row| row.ended)
        .collect();
    assert_eq!(ended[..2], ["released by its worker", "lease expired"]);
    let held = world.lease(worker, 90);
    world.complete(&held);
}

#[test]
fn a_failure_said_again_is_charged_once() {
    let mut world = World::new();
    let sweep = world.sweep(1, 1, 2);
    let worker = world.worker(1, 1);
    let held = world.lease(worker, 1);
    world.fail(&held);
    let error = "it burst".to_owned();
    assert!(
        world.finish(&held, 0, Outcome::Failed { error }).is_err(),
        "its lease is over"
    );
    assert_eq!(world.trial(sweep, held.key()).failures, 1);
}

#[test]
fn one_trial_that_fails_leaves_the_others_alone() {
    let mut world = World::new();
    let sweep = world.sweep(2, 2, 1);
    let worker = world.worker(1, 1);
    let bad = TrialKey::FIRST;
    let mut request = 0;
    while !world.is_over(sweep) {
        request += 1;
        let held = world.lease(worker, request);
        if held.key() == bad {
            world.fail(&held);
            world.pass(20);
        } else {
            world.complete(&held);
        }
    }
    assert!(world.woken());
    assert_eq!(world.counts(sweep), [0, 0, 0, 3, 0, 1, 0]);
}
