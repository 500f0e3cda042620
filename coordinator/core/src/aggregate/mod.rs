//! Aggregation over the repetitions of a group: pure, in repetition order.

mod curves;
mod statistics;

use serde::Serialize;
use tenfold_types::{Metric, Setting, Value};

pub use curves::{aggregate, newest};
pub use statistics::{round7, t975};

/// Statistics of one metric at one epoch over the trials of a group.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Statistics {
    /// How many trials.
    pub n: u32,
    /// Their mean.
    pub mean: f64,
    /// The sample standard deviation; none for n < 2.
    pub standard_deviation: Option<f64>,
    /// The standard error of the mean; none for n < 2.
    pub standard_error: Option<f64>,
    /// The 95 % t interval around the mean; none for n < 2.
    pub ci95: Option<(f64, f64)>,
    /// The least.
    pub min: f64,
    /// The median; the mean of the middle two for an even n.
    pub median: f64,
    /// The greatest.
    pub max: f64,
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

/// A group: what it has in common, and where its trials stand.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// Its stage.
    pub stage: u32,
    /// The index of its first point in the raw grid.
    pub index: u64,
    /// The values of the axes it is grouped by, in the order of the axes.
    #[serde(skip)]
    pub values: Vec<(Setting, Value)>,
    /// Its trials.
    #[serde(skip)]
    pub counts: Counts,
}

/// The aggregated curve of a group over its succeeded trials.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupResult {
    /// The group.
    pub group: Group,
    /// The metrics that all its succeeded trials have.
    pub metrics: Vec<Metric>,
    /// For each epoch, 1 first, the statistics of each metric. Empty when no trial has succeeded.
    pub epochs: Vec<Vec<Statistics>>,
}
