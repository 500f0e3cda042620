//! The states of a trial.

use serde::{Deserialize, Serialize};
use tenfold_types::{Fence, WorkerId};

use crate::Millis;

/// Where a trial stands; each state carries its own data and no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum TrialState {
    /// It waits to be leased.
    Pending,
    /// It is leased; no epoch has come yet.
    Leased {
        /// Of the lease.
        fence: Fence,
        /// Who holds it.
        worker: WorkerId,
    },
    /// Epochs have come.
    Running {
        /// Of the lease.
        fence: Fence,
        /// Who holds it.
        worker: WorkerId,
    },
    /// It failed and waits before it may run again.
    Backoff {
        /// When it may.
        until: Millis,
    },
    /// All its epochs are there.
    Succeeded {
        /// Of the attempt whose curve is the result.
        fence: Fence,
        /// The length of the curve.
        epochs: u32,
    },
    /// A loss became infinite or no number: a result, not an error.
    Diverged {
        /// Of the attempt whose curve is the result.
        fence: Fence,
        /// The epoch in which it did; the curve ends before it.
        epoch: u32,
    },
    /// It failed too often.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl TrialState {
    /// The lease and worker that hold it.
    pub fn holder(&self) -> Option<(Fence, WorkerId)> {
        match self {
            Self::Leased { fence, worker } | Self::Running { fence, worker } => Some((*fence, *worker)),
            _ => None,
        }
    }

    /// The attempt whose curve is the result.
    pub fn accepted(&self) -> Option<Fence> {
        match self {
            Self::Succeeded { fence, .. } | Self::Diverged { fence, .. } => Some(*fence),
            _ => None,
        }
    }

    /// The attempt that holds the trial, or whose curve is its result.
    pub fn current(&self) -> Option<Fence> {
        self.accepted().or_else(|| self.holder().map(|(fence, _)| fence))
    }

    /// The length of the curve that is the result; 0 without one.
    pub fn accepted_epochs(&self) -> u32 {
        match self {
            Self::Succeeded { epochs, .. } => *epochs,
            Self::Diverged { epoch, .. } => epoch.saturating_sub(1),
            _ => 0,
        }
    }

    /// Whether it still waits or runs.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Pending | Self::Leased { .. } | Self::Running { .. } | Self::Backoff { .. } => true,
            Self::Succeeded { .. } | Self::Diverged { .. } | Self::Failed | Self::Cancelled => false,
        }
    }

    /// Whether it may become `next`. SUCCEEDED and DIVERGED never change, except that a trial that is damaged on disk becomes
    /// FAILED; FAILED and CANCELLED only return to PENDING. One that
    /// waits may get the result of another trial, or fail with it.
    pub fn may_become(&self, next: &Self) -> bool {
        match self {
            Self::Succeeded { .. } | Self::Diverged { .. } => matches!(next, Self::Failed),
            Self::Failed | Self::Cancelled => matches!(next, Self::Pending),
            Self::Pending => !matches!(next, Self::Pending | Self::Running { .. } | Self::Backoff { .. }),
            Self::Backoff { .. } => !matches!(
                next,
                Self::Leased { .. } | Self::Running { .. } | Self::Backoff { .. }
            ),
            Self::Leased { fence, .. } | Self::Running { fence, .. } => match next {
                Self::Running { fence: other, .. } => fence == other,
                Self::Leased { .. } => false,
                _ => true,
            },
        }
    }

    /// Its place in a count of states.
    pub fn counter<'a>(&self, counts: &'a mut Counts) -> &'a mut u64 {
        match self {
            Self::Pending => &mut counts.pending,
            Self::Leased { .. } => &mut counts.leased,
            Self::Running { .. } => &mut counts.running,
            Self::Backoff { .. } => &mut counts.backoff,
            Self::Succeeded { .. } => &mut counts.succeeded,
            Self::Diverged { .. } => &mut counts.diverged,
            Self::Failed => &mut counts.failed,
            Self::Cancelled => &mut counts.cancelled,
        }
    }
}

/// How many trials of a group or sweep are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Waiting to be leased.
    pub pending: u64,
    /// Leased, without an epoch yet.
    pub leased: u64,
    /// With epochs coming.
    pub running: u64,
    /// Waiting after a failure.
    pub backoff: u64,
    /// Leased to a worker not heard of for a while.
    pub suspect: u64,
    /// With a whole curve.
    pub succeeded: u64,
    /// Ended by a loss that was infinite or no number.
    pub diverged: u64,
    /// Failed too often.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
}

impl Counts {
    /// All trials.
    pub fn total(&self) -> u64 {
        self.open() + self.over()
    }

    /// Trials that succeeded, diverged, failed or were cancelled.
    pub fn over(&self) -> u64 {
        self.succeeded + self.diverged + self.failed + self.cancelled
    }

    /// Trials that wait or run.
    pub fn open(&self) -> u64 {
        self.pending + self.leased + self.running + self.backoff + self.suspect
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state of each kind; those with a fence have this one.
    fn states(fence: u64) -> [TrialState; 8] {
        let (fence, worker) = (Fence(fence), WorkerId([1; 8]));
        [
            TrialState::Pending,
            TrialState::Leased { fence, worker },
            TrialState::Running { fence, worker },
            TrialState::Backoff { until: 1 },
            TrialState::Succeeded { fence, epochs: 3 },
            TrialState::Diverged { fence, epoch: 2 },
            TrialState::Failed,
            TrialState::Cancelled,
        ]
    }

    #[test]
    fn only_the_moves_of_the_table_are_legal() {
        // From, downwards; to, as in `states`.
        const TABLE: [&str; 8] = [
            ".L..SDFC", // pending
            "P.RBSDFC", // leased
            "P.RBSDFC", // running
            "P...SDFC", // back-off
            "......F.", // succeeded
            "......F.", // diverged
            "P.......", // failed
            "P.......", // cancelled
        ];
        for (row, from) in TABLE.iter().zip(states(7)) {
            for (legal, to) in row.chars().zip(states(7)) {
                assert_eq!(from.may_become(&to), legal != '.', "{from:?} to {to:?}");
            }
        }
        let [_, leased, running, ..] = states(7);
        let [_, _, other, ..] = states(8);
        assert!(
            !leased.may_become(&other) && !running.may_become(&other),
            "another lease"
        );
    }
}
