//! Attempts: what a write refers to, and the row of one that ended without a result.

use tenfold_types::{Fence, TrialId, TrialKey};

use crate::Millis;
use crate::input::Refusal;
use crate::record::{AttemptRow, LeaseRow, TrialRow};
use crate::state::{Lease, SweepState};

/// What a write that names (trial, attempt, fence) refers to.
pub(super) enum Attempt {
    /// The lease holds the trial.
    Held(TrialRow),
    /// This attempt was accepted as the trial's result, which has so many epochs.
    Accepted(u32),
    /// The attempt ended without a result, or was cancelled, while the lease goes on for others: what comes late of it
    /// is of no use, and no reason to refuse what comes of them.
    GivenUp,
}

/// Looks an attempt up; anything that is not current is stale. `lease` is the living one of this fence, if it lives and
/// is the writer's.
pub(super) fn attempt(
    lease: Option<&Lease>,
    sweep: &SweepState,
    fence: Fence,
    key: TrialKey,
    number: u32,
) -> Result<Attempt, Refusal> {
    let row = sweep.trial(key);
    if let Some(row) = &row
        && row.state.accepted() == Some(fence)
        && row.attempts == number
    {
        return Ok(Attempt::Accepted(row.state.accepted_epochs()));
    }
    let lease = lease.ok_or(Refusal::StaleFence(fence))?;
    match row {
        Some(row) if row.attempts == number && row.state.holder().is_some_and(|(held, _)| held == fence) => {
            Ok(Attempt::Held(row))
        }
        // Only what is wrong or late has its lease's list searched.
        _ if lease.row.trials.contains(&(key, number)) => Ok(Attempt::GivenUp),
        _ => Err(Refusal::UnknownAttempt {
            fence,
            key,
            attempt: number,
        }),
    }
}

/// What an attempt's row says of its end.
#[derive(Default)]
pub(crate) struct Ending {
    pub(crate) ended: String,
    pub(crate) error: String,
    pub(crate) stderr: String,
}

/// The whole row of an attempt that ends now: what ran where is known from the lease.
pub(crate) fn ended_attempt(
    lease: &LeaseRow,
    trial: TrialId,
    number: u32,
    ending: Ending,
    now: Millis,
) -> AttemptRow {
    AttemptRow {
        trial,
        number,
        fence: lease.fence,
        worker: lease.worker,
        provenance: lease.provenance.clone(),
        started_at: lease.given_at,
        ended_at: Some(now),
        ended: ending.ended,
        error: ending.error,
        stderr: ending.stderr,
    }
}
