//! When calls are made again that failed.

use rand::RngExt;
use rand::rngs::StdRng;

use super::Millis;

/// The first pause after a failed call, doubled with each, and the longest.
const RETRY_BASE: Millis = 100;
const RETRY_CAP: Millis = 5_000;

/// One call of a kind at a time, with pauses after failures.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) under_way: bool,
    failures: u32,
    pub(super) not_before: Millis,
}

impl Lane {
    pub(super) fn is_free(&self, now: Millis) -> bool {
        !self.under_way && now >= self.not_before
    }

    pub(super) fn answered(&mut self) {
        self.under_way = false;
        self.failures = 0;
        self.not_before = 0;
    }

    /// Full jitter: a pause between nothing and twice the last bound, behind the pause that was asked for.
    pub(super) fn failed(&mut self, asked: Millis, now: Millis, random: &mut StdRng) {
        self.under_way = false;
        let bound = RETRY_BASE
            .saturating_mul(1 << self.failures.min(16))
            .min(RETRY_CAP);
        self.failures += 1;
        self.not_before = now + asked + random.random_range(0..=bound);
    }

    pub(super) fn wake(&self) -> Option<Millis> {
        (!self.under_way).then_some(self.not_before)
    }
}
