//! Searches that stop early: which points go on at a rung, and when a point has been repeated often enough.
//!
//! Pure functions of what groups came to, a file a rule: `halving` (all points of a rung at once), `asha` and `median` (one
//! point after the other, in the order of their indexes), `patience` (a point by itself), `width` (repetitions of a point).
//! A rung is an epoch at which is decided who goes on. The same results in the same order give the same decisions.
//!
//! Everywhere a point with fewer repetitions missing is better than one with more, whatever their means, and one without any
//! that succeeded never goes on.

pub mod asha;
pub mod halving;
pub mod median;
pub mod patience;
pub mod width;

use std::cmp::Ordering;

use crate::rank::Rank;

/// What a point came to at a rung.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Repetitions that succeeded up to here.
    pub n: u32,
    /// Repetitions that diverged or failed.
    pub missing: u32,
    /// What the mean of the metric over those that succeeded is compared by; less is better. That of 0 when `n` is 0.
    pub mean: Rank,
}

impl Standing {
    /// Whether there is anything to go on with: a repetition that succeeded.
    pub fn is_alive(&self) -> bool {
        self.n > 0
    }

    /// The better one first: alive before dead, then fewer missing, then the lesser mean. Equal ones stay equal.
    pub fn order(&self, other: &Self) -> Ordering {
        let dead = |standing: &Self| !standing.is_alive();
        dead(self)
            .cmp(&dead(other))
            .then(self.missing.cmp(&other.missing))
            .then(self.mean.cmp(&other.mean))
    }

    /// How many of these are better, equal ones not counted.
    fn better_among(&self, others: &[Self]) -> usize {
        let better = others.iter().filter(|other| other.order(self) == Ordering::Less);
        better.count()
    }
}
