//! Random numbers that depend on nothing but their key.

use std::f64::consts::TAU;

/// A sequence of random numbers: SplitMix64 (Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014),
/// from a state that the key is mixed into.
pub(crate) struct Draws(u64);

impl Draws {
    /// Returns the sequence of a key. Sequences of different keys are as good as independent.
    pub(crate) fn of(key: &[u64]) -> Self {
        let mixed = key.iter().fold(0x7e_4f01d, |state: u64, part| {
            mix(state.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ mix(*part))
        });
        Self(mixed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Returns a number above 0 and below 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Returns a whole number from 0 to `most`.
    pub(crate) fn whole(&mut self, most: u32) -> u32 {
        (self.uniform() * (f64::from(most) + 1.0)) as u32
    }

    /// Returns a standard normal number (Box and Muller, Annals of Mathematical Statistics 29, 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }

    /// Returns an exponential number of mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }

    /// Returns how many of `n` go wrong where each does with this probability, below 1.
    pub(crate) fn binomial(&mut self, n: u32, probability: f64) -> u32 {
        let (mut left, mut k) = (self.uniform(), 0);
        let mut term = (1.0 - probability).powi(n as i32);
        while left > term && k < n {
            left -= term;
            term *= f64::from(n - k) / f64::from(k + 1) * probability / (1.0 - probability);
            k += 1;
        }
        k
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Answers of which the share that a count has is taken: 1,000, as a sweep's data have by default.
pub(crate) const ANSWERS: f64 = 1000.0;

/// Returns the nearest count of a thousand.
pub(crate) fn counted(share: f64) -> f64 {
    (share * ANSWERS).round() / ANSWERS
}

/// Whether a column of a curve is a share of answers: the first two are errors, then two losses, then errors again.
pub(crate) fn is_error(column: usize) -> bool {
    !matches!(column, 2 | 3)
}

/// The columns of every curve.
pub(crate) const METRICS: [&str; 4] = ["train_error", "test_error", "train_loss", "test_loss"];

/// Returns the column of a metric's name.
pub(crate) fn column(metric: &str) -> usize {
    let digits = ["test_digit_error_0", "test_digit_error_1"];
    let mut all = METRICS.iter().chain(&digits);
    all.position(|name| *name == metric).unwrap()
}

#[test]
fn draws_have_the_moments_of_their_distributions() {
    let n = 100_000;
    let mut draws = Draws::of(&[1, 2, 3]);
    type Draw = fn(&mut Draws) -> f64;
    let of: [(Draw, f64, f64); 4] = [
        (Draws::uniform, 0.5, 1.0 / 12.0),
        (Draws::normal, 0.0, 1.0),
        (Draws::exponential, 1.0, 1.0),
        (|draws| f64::from(draws.binomial(1000, 0.002)), 2.0, 1.996),
    ];
    for (draw, mean, variance) in of {
        let values: Vec<f64> = (0..n).map(|_| draw(&mut draws)).collect();
        let found = values.iter().sum::<f64>() / f64::from(n);
        let spread = values.iter().map(|x| (x - found).powi(2)).sum::<f64>() / f64::from(n - 1);
        assert!(
            (found - mean).abs() < 5.0 * (variance / f64::from(n)).sqrt(),
            "{found} {mean}"
        );
        assert!((spread / variance - 1.0).abs() < 0.05, "{spread} {variance}");
    }
    let mut first = Draws::of(&[1, 2, 4]);
    assert_ne!(Draws::of(&[1, 2, 3]).next(), first.next());
}
