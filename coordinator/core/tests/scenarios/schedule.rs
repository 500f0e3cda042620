//! Who gets which trial.

use std::collections::BTreeMap;

use tenfold_core::record::Slot;
use tenfold_core::{Input, Order, Refusal};
use tenfold_types::{DeviceKind, RequestId, TrialKey, WorkerId};

use crate::World;

fn key(repetition: u32, index: u64) -> TrialKey {
    TrialKey {
        stage: 0,
        repetition,
        index,
    }
}

#[test]
fn every_point_is_tried_once_before_any_is_tried_twice() {
    let mut world = World::new();
    let sweep = world.sweep(3, 2, 1);
    let workers = [world.worker(1, 1), world.worker(2, 1)];
    let mut order = Vec::new();
    for request in 0..6 {
        let held = world.lease(workers[usize::from(request % 2)], request);
        order.push(held.key());
        if request % 3 != 0 {
            world.complete(&held);
        }
    }
    let expected: Vec<TrialKey> = (0..2)
        .flat_map(|r| (0..3).map(move |index| key(r, index)))
        .collect();
    assert_eq!(order, expected);
    assert!(world.is_idle(workers[0], 90), "none is given twice");
    assert_eq!(world.counts(sweep), [0, 2, 0, 4, 0, 0, 0]);
}

#[test]
fn a_trial_that_comes_back_takes_its_old_place_in_line() {
    let mut world = World::new();
    world.sweep(3, 2, 1);
    let worker = world.worker(1, 1);
    let first = world.lease(worker, 1);
    let second = world.lease(worker, 2);
    world.complete(&second);
    world.fail(&first);
    let third = world.lease(worker, 3);
    assert_eq!(third.key(), key(0, 2), "while it rests the others go on");
    world.pass(10);
    assert!(world.woken());
    assert_eq!(world.lease(worker, 4).key(), first.key());
    assert_eq!(world.lease(worker, 5).key(), key(1, 0));
}

#[test]
fn sweeps_that_run_at_once_share_the_slots() {
    let mut world = World::new();
    let first = world.sweep_with("seed = 1", 20, 1, 1);
    let second = world.sweep_with("seed = 2", 20, 1, 1);
    let worker = world.worker(1, 8);
    for request in 0..8 {
        world.lease(worker, request);
    }
    assert_eq!((world.counts(first)[1], world.counts(second)[1]), (4, 4));
    let third = world.sweep_with("seed = 3", 2, 1, 1);
    for request in 10..12 {
        assert_eq!(
            world.lease(worker, request).grant.sweep,
            third,
            "the newcomer has the fewest"
        );
    }
    world.obey(second, Order::Pause);
    for request in 20..24 {
        assert_eq!(
            world.lease(worker, request).grant.sweep,
            first,
            "the only one with work to give"
        );
    }
}

#[test]
fn a_sweep_that_requires_a_device_runs_on_no_other() {
    let mut world = World::new();
    let picky = world.sweep_with("seed = 1\ndevice = \"cuda\"", 1, 1, 1);
    let slot = |kind| Slot {
        kind,
        device: "it".to_owned(),
        threads: 1,
    };
    let worker = world.register(1, vec![slot(DeviceKind::Cpu), slot(DeviceKind::Cuda)]);
    assert!(world.is_idle(worker, 1));
    let any = world.sweep_with("seed = 2", 1, 1, 1);
    assert_eq!(
        world.lease(worker, 1).grant.sweep,
        any,
        "the older one is passed over, not waited for"
    );
    let on_gpu = Input::Acquire {
        worker,
        request: RequestId([2; 16]),
        slot: 1,
        max_trials: 1,
        sizes: BTreeMap::new(),
    };
    world.ask(on_gpu).unwrap();
    assert_eq!(world.counts(picky)[1], 1);
}

#[test]
fn who_asks_wrongly_gets_nothing() {
    let mut world = World::new();
    world.sweep(1, 1, 1);
    let stranger = WorkerId([8; 8]);
    assert_eq!(world.acquire(stranger, 1), Err(Refusal::UnknownWorker(stranger)));
    let worker = world.worker(1, 2);
    let acquire = |slot, max_trials| Input::Acquire {
        worker,
        request: RequestId([1; 16]),
        slot,
        max_trials,
        sizes: BTreeMap::new(),
    };
    let unknown = Refusal::UnknownSlot {
        worker,
        slot: 2,
        slots: 2,
    };
    assert_eq!(world.ask(acquire(2, 1)), Err(unknown));
    assert_eq!(world.ask(acquire(0, 0)), Err(Refusal::EmptyPack));
    assert!(world.ask(acquire(1, u32::MAX)).is_ok());
}

#[test]
fn fences_only_grow() {
    let mut world = World::new();
    world.sweep(40, 1, 1);
    let worker = world.worker(1, 1);
    let mut last = tenfold_types::Fence(0);
    for request in 0..30 {
        let held = world.lease(worker, request);
        assert!(held.fence() > last);
        last = held.fence();
        match request % 3 {
            0 => world.complete(&held),
            1 => world.fail(&held),
            _ => world.restart(),
        }
    }
}
