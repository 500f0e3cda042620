//! Statistics of a sample.

use std::array;
use std::sync::{LazyLock, OnceLock};

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::Statistics;

/// Quantiles are looked up, and kept, for samples smaller than this; for larger ones a series is exact enough.
const KEPT: usize = 1024;

impl Statistics {
    /// The statistics of some finite values; none of no values.
    ///
    /// The values are added in the order given, so the same values in the same order give the same bits. Equal values
    /// give a deviation of exactly 0. With s² = Σ(x − x̄)² / (n − 1), the standard error is s/√n and the interval
    /// x̄ ± t · s/√n with [`t975`].
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = u32::try_from(values.len()).ok()?;
        // As many as are repeated: no allocation for each epoch and metric.
        let (mut few, mut many) = ([0.0; 32], Vec::new());
        let sorted = match few.get_mut(..values.len()) {
            Some(few) => few,
            None => {
                many.resize(values.len(), 0.0);
                &mut many[..]
            }
        };
        sorted.copy_from_slice(values);
        sorted.sort_unstable_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        // Sums of distances from the least value: no digits are lost to a mean that is large beside the spread.
        let mean = (min + sum(values.iter().map(|x| x - min)) / f64::from(n)).clamp(min, max);
        let deviation = (n >= 2).then(|| deviation(values, mean));
        let error = deviation.map(|deviation| deviation / f64::from(n).sqrt());
        let half = error.map(|error| if error > 0.0 { t975(n) * error } else { 0.0 });
        Some(Self {
            n,
            mean,
            standard_deviation: deviation,
            standard_error: error,
            ci95: half.map(|half| (mean - half, mean + half)),
            min,
            median: median(sorted),
            max,
        })
    }

    /// Half the width of the 95 % t interval: what stands behind ±. None for n < 2.
    pub fn half_width(&self) -> Option<f64> {
        self.ci95.map(|(low, high)| (high - low) / 2.0)
    }
}

/// A compensated sum (Neumaier, ZAMM 54, 1974): the rounding error does not grow with the number of terms. The error of each
/// step is found without asking which number is the greater (Knuth, The Art of Computer Programming 2, 4.2.2).
fn sum(terms: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    for term in terms {
        let next = sum + term;
        let added = next - sum;
        lost += (sum - (next - added)) + (term - added);
        sum = next;
    }
    sum + lost
}

/// The sample standard deviation, n ≥ 2, in units of the greatest distance so that no square under- or overflows.
fn deviation(values: &[f64], mean: f64) -> f64 {
    let unit = values.iter().map(|x| (x - mean).abs()).fold(0.0, f64::max);
    if unit == 0.0 {
        return 0.0;
    }
    let squares = sum(values.iter().map(|x| ((x - mean) / unit).powi(2)));
    unit * (squares / (values.len() - 1) as f64).sqrt()
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

/// The 97.5 % quantile of Student's t distribution with n − 1 degrees of freedom, n ≥ 2: the half-width of a 95 %
/// interval around the mean of n values, in standard errors. No number for n < 2.
pub fn t975(n: u32) -> f64 {
    static QUANTILES: LazyLock<[OnceLock<f64>; KEPT]> = LazyLock::new(|| array::from_fn(|_| OnceLock::new()));
    let freedom = f64::from(n) - 1.0;
    match QUANTILES.get(n as usize) {
        Some(quantile) => *quantile.get_or_init(|| {
            let t = StudentsT::new(0.0, 1.0, freedom);
            t.map_or(f64::NAN, |t| t.inverse_cdf(0.975))
        }),
        None => t975_of_many(freedom),
    }
}

/// Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5: a series in 1/freedom around the normal quantile.
/// The search in `statrs` gives up too early for many degrees of freedom (five digits at a million).
fn t975_of_many(freedom: f64) -> f64 {
    let z = 1.959_963_984_540_054_f64;
    let odd = |coefficients: [f64; 5]| coefficients.iter().rev().fold(0.0, |sum, c| sum * z * z + c) * z;
    let terms = [
        odd([1.0, 0.0, 0.0, 0.0, 0.0]),
        odd([1.0, 1.0, 0.0, 0.0, 0.0]) / 4.0,
        odd([3.0, 16.0, 5.0, 0.0, 0.0]) / 96.0,
        odd([-15.0, 17.0, 19.0, 3.0, 0.0]) / 384.0,
        odd([-945.0, -1920.0, 1482.0, 776.0, 79.0]) / 92_160.0,
    ];
    terms.iter().rev().fold(0.0, |sum, term| sum / freedom + term)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_values_have_no_statistics_and_one_has_no_deviation() {
        assert_eq!(Statistics::of(&[]), None);
        let one = Statistics::of(&[0.25]).unwrap();
        assert_eq!(
            (one.n, one.mean, one.min, one.median, one.max),
            (1, 0.25, 0.25, 0.25, 0.25)
        );
        assert_eq!(
            (one.standard_deviation, one.standard_error, one.ci95),
            (None, None, None)
        );
        assert_eq!(one.half_width(), None);
    }

    #[test]
    fn equal_values_have_an_interval_without_width() {
        for n in 2..40 {
            let same = Statistics::of(&vec![0.1; n]).unwrap();
            assert_eq!((same.mean, same.standard_deviation), (0.1, Some(0.0)));
            assert_eq!(same.ci95, Some((0.1, 0.1)));
        }
    }

    #[test]
    fn an_even_number_of_values_has_its_median_between_the_middle_two() {
        assert_eq!(Statistics::of(&[4.0, 1.0, 3.0, 2.0]).unwrap().median, 2.5);
        assert_eq!(Statistics::of(&[9.0, 1.0, 2.0]).unwrap().median, 2.0);
    }
}
