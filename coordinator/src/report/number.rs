//! Numbers in JSON.

use tenfold_core::aggregate::{seven_digits, significant};

/// Writes a finite number to seven significant digits, as `serde_json` writes what [`significant`] gives. The results log
/// is made of hardly anything else, so digits that are found anyhow are not computed twice.
pub fn write_number(x: f64, out: &mut Vec<u8>) {
    match seven_digits(x) {
        Some((digits, exponent @ -5..=6)) => {
            if x < 0.0 {
                out.push(b'-');
            }
            plainly(digits, exponent, out);
        }
        _ => {
            // Into memory, which takes it.
            _ = serde_json::to_writer(out, &significant(x));
        }
    }
}

/// Writes d · 10^(e − 6) without an exponent, and with a digit at least on both sides of the point.
fn plainly(mut digits: u32, exponent: i32, out: &mut Vec<u8>) {
    let mut text = [b'0'; 7];
    for digit in text.iter_mut().rev() {
        *digit += (digits % 10) as u8;
        digits /= 10;
    }
    let last = text.iter().rposition(|digit| *digit != b'0').unwrap_or(0);
    match usize::try_from(exponent) {
        Ok(first_behind) => {
            let (before, behind) = text.split_at(first_behind + 1);
            out.extend_from_slice(before);
            out.push(b'.');
            match last.checked_sub(before.len()) {
                Some(last) => out.extend_from_slice(&behind[..=last]),
                None => out.push(b'0'),
            }
        }
        Err(_) => {
            let zeros = exponent.unsigned_abs() as usize - 1;
            out.extend_from_slice(&b"0.0000"[..2 + zeros]);
            out.extend_from_slice(&text[..=last]);
        }
    }
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
    fn powers_of_ten_and_zero_are_written_as_well() {
        let powers = (-30..30).map(|exponent| format!("1e{exponent}").parse().unwrap());
        for x in powers.chain([0.0, -0.0, 9_999_999.0, 9_999_999.6, 0.000_123_4, 120.0]) {
            assert_eq!(written(x), by_serde(x), "{x:e}");
            assert_eq!(written(-x), by_serde(-x), "{x:e}");
        }
    }
}
