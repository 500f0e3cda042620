//! The same statistics, computed without any of the program's code.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Returns the 97.5 % quantile of Student's t for the mean of `n` values.
pub(crate) fn quantile(n: usize) -> f64 {
    static KNOWN: LazyLock<Mutex<HashMap<usize, f64>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap();
    *known.entry(n).or_insert_with(|| {
        let t = StudentsT::new(0.0, 1.0, n as f64 - 1.0).unwrap();
        t.inverse_cdf(0.975)
    })
}

/// Returns the mean and its standard error, of two values at least.
pub(crate) fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0) / n).sqrt())
}

/// Returns the mean and its 95 % interval.
pub(crate) fn interval(values: &[f64]) -> (f64, f64, f64) {
    let (mean, error) = mean_and_error(values);
    let half = quantile(values.len()) * error;
    (mean, mean - half, mean + half)
}

/// Returns the two-sided p-value of the paired t test; none where all differences are equal.
pub(crate) fn t_test(differences: &[f64]) -> Option<f64> {
    let (mean, error) = mean_and_error(differences);
    let t = StudentsT::new(0.0, 1.0, differences.len() as f64 - 1.0).unwrap();
    let all_equal = differences.iter().all(|d| *d == differences[0]);
    (!all_equal).then(|| 2.0 * t.sf((mean / error).abs()))
}

/// Returns the two-sided p-value of the signed-rank test by going through all patterns of signs; none where all are 0. Zeros are
/// dropped, and equal sizes share the mean of their ranks. The differences are whole numbers.
pub(crate) fn wilcoxon(differences: &[i64]) -> Option<f64> {
    let mut left: Vec<i64> = differences.iter().copied().filter(|d| *d != 0).collect();
    left.sort_by_key(|d| d.abs());
    // Twice the rank, a whole number for ties too: how many are smaller, and how many are no larger, and one.
    let doubled = |d: i64| {
        let smaller = left.iter().filter(|other| other.abs() < d.abs()).count();
        let no_larger = left.iter().filter(|other| other.abs() <= d.abs()).count();
        (smaller + no_larger + 1) as i64
    };
    let ranks: Vec<i64> = left.iter().map(|d| doubled(*d)).collect();
    let distance = |signs: u64| {
        let signed = |(place, rank): (usize, &i64)| if signs >> place & 1 == 1 { *rank } else { -rank };
        ranks.iter().enumerate().map(signed).sum::<i64>().abs()
    };
    let seen = (0..)
        .zip(&left)
        .filter(|(_, d)| **d > 0)
        .map(|(place, _)| 1u64 << place)
        .sum();
    let patterns = 1u64 << left.len();
    let as_far = (0..patterns)
        .filter(|signs| distance(*signs) >= distance(seen))
        .count();
    (!left.is_empty()).then(|| as_far as f64 / patterns as f64)
}

/// Whether two numbers agree to so many significant digits.
pub(crate) fn agree(one: f64, other: f64, digits: i32) -> bool {
    (one - other).abs() <= 10f64.powi(-digits) * f64::max(one.abs(), other.abs()) + 1e-12
}

/// Returns a value as curves hold it, in 32 bits.
pub(crate) fn stored(value: f64) -> f64 {
    f64::from(value as f32)
}

/// Returns the decimals that exports show of a value, which curves hold in 32 bits.
pub(crate) fn shown(value: f64) -> f64 {
    (value as f32).to_string().parse().unwrap()
}

#[test]
fn textbook_values() {
    assert!(agree(quantile(10), 2.262_157_163, 9));
    // SciPy: stats.wilcoxon([-1, -1, -1, -1, -1], method=stats.PermutationMethod()), and of the others without the zero.
    assert_eq!(wilcoxon(&[-1, -1, -1, -1, -1]), Some(0.0625));
    assert_eq!(wilcoxon(&[1, -1, 2, 2, 3, 0]), Some(0.1875));
    assert_eq!(wilcoxon(&[0, 0]), None);
    // stats.ttest_1samp([1, 2, 3, 4], 0).
    assert!(agree(
        t_test(&[1.0, 2.0, 3.0, 4.0]).unwrap(),
        0.030_466_291_662_170_95,
        9
    ));
}
