//! The order in which means are compared: by a key, so that equal means are equal whatever float32 and the order of a sum have
//! made of them.
//!
//! A distance ("equal within 1e-6") is no order: a may be as good as b and b as good as c while a is better than c. A key is
//! one: each mean is mapped to an exact number by itself, and these are compared.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::aggregate::Statistics;
use crate::rounding::{digits, rounded};
use crate::search::patience;

/// The significant digits of means that are no exact ratio. Metrics are float32: the sixth digit of one is always known, the
/// seventh mostly, and the error of a float32 changes the eighth. Means of equal values in another order differ in the
/// sixteenth.
pub const DIGITS: u32 = 7;

/// The mean of some counts of N answers, as an exact ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ratio {
    /// The sum of the counts.
    pub sum: u64,
    /// N times the number of counts; not 0.
    pub of: u64,
}

/// A mean, and what it is compared by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The mean as a number.
    pub value: f64,
    /// The same as an exact ratio, where all values are counts of N answers.
    pub exact: Option<Ratio>,
}

impl Mean {
    /// Returns the mean of some values; `None` of no values. `answers` is N where the metric is a count of N.
    pub fn of(values: &[f64], answers: Option<u32>) -> Option<Self> {
        Some(Self {
            value: Statistics::of(values)?.mean,
            exact: answers.and_then(|answers| Ratio::of(values, answers)),
        })
    }

    /// Returns the mean of as many values as `values` from the number alone, as aggregated results have it.
    ///
    /// The sum of the counts is the nearest whole number, where the error of float32 in the values leaves no doubt which that is.
    pub fn known(value: f64, values: u64, answers: Option<u32>) -> Self {
        let of = answers.and_then(|answers| u64::from(answers).checked_mul(values));
        let exact = of.and_then(|of| {
            Some(Ratio {
                sum: count(value, of)?,
                of,
            })
        });
        Self { value, exact }
    }

    /// Returns what the mean is compared by.
    pub fn rank(&self) -> Rank {
        self.exact.map_or_else(|| Rank::rounded(self.value), Rank::exact)
    }
}

impl Ratio {
    /// Returns the mean of some values that are counts of N answers; `None` where one is none, or of no values.
    pub fn of(values: &[f64], answers: u32) -> Option<Self> {
        let mut sum = 0u64;
        for value in values {
            sum += count(*value, answers.into())?;
        }
        let of = u64::from(answers).checked_mul(values.len() as u64)?;
        (of > 0).then_some(Self { sum, of })
    }

    /// Returns the mean of some means over equally many values; `None` where one is not exact, or of none.
    pub fn mean(means: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        let (mut sum, mut of, mut count, mut last) = (0u64, 0u64, 0u64, None);
        for mean in means {
            let mean = mean?;
            if last.is_some_and(|last| last != mean.of) {
                return None;
            }
            (last, count) = (Some(mean.of), count + 1);
            (sum, of) = (sum.checked_add(mean.sum)?, of.checked_add(mean.of)?);
        }
        (count > 0).then_some(Self { sum, of })
    }
}

/// Returns k where a value is k/N as float32 has it, 0 ≤ k ≤ N.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole numbers far below 2^53, and not below 0"
)]
fn count(value: f64, of: u64) -> Option<u64> {
    let scaled = value * of as f64;
    let whole = scaled.round();
    // A float32 is off by half a unit in its 24th binary place, and so is what a division before it was made of. More than a
    // quarter of a count leaves doubt.
    let error = whole * f64::from(f32::EPSILON) + 1e-9;
    let fits =
        of > 0 && whole >= 0.0 && whole <= of as f64 && error < 0.25 && (scaled - whole).abs() <= error;
    fits.then_some(whole as u64)
}

/// What a mean is compared by. The order is total: each rank stands for one exact number.
#[derive(Debug, Clone, Copy)]
pub struct Rank(Key);

#[derive(Debug, Clone, Copy)]
enum Key {
    Ratio(Ratio),
    /// ± digits · 10^exponent.
    Decimal {
        digits: i64,
        exponent: i32,
    },
    /// The number as it is, as decisions under the rules 0 compared it. Behind all others, with which it is never compared.
    Number(f64),
}

impl Rank {
    /// Returns the rank of a value. `answers` is N where the metric is a count of N.
    pub fn of(value: f64, answers: Option<u32>) -> Self {
        Mean::known(value, 1, answers).rank()
    }

    /// Returns the rank of an exact ratio.
    pub fn exact(ratio: Ratio) -> Self {
        Self(Key::Ratio(ratio))
    }

    /// Returns the rank of a number that is no exact ratio: that of its first [`DIGITS`] digits.
    pub fn rounded(value: f64) -> Self {
        let (digits, exponent) = decimal(value);
        Self(Key::Decimal { digits, exponent })
    }

    /// Returns the rank of a number by all its bits, as means were compared under the rules 0.
    pub fn number(value: f64) -> Self {
        Self(Key::Number(value))
    }

    /// Whether it is that of an exact ratio.
    pub fn is_exact(&self) -> bool {
        matches!(self.0, Key::Ratio(_))
    }

    /// Returns the rank of the number that is greater by so many thousandths.
    #[must_use]
    pub fn plus_thousandths(self, thousandths: u32) -> Self {
        let more = f64::from(thousandths) / 1000.0;
        match self.0 {
            Key::Ratio(Ratio { sum, of }) => {
                let sum = sum.checked_mul(1000).zip(of.checked_mul(thousandths.into()));
                let sum = sum.and_then(|(sum, more)| sum.checked_add(more));
                match sum.zip(of.checked_mul(1000)) {
                    Some((sum, of)) => Self::exact(Ratio { sum, of }),
                    None => Self::rounded(self.value() + more),
                }
            }
            Key::Decimal { .. } => Self::rounded(self.value() + more),
            Key::Number(value) => Self::number(value + more),
        }
    }

    /// Whether a later mean of the same trials is worse by more than `delta`, in the metric's unit, 0 or more.
    pub fn is_exceeded(&self, later: Self, delta: f64) -> bool {
        match (self.0, later.0) {
            (Key::Number(before), Key::Number(later)) => patience::is_worse(before, later, delta),
            (Key::Ratio(before), Key::Ratio(later)) if before.of == later.of => {
                let more = later.sum.checked_sub(before.sum).filter(|more| *more > 0);
                more.is_some_and(|sum| Self::exact(Ratio { sum, of: before.of }) > Self::rounded(delta))
            }
            _ => later > Self::rounded(self.value() + delta),
        }
    }

    /// Returns the number that it stands for, as near as a float64 comes.
    #[expect(clippy::cast_precision_loss, reason = "as near as a float64 comes")]
    pub fn value(&self) -> f64 {
        match self.0 {
            Key::Ratio(Ratio { sum, of }) => sum as f64 / of as f64,
            Key::Decimal { digits, exponent } => {
                // As a text it is read exactly.
                format!("{digits}e{exponent}").parse().unwrap_or_default()
            }
            Key::Number(value) => value,
        }
    }
}

/// Returns a number as its first [`DIGITS`] digits and the exponent of ten of the last one.
fn decimal(value: f64) -> (i64, i32) {
    const LAST: i32 = DIGITS as i32 - 1;
    if let Some((digits, exponent)) = digits::<{ DIGITS as i32 }>(value) {
        let digits = i64::try_from(digits).unwrap_or(i64::MAX);
        return (if value < 0.0 { -digits } else { digits }, exponent - LAST);
    }
    // The few that are not found by scaling, by their text.
    let text = format!("{:e}", rounded::<{ DIGITS as i32 }>(value));
    let (number, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, rest) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{rest}").parse().unwrap_or_default();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    (digits, exponent - rest.len() as i32)
}

/// Compares two numbers digits · 10^exponent, where the digits are at least 0.
fn compare_decimals(a: (u128, i32), b: (u128, i32)) -> Ordering {
    if a.0 == 0 || b.0 == 0 {
        return a.0.cmp(&b.0);
    }
    let (low, high) = if a.1 <= b.1 { (a, b) } else { (b, a) };
    let scale = 10u128.checked_pow(high.1.abs_diff(low.1));
    // What is beyond 128 bits is greater than what is not.
    let order = scale
        .and_then(|scale| high.0.checked_mul(scale))
        .map_or(Ordering::Less, |high| low.0.cmp(&high));
    if a.1 <= b.1 { order } else { order.reverse() }
}

/// Compares a ratio with a decimal number: sum with digits · of · 10^exponent.
fn compare_mixed(ratio: Ratio, (digits, exponent): (i64, i32)) -> Ordering {
    match u128::try_from(digits) {
        // A ratio is never below 0.
        Err(_) => Ordering::Greater,
        // Seven digits and 64 bits are fewer than 128.
        Ok(digits) => compare_decimals((ratio.sum.into(), 0), (digits * u128::from(ratio.of), exponent)),
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        let decimal = |digits: i64, exponent| (u128::from(digits.unsigned_abs()), exponent);
        match (self.0, other.0) {
            (Key::Number(a), Key::Number(b)) => {
                // 0 and −0 are one number.
                (a + 0.0).total_cmp(&(b + 0.0))
            }
            (Key::Number(_), _) => Ordering::Greater,
            (_, Key::Number(_)) => Ordering::Less,
            (Key::Ratio(a), Key::Ratio(b)) => {
                (u128::from(a.sum) * u128::from(b.of)).cmp(&(u128::from(b.sum) * u128::from(a.of)))
            }
            (Key::Ratio(a), Key::Decimal { digits, exponent }) => compare_mixed(a, (digits, exponent)),
            (Key::Decimal { digits, exponent }, Key::Ratio(b)) => {
                compare_mixed(b, (digits, exponent)).reverse()
            }
            (
                Key::Decimal { digits: a, exponent },
                Key::Decimal {
                    digits: b,
                    exponent: other,
                },
            ) => match (a < 0, b < 0) {
                (false, false) => compare_decimals(decimal(a, exponent), decimal(b, other)),
                (true, true) => compare_decimals(decimal(b, other), decimal(a, exponent)),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
            },
        }
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Rank {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Rank {}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: &[f32], answers: Option<u32>) -> Rank {
        let values: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
        Mean::of(&values, answers).unwrap().rank()
    }

    #[test]
    fn equal_means_of_counts_are_equal_and_others_are_not() {
        // As float64 the first is greater.
        let (a, b) = ([0.1f32, 0.3], [0.2f32, 0.2]);
        let sum = |values: [f32; 2]| f64::from(values[0]) + f64::from(values[1]);
        assert_ne!(sum(a), sum(b));
        assert_eq!(mean(&a, Some(1000)), mean(&b, Some(1000)));
        assert_eq!(mean(&a, None), mean(&b, None));
        assert!(mean(&[0.1, 0.301], Some(1000)) > mean(&b, Some(1000)));
        // One answer of 30,000 in one of a million trials is a difference, though not of seven digits.
        let almost = Rank::exact(Ratio {
            sum: 6_000_000_001,
            of: 30_000_000_000,
        });
        let equal = Rank::exact(Ratio { sum: 1, of: 5 });
        assert!(almost > equal);
        assert_eq!(Rank::rounded(almost.value()), equal);
    }

    #[test]
    fn a_value_that_is_no_count_is_rounded_and_compares_with_counts_as_a_number() {
        assert!(Rank::of(0.1f32.into(), Some(1000)).is_exact());
        assert!(!Rank::of(0.0625, Some(1000)).is_exact());
        assert!(!Rank::of(1.5, Some(1000)).is_exact());
        assert!(!Rank::of(-0.5, Some(1000)).is_exact());
        assert_eq!(Rank::of(0.1f32.into(), None), Rank::of(0.1f32.into(), Some(1000)));
        assert!(Rank::of(0.0625, Some(1000)) > Rank::of(0.062, Some(1000)));
        assert!(Rank::of(-1e30, Some(1000)) < Rank::of(0.0, Some(1000)));
        assert!(Rank::of(1e30, Some(1000)) > Rank::of(1.0, Some(1000)));
        assert!(Rank::of(1e-30, None) > Rank::of(0.0, Some(1000)));
        assert_eq!(Rank::of(-0.0, None), Rank::of(0.0, Some(1000)));
    }

    #[test]
    fn a_mean_alone_says_what_it_is_the_mean_of() {
        let exact = |value: f64, values, answers| Mean::known(value, values, Some(answers)).exact;
        assert_eq!(
            exact(0.2 + 1e-9, 10, 1000),
            Some(Ratio {
                sum: 2000,
                of: 10_000
            })
        );
        assert_eq!(exact(0.123_45, 10, 1000), None, "no tenth of a thousandth");
        assert_eq!(
            exact(0.5, 10_000_000, 30_000),
            None,
            "one of so many is not told apart"
        );
    }

    #[test]
    fn exactly_a_point_above_is_at_most_a_point_above() {
        // 0.123 + 0.01 as float64 is below 0.133 as float32.
        let mean = mean(&[0.122, 0.124], Some(1000));
        assert!(f64::from(0.133f32) > mean.value() + 0.01);
        assert_eq!(Rank::of(0.133f32.into(), Some(1000)), mean.plus_thousandths(10));
        assert!(Rank::of(0.134f32.into(), Some(1000)) > mean.plus_thousandths(10));
        let rounded = Rank::rounded(0.123_456_7);
        assert_eq!(rounded.plus_thousandths(10), Rank::rounded(0.133_456_7));
    }
}
