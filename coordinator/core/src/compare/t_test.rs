//! The paired t test.

use serde::Serialize;
use statrs::function::beta::checked_beta_reg;

use crate::aggregate::Statistics;

/// A paired t test of the hypothesis that the mean of the differences is 0 (Student, Biometrika 6, 1908).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TTest {
    /// The mean of the differences, in standard errors.
    pub t: f64,
    /// n − 1.
    pub degrees_of_freedom: u32,
    /// The two-sided p-value.
    pub p: f64,
}

impl TTest {
    /// Of these differences; none for n < 2, and none where all are equal: there is no deviation to measure the mean by.
    pub fn of(differences: &Statistics) -> Option<Self> {
        let error = differences.standard_error.filter(|error| *error > 0.0)?;
        let degrees_of_freedom = differences.n - 1;
        let t = differences.mean / error;
        Some(Self {
            t,
            degrees_of_freedom,
            p: two_sided_t(t, f64::from(degrees_of_freedom))?,
        })
    }
}

/// The probability that |T| ≥ |t| where T has Student's distribution with so many degrees of freedom, above 0: the
/// regularised incomplete beta function I(ν/2, 1/2) at ν / (ν + t²) (Abramowitz and Stegun, Handbook of Mathematical Functions,
/// 26.7.1 and 26.5.27). Directly so, and not as 1 less something: small probabilities keep their digits.
pub fn two_sided_t(t: f64, degrees_of_freedom: f64) -> Option<f64> {
    let share = degrees_of_freedom / (degrees_of_freedom + t * t);
    checked_beta_reg(degrees_of_freedom / 2.0, 0.5, share)
        .ok()
        .map(|p| p.clamp(0.0, 1.0))
}
