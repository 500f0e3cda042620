//! Numbers in JSON.

use tenfold_core::rounding::{digits, significant};

/// Writes a finite number to seven significant digits, as `serde_json` writes what [`significant`] gives. The results log
/// is made of hardly anything else, so digits that are found anyhow are not computed twice.
#[inline]
pub fn write_number(x: f64, out: &mut Vec<u8>) {
    match digits::<7>(x) {
        Some((digits, exponent @ -5..=6)) => {
            let (text, length) = plain(digits, exponent);
            if x < 0.0 {
                out.push(b'-');
            }
            // All 16, whose number is known when this is compiled, and back: no loop over bytes.
            let end = out.len() + length;
            out.extend_from_slice(&text);
            out.truncate(end);
        }
        _ => {
            // Into memory, which takes it.
            _ = serde_json::to_writer(out, &significant(x));
        }
    }
}

/// The text of d · 10^(e − 6) without an exponent, with a digit at least on both sides of the point, and its length.
///
/// A byte is a digit, the first the lowest of the number that they make up together.
fn plain(digits: u64, exponent: i32) -> ([u8; 16], usize) {
    const ZEROS: u64 = u64::from_le_bytes(*b"00000000");
    let digits = bytes_of(digits);
    // The first of the digits is not 0.
    let last = (63 - digits.leading_zeros()) / 8;
    let digits = u128::from(digits | ZEROS);
    let (text, length) = match u32::try_from(exponent) {
        Ok(first_behind) => {
            let before = first_behind + 1;
            let low = digits & ((1 << (8 * before)) - 1);
            let point = u128::from(b'.') << (8 * before);
            (low | point | ((digits ^ low) << 8), last.max(before) + 2)
        }
        Err(_) => {
            let before = 1 + exponent.unsigned_abs();
            let zeros = u128::from(ZEROS & ((1 << (8 * before)) - 1));
            let point = u128::from(b'0' ^ b'.') << 8;
            ((zeros ^ point) | (digits << (8 * before)), before + last + 1)
        }
    };
    (text.to_le_bytes(), length as usize)
}

/// Seven digits and a 0 as bytes: all of them at once, in halves of halves.
fn bytes_of(digits: u64) -> u64 {
    let digits = digits * 10;
    let fours = (digits / 10_000) | ((digits % 10_000) << 32);
    // Divisions by 100 and 10 as products, exact for numbers this small.
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - 100 * hundreds) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - 10 * tens) << 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(x: f64) -> String {
        let mut out = Vec::new();
        write_number(x, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn by_serde(x: f64) -> String {
        serde_json::to_string(&significant(x)).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn numbers_are_written_as_serde_json_writes_them(
            any in any::<f64>(),
            digits in -10_000_000_i32..10_000_000,
            exponent in -20_i32..20,
            metric in any::<f32>(),
        ) {
            let decimal: f64 = format!("{digits}e{exponent}").parse().unwrap();
            for x in [any, decimal, f64::from(metric), f64::from(metric).fract()] {
                if x.is_finite() {
                    prop_assert_eq!(written(x), by_serde(x), "{:e}", x);
                }
            }
        }
    }

    #[test]
    fn all_digits_are_found() {
        for number in 0..10_000_u64 {
            let digits = number * 1_000 + number % 1_000;
            let text: Vec<u8> = format!("{digits:07}0")
                .bytes()
                .map(|digit| digit - b'0')
                .collect();
            assert_eq!(bytes_of(digits).to_le_bytes(), text[..], "{digits}");
        }
    }

    #[test]
    fn powers_of_ten_and_zero_are_written_as_well() {
        let powers = (-30..30).map(|exponent| format!("1e{exponent}").parse().unwrap());
        for x in powers.chain([0.0, -0.0, 9_999_999.0, 9_999_999.6, 0.000_123_4, 120.0]) {
            assert_eq!(written(x), by_serde(x), "{x:e}");
            assert_eq!(written(-x), by_serde(-x), "{x:e}");
        }
    }
}
