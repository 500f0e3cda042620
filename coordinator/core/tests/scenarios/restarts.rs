//! A coordinator that goes away and comes back.

use tenfold_core::trial::TrialState;
use tenfold_types::TrialKey;

use crate::World;

#[test]
fn downtime_expires_no_lease() {
    let mut world = World::new();
    let sweep = world.sweep(2, 1, 3);
    let worker = world.worker(1, 1);
    let held = world.lease(worker, 1);
    world.train(&held, 1..=2);
    world.now += 1_000_000;
    world.restart();
    world.pass(99);
    assert_eq!(world.heartbeat(worker, vec![held.fence()]), []);
    assert_eq!(world.lease(worker, 1), held, "also the request still finds it");
    world.train(&held, 1..=3);
    assert_eq!(
        world.finish(&held, 3, tenfold_types::Outcome::Succeeded),
        Ok(tenfold_core::Standing::Ended)
    );
    assert_eq!(world.stored(sweep, held.key()), [(held.fence(), 3)]);
}

#[test]
fn a_lease_whose_worker_did_not_come_back_expires_a_term_later() {
    let mut world = World::new();
    let sweep = world.sweep(1, 1, 3);
    let worker = world.worker(1, 1);
    let held = world.lease(worker, 1);
    world.pass(50);
    world.restart();
    world.pass(99);
    assert_eq!(world.counts(sweep), [0, 1, 0, 0, 0, 0, 0]);
    world.pass(1);
    assert!(world.woken());
    assert_eq!(world.trial_state(&held), TrialState::Pending);
}

#[test]
fn rests_and_failures_are_remembered() {
    let mut world = World::new();
    let sweep = world.sweep(1, 1, 3);
    let worker = world.worker(1, 1);
    for request in 1..=3 {
        let held = world.lease(worker, request);
        world.restart();
        world.fail(&held);
        world.restart();
        assert_eq!(world.trial(sweep, held.key()).failures, u32::from(request));
        if request < 3 {
            world.pass(9);
            assert!(world.is_idle(worker, 90));
            world.pass(6);
            assert!(world.woken());
        }
    }
    assert_eq!(world.trial(sweep, TrialKey::FIRST).state, TrialState::Failed);
    assert!(world.is_over(sweep));
}
