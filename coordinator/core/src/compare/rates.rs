//! Rates that are compared in pairs.

use statrs::function::factorial::ln_binomial;
use std::f64::consts::LN_2;

/// Returns the two-sided p-value of McNemar's exact test: of repetitions in which something befell exactly one of two sides,
/// `only_this` on this side and `only_than` on that, whether both sides are as likely (McNemar, Psychometrika 12, 1947; the
/// sign test of those repetitions). 1 where there are none.
pub fn exact_mcnemar(only_this: u32, only_than: u32) -> f64 {
    let n = u64::from(only_this) + u64::from(only_than);
    let least = u64::from(only_this.min(only_than));
    let chance = |k: u64| (ln_binomial(n, k) - n as f64 * LN_2).exp();
    let tail: f64 = (0..=least).map(chance).sum();
    f64::min(1.0, 2.0 * tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mcnemar_counts_out_the_sign_test() {
        assert_eq!(exact_mcnemar(0, 0), 1.0);
        assert!((exact_mcnemar(8, 0) - 2.0 / 256.0).abs() < 1e-12);
        assert!((exact_mcnemar(0, 8) - 2.0 / 256.0).abs() < 1e-12);
        // P(B ≤ 2) of ten is 56 / 1024.
        assert!((exact_mcnemar(2, 8) - 112.0 / 1024.0).abs() < 1e-12);
        assert_eq!(exact_mcnemar(5, 5), 1.0);
        assert!((exact_mcnemar(1, 0) - 1.0).abs() < 1e-12);
    }
}
