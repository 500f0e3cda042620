//! The values that are compared, and how they are subtracted.

/// Significant digits of the greater value to which a difference is told: what lies below is the noise of float64.
const DIGITS: i32 = 13;
/// As many decimal places as are ever written out.
const MAX_PLACES: i32 = 300;

/// The decimal number that a float32 is written as: 0.123 and not 0.12300000339746475. Values that are shares of a number
/// of pairs are then exactly those, and differences that are equal are equal here too.
pub fn as_written(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// `this` − `than`, of finite values, rounded to 13 significant digits of the greater of the two.
///
/// 0.153 − 0.141 and 0.112 − 0.1 differ in float64 by some 1e-17, and are both 0.012 here: differences that tie do so in ranks,
/// and equal differences have a deviation of 0.
pub fn paired_difference(this: f64, than: f64) -> f64 {
    let difference = this - than;
    let greatest = this.abs().max(than.abs());
    if difference == 0.0 || !difference.is_finite() {
        return difference + 0.0;
    }
    let places = DIGITS - 1 - greatest.log10().floor() as i32;
    match usize::try_from(places) {
        Ok(places) if places <= MAX_PLACES as usize => {
            let text = format!("{difference:.places$}");
            text.parse::<f64>().unwrap_or(difference) + 0.0
        }
        _ => difference,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_of_decimals_are_decimals() {
        assert_eq!(paired_difference(0.153, 0.141), 0.012);
        assert_eq!(paired_difference(0.112, 0.1), 0.012);
        assert_eq!(paired_difference(as_written(0.153), as_written(0.141)), 0.012);
        assert_eq!(paired_difference(0.1, 0.3), -0.2);
        assert_eq!(paired_difference(0.5, 0.5).to_bits(), 0.0f64.to_bits());
        assert_eq!(paired_difference(1e300, 5e299), 5e299);
        assert_eq!(paired_difference(3e-310, 1e-310), 3e-310 - 1e-310);
        assert_eq!(paired_difference(1.0, 1e-30), 1.0);
        assert_eq!(paired_difference(0.0, 0.25), -0.25);
    }

    #[test]
    fn values_are_what_is_written() {
        assert_eq!(as_written(0.123), 0.123);
        assert_eq!(as_written(1e-9), 1e-9);
        assert_eq!(as_written(-2.5e30), -2.5e30);
        assert_eq!(as_written(0.0), 0.0);
    }
}
