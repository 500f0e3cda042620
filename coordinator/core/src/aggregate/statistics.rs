//! Statistics of a sample.

use std::array;
use std::sync::{LazyLock, OnceLock};

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::Statistics;

/// Quantiles are looked up, and kept, for samples smaller than this; for larger ones a series is exact enough.
const KEPT: usize = 1024;

/// Samples that are computed side by side: what compilers and processors do with four or eight numbers at once.
pub(super) const LANES: usize = 8;

impl Statistics {
    /// The statistics of some finite values; none of no values.
    ///
    /// The values are added in the order given, so the same values in the same order give the same bits. Equal values
    /// give a deviation of exactly 0. With s² = Σ(x − x̄)² / (n − 1), the standard error is s/√n and the interval
    /// x̄ ± t · s/√n with [`t975`].
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sample: Vec<[f64; 1]> = values.iter().map(|&value| [value]).collect();
        side_by_side(&mut sample).map(|[statistics]| statistics)
    }

    /// Half the width of the 95 % t interval: what stands behind ±. None for n < 2.
    pub fn half_width(&self) -> Option<f64> {
        self.ci95.map(|(low, high)| (high - low) / 2.0)
    }
}

/// The statistics of `L` samples of the same size: of their first values, then of their second ones, and so on; each as
/// [`Statistics::of`] has it. None of no values. Sorts the samples.
pub(super) fn side_by_side<const L: usize>(samples: &mut [[f64; L]]) -> Option<[Statistics; L]> {
    let n = u32::try_from(samples.len()).ok()?;
    let least = fold(samples, |a, b| if b < a { b } else { a })?;
    let most = fold(samples, |a, b| if b > a { b } else { a })?;
    // Sums of distances from the least value: no digits are lost to a mean that is large beside the spread.
    let distances = sum(samples, |lane, x| x - least[lane]);
    let mean: [f64; L] =
        array::from_fn(|lane| (least[lane] + distances[lane] / f64::from(n)).clamp(least[lane], most[lane]));
    // In units of the greatest distance from the mean, so that no square under- or overflows.
    let unit: [f64; L] = array::from_fn(|lane| f64::max(most[lane] - mean[lane], mean[lane] - least[lane]));
    let squares = sum(samples, |lane, x| ((x - mean[lane]) / unit[lane]).powi(2));
    let deviation: [f64; L] = array::from_fn(|lane| match unit[lane] {
        0.0 => 0.0,
        unit => unit * (squares[lane] / (f64::from(n) - 1.0)).sqrt(),
    });
    sort(samples);
    let middle = samples.len() / 2;
    let median: [f64; L] = match samples.len() % 2 {
        1 => samples[middle],
        _ => array::from_fn(|lane| f64::midpoint(samples[middle - 1][lane], samples[middle][lane])),
    };
    let (root, t) = (f64::from(n).sqrt(), if n >= 2 { t975(n) } else { f64::NAN });
    Some(array::from_fn(|lane| {
        let (mean, deviation) = (mean[lane], deviation[lane]);
        let error = deviation / root;
        let half = if error > 0.0 { t * error } else { 0.0 };
        Statistics {
            n,
            mean,
            standard_deviation: (n >= 2).then_some(deviation),
            standard_error: (n >= 2).then_some(error),
            ci95: (n >= 2).then_some((mean - half, mean + half)),
            min: least[lane],
            median: median[lane],
            max: most[lane],
        }
    }))
}

/// Each sample's values combined in order; none of no values.
fn fold<const L: usize>(samples: &[[f64; L]], combine: impl Fn(f64, f64) -> f64) -> Option<[f64; L]> {
    let (first, others) = samples.split_first()?;
    let mut all = *first;
    for values in others {
        all = array::from_fn(|lane| combine(all[lane], values[lane]));
    }
    Some(all)
}

/// Compensated sums of a term of each value (Neumaier, ZAMM 54, 1974): the rounding error does not grow with the number of
/// terms. The error of each step is found without asking which number is the greater (Knuth, The Art of Computer Programming
/// 2, 4.2.2).
fn sum<const L: usize>(samples: &[[f64; L]], term: impl Fn(usize, f64) -> f64) -> [f64; L] {
    let (mut sum, mut lost) = ([0.0f64; L], [0.0f64; L]);
    for values in samples {
        for lane in 0..L {
            let term = term(lane, values[lane]);
            let next = sum[lane] + term;
            let added = next - sum[lane];
            lost[lane] += (sum[lane] - (next - added)) + (term - added);
            sum[lane] = next;
        }
    }
    array::from_fn(|lane| sum[lane] + lost[lane])
}

/// Sorts each sample, by comparisons that are the same whatever the values: so the samples are sorted side by side (Batcher's
/// merge exchange; Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M).
fn sort<const L: usize>(samples: &mut [[f64; L]]) {
    let n = samples.len();
    let largest = n.next_power_of_two() / 2;
    let mut p = largest;
    while p > 0 {
        let (mut q, mut r, mut d) = (largest, 0, p);
        loop {
            for low in (0..n.saturating_sub(d)).filter(|low| low & p == r) {
                exchange(samples, low, low + d);
            }
            if q == p {
                break;
            }
            (d, q, r) = (q - p, q / 2, p);
        }
        p /= 2;
    }
}

/// Puts the lesser of two values of each sample first.
#[inline]
fn exchange<const L: usize>(samples: &mut [[f64; L]], low: usize, high: usize) {
    let (a, b) = (samples[low], samples[high]);
    samples[low] = array::from_fn(|lane| if b[lane] < a[lane] { b[lane] } else { a[lane] });
    samples[high] = array::from_fn(|lane| if b[lane] < a[lane] { a[lane] } else { b[lane] });
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
    fn samples_side_by_side_have_the_bits_that_each_has_alone() {
        let value = |i: usize, lane: usize| ((i * 7_919 + lane * 104_729) % 1_009) as f64 / 997.0 - 0.5;
        for n in 1..200 {
            let mut samples: Vec<[f64; LANES]> =
                (0..n).map(|i| array::from_fn(|lane| value(i, lane))).collect();
            let together = side_by_side(&mut samples).unwrap();
            for (lane, statistics) in together.iter().enumerate() {
                let mut alone: Vec<f64> = (0..n).map(|i| value(i, lane)).collect();
                assert_eq!(Some(*statistics), Statistics::of(&alone), "{lane} of {n}");
                alone.sort_unstable_by(f64::total_cmp);
                let sorted: Vec<f64> = samples.iter().map(|values| values[lane]).collect();
                assert_eq!(sorted, alone, "{lane} of {n}");
            }
        }
        assert_eq!(side_by_side::<LANES>(&mut []), None);
    }

    #[test]
    fn an_even_number_of_values_has_its_median_between_the_middle_two() {
        assert_eq!(Statistics::of(&[4.0, 1.0, 3.0, 2.0]).unwrap().median, 2.5);
        assert_eq!(Statistics::of(&[9.0, 1.0, 2.0]).unwrap().median, 2.0);
    }
}
