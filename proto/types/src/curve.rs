//! Metrics per epoch: the curve of a trial, and the column blocks in which it travels and is stored.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What is measured after each epoch. Errors are shares of wrong answers in [0, 1]; losses are means per pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Metric {
    /// Share of the training pairs answered wrongly, with the weights at the end of the epoch.
    TrainError,
    /// Share of the test pairs answered wrongly.
    TestError,
    /// Mean loss of the answer on the training pairs, without the auxiliary loss.
    TrainLoss,
    /// Mean loss of the answer on the test pairs, without the auxiliary loss.
    TestLoss,
    /// Share of test digits that sub-network `s` (from 0) names wrongly; only with auxiliary loss.
    TestDigitError(u32),
}

impl Metric {
    /// Its name, such as `train_error`.
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::TrainError => "train_error",
            Self::TestError => "test_error",
            Self::TrainLoss => "train_loss",
            Self::TestLoss => "test_loss",
            Self::TestDigitError(sub_network) => return format!("test_digit_error_{sub_network}").into(),
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// A name that is no metric's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no metric; the metrics are train_error, test_error, train_loss, test_loss and test_digit_error_S"
)]
pub struct UnknownMetric(String);

impl FromStr for Metric {
    type Err = UnknownMetric;
    fn from_str(text: &str) -> Result<Self, UnknownMetric> {
        Ok(match text {
            "train_error" => Self::TrainError,
            "test_error" => Self::TestError,
            "train_loss" => Self::TrainLoss,
            "test_loss" => Self::TestLoss,
            _ => {
                let digit = text
                    .strip_prefix("test_digit_error_")
                    .and_then(|s| s.parse().ok());
                Self::TestDigitError(digit.ok_or_else(|| UnknownMetric(text.to_owned()))?)
            }
        })
    }
}

/// Consecutive epochs of one trial, column by column: the unit of an append and of the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// The number of the first epoch in it; epochs are numbered from 1 without gaps.
    pub first: u32,
    /// How many epochs.
    pub epochs: u32,
    /// `metrics × epochs` values, all epochs of the first metric, then of the second, …
    pub columns: Vec<f32>,
    /// Seconds each epoch took, `epochs` values; 0 for one that comes from a checkpoint. Kept apart: no part of the curve.
    pub seconds: Vec<f32>,
}

impl Block {
    /// The number of the last epoch in it (`first - 1` when it is empty).
    pub fn last(&self) -> u32 {
        self.first + self.epochs - 1
    }

    /// Whether the lengths agree for so many metrics and the numbering is possible.
    pub fn is_well_formed(&self, metrics: usize) -> bool {
        let epochs = self.epochs as usize;
        self.first >= 1
            && self.epochs >= 1
            && self.first.checked_add(self.epochs).is_some()
            && self.seconds.len() == epochs
            && metrics.checked_mul(epochs) == Some(self.columns.len())
    }

    /// The part of it that begins with this epoch; none when the block ends before.
    pub fn from_epoch(&self, first: u32) -> Option<Self> {
        if first <= self.first {
            return Some(self.clone());
        }
        let skip = (first - self.first) as usize;
        let epochs = self.epochs as usize;
        if skip >= epochs {
            return None;
        }
        Some(Self {
            first,
            epochs: (epochs - skip) as u32,
            columns: self
                .columns
                .chunks_exact(epochs)
                .flat_map(|column| &column[skip..])
                .copied()
                .collect(),
            seconds: self.seconds[skip..].to_vec(),
        })
    }

    /// This block and the next one as one. False, and nothing changes, when `next` does not begin where this one ends
    /// or has other columns.
    #[must_use]
    pub fn join(&mut self, next: &Self) -> bool {
        let (a, b) = (self.epochs as usize, next.epochs as usize);
        if next.first != self.last() + 1 || self.columns.len() * b != next.columns.len() * a {
            return false;
        }
        self.columns = self
            .columns
            .chunks_exact(a)
            .zip(next.columns.chunks_exact(b))
            .flat_map(|(a, b)| a.iter().chain(b))
            .copied()
            .collect();
        self.seconds.extend_from_slice(&next.seconds);
        self.epochs += next.epochs;
        true
    }

    /// The value of metric number `metric` in epoch number `epoch`, which must lie in the block.
    pub fn value(&self, metric: usize, epoch: u32) -> f32 {
        self.columns[metric * self.epochs as usize + (epoch - self.first) as usize]
    }

    /// All values of one epoch, an element a metric; none of an epoch that it does not have.
    pub fn values(&self, epoch: u32) -> Option<Vec<f32>> {
        let at = epoch.checked_sub(self.first).filter(|at| *at < self.epochs)?;
        let columns = self.columns.chunks(self.epochs as usize);
        columns.map(|column| column.get(at as usize).copied()).collect()
    }
}

/// A trial's metrics, epoch by epoch; nothing of time, worker or attempt is in it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curve {
    /// The names of the columns.
    pub metrics: Vec<Metric>,
    /// One column a metric, each with a value an epoch, epoch 1 first.
    pub columns: Vec<Vec<f32>>,
}

impl Curve {
    /// A curve of these metrics without any epoch yet.
    pub fn new(metrics: Vec<Metric>) -> Self {
        let columns = vec![Vec::new(); metrics.len()];
        Self { metrics, columns }
    }

    /// How many epochs it has.
    pub fn epochs(&self) -> u32 {
        self.columns.first().map_or(0, |column| column.len() as u32)
    }

    /// The column of a metric, if the curve has it.
    pub fn column(&self, metric: Metric) -> Option<&[f32]> {
        let at = self.metrics.iter().position(|&m| m == metric)?;
        self.columns.get(at).map(Vec::as_slice)
    }

    /// Adds a block that begins with the next epoch.
    ///
    /// Returns false, and changes nothing, when the block is malformed or leaves a gap or repeats.
    #[must_use]
    pub fn push(&mut self, block: &Block) -> bool {
        if block.first != self.epochs() + 1 || !block.is_well_formed(self.metrics.len()) {
            return false;
        }
        let epochs = block.epochs as usize;
        for (column, new) in self.columns.iter_mut().zip(block.columns.chunks_exact(epochs)) {
            column.extend_from_slice(new);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_round_trip() {
        for metric in [
            Metric::TrainError,
            Metric::TestError,
            Metric::TrainLoss,
            Metric::TestLoss,
            Metric::TestDigitError(17),
        ] {
            assert_eq!(metric.to_string().parse(), Ok(metric));
        }
        assert!("test_eror".parse::<Metric>().is_err());
    }

    #[test]
    fn blocks_are_cut_and_joined_column_by_column() {
        let whole = Block {
            first: 3,
            epochs: 3,
            columns: vec![1., 2., 3., 4., 5., 6.],
            seconds: vec![0.1, 0.2, 0.3],
        };
        let tail = whole.from_epoch(5).unwrap();
        assert_eq!((tail.first, tail.columns.as_slice()), (5, [3., 6.].as_slice()));
        assert_eq!(whole.from_epoch(6), None);
        let mut head = Block {
            first: 3,
            epochs: 2,
            columns: vec![1., 2., 4., 5.],
            seconds: vec![0.1, 0.2],
        };
        assert!(head.join(&tail));
        assert_eq!(head, whole);
        assert!(!head.join(&tail), "a repeat");
    }

    #[test]
    fn a_curve_takes_the_next_epochs_and_no_others() {
        let mut curve = Curve::new(vec![Metric::TrainError, Metric::TestError]);
        let block = |first, values: [f32; 4]| Block {
            first,
            epochs: 2,
            columns: values.to_vec(),
            seconds: vec![0.1; 2],
        };
        assert!(curve.push(&block(1, [0.5, 0.4, 0.6, 0.5])));
        assert!(!curve.push(&block(1, [0.5, 0.4, 0.6, 0.5])), "a repeat");
        assert!(!curve.push(&block(4, [0.5, 0.4, 0.6, 0.5])), "a gap");
        assert!(curve.push(&block(3, [0.3, 0.2, 0.4, 0.3])));
        assert_eq!(
            curve.column(Metric::TestError),
            Some([0.6, 0.5, 0.4, 0.3].as_slice())
        );
    }
}
