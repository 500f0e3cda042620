//! Why a trial waits, runs or is over: what a person who asks is told. Decides nothing.

use tenfold_types::{DeviceKind, Fence, SweepId, TrialKey, WorkerId};

use crate::Millis;
use crate::record::{Control, TrialRow};
use crate::state::{Lease, State, SweepState, Worker};
use crate::sweep::ChoiceId;
use crate::trial::TrialState;

/// A part of the answer. Several may hold at once; what must be over first comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Its sweep is paused, and hands out no trials.
    Paused,
    /// One of its values is still to be chosen.
    Choice {
        /// The choice.
        choice: ChoiceId,
        /// Trials that it is made from and that are not over yet; 0 when it is made next.
        open: u64,
    },
    /// Another trial is the same: it has its result, or gets it.
    Twin {
        /// The one that is trained for both.
        of: TrialKey,
        /// It has the result already.
        has_result: bool,
    },
    /// It failed, and rests before it may run again.
    Backoff {
        /// Until then.
        until: Millis,
    },
    /// No worker is connected.
    NoWorker,
    /// Workers are connected, but none has the kind of device that its sweep requires.
    NoDevice {
        /// That kind.
        required: DeviceKind,
    },
    /// Workers have such a device, but none of them takes trials now.
    Unwilling {
        /// Those whose trainers failed again and again.
        quarantined: u32,
        /// Those that were told to end.
        draining: u32,
        /// Those not heard of within the term of a lease.
        silent: u32,
    },
    /// Its sweep shares the slots with others that have work for them too.
    Sharing {
        /// How many others.
        sweeps: u64,
    },
    /// It has failed before, and is leased by itself, so that it harms no other.
    Alone {
        /// Attempts charged to it.
        failures: u32,
        /// With so many it is FAILED.
        limit: u32,
    },
    /// A trainer died that trained it with others: packs with it are smaller since.
    PackLimit {
        /// The most trials that they may have.
        trials: u32,
    },
    /// Other trials of its sweep stand before it in line.
    Behind {
        /// How many; about, where much is excluded from a large grid.
        trials: u64,
    },
    /// It is the first in line for the next free slot.
    Next {
        /// Slots that could train it.
        slots: u64,
        /// Those of them that hold a lease.
        busy: u64,
    },
    /// A worker has it.
    Held {
        /// Its lease.
        fence: Fence,
        /// The worker.
        worker: WorkerId,
        /// The worker's host.
        host: String,
        /// The worker's slot.
        slot: u32,
        /// When the lease was given.
        since: Millis,
        /// Trials that the lease was given for.
        together: u32,
        /// Epochs that have come, and how many it trains.
        epochs: u32,
        /// How many it trains.
        of: u32,
    },
    /// Its lease was not renewed in its term.
    Suspect {
        /// It is over then, unless it is renewed before.
        until: Millis,
    },
    /// All its epochs are there.
    Succeeded {
        /// How many.
        epochs: u32,
    },
    /// A loss became infinite or no number.
    Diverged {
        /// In this epoch.
        epoch: u32,
    },
    /// It failed too often, or there is nothing to train.
    Failed {
        /// Attempts charged to it.
        failures: u32,
        /// With so many it is FAILED.
        limit: u32,
        /// What went wrong last.
        error: String,
    },
    /// It is not run: its point did not go on, or has enough repetitions without it.
    LeftOut {
        /// The decision.
        choice: ChoiceId,
    },
    /// It was cancelled, or its sweep was stopped before any worker had it.
    Cancelled,
}

/// Why a trial is where it is; none when there is no such trial.
pub fn explain(state: &State, sweep: SweepId, key: TrialKey, now: Millis) -> Option<Vec<Reason>> {
    let sweep = state.sweep(sweep)?;
    if let Some(choice) = sweep.sweep().left_out_by(key) {
        return Some(vec![Reason::LeftOut { choice }]);
    }
    if !sweep.has(key) {
        return None;
    }
    let row = sweep.row_of(key);
    let limit = state.settings().failure_limit;
    let touched = sweep.is_open(key).is_some();
    let twin = twin(sweep, &row);
    let reasons: Vec<Reason> = match row.state {
        TrialState::Pending if !touched && sweep.row().control == Control::Stopped => vec![Reason::Cancelled],
        TrialState::Pending => waits(state, sweep, key, now),
        TrialState::Backoff { until } => paused(sweep)
            .chain([
                Reason::Backoff { until },
                Reason::Alone {
                    failures: row.failures,
                    limit,
                },
            ])
            .collect(),
        TrialState::Leased { fence, worker } | TrialState::Running { fence, worker } => {
            held(state, sweep, key, (fence, worker))
        }
        TrialState::Succeeded { epochs, .. } => vec![Reason::Succeeded { epochs }],
        TrialState::Diverged { epoch, .. } => vec![Reason::Diverged { epoch }],
        TrialState::Failed => vec![Reason::Failed {
            failures: row.failures,
            limit,
            error: row.error.unwrap_or_default(),
        }],
        TrialState::Cancelled => vec![Reason::Cancelled],
    };
    Some(reasons.into_iter().chain(twin).collect())
}

/// The trial whose result it has, or waits for.
fn twin(sweep: &SweepState, row: &TrialRow) -> Option<Reason> {
    let key = row.id.key;
    let of = Some(sweep.sweep().representative(key)).filter(|of| *of != key)?;
    let accepted = |row: &TrialRow| row.state.accepted();
    let has_result = match row.state {
        // One that a version before this one trained has a curve of its own.
        TrialState::Succeeded { .. } | TrialState::Diverged { .. } => {
            accepted(&sweep.trial(of)?) == accepted(row)
        }
        TrialState::Failed if sweep.trial(of)?.state == TrialState::Failed => false,
        TrialState::Pending | TrialState::Backoff { .. } => {
            if !sweep.is_resolved(key) || sweep.row().control == Control::Stopped {
                return None;
            }
            false
        }
        _ => return None,
    };
    let own = row.state.accepted().is_some() && !has_result;
    (!own).then_some(Reason::Twin { of, has_result })
}

fn paused(sweep: &SweepState) -> impl Iterator<Item = Reason> + use<> {
    (sweep.row().control == Control::Paused)
        .then_some(Reason::Paused)
        .into_iter()
}

fn held(state: &State, sweep: &SweepState, key: TrialKey, holder: (Fence, WorkerId)) -> Vec<Reason> {
    let (fence, worker) = holder;
    let Some(Lease {
        row,
        expires,
        suspect,
        ..
    }) = state.lease(fence)
    else {
        return Vec::new();
    };
    let held = Reason::Held {
        fence,
        worker,
        host: row.provenance.host.clone(),
        slot: row.slot,
        since: row.given_at,
        together: row.trials.len() as u32,
        epochs: sweep.live(key).map_or(0, |curve| curve.epochs()),
        of: sweep.sweep().epochs(key.stage),
    };
    let suspected = expires
        .filter(|_| *suspect)
        .map(|until| Reason::Suspect { until });
    std::iter::once(held).chain(suspected).collect()
}

fn waits(state: &State, sweep: &SweepState, key: TrialKey, now: Millis) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = paused(sweep).collect();
    let choices = sweep.awaited(key).into_iter();
    reasons.extend(choices.map(|(choice, open)| Reason::Choice { choice, open }));
    if !sweep.is_resolved(key) || sweep.sweep().is_twin(key) {
        return reasons;
    }
    let required = sweep.sweep().required_device();
    let slots = Slots::of(state, required, now);
    reasons.extend(slots.missing(required));
    if let Some(row) = sweep.touched_trial(key) {
        if row.failures > 0 {
            reasons.push(Reason::Alone {
                failures: row.failures,
                limit: state.settings().failure_limit,
            });
        }
        if row.pack_limit > 0 {
            reasons.push(Reason::PackLimit {
                trials: row.pack_limit,
            });
        }
    }
    let fits = |other: &DeviceKind| required.is_none_or(|required| required == *other);
    let others = state.unfinished_sweeps().filter(|other| {
        other.row().id != sweep.row().id
            && other.row().control == Control::Active
            && other.sweep().required_device().as_ref().is_none_or(fits)
            && other.next_trial().is_some()
    });
    let sweeps = others.count() as u64;
    if sweeps > 0 && sweep.row().control == Control::Active {
        reasons.push(Reason::Sharing { sweeps });
    }
    match sweep.before(key) {
        0 if slots.willing > 0 => reasons.push(Reason::Next {
            slots: slots.slots,
            busy: slots.busy,
        }),
        0 => {}
        trials => reasons.push(Reason::Behind { trials }),
    }
    reasons
}

/// Workers that could train a sweep, and their slots.
#[derive(Default)]
struct Slots {
    /// Workers heard of by this process, whatever they have.
    workers: u32,
    /// Those with such a device that take trials.
    willing: u32,
    quarantined: u32,
    draining: u32,
    silent: u32,
    /// Slots of the willing.
    slots: u64,
    busy: u64,
}

impl Slots {
    fn of(state: &State, required: Option<DeviceKind>, now: Millis) -> Self {
        let fits = |kind: DeviceKind| required.is_none_or(|required| required == kind);
        let term = state.settings().lease_term;
        let mut found = Self::default();
        let willing = |worker: &Worker| !worker.row.draining && !worker.is_quarantined(now);
        let heard = |seen: Millis| now.saturating_sub(seen) <= term;
        for worker in state.workers() {
            let Some(seen) = worker.seen else { continue };
            found.workers += u32::from(heard(seen));
            let slots = worker.row.slots.iter().filter(|slot| fits(slot.kind)).count() as u64;
            match () {
                () if slots == 0 => {}
                () if !heard(seen) => found.silent += 1,
                () if worker.row.draining => found.draining += 1,
                () if worker.is_quarantined(now) => found.quarantined += 1,
                () => {
                    found.willing += 1;
                    found.slots += slots;
                }
            }
        }
        let busy = state.leases().filter(|lease| {
            let worker = state.worker(lease.row.worker);
            worker.is_some_and(|worker| {
                let slot = worker.row.slots.get(lease.row.slot as usize);
                worker.seen.is_some_and(heard) && willing(worker) && slot.is_some_and(|slot| fits(slot.kind))
            })
        });
        found.busy = busy.count() as u64;
        found
    }

    /// What is wrong with the workers, if none takes such trials.
    fn missing(&self, required: Option<DeviceKind>) -> Option<Reason> {
        let unwilling = self.quarantined + self.draining + self.silent;
        match required {
            _ if self.willing > 0 => None,
            _ if unwilling > 0 => Some(Reason::Unwilling {
                quarantined: self.quarantined,
                draining: self.draining,
                silent: self.silent,
            }),
            Some(required) if self.workers > 0 => Some(Reason::NoDevice { required }),
            _ => Some(Reason::NoWorker),
        }
    }
}
