//! Which images make pairs, and what is asked of them.

use tenfold_types::Target;
use tenfold_types::seed::Stream;

use super::{PIXELS, Split, pooled};
use crate::random::Random;

/// Pairs of digits.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    /// `2 × 196` values a pair: the first image, then the second.
    pub images: Vec<f32>,
    /// The digits of a pair, first and second.
    pub digits: Vec<[u8; 2]>,
    /// The answer to each pair: 1 for yes.
    pub answers: Vec<u8>,
}

/// More pairs asked for than there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{asked} pairs to {purpose}, needs 1 to {most}: MNIST has {} images to {purpose}", 2 * u64::from(*most))]
pub struct PairsError {
    asked: u32,
    most: u32,
    purpose: &'static str,
}

/// What pairs are for: each purpose has its own sequence of random numbers.
#[derive(Debug, Clone, Copy)]
pub enum Purpose {
    /// To train on.
    Train = 0,
    /// To test on.
    Test = 1,
}

/// Draws pairs from a split without replacement: no image is in two places.
///
/// The draw depends on the seed, the repetition and the purpose; more pairs begin with the same ones, and the target
/// changes the answers alone.
///
/// # Errors
/// None, or more than half as many as there are images, are asked for.
pub fn draw(
    split: &Split,
    purpose: Purpose,
    count: u32,
    target: Target,
    seed: u64,
    repetition: u32,
) -> Result<Pairs, PairsError> {
    let most = split.images.count() / 2;
    if !(1..=most).contains(&count) {
        return Err(PairsError {
            asked: count,
            most,
            purpose: match purpose {
                Purpose::Train => "train on",
                Purpose::Test => "test on",
            },
        });
    }
    let mut random = Random::new(seed, repetition, Stream::Dataset, purpose as u64);
    let drawn = random.draw(2 * count, split.images.count());
    let mut images = Vec::with_capacity(drawn.len() * PIXELS);
    for &at in &drawn {
        images.extend(pooled(split.images.image(at)));
    }
    let digit = |at: u32| split.digits[at as usize];
    let digits: Vec<_> = drawn
        .chunks_exact(2)
        .map(|pair| [digit(pair[0]), digit(pair[1])])
        .collect();
    let answers = digits.iter().map(|&pair| answer(target, pair).into()).collect();
    Ok(Pairs {
        images,
        digits,
        answers,
    })
}

fn answer(target: Target, [first, second]: [u8; 2]) -> bool {
    match target {
        Target::Less => first < second,
        Target::LessOrEqual => first <= second,
    }
}
