//! What the results say of a claim.

use serde::Serialize;

use crate::sweep::Claim;

/// What the results say of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole 95 % interval is where the claim says.
    Supported,
    /// The whole 95 % interval is where the claim does not allow it.
    Refuted,
    /// The interval is on both sides, or there is none.
    Undecided,
}

impl Verdict {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Refuted => "refuted",
            Self::Undecided => "undecided",
        }
    }
}

/// Judges a claim by the 95 % interval of the paired difference; none with too few pairs. An interval that touches a margin is
/// on neither side of it.
///
/// `within` is a test of equivalence, in which the interval must lie inside the margins on both sides (Schuirmann, Journal of
/// Pharmacokinetics and Biopharmaceutics 15, 1987; with a 95 % interval each of the two tests has a level of 2.5 %).
pub fn judge(claim: Claim, interval: Option<(f64, f64)>) -> Verdict {
    let Some((low, high)) = interval else {
        return Verdict::Undecided;
    };
    let (supported, refuted) = match claim {
        Claim::Lower(margin) => (high < -margin, low > -margin),
        Claim::Higher(margin) => (low > margin, high < margin),
        Claim::Within(margin) => (low > -margin && high < margin, low > margin || high < -margin),
    };
    match (supported, refuted) {
        (true, _) => Verdict::Supported,
        (_, true) => Verdict::Refuted,
        _ => Verdict::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_beyond_the_margin_decides() {
        let of = |claim, low, high| judge(claim, Some((low, high)));
        use Verdict::{Refuted, Supported, Undecided};
        for (low, high, verdict) in [
            (-0.12, -0.09, Supported),
            (-0.09, -0.07, Undecided),
            (-0.12, -0.08, Undecided),
            (-0.08, -0.01, Undecided),
            (-0.07, -0.01, Refuted),
            (0.01, 0.02, Refuted),
        ] {
            assert_eq!(of(Claim::Lower(0.08), low, high), verdict, "{low} {high}");
            assert_eq!(of(Claim::Higher(0.08), -high, -low), verdict, "{low} {high}");
        }
        for (low, high, verdict) in [
            (-0.01, 0.02, Supported),
            (-0.05, 0.02, Undecided),
            (0.02, 0.05, Undecided),
            (0.04, 0.05, Refuted),
            (-0.05, -0.04, Refuted),
        ] {
            assert_eq!(of(Claim::Within(0.03), low, high), verdict, "{low} {high}");
        }
        assert_eq!(of(Claim::Lower(0.0), 0.0, 0.0), Undecided);
        assert_eq!(judge(Claim::Within(1.0), None), Undecided);
    }
}
