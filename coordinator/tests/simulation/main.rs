//! The very turn of production, with fake workers, a network that drops, repeats, delays and is cut, a store that fails,
//! and crashes of either side. One thread, a seeded clock: a seed that fails is printed, and `TENFOLD_SIMULATION_SEED=N`
//! replays it.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod expected;
mod landscape;
mod network;
mod store;
mod sweeps;
mod worker;
mod world;

use std::collections::BTreeMap;

use tenfold::store::Store;
use tenfold::turn::TurnError;
use tenfold_core::record::Outcome;
use tenfold_core::sweep::{ChoiceId, Passage, Sweep};
use tenfold_core::trial::TrialState;
use tenfold_core::{Answer, Input};
use tenfold_types::{Curve, TrialKey};

use expected::Expected;
use world::{World, settings};

/// Runs a sweep, and has it end as it must.
fn simulate(seed: u64, trouble: bool) {
    let mut world = World::new(seed);
    let sweep = Sweep::parse(&sweeps::text(seed % sweeps::KINDS), "sweep.toml", &[], None).unwrap();
    let id = sweep.id();
    world.sweep = id;
    world.decide(Input::Submit(sweep.clone())).unwrap();
    assert_eq!(
        world.decide(Input::Submit(sweep.clone())).unwrap(),
        Answer::Submitted {
            sweep: id,
            existing: true
        },
        "the same text finds the same sweep"
    );
    let mut steps = 0;
    // Extended at some time, at the latest when it is over.
    while !(world.is_extended() && world.has_all_results()) {
        steps += 1;
        assert!(steps < 20_000, "the sweep does not end");
        if !world.is_extended() && (world.has_all_results() || world.chance(1)) {
            world.extend();
        }
        world.step(trouble);
    }
    let more = sweep.more_repetitions(Some(sweeps::LAST), sweeps::REPEATED);
    let extended = sweep.extended(&more.unwrap()[0]).unwrap();
    check_end(&world, &Expected::new(extended, world.landscape));
}

/// What was decided, run and kept is what the rules say, whatever has happened.
fn check_end(world: &World, expected: &Expected) {
    let state = world.state().sweep(world.sweep).unwrap();
    let made: BTreeMap<ChoiceId, Outcome> = state
        .choices()
        .map(|row| match &row.outcome {
            Outcome::Nothing(_) => (row.choice, Outcome::Nothing(String::new())),
            outcome => (row.choice, outcome.clone()),
        })
        .collect();
    assert_eq!(made, expected.choices, "the same is decided, whatever happens");
    let mut reader = world.store.reader().unwrap();
    let mut trials = 0;
    for (stage, of) in (0..).zip(expected.sweep.stages()) {
        for index in 0..of.raw_points() {
            let mut rows = reader.point(world.sweep, stage, index).unwrap().into_iter();
            for repetition in 0..of.repetitions() {
                let key = TrialKey {
                    stage,
                    index,
                    repetition,
                };
                let passage = expected.sweep.passage(key);
                assert_eq!(state.has(key), passage != Passage::LeftOut, "{key}");
                if passage == Passage::LeftOut {
                    continue;
                }
                trials += 1;
                let row = rows.next().unwrap();
                assert_eq!(row.row.id.key, key, "what is left out has no rows");
                if expected.fails(key) {
                    assert_eq!(row.row.state, TrialState::Failed, "{key}");
                    continue;
                }
                let spec = expected.sweep.spec(key).unwrap();
                assert_eq!(state.sweep().spec(key).as_ref(), Some(&spec), "{key}");
                let mut curve = Curve::new(spec.metrics());
                assert!(row.blocks.iter().all(|block| curve.push(block)));
                assert_eq!(curve, world.landscape.curve(&spec), "{key}");
                let diverges = match row.row.state {
                    TrialState::Diverged { epoch, .. } => Some(epoch),
                    TrialState::Succeeded { .. } => None,
                    state => panic!("{key} is over, and {state:?}"),
                };
                assert_eq!(diverges, world.landscape.diverges(&spec), "{key}");
            }
            assert!(rows.next().is_none(), "what is left out has no rows");
        }
    }
    assert_eq!((state.sweep().trials(), state.counts().total()), (trials, trials));
}

#[test]
fn while_the_store_cannot_be_read_nothing_is_shown_and_nothing_decided() {
    let mut world = World::new(1);
    let register = world.next_message(0);
    world.store.luck().unwritten = true;
    world.store.luck().unreadable = 2;
    assert!(matches!(world.decide(register.clone()), Err(TurnError::Store(_))));
    assert!(world.is_broken(), "the state has a worker that is nowhere else");
    assert_eq!(
        world.turn.next_deadline(),
        Some(1_000),
        "it is tried again, but not without pause"
    );
    assert!(matches!(world.decide(register.clone()), Err(TurnError::Store(_))));
    world.now = 1_000;
    assert!(world.turn.step(Vec::new(), world.now).answers.is_empty());
    assert!(world.is_broken());
    world.now = 2_000;
    assert!(world.turn.step(Vec::new(), world.now).answers.is_empty());
    assert_eq!(world.state().workers().count(), 0);
    assert_eq!(world.decide(register).unwrap(), Answer::Registered);
    assert_eq!(world.turn.next_deadline(), None);
}

#[test]
fn a_store_that_stays_full_is_not_hammered_and_can_still_be_looked_at() {
    let mut world = World::new(1);
    let sweep = Sweep::parse(&sweeps::text(0), "sweep.toml", &[], None).unwrap();
    world.decide(Input::Submit(sweep)).unwrap();
    for _ in 0..2 {
        let message = world.next_message(0);
        world.decide(message).unwrap();
    }
    let leases = |world: &World| world.state().leases().count();
    world.now = 50;
    for _ in 0..3 {
        assert!(
            world.turn.next_deadline().is_some_and(|at| at <= world.now),
            "a lease is to be suspected"
        );
        world.turn.step(Vec::new(), world.now);
        world.now += settings().grace;
        world.store.luck().full = true;
        world.turn.step(Vec::new(), world.now);
        world.store.luck().full = false;
        assert_eq!(
            leases(&world),
            1,
            "it has not expired, as that could not be written"
        );
        assert_eq!(world.turn.next_deadline(), Some(world.now + 1_000));
        world.now += 1_000;
    }
    // It was given a fresh term when the state was loaded again.
    world.turn.step(Vec::new(), world.now);
    world.now += settings().grace;
    world.turn.step(Vec::new(), world.now);
    assert_eq!(leases(&world), 0);
}

#[test]
fn trouble_changes_nothing_that_is_decided_or_exported() {
    let seeds: Vec<u64> = match std::env::var("TENFOLD_SIMULATION_SEED") {
        Ok(seed) => vec![seed.parse().expect("TENFOLD_SIMULATION_SEED is a number")],
        Err(_) => {
            let long = std::env::var("TENFOLD_CHAOS").is_ok_and(|form| form == "long");
            let many = if long { 5_000 } else { 2 * sweeps::KINDS };
            // Of each kind as many.
            let seed = |number| u64::from(rand::random::<u32>()) * sweeps::KINDS + number % sweeps::KINDS;
            (0..many).map(seed).collect()
        }
    };
    for seed in &seeds {
        // Shown when it fails: the last one is it.
        println!("TENFOLD_SIMULATION_SEED={seed}");
        simulate(*seed, true);
    }
}

#[test]
fn undisturbed_each_kind_of_sweep_comes_to_what_its_rules_say() {
    (0..sweeps::KINDS).for_each(|kind| simulate(kind, false));
}
