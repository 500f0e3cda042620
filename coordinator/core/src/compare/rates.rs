//! Rates of a fate, such as divergence, compared over the same repetitions.

use statrs::function::beta::checked_beta_reg;

/// The most repetitions whose patterns are counted: up to 2^50 are an exact float64, and products of the counts fit 64 bits.
const MOST_COUNTED: u32 = 50;

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
    let n = lesser + greater;
    if n <= MOST_COUNTED {
        // Patterns are counted: (n over k) from the one before it, always a whole number.
        let (mut patterns, mut all) = (1u64, 1u64);
        for k in 1..=lesser {
            patterns = patterns * u64::from(n + 1 - k) / u64::from(k);
            all += patterns;
        }
        return f64::min(1.0, 2.0 * all as f64 / 2f64.powi(n as i32));
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
            assert_eq!(exact_mcnemar(this, than), p, "{this} {than}");
            assert_eq!(exact_mcnemar(this, than), exact_mcnemar(than, this));
        }
        // On either side of what is counted.
        let (counted, not) = (exact_mcnemar(0, 50), exact_mcnemar(0, 51));
        assert!((not / counted - 0.5).abs() < 1e-9, "{counted} {not}");
    }
}
