//! Points that are the same network: one of them is trained, and the others follow.

use tenfold_core::record::{Record, TrialRow};
use tenfold_core::trial::TrialState;
use tenfold_core::{Answer, Input, Order, Reason, State, explain};
use tenfold_types::{Outcome, SweepId, TrialKey};

use crate::World;
use crate::world::Held;

/// The auxiliary loss is off at points 0 to 2, which are the same network.
const WEIGHTS: &str = r#"
epochs = 2
settings.architecture = "perceptron-2"
[axes]
auxiliary_loss = [false, true]
aux_weight = [0.1, 1.0, 10.0]
"#;

fn key(index: u64, repetition: u32) -> TrialKey {
    TrialKey {
        stage: 0,
        index,
        repetition,
    }
}

const RETRY: Order = Order::Retry {
    failed: true,
    cancelled: true,
};

impl World {
    fn started(&mut self, text: &str, repetitions: u32) -> SweepId {
        let (sweep, _) = self.try_submit(&format!("repetitions = {repetitions}\n{text}"));
        assert!(self.woken());
        sweep
    }

    /// Trains all that is handed out, each trial by itself and with a restart before and after: which it was.
    fn train_distinct(&mut self, first_request: u8) -> Vec<TrialKey> {
        let mut trained = Vec::new();
        let worker = self.worker(9, 1);
        for request in first_request.. {
            self.restart();
            self.tick();
            let worker = match request {
                _ if self.state.worker(worker).is_some() => worker,
                _ => self.worker(9, 1),
            };
            let Ok(Answer::Leased(grant)) = self.acquire(worker, request) else {
                break;
            };
            let held = Held { worker, grant };
            trained.push(held.key());
            self.restart();
            self.complete_aux(&held);
        }
        trained
    }

    /// Trains a trial to its end, with as many columns as it has.
    fn complete_aux(&mut self, held: &Held) {
        let spec = &held.grant.trials[0].2;
        let (epochs, metrics) = (spec.epochs, spec.metrics().len());
        let mut block = held.block(1..=epochs);
        let wanted = metrics * epochs as usize;
        while block.columns.len() < wanted {
            block.columns.push(0.5);
        }
        assert!(self.append(held, vec![block]).is_ok());
        assert!(self.finish(held, epochs, Outcome::Succeeded).is_ok());
        _ = self.woken();
    }

    fn reasons(&self, sweep: SweepId, key: TrialKey) -> Vec<Reason> {
        explain(&self.state, sweep, key, self.now).unwrap()
    }

    fn states(&self, sweep: SweepId, repetition: u32) -> Vec<TrialState> {
        (0..3)
            .map(|index| self.trial(sweep, key(index, repetition)).state)
            .collect()
    }

    /// Writes a row as a version before this one may have left it.
    fn left(&mut self, sweep: SweepId, key: TrialKey, change: impl FnOnce(&mut TrialRow)) {
        let mut row = self.trial(sweep, key);
        change(&mut row);
        self.force(&Record::Trial(row));
    }
}

#[test]
fn one_of_them_is_trained_and_the_others_get_its_curve() {
    let mut world = World::new();
    let sweep = world.started(WEIGHTS, 2);
    let trained = world.train_distinct(1);
    let expected = [(0, 0), (3, 0), (4, 0), (5, 0), (0, 1), (3, 1), (4, 1), (5, 1)];
    assert_eq!(
        trained,
        expected.map(|(index, repetition)| key(index, repetition))
    );
    assert!(world.is_over(sweep));
    assert_eq!(world.counts(sweep), [0, 0, 0, 12, 0, 0, 0]);
    for repetition in 0..2 {
        let of = world.trial(sweep, key(0, repetition));
        for index in 1..3 {
            let twin = world.trial(sweep, key(index, repetition));
            assert_eq!((twin.state, twin.attempts), (of.state.clone(), of.attempts));
            let (mine, its) = (
                world.stored(sweep, key(index, repetition)),
                world.stored(sweep, key(0, repetition)),
            );
            assert_eq!(mine, its);
            let of = key(0, repetition);
            let twin = Reason::Twin { of, has_result: true };
            assert_eq!(world.reasons(sweep, key(index, repetition))[1..], [twin]);
        }
    }
}

#[test]
fn packs_leave_them_out() {
    let mut world = World::new();
    let sweep = world.started(WEIGHTS, 2);
    let worker = world.worker(1, 1);
    let twin = Reason::Twin {
        of: key(0, 1),
        has_result: false,
    };
    assert_eq!(world.reasons(sweep, key(2, 1)), [twin]);
    let behind = world.reasons(sweep, key(4, 0));
    assert!(
        behind.contains(&Reason::Behind { trials: 2 }),
        "points 0 and 3 alone: {behind:?}"
    );
    let input = Input::Acquire {
        worker,
        request: tenfold_types::RequestId([1; 16]),
        slot: 0,
        max_trials: 12,
        sizes: Default::default(),
    };
    let Ok(Answer::Leased(grant)) = world.ask(input) else {
        panic!("no lease");
    };
    let keys: Vec<u64> = grant.trials.iter().map(|(key, ..)| key.index).collect();
    assert_eq!(keys, [0, 0, 3, 3, 4, 4, 5, 5]);
    for held in (Held { worker, grant }).singly() {
        world.complete_aux(&held);
    }
    assert!(world.is_over(sweep));
}

#[test]
fn the_lowest_that_is_not_excluded_is_trained() {
    let mut world = World::new();
    let exclude = format!("{WEIGHTS}[[exclude]]\naux_weight = 0.1\nauxiliary_loss = false\n");
    let sweep = world.started(&exclude, 1);
    let trained = world.train_distinct(1);
    assert_eq!(trained, [1, 3, 4, 5].map(|index| key(index, 0)));
    assert!(world.is_over(sweep) && world.counts(sweep)[3] == 5);
}

#[test]
fn included_and_zipped_points_are_among_them() {
    let mut world = World::new();
    let include = format!("{WEIGHTS}[[include]]\naux_weight = [0.1, 5.0]\nauxiliary_loss = [false]\n");
    let sweep = world.started(&include, 1);
    assert_eq!(world.train_distinct(1), [0, 3, 4, 5].map(|index| key(index, 0)));
    assert!(world.is_over(sweep) && world.counts(sweep)[3] == 7);

    let mut world = World::new();
    let zip = r#"
epochs = 2
zip = [["auxiliary_loss", "aux_weight"]]
settings.architecture = "perceptron-2"
[axes]
auxiliary_loss = [true, false, true, false]
aux_weight = [0.1, 0.1, 1.0, 1.0]
learning_rate = [0.1, 0.2]
"#;
    let sweep = world.started(zip, 1);
    assert_eq!(
        world.train_distinct(1),
        [0, 1, 2, 3, 4, 5].map(|index| key(index, 0))
    );
    assert!(world.is_over(sweep) && world.counts(sweep)[3] == 8);
}

#[test]
fn they_diverge_together() {
    let mut world = World::new();
    let sweep = world.started(WEIGHTS, 1);
    let worker = world.worker(1, 1);
    let held = world.lease(worker, 1);
    world.train(&held, 1..=1);
    world.finish(&held, 1, Outcome::Diverged { epoch: 2 }).unwrap();
    let diverged = TrialState::Diverged {
        fence: held.fence(),
        epoch: 2,
    };
    assert_eq!(
        world.states(sweep, 0),
        [diverged.clone(), diverged.clone(), diverged]
    );
}

#[test]
fn they_fail_and_are_tried_again_together() {
    let mut world = World::new();
    let sweep = world.started(WEIGHTS, 1);
    let worker = world.worker(1, 1);
    for request in 1..=3 {
        let held = world.lease(worker, request);
        assert_eq!(held.key(), key(0, 0));
        world.fail(&held);
        world.pass(20);
        _ = world.woken();
        world.restart();
    }
    let failed = || [TrialState::Failed, TrialState::Failed, TrialState::Failed];
    assert_eq!(world.states(sweep, 0), failed());
    assert_eq!(world.trial(sweep, key(2, 0)).error.as_deref(), Some("it burst"));
    let twin = Reason::Twin {
        of: key(0, 0),
        has_result: false,
    };
    assert!(world.reasons(sweep, key(2, 0)).contains(&twin));
    assert_eq!(world.obey(sweep, RETRY), 3);
    assert!(world.woken());
    world.restart();
    assert_eq!(world.train_distinct(10), [0, 3, 4, 5].map(|index| key(index, 0)));
    assert!(world.is_over(sweep));
    assert_eq!(world.counts(sweep), [0, 0, 0, 6, 0, 0, 0]);
}

#[test]
fn what_is_stopped_or_cancelled_comes_back_together() {
    for order in [Order::Stop, Order::Cancel] {
        let mut world = World::new();
        let sweep = world.started(WEIGHTS, 1);
        let worker = world.worker(1, 1);
        let held = world.lease(worker, 1);
        world.obey(sweep, order);
        world.restart();
        if order == Order::Stop {
            world.complete_aux(&held);
            assert_eq!(world.counts(sweep)[3], 3, "what ran is over, with its twins");
        }
        assert!(world.is_over(sweep));
        world.obey(sweep, RETRY);
        _ = world.woken();
        let expected: &[u64] = match order {
            Order::Stop => &[3, 4, 5],
            _ => &[0, 3, 4, 5],
        };
        let trained: Vec<u64> = world.train_distinct(10).iter().map(|key| key.index).collect();
        assert_eq!(trained, expected, "{order:?}");
        assert_eq!(world.counts(sweep), [0, 0, 0, 6, 0, 0, 0]);
    }
}

#[test]
fn a_failure_while_it_stops_leaves_nothing_waiting() {
    let mut world = World::new();
    let sweep = world.started(WEIGHTS, 1);
    let worker = world.worker(1, 1);
    for request in 1..=3 {
        let held = world.lease(worker, request);
        if request == 3 {
            world.obey(sweep, Order::Stop);
        }
        world.fail(&held);
        world.pass(20);
        _ = world.woken();
    }
    assert_eq!(world.states(sweep, 0)[2], TrialState::Failed);
    world.obey(sweep, Order::Resume);
    assert!(world.woken());
    assert_eq!(world.train_distinct(10), [3, 4, 5].map(|index| key(index, 0)));
    assert!(world.is_over(sweep));
    assert_eq!(world.counts(sweep), [0, 0, 0, 3, 0, 3, 0]);
}

#[test]
fn pauses_hold_and_extensions_are_for_all() {
    let mut world = World::new();
    let sweep = world.started(WEIGHTS, 1);
    world.obey(sweep, Order::Pause);
    let worker = world.worker(1, 1);
    assert!(world.is_idle(worker, 1));
    world.obey(sweep, Order::Resume);
    assert!(world.woken());
    assert_eq!(world.train_distinct(10).len(), 4);
    assert_eq!(world.extend(sweep, None, 3), Ok(0));
    assert!(world.woken() && !world.is_over(sweep));
    let trained = world.train_distinct(20);
    assert_eq!(trained.len(), 8);
    assert!(trained.iter().all(|key| !matches!(key.index, 1 | 2)));
    assert!(world.is_over(sweep));
    assert_eq!(world.counts(sweep)[3], 18);
}

/// As a version left it that trained every point.
#[test]
fn a_store_of_a_version_that_trained_them_all_goes_on() {
    let mut world = World::new();
    let sweep = world.started(WEIGHTS, 3);
    let worker = world.worker(1, 1);
    // In repetition 0 the lowest has a result and the others none; in repetition 1 it has failed.
    let held = world.lease(worker, 1);
    world.complete_aux(&held);
    for index in [1, 2] {
        world.forget(sweep, key(index, 0));
    }
    world.left(sweep, key(0, 1), |row| {
        row.state = TrialState::Failed;
        row.failures = 3;
        row.error = Some("it burst".to_owned());
    });
    // In repetition 2 one runs that would wait now.
    let old = world.force_lease(sweep, worker, key(1, 2));
    world.restart();
    assert!(
        world.states(sweep, 0)[1..]
            .iter()
            .all(|state| *state == TrialState::Pending)
    );
    world.tick();
    assert!(
        world
            .states(sweep, 0)
            .iter()
            .all(|state| state.accepted() == Some(held.fence()))
    );
    assert!(
        world
            .states(sweep, 1)
            .iter()
            .all(|state| *state == TrialState::Failed)
    );
    assert!(matches!(world.states(sweep, 2)[1], TrialState::Leased { .. }));
    // It is trained to its end, and stays when the lowest is.
    world.complete_aux(&old);
    let trained = world.train_distinct(10);
    assert!(trained.contains(&key(0, 2)) && !trained.contains(&key(2, 2)));
    let fences: Vec<_> = world.states(sweep, 2).iter().map(TrialState::accepted).collect();
    assert_eq!(fences[1], Some(old.fence()));
    assert_ne!(fences[0], fences[1]);
    assert_eq!(fences[0], fences[2]);
    assert_eq!(world.reasons(sweep, key(1, 2)), [Reason::Succeeded { epochs: 2 }]);
    assert!(world.is_over(sweep));
}

#[test]
fn one_that_an_older_version_leased_follows_when_it_is_given_back() {
    let mut world = World::new();
    let sweep = world.started(WEIGHTS, 1);
    let worker = world.worker(1, 1);
    let old = world.force_lease(sweep, worker, key(2, 0));
    let held = world.lease(worker, 2);
    world.complete_aux(&held);
    assert!(
        matches!(world.states(sweep, 0)[2], TrialState::Leased { .. }),
        "it stays"
    );
    world.train(&old, 1..=1);
    world.finish(&old, 1, Outcome::Released).unwrap();
    let row = world.trial(sweep, key(2, 0));
    assert_eq!((row.state.accepted(), row.attempts), (Some(held.fence()), 2));
    assert_eq!(world.stored(sweep, key(2, 0)), [(held.fence(), 2)]);
    assert!(world.woken(), "given back, though nobody needs to train it");
}

#[test]
fn a_failure_that_was_its_workers_is_taken_back_for_all() {
    let mut world = World::new();
    let sweep = world.started(WEIGHTS, 1);
    world.left(sweep, key(0, 0), |row| row.state = TrialState::Failed);
    world.restart();
    world.tick();
    assert!(
        world
            .states(sweep, 0)
            .iter()
            .all(|state| *state == TrialState::Failed)
    );
    world.obey(
        sweep,
        Order::Retry {
            failed: true,
            cancelled: false,
        },
    );
    assert!(world.woken());
    assert!(
        world
            .states(sweep, 0)
            .iter()
            .all(|state| *state == TrialState::Pending)
    );
    let _: &State = &world.state;
}

/// Searches and repetitions by need: the later rungs and repetitions of twins follow too.
#[test]
fn gates_open_for_all_of_them() {
    let gates = [
        "repetitions = 1\nstop = { rule = \"successive-halving\", from = 1, factor = 2 }",
        "repetitions = 1\nstop = { rule = \"asha\", from = 1, factor = 2 }",
        "repetitions = 1\nstop = { rule = \"median\", at = [1], startup = 1 }",
        "repetitions = 1\nstop = { rule = \"patience\", at = [1], patience = 1, tolerance = 0.1 }",
        "repetitions = { min = 2, max = 6, until = { ci95_half_width = 0.5, at = 2 } }",
    ];
    for gate in gates {
        let mut world = World::new();
        let (sweep, _) = world.try_submit(&format!("{gate}\n{WEIGHTS}"));
        assert!(world.woken());
        let mut trained = Vec::new();
        for round in 0..20 {
            trained.extend(world.train_distinct(1 + 10 * round));
            if world.decide(sweep) == 0 && world.is_over(sweep) {
                break;
            }
            world.restart();
        }
        assert!(world.is_over(sweep), "{gate}");
        let state = world.state.sweep(sweep).unwrap();
        for row in state.touched_trials() {
            let key = row.id.key;
            let of = state.sweep().representative(key);
            if of != key {
                assert_eq!(
                    row.state.accepted(),
                    state.trial(of).unwrap().state.accepted(),
                    "{gate} {key}"
                );
                assert!(!trained.contains(&key), "{gate}: {key} was trained");
            }
        }
    }
}
