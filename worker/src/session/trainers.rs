//! What trainers say, and what follows when they are gone.

use tenfold_types::frame::FromTrainer;
use tenfold_types::{Fence, Outcome};

use super::held::Trial;
use super::{Action, Session};

impl Session {
    pub(super) fn frame(&mut self, slot: usize, frame: FromTrainer, actions: &mut Vec<Action>) {
        match frame {
            FromTrainer::Epochs { pack, trial, block } => {
                let Some(trial) = self.trial(slot, pack, trial) else {
                    return;
                };
                if trial.end.is_none() && !trial.done && !trial.outbox.push(block) {
                    let error = "the trainer sent epochs out of order".to_owned();
                    trial.end = Some((Outcome::Failed { error }, String::new()));
                    trial.outbox.clear();
                    self.slots[slot].ready = false;
                    // Its neighbours are not to blame.
                    self.end_training(slot, &Outcome::Released, "");
                    actions.push(Action::Kill { slot });
                }
            }
            FromTrainer::Ended { pack, trial, outcome } => {
                if let Some(trial) = self.trial(slot, pack, trial)
                    && trial.end.is_none()
                {
                    trial.end = Some((outcome, String::new()));
                }
            }
            FromTrainer::PackEnded { pack, largest } => {
                if self.slots[slot].training == Some(Fence(pack)) {
                    self.packed(slot, Fence(pack), largest, actions);
                    self.end_training(slot, &Outcome::Released, "");
                }
            }
            FromTrainer::Measured { pack, rates, error } => {
                self.measured(slot, pack, &rates, error.as_deref(), actions);
            }
            FromTrainer::Hello { .. } | FromTrainer::Unfit { .. } | FromTrainer::Alive { .. } => {}
        }
    }

    /// The trial of a frame, when the slot still trains that pack.
    pub(super) fn trial(&mut self, slot: usize, pack: u64, trial: u32) -> Option<&mut Trial> {
        let fence = self.slots[slot].training.filter(|fence| fence.0 == pack)?;
        self.leases.get_mut(&fence)?.trials.get_mut(trial as usize)
    }

    /// A trainer that dies while it trains one trial is that trial's doing; of several, nobody knows whose.
    pub(super) fn died(&mut self, slot: usize, how: String, stderr: &str) {
        self.slots[slot].ready = false;
        if let Some(trials) = self.slots[slot].waiting.take() {
            // The measurement's doing, which tries far more at once than the pack has: charged to no trial.
            if let Some(first) = trials.first() {
                self.unmeasured(slot, first.spec.shape(), &format!("the trainer {how}"));
            }
            self.end_training(slot, &Outcome::Released, "");
            return;
        }
        let open: Vec<u32> = self.slots[slot]
            .training
            .and_then(|fence| self.leases.get(&fence))
            .map(|held| held.trials.iter().filter(|trial| trial.is_open()))
            .into_iter()
            .flatten()
            .map(|trial| trial.outbox.last())
            .collect();
        let outcome = match open.as_slice() {
            [epochs] => Outcome::Failed {
                error: format!("the trainer {how} in epoch {}", epochs + 1),
            },
            several => Outcome::Lost {
                error: format!("the trainer {how} while it trained {} trials", several.len()),
                together: several.len() as u32,
            },
        };
        if let (Some(fence), 2..) = (self.slots[slot].training, open.len()) {
            self.be_careful(slot, fence, open.len());
        }
        self.end_training(slot, &outcome, stderr);
    }

    /// The slot trains no more; trials whose end is not known end so.
    pub(super) fn end_training(&mut self, slot: usize, outcome: &Outcome, stderr: &str) {
        self.slots[slot].waiting = None;
        let Some(fence) = self.slots[slot].training.take() else {
            return;
        };
        let Some(held) = self.leases.get_mut(&fence) else {
            return;
        };
        held.kill_at = None;
        // The trainer's last words are told once: there may be thousands of trials.
        let mut stderr = stderr.to_owned();
        for trial in held.trials.iter_mut().filter(|trial| trial.is_open()) {
            trial.end = Some((outcome.clone(), std::mem::take(&mut stderr)));
        }
        self.drop_if_done(fence);
    }
}
