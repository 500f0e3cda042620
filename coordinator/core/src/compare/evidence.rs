//! What paired differences say of a claim: an interval and one-sided tests.

use super::verdict::{Verdict, judge};
use super::{paired_difference, two_sided_t};
use crate::aggregate::{Statistics, t975};
use crate::sweep::Claim;

/// What the paired differences of a hypothesis say of its claim, before any correction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// Number, mean, deviation and 95 % t interval of the differences; `None` without pairs. The deviation and the interval are
    /// those that the verdict rests on: `floored` says whether the deviation is the least one that is possible.
    pub statistics: Option<Statistics>,
    /// Whether the differences vary by less than one answer, and the deviation of one answer stands in for theirs.
    pub floored: bool,
    /// Whether all differences are equal, and nothing is known of how they vary.
    pub all_equal: bool,
    /// The verdict of the interval by itself.
    pub by_interval: Verdict,
    /// The one-sided p-value of the test that supports the claim; 1 where nothing can be tested.
    pub p_support: f64,
    /// The one-sided p-value of the test that refutes it; 1 where nothing can be tested.
    pub p_refutation: f64,
}

impl Evidence {
    /// The evidence of no pairs.
    pub const NONE: Self = Self {
        statistics: None,
        floored: false,
        all_equal: false,
        by_interval: Verdict::Undecided,
        p_support: 1.0,
        p_refutation: 1.0,
    };

    /// Returns what finite differences say of a claim, in repetition order. `answers` is N where the metric is a count of N
    /// answers.
    ///
    /// A count has a grain: two trials that would differ by part of an answer have the same value. So differences of counts
    /// vary by one answer at least, 1/N, and a smaller sample deviation is the luck of few pairs. Differences of other metrics
    /// that are all equal have no deviation to measure anything by, and no interval.
    pub fn of(claim: Claim, differences: &[f64], answers: Option<u32>) -> Self {
        let Some(mut statistics) = Statistics::of(differences) else {
            return Self::NONE;
        };
        let all_equal = statistics.standard_deviation == Some(0.0);
        let floor = answers.map_or(0.0, |answers| 1.0 / f64::from(answers.max(1)));
        // A deviation of one answer but for the last bits is no smaller one.
        let floored = statistics
            .standard_deviation
            .is_some_and(|deviation| paired_difference(deviation, floor) < 0.0);
        if floored {
            let error = floor / f64::from(statistics.n).sqrt();
            let half = t975(statistics.n) * error;
            statistics.standard_deviation = Some(floor);
            statistics.standard_error = Some(error);
            statistics.ci95 = Some((statistics.mean - half, statistics.mean + half));
        } else if all_equal {
            statistics.ci95 = None;
        }
        let (p_support, p_refutation) = one_sided(claim, &statistics).unwrap_or((1.0, 1.0));
        Self {
            statistics: Some(statistics),
            floored,
            all_equal,
            by_interval: judge(claim, statistics.ci95),
            p_support,
            p_refutation,
        }
    }

    /// Returns the number of pairs.
    pub fn pairs(&self) -> u32 {
        self.statistics.map_or(0, |statistics| statistics.n)
    }
}

/// The one-sided p-values of support and of refutation; none without an interval.
///
/// `lower` and `higher` are paired t tests against the margin. `within` is supported by two tests, one against each margin, and
/// its p-value is the larger of both (Schuirmann 1987); it is refuted by either, and its p-value is the smaller.
fn one_sided(claim: Claim, statistics: &Statistics) -> Option<(f64, f64)> {
    statistics.ci95?;
    let error = statistics.standard_error.filter(|error| *error > 0.0)?;
    let freedom = f64::from(statistics.n) - 1.0;
    let tails = |margin: f64| {
        let t = (statistics.mean - margin) / error;
        let tail = two_sided_t(t, freedom)? / 2.0;
        // That the mean is below the margin, and that it is above.
        Some(if t < 0.0 {
            (tail, 1.0 - tail)
        } else {
            (1.0 - tail, tail)
        })
    };
    match claim {
        Claim::Lower(margin) => tails(-margin),
        Claim::Higher(margin) => tails(margin).map(|(below, above)| (above, below)),
        Claim::Within(margin) => {
            let ((below, above_high), (below_low, above)) = (tails(margin)?, tails(-margin)?);
            Some((f64::max(below, above), f64::min(above_high, below_low)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The level of each side.
    const LEVEL: f64 = 0.025;

    fn claims(margin: f64) -> [Claim; 3] {
        [
            Claim::Lower(margin),
            Claim::Higher(margin),
            Claim::Within(margin.max(1e-9)),
        ]
    }

    proptest! {
        /// The tests at 2.5 % are the rule of the 95 % interval, but for what touches a margin to the last digits.
        #[test]
        fn one_sided_tests_agree_with_the_interval(
            differences in prop::collection::vec(-0.2..0.2f64, 2..15),
            margin in 0.0..0.1f64,
        ) {
            for claim in claims(margin) {
                let evidence = Evidence::of(claim, &differences, None);
                let near = |p: f64| (p - LEVEL).abs() < 1e-7;
                prop_assume!(!near(evidence.p_support) && !near(evidence.p_refutation));
                let by_tests = match (evidence.p_support < LEVEL, evidence.p_refutation < LEVEL) {
                    (true, _) => Verdict::Supported,
                    (_, true) => Verdict::Refuted,
                    _ => Verdict::Undecided,
                };
                prop_assert_eq!(by_tests, evidence.by_interval, "{:?}", claim);
            }
        }
    }

    #[test]
    fn equal_differences_are_no_certainty() {
        let same = [-0.001, -0.001];
        // Two equal differences of one answer in 1,000: t = √2 with one degree of freedom.
        let count = Evidence::of(Claim::Lower(0.0), &same, Some(1000));
        assert_eq!((count.by_interval, count.floored), (Verdict::Undecided, true));
        assert!((count.p_support - 0.195_913).abs() < 1e-6, "{count:?}");
        let (low, high) = count.statistics.unwrap().ci95.unwrap();
        assert!((low + 0.001 + 0.008_984_6).abs() < 1e-6 && (high + 0.001 - 0.008_984_6).abs() < 1e-6);

        let loss = Evidence::of(Claim::Lower(0.0), &same, None);
        assert_eq!((loss.by_interval, loss.floored), (Verdict::Undecided, false));
        assert!(loss.all_equal && loss.statistics.unwrap().ci95.is_none());
        assert_eq!((loss.p_support, loss.p_refutation), (1.0, 1.0));
        let one = Evidence::of(Claim::Lower(0.0), &[-0.1], Some(1000));
        assert_eq!((one.pairs(), one.p_support, one.floored), (1, 1.0, false));
        assert_eq!(Evidence::of(Claim::Lower(0.0), &[], None), Evidence::NONE);
    }

    #[test]
    fn differences_that_vary_by_an_answer_or_more_keep_their_deviation() {
        // 0, 0.002 and 0.001 of 1,000: a deviation of exactly one answer.
        let differences = [0.0, 0.002, 0.001];
        let evidence = Evidence::of(Claim::Higher(0.0), &differences, Some(1000));
        assert!(!evidence.floored);
        assert_eq!(evidence.statistics, Statistics::of(&differences));
        // 0, 0 and 0.001 vary by less.
        assert!(Evidence::of(Claim::Higher(0.0), &[0.0, 0.0, 0.001], Some(1000)).floored);
    }

    #[test]
    fn within_takes_the_larger_of_its_two() {
        let differences = [0.01, 0.02, 0.015, 0.012, 0.018];
        let of = |claim| Evidence::of(claim, &differences, None);
        let within = of(Claim::Within(0.02));
        let (below, above) = (
            of(Claim::Higher(0.02)).p_refutation,
            of(Claim::Lower(0.02)).p_refutation,
        );
        assert_eq!(within.p_support, f64::max(below, above));
        assert_eq!(within.p_support, below, "it is nearer to the upper margin");
        let (beyond, far) = (
            of(Claim::Higher(0.02)).p_support,
            of(Claim::Lower(0.02)).p_support,
        );
        assert_eq!(within.p_refutation, f64::min(beyond, far));
    }
}
