//! One number of a trial's curve: the area below it, and when it reaches a threshold.

use serde::Serialize;
use statrs::function::factorial::ln_binomial;
use std::f64::consts::LN_2;

use crate::aggregate::Statistics;
use crate::rank::Rank;

/// The area under a metric's values at epochs 1 … E, in its unit × epochs: the sum of the trapezoids between neighbouring
/// epochs, Σ (vₑ + vₑ₊₁) / 2. 0 for one epoch, none for no epoch.
pub fn area(column: &[f64]) -> Option<f64> {
    (!column.is_empty()).then(|| {
        let trapezoids = column.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]));
        trapezoids.sum()
    })
}

/// The first epoch, from 1, whose value is at most the threshold; none where there is none. The metric is a count of `answers`, or
/// none: a value that is equal to the threshold but for float32 is at most it.
pub fn epochs_to(column: &[f64], threshold: Rank, answers: Option<u32>) -> Option<u32> {
    let at = column
        .iter()
        .position(|value| Rank::of(*value, answers) <= threshold)?;
    u32::try_from(at + 1).ok()
}

/// Epochs that repetitions take to reach a threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reach {
    /// Repetitions.
    pub n: u32,
    /// Those that never reach it: they would take longer than they were trained.
    pub censored: u32,
    /// The mean and the rest of it; none when any never reaches it, as its epochs are not known.
    pub statistics: Option<Statistics>,
    /// The median; none when it lies among those that never reach it.
    pub median: Option<f64>,
    /// An interval for the median that holds it with a chance of 95 % at least; none where there are too few repetitions
    /// (fewer than 6) or its low end is not reached.
    pub interval: Option<Between>,
}

/// The interval between two order statistics.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Between {
    /// Its low end.
    pub low: f64,
    /// Its high end; none when that is among those that never reach the threshold.
    pub high: Option<f64>,
    /// The chance with which it holds the median, 0.95 or more.
    pub coverage: f64,
}

/// Of the epochs that each repetition takes, none for one that never reaches the threshold; none of no repetitions.
///
/// The interval for the median is that between the k-th least and the k-th greatest for the greatest k with P(B < k) ≤ 2.5 %,
/// where B is binomial with n and ½; it holds whatever the distribution (Conover, Practical Nonparametric Statistics, 3.2).
pub fn reach(epochs: &[Option<u32>]) -> Option<Reach> {
    let n = u32::try_from(epochs.len()).ok().filter(|n| *n > 0)?;
    let mut reached: Vec<f64> = epochs.iter().flatten().map(|epochs| f64::from(*epochs)).collect();
    let censored = n - reached.len() as u32;
    let statistics = (censored == 0).then(|| Statistics::of(&reached)).flatten();
    reached.sort_by(f64::total_cmp);
    let at = |place: usize| reached.get(place).copied();
    let (middle, below) = (epochs.len() / 2, (epochs.len() - 1) / 2);
    let median = at(below).zip(at(middle)).map(|(a, b)| f64::midpoint(a, b));
    let interval = tail(n).and_then(|(k, below)| {
        Some(Between {
            low: at(k as usize - 1)?,
            high: at((n - k) as usize),
            coverage: 1.0 - 2.0 * below,
        })
    });
    Some(Reach {
        n,
        censored,
        statistics,
        median,
        interval,
    })
}

/// The greatest k with P(B < k) ≤ 2.5 %, and that chance; none where k would be 0.
fn tail(n: u32) -> Option<(u32, f64)> {
    let chance = |successes: u32| (ln_binomial(n.into(), successes.into()) - f64::from(n) * LN_2).exp();
    let (mut k, mut below) = (0, 0.0);
    while below + chance(k) <= 0.025 {
        below += chance(k);
        k += 1;
    }
    (k > 0).then_some((k, below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_sums_of_trapezoids() {
        assert_eq!(area(&[1.0, 0.5, 0.25]), Some(1.125));
        assert_eq!(area(&[0.5]), Some(0.0));
        assert_eq!(area(&[]), None);
    }

    #[test]
    fn the_first_epoch_at_the_threshold_counts() {
        let of = |column: &[f64], threshold| epochs_to(column, Rank::of(threshold, None), None);
        assert_eq!(of(&[0.5, 0.2, 0.3, 0.1], 0.2), Some(2));
        assert_eq!(of(&[0.5, 0.2], 0.1), None);
    }

    #[test]
    fn exactly_a_point_above_the_end_is_within_a_point_of_it() {
        // Curves that are exactly a point of a hundred above their end at epoch 2, and within it from epoch 5 on.
        for last in 0..900u32 {
            let counts = [last + 500, last + 10, last + 11, last + 12, last, last];
            let column: Vec<f64> = counts.map(|k| f64::from(k as f32 / 1000.0)).to_vec();
            let end = Rank::of(column[5], Some(1000));
            assert_eq!(
                epochs_to(&column, end.plus_thousandths(10), Some(1000)),
                Some(2),
                "{last}"
            );
        }
    }

    #[test]
    fn what_never_reaches_the_threshold_is_counted_and_has_no_mean() {
        assert_eq!(reach(&[]), None);
        let all = reach(&[Some(4), Some(2), Some(6)]).unwrap();
        assert_eq!((all.n, all.censored, all.median), (3, 0, Some(4.0)));
        assert_eq!(all.statistics.unwrap().mean, 4.0);
        assert_eq!(all.interval, None, "three are too few");
        let some = reach(&[Some(4), None, Some(6), Some(2)]).unwrap();
        assert_eq!((some.censored, some.median), (1, Some(5.0)));
        assert_eq!(some.statistics, None);
        assert_eq!(reach(&[Some(4), None, None]).unwrap().median, None);

        // Of ten, the second least and the second greatest: P(B < 2) = 11/1024.
        let mut ten: Vec<Option<u32>> = (1..=10).map(Some).collect();
        let interval = reach(&ten).unwrap().interval.unwrap();
        assert_eq!((interval.low, interval.high), (2.0, Some(9.0)));
        assert!((interval.coverage - (1.0 - 22.0 / 1024.0)).abs() < 1e-12);
        ten[9] = None;
        ten[8] = None;
        let interval = reach(&ten).unwrap().interval.unwrap();
        assert_eq!((interval.low, interval.high), (2.0, None));
    }
}
