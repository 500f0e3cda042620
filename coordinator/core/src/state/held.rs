//! Trials that are held under no lease.

use tenfold_types::{Fence, SweepId, TrialId, TrialKey};

use super::{State, SweepState};
use crate::record::Damage;

/// Returns the damage that shows once everything is loaded: trials that a lease holds which is not there.
pub(super) fn without_lease(state: &State) -> Vec<Damage> {
    let held = |sweep: &SweepState| -> Vec<(SweepId, TrialKey, Fence, u32)> {
        let rows = sweep.without_result();
        let held = rows.filter_map(|row| Some((row, row.state.holder()?.0)));
        let lost = held.filter(|(_, fence)| state.lease(*fence).is_none());
        lost.map(|(row, fence)| (row.id.sweep, row.id.key, fence, row.attempts))
            .collect()
    };
    let lost = state.unfinished_sweeps().flat_map(held);
    lost.map(|(sweep, key, fence, attempts)| Damage {
        trial: TrialId { sweep, key },
        fence: Some(fence),
        attempts,
        what: "the row of its lease is lost".to_owned(),
    })
    .collect()
}
