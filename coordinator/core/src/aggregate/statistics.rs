//! Statistics of a sample, and the number of digits that is worth printing.

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

/// Neumaier's compensated sum (ZAMM 54, 1974): the rounding error does not grow with the number of terms.
fn sum(terms: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0f64);
    for term in terms {
        let next = sum + term;
        lost += if sum.abs() >= term.abs() {
            (sum - next) + term
        } else {
            (term - next) + sum
        };
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

/// A number to seven significant digits.
///
/// Metrics are float32, which hold no more than that: 0.123 widened to float64 would print as 0.12300000339746475.
/// Everything that is written out for people or programs goes through here; nothing is computed from the result.
pub fn significant(x: f64) -> f64 {
    quickly(x).unwrap_or_else(|| slowly(x)) + 0.0
}

/// Most numbers: scaled to seven digits before the point, rounded, and scaled back. A power of ten up to 10^22 is exact,
/// and so is the whole number; so the last step, one division or product, gives the number nearest to the decimal one
/// (Clinger, How to read floating point numbers accurately, 1990). None where the first step's error could matter.
fn quickly(x: f64) -> Option<f64> {
    const DIGITS: i32 = 6;
    let size = x.abs();
    if size == 0.0 {
        return Some(0.0);
    }
    if !(1e-9..1e15).contains(&size) {
        return None;
    }
    // The binary exponent times the logarithm of 2 (1233 / 4096): the decimal one, or the one below or above.
    let binary = (size.to_bits() >> 52) as i32 - 1023;
    let mut exponent = (binary * 1233) >> 12;
    let scaled = |exponent: i32| match DIGITS - exponent {
        up @ 0.. => size * POWERS[up as usize],
        down => size / POWERS[-down as usize],
    };
    let mut value = scaled(exponent);
    match value {
        value if value >= 1e7 => exponent += 1,
        value if value < 1e6 => exponent -= 1,
        _ => {}
    }
    value = scaled(exponent);
    let near_half = ((value - value.floor()) - 0.5).abs() < 1e-6;
    let near_power = !(1e6..9_999_999.4).contains(&value);
    if near_half || near_power {
        return None;
    }
    let whole = value.round();
    let result = match DIGITS - exponent {
        down @ 0.. => whole / POWERS[down as usize],
        up => whole * POWERS[-up as usize],
    };
    Some(result.copysign(x))
}

/// The powers of ten that a float64 holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

fn slowly(x: f64) -> f64 {
    // The shortest decimal form rounds correctly, as multiplying by a power of ten does not. A negative zero loses its sign.
    format!("{x:.6e}").parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn quick_rounding_is_the_slow_one(
            metric in any::<f32>(),
            share in 0_u32..=1_000,
            of in 1_u32..1_001,
            digits in 1_u64..10_000_000,
            exponent in -12_i32..12,
            step in -2_i64..=2,
        ) {
            let decimal: f64 = format!("{digits}e{exponent}").parse().unwrap();
            let beside = f64::from_bits((decimal.to_bits() as i64 + step) as u64);
            let half: f64 = format!("{digits}5e{exponent}").parse().unwrap();
            let values = [
                f64::from(metric),
                f64::from(f32::from_bits(share)),
                f64::from(share) / f64::from(of),
                decimal,
                beside,
                half,
                -half,
            ];
            for x in values.into_iter().filter(|x| x.is_finite()) {
                prop_assert_eq!(significant(x).to_bits(), (slowly(x) + 0.0).to_bits(), "{:e}", x);
            }
        }
    }

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

    #[test]
    fn a_float32_prints_as_it_was_measured() {
        for text in ["0.123", "0.001", "0.9999999", "1.234567e-9", "1677721", "0"] {
            let single: f32 = text.parse().unwrap();
            assert_eq!(
                significant(f64::from(single)),
                text.parse::<f64>().unwrap_or(f64::NAN),
                "{text}"
            );
        }
        assert_eq!(significant(-0.0).to_string(), "0");
        assert_eq!(significant(1.0 / 3.0), 0.3333333);
        assert!(significant(f64::NAN).is_nan());
        assert_eq!(significant(f64::INFINITY), f64::INFINITY);
    }
}
