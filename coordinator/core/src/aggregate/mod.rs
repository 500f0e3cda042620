//! Aggregation over the repetitions of a group: pure, in repetition order.
//!
//! The unit is the repetition: a group of several points has the mean over its points within each repetition, see
//! [`within`].

mod curves;
mod statistics;
pub mod within;

use serde::Serialize;
use tenfold_types::{Metric, Setting, Value};

pub use crate::trial::Counts;
pub use curves::{Part, aggregate, one_epoch, one_epoch_within, part, part_within};
pub use statistics::t975;

/// Statistics of one metric at one epoch over the repetitions of a group.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Statistics {
    /// The number of repetitions that count.
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
    /// The number of its trials in each state: of all its points, whatever counts of them.
    #[serde(skip)]
    pub counts: Counts,
    /// What its statistics are made from.
    #[serde(skip)]
    pub sample: Sample,
}

/// What the statistics of a group are made from: its points and repetitions that count, and those that do not.
///
/// The default is that of a group of which nothing of this is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// The number of points whose mean is taken within each repetition. Points that are the same network count once.
    pub points: u32,
    /// The number of points that are left out because none of their trials counts.
    pub points_left_out: u32,
    /// The number of further points that are the same network as another one of the group.
    pub twins: u32,
    /// The number of repetitions planned; the most of any point, where points differ in that.
    pub repetitions: u32,
    /// The number of repetitions that are left out because some of the points lack them.
    pub repetitions_left_out: u32,
}

impl Sample {
    /// Whether the group has several points that train something different.
    pub fn is_pooled(&self) -> bool {
        self.points + self.points_left_out > 1
    }

    /// Whether the group has several points, be they the same network.
    pub fn has_several_points(&self) -> bool {
        self.points + self.points_left_out + self.twins > 1
    }
}

impl Group {
    /// The number of repetitions planned.
    pub fn repetitions(&self) -> u64 {
        match self.sample.repetitions {
            // A coordinator of an older version does not say: there n and the number of trials go together.
            0 => self.counts.total(),
            repetitions => repetitions.into(),
        }
    }
}

/// Returns the standard error that a share of `answers` has by the choice of the questions alone, √(p(1 − p)/N): the
/// binomial error of a single trial whose true share is p.
pub fn binomial_error(share: f64, answers: u32) -> Option<f64> {
    let is_share = (0.0..=1.0).contains(&share) && answers > 0;
    is_share.then(|| (share * (1.0 - share) / f64::from(answers)).sqrt())
}

/// The aggregated curve of a group over its repetitions that count.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupResult {
    /// The group.
    pub group: Group,
    /// The metrics that all its succeeded trials have.
    pub metrics: Vec<Metric>,
    /// For each metric the number of answers that a trial's value is a share of; `None` for losses. Empty where that is not
    /// known.
    pub answers: Vec<Option<u32>>,
    /// For each epoch, 1 first, the statistics of each metric. Empty when no repetition counts.
    pub epochs: Vec<Vec<Statistics>>,
}

impl GroupResult {
    /// Returns the binomial error of one trial whose share is the group's mean: see [`binomial_error`]. `None` for losses.
    pub fn binomial_error(&self, metric: Metric, mean: f64) -> Option<f64> {
        let column = self.metrics.iter().position(|&of| of == metric)?;
        binomial_error(mean, (*self.answers.get(column)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binomial_error_is_that_of_one_trial() {
        let error = binomial_error(0.2667, 400).unwrap();
        assert!((error - 0.022_111).abs() < 1e-6, "{error}");
        assert_eq!(binomial_error(0.0, 400), Some(0.0));
        assert_eq!(binomial_error(0.5, 0), None);
        assert_eq!(binomial_error(1.5, 400), None, "no share");
    }
}
