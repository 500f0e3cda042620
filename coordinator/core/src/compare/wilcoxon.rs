//! Wilcoxon's signed-rank test.

use std::f64::consts::SQRT_2;

use serde::Serialize;
use statrs::function::erf::erfc;

/// The most differences whose null distribution is counted out. 2^50 sign patterns still are an exact float64.
const MOST_EXACT: usize = 50;

/// A signed-rank test of the hypothesis that the differences are symmetric around 0 (Wilcoxon, Biometrics Bulletin 1, 1945).
/// Differences of 0 are left out; equal sizes share the mean of their ranks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Wilcoxon {
    /// Differences that are not 0.
    pub n: u32,
    /// The lesser of the sums of the ranks of positive and of negative differences.
    pub statistic: f64,
    /// The two-sided p-value.
    pub p: f64,
    /// What the p-value was computed from.
    pub null: Null,
}

/// The distribution of the statistic should the hypothesis be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Null {
    /// All 2^n patterns of signs, counted: at most 50 differences, of which no two have the same size.
    Exact,
    /// The normal distribution with the mean and, corrected for ties, the variance of the statistic; without correction for
    /// continuity. Rough where n is below 10 or so.
    Normal,
}

impl Wilcoxon {
    /// Of these finite differences; none where none is other than 0.
    pub fn of(differences: &[f64]) -> Option<Self> {
        let mut ordered: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
        ordered.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
        let n = u32::try_from(ordered.len()).ok().filter(|n| *n > 0)?;
        let (mut positive, mut ties, mut before) = (0.0, 0.0, 0u32);
        for same in ordered.chunk_by(|a, b| a.abs() == b.abs()) {
            let size = same.len() as u32;
            let rank = f64::from(before) + f64::midpoint(1.0, f64::from(size));
            positive += rank * same.iter().filter(|d| **d > 0.0).count() as f64;
            ties += f64::from(size).powi(3) - f64::from(size);
            before += size;
        }
        let count = f64::from(n);
        let all = count * (count + 1.0) / 2.0;
        let statistic = f64::min(positive, all - positive);
        let exact = ordered.len() <= MOST_EXACT && ties == 0.0;
        let p = if exact {
            2.0 * at_most(n as usize, statistic as usize)
        } else {
            let variance = (count * (count + 1.0) * (2.0 * count + 1.0) - ties / 2.0) / 24.0;
            erfc((all / 2.0 - statistic) / variance.sqrt() / SQRT_2)
        };
        Some(Self {
            n,
            statistic,
            p: p.clamp(0.0, 1.0),
            null: if exact { Null::Exact } else { Null::Normal },
        })
    }
}

/// The probability that a sum of some of the ranks 1 … n, each taken or not with the same chance, is at most this: the number of
/// subsets with each sum is found rank by rank.
fn at_most(n: usize, sum: usize) -> f64 {
    let mut subsets = vec![0u64; sum + 1];
    subsets[0] = 1;
    for rank in 1..=n.min(sum) {
        for total in (rank..=sum).rev() {
            subsets[total] += subsets[total - rank];
        }
    }
    let count: u64 = subsets.iter().sum();
    count as f64 / 2f64.powi(n as i32)
}
