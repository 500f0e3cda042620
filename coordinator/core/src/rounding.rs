//! The number of digits that is worth printing.

/// A number to seven significant digits.
///
/// Metrics are float32, which hold no more than that: 0.123 widened to float64 would print as 0.12300000339746475.
/// Everything that is written out for people or programs goes through here; nothing is computed from the result.
pub fn significant(x: f64) -> f64 {
    rounded::<7>(x)
}

/// A number to so many significant digits, 14 at most. 0 has no sign.
pub fn rounded<const DIGITS: i32>(x: f64) -> f64 {
    quickly::<DIGITS>(x).unwrap_or_else(|| slowly::<DIGITS>(x)) + 0.0
}

/// Most numbers: their digits, scaled back. A power of ten up to 10^22 is exact, and so is the whole number; so the one
/// division or product gives the number nearest to the decimal one (Clinger, How to read floating point numbers accurately,
/// 1990).
fn quickly<const DIGITS: i32>(x: f64) -> Option<f64> {
    if x == 0.0 {
        return Some(0.0);
    }
    let (whole, exponent) = digits::<DIGITS>(x)?;
    let result = match DIGITS - 1 - exponent {
        down @ 0.. => whole as f64 / POWERS[down as usize],
        up => whole as f64 * POWERS[-up as usize],
    };
    Some(result.copysign(x))
}

/// A number without its sign as so many digits `d`, the first of which is not 0, and a decimal exponent `e`, such that
/// d · 10^(e − DIGITS + 1) is the nearest to it of all such numbers. None of 0, and of the few numbers for which this way to
/// find them, to scale and to round, could be wrong by a digit.
pub fn digits<const DIGITS: i32>(x: f64) -> Option<(u64, i32)> {
    const { assert!(DIGITS >= 1 && DIGITS <= 14) };
    let size = x.abs();
    if !(1e-8..1e15).contains(&size) {
        return None;
    }
    // The binary exponent times the logarithm of 2 (1233 / 4096): the decimal one, or the one below.
    let binary = (size.to_bits() >> 52) as i32 - 1023;
    let low = (binary * 1233) >> 12;
    let exponent = low + i32::from(size >= TENS[(low + 10) as usize]);
    let value = match DIGITS - 1 - exponent {
        up @ 0.. => size * POWERS[up as usize],
        down => size / POWERS[-down as usize],
    };
    let (least, most) = (POWERS[DIGITS as usize - 1], POWERS[DIGITS as usize]);
    let whole = value as u64;
    let rest = value - whole as f64;
    // Scaling has made an error of a unit in the last of 53 binary places, at most.
    let near_half = (rest - 0.5).abs() < most * 1e-15;
    let near_power = !(least..most - 0.6).contains(&value);
    if near_half || near_power {
        return None;
    }
    Some((whole + u64::from(rest > 0.5), exponent))
}

/// The powers of ten that a float64 holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Powers of ten from 10^-9 to 10^16, as near as a float64 comes to them.
const TENS: [f64; 26] = [
    1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
    1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
];

fn slowly<const DIGITS: i32>(x: f64) -> f64 {
    // The shortest decimal form rounds correctly, as multiplying by a power of ten does not.
    format!("{x:.*e}", DIGITS as usize - 1).parse().unwrap_or(x)
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
            let long_half: f64 = format!("{digits}{share:05}5e{exponent}").parse().unwrap();
            let values = [
                long_half,
                f64::from(metric),
                f64::from(f32::from_bits(share)),
                f64::from(share) / f64::from(of),
                decimal,
                beside,
                half,
                -half,
            ];
            for x in values.into_iter().filter(|x| x.is_finite()) {
                prop_assert_eq!(significant(x).to_bits(), (slowly::<7>(x) + 0.0).to_bits(), "{:e}", x);
                prop_assert_eq!(rounded::<12>(x).to_bits(), (slowly::<12>(x) + 0.0).to_bits(), "{:e}", x);
                prop_assert_eq!(rounded::<14>(x).to_bits(), (slowly::<14>(x) + 0.0).to_bits(), "{:e}", x);
                prop_assert_eq!(rounded::<1>(x).to_bits(), (slowly::<1>(x) + 0.0).to_bits(), "{:e}", x);
            }
        }
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
