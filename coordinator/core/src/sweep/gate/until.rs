//! Repetitions by need: as long as a mean is not known well enough.

use serde::{Deserialize, Serialize};
use tenfold_types::Metric;
use tenfold_types::curve::UnknownMetric;

/// Repetitions of a point until its mean is known well enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Until {
    /// How many are run in any case.
    pub min: u32,
    /// How many at most.
    pub max: u32,
    /// How many are run before it is looked at again.
    pub step: u32,
    /// Half the width of the 95 % t interval that is narrow enough, in the metric's unit.
    pub half_width: f64,
    /// What the mean is of.
    pub metric: Metric,
    /// At this epoch, from 1.
    pub epoch: u32,
}

/// The same in the normalised text; the most repetitions are the stage's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sweep) struct WrittenUntil {
    min: u32,
    step: u32,
    ci95_half_width: f64,
    metric: String,
    epoch: u32,
}

impl WrittenUntil {
    pub(in crate::sweep) fn of(until: &Until) -> Self {
        Self {
            min: until.min,
            step: until.step,
            ci95_half_width: until.half_width,
            metric: until.metric.to_string(),
            epoch: until.epoch,
        }
    }

    pub(in crate::sweep) fn read(self, max: u32) -> Result<Until, String> {
        let metric: Result<Metric, UnknownMetric> = self.metric.parse();
        let until = Until {
            min: self.min,
            max,
            step: self.step,
            half_width: self.ci95_half_width,
            metric: metric.map_err(|error| error.to_string())?,
            epoch: self.epoch,
        };
        match (2..max).contains(&until.min)
            && until.step >= 1
            && until.half_width.is_finite()
            && until.half_width > 0.0
        {
            true => Ok(until),
            false => Err(format!(
                "{} to {max} repetitions until a width is no rule",
                until.min
            )),
        }
    }
}

impl Until {
    /// How often it may be looked at a point.
    fn looks(&self) -> u64 {
        u64::from(self.max - self.min).div_ceil(u64::from(self.step.max(1)))
    }

    /// The cell of the decision that is made when a point has so many repetitions.
    pub(in crate::sweep) fn cell(&self, index: u64, repetitions: u32) -> Option<u64> {
        let beyond = repetitions.checked_sub(self.min)?;
        (repetitions < self.max && beyond % self.step.max(1) == 0)
            .then(|| index * self.looks() + u64::from(beyond / self.step.max(1)))
    }

    /// The point of a decision, and how many repetitions it has when it is made.
    pub fn point(&self, cell: u64) -> (u64, u32) {
        let look = (cell % self.looks()) as u32;
        (cell / self.looks(), self.min + look * self.step)
    }

    /// How many repetitions follow so many.
    pub(crate) fn next(&self, repetitions: u32) -> u32 {
        repetitions.saturating_add(self.step).min(self.max)
    }
}

/// Shares of 95 % intervals that hold the mean at the stop, by the least number of repetitions: of normal values, and of exponential
/// ones. The least over half-widths of 1/2, 0.35 and 1/4 standard deviations, looked at after each value, 40,000 series each;
/// standard error at most 0.2 % (`tests/fixtures/coverage.py`, `docs/search.md`).
const COVERAGE: [(u32, f64, f64); 8] = [
    (2, 0.88, 0.76),
    (3, 0.90, 0.78),
    (4, 0.91, 0.80),
    (5, 0.92, 0.81),
    (7, 0.93, 0.84),
    (10, 0.94, 0.87),
    (15, 0.94, 0.88),
    (20, 0.94, 0.89),
];

/// The least number of repetitions below which a plan warns.
pub const FEW_REPETITIONS: u32 = 5;

/// How often a 95 % interval at which repetitions by need end holds the mean, at worst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CoverageAtStop {
    /// Of normal values.
    pub normal: f64,
    /// Of skewed values: exponential ones.
    pub skewed: f64,
}

/// Returns how often an interval holds the mean that ends a series of at least `min` values, at worst over half-widths. Between the
/// simulated numbers that of the next lower one, which is no more.
pub fn coverage_at_stop(min: u32) -> CoverageAtStop {
    let known = COVERAGE.iter().rev().find(|(of, ..)| *of <= min);
    let &(_, normal, skewed) = known.unwrap_or(&COVERAGE[0]);
    CoverageAtStop { normal, skewed }
}

impl std::fmt::Display for Until {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} to {}, {} more at a time, until the 95 % interval of {} at epoch {} is ± {} or narrower",
            self.min, self.max, self.step, self.metric, self.epoch, self.half_width
        )
    }
}
