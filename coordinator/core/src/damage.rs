//! Damage on disk: a trial whose rows no longer say what was written becomes FAILED, recorded with the reason.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_types::{Fence, TrialKey};

use crate::Millis;
use crate::input::{Answer, Transition};
use crate::lease::{Ending, ended_attempt, returns_work};
use crate::record::{Damage, Record, TrialRow};
use crate::state::{State, SweepState};
use crate::sweep::{ChoiceId, Chooses};
use crate::trial::TrialState;

/// The most choices that a reason names; there may be thousands.
const NAMED: usize = 8;

/// Takes in damage that a reader has found.
pub(crate) fn damaged(state: &State, damage: &[Damage], now: Millis) -> Transition {
    let mut records = Vec::new();
    repair(state, damage, now, &mut records);
    let free = returns_work(&records);
    Transition::answer(Answer::Repaired).with(records).and_work(free)
}

/// Takes in damage that was found while the store was loaded.
pub(crate) fn catch_up(state: &State, records: &mut Vec<Record>, now: Millis) {
    if state.damaged().is_empty() {
        return;
    }
    // What time has brought about in this transition is already on its way: these trials come in the next tick.
    if !records.is_empty() {
        return;
    }
    repair(state, state.damaged(), now, records);
    records.push(Record::Repaired);
}

fn repair(state: &State, damage: &[Damage], now: Millis, records: &mut Vec<Record>) {
    let mut seen = BTreeSet::new();
    let mut released: BTreeMap<Fence, u64> = BTreeMap::new();
    for one in damage.iter().filter(|one| seen.insert(one.trial)) {
        let Some(sweep) = state.sweep(one.trial.sweep) else {
            continue;
        };
        let key = one.trial.key;
        match (one.fence, sweep.trial(key)) {
            (Some(fence), Some(row)) if row.state.accepted() == Some(fence) => {
                records.push(Record::EpochsDropped { trial: row.id, fence });
                records.push(fail(sweep, row, &one.what));
            }
            (Some(fence), Some(row)) if row.state.holder().is_some_and(|(held, _)| held == fence) => {
                if let Some(lease) = state.lease(fence) {
                    let ending = Ending {
                        ended: "given back".to_owned(),
                        error: format!("damaged on disk: {}", one.what),
                        ..Ending::default()
                    };
                    let ended = ended_attempt(&lease.row, row.id, row.attempts, ending, now);
                    records.push(Record::Attempt(ended));
                    *released.entry(fence).or_default() += 1;
                }
                records.push(Record::EpochsDropped { trial: row.id, fence });
                records.push(Record::Trial(TrialRow {
                    state: TrialState::Pending,
                    error: Some(format!("damaged on disk: {}; it is trained again", one.what)),
                    ..row
                }));
            }
            // Memory still has what the disk has lost.
            (None, Some(row)) => records.push(Record::Trial(row)),
            (None, None) if sweep.has(key) => {
                let row = TrialRow {
                    attempts: one.attempts,
                    ..sweep.row_of(key)
                };
                records.push(fail(sweep, row, &one.what));
            }
            _ => {}
        }
    }
    for lease in state.leases() {
        let fence = lease.row.fence;
        if lease.held() == released.get(&fence).copied().unwrap_or(0) {
            records.push(Record::LeaseClosed(fence));
        }
    }
}

fn fail(sweep: &SweepState, row: TrialRow, what: &str) -> Record {
    let mut error = format!("damaged on disk: {what}; train it again with `tenfold retry --failed`");
    let from = made_from(sweep, row.id.key);
    if !from.is_empty() {
        error.push_str(&format!("; choices made from it stay: {}", from.join(", ")));
    }
    Record::Trial(TrialRow {
        state: TrialState::Failed,
        error: Some(error),
        accepted_at: None,
        ..row
    })
}

/// Names the choices that were made from a trial.
fn made_from(sweep: &SweepState, key: TrialKey) -> Vec<String> {
    let rules = sweep.rules();
    let from = sweep
        .choices()
        .filter(|row| row.applied(sweep.sweep()).is_some())
        .filter(|row| sweep.sweep().source(row.choice) == Some(key.stage))
        .filter(|row| sweep.sweep().compared_trials(row.choice, rules).contains(&key));
    let mut named: Vec<String> = from.take(NAMED + 1).map(|row| name(sweep, row.choice)).collect();
    if named.len() > NAMED {
        named.truncate(NAMED);
        named.push("…".to_owned());
    }
    named
}

fn name(sweep: &SweepState, choice: ChoiceId) -> String {
    let stage = sweep.sweep().stage(choice.stage);
    let stage = match stage.map_or("", |stage| stage.name()) {
        "" => format!("stage {}", choice.stage),
        name => format!("stage {name:?}"),
    };
    match sweep.sweep().chooses(choice) {
        Some(Chooses::Axis(taken)) => format!("{} of {stage}", taken.setting.name()),
        Some(Chooses::Points(_)) => format!("who goes on in {stage}"),
        Some(Chooses::Repetitions(_)) => format!("repetitions of a point of {stage}"),
        None => format!("a choice of {stage}"),
    }
}
