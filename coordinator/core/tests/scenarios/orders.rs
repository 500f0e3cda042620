//! What people ask of sweeps while they wait, run and are over.

use tenfold_core::record::Control;
use tenfold_core::trial::TrialState;
use tenfold_core::{Order, Refusal, Standing};
use tenfold_types::{Outcome, SweepId};

use crate::World;

const fn retry(failed: bool, cancelled: bool) -> Order {
    Order::Retry { failed, cancelled }
}

#[test]
fn the_same_text_is_the_same_sweep() {
    let mut world = World::new();
    let text = "seed = 3\nrepetitions = 1\nepochs = 1\n[settings]\narchitecture = \"perceptron-5\"\n";
    let (first, existing) = world.try_submit(text);
    assert!(!existing && world.woken());
    let (again, existing) = world.try_submit(&text.replace("seed = 3", "# a remark\nseed   =   3"));
    assert!(existing && again == first && world.wrote == 0);
    let (other, existing) = world.try_submit(&text.replace("seed = 3", "seed = 4"));
    assert!(!existing && world.woken() && other != first);
    let newest: Vec<SweepId> = world.state.newest_sweeps().map(|sweep| sweep.row().id).collect();
    assert_eq!(newest, [other, first]);
}

#[test]
fn a_paused_sweep_finishes_what_runs_and_hands_out_nothing() {
    let mut world = World::new();
    let sweep = world.sweep(2, 1, 1);
    let worker = world.worker(1, 1);
    let held = world.lease(worker, 1);
    world.obey(sweep, Order::Pause);
    world.obey(sweep, Order::Pause);
    assert_eq!(world.wrote, 0, "asked again, it is paused already");
    world.complete(&held);
    assert!(world.is_idle(worker, 2) && !world.is_over(sweep));
    world.obey(sweep, Order::Resume);
    assert!(world.woken());
    let held = world.lease(worker, 2);
    world.complete(&held);
    assert!(world.is_over(sweep));
    assert!(matches!(
        world.order(sweep, Order::Pause),
        Err(Refusal::NotNow { state: "over", .. })
    ));
}

#[test]
fn a_trial_that_fails_or_is_lost_while_paused_waits_for_the_resume() {
    let mut world = World::new();
    let sweep = world.sweep(2, 1, 1);
    let worker = world.worker(1, 1);
    let (failing, lost) = (world.lease(worker, 1), world.lease(worker, 2));
    world.obey(sweep, Order::Pause);
    world.fail(&failing);
    assert_eq!(world.finish(&lost, 0, Outcome::Released), Ok(Standing::Ended));
    world.pass(50);
    _ = world.woken();
    assert_eq!(world.counts(sweep), [2, 0, 0, 0, 0, 0, 0]);
    assert!(world.is_idle(worker, 3));
    world.obey(sweep, Order::Resume);
    assert!(world.woken());
    let held = world.lease(worker, 3);
    assert_eq!((held.key(), held.attempt()), (failing.key(), 2));
    world.complete(&held);
}

#[test]
fn a_retry_of_a_paused_sweep_leaves_it_paused() {
    let mut world = World::new();
    let sweep = world.sweep(2, 1, 1);
    let worker = world.worker(1, 1);
    let mut request = 0;
    let failed = loop {
        request += 1;
        let held = world.lease(worker, request);
        if held.key().index > 0 {
            // The other point: it goes on, and is not what this is about.
            world.obey(sweep, Order::Pause);
            assert_eq!(world.finish(&held, 0, Outcome::Released), Ok(Standing::Ended));
            world.obey(sweep, Order::Resume);
            world.pass(1_000);
            continue;
        }
        world.fail(&held);
        if world.trial_state(&held) == TrialState::Failed {
            break held;
        }
        world.pass(1_000);
    };
    _ = world.woken();
    world.obey(sweep, Order::Pause);
    assert_eq!(world.obey(sweep, retry(true, false)), 1);
    assert_eq!(world.trial_state(&failed), TrialState::Pending);
    _ = world.woken();
    assert!(world.is_idle(worker, 99), "it is paused still");
    world.obey(sweep, Order::Resume);
    assert!(world.woken());
    let again = world.lease(worker, 100);
    assert_eq!(again.key(), failed.key());
    world.complete(&again);
}

#[test]
fn a_stopped_sweep_finishes_what_runs_and_cancels_the_rest() {
    let mut world = World::new();
    let sweep = world.sweep(6, 1, 1);
    let worker = world.worker(1, 1);
    let resting = world.lease(worker, 0);
    world.fail(&resting);
    let [done, burst, lost, given_back] = [1, 2, 3, 4].map(|request| world.lease(worker, request));
    world.obey(sweep, Order::Stop);
    assert_eq!(
        world.counts(sweep),
        [0, 4, 0, 0, 0, 0, 2],
        "the one at rest and the one never begun are cancelled"
    );
    assert!(world.is_idle(worker, 9) && !world.is_over(sweep));
    assert!(matches!(
        world.order(sweep, Order::Pause),
        Err(Refusal::NotNow { state: "stopped", .. })
    ));
    world.complete(&done);
    world.fail(&burst);
    assert_eq!(
        world.trial_state(&burst),
        TrialState::Cancelled,
        "no more attempts are made"
    );
    assert_eq!(
        world.trial(sweep, burst.key()).error.as_deref(),
        Some("it burst"),
        "but the error is kept"
    );
    assert_eq!(
        world.finish(&given_back, 0, Outcome::Released),
        Ok(Standing::Ended)
    );
    assert!(!world.is_over(sweep));
    world.pass(100);
    assert_eq!(world.trial_state(&lost), TrialState::Cancelled);
    assert_eq!(world.counts(sweep), [0, 0, 0, 1, 0, 0, 5]);
    assert!(world.is_over(sweep) && !world.woken());
    world.obey(sweep, Order::Stop);
    world.obey(sweep, Order::Cancel);
    assert_eq!(world.wrote, 0, "it is over already");

    world.obey(sweep, Order::Resume);
    assert!(world.woken());
    assert_eq!(
        world.counts(sweep),
        [5, 0, 0, 1, 0, 0, 0],
        "a resume brings back all but what is done"
    );
    for request in 20..25 {
        let held = world.lease(worker, request);
        world.complete(&held);
    }
    assert!(world.is_over(sweep));
}

#[test]
fn a_cancelled_sweep_ends_at_once_and_its_workers_hear_of_it() {
    let mut world = World::new();
    let sweep = world.sweep(3, 1, 2);
    let other = world.sweep_with("seed = 2", 1, 1, 2);
    let worker = world.worker(1, 1);
    let (held, elsewhere) = (world.lease(worker, 1), world.lease(worker, 2));
    assert_eq!(elsewhere.grant.sweep, other);
    world.train(&held, 1..=1);
    world.obey(sweep, Order::Cancel);
    assert!(world.is_over(sweep));
    assert_eq!(world.counts(sweep), [0, 0, 0, 0, 0, 0, 3]);
    assert_eq!(world.stored(sweep, held.key()), []);
    assert_eq!(world.attempts(sweep, held.key())[0].ended, "cancelled");
    let stale = Refusal::StaleFence(held.fence());
    assert_eq!(world.append(&held, vec![held.block(2..=2)]), Err(stale.clone()));
    assert_eq!(world.finish(&held, 2, Outcome::Succeeded), Err(stale.clone()));
    assert_eq!(
        world.heartbeat(worker, vec![held.fence(), elsewhere.fence()]),
        [held.fence()]
    );
    world.complete(&elsewhere);
    assert!(world.is_idle(worker, 3));

    assert_eq!(world.obey(sweep, retry(true, false)), 0, "nothing has failed");
    assert_eq!(
        world.obey(sweep, retry(false, true)),
        3,
        "those never begun count too"
    );
    assert!(world.woken());
    assert_eq!(world.counts(sweep), [3, 0, 0, 0, 0, 0, 0]);
    let again = world.lease(worker, 4);
    assert_eq!((again.key(), again.attempt()), (held.key(), 2));
    assert_eq!(
        world.append(&held, vec![held.block(2..=2)]),
        Err(stale),
        "the old attempt stays out"
    );
    world.complete(&again);
    world.obey(sweep, Order::Cancel);
    assert_eq!(world.counts(sweep), [0, 0, 0, 1, 0, 0, 2], "what succeeded stays");
}

#[test]
fn retrying_failures_does_not_bring_back_what_was_stopped() {
    let mut world = World::new();
    let sweep = world.sweep(2, 1, 1);
    let worker = world.worker(1, 1);
    for request in 0..3 {
        let held = world.lease(worker, request);
        assert_eq!(held.key().index, 0);
        world.fail(&held);
        world.pass(20);
    }
    assert!(world.woken());
    world.obey(sweep, Order::Stop);
    assert_eq!(world.counts(sweep), [0, 0, 0, 0, 0, 1, 1]);
    assert!(matches!(
        world.order(sweep, retry(true, false)),
        Err(Refusal::NotNow { state: "stopped", .. })
    ));
    assert_eq!(world.obey(sweep, retry(true, true)), 2);
    assert!(world.woken());
    assert_eq!(world.state.sweep(sweep).unwrap().row().control, Control::Active);
    assert_eq!(world.counts(sweep), [2, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn orders_to_a_sweep_that_is_not_there_are_refused() {
    let mut world = World::new();
    let nowhere = SweepId([7; 16]);
    for order in [
        Order::Pause,
        Order::Resume,
        Order::Stop,
        Order::Cancel,
        retry(true, true),
    ] {
        assert_eq!(world.order(nowhere, order), Err(Refusal::UnknownSweep(nowhere)));
    }
}
