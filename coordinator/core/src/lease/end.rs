//! How attempts end, and what becomes of their trials.

use tenfold_types::{Outcome, TrialKey};

use super::attempt::{Ending, ended_attempt};
use super::quarantine::Streak;
use crate::Millis;
use crate::input::{End, Refusal};
use crate::record::{Control, LeaseRow, Record, TrialRow};
use crate::state::{State, SweepState};
use crate::trial::TrialState;

/// Whether an end fits the epochs that are there.
pub(super) fn check(key: TrialKey, end: &End, of_sweep: u32, have: u32) -> Result<(), Refusal> {
    let wanted = match &end.outcome {
        Outcome::Succeeded => of_sweep,
        Outcome::Diverged { epoch } => epoch.saturating_sub(1),
        Outcome::Failed { .. } | Outcome::Released | Outcome::Lost { .. } => return Ok(()),
    };
    let impossible = matches!(end.outcome, Outcome::Diverged { epoch } if epoch == 0 || epoch > of_sweep);
    if impossible || wanted != have || end.epochs != have {
        return Err(Refusal::IncompleteCurve {
            key,
            claimed: end.epochs,
            have,
            wanted,
        });
    }
    Ok(())
}

/// Attempts of a lease end.
pub(super) struct Ended<'a> {
    pub(super) state: &'a State,
    pub(super) sweep: &'a SweepState,
    pub(super) lease: &'a LeaseRow,
    pub(super) now: Millis,
}

impl Ended<'_> {
    /// `said` is what people are told instead of the outcome's own words.
    pub(super) fn trial(
        &self,
        mut row: TrialRow,
        mut end: End,
        said: Option<&str>,
        streak: Option<&mut Streak<'_>>,
        records: &mut Vec<Record>,
    ) {
        let fence = self.lease.fence;
        if let Outcome::Lost { together, .. } = &mut end.outcome {
            // A worker's word: more than were leased cannot have been trained, and a lone trial must not go free for ever.
            let leased = u32::try_from(self.lease.trials.len()).unwrap_or(u32::MAX);
            *together = (*together).min(leased);
        }
        if let Some(streak) = streak {
            streak.count(row.id, &end.outcome);
        }
        let (words, error) = self.move_on(&mut row, end.outcome);
        if self.sweep.row().control == Control::Stopped
            && matches!(row.state, TrialState::Pending | TrialState::Backoff { .. })
        {
            row.state = TrialState::Cancelled;
        }
        if row.state.accepted().is_some() {
            row.accepted_at = Some(self.now);
        } else {
            records.push(Record::EpochsDropped { trial: row.id, fence });
            let ending = Ending {
                ended: said.unwrap_or(words).to_owned(),
                error,
                stderr: end.stderr,
            };
            let attempt = ended_attempt(self.lease, row.id, row.attempts, ending, self.now);
            records.push(Record::Attempt(attempt));
        }
        records.push(Record::Trial(row));
    }

    /// The trial's next state. How its attempt ended, in words, and what went wrong.
    fn move_on(&self, row: &mut TrialRow, outcome: Outcome) -> (&'static str, String) {
        let fence = self.lease.fence;
        let settings = self.state.settings();
        match outcome {
            Outcome::Succeeded => {
                row.state = TrialState::Succeeded {
                    fence,
                    epochs: self.sweep.sweep().epochs(row.id.key.stage),
                };
                ("succeeded", String::new())
            }
            Outcome::Diverged { epoch } => {
                row.state = TrialState::Diverged { fence, epoch };
                ("diverged", String::new())
            }
            Outcome::Lost { error, together } if together > 1 => {
                // Half of those that were trained together, so that the one to blame is soon found by itself.
                let half = together.div_ceil(2);
                row.pack_limit = match row.pack_limit {
                    0 => half,
                    limit => limit.min(half),
                };
                row.state = TrialState::Pending;
                ("lost with its trainer", error)
            }
            Outcome::Failed { error } | Outcome::Lost { error, .. } => {
                row.error = Some(error.clone());
                row.failures += 1;
                row.state = if row.failures >= settings.failure_limit {
                    TrialState::Failed
                } else {
                    let doubled = settings
                        .backoff_base
                        .saturating_mul(1 << (row.failures - 1).min(32));
                    TrialState::Backoff {
                        until: self.now + doubled.min(settings.backoff_cap),
                    }
                };
                ("failed", error)
            }
            Outcome::Released => {
                row.state = TrialState::Pending;
                ("released by its worker", String::new())
            }
        }
    }
}
