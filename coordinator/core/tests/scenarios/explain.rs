//! Why a trial waits, runs or is over: each reason, as it comes about.

use std::collections::BTreeMap;

use tenfold_core::record::{Candidate, Slot};
use tenfold_core::sweep::ChoiceId;
use tenfold_core::{Input, Order, Reason, Settings, explain};
use tenfold_types::{DeviceKind, Outcome, RequestId, SweepId, TrialKey, Value};

use crate::World;
use crate::world::{Held, SETTINGS};

fn key(index: u64, repetition: u32) -> TrialKey {
    TrialKey {
        stage: 0,
        index,
        repetition,
    }
}

impl World {
    fn why(&self, sweep: SweepId, key: TrialKey) -> Vec<Reason> {
        explain(&self.state, sweep, key, self.now).unwrap()
    }
}

#[test]
fn what_waits_waits_for_workers_then_in_line() {
    let mut world = World::new();
    let sweep = world.sweep(3, 2, 1);
    assert_eq!(explain(&world.state, sweep, key(3, 0), world.now), None);
    assert_eq!(world.why(sweep, key(0, 0)), [Reason::NoWorker]);
    assert_eq!(
        world.why(sweep, key(1, 1)),
        [Reason::NoWorker, Reason::Behind { trials: 4 }]
    );
    let worker = world.worker(1, 2);
    let next = |busy| [Reason::Next { slots: 2, busy }];
    assert_eq!(world.why(sweep, key(0, 0)), next(0));
    let held = world.lease(worker, 1);
    assert_eq!(world.why(sweep, key(1, 0)), next(1));
    assert_eq!(world.why(sweep, key(1, 1)), [Reason::Behind { trials: 3 }]);
    // Lost, it waits again; the rest is behind it once more.
    world.pass(100);
    assert!(world.woken());
    let silent = Reason::Unwilling {
        quarantined: 0,
        draining: 0,
        silent: 1,
    };
    world.pass(1);
    assert_eq!(world.why(sweep, held.key()), std::slice::from_ref(&silent));
    assert_eq!(
        world.why(sweep, key(1, 0)),
        [silent, Reason::Behind { trials: 1 }]
    );
    let other = world.worker(2, 1);
    world.ask(Input::Drain(other)).unwrap();
    let unwilling = Reason::Unwilling {
        quarantined: 0,
        draining: 1,
        silent: 1,
    };
    assert_eq!(world.why(sweep, held.key()), [unwilling]);
}

#[test]
fn what_is_excluded_does_not_stand_in_line() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(
        "repetitions = 2\nepochs = 1\n[settings]\narchitecture = \"perceptron-5\"\n[axes]\nlearning_rate = [1e-1, 1e-2, 1e-3]\n\
         batch_size = [10, 20]\n[[exclude]]\nlearning_rate = 1e-2\n",
    );
    assert!(world.woken());
    let worker = world.worker(1, 1);
    let behind = |trials| [Reason::Behind { trials }];
    assert_eq!(world.why(sweep, key(5, 0)), behind(3));
    assert_eq!(world.why(sweep, key(5, 1)), behind(7));
    let held = world.lease(worker, 1);
    assert_eq!(held.key(), key(0, 0));
    assert_eq!(world.why(sweep, key(5, 1)), behind(6));
}

#[test]
fn a_sweep_is_paused_stopped_or_shares_the_slots() {
    let mut world = World::new();
    let first = world.sweep(1, 1, 1);
    let second = world.sweep_with("seed = 2", 1, 1, 1);
    world.worker(1, 1);
    let next = Reason::Next { slots: 1, busy: 0 };
    let sharing = Reason::Sharing { sweeps: 1 };
    assert_eq!(world.why(first, key(0, 0)), [sharing, next.clone()]);
    world.obey(first, Order::Pause);
    assert_eq!(world.why(first, key(0, 0)), [Reason::Paused, next.clone()]);
    assert_eq!(world.why(second, key(0, 0)), [next]);
    world.obey(second, Order::Stop);
    assert_eq!(world.why(second, key(0, 0)), [Reason::Cancelled]);
    world.obey(second, Order::Resume);
    assert!(world.woken());
}

#[test]
fn no_worker_has_the_device_that_the_sweep_requires() {
    let mut world = World::new();
    let sweep = world.sweep_with("device = \"cuda\"", 1, 1, 1);
    assert_eq!(world.why(sweep, key(0, 0)), [Reason::NoWorker]);
    world.worker(1, 4);
    let required = DeviceKind::Cuda;
    assert_eq!(world.why(sweep, key(0, 0)), [Reason::NoDevice { required }]);
    let slot = |kind| Slot {
        kind,
        device: "a device".to_owned(),
        threads: 1,
    };
    world.register(2, vec![slot(DeviceKind::Cuda), slot(DeviceKind::Cpu)]);
    assert_eq!(world.why(sweep, key(0, 0)), [Reason::Next { slots: 1, busy: 0 }]);
}

#[test]
fn a_worker_in_quarantine_takes_none() {
    let mut world = World::new();
    let sweep = world.sweep(8, 1, 1);
    let (bad, good) = (world.worker(1, 1), world.worker(2, 1));
    for request in 0..5 {
        let held = world.lease(bad, request);
        world.fail(&held);
        world.woken();
    }
    world.ask(Input::Drain(good)).unwrap();
    let unwilling = Reason::Unwilling {
        quarantined: 1,
        draining: 1,
        silent: 0,
    };
    let reasons = world.why(sweep, key(7, 0));
    assert_eq!(reasons[0], unwilling);
}

#[test]
fn a_failure_rests_then_runs_alone_and_ends_with_its_reason() {
    let mut world = World::new();
    let sweep = world.sweep(1, 1, 1);
    let worker = world.worker(1, 1);
    let alone = |failures| Reason::Alone { failures, limit: 3 };
    for failures in 1..=2 {
        let held = world.lease(worker, failures as u8);
        world.fail(&held);
        let until = world.now + [10, 15][failures as usize - 1];
        assert_eq!(
            world.why(sweep, key(0, 0)),
            [Reason::Backoff { until }, alone(failures)]
        );
        world.pass(15);
        assert!(world.woken());
        assert_eq!(
            world.why(sweep, key(0, 0)),
            [alone(failures), Reason::Next { slots: 1, busy: 0 }]
        );
    }
    let held = world.lease(worker, 3);
    world.fail(&held);
    let failed = Reason::Failed {
        failures: 3,
        limit: 3,
        error: "it burst".to_owned(),
    };
    assert_eq!(world.why(sweep, key(0, 0)), [failed]);
}

#[test]
fn what_is_held_says_where_and_since_when() {
    let mut world = World::with(Settings {
        grace: 50,
        ..SETTINGS
    });
    let sweep = world.sweep(2, 1, 3);
    let worker = world.worker(1, 1);
    let held = world.lease(worker, 1);
    world.train(&held, 1..=2);
    let since = world.now;
    let reason = Reason::Held {
        fence: held.fence(),
        worker,
        host: "node-1".to_owned(),
        slot: 0,
        since,
        together: 1,
        epochs: 2,
        of: 3,
    };
    assert_eq!(world.why(sweep, key(0, 0)), std::slice::from_ref(&reason));
    world.pass(100);
    let until = world.now + 50;
    assert_eq!(world.why(sweep, key(0, 0)), [reason, Reason::Suspect { until }]);
    world.train(&held, 3..=3);
    world.finish(&held, 3, Outcome::Succeeded).unwrap();
    assert_eq!(world.why(sweep, key(0, 0)), [Reason::Succeeded { epochs: 3 }]);
    let held = world.lease(worker, 2);
    world.finish(&held, 0, Outcome::Diverged { epoch: 1 }).unwrap();
    assert_eq!(world.why(sweep, key(1, 0)), [Reason::Diverged { epoch: 1 }]);
}

#[test]
fn a_pack_whose_trainer_died_is_split() {
    let mut world = World::new();
    let sweep = world.sweep(4, 1, 1);
    let worker = world.worker(1, 1);
    let answer = world.ask(Input::Acquire {
        worker,
        request: RequestId([1; 16]),
        slot: 0,
        max_trials: 4,
        sizes: BTreeMap::new(),
    });
    let Ok(tenfold_core::Answer::Leased(grant)) = answer else {
        panic!("{answer:?}")
    };
    for held in (Held { worker, grant }).singly() {
        let error = "it died".to_owned();
        let lost = Outcome::Lost { error, together: 4 };
        world.finish(&held, 0, lost).unwrap();
        world.woken();
    }
    let limit = Reason::PackLimit { trials: 2 };
    assert_eq!(
        world.why(sweep, key(0, 0)),
        [limit.clone(), Reason::Next { slots: 1, busy: 0 }]
    );
    assert_eq!(world.why(sweep, key(2, 0)), [limit, Reason::Behind { trials: 2 }]);
}

#[test]
fn a_stage_waits_for_what_is_chosen_from_an_earlier_one() {
    let mut world = World::new();
    let (sweep, _) = world.try_submit(
        "epochs = 1\nrepetitions = 1\n[settings]\narchitecture = \"perceptron-1\"\n[[stage]]\nname = \"coarse\"\n[stage.axes]\n\
         learning_rate = [0.1, 0.01]\n[[stage]]\nname = \"fine\"\nepochs = 2\n[stage.axes]\nlearning_rate = { best_of = \"coarse\" }\n",
    );
    assert!(world.woken());
    let worker = world.worker(1, 1);
    let later = TrialKey {
        stage: 1,
        ..key(0, 0)
    };
    let choice = ChoiceId {
        stage: 1,
        rule: 0,
        cell: 0,
    };
    for open in [2, 1] {
        assert_eq!(world.why(sweep, later), [Reason::Choice { choice, open }]);
        let held = world.lease(worker, open as u8);
        world.complete(&held);
    }
    assert_eq!(world.why(sweep, later), [Reason::Choice { choice, open: 0 }]);
    let candidate = |value| Candidate {
        n: 1,
        mean: value,
        ..Candidate::without_trials(Value::Float(value))
    };
    world
        .ask(Input::Choose {
            sweep,
            choice,
            candidates: vec![candidate(0.1), candidate(0.01)],
        })
        .unwrap();
    assert!(world.woken());
    assert_eq!(world.why(sweep, later), [Reason::Next { slots: 1, busy: 0 }]);
}
