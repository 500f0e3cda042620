//! Sweeps that get more than their text says, running or over.

use tenfold_core::record::{Candidate, Outcome as Chosen};
use tenfold_core::sweep::{Around, ChoiceId, Sweep};
use tenfold_core::trial::TrialState;
use tenfold_core::{Answer, Input, Order, Refusal, Wider};
use tenfold_types::{Metric, Outcome, SweepId, TrialKey, Value, WorkerId};

use crate::World;

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
epochs = 2
[stage.axes]
learning_rate = { best_of = "coarse" }
"#;

fn key(stage: u32, index: u64, repetition: u32) -> TrialKey {
    TrialKey {
        stage,
        index,
        repetition,
    }
}

fn choice(cell: u64) -> ChoiceId {
    ChoiceId {
        stage: 1,
        rule: 0,
        cell,
    }
}

impl World {
    /// Trains what waits to its end, in the order in which it is handed out.
    fn train_all(&mut self, worker: WorkerId, request: &mut u8) -> Vec<TrialKey> {
        let mut keys = Vec::new();
        loop {
            *request += 1;
            let Ok(Answer::Leased(grant)) = self.acquire(worker, *request) else {
                return keys;
            };
            let held = crate::world::Held { worker, grant };
            keys.push(held.key());
            self.complete(&held);
        }
    }

    /// Makes a choice from what has succeeded and what has not.
    fn make(&mut self, sweep: SweepId, choice: ChoiceId, of: [(f64, u32, u32, f64); 2]) -> bool {
        let candidate = |(value, n, missing, mean)| Candidate {
            n,
            missing,
            mean,
            ..Candidate::without_trials(Value::Float(value))
        };
        let candidates = of.map(candidate).to_vec();
        let input = Input::Choose {
            sweep,
            choice,
            candidates,
        };
        self.ask(input) == Ok(Answer::Chosen(true))
    }
}

#[test]
fn a_running_sweep_goes_on_with_more_repetitions_behind_those_it_has() {
    let mut world = World::new();
    let sweep = world.sweep(3, 2, 2);
    let worker = world.worker(1, 1);
    let (first, second) = (world.lease(worker, 1), world.lease(worker, 2));
    world.complete(&first);
    world.train(&second, 1..=1);
    let id = world.state.sweep(sweep).unwrap().sweep().id();
    assert_eq!(world.extend(sweep, None, 4), Ok(0));
    assert!(world.woken());
    assert_eq!(world.counts(sweep), [10, 1, 0, 1, 0, 0, 0]);
    let state = world.state.sweep(sweep).unwrap();
    assert_eq!(
        (state.sweep().id(), state.sweep().trials(), state.epochs()),
        (id, 12, 3)
    );
    assert_eq!(
        Sweep::from_normalised("", state.sweep().normalised())
            .unwrap()
            .id(),
        id
    );
    world.restart();
    world.train(&second, 2..=2);
    assert_eq!(
        world.finish(&second, 2, Outcome::Succeeded),
        Ok(tenfold_core::Standing::Ended)
    );
    let mut request = 10;
    let keys = world.train_all(worker, &mut request);
    let rest = (0..3).flat_map(|index| (0..4).map(move |repetition| key(0, index, repetition)));
    let mut rest: Vec<_> = rest
        .filter(|key| ![first.key(), second.key()].contains(key))
        .collect();
    rest.sort();
    assert_eq!(keys, rest, "in order of work");
    assert!(world.is_over(sweep));
}

#[test]
fn a_complete_sweep_is_active_again_and_refuses_what_is_no_more() {
    let mut world = World::new();
    let sweep = world.sweep(2, 1, 1);
    let worker = world.worker(1, 1);
    let mut request = 0;
    world.train_all(worker, &mut request);
    assert!(world.is_over(sweep));
    for (wrong, why) in [
        ((None, 1), "each point has at least 1 repetitions already"),
        ((None, 0), "more, not 0"),
        ((None, 10_001), "at most 10000 are possible"),
        ((Some("modes"), 3), "there is no stage \"modes\""),
        ((Some(""), 3), "this sweep has none"),
    ] {
        let refused = world.extend(sweep, wrong.0, wrong.1).unwrap_err();
        assert!(matches!(refused, Refusal::CannotExtend { .. }));
        assert!(refused.to_string().contains(why), "{refused}");
        assert!(world.is_over(sweep));
    }
    world.pass(50);
    world.extend(sweep, None, 2).unwrap();
    assert!(world.woken() && !world.is_over(sweep));
    assert_eq!(
        world.train_all(worker, &mut request),
        [key(0, 0, 1), key(0, 1, 1)]
    );
    assert!(world.is_over(sweep));
    world.extend(sweep, None, 3).unwrap();
    assert!(world.woken());
    let state = world.state.sweep(sweep).unwrap();
    let told: Vec<_> = state.extensions().map(|row| (row.number, row.at)).collect();
    assert_eq!(told, [(1, world.now), (2, world.now)]);
    world.train_all(worker, &mut request);
    // Deleted and submitted again it is as its text says.
    world.ask(Input::Delete(sweep)).unwrap();
    let again = world.sweep(2, 1, 1);
    assert_eq!(again, sweep);
    assert_eq!(world.state.sweep(sweep).unwrap().extensions().count(), 0);
    assert_eq!(world.counts(sweep)[0], 2);
}

#[test]
fn a_sweep_of_ten_million_trials_takes_no_more() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(
        "repetitions = 100\nepochs = 1\n[settings]\narchitecture = \"perceptron-1\"\n[axes]\n\
         learning_rate = { log = [1e-5, 1e-1], points = 100000 }\n",
    );
    assert!(world.woken());
    let refused = world.extend(sweep, None, 101).unwrap_err();
    let why = "would have 10100000 trials before exclude; at most 10000000 are possible";
    assert!(refused.to_string().contains(why), "{refused}");
}

#[test]
fn a_stopped_sweep_is_resumed_first_and_a_paused_one_stays_so() {
    let mut world = World::new();
    let sweep = world.sweep(2, 1, 1);
    let worker = world.worker(1, 1);
    world.obey(sweep, Order::Stop);
    let refused = world.extend(sweep, None, 2).unwrap_err();
    assert!(refused.to_string().contains("resume it first"), "{refused}");
    world.obey(sweep, Order::Resume);
    assert!(world.woken());
    world.obey(sweep, Order::Pause);
    world.extend(sweep, None, 2).unwrap();
    world.woken();
    assert!(world.is_idle(worker, 1));
    world.obey(sweep, Order::Resume);
    assert!(world.woken());
    assert_eq!(world.counts(sweep)[0], 4);
}

#[test]
fn a_choice_that_is_not_made_waits_for_what_is_new_and_one_that_is_made_stays() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(STAGES);
    assert!(world.woken());
    let worker = world.worker(1, 1);
    let mut request = 0;
    assert_eq!(world.train_all(worker, &mut request).len(), 4);
    let all = |n, better: f64| [(0.1, n, 0, 0.5), (0.01, n, 0, better)];
    assert!(world.make(sweep, choice(0), all(1, 0.25)));
    assert!(world.woken());
    assert_eq!(
        world.extend(sweep, Some("coarse"), 2),
        Ok(1),
        "one was made from it"
    );
    assert!(world.woken());
    assert!(
        !world.make(sweep, choice(1), all(1, 0.25)),
        "the other waits for two more"
    );
    // Those of the first stage come first; the second goes on with what was chosen for the first network.
    let expected = [
        key(0, 0, 1),
        key(0, 1, 1),
        key(0, 2, 1),
        key(0, 3, 1),
        key(1, 0, 0),
    ];
    assert_eq!(world.train_all(worker, &mut request), expected);
    assert!(world.make(sweep, choice(1), all(2, 0.75)));
    assert!(world.woken());
    // More of the later stage: what is known is trained, and with it all is over.
    assert_eq!(world.extend(sweep, Some("modes"), 3), Ok(0));
    assert!(world.woken());
    let expected = [
        key(1, 1, 0),
        key(1, 0, 1),
        key(1, 1, 1),
        key(1, 0, 2),
        key(1, 1, 2),
    ];
    assert_eq!(world.train_all(worker, &mut request), expected);
    assert!(world.is_over(sweep));
    let rate = |index| {
        let spec = world.state.sweep(sweep).unwrap().sweep().spec(key(1, index, 2));
        spec.unwrap().learning_rate
    };
    assert_eq!((rate(0), rate(1)), (0.01, 0.1));
}

#[test]
fn more_of_a_stage_that_still_waits_for_a_choice_waits_too() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(STAGES);
    assert!(world.woken());
    let worker = world.worker(1, 1);
    world.extend(sweep, None, 2).unwrap();
    assert!(world.woken());
    assert_eq!(world.counts(sweep)[0], 12);
    let mut request = 0;
    assert_eq!(world.train_all(worker, &mut request).len(), 8);
    let all = [(0.1, 2, 0, 0.5), (0.01, 2, 0, 0.25)];
    assert!(world.make(sweep, choice(1), all) && world.woken());
    assert_eq!(
        world.train_all(worker, &mut request),
        [key(1, 1, 0), key(1, 1, 1)]
    );
    assert!(world.make(sweep, choice(0), all) && world.woken());
    assert_eq!(world.train_all(worker, &mut request).len(), 2);
    assert!(world.is_over(sweep));
}

#[test]
fn where_nothing_could_be_chosen_it_is_looked_at_again() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(STAGES);
    assert!(world.woken());
    let worker = world.worker(1, 1);
    for request in 0..2 {
        let held = world.lease(worker, request);
        world.finish(&held, 0, Outcome::Diverged { epoch: 1 }).unwrap();
    }
    let none = [(0.1, 0, 1, 0.0), (0.01, 0, 1, 0.0)];
    assert!(world.make(sweep, choice(0), none));
    assert_eq!(world.trial(sweep, key(1, 0, 0)).state, TrialState::Failed);
    // More of the stage that waits: the new ones fail as the others have.
    world.extend(sweep, Some("modes"), 2).unwrap();
    assert!(world.woken());
    assert!(world.make(sweep, choice(0), none));
    assert_eq!(world.trial(sweep, key(1, 0, 1)).state, TrialState::Failed);
    // More of the stage that is chosen from: one of those succeeds.
    world.extend(sweep, Some("coarse"), 2).unwrap();
    assert!(world.woken());
    let mut request = 10;
    assert_eq!(world.train_all(worker, &mut request).len(), 6);
    assert!(world.make(sweep, choice(0), [(0.1, 1, 1, 0.5), (0.01, 1, 1, 0.25)]) && world.woken());
    let failed = Order::Retry {
        failed: true,
        cancelled: false,
    };
    assert_eq!(world.obey(sweep, failed), 2);
    assert!(world.woken());
    assert_eq!(
        world.train_all(worker, &mut request),
        [key(1, 0, 0), key(1, 0, 1)]
    );
    let made: Vec<_> = world.state.sweep(sweep).unwrap().choices().cloned().collect();
    assert_eq!(made[0].outcome, Chosen::Chosen(vec![Value::Float(0.01)]));
}

fn around(axis: &str, stage: Option<&str>) -> Around {
    Around {
        axis: axis.to_owned(),
        points: 3,
        span: 1.0,
        stage: stage.map(str::to_owned),
        metric: Metric::TestError,
    }
}

impl World {
    fn refine(&mut self, sweep: SweepId, around: Around) -> Result<(), String> {
        let wider = Wider::Around(around);
        match self.ask(Input::Extend { sweep, wider }) {
            Ok(Answer::Extended { kept: 0 }) => Ok(()),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal.to_string()),
        }
    }
}

#[test]
fn a_sweep_without_stages_that_is_over_gets_one_around_its_best_values() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(
        "repetitions = 2\nepochs = 1\n[axes]\nlearning_rate = [0.1, 0.01]\narchitecture = [\"perceptron-1\", \"perceptron-2\"]\n",
    );
    assert!(world.woken());
    let worker = world.worker(1, 1);
    let mut request = 0;
    // One trial of the second network is left.
    for number in 0..7 {
        let held = world.lease(worker, number);
        world.complete(&held);
    }
    world.refine(sweep, around("learning_rate", None)).unwrap();
    assert!(world.woken());
    assert_eq!(world.counts(sweep)[0], 1 + 2 * 3 * 2);
    let stages = |world: &World| {
        let state = world.state.sweep(sweep).unwrap();
        let names = state.sweep().stages().iter().map(|stage| stage.name().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(stages(&world), ["sweep", "refine-1"]);
    assert_eq!(world.state.sweep(sweep).unwrap().sweep().id(), sweep);
    // The first network's trials are over, and so its rate is chosen at once; what was trained is taken over.
    let all = |better: f64| [(0.1, 2, 0, 0.5), (0.01, 2, 0, better)];
    assert!(world.make(sweep, choice(0), all(0.25)) && world.woken());
    world.restart();
    let keys = world.train_all(worker, &mut request);
    assert_eq!(keys.len(), 1 + 3 * 2 - 4, "{keys:?}");
    assert!(world.make(sweep, choice(1), all(0.75)) && world.woken());
    world.train_all(worker, &mut request);
    assert!(world.is_over(sweep));
    let rates = |index| {
        let spec = world.state.sweep(sweep).unwrap().sweep().spec(key(1, index, 0));
        let spec = spec.unwrap();
        (spec.architecture.name, spec.learning_rate)
    };
    let expected = [
        ("perceptron-1", 0.001),
        ("perceptron-2", 0.01),
        ("perceptron-1", 0.01),
        ("perceptron-2", 0.1),
        ("perceptron-1", 0.1),
        ("perceptron-2", 1.0),
    ];
    assert_eq!(
        (0..6).map(rates).collect::<Vec<_>>(),
        expected.map(|(name, rate)| (name.to_owned(), rate))
    );
    // Once more, closer; and more repetitions of all.
    world
        .refine(sweep, around("learning_rate", Some("refine-1")))
        .unwrap();
    assert!(world.woken());
    assert_eq!(stages(&world), ["sweep", "refine-1", "refine-2"]);
    assert_eq!(world.extend(sweep, Some("refine-2"), 3), Ok(0));
    assert!(world.woken());
    assert_eq!(world.counts(sweep)[0], 2 * 3 * 3);
    assert_eq!(world.extend(sweep, Some("sweep"), 3), Ok(2));
    assert!(world.woken());
    assert_eq!(world.train_all(worker, &mut request).len(), 4);
}

#[test]
fn what_cannot_be_refined_says_why() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(STAGES);
    let (zipped, _) = world.try_submit(
        "zip = [[\"learning_rate\", \"batch_size\"]]\nepochs = 1\n[settings]\narchitecture = \"perceptron-1\"\n[axes]\n\
         learning_rate = [0.1, 0.01]\nbatch_size = [10, 20]\n",
    );
    assert!(world.woken());
    let rate = |stage| around("learning_rate", stage);
    for (sweep, wrong, why) in [
        (
            sweep,
            rate(None),
            "several stages vary learning_rate: coarse, modes",
        ),
        (sweep, rate(Some("corse")), "did you mean \"coarse\"?"),
        (
            sweep,
            around("learning_rat", None),
            "did you mean \"learning_rate\"?",
        ),
        (sweep, around("momentum", None), "no stage varies momentum"),
        (sweep, around("architecture", Some("coarse")), "need not be"),
        (
            sweep,
            Around {
                points: 1,
                ..rate(Some("coarse"))
            },
            "2 to 1000 are possible",
        ),
        (
            sweep,
            Around {
                span: f64::NAN,
                ..rate(Some("coarse"))
            },
            "above 0 and at most 12",
        ),
        (
            sweep,
            Around {
                metric: Metric::TestDigitError(0),
                ..rate(Some("coarse"))
            },
            "is not measured at every point",
        ),
        (zipped, rate(None), "zipped, sampled with others"),
    ] {
        let refused = world.refine(sweep, wrong).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
    // A stage has place for so many.
    for _ in 2..32 {
        world.refine(sweep, rate(Some("coarse"))).unwrap();
        world.woken();
    }
    let refused = world.refine(sweep, rate(Some("coarse"))).unwrap_err();
    assert!(refused.contains("32 stages, and no more"), "{refused}");
}

#[test]
fn what_an_earlier_stage_has_trained_is_taken_over_by_an_extension_too() {
    let mut world = World::new();
    let text = STAGES
        .replace("epochs = 2\n", "")
        .replace("name = \"coarse\"", "name = \"coarse\"\nrepetitions = 3");
    let (sweep, _) = world.try_submit(&text);
    assert!(world.woken());
    let worker = world.worker(1, 1);
    let mut request = 0;
    assert_eq!(world.train_all(worker, &mut request).len(), 12);
    let all = [(0.1, 3, 0, 0.5), (0.01, 3, 0, 0.25)];
    assert!(world.make(sweep, choice(0), all) && world.woken());
    assert!(world.make(sweep, choice(1), all) && world.woken());
    assert!(world.is_over(sweep), "all was trained in the first stage");
    world.extend(sweep, Some("modes"), 3).unwrap();
    assert!(world.woken());
    assert!(world.is_over(sweep), "and so was what is new");
    for (index, from) in [(0, 1), (1, 3)] {
        let (to, from) = (key(1, index, 2), key(0, from, 2));
        assert_eq!(world.trial(sweep, to).state, world.trial(sweep, from).state);
        assert_eq!(world.stored(sweep, to), world.stored(sweep, from));
    }
    world.extend(sweep, Some("modes"), 4).unwrap();
    assert!(world.woken() && !world.is_over(sweep));
    assert_eq!(
        world.train_all(worker, &mut request),
        [key(1, 0, 3), key(1, 1, 3)]
    );
    assert!(world.is_over(sweep));
}

#[test]
fn an_order_that_has_nothing_to_choose_from_is_refused() {
    let text = r#"
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
learning_rate = { best_of = "coarse" }
"#;
    let around = |points| {
        Wider::Around(Around {
            axis: "learning_rate".to_owned(),
            points,
            span: 1.0,
            stage: Some("coarse".to_owned()),
            metric: Metric::TestError,
        })
    };
    let mut world = World::new();
    let (sweep, _) = world.try_submit(text);
    let worker = world.worker(1, 1);
    let refine = |world: &mut World, points| {
        let wider = around(points);
        world.ask(Input::Extend { sweep, wider })
    };
    let held = world.lease(worker, 1);
    world.finish(&held, 0, Outcome::Diverged { epoch: 1 }).unwrap();
    // The other may still succeed.
    assert!(refine(&mut world, 3).is_ok());
    let held = world.lease(worker, 2);
    world.finish(&held, 0, Outcome::Diverged { epoch: 1 }).unwrap();
    let refused = refine(&mut world, 5).unwrap_err().to_string();
    assert!(
        refused.contains("nothing to choose from: stage coarse is over, and no trial of it has succeeded"),
        "{refused}"
    );
    let refused = world.extend(sweep, Some("modes"), 2).unwrap_err().to_string();
    assert!(
        refused.contains("what is added would never run: stage coarse is over"),
        "{refused}"
    );
    // With the stage that is chosen from it can run.
    assert!(world.extend(sweep, None, 2).is_ok());
    assert!(world.woken());
}

/// A hypothesis over several points shows a verdict over those that are there: one pair of points is enough for a look.
#[test]
fn who_has_seen_one_pair_of_points_extends_after_a_look() {
    let text = r#"
epochs = 1
repetitions = 2
[axes]
architecture = ["perceptron-1", "perceptron-2"]
weight_sharing = [false, true]
[[hypothesis]]
claim = "sharing helps"
this = { weight_sharing = true }
than = { weight_sharing = false }
lower_by = 0
"#;
    let mut world = World::new();
    let (sweep, _) = world.try_submit(text);
    assert!(world.woken());
    let worker = world.worker(1, 1);
    // Both points of the first network, in the first repetition alone.
    for request in 1..=2 {
        let held = world.lease(worker, request);
        assert_eq!(held.key(), key(0, u64::from(request) - 1, 0));
        world.complete(&held);
    }
    world.extend(sweep, None, 5).unwrap();
    assert!(world.woken());
    let stage = world
        .state
        .sweep(sweep)
        .unwrap()
        .sweep()
        .stage(0)
        .unwrap()
        .clone();
    assert_eq!((stage.planned_repetitions(), stage.repetitions()), (2, 5));
    let looks: Vec<_> = stage.looks().iter().map(|look| look.seen).collect();
    assert_eq!(looks, [Some(1)]);
}
