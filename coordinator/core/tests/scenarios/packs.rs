//! Packs of several trials.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tenfold_core::trial::TrialState;
use tenfold_core::{Acknowledgement, Answer, Input, Refusal, Standing};
use tenfold_types::{Outcome, RequestId, ShapeKey, SweepId, TrialKey, WorkerId};

use crate::World;
use crate::world::Held;

/// Two networks, the fastest axis; three rates; so many repetitions.
fn alternating(world: &mut World, repetitions: u32) -> SweepId {
    let text = format!(
        "repetitions = {repetitions}\nepochs = 1\n[axes]\nlearning_rate = [0.1, 0.01, 0.001]\n\
         architecture = [\"perceptron-5\", \"perceptron-6\"]\n"
    );
    let (sweep, _) = world.try_submit(&text);
    assert!(world.woken());
    sweep
}

fn shape(world: &World, sweep: SweepId, key: TrialKey) -> ShapeKey {
    let sweep = world.state.sweep(sweep).unwrap().sweep();
    sweep.spec(key).unwrap().shape()
}

fn acquire(worker: WorkerId, request: u8, max_trials: u32, sizes: &BTreeMap<ShapeKey, u32>) -> Input {
    Input::Acquire {
        worker,
        request: RequestId([request; 16]),
        slot: 0,
        max_trials,
        sizes: sizes.clone(),
    }
}

fn pack(
    world: &mut World,
    worker: WorkerId,
    request: u8,
    max_trials: u32,
    sizes: &BTreeMap<ShapeKey, u32>,
) -> Held {
    match world.ask(acquire(worker, request, max_trials, sizes)) {
        Ok(Answer::Leased(grant)) => Held { worker, grant },
        other => panic!("no lease but {other:?}"),
    }
}

/// Points and repetitions, in the pack's order.
fn listed(held: &Held) -> Vec<(u64, u32)> {
    held.singly()
        .iter()
        .map(|held| (held.key().index, held.key().repetition))
        .collect()
}

#[test]
fn a_pack_has_one_shape_and_the_repetitions_of_a_point_together() {
    let mut world = World::new();
    let sweep = alternating(&mut world, 3);
    let worker = world.worker(1, 1);
    let none = BTreeMap::new();
    let first = pack(&mut world, worker, 1, 5, &none);
    assert_eq!(
        listed(&first),
        [(0, 0), (0, 1), (0, 2), (2, 0), (2, 1)],
        "the other network, at odd indexes, is passed over"
    );
    let second = pack(&mut world, worker, 2, 5, &none);
    assert_eq!(
        listed(&second),
        [(1, 0), (1, 1), (1, 2), (3, 0), (3, 1)],
        "the first in line has the other shape"
    );
    assert_eq!(
        pack(&mut world, worker, 2, 1, &none),
        second,
        "the same request, whatever it asks for now, has the same lease"
    );
    let third = pack(&mut world, worker, 3, 100, &none);
    assert_eq!(listed(&third), [(4, 0), (4, 1), (4, 2), (2, 2)]);
    assert_eq!(third.grant.sweep_trials, 18);
    for held in [first, second, third].iter().flat_map(Held::singly) {
        world.complete(&held);
    }
    assert_eq!(world.counts(sweep), [4, 0, 0, 14, 0, 0, 0]);
}

#[test]
fn a_shape_that_the_worker_knows_has_its_own_size() {
    let mut world = World::new();
    let sweep = alternating(&mut world, 1);
    let worker = world.worker(1, 1);
    let key = |index| TrialKey {
        index,
        ..TrialKey::FIRST
    };
    let sizes = BTreeMap::from([
        (shape(&world, sweep, key(0)), 3),
        (shape(&world, sweep, key(1)), 1),
    ]);
    let first = pack(&mut world, worker, 1, 2, &sizes);
    assert_eq!(listed(&first), [(0, 0), (2, 0), (4, 0)]);
    let second = pack(&mut world, worker, 2, 2, &sizes);
    assert_eq!(
        listed(&second),
        [(1, 0)],
        "fewer than for shapes that it does not know"
    );
    let nothing = BTreeMap::from([(ShapeKey(1), 0)]);
    assert_eq!(
        world.ask(acquire(worker, 3, 1, &nothing)),
        Err(Refusal::EmptyPack)
    );
}

#[test]
fn the_last_trials_are_shared_among_the_slots_that_live() {
    let mut world = World::new();
    let sweep = world.sweep(20, 1, 1);
    let shape = shape(&world, sweep, TrialKey::FIRST);
    let sizes = BTreeMap::from([(shape, 100)]);
    let gone = world.worker(1, 50);
    world.pass(world.state.settings().lease_term + 1);
    let workers = [world.worker(2, 3), world.worker(3, 1)];
    let mut request = 0;
    let mut lengths = Vec::new();
    while world.counts(sweep)[0] > 0 {
        request += 1;
        let worker = workers[usize::from(request % 2)];
        lengths.push(pack(&mut world, worker, request, 2, &sizes).grant.trials.len());
    }
    assert_eq!(
        lengths,
        [5, 4, 3, 2, 2, 2, 2],
        "a quarter of what is left each time, but never less than a slot trains at once"
    );
    assert!(world.is_idle(gone, 90));
}

#[test]
fn a_trial_that_has_failed_is_leased_by_itself() {
    let mut world = World::new();
    world.sweep(4, 1, 1);
    let worker = world.worker(1, 1);
    let none = BTreeMap::new();
    let first = pack(&mut world, worker, 1, 1, &none);
    world.fail(&first);
    world.pass(10);
    assert!(world.woken());
    assert_eq!(listed(&pack(&mut world, worker, 2, 3, &none)), [(0, 0)]);
    let rest = pack(&mut world, worker, 3, 2, &none);
    assert_eq!(listed(&rest), [(1, 0), (2, 0)]);
    world.fail(&rest.singly()[1]);
    world.pass(10);
    assert!(world.woken());
    assert_eq!(
        listed(&pack(&mut world, worker, 4, 3, &none)),
        [(2, 0)],
        "also when others wait behind it"
    );
    assert_eq!(listed(&pack(&mut world, worker, 5, 3, &none)), [(3, 0)]);
}

#[test]
fn what_comes_late_of_one_trial_does_not_cost_the_others_their_lease() {
    let mut world = World::new();
    let sweep = world.sweep(2, 1, 2);
    let worker = world.worker(1, 1);
    let held = pack(&mut world, worker, 1, 2, &BTreeMap::new());
    let [given_back, other] = [0, 1].map(|place| held.singly()[place].clone());
    world.train(&given_back, 1..=1);
    world.train(&other, 1..=1);
    for standing in [Standing::Ended, Standing::Cancelled] {
        assert_eq!(
            world.finish(&given_back, 1, Outcome::Released),
            Ok(standing),
            "said twice, answered twice"
        );
    }
    assert!(world.woken());
    assert_eq!(world.stored(sweep, given_back.key()), [], "its epochs are gone");
    let late = world.append(&given_back, vec![given_back.block(2..=2)]);
    assert_eq!(
        late,
        Ok(Acknowledgement {
            epochs: 0,
            standing: Standing::Cancelled
        })
    );
    let again = pack(&mut world, worker, 2, 2, &BTreeMap::new());
    assert_eq!(
        (again.key(), again.attempt()),
        (given_back.key(), 2),
        "it runs again while its neighbour goes on"
    );
    assert_eq!(
        world.finish(&given_back, 1, Outcome::Released),
        Ok(Standing::Cancelled)
    );
    assert!(matches!(world.trial_state(&again), TrialState::Leased { fence, .. } if fence == again.fence()));
    world.train(&other, 2..=2);
    assert_eq!(world.finish(&other, 2, Outcome::Succeeded), Ok(Standing::Ended));
    assert_eq!(world.heartbeat(worker, vec![held.fence()]), [held.fence()]);
    world.complete(&again);
    assert!(world.is_over(sweep));
}

#[test]
fn the_largest_sweep_gives_packs_from_all_its_length() {
    let mut world = World::new();
    let text = "repetitions = 20\nepochs = 1\n[axes]\nlearning_rate = { log = [1e-6, 1.0], points = 100000 }\n\
                architecture = [\"perceptron-5\", \"perceptron-6\", \"perceptron-7\", \"perceptron-8\", \"perceptron-9\"]\n";
    let (sweep, _) = world.try_submit(text);
    assert!(world.woken());
    let worker = world.worker(1, 1);
    for request in 1..=5 {
        let held = pack(&mut world, worker, request, 500, &BTreeMap::new());
        assert_eq!(held.grant.trials.len(), 500);
        assert_eq!(held.key().index, u64::from(request) - 1);
    }
    assert_eq!(world.counts(sweep)[1], 2_500);
}

#[derive(Debug, Clone)]
enum Step {
    Acquire { worker: u8, most: u32, size: u32 },
    End { held: usize, outcome: u8 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (prop_oneof![2 => Just(0_u8), 1 => 1..3_u8], 1..6_u32, 1..12_u32)
            .prop_map(|(worker, most, size)| Step::Acquire { worker, most, size }),
        6 => (0..64_usize, 0..6_u8).prop_map(|(held, outcome)| Step::End { held, outcome }),
        1 => Just(Step::Restart),
    ]
}

fn grid() -> impl Strategy<Value = String> {
    let networks = ["\"perceptron-5\"", "\"perceptron-6\"", "\"conv-1\""];
    let shared = ["false", "true"];
    let axis = |name: &'static str, values: Vec<&'static str>| {
        let most = values.len();
        prop::sample::subsequence(values, 1..=most).prop_map(move |values| (name, values))
    };
    let axes = (
        axis("learning_rate", vec!["0.1", "0.01", "0.001"]),
        axis("architecture", networks.to_vec()),
        axis("weight_sharing", shared.to_vec()),
        axis("batch_size", vec!["10", "20"]),
    );
    let axes = axes.prop_map(|(a, b, c, d)| vec![a, b, c, d]).prop_shuffle();
    (axes, 1..4_u32, any::<bool>()).prop_map(|(axes, repetitions, excludes)| {
        let mut text = format!("repetitions = {repetitions}\nepochs = 1\n");
        let (axes, fixed): (Vec<_>, Vec<_>) = axes.into_iter().partition(|(_, values)| values.len() > 1);
        text.push_str("[settings]\n");
        for (name, values) in &fixed {
            text.push_str(&format!("{name} = {}\n", values[0]));
        }
        text.push_str("[axes]\n");
        for (name, values) in &axes {
            text.push_str(&format!("{name} = [{}]\n", values.join(", ")));
        }
        if let Some((name, values)) = axes.first().filter(|_| excludes && axes.len() > 1) {
            text.push_str(&format!("[[exclude]]\n{name} = {}\n", values[0]));
            let (name, values) = &axes[1];
            text.push_str(&format!("{name} = {}\n", values[0]));
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_pack_keeps_its_promises(
        grid in grid(),
        steps in prop::collection::vec(step(), 1..100),
        broken in any::<bool>(),
    ) {
        let mut world = World::new();
        let (sweep, _) = world.try_submit(&grid);
        world.woken();
        let workers = [0, 1, 2].map(|number| world.worker(number, 1));
        let mut held: Vec<Held> = Vec::new();
        let mut request = 0;
        for step in steps {
            match step {
                Step::Acquire { worker, most, size } => {
                    request += 1;
                    let state = world.state.sweep(sweep).unwrap();
                    let Some(first) = state.next_trial() else { continue };
                    let of_first = shape(&world, sweep, first);
                    let sizes = BTreeMap::from([(of_first, size)]);
                    let worker = workers[usize::from(worker)];
                    if world.state.worker(worker).unwrap().is_quarantined(world.now) {
                        prop_assert!(world.is_idle(worker, request), "it gets none for a while");
                        continue;
                    }
                    let new = pack(&mut world, worker, request, most, &sizes);
                    let keys: BTreeSet<TrialKey> = new.singly().iter().map(Held::key).collect();
                    prop_assert_eq!(keys.len(), new.grant.trials.len(), "a trial twice in a pack");
                    prop_assert_eq!(new.key(), first, "the first in line is passed over");
                    prop_assert!(keys.len() <= size as usize, "more than asked for");
                    let shapes: BTreeSet<_> = keys.iter().map(|key| shape(&world, sweep, *key)).collect();
                    prop_assert_eq!(shapes.len(), 1, "several shapes");
                    let taken = held.iter().any(|held| keys.contains(&held.key()));
                    prop_assert!(!taken, "a trial in two hands");
                    let fits = world.state.sweep(sweep).unwrap().next_trial()
                        .is_some_and(|next| shape(&world, sweep, next) == of_first
                            && world.trial(sweep, next).failures == 0);
                    let fresh = world.trial(sweep, first).failures == 0;
                    prop_assert!(
                        keys.len() >= size.min(most) as usize || !fits || !fresh,
                        "a pack of {} where more would fit", keys.len()
                    );
                    held.extend(new.singly());
                }
                Step::End { held: place, outcome } if !held.is_empty() => {
                    let one = held.swap_remove(place % held.len());
                    match outcome {
                        _ if broken && one.worker == workers[0] => world.fail(&one),
                        0 => world.fail(&one),
                        1 => prop_assert!(world.finish(&one, 0, Outcome::Released).is_ok()),
                        _ => world.complete(&one),
                    }
                }
                Step::End { .. } => {}
                Step::Restart => world.restart(),
            }
            world.woken();
        }
        for one in std::mem::take(&mut held) {
            world.complete(&one);
        }
        world.pass(1_000);
        world.woken();
        let healthy = |worker: &WorkerId| !world.state.worker(*worker).unwrap().is_quarantined(world.now);
        let worker = workers.into_iter().find(healthy).expect("the last one is never put into quarantine");
        for request in 100_u8.. {
            match world.ask(acquire(worker, request, 7, &BTreeMap::new())) {
                Ok(Answer::Leased(grant)) => {
                    for one in (Held { worker, grant }).singly() {
                        world.complete(&one);
                    }
                }
                other => {
                    prop_assert_eq!(other, Ok(Answer::Idle));
                    break;
                }
            }
        }
        prop_assert!(world.is_over(sweep), "trials are left and nobody gets them");
    }
}
