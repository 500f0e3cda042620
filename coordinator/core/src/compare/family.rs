//! Verdicts of several hypotheses together.

use super::evidence::Evidence;
use super::holm;
use super::verdict::Verdict;

/// The level of each one-sided test: what stands outside a 95 % interval on one side.
pub const LEVEL: f64 = 0.025;

/// A verdict that is corrected for the hypotheses of its family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Corrected {
    /// The number of hypotheses in the family.
    pub family: u32,
    /// Holm's p-value of support.
    pub p_support: f64,
    /// Holm's p-value of refutation.
    pub p_refutation: f64,
    /// The verdict.
    pub verdict: Verdict,
}

/// Returns the verdicts of a family of hypotheses, in order.
///
/// Holm's correction is over the tests of support and, by itself, over those of refutation, at one-sided 2.5 %: the chance that
/// any false claim of the family is supported is at most 2.5 %, and so is the chance that any true one is refuted on a given
/// side. A hypothesis that cannot be decided has p = 1 and stays in. The verdict of a family of one is that of the interval.
pub fn corrected(family: &[Evidence]) -> Vec<Corrected> {
    let holm_of = |p: fn(&Evidence) -> f64| holm(&family.iter().map(p).collect::<Vec<_>>());
    let (support, refutation) = (
        holm_of(|evidence| evidence.p_support),
        holm_of(|evidence| evidence.p_refutation),
    );
    let alone = family.len() == 1;
    let verdict = |(evidence, (p_support, p_refutation)): (&Evidence, (f64, f64))| {
        let holds = match evidence.by_interval {
            Verdict::Supported => alone || p_support < LEVEL,
            Verdict::Refuted => alone || p_refutation < LEVEL,
            Verdict::Undecided => false,
        };
        Corrected {
            family: family.len() as u32,
            p_support,
            p_refutation,
            verdict: match holds {
                true => evidence.by_interval,
                false => Verdict::Undecided,
            },
        }
    };
    let both = support.into_iter().zip(refutation);
    family.iter().zip(both).map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::Claim;
    use proptest::prelude::*;

    fn evidence(p_support: f64, p_refutation: f64, by_interval: Verdict) -> Evidence {
        Evidence {
            p_support,
            p_refutation,
            by_interval,
            ..Evidence::NONE
        }
    }

    #[test]
    fn support_and_refutation_are_corrected_by_themselves() {
        use Verdict::{Refuted, Supported, Undecided};
        let family = [
            evidence(0.004, 0.996, Supported),
            evidence(0.01, 0.99, Supported),
            evidence(0.999, 0.001, Refuted),
            Evidence::NONE,
            evidence(0.98, 0.02, Refuted),
        ];
        let corrected = corrected(&family);
        let verdicts: Vec<_> = corrected.iter().map(|of| of.verdict).collect();
        // Support: 0.004 × 5 = 0.02, 0.01 × 4 = 0.04. Refutation: 0.001 × 5 = 0.005, 0.02 × 4 = 0.08.
        assert_eq!(verdicts, [Supported, Undecided, Refuted, Undecided, Undecided]);
        let p: Vec<_> = corrected.iter().map(|of| of.p_support).collect();
        assert_eq!(p, [0.02, 0.04, 1.0, 1.0, 1.0]);
        assert!((corrected[4].p_refutation - 0.08).abs() < 1e-15);
        assert!(corrected.iter().all(|of| of.family == 5));
    }

    proptest! {
        /// One hypothesis has the verdict of its interval, to the bit.
        #[test]
        fn a_family_of_one_is_the_rule_of_the_interval(
            differences in prop::collection::vec(-20..20i32, 1..12),
            margin in 0..10u32,
            counts in any::<bool>(),
        ) {
            let differences: Vec<f64> = differences.into_iter().map(|k| f64::from(k) / 1000.0).collect();
            let margin = f64::from(margin) / 1000.0;
            for claim in [Claim::Lower(margin), Claim::Higher(margin), Claim::Within(margin + 0.0005)] {
                let evidence = Evidence::of(claim, &differences, counts.then_some(1000));
                prop_assert_eq!(corrected(&[evidence])[0].verdict, evidence.by_interval);
            }
        }

        /// A correction only ever makes a verdict undecided.
        #[test]
        fn others_never_make_a_verdict(
            sets in prop::collection::vec(prop::collection::vec(-0.2..0.1f64, 0..8), 1..6),
        ) {
            let family: Vec<_> = sets
                .iter()
                .map(|differences| Evidence::of(Claim::Lower(0.01), differences, None))
                .collect();
            for (corrected, evidence) in corrected(&family).iter().zip(&family) {
                prop_assert!(corrected.verdict == evidence.by_interval || corrected.verdict == Verdict::Undecided);
                prop_assert!(corrected.p_support >= evidence.p_support);
            }
        }
    }
}
