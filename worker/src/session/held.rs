//! What the session knows of its slots, its leases and their trials.

use std::collections::BTreeMap;

use tenfold_types::frame::Device;
use tenfold_types::{Block, Fence, Outcome, RequestId, ShapeKey, SweepId, TrialKey, TrialSpec};

use super::lane::Lane;
use super::{Action, Millis};
use crate::outbox::{Outbox, bytes};

/// Epochs wait at most so long to be sent.
const APPEND_EVERY: Millis = 100;
/// About so many bytes of epochs go into one call: far less than the largest message that a coordinator takes, however
/// much has piled up while it was away.
const APPEND_BYTES: usize = 512 << 10;

#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) device: Option<Device>,
    /// Trials that its trainer trains truly at once, and bytes that they may take.
    pub(super) lanes: u32,
    pub(super) memory: u64,
    pub(super) ready: bool,
    pub(super) unfit: Option<String>,
    /// The lease that its trainer works on.
    pub(super) training: Option<Fence>,
    /// The pack's trials, while their shape is measured.
    pub(super) waiting: Option<Vec<TrialSpec>>,
    /// Shapes of packs with which its trainers died, with the most trials that the next ones may have. Each slot finds
    /// out for itself: a pack that does well in another says nothing of the one that does not.
    pub(super) careful: BTreeMap<ShapeKey, u32>,
    pub(super) request: Option<RequestId>,
    pub(super) acquire: Lane,
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) slot: usize,
    pub(super) sweep: SweepId,
    /// Of all its trials; none when one of them cannot be understood.
    pub(super) shape: Option<ShapeKey>,
    pub(super) trials: Vec<Trial>,
    pub(super) lane: Lane,
    pub(super) last_append: Millis,
    /// The trainer is told to stop the last of its trials, and is killed then if it has not.
    pub(super) kill_at: Option<Millis>,
}

#[derive(Debug)]
pub(super) struct Trial {
    pub(super) key: TrialKey,
    pub(super) attempt: u32,
    pub(super) outbox: Outbox,
    pub(super) end: Option<(Outcome, String)>,
    /// Nothing more is to be said of it.
    pub(super) done: bool,
}

impl Slot {
    /// Ready, and nothing to do.
    pub(super) fn is_idle(&self) -> bool {
        self.ready && self.training.is_none()
    }
}

impl Held {
    /// When epochs that wait are sent: together with the trial's end at once, otherwise a while after the last ones.
    pub(super) fn next_append(&self) -> Millis {
        let ended = self.trials.iter().any(|trial| trial.end.is_some() && !trial.done);
        if ended { 0 } else { self.last_append + APPEND_EVERY }
    }

    pub(super) fn next_call(&mut self, fence: Fence, now: Millis) -> Option<Action> {
        // Ends first: those of a pack that goes on must not wait until all its trials are silent.
        self.finish(fence).or_else(|| self.append(fence, now))
    }

    /// The end of a trial whose epochs are all durable, or matter no more.
    fn finish(&self, fence: Fence) -> Option<Action> {
        let said = |trial: &&Trial| trial.outbox.is_empty() || !trial.wants_epochs_kept();
        let mut ended = self
            .trials
            .iter()
            .filter(|trial| !trial.done && trial.end.is_some());
        let trial = ended.find(said)?;
        let (outcome, stderr) = trial.end.clone()?;
        Some(Action::Finish {
            fence,
            sweep: self.sweep,
            key: trial.key,
            attempt: trial.attempt,
            epochs: trial.outbox.last(),
            outcome,
            stderr,
        })
    }

    fn append(&mut self, fence: Fence, now: Millis) -> Option<Action> {
        let waiting = |trial: &&Trial| !trial.done && !trial.outbox.is_empty() && trial.wants_epochs_kept();
        if now < self.next_append() || !self.trials.iter().any(|trial| waiting(&trial)) {
            return None;
        }
        self.last_append = now;
        let mut room = APPEND_BYTES;
        let mut trials: Vec<(TrialKey, u32, Vec<Block>)> = Vec::new();
        // Those that have ended first: only their epochs keep them.
        let (ended, open): (Vec<&Trial>, Vec<&Trial>) = self
            .trials
            .iter()
            .filter(waiting)
            .partition(|trial| trial.end.is_some());
        for trial in ended.into_iter().chain(open) {
            let mut blocks = Vec::new();
            for block in trial.outbox.pending() {
                let first = trials.is_empty() && blocks.is_empty();
                if !first && room < bytes(block) {
                    break;
                }
                room = room.saturating_sub(bytes(block));
                blocks.push(block.clone());
            }
            if blocks.is_empty() {
                break;
            }
            trials.push((trial.key, trial.attempt, blocks));
        }
        Some(Action::Append {
            fence,
            sweep: self.sweep,
            trials,
        })
    }
}

impl Trial {
    /// Its end is not known yet.
    pub(super) fn is_open(&self) -> bool {
        !self.done && self.end.is_none()
    }

    pub(super) fn has_something_to_say(&self) -> bool {
        !self.done && (self.end.is_some() || !self.outbox.is_empty())
    }

    /// Whether its epochs still matter: those of an attempt that failed or is given back do not.
    pub(super) fn wants_epochs_kept(&self) -> bool {
        !matches!(self.end, Some((Outcome::Failed { .. } | Outcome::Released, _)))
    }
}
