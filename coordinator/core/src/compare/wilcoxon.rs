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
    /// All 2^n patterns of signs, counted with the ranks as they are, shared ones included: at most 50 differences other than 0.
    Exact,
    /// The normal distribution with the mean and, corrected for ties, the variance of the statistic; without correction for
    /// continuity.
    Normal,
}

impl Null {
    /// Its name, as exports have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Normal => "normal",
        }
    }
}

impl Wilcoxon {
    /// Of these finite differences; none where none is other than 0.
    pub fn of(differences: &[f64]) -> Option<Self> {
        let mut ordered: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
        ordered.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
        let n = u32::try_from(ordered.len()).ok().filter(|n| *n > 0)?;
        // Ranks are doubled: the mean of several ranks is a half at most, so all sums are whole numbers.
        let (mut doubled, mut positive, mut ties) = (Vec::with_capacity(ordered.len()), 0u64, 0.0);
        for same in ordered.chunk_by(|a, b| a.abs() == b.abs()) {
            let (before, size) = (doubled.len(), same.len());
            let rank = 2 * before + size + 1;
            positive += (rank * same.iter().filter(|d| **d > 0.0).count()) as u64;
            doubled.extend(std::iter::repeat_n(rank, size));
            ties += (size as f64).powi(3) - size as f64;
        }
        let count = f64::from(n);
        let all = u64::from(n) * (u64::from(n) + 1);
        let lesser = positive.min(all - positive);
        let exact = ordered.len() <= MOST_EXACT;
        let p = if exact {
            2.0 * at_most(&doubled, lesser as usize)
        } else {
            let variance = (count * (count + 1.0) * (2.0 * count + 1.0) - ties / 2.0) / 24.0;
            erfc((all as f64 / 2.0 - lesser as f64) / 2.0 / variance.sqrt() / SQRT_2)
        };
        Some(Self {
            n,
            statistic: lesser as f64 / 2.0,
            p: p.clamp(0.0, 1.0),
            null: if exact { Null::Exact } else { Null::Normal },
        })
    }

    /// Returns the least p-value that any `n` differences other than 0 can have: 2 of 2^n patterns of signs are as extreme as one
    /// sign throughout. `None` where the p-value is not counted exactly, and for no differences.
    pub fn least_p(n: u32) -> Option<f64> {
        (1..=MOST_EXACT as u32)
            .contains(&n)
            .then(|| f64::min(1.0, 2f64.powi(1 - n as i32)))
    }
}

/// The probability that a sum of some of these ranks, each taken or not with the same chance, is at most this: the number of
/// subsets with each sum is found rank by rank.
///
/// At most 50 ranks, so that counts stay below 2^50 and are exact.
fn at_most(ranks: &[usize], sum: usize) -> f64 {
    let mut subsets = vec![0u64; sum + 1];
    subsets[0] = 1;
    for &rank in ranks {
        for total in (rank..=sum).rev() {
            subsets[total] += subsets[total - rank];
        }
    }
    let count: u64 = subsets.iter().sum();
    count as f64 / 2f64.powi(ranks.len() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two-sided p-value by its definition: of all patterns of signs the share whose lesser sum of ranks is no greater.
    fn enumerated(differences: &[f64]) -> f64 {
        let sizes: Vec<f64> = differences.iter().map(|d| d.abs()).filter(|d| *d > 0.0).collect();
        let rank = |size: f64| {
            let below = sizes.iter().filter(|other| **other < size).count() as f64;
            let same = sizes.iter().filter(|other| **other == size).count() as f64;
            below + (same + 1.0) / 2.0
        };
        let ranks: Vec<f64> = sizes.iter().map(|size| rank(*size)).collect();
        let lesser = |positive: &dyn Fn(usize) -> bool| {
            let sum = |sign| -> f64 {
                let of = ranks.iter().enumerate().filter(|(at, _)| positive(*at) == sign);
                of.map(|(_, rank)| *rank).sum()
            };
            f64::min(sum(true), sum(false))
        };
        let signs: Vec<bool> = differences
            .iter()
            .filter(|d| **d != 0.0)
            .map(|d| *d > 0.0)
            .collect();
        let ours = lesser(&|at| signs[at]);
        let patterns = 0..1u32 << ranks.len();
        let as_extreme = patterns.filter(|pattern| lesser(&|at| pattern >> at & 1 == 1) <= ours);
        as_extreme.count() as f64 / 2f64.powi(ranks.len() as i32)
    }

    #[test]
    fn five_of_one_sign_have_the_least_p_with_ties_too() {
        for differences in [
            [-1.0, -2.0, -3.0, -4.0, -5.0],
            [-1.0, -1.0, -2.0, -2.0, -2.0],
            [-1.0; 5],
        ] {
            let test = Wilcoxon::of(&differences).unwrap();
            assert_eq!((test.p, test.null, test.statistic), (0.0625, Null::Exact, 0.0));
        }
        let with_zeros = Wilcoxon::of(&[0.0, -1.0, -1.0, 0.0, -2.0, -2.0, -2.0]).unwrap();
        assert_eq!((with_zeros.p, with_zeros.n), (0.0625, 5));
        assert_eq!(Wilcoxon::least_p(5), Some(0.0625));
        assert_eq!((Wilcoxon::least_p(1), Wilcoxon::least_p(0)), (Some(1.0), None));
        assert_eq!(Wilcoxon::least_p(51), None);
        assert_eq!(Wilcoxon::of(&[0.0, 0.0]), None);
    }

    #[test]
    fn fifty_tied_differences_are_counted_without_rounding() {
        let one_sign = Wilcoxon::of(&[0.5; 50]).unwrap();
        assert_eq!((one_sign.p, one_sign.null), (2f64.powi(-49), Null::Exact));
        // Half of each sign: every pattern is as extreme.
        let mut balanced = [0.5; 50];
        balanced[..25].fill(-0.5);
        assert_eq!(Wilcoxon::of(&balanced).unwrap().p, 1.0);
        assert_eq!(Wilcoxon::of(&[0.5; 51]).unwrap().null, Null::Normal);
    }

    proptest::proptest! {
        #[test]
        fn counted_patterns_are_those_of_full_enumeration(differences in proptest::collection::vec(-4i8..=4, 1..=12)) {
            let differences: Vec<f64> = differences.into_iter().map(f64::from).collect();
            if let Some(test) = Wilcoxon::of(&differences) {
                proptest::prop_assert_eq!(test.null, Null::Exact);
                proptest::prop_assert!((test.p - enumerated(&differences)).abs() < 1e-12);
            } else {
                proptest::prop_assert!(differences.iter().all(|d| *d == 0.0));
            }
        }
    }
}
