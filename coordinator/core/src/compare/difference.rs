//! A comparison of two sides, and the tests of what they differ by.

use serde::Serialize;
use statrs::function::gamma::ln_gamma;

use super::{TTest, Wilcoxon, paired_difference};
use crate::aggregate::Statistics;

/// Two sides, compared over the repetitions that both have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Repetitions that only one side has a value of: left out.
    pub left_out: u32,
    /// Repetitions that neither side has a value of.
    pub missing: u32,
    /// The mean of the first side over the pairs; none without pairs.
    pub this_mean: Option<f64>,
    /// The mean of the second side over the pairs; none without pairs.
    pub than_mean: Option<f64>,
    /// The first less the second; none without pairs.
    pub difference: Option<Difference>,
}

/// Paired differences and their tests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Their number, mean, deviation and 95 % t interval.
    pub statistics: Statistics,
    /// The paired t test; none for n < 2, and none where all differences are equal.
    pub t_test: Option<TTest>,
    /// Wilcoxon's signed-rank test; none where all differences are 0.
    pub wilcoxon: Option<Wilcoxon>,
    /// Cohen's d of paired differences, their mean in units of their deviation (Cohen, Statistical Power Analysis for the
    /// Behavioral Sciences, 1988, 2.3.5); none for n < 2 and for a deviation of 0.
    pub d_z: Option<f64>,
    /// `g_z`: `d_z` without its bias for few pairs, times Hedges' factor J(m) = Γ(m/2) / (√(m/2) Γ((m − 1)/2)) with m = n − 1
    /// (Hedges, Journal of Educational Statistics 6, 1981; for paired differences Lakens, Frontiers in Psychology 4, 2013). It is
    /// in units of the deviation of *differences*, and so no Hedges' g of two independent groups. None for n < 3 and for a
    /// deviation of 0.
    pub g_z: Option<f64>,
}

impl Comparison {
    /// Of values by repetition, the same one at the same place; none where a side has no value. Values are finite. Where one side
    /// was repeated more often, what is beyond the other is no part of it.
    pub fn of(this: &[Option<f64>], than: &[Option<f64>]) -> Self {
        let at = |side: &[Option<f64>], repetition: usize| side.get(repetition).copied().flatten();
        let (mut pairs, mut left_out, mut missing) = (Vec::new(), 0, 0);
        for repetition in 0..this.len().min(than.len()) {
            match (at(this, repetition), at(than, repetition)) {
                (Some(this), Some(than)) => pairs.push((this, than)),
                (None, None) => missing += 1,
                _ => left_out += 1,
            }
        }
        let side = |of: fn(&(f64, f64)) -> f64| {
            let values: Vec<f64> = pairs.iter().map(of).collect();
            Statistics::of(&values).map(|statistics| statistics.mean)
        };
        let differences: Vec<f64> = pairs
            .iter()
            .map(|&(this, than)| paired_difference(this, than))
            .collect();
        Self {
            left_out,
            missing,
            this_mean: side(|pair| pair.0),
            than_mean: side(|pair| pair.1),
            difference: Difference::of(&differences),
        }
    }

    /// Repetitions that both sides have a value of.
    pub fn pairs(&self) -> u32 {
        self.difference
            .as_ref()
            .map_or(0, |difference| difference.statistics.n)
    }
}

impl Difference {
    /// Returns what finite differences say, in repetition order; `None` of no differences. Where all are equal there is no interval:
    /// nothing is known of how they vary.
    pub fn of(differences: &[f64]) -> Option<Self> {
        let mut statistics = Statistics::of(differences)?;
        if statistics.standard_deviation == Some(0.0) {
            statistics.ci95 = None;
        }
        let deviation = statistics.standard_deviation.filter(|deviation| *deviation > 0.0);
        let d_z = deviation.map(|deviation| statistics.mean / deviation);
        let g_z = d_z.filter(|_| statistics.n >= 3).map(|d| {
            let m = f64::from(statistics.n) - 1.0;
            d * (ln_gamma(m / 2.0) - ln_gamma((m - 1.0) / 2.0)).exp() / (m / 2.0).sqrt()
        });
        Some(Self {
            t_test: TTest::of(&statistics),
            wilcoxon: Wilcoxon::of(differences),
            d_z,
            g_z,
            statistics,
        })
    }

    /// The p-value of the t test as a family of tests counts it: 1 where all differences are equal, since there is no deviation to
    /// measure their mean by. `None` for n < 2.
    pub fn t_p(&self) -> Option<f64> {
        let p = self.t_test.map_or(1.0, |test| test.p);
        (self.statistics.n >= 2).then_some(p)
    }

    /// The p-value of Wilcoxon's test as a family of tests counts it: 1 where all differences are 0.
    pub fn wilcoxon_p(&self) -> f64 {
        self.wilcoxon.map_or(1.0, |test| test.p)
    }

    /// The interaction of two settings of two values each: for every repetition that has all four, (with both − with the first
    /// alone) − (with the second alone − with neither). 0 where what one does has nothing to do with the other; below 0 where
    /// both together lower the value by more than the sum of what each lowers it by alone.
    ///
    /// Also the number of repetitions that have some of the four and not all, among those that all four were run in.
    pub fn interaction(
        both: &[Option<f64>],
        first: &[Option<f64>],
        second: &[Option<f64>],
        neither: &[Option<f64>],
    ) -> (Option<Self>, u32) {
        let sides = [both, first, second, neither];
        let (mut contrasts, mut left_out) = (Vec::new(), 0);
        for repetition in 0..sides.iter().map(|side| side.len()).min().unwrap_or(0) {
            let [both, first, second, neither] = sides.map(|side| side.get(repetition).copied().flatten());
            match (both, first, second, neither) {
                (Some(both), Some(first), Some(second), Some(neither)) => {
                    let with = paired_difference(both, first);
                    contrasts.push(paired_difference(with, paired_difference(second, neither)));
                }
                (None, None, None, None) => {}
                _ => left_out += 1,
            }
        }
        (Self::of(&contrasts), left_out)
    }
}
