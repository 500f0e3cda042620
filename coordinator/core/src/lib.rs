//! Tenfold's decisions, pure: no clock, no files, no network, no tokio.
//!
//! [`decide`] looks at the state, one input and the time, and returns the records that make it so and the effects that
//! follow once they are durable; [`State::evolve`] is the only thing that changes the state. Imports run one way: lib →
//! order, choice, damage, extend, explain, schedule, lease, request, twins → state, input → compare, search → aggregate, record → trial →
//! sweep.

pub mod aggregate;
mod choice;
pub mod compare;
mod damage;
mod explain;
mod extend;
pub mod input;
mod lease;
mod order;
pub mod rank;
pub mod record;
pub mod request;
pub mod rounding;
mod schedule;
pub mod search;
mod state;
pub mod sweep;
pub mod trial;
mod twins;

use std::collections::{BTreeMap, BTreeSet};

use tenfold_types::{SweepId, TrialKey};

pub use choice::{RULES, pick, ties};
pub use explain::{Reason, explain};
pub use input::{
    Acknowledgement, Answer, Effect, End, Grant, Input, Order, Refusal, Standing, Transition, TrialReport,
    Wider,
};
use record::{Control, Record, SweepRow};
use sweep::Sweep;

pub use state::{Lease, Settings, State, SweepState, Worker};

/// Milliseconds since 1970, as the caller's clock has it.
pub type Millis = u64;

/// What follows from an input at this time. Nothing changes until the records are evolved.
pub fn decide(state: &State, input: Input, now: Millis) -> Transition {
    let is_tick = matches!(input, Input::Tick);
    let mut transition = match input {
        Input::Submit(sweep) => order::submit(state, &sweep, now),
        Input::Order { sweep, order } => order::order(state, sweep, order, now),
        Input::Register(row) => lease::register(state, row, now),
        Input::Acquire {
            worker,
            request,
            slot,
            max_trials,
            sizes,
        } => {
            let wanted = schedule::Wanted { max_trials, sizes };
            schedule::acquire(state, worker, request, slot, &wanted, now)
        }
        Input::Append {
            worker,
            sweep,
            fence,
            trials,
        } => lease::append(state, worker, sweep, fence, trials, now),
        Input::Heartbeat { worker, fences } => lease::heartbeat(state, worker, &fences, now),
        Input::Drain(worker) => lease::drain(state, worker),
        Input::Choose {
            sweep,
            choice,
            candidates,
        } => choice::choose(state, sweep, choice, candidates, now),
        Input::Extend { sweep, wider } => extend::extend(state, sweep, &wider, now),
        Input::Delete(sweep) => order::delete(state, sweep),
        Input::Damaged(damage) => damage::damaged(state, &damage, now),
        Input::Tick => lease::tick(state, now),
    };
    if is_tick {
        damage::catch_up(state, &mut transition.records, now);
    }
    twins::follow(state, &mut transition.records, now);
    if is_tick {
        twins::catch_up(state, &mut transition.records, now);
    }
    finish_sweeps(state, &mut transition.records, now);
    transition
}

/// Adds the records that say a sweep is over, or is no longer: one place for all the ways in which that comes about.
fn finish_sweeps(state: &State, records: &mut Vec<Record>, now: Millis) {
    let mut rows: BTreeMap<SweepId, SweepRow> = BTreeMap::new();
    let mut changed: BTreeMap<(SweepId, TrialKey), bool> = BTreeMap::new();
    let mut changing: BTreeMap<SweepId, Sweep> = BTreeMap::new();
    for record in records.iter() {
        match record {
            Record::Sweep(row) => _ = rows.insert(row.id, row.clone()),
            Record::Trial(row) => _ = changed.insert((row.id.sweep, row.id.key), row.state.is_open()),
            Record::Extension(row) => {
                change(state, row.sweep, &mut changing, |sweep| {
                    sweep.extended(&row.extension).ok()
                });
            }
            Record::Choice(row) => change(state, row.sweep, &mut changing, |sweep| row.applied(sweep)),
            _ => {}
        }
    }
    let touched: BTreeSet<SweepId> = rows
        .keys()
        .copied()
        .chain(changed.keys().map(|(sweep, _)| *sweep))
        .chain(changing.keys().copied())
        .collect();
    for id in touched {
        // A new sweep has trials, and none of them is over.
        let Some(sweep) = state.sweep(id) else { continue };
        let row = rows.entry(id).or_insert_with(|| sweep.row().clone());
        let counts = sweep.counts();
        let untouched = sweep.untouched();
        let open_touched = match sweep.row().control {
            Control::Stopped => counts.open(),
            Control::Active | Control::Paused => counts.open() - untouched,
        };
        let (mut open_touched, mut untouched) = (open_touched, untouched);
        if let Some(after) = changing.get(&id) {
            untouched = (untouched + after.trials()).saturating_sub(sweep.sweep().trials());
        }
        for ((_, key), open) in changed.range((id, TrialKey::FIRST)..=(id, TrialKey::LAST)) {
            match sweep.is_open(*key) {
                Some(was) => open_touched -= u64::from(was),
                None => untouched -= 1,
            }
            open_touched += u64::from(*open);
        }
        let open = open_touched
            + if row.control == Control::Stopped {
                0
            } else {
                untouched
            };
        if (open == 0) != row.finished_at.is_some() {
            row.finished_at = (open == 0).then_some(now);
            records.push(Record::Sweep(row.clone()));
        }
    }
}

/// Takes in what a record makes of a sweep itself.
fn change(
    state: &State,
    id: SweepId,
    changing: &mut BTreeMap<SweepId, Sweep>,
    of: impl FnOnce(&Sweep) -> Option<Sweep>,
) {
    let before = changing.remove(&id);
    let before = before.or_else(|| Some(state.sweep(id)?.sweep().clone()));
    changing.extend(before.map(|before| (id, of(&before).unwrap_or(before))));
}
