//! What the session knows of its slots, its leases and their trials.

use std::collections::BTreeMap;

use tenfold_types::frame::{self, Device};
use tenfold_types::{Fence, Outcome, RequestId, ShapeKey, SweepId, TrialKey};

use super::lane::Lane;
use super::{Action, Millis, Report};
use crate::outbox::{Outbox, bytes};

/// Epochs wait at most so long to be sent.
const APPEND_EVERY: Millis = 100;
/// About so many bytes of epochs go into one call: far less than the largest message that a coordinator takes, however
/// much has piled up while it was away.
const APPEND_BYTES: usize = 512 << 10;
/// What an end takes, beside the trainer's last words.
const END_BYTES: usize = 256;

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
    pub(super) waiting: Option<Vec<frame::Trial>>,
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

    /// What is new, if it is time to send it: epochs, and ends whose epochs are all sent with them or before.
    pub(super) fn append(&mut self, fence: Fence, now: Millis) -> Option<Action> {
        if now < self.next_append() || !self.trials.iter().any(Trial::has_something_to_say) {
            return None;
        }
        self.last_append = now;
        let mut room = APPEND_BYTES;
        let mut reports: Vec<Report> = Vec::new();
        // Those that have ended first: what they are waiting for is to be told of.
        let (ended, open): (Vec<&Trial>, Vec<&Trial>) = self
            .trials
            .iter()
            .filter(|trial| trial.has_something_to_say())
            .partition(|trial| trial.end.is_some());
        for trial in ended.into_iter().chain(open) {
            let Some(report) = trial.report(&mut room, reports.is_empty()) else {
                break;
            };
            reports.push(report);
        }
        Some(Action::Append {
            fence,
            sweep: self.sweep,
            trials: reports,
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

    /// Whether its epochs still matter: those of an attempt without a result do not.
    fn wants_epochs_kept(&self) -> bool {
        matches!(
            self.end,
            None | Some((Outcome::Succeeded | Outcome::Diverged { .. }, _))
        )
    }

    /// What is new of it, as far as there is room; the first of an append has room for something, whatever is left.
    fn report(&self, room: &mut usize, first: bool) -> Option<Report> {
        let mut report = Report {
            key: self.key,
            attempt: self.attempt,
            blocks: Vec::new(),
            end: None,
        };
        let mut whole = true;
        for block in self.outbox.pending().filter(|_| self.wants_epochs_kept()) {
            let may_wait = !first || !report.blocks.is_empty();
            if may_wait && *room < bytes(block) {
                whole = false;
                break;
            }
            *room = room.saturating_sub(bytes(block));
            report.blocks.push(block.clone());
        }
        if let Some((outcome, stderr)) = self.end.as_ref().filter(|_| whole) {
            let size = END_BYTES + stderr.len();
            if (!first || !report.blocks.is_empty()) && *room < size {
                return (!report.blocks.is_empty()).then_some(report);
            }
            *room = room.saturating_sub(size);
            report.end = Some((self.outbox.last(), outcome.clone(), stderr.clone()));
        }
        (!report.blocks.is_empty() || report.end.is_some()).then_some(report)
    }
}
