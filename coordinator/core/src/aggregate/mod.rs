//! Aggregation over the repetitions of a group: pure, in repetition order.

mod curves;
mod statistics;
pub mod within;

use serde::Serialize;
use tenfold_types::{Metric, Setting, Value};

pub use crate::trial::Counts;
pub use curves::{Part, aggregate, one_epoch, part};
pub use statistics::t975;

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

/// A group: what it has in common, and where its trials stand.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// Its stage.
    pub stage: u32,
    /// The name of its stage; empty where the sweep has none.
    #[serde(skip)]
    pub stage_name: String,
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
