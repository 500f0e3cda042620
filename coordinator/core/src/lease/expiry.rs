//! What time alone brings about: leases that are suspected, then over; back-offs that end.

use std::collections::BTreeMap;

use tenfold_types::Outcome;

use super::end::Ended;
use crate::Millis;
use crate::input::{End, Transition};
use crate::record::{Record, TrialRow};
use crate::state::State;
use crate::trial::TrialState;

/// A lease that is not renewed within its term is suspected; when its grace is over too, it gives its trials back,
/// charged to nobody. Trials whose back-off is over wait again.
pub(crate) fn tick(state: &State, now: Millis) -> Transition {
    let mut records = Vec::new();
    let grace = state.settings().grace;
    for lease in state.expired(now) {
        let fence = lease.row.fence;
        if !lease.suspect && grace > 0 {
            let expires = now + grace;
            records.push(Record::Suspected { fence, expires });
            continue;
        }
        if let Some(sweep) = state.sweep(lease.row.sweep) {
            let ended = Ended {
                state,
                sweep,
                lease: &lease.row,
                now,
            };
            for row in sweep
                .held_by(fence, &lease.row)
                .filter_map(|key| sweep.trial(key))
            {
                let end = End {
                    epochs: 0,
                    outcome: Outcome::Released,
                    stderr: String::new(),
                };
                ended.trial(row, end, Some("lease expired"), None, &mut records);
            }
        }
        records.push(Record::LeaseClosed(fence));
    }
    for sweep in state.unfinished_sweeps() {
        for row in sweep.rested(now).filter_map(|key| sweep.trial(key)) {
            records.push(Record::Trial(TrialRow {
                state: TrialState::Pending,
                ..row
            }));
        }
    }
    let free = returns_work(&records);
    Transition::default().with(records).and_work(free)
}

/// Whether the records, taken together, leave a trial waiting that was not.
pub(crate) fn returns_work(records: &[Record]) -> bool {
    // Most appends return nothing: they need no list of the last word on each trial.
    let pending = |row: &TrialRow| matches!(row.state, TrialState::Pending);
    let rows = || {
        records.iter().filter_map(|record| match record {
            Record::Trial(row) => Some(row),
            _ => None,
        })
    };
    if !rows().any(pending) {
        return false;
    }
    let last: BTreeMap<_, _> = rows().map(|row| (row.id, pending(row))).collect();
    last.values().any(|pending| *pending)
}
