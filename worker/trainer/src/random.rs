//! Random numbers of a trial: counter-based, from the sweep's seed and the repetition alone, the same on any device.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use tenfold_types::seed::{Stream, key};

/// A generator at the start of one of the 2⁶⁴ independent sequences that a [`Stream`] has.
pub struct Random(ChaCha8Rng);

impl Random {
    /// Sequence number `sequence` of the stream.
    pub fn new(seed: u64, repetition: u32, stream: Stream, sequence: u64) -> Self {
        let mut generator = ChaCha8Rng::from_seed(key(seed, repetition, stream));
        generator.set_stream(sequence);
        Self(generator)
    }

    /// A whole number below `bound`, which must not be 0, each equally likely (Lemire, 2019).
    pub fn below(&mut self, bound: u32) -> u32 {
        let reject_below = bound.wrapping_neg() % bound;
        loop {
            let product = u64::from(self.0.next_u32()) * u64::from(bound);
            if product as u32 >= reject_below {
                return (product >> 32) as u32;
            }
        }
    }

    /// A multiple of 2⁻²⁴ in [0, 1).
    pub fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 * (1.0 / (1 << 24) as f32)
    }

    /// The first `count` numbers of a random permutation of `0..of` (Fisher and Yates); at most `of` of them.
    ///
    /// A larger `count` begins with the same numbers.
    pub fn draw(&mut self, count: u32, of: u32) -> Vec<u32> {
        let mut numbers: Vec<u32> = (0..of).collect();
        let count = count.min(of);
        for at in 0..count {
            let other = at + self.below(of - at);
            numbers.swap(at as usize, other as usize);
        }
        numbers.truncate(count as usize);
        numbers
    }
}

/// The random numbers of dropout's masks: each is a function of its place alone, by the mixing of SplitMix64 (Steele, Lea
/// and Flood, 2014), which any device computes with whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masking {
    key: u64,
}

impl Masking {
    /// Numbers are below this.
    pub const RANGE: f64 = (1u64 << 24) as f64;
    /// From a place to the next: 2⁶⁴ over the golden ratio, made odd.
    pub(crate) const INCREMENT: u64 = 0x9E37_79B9_7F4A_7C15;
    /// Shifts to the right, each xored into the number, and the factors behind them.
    pub(crate) const ROUNDS: [(i64, u64); 3] =
        [(30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB), (31, 1)];
    /// What is left of 64 bits is a number.
    pub(crate) const SHIFT: i64 = 40;

    /// Those of a trial.
    pub fn new(seed: u64, repetition: u32) -> Self {
        let mut first = [0; 8];
        first.copy_from_slice(&key(seed, repetition, Stream::Dropout)[..8]);
        Self {
            key: u64::from_le_bytes(first),
        }
    }

    /// Where the numbers of a layer begin in a step.
    pub fn start(self, step: u64, place: u64) -> u64 {
        mix(self.key ^ mix((step << 20).wrapping_add(place)))
    }

    /// Number `at` from a start, below 2²⁴.
    #[inline(always)]
    pub fn number(start: u64, at: u64) -> u32 {
        (mix(start.wrapping_add(at.wrapping_mul(Self::INCREMENT))) >> Self::SHIFT) as u32
    }
}

#[inline(always)]
fn mix(mut x: u64) -> u64 {
    for (shift, factor) in Masking::ROUNDS {
        x = (x ^ (x >> shift)).wrapping_mul(factor);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(sequence: u64) -> Random {
        Random::new(559, 0, Stream::Order, sequence)
    }

    #[test]
    fn a_draw_repeats_nothing_and_begins_like_a_shorter_one() {
        let mut all = random(1).draw(1000, 1000);
        assert_eq!(random(1).draw(10, 1000), all[..10]);
        assert_ne!(random(2).draw(10, 1000), all[..10]);
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert_eq!(random(1).draw(7, 5).len(), 5);
    }

    #[test]
    fn units_lie_evenly_in_the_unit_interval() {
        let mut random = random(0);
        let units: Vec<f32> = (0..10_000).map(|_| random.unit()).collect();
        assert!(units.iter().all(|u| (0.0..1.0).contains(u)));
        let mean = units.iter().sum::<f32>() / units.len() as f32;
        // The standard error of this mean is 0.0029.
        assert!((mean - 0.5).abs() < 0.015, "{mean}");
    }

    #[test]
    fn numbers_below_a_bound_are_equally_likely() {
        let mut random = random(0);
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[random.below(6) as usize] += 1;
        }
        // The standard deviation of each count is 91.
        assert!(
            counts.iter().all(|count| count.abs_diff(10_000) < 460),
            "{counts:?}"
        );
    }
}
