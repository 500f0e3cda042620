//! Seeds: what a trial's data, weights and order come from depends on the sweep's seed and the repetition alone.

use sha2::{Digest, Sha256};

/// An independent stream of random numbers within one repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Which images make the training and test pairs.
    Dataset,
    /// The initial weights.
    Weights,
    /// The order of the training pairs in each epoch.
    Order,
    /// The masks of dropout.
    Dropout,
}

/// The 256-bit key of a counter-based generator for one stream of one repetition.
///
/// The point is deliberately no part of it: the same repetition sees the same data and order at every point, so that
/// points can be compared in pairs.
pub fn key(sweep_seed: u64, repetition: u32, stream: Stream) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"tenfold seed 1");
    hash.update(sweep_seed.to_le_bytes());
    hash.update(repetition.to_le_bytes());
    hash.update([stream as u8]);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_input_counts() {
        let base = key(559, 0, Stream::Dataset);
        assert_eq!(base, key(559, 0, Stream::Dataset));
        assert_ne!(base, key(560, 0, Stream::Dataset));
        assert_ne!(base, key(559, 1, Stream::Dataset));
        assert_ne!(base, key(559, 0, Stream::Order));
    }
}
