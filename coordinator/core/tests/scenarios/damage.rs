//! Damage on disk: what becomes of trials whose rows are not what was written.

use tenfold_core::record::{Candidate, Damage, Record, RefusedSweep};
use tenfold_core::sweep::ChoiceId;
use tenfold_core::trial::TrialState;
use tenfold_core::{Answer, Input, Order, Refusal};
use tenfold_types::{Fence, SweepId, TrialId, TrialKey, Value};

use crate::World;

const RETRY_FAILED: Order = Order::Retry {
    failed: true,
    cancelled: false,
};

const STAGES: &str = r#"
epochs = 1
repetitions = 1
[settings]
architecture = "perceptron-1"
[[stage]]
name = "coarse"
[stage.axes]
learning_rate = [0.1, 0.01]
[[stage]]
name = "modes"
[stage.axes]
weight_sharing = [false, true]
learning_rate = { best_of = "coarse" }
"#;

fn damage(sweep: SweepId, key: TrialKey, fence: Option<Fence>) -> Damage {
    Damage {
        trial: TrialId { sweep, key },
        fence,
        attempts: 1,
        what: "a bit is flipped".to_owned(),
    }
}

impl World {
    fn find_damaged(&mut self, damage: Vec<Damage>) {
        assert_eq!(self.ask(Input::Damaged(damage)), Ok(Answer::Repaired));
    }
}

#[test]
fn a_damaged_result_is_failed_with_the_reason_and_trained_again() {
    let mut world = World::new();
    let sweep = world.sweep(1, 1, 2);
    let worker = world.worker(1, 1);
    let held = world.lease(worker, 1);
    world.complete(&held);
    let key = held.key();
    let accepted = world.trial(sweep, key).state.accepted();
    // An attempt that was given up is nobody's.
    world.find_damaged(vec![damage(sweep, key, Some(Fence(99)))]);
    assert_eq!(world.trial(sweep, key).state.accepted(), accepted);
    let twice = damage(sweep, key, accepted);
    world.find_damaged(vec![twice.clone(), twice]);
    let trial = world.trial(sweep, key);
    assert_eq!((trial.state, trial.accepted_at), (TrialState::Failed, None));
    let error = trial.error.unwrap();
    assert!(
        error.contains("a bit is flipped") && error.contains("retry"),
        "{error}"
    );
    assert_eq!(world.stored(sweep, key), [], "what is left of its epochs goes");
    assert!(world.is_over(sweep), "it is as over as it was");
    assert_eq!(world.obey(sweep, RETRY_FAILED), 1);
    assert!(world.woken());
    let again = world.lease(worker, 2);
    assert_eq!((again.key(), again.attempt()), (key, 2));
    world.complete(&again);
    assert!(world.is_over(sweep));
}

#[test]
fn the_choices_that_were_made_from_a_damaged_trial_are_named_and_stay() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(STAGES);
    assert!(world.woken());
    let worker = world.worker(1, 1);
    let coarse = [world.lease(worker, 1), world.lease(worker, 2)];
    coarse.iter().for_each(|held| world.complete(held));
    let choice = ChoiceId {
        stage: 1,
        rule: 0,
        cell: 0,
    };
    let candidate = |value, mean| Candidate {
        n: 1,
        mean,
        ..Candidate::without_trials(Value::Float(value))
    };
    let input = Input::Choose {
        sweep,
        choice,
        candidates: vec![candidate(0.1, 0.5), candidate(0.01, 0.2)],
    };
    assert_eq!(world.ask(input), Ok(Answer::Chosen(true)));
    assert!(world.woken());
    let modes = world.lease(worker, 3);
    world.complete(&modes);
    let error_of = |world: &mut World, key| {
        let fence = world.trial(sweep, key).state.accepted();
        world.find_damaged(vec![damage(sweep, key, fence)]);
        world.trial(sweep, key).error.unwrap()
    };
    let error = error_of(&mut world, coarse[0].key());
    assert!(error.contains("learning_rate of stage \"modes\""), "{error}");
    let error = error_of(&mut world, modes.key());
    assert!(!error.contains("choices"), "{error}");
    assert_eq!(world.state.sweep(sweep).unwrap().choices().count(), 1);
}

#[test]
fn a_trial_that_is_held_waits_again_when_its_epochs_are_damaged() {
    let mut world = World::new();
    let sweep = world.sweep(1, 1, 1);
    let worker = world.worker(1, 1);
    let held = world.lease(worker, 1);
    world.train(&held, 1..=1);
    let fence = world.trial(sweep, held.key()).state.current();
    world.find_damaged(vec![damage(sweep, held.key(), fence)]);
    assert!(world.woken());
    let trial = world.trial(sweep, held.key());
    assert_eq!((trial.state, trial.failures), (TrialState::Pending, 0));
    assert!(trial.error.unwrap().contains("a bit is flipped"));
    assert_eq!(world.state.leases().count(), 0, "its lease is over");
    let again = world.lease(worker, 2);
    world.complete(&again);
    assert!(world.is_over(sweep));
}

#[test]
fn a_row_that_memory_has_is_written_again_and_one_that_it_lacks_is_failed() {
    let mut world = World::new();
    let sweep = world.sweep(1, 2, 1);
    let worker = world.worker(1, 1);
    let held = world.lease(worker, 1);
    world.complete(&held);
    let before = world.trial(sweep, held.key());
    world.find_damaged(vec![damage(sweep, held.key(), None)]);
    assert_eq!(world.trial(sweep, held.key()), before);
    let other = TrialKey {
        repetition: 1,
        ..held.key()
    };
    // Found while loading: it comes with the next tick.
    world.state.evolve(&Record::Damaged(damage(sweep, other, None)));
    assert_eq!(world.state.next_deadline(), Some(0));
    world.tick();
    let lost = world.trial(sweep, other);
    assert_eq!((lost.state, lost.attempts), (TrialState::Failed, 1));
    assert!(world.is_over(sweep));
    // No trial of this sweep, and no sweep at all.
    let none = TrialKey { index: 9, ..other };
    world.find_damaged(vec![
        damage(sweep, none, None),
        damage(SweepId([9; 16]), other, None),
    ]);
}

#[test]
fn a_damaged_sweep_is_refused_until_it_is_given_up() {
    let mut world = World::new();
    let id = SweepId([7; 16]);
    world.state.evolve(&Record::Refused(RefusedSweep {
        number: 1,
        id: Some(id),
        name: "lost".to_owned(),
        why: "its row is not what was written".to_owned(),
    }));
    let pause = Input::Order {
        sweep: id,
        order: Order::Pause,
    };
    match world.ask(pause) {
        Err(Refusal::DamagedSweep { sweep, why }) => {
            assert!(sweep == id && why.contains("delete"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.ask(Input::Delete(id)), Ok(Answer::Deleted));
    assert_eq!(world.state.refused_sweeps().count(), 0);
}
