//! What the coordinator says of leases: given, over, no longer wanted, refused.

use rand::RngExt;
use tenfold_types::frame::ToTrainer;
use tenfold_types::{Fence, Outcome, TrialKey};

use super::held::{Held, Trial};
use super::lane::Lane;
use super::{Acknowledgement, Action, Call, Exit, Failure, Lease, Millis, Session};
use crate::outbox::Outbox;

/// A trainer that was told to cancel and has not stopped within this is killed.
const CANCEL_PATIENCE: Millis = 2_000;

impl Session {
    pub(super) fn acquired(
        &mut self,
        slot: usize,
        lease: Result<Lease, Millis>,
        now: Millis,
        actions: &mut Vec<Action>,
    ) {
        self.contact(now);
        let place = &mut self.slots[slot];
        place.acquire.answered();
        place.request = None;
        let lease = match lease {
            Ok(lease) => lease,
            Err(again) => {
                place.acquire.not_before = now + again / 2 + self.random.random_range(0..=again);
                return;
            }
        };
        let (mut trials, mut pack) = (Vec::new(), Vec::new());
        for (key, attempt, trial) in lease.trials {
            let end = match trial {
                Ok(trial) => {
                    pack.push(trial);
                    None
                }
                Err(error) => Some((Outcome::Failed { error }, String::new())),
            };
            trials.push(Trial {
                key,
                attempt,
                outbox: Outbox::default(),
                end,
                done: false,
            });
        }
        // Frames name trials by their place, so a pack with one that cannot be understood is not trained at all.
        let whole = pack.len() == trials.len();
        let train = whole && self.stopping.is_none() && place.ready && place.training.is_none();
        if !train {
            for trial in trials.iter_mut().filter(|trial| trial.is_open()) {
                trial.end = Some((Outcome::Released, String::new()));
            }
        }
        let (fence, sweep) = (lease.fence, lease.sweep);
        let held = Held {
            slot,
            sweep,
            shape: pack.first().filter(|_| whole).map(|trial| trial.spec.shape()),
            trials,
            lane: Lane::default(),
            last_append: now,
            kill_at: None,
        };
        self.leases.insert(fence, held);
        if train {
            place.training = Some(fence);
            if !self.measure(slot, fence, &pack, lease.of_sweep, actions) {
                actions.push(Action::Tell {
                    slot,
                    frame: ToTrainer::Train {
                        pack: fence.0,
                        trials: pack,
                    },
                });
            }
        }
    }

    /// What the coordinator says of a trial of an append.
    pub(super) fn acknowledged(
        &mut self,
        fence: Fence,
        key: TrialKey,
        said: Acknowledgement,
        now: Millis,
        actions: &mut Vec<Action>,
    ) {
        if said.cancelled {
            return self.cancel(fence, key, now, actions);
        }
        if let Some(why) = said.refused {
            return self.refused(fence, Some(key), &why, actions);
        }
        let trials = self.leases.get_mut(&fence).map(|held| &mut held.trials);
        let Some(trial) = trials.and_then(|trials| trials.iter_mut().find(|trial| trial.key == key)) else {
            return;
        };
        trial.outbox.acknowledge(said.epochs);
        if said.ended {
            trial.done = true;
            trial.outbox.clear();
        }
    }

    /// A lease is let go when all its trials are over and its trainer works on it no more.
    pub(super) fn drop_if_done(&mut self, fence: Fence) {
        let done = self.leases.get(&fence).is_some_and(|held| {
            held.trials.iter().all(|trial| trial.done) && self.slots[held.slot].training != Some(fence)
        });
        if done {
            self.leases.remove(&fence);
        }
    }

    /// The lease is over: its trainer is killed within this step, its epochs are discarded.
    pub(super) fn stale(&mut self, fence: Fence, actions: &mut Vec<Action>) {
        if let Some(held) = self.leases.remove(&fence) {
            let slot = &mut self.slots[held.slot];
            if slot.training == Some(fence) {
                slot.training = None;
                slot.ready = false;
                actions.push(Action::Kill { slot: held.slot });
            }
        }
    }

    pub(super) fn cancel(&mut self, fence: Fence, key: TrialKey, now: Millis, actions: &mut Vec<Action>) {
        let Some(held) = self.leases.get_mut(&fence) else {
            return;
        };
        let Some(place) = held.trials.iter().position(|trial| trial.key == key) else {
            return;
        };
        let trial = &mut held.trials[place];
        if trial.done {
            return;
        }
        trial.done = true;
        trial.outbox.clear();
        if self.slots[held.slot].training == Some(fence) {
            // A pack that goes on needs its trainer.
            if !held.trials.iter().any(Trial::is_open) {
                held.kill_at.get_or_insert(now + CANCEL_PATIENCE);
            }
            let frame = ToTrainer::Cancel {
                pack: fence.0,
                trial: place as u32,
            };
            actions.push(Action::Tell {
                slot: held.slot,
                frame,
            });
        }
        self.drop_if_done(fence);
    }

    pub(super) fn failed(&mut self, call: Call, failure: Failure, now: Millis, actions: &mut Vec<Action>) {
        if !matches!(failure, Failure::Passing(_)) {
            self.contact(now);
        }
        let asked = match failure {
            Failure::Busy { pause, .. } => pause,
            _ => 0,
        };
        if failure == Failure::Unknown && call != Call::Register {
            self.registered = false;
        }
        match call {
            Call::Register => match failure {
                Failure::Refused(why) => _ = self.exit.get_or_insert(Exit::Refused(why)),
                _ => self.register.failed(asked, now, &mut self.random),
            },
            Call::Heartbeat => self.heartbeat.failed(asked, now, &mut self.random),
            Call::Acquire(slot) => self.slots[slot].acquire.failed(asked, now, &mut self.random),
            Call::Append(fence) => match failure {
                Failure::Stale => self.stale(fence, actions),
                Failure::Refused(why) => self.refused(fence, None, &why, actions),
                Failure::Passing(_) | Failure::Busy { .. } | Failure::Unknown => {
                    if let Some(held) = self.leases.get_mut(&fence) {
                        held.lane.failed(asked, now, &mut self.random);
                    }
                }
            },
        }
    }

    /// The coordinator will not take what was sent, of one trial or of all of the lease, ever: the attempts are given up
    /// as failed, with the reason. Where that is refused too, nothing more is said of them: their lease runs out.
    pub(super) fn refused(
        &mut self,
        fence: Fence,
        key: Option<TrialKey>,
        why: &str,
        actions: &mut Vec<Action>,
    ) {
        let Some(held) = self.leases.get_mut(&fence) else {
            return;
        };
        held.lane.answered();
        for trial in held
            .trials
            .iter_mut()
            .filter(|trial| !trial.done && key.is_none_or(|key| key == trial.key))
        {
            trial.outbox.clear();
            match &trial.end {
                Some((Outcome::Failed { .. } | Outcome::Released | Outcome::Lost { .. }, _)) => {
                    trial.done = true
                }
                _ => {
                    let error = format!("the coordinator refused what was reported of it: {why}");
                    trial.end = Some((Outcome::Failed { error }, String::new()));
                }
            }
        }
        // Its neighbours are not to blame: those that still train are given back.
        for trial in held.trials.iter_mut().filter(|trial| trial.is_open()) {
            trial.end = Some((Outcome::Released, String::new()));
        }
        let slot = held.slot;
        if self.slots[slot].training == Some(fence) {
            self.slots[slot].training = None;
            self.slots[slot].ready = false;
            actions.push(Action::Kill { slot });
        }
        self.drop_if_done(fence);
    }
}
