//! Correction for many tests.

/// Holm's step-down correction of p-values, in their order: rejecting what is at most α afterwards, the chance of any wrong
/// rejection in the whole family is at most α, whatever the tests have to do with one another (Holm, Scandinavian Journal of
/// Statistics 6, 1979).
///
/// The k-th least of m becomes (m − k + 1) times itself, 1 at most, and not less than the one before it.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut corrected = vec![0.0; p.len()];
    let mut least = 0.0;
    for (place, which) in order.into_iter().enumerate() {
        least = f64::min(1.0, p[which] * (p.len() - place) as f64).max(least);
        corrected[which] = least;
    }
    corrected
}
