//! How often the interval of the best of several groups holds the truth.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::gamma::ln_gamma;

use crate::aggregate::t975;

/// Steps of the integral, an even number.
const STEPS: u32 = 4_000;

/// Returns the probability with which the 95 % t interval of the lowest of `groups` means holds the truth, where the truth of all
/// is the same: means of `n` independent normal values of one variance, the groups independent of one another. `None` for n < 2
/// and for no groups.
///
/// Who reports the lowest mean reports one that is low by chance. Of independent groups with equal truth this happens as often as it
/// can: of groups that differ by more than their intervals are wide, the lowest mean is that of the truly lowest group, whose
/// interval is an ordinary one; of groups whose repetitions share data, means rise and fall together.
///
/// The lowest of m standard normal means is Z with P(Z > z) = (1 − Φ(z))^m, and independent of the deviation S of its group, whose
/// square is χ² with k = n − 1 degrees of freedom over k. So the interval, Z ± t S, holds 0 with probability
/// E[Φ(t S)^m − Φ(−t S)^m]: an integral over the density of S, by Simpson's rule.
pub fn coverage_of_lowest(groups: u32, n: u32) -> Option<f64> {
    if groups == 0 || n < 2 {
        return None;
    }
    let (m, k, t) = (f64::from(groups), f64::from(n - 1), t975(n));
    let normal = Normal::standard();
    let log_constant = k / 2.0 * (k / 2.0).ln() - ln_gamma(k / 2.0);
    // The density of S: 2 (k/2)^(k/2) / Γ(k/2) s^(k − 1) exp(−k s² / 2).
    let density = |s: f64| {
        let power = if k == 1.0 { 0.0 } else { (k - 1.0) * s.ln() };
        2.0 * (log_constant + power - k * s * s / 2.0).exp()
    };
    let integrand = |s: f64| density(s) * (normal.cdf(t * s).powf(m) - normal.cdf(-t * s).powf(m));
    // Beyond these ends the density of S is below 1e-16 of its whole.
    let spread = 9.0 / k.sqrt();
    let (low, high) = (f64::max(0.0, 1.0 - spread), 1.0 + spread);
    let width = (high - low) / f64::from(STEPS);
    let sum: f64 = (0..=STEPS)
        .map(|step| {
            let weight = match step {
                0 | STEPS => 1.0,
                step if step % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight * integrand(low + width * f64::from(step))
        })
        .sum();
    Some((sum * width / 3.0).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_group_has_an_ordinary_interval_and_two_have_one_by_symmetry() {
        for n in [2, 3, 10, 100, 10_000] {
            for groups in [1, 2] {
                let coverage = coverage_of_lowest(groups, n).unwrap();
                assert!((coverage - 0.95).abs() < 1e-6, "{groups} {n}: {coverage}");
            }
        }
        assert_eq!((coverage_of_lowest(0, 3), coverage_of_lowest(3, 1)), (None, None));
    }
}
