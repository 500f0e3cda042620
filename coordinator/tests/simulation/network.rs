//! What lies between a worker and the coordinator: messages that are lost, come twice, late or out of order; links that
//! are cut one way or both; workers that are paused.

use std::mem::take;

use rand::RngExt;
use rand::rngs::StdRng;
use tenfold::turn::TurnError;
use tenfold_core::{Answer, Input};

/// An answer under way, with what it is the answer to.
pub(crate) type Reply = (Input, Result<Answer, TurnError>);

/// Until when each way is cut, and the worker asleep.
#[derive(Default)]
pub(crate) struct Link {
    to_coordinator: u64,
    to_worker: u64,
    asleep: u64,
    /// What was sent while the way was cut, or the worker asleep: it comes when that is over, unless it is lost.
    words: Vec<Input>,
    replies: Vec<Reply>,
}

impl Link {
    /// Cuts it, one way or both, or puts the worker to sleep.
    pub(crate) fn disturb(&mut self, random: &mut StdRng, now: u64) {
        let until = now + random.random_range(10..400);
        match random.random_range(0..4) {
            0 => self.to_coordinator = until,
            1 => self.to_worker = until,
            2 => (self.to_coordinator, self.to_worker) = (until, until),
            _ => self.asleep = until,
        }
    }

    pub(crate) fn is_awake(&self, now: u64) -> bool {
        now >= self.asleep
    }

    /// The word arrives now; or it waits, or it is lost.
    pub(crate) fn word(&mut self, random: &mut StdRng, now: u64, word: Input) -> Option<Input> {
        if now >= self.to_coordinator {
            return Some(word);
        }
        if random.random_ratio(1, 2) {
            self.words.push(word);
        }
        None
    }

    /// The reply arrives now; or it waits, or it is lost.
    pub(crate) fn reply(&mut self, random: &mut StdRng, now: u64, reply: Reply) -> Option<Reply> {
        if now >= self.to_worker && self.is_awake(now) {
            return Some(reply);
        }
        if random.random_ratio(1, 2) {
            self.replies.push(reply);
        }
        None
    }

    /// What has waited until now.
    pub(crate) fn arrived(&mut self, now: u64) -> (Vec<Input>, Vec<Reply>) {
        let words = if now >= self.to_coordinator {
            take(&mut self.words)
        } else {
            Vec::new()
        };
        let whole = now >= self.to_worker && self.is_awake(now);
        let replies = if whole {
            take(&mut self.replies)
        } else {
            Vec::new()
        };
        (words, replies)
    }
}
