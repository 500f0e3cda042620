//! Rates of a fate, such as divergence, compared over the same repetitions.

use statrs::function::beta::checked_beta_reg;

/// Returns the two-sided p-value of the exact McNemar test: of `only_this` repetitions in which only the first side has the fate
/// and `only_than` in which only the second has it, each is as likely as the other should the rates be equal. So the lesser count
/// is binomial with ½, and the p-value twice the probability of a count as small, at most 1 (McNemar, Psychometrika 12, 1947; exact
/// as in Fay, Biostatistics 11, 2010). Repetitions in which both sides or neither have the fate say nothing of a difference.
///
/// 1 where there are no such repetitions.
pub fn exact_mcnemar(only_this: u32, only_than: u32) -> f64 {
    let (lesser, greater) = (only_this.min(only_than), only_this.max(only_than));
    if lesser == greater {
        return 1.0;
    }
    // P(B ≤ k) of n with ½ is I(n − k, k + 1) at ½ (Abramowitz and Stegun, 26.5.24): exact to float64 in the far tail too.
    let tail = checked_beta_reg(f64::from(greater), f64::from(lesser) + 1.0, 0.5);
    (2.0 * tail.unwrap_or(0.5)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discordant_repetitions_are_binomial() {
        for (this, than, p) in [
            (0, 0, 1.0),
            (1, 0, 1.0),
            (1, 1, 1.0),
            (0, 5, 0.0625),
            (8, 0, 2.0 / 256.0),
            (1, 9, 22.0 / 1024.0),
            (4, 5, 1.0),
        ] {
            assert!((exact_mcnemar(this, than) - p).abs() < 1e-14, "{this} {than}");
            assert_eq!(exact_mcnemar(this, than), exact_mcnemar(than, this));
        }
    }
}
