//! Aggregation over the repetitions of a group: pure, in repetition order.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};
use tenfold_types::{Curve, Metric, Setting, Value};

pub use crate::trial::Counts;

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

impl Statistics {
    /// Of these values, summed in the order given; none of no values.
    ///
    /// The standard deviation is the sample's (divisor n - 1). The interval is `mean ± t · se`, where t is the 0.975
    /// quantile of Student's distribution with n - 1 degrees of freedom.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let n = values.len();
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (sorted[0], sorted[n - 1]);
        // Equal values have that value as their mean, to the bit, whatever rounding their sum suffers.
        let mean = if min == max {
            min
        } else {
            values.iter().sum::<f64>() / n as f64
        };
        let median = if n % 2 == 1 {
            sorted[n / 2]
        } else {
            f64::midpoint(sorted[n / 2 - 1], sorted[n / 2])
        };
        let deviation = (n > 1).then(|| {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            (squares / (n - 1) as f64).sqrt()
        });
        let error = deviation.map(|deviation| deviation / (n as f64).sqrt());
        let ci95 = error.map(|error| {
            let half = error * t_quantile(n - 1);
            (mean - half, mean + half)
        });
        Some(Self {
            n: n as u32,
            mean,
            standard_deviation: deviation,
            standard_error: error,
            ci95,
            min,
            median,
            max,
        })
    }

    /// Half the width of the 95 % interval; none for n < 2.
    pub fn half_width(&self) -> Option<f64> {
        self.ci95.map(|(low, high)| (high - low) / 2.0)
    }
}

/// The 0.975 quantile of Student's distribution. Found by iteration, so each is kept.
fn t_quantile(degrees: usize) -> f64 {
    static KNOWN: Mutex<BTreeMap<usize, f64>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    *known.entry(degrees).or_insert_with(|| {
        // Refused only for degrees that are not positive, which no caller has.
        StudentsT::new(0.0, 1.0, degrees as f64).map_or(f64::NAN, |t| t.inverse_cdf(0.975))
    })
}

/// Per epoch, 1 first, the statistics of each metric over these curves, in their order.
///
/// The metrics are those that all curves have; the epochs those that all have reached (accepted curves of one sweep
/// are as long as one another).
pub fn aggregate(curves: &[&Curve]) -> (Vec<Metric>, Vec<Vec<Statistics>>) {
    let metrics = common_metrics(curves);
    let epochs = curves.iter().map(|curve| curve.epochs()).min().unwrap_or(0);
    let rows = (1..=epochs)
        .map(|epoch| at_epoch(curves, &metrics, epoch))
        .collect();
    (metrics, rows)
}

/// The newest epoch that every begun curve has reached, and the statistics of each metric there, in the curves' order.
///
/// So a line of progress speaks of all trials that have begun; none before the first epoch of any. Trials that have
/// just begun, without an epoch yet, are left aside.
pub fn newest(curves: &[&Curve]) -> Option<(u32, Vec<Metric>, Vec<Statistics>)> {
    let begun: Vec<&Curve> = curves
        .iter()
        .copied()
        .filter(|curve| curve.epochs() > 0)
        .collect();
    let epoch = begun.iter().map(|curve| curve.epochs()).min()?;
    let metrics = common_metrics(&begun);
    let statistics = at_epoch(&begun, &metrics, epoch);
    Some((epoch, metrics, statistics))
}

fn common_metrics(curves: &[&Curve]) -> Vec<Metric> {
    let first = curves.first().map_or(&[][..], |curve| &curve.metrics);
    first
        .iter()
        .copied()
        .filter(|metric| curves.iter().all(|curve| curve.metrics.contains(metric)))
        .collect()
}

fn at_epoch(curves: &[&Curve], metrics: &[Metric], epoch: u32) -> Vec<Statistics> {
    let at = |metric: &Metric| {
        let value = |curve: &&Curve| {
            curve
                .column(*metric)
                .map(|column| f64::from(column[epoch as usize - 1]))
        };
        Statistics::of(&curves.iter().filter_map(value).collect::<Vec<_>>())
    };
    metrics.iter().filter_map(at).collect()
}

/// A number with at most 7 significant digits: float32, in which curves are kept, holds no more, and what lies beyond
/// comes of widening.
pub fn significant(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}
