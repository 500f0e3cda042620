//! Stages that take values from one another.

use tenfold_core::rank::Ratio;
use tenfold_core::record::{Candidate, ChoiceRow, Outcome as Chosen, Record};
use tenfold_core::sweep::ChoiceId;
use tenfold_core::trial::TrialState;
use tenfold_core::{Answer, Input, Order, RULES};
use tenfold_types::{Outcome, SweepId, TrialKey, Value};

use crate::World;

/// Four trials of two networks at two rates; then two of each network at the rate that was best for it.
const STAGES: &str = r#"
epochs = 1
repetitions = 1
[axes]
architecture = ["perceptron-1", "perceptron-2"]
[[stage]]
name = "coarse"
[stage.axes]
learning_rate = [0.1, 0.01]
[[stage]]
name = "modes"
repetitions = 2
[stage.axes]
learning_rate = { best_of = "coarse" }
"#;

fn choice(cell: u64) -> ChoiceId {
    ChoiceId {
        stage: 1,
        rule: 0,
        cell,
    }
}

fn candidate(value: f64, n: u32, missing: u32, mean: f64) -> Candidate {
    Candidate {
        n,
        missing,
        mean,
        ..Candidate::without_trials(Value::Float(value))
    }
}

impl World {
    fn due(&self, sweep: SweepId) -> Vec<ChoiceId> {
        self.state.sweep(sweep).unwrap().due_choices().collect()
    }

    fn choose(&mut self, sweep: SweepId, choice: ChoiceId, candidates: Vec<Candidate>) -> bool {
        let input = Input::Choose {
            sweep,
            choice,
            candidates,
        };
        match self.ask(input) {
            Ok(Answer::Chosen(chosen)) => chosen,
            other => panic!("{other:?}"),
        }
    }

    fn rate(&self, sweep: SweepId, index: u64) -> Option<f64> {
        let key = TrialKey {
            stage: 1,
            index,
            repetition: 0,
        };
        let spec = self.state.sweep(sweep).unwrap().sweep().spec(key);
        spec.map(|spec| spec.learning_rate)
    }
}

#[test]
fn a_network_goes_on_as_soon_as_its_own_trials_are_over() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(STAGES);
    assert!(world.woken());
    let worker = world.worker(1, 1);
    assert!(world.due(sweep).is_empty());
    // In order of work: both rates of the first network, then those of the second.
    let held = [world.lease(worker, 1), world.lease(worker, 2)];
    assert_eq!(held.each_ref().map(|held| held.key().index), [0, 1]);
    world.complete(&held[0]);
    assert!(
        !world.choose(sweep, choice(0), vec![candidate(0.1, 1, 0, 0.5)]),
        "it is not due"
    );
    world.complete(&held[1]);
    assert_eq!(world.due(sweep), [choice(0)]);
    let all = || vec![candidate(0.1, 1, 0, 0.5), candidate(0.01, 1, 0, 0.25)];
    assert!(
        !world.choose(sweep, choice(0), all()[..1].to_vec()),
        "one that has succeeded is not looked at"
    );
    assert_eq!(world.rate(sweep, 0), None);
    assert!(world.choose(sweep, choice(0), all()));
    assert!(world.woken());
    assert!(!world.choose(sweep, choice(0), all()), "it is made");
    assert_eq!((world.rate(sweep, 0), world.rate(sweep, 1)), (Some(0.01), None));
    // Its first repetition was trained in the first stage; there is one more, and what waits for a choice waits.
    let reused = TrialKey {
        stage: 1,
        index: 0,
        repetition: 0,
    };
    assert_eq!(
        world.trial(sweep, reused).state,
        world.trial(sweep, held[1].key()).state
    );
    assert_eq!(world.stored(sweep, reused), world.stored(sweep, held[1].key()));
    assert_eq!(world.counts(sweep)[0], 5);
    // The rest of the first stage, then what is known of the second.
    let held = [3, 4, 5].map(|request| world.lease(worker, request));
    let keys = held
        .each_ref()
        .map(|held| (held.key().stage, held.key().index, held.key().repetition));
    assert_eq!(keys, [(0, 2, 0), (0, 3, 0), (1, 0, 1)]);
    assert!(world.is_idle(worker, 7), "the rest is not known yet");
    held.iter().for_each(|held| world.complete(held));
    assert!(!world.is_over(sweep));
    assert_eq!(world.due(sweep), [choice(1)]);
    assert!(world.choose(sweep, choice(1), all()));
    assert!(world.woken());
    let held = world.lease(worker, 8);
    world.complete(&held);
    assert!(world.is_over(sweep));
}

#[test]
fn where_all_diverged_the_next_stage_fails_with_that_reason_until_it_is_retried() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(STAGES);
    assert!(world.woken());
    let worker = world.worker(1, 1);
    let mut request = 0;
    let mut next = |world: &mut World| {
        request += 1;
        world.lease(worker, request)
    };
    let diverge = |world: &mut World, held| {
        _ = world.finish(held, 0, Outcome::Diverged { epoch: 1 });
    };
    let (first, second) = (next(&mut world), next(&mut world));
    diverge(&mut world, &first);
    let mut fails = second;
    for _ in 0..2 {
        world.fail(&fails);
        world.pass(15);
        assert!(world.woken());
        let again = next(&mut world);
        assert_eq!(again.key(), fails.key());
        fails = again;
    }
    world.fail(&fails);
    assert_eq!(world.due(sweep), [choice(0)]);
    let none = || vec![candidate(0.1, 0, 1, 0.0), candidate(0.01, 0, 1, 0.0)];
    assert!(world.choose(sweep, choice(0), none()));
    let waited = TrialKey {
        stage: 1,
        index: 0,
        repetition: 1,
    };
    let row = world.trial(sweep, waited);
    assert_eq!(row.state, TrialState::Failed);
    assert!(
        row.error
            .unwrap()
            .contains("no trial of stage coarse has succeeded, 2 have diverged or failed")
    );
    // A retry takes the choice back: first the trial that failed is tried once more.
    assert_eq!(
        world.obey(
            sweep,
            Order::Retry {
                failed: true,
                cancelled: false
            }
        ),
        3
    );
    assert!(world.woken());
    assert!(world.due(sweep).is_empty());
    let again = next(&mut world);
    assert_eq!(again.key(), fails.key());
    world.complete(&again);
    assert_eq!(world.due(sweep), [choice(0)]);
    assert!(world.choose(
        sweep,
        choice(0),
        vec![candidate(0.1, 0, 1, 0.0), candidate(0.01, 1, 0, 0.5)]
    ));
    assert!(world.woken());
    assert_eq!(world.rate(sweep, 0), Some(0.01));
    let rows: Vec<_> = world.state.sweep(sweep).unwrap().choices().cloned().collect();
    assert_eq!(rows[0].outcome, Chosen::Chosen(vec![Value::Float(0.01)]));
    assert_eq!(world.trial(sweep, waited).state, TrialState::Pending);
}

#[test]
fn a_stopped_sweep_chooses_nothing_and_ends_and_a_resumed_one_goes_on() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(STAGES);
    assert!(world.woken());
    let worker = world.worker(1, 1);
    for request in 0..2 {
        let held = world.lease(worker, request);
        world.complete(&held);
    }
    world.obey(sweep, Order::Stop);
    assert!(world.is_over(sweep));
    let all = || vec![candidate(0.1, 1, 0, 0.25), candidate(0.01, 1, 0, 0.25)];
    assert!(world.due(sweep).is_empty() && !world.choose(sweep, choice(0), all()));
    world.obey(sweep, Order::Resume);
    assert!(world.woken());
    assert!(world.choose(sweep, choice(0), all()));
    assert!(world.woken());
    assert_eq!(world.rate(sweep, 0), Some(0.1), "of equal ones the first");
}

#[test]
fn the_rules_of_a_sweep_are_those_of_its_choices() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(STAGES);
    let worker = world.worker(1, 1);
    let held = [1, 2, 3, 4].map(|request| {
        let held = world.lease(worker, request);
        world.complete(&held);
        held.key()
    });
    assert_eq!(held.len(), 4);
    let rules = |world: &World| world.state.sweep(sweep).unwrap().rules();
    assert_eq!(rules(&world), RULES);
    // Equal but for the order of a sum: the first of equals.
    let exact = |value, mean| Candidate {
        exact: Some(Ratio { sum: 400, of: 2000 }),
        ..candidate(value, 1, 0, mean)
    };
    let all = vec![exact(0.1, 0.200_000_006_7), exact(0.01, 0.2)];
    assert!(world.choose(sweep, choice(0), all.clone()));
    assert_eq!(world.rate(sweep, 0), Some(0.1));
    let row = world
        .state
        .sweep(sweep)
        .unwrap()
        .choices()
        .next()
        .unwrap()
        .clone();
    assert_eq!(row.rules, RULES);
    let of = world.state.sweep(sweep).unwrap().sweep().clone();
    assert_eq!(tenfold_core::ties(&of, &row), [Value::Float(0.01)]);
    assert_eq!(rules(&world), RULES);

    // A sweep that has one of earlier rules goes on under these.
    world.write(&Record::Choice(ChoiceRow { rules: 0, ..row }));
    assert_eq!(rules(&world), 0);
    world.restart();
    assert_eq!(rules(&world), 0);
    assert!(world.choose(sweep, choice(1), all));
    assert_eq!(world.rate(sweep, 1), Some(0.01));
    let rules_of = |row: &ChoiceRow| row.rules;
    let sweep = world.state.sweep(sweep).unwrap();
    assert!(sweep.choices().map(rules_of).all(|rules| rules == 0));
    assert!(world.woken());
}

#[test]
fn trials_that_do_not_count_tell_whether_a_choice_is_current() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(STAGES);
    let worker = world.worker(1, 1);
    for request in 1..=2 {
        let held = world.lease(worker, request);
        world.complete(&held);
    }
    // Of two trials one counts.
    let of = |trials| Candidate {
        trials: Some(trials),
        points_left_out: 1,
        ..candidate(0.1, 1, 0, 0.5)
    };
    assert!(!world.choose(sweep, choice(0), vec![of(1)]));
    assert!(world.choose(sweep, choice(0), vec![of(2)]));
    assert!(world.woken());
}
