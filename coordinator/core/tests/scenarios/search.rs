//! Searches that stop early, and repetitions by need.

use tenfold_core::record::{Candidate, Outcome as Chosen};
use tenfold_core::sweep::{ChoiceId, Chooses, Passage, Stage, StopRule};
use tenfold_core::trial::TrialState;
use tenfold_core::{Answer, Input, Order, Reason, explain};
use tenfold_types::{Outcome, SweepId, TrialKey, Value};

use crate::World;
use crate::world::Held;

impl World {
    /// What there is to decide by: the mean of a trial is what `mean` makes of its key.
    fn candidates(&self, sweep: SweepId, choice: ChoiceId, mean: fn(TrialKey) -> f64) -> Vec<Candidate> {
        let state = self.state.sweep(sweep).unwrap();
        let of = state.sweep();
        let chooses = of.chooses(choice).unwrap();
        let mut candidates: Vec<Candidate> = Vec::new();
        for index in of.compared_points(choice, state.rules()) {
            let sources = of.sources(choice).into_iter().filter(|key| key.index == index);
            let (mut numbers, mut missing, mut value) = (Vec::new(), 0, Value::Int(index as i64));
            for key in sources {
                match state.trial(key).map(|row| row.state) {
                    Some(TrialState::Succeeded { .. }) => numbers.push(mean(key)),
                    _ => missing += 1,
                }
                if let Chooses::Axis(taken) = chooses {
                    let values = of.values(key).into_iter();
                    match values.into_iter().find(|(setting, _)| *setting == taken.setting) {
                        Some((_, found)) => value = found,
                        None => return candidates,
                    }
                }
            }
            let statistics = tenfold_core::aggregate::Statistics::of(&numbers);
            let candidate = Candidate {
                n: numbers.len() as u32,
                missing,
                mean: statistics.map_or(0.0, |statistics| statistics.mean),
                standard_error: statistics.and_then(|statistics| statistics.standard_error),
                ..Candidate::without_trials(value)
            };
            match candidates.iter_mut().find(|other| other.value == candidate.value) {
                Some(other) => {
                    other.n += candidate.n;
                    other.missing += missing;
                }
                None => candidates.push(candidate),
            }
        }
        if let Chooses::Points(rung) = chooses
            && let Some(first) = candidates.first().cloned()
        {
            match rung.rule {
                StopRule::Median { .. } => candidates.push(first),
                // What is odd was better before.
                StopRule::Patience { .. } => {
                    candidates.extend([0.5, 0.5 + (choice.cell % 2) as f64].map(|mean| Candidate {
                        mean,
                        ..first.clone()
                    }))
                }
                StopRule::SuccessiveHalving { .. } | StopRule::Asha { .. } => {}
            }
        }
        candidates
    }

    fn decide_by(&mut self, sweep: SweepId, mean: fn(TrialKey) -> f64) -> usize {
        let due: Vec<ChoiceId> = self.state.sweep(sweep).unwrap().due_choices().collect();
        for &choice in &due {
            let candidates = self.candidates(sweep, choice, mean);
            let input = Input::Choose {
                sweep,
                choice,
                candidates,
            };
            assert_eq!(self.ask(input), Ok(Answer::Chosen(true)), "{choice:?}");
        }
        _ = self.woken();
        due.len()
    }

    /// Makes what is due, and says how much that was.
    pub(crate) fn decide(&mut self, sweep: SweepId) -> usize {
        self.decide_by(sweep, |key| {
            ((key.index * 7 + u64::from(key.repetition)) % 5) as f64 / 10.0
        })
    }

    /// Trains and decides until nothing is left; these trials diverge.
    fn run(&mut self, sweep: SweepId, mean: fn(TrialKey) -> f64, diverges: fn(TrialKey) -> bool) {
        let worker = self.worker(7, 1);
        let mut request = 0_u8;
        loop {
            while let Ok(Answer::Leased(grant)) = self.acquire(worker, request) {
                request = request.wrapping_add(1);
                let held = Held { worker, grant };
                match diverges(held.key()) {
                    true => _ = self.finish(&held, 0, Outcome::Diverged { epoch: 1 }),
                    false => self.complete(&held),
                }
            }
            let stages = self.state.sweep(sweep).unwrap().sweep().stages();
            let open = |stage: &Stage| stage.indexes().any(|index| !self.settled(stage, index));
            assert!(stages.iter().all(|stage| stage.may_shrink() == open(stage)));
            if self.decide_by(sweep, mean) == 0 {
                return;
            }
        }
    }

    /// Whether nothing of a point waits at its stage's gate.
    fn settled(&self, stage: &Stage, index: u64) -> bool {
        let mut trials = 0..stage.repetitions();
        stage.gate().is_none() || trials.all(|repetition| stage.passage(index, repetition) != Passage::Waits)
    }

    /// The trials of a stage that have succeeded, by point.
    fn trained(&self, sweep: SweepId, stage: u32) -> Vec<(u64, u32)> {
        let state = self.state.sweep(sweep).unwrap();
        let mut trained = std::collections::BTreeMap::new();
        for row in state.touched_trials() {
            if row.id.key.stage == stage && matches!(row.state, TrialState::Succeeded { .. }) {
                *trained.entry(row.id.key.index).or_default() += 1;
            }
        }
        trained.into_iter().collect()
    }

    fn made(&self, sweep: SweepId) -> Vec<(ChoiceId, Chosen)> {
        let state = self.state.sweep(sweep).unwrap();
        state
            .choices()
            .map(|row| (row.choice, row.outcome.clone()))
            .collect()
    }

    fn due_cells(&self, sweep: SweepId) -> Vec<u64> {
        let state = self.state.sweep(sweep).unwrap();
        state.due_choices().map(|choice| choice.cell).collect()
    }
}

fn never(_: TrialKey) -> bool {
    false
}

const HALVING: &str = r#"
epochs = 9
repetitions = 2
stop = { rule = "successive-halving", from = 1, factor = 3 }
[axes]
architecture = ["perceptron-1"]
learning_rate = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
"#;

/// The higher the index the better.
fn falling(key: TrialKey) -> f64 {
    1.0 / (key.index + 1) as f64
}

#[test]
fn of_nine_points_three_go_on_and_then_one() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(HALVING);
    _ = world.woken();
    let stages = world.state.sweep(sweep).unwrap().sweep().stages().to_vec();
    let names: Vec<&str> = stages.iter().map(|stage| stage.name()).collect();
    assert_eq!(names, ["sweep-at-1", "sweep-at-3", "sweep"]);
    assert_eq!([1, 3, 9], [0, 1, 2].map(|stage: usize| stages[stage].epochs()));
    let waits = TrialKey {
        stage: 2,
        index: 8,
        repetition: 0,
    };
    let why = explain(&world.state, sweep, waits, world.now).unwrap();
    assert!(
        matches!(why.as_slice(), [Reason::Choice { choice, open: 18 }] if choice.stage == 2),
        "{why:?}"
    );
    world.run(sweep, falling, never);
    assert!(world.is_over(sweep));
    assert_eq!(world.trained(sweep, 1), [(6, 2), (7, 2), (8, 2)]);
    assert_eq!(world.trained(sweep, 2), [(8, 2)]);
    let state = world.state.sweep(sweep).unwrap();
    assert_eq!(
        (state.sweep().trials(), state.sweep().points()),
        (18 + 6 + 2, 9 + 3 + 1)
    );
    assert_eq!(state.counts().total(), 26);
    // A trial that was left out says by which decision.
    for (index, stage) in [(0, 1), (7, 2)] {
        let key = TrialKey { index, ..waits };
        assert!(!state.has(key));
        let why = explain(&world.state, sweep, key, world.now).unwrap();
        assert!(
            matches!(why.as_slice(), [Reason::LeftOut { choice }] if choice.stage == stage),
            "{why:?}"
        );
    }
    let beyond = TrialKey { index: 9, ..waits };
    assert_eq!(explain(&world.state, sweep, beyond, world.now), None);
    world.restart();
    assert!(world.is_over(sweep));
}

#[test]
fn points_of_a_cell_are_compared_with_one_another_and_a_cell_goes_on_by_itself() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(
        r#"
epochs = 2
repetitions = 1
stop = { rule = "successive-halving", from = 1, factor = 2, per = ["architecture"] }
[axes]
architecture = ["perceptron-1", "perceptron-2"]
learning_rate = [0.9, 0.8, 0.7, 0.6]
"#,
    );
    _ = world.woken();
    let worker = world.worker(1, 1);
    for request in 0..4 {
        let held = world.lease(worker, request);
        world.complete(&held);
    }
    assert_eq!(
        world.due_cells(sweep),
        [0],
        "the first network has no need to wait for the second"
    );
    assert_eq!(world.decide_by(sweep, falling), 1);
    world.run(sweep, falling, never);
    assert_eq!(world.trained(sweep, 1), [(2, 1), (3, 1), (6, 1), (7, 1)]);
    assert!(world.is_over(sweep));
}

#[test]
fn asynchronous_halving_decides_in_the_order_of_points_whatever_comes_first() {
    let text = HALVING
        .replace("successive-halving", "asha")
        .replace("repetitions = 2", "repetitions = 1");
    let mut world = World::new();
    let (sweep, _) = world.try_submit(&text);
    _ = world.woken();
    let worker = world.worker(1, 1);
    let held: Vec<Held> = (0..3).map(|request| world.lease(worker, request)).collect();
    world.complete(&held[1]);
    assert_eq!(world.due_cells(sweep), [0_u64; 0], "the point before is not over");
    let second = TrialKey {
        stage: 1,
        index: 1,
        repetition: 0,
    };
    let why = explain(&world.state, sweep, second, world.now).unwrap();
    assert!(
        matches!(why.as_slice(), [Reason::Choice { open: 1, .. }]),
        "{why:?}"
    );
    world.complete(&held[0]);
    assert_eq!(world.due_cells(sweep), [0]);
    // A worse one than the first, of two: one goes on, and that is the first.
    assert_eq!(world.decide_by(sweep, |key| key.index as f64), 1);
    assert_eq!(world.decide_by(sweep, |key| key.index as f64), 1);
    world.complete(&held[2]);
    assert_eq!(world.decide_by(sweep, |key| key.index as f64), 1);
    let go_on: Vec<bool> = (0..3)
        .map(|index| {
            let key = TrialKey {
                stage: 1,
                index,
                repetition: 0,
            };
            world.state.sweep(sweep).unwrap().sweep().passage(key) == Passage::Free
        })
        .collect();
    assert_eq!(go_on, [true, false, false]);
    // Better and better, but never as good as the first: from the sixth on it has to be only the second best.
    world.run(sweep, falling, never);
    assert!(world.is_over(sweep));
    assert_eq!(world.trained(sweep, 1).len(), 1 + 4);
}

#[test]
fn a_point_that_was_better_before_stops_by_itself() {
    let mut world = World::new();
    let text = HALVING.replace(
        r#"rule = "successive-halving", from = 1, factor = 3"#,
        r#"rule = "patience", at = [2, 4], patience = 1"#,
    );
    let (sweep, _) = world.try_submit(&text);
    _ = world.woken();
    world.run(sweep, falling, |key| key.index == 4);
    let even = [(0, 2), (2, 2), (6, 2), (8, 2)];
    assert_eq!(world.trained(sweep, 1), even);
    let state = world.state.sweep(sweep).unwrap();
    assert!(
        !state.sweep().stages()[1].has(4),
        "one of which nothing is left stops too, whatever is said of its curve"
    );
    assert_eq!(world.trained(sweep, 2), even);
    assert!(world.is_over(sweep));
}

#[test]
fn the_worse_half_stops() {
    let mut world = World::new();
    let text = HALVING.replace(
        r#"rule = "successive-halving", from = 1, factor = 3"#,
        r#"rule = "median", at = [2], startup = 2"#,
    );
    let (sweep, _) = world.try_submit(&text);
    _ = world.woken();
    world.run(sweep, |key| key.index as f64, never);
    assert_eq!(
        world.trained(sweep, 1),
        [(0, 2), (1, 2)],
        "two are not compared; each after them is the worst so far"
    );
    assert!(world.is_over(sweep));
}

const NEED: &str = r#"
epochs = 1
repetitions = { min = 2, max = 7, step = 2, until = { ci95_half_width = 0.5 } }
[axes]
architecture = ["perceptron-1", "perceptron-2", "perceptron-3"]
"#;

/// The first point always comes to the same, the second never, the third from the fourth repetition on.
fn spread(key: TrialKey) -> f64 {
    match key.index {
        0 => 1.0,
        1 => f64::from(key.repetition % 2) * 10.0,
        _ => f64::from(key.repetition % 2) * if key.repetition < 2 { 0.2 } else { 0.1 },
    }
}

#[test]
fn a_point_is_repeated_until_its_mean_is_known_well_enough() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(NEED);
    _ = world.woken();
    let state = world.state.sweep(sweep).unwrap();
    assert_eq!((state.sweep().trials(), state.counts().pending), (21, 21));
    world.run(sweep, spread, never);
    assert_eq!(world.trained(sweep, 0), [(0, 2), (1, 7), (2, 4)]);
    assert!(world.is_over(sweep));
    let state = world.state.sweep(sweep).unwrap();
    assert_eq!(state.counts().total(), 13);
    let [left_out, run] = [2, 1].map(|repetition| TrialKey {
        stage: 0,
        index: 0,
        repetition,
    });
    assert!(!state.has(left_out) && state.has(run));
    let numbers: Vec<Chosen> = world
        .made(sweep)
        .into_iter()
        .map(|(_, outcome)| outcome)
        .collect();
    let chosen = |number| Chosen::Chosen(vec![Value::Int(number)]);
    assert_eq!(numbers, [2, 4, 6, 7, 4, 4].map(chosen));
    let why = explain(&world.state, sweep, left_out, world.now).unwrap();
    assert!(
        matches!(why.as_slice(), [Reason::LeftOut { choice }] if choice.cell == 0),
        "{why:?}"
    );
    assert!(
        world.extend(sweep, None, 20).is_err(),
        "more than the most is another sweep"
    );
}

#[test]
fn values_that_are_equal_by_luck_end_no_repetitions() {
    let trained = |keys: &str| {
        let mut world = World::new();
        let until = NEED.replace("ci95_half_width = 0.5", keys);
        let text = until.replace("[axes]", "[data]\ntest = 10\n[axes]");
        let (sweep, _) = world.try_submit(&text);
        _ = world.woken();
        world.run(sweep, |_| 0.5, never);
        world.trained(sweep, 0)[0]
    };
    // One answer of ten: t · 0.1/√n is 0.90 for two equal values and 0.16 for four.
    assert_eq!(trained("ci95_half_width = 0.2"), (0, 4));
    assert_eq!(
        trained("ci95_half_width = 0.2, metric = \"test_loss\""),
        (0, 7),
        "nothing is known of a deviation"
    );
}

#[test]
fn a_point_without_any_success_is_not_repeated_and_a_search_without_ends() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(NEED);
    let (search, _) = world.try_submit(HALVING);
    _ = world.woken();
    world.run(sweep, spread, |key| key.stage == 0);
    world.run(search, falling, |key| key.stage == 0);
    assert_eq!(world.counts(sweep), [0, 0, 0, 0, 6, 0, 0]);
    assert_eq!(world.counts(search), [0, 0, 0, 0, 18, 0, 0]);
    assert!(world.is_over(sweep) && world.is_over(search));
    // Divergence is a result: nothing is to be retried, and so nothing decided again.
    for sweep in [sweep, search] {
        let retry = Order::Retry {
            failed: true,
            cancelled: false,
        };
        assert_eq!(world.obey(sweep, retry), 0);
        assert!(world.is_over(sweep));
        assert_eq!(world.wrote, 0);
    }
}

#[test]
fn what_failed_and_is_retried_is_decided_again_where_nothing_had_succeeded() {
    let mut world = World::new();
    for (text, all) in [(NEED, 13), (HALVING, 26)] {
        let (sweep, _) = world.try_submit(text);
        _ = world.woken();
        let worker = world.worker(1, 1);
        // Nobody else could have worked: each fails until it is given up.
        for request in 0..400_u32 {
            match world.acquire(worker, request as u8) {
                _ if world.is_over(sweep) => break,
                Ok(Answer::Leased(grant)) => world.fail(&Held { worker, grant }),
                _ => world.pass(100_000),
            }
            _ = world.decide_by(sweep, spread);
        }
        assert!(world.is_over(sweep), "{:?}", world.counts(sweep));
        let retry = Order::Retry {
            failed: true,
            cancelled: false,
        };
        assert!(world.obey(sweep, retry) > 0);
        assert!(!world.is_over(sweep));
        _ = world.woken();
        world.run(sweep, if text == NEED { spread } else { falling }, never);
        assert!(world.is_over(sweep));
        assert_eq!(world.counts(sweep)[3], all);
    }
}

#[test]
fn a_search_that_is_extended_repeats_what_went_on() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(HALVING);
    _ = world.woken();
    world.run(sweep, falling, never);
    assert!(world.extend(sweep, None, 3).is_ok());
    _ = world.woken();
    assert!(!world.is_over(sweep));
    assert_eq!(world.counts(sweep)[0], 9 + 3 + 1);
    world.restart();
    world.run(sweep, falling, never);
    assert!(world.is_over(sweep));
    assert_eq!(world.trained(sweep, 2), [(8, 3)]);
}

#[test]
fn who_was_decided_with_nothing_before_it_waits_until_that_is_decided_again() {
    let text = HALVING
        .replace("successive-halving", "asha")
        .replace("repetitions = 2", "repetitions = 1");
    let mut world = World::new();
    let (sweep, _) = world.try_submit(&text);
    _ = world.woken();
    let worker = world.worker(1, 1);
    // The first point fails for good, the second goes on.
    let first = world.lease(worker, 0);
    world.fail(&first);
    let mut request = 1;
    while world.counts(sweep)[5] == 0 {
        world.pass(100_000);
        _ = world.woken();
        while let Ok(Answer::Leased(grant)) = world.acquire(worker, request) {
            request += 1;
            let held = Held { worker, grant };
            match (held.key().index, held.key().index > 2) {
                (0, _) => world.fail(&held),
                (_, true) => {
                    _ = world.finish(&held, 0, Outcome::Released);
                    break;
                }
                _ => world.complete(&held),
            }
        }
        assert!(request < 200);
    }
    _ = world.decide_by(sweep, falling);
    assert_eq!(world.decide_by(sweep, falling), 1);
    let retry = Order::Retry {
        failed: true,
        cancelled: false,
    };
    assert_eq!(world.obey(sweep, retry), 1);
    _ = world.woken();
    assert_eq!(
        world.due_cells(sweep),
        [0_u64; 0],
        "the first is to be decided again, before the third is"
    );
    world.run(sweep, falling, never);
    assert!(world.is_over(sweep));
}
