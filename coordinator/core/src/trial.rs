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
