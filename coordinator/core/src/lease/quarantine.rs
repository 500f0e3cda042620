//! Workers on which everything fails.
//!
//! One that fails quickly, lease after lease, while others are there that could do the work, gets none for a while, and
//! what it failed at is not charged to the trials. Where it is the only one, the trials are charged: nothing then tells
//! a bad node from a bad sweep, and a bad sweep must come to its end.

use tenfold_types::{Outcome, TrialId};

use crate::Millis;
use crate::record::{Control, QuickFailure, Record, TrialRow};
use crate::state::{Lease, State};
use crate::trial::TrialState;

/// Quick failures in a row, each of another lease.
const STREAK: usize = 5;
/// An attempt that fails within so long of its lease, in milliseconds, failed quickly.
const QUICK: Millis = 60_000;
/// How long a worker gets no trials, in milliseconds.
const QUARANTINE: Millis = 600_000;

/// The quick failures of a worker, as an append adds to them or ends them.
pub(super) struct Streak<'a> {
    state: &'a State,
    lease: &'a Lease,
    before: &'a [QuickFailure],
    new: Option<QuickFailure>,
    went_well: bool,
}

impl<'a> Streak<'a> {
    /// That of a lease's worker.
    pub(super) fn of(state: &'a State, lease: &'a Lease) -> Self {
        let worker = state.worker(lease.row.worker);
        Self {
            state,
            lease,
            before: worker.map_or(&[], |worker| &worker.failures),
            new: None,
            went_well: false,
        }
    }

    /// An attempt of the lease ends so.
    pub(super) fn count(&mut self, trial: TrialId, outcome: &Outcome) {
        match outcome {
            Outcome::Succeeded | Outcome::Diverged { .. } => self.went_well = true,
            Outcome::Failed { .. } | Outcome::Lost { .. } => {
                self.new.get_or_insert(QuickFailure {
                    trial,
                    fence: self.lease.row.fence,
                    charged: !matches!(outcome, Outcome::Lost { together: 2.., .. }),
                });
            }
            Outcome::Released => {}
        }
    }

    /// Notes what the append has shown; a streak that is too long puts the worker into quarantine and takes its charges
    /// back.
    pub(super) fn judge(self, now: Millis, records: &mut Vec<Record>) {
        let worker = self.lease.row.worker;
        let health = |failures, quarantined| Record::Health {
            worker,
            failures,
            quarantined,
        };
        if self.went_well {
            if !self.before.is_empty() {
                records.push(health(Vec::new(), None));
            }
            return;
        }
        let quick = now.saturating_sub(self.lease.row.given_at) < QUICK;
        let Some(new) = self.new.filter(|_| quick) else {
            return;
        };
        if self.before.iter().any(|failure| failure.fence == new.fence) {
            return;
        }
        let failures: Vec<QuickFailure> = self.before.iter().copied().chain([new]).collect();
        if failures.len() < STREAK || !self.others_could(now) {
            let from = failures.len().saturating_sub(STREAK);
            records.push(health(failures[from..].to_vec(), None));
            return;
        }
        for failure in failures.iter().filter(|failure| failure.charged) {
            records.extend(self.uncharged(failure.trial, records).map(Record::Trial));
        }
        records.push(health(Vec::new(), Some(now + QUARANTINE)));
    }

    /// Whether another worker lives that has such a device and is not in quarantine.
    fn others_could(&self, now: Millis) -> bool {
        let kind_of = |id| {
            let worker = self.state.worker(id)?;
            Some(worker.row.slots.get(self.lease.row.slot as usize)?.kind)
        };
        let kind = kind_of(self.lease.row.worker);
        let term = self.state.settings().lease_term;
        self.state.workers().any(|other| {
            other.row.id != self.lease.row.worker
                && other.seen.is_some_and(|seen| now.saturating_sub(seen) <= term)
                && !other.is_quarantined(now)
                && !other.row.draining
                && other.row.slots.iter().any(|slot| Some(slot.kind) == kind)
        })
    }

    /// The trial with a charge less, as of these records.
    fn uncharged(&self, trial: TrialId, records: &[Record]) -> Option<TrialRow> {
        let sweep = self.state.sweep(trial.sweep)?;
        let newest = records.iter().rev().find_map(|record| match record {
            Record::Trial(row) if row.id == trial => Some(row.clone()),
            _ => None,
        });
        let mut row = newest.or_else(|| sweep.trial(trial.key))?;
        row.failures = row.failures.checked_sub(1)?;
        match row.state {
            TrialState::Succeeded { .. } | TrialState::Diverged { .. } | TrialState::Cancelled => {
                return None;
            }
            TrialState::Failed if sweep.row().control == Control::Stopped => return None,
            TrialState::Failed | TrialState::Backoff { .. } => row.state = TrialState::Pending,
            TrialState::Pending | TrialState::Leased { .. } | TrialState::Running { .. } => {}
        }
        Some(row)
    }
}
