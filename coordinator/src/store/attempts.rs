//! Attempts that have no row of their own, because the trial and its lease tell all there is to know.

use tenfold_core::record::{AttemptRow, LeaseRow, TrialRow};
use tenfold_core::trial::TrialState;

/// A trial's current attempt, which ran under this lease.
pub(super) fn of_lease(row: &TrialRow, lease: &LeaseRow) -> AttemptRow {
    AttemptRow {
        trial: row.id,
        number: row.attempts,
        fence: lease.fence,
        worker: lease.worker,
        provenance: lease.provenance.clone(),
        started_at: lease.given_at,
        ended_at: row.accepted_at,
        ended: match row.state {
            TrialState::Succeeded { .. } => "succeeded".to_owned(),
            TrialState::Diverged { epoch, .. } => format!("diverged in epoch {epoch}"),
            _ => String::new(),
        },
        error: String::new(),
        stderr: String::new(),
    }
}
