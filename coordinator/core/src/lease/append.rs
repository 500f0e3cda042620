//! What workers report of their trials: epochs, and how they ended.

use std::collections::BTreeSet;

use tenfold_types::{Block, Curve, Fence, Metric, SweepId, TrialKey, WorkerId};

use super::attempt::{Attempt, attempt};
use super::end::{self, Ended};
use super::expiry::returns_work;
use super::quarantine::Streak;
use crate::Millis;
use crate::input::{Acknowledgement, Answer, Refusal, Standing, Transition, TrialReport};
use crate::record::{EpochsRow, Record, TrialRow};
use crate::state::{Lease, State, SweepState};
use crate::trial::TrialState;

/// The most metrics that a refusal names.
const NAMED: usize = 8;

/// Idempotent: epochs that are there already are compared and acknowledged again, and only the rest is written; an end
/// that was accepted is acknowledged again, and so is any while the lease goes on for others. Each trial is answered by
/// itself: one that is refused harms no other.
pub(crate) fn append(
    state: &State,
    worker: WorkerId,
    id: SweepId,
    fence: Fence,
    trials: Vec<TrialReport>,
    now: Millis,
) -> Transition {
    let Some(sweep) = state.sweep(id) else {
        return Transition::refuse(Refusal::UnknownSweep(id));
    };
    let lease = state
        .lease(fence)
        .filter(|lease| lease.row.worker == worker && lease.row.sweep == id);
    // With no trial to look at, the fence is all that the write names.
    if trials.is_empty() && lease.is_none() {
        return Transition::refuse(Refusal::StaleFence(fence));
    }
    let mut named = BTreeSet::new();
    if let Some(twice) = trials.iter().find(|trial| !named.insert(trial.key)) {
        return Transition::refuse(Refusal::Malformed {
            key: twice.key,
            what: "the trial is named twice in one append; name it once, with all its blocks".to_owned(),
        });
    }
    let mut report = Report {
        state,
        sweep,
        lease,
        fence,
        now,
        records: Vec::with_capacity(2 * trials.len() + 3),
        streak: lease.map(|lease| Streak::of(state, lease)),
        ended: 0,
    };
    let mut acknowledgements = Vec::with_capacity(trials.len());
    for trial in trials {
        match report.trial(trial) {
            Ok(acknowledgement) => acknowledgements.push(acknowledgement),
            Err(refusal) => return Transition::refuse(refusal),
        }
    }
    let mut records = report.records;
    if let Some(lease) = lease {
        if report.ended == lease.held() {
            records.push(Record::LeaseClosed(fence));
        } else {
            let expires = now + state.settings().lease_term;
            records.push(Record::Renewed { fence, expires });
        }
        records.push(Record::Seen { worker, at: now });
    }
    if let Some(streak) = report.streak {
        streak.judge(now, &mut records);
    }
    let free = returns_work(&records);
    Transition::answer(Answer::Acknowledged(acknowledgements))
        .with(records)
        .and_work(free)
}

/// An append on its way through its trials.
struct Report<'a> {
    state: &'a State,
    sweep: &'a SweepState,
    lease: Option<&'a Lease>,
    fence: Fence,
    now: Millis,
    records: Vec<Record>,
    streak: Option<Streak<'a>>,
    /// Trials that the lease holds no more.
    ended: u64,
}

impl Report<'_> {
    /// An error refuses the whole append.
    fn trial(&mut self, trial: TrialReport) -> Result<Acknowledgement, Refusal> {
        let key = trial.key;
        let said = |epochs, standing| Ok(Acknowledgement { epochs, standing });
        let row = match attempt(self.lease, self.sweep, self.fence, key, trial.attempt) {
            Ok(Attempt::Held(row)) => row,
            Ok(Attempt::Accepted(epochs)) => return said(epochs, Standing::Ended),
            Ok(Attempt::GivenUp) => return said(0, Standing::Cancelled),
            Err(stale @ Refusal::StaleFence(_)) => return Err(stale),
            Err(refusal) => return said(0, Standing::Refused(refusal)),
        };
        let nothing = Curve::default();
        let live = self.sweep.live(key).unwrap_or(&nothing);
        let new = match new_epochs(key, trial.blocks, live, self.sweep.sweep().epochs(key.stage)) {
            Ok(new) => new,
            Err(refusal) => return said(live.epochs(), Standing::Refused(refusal)),
        };
        let epochs = new.as_ref().map_or(live.epochs(), Block::last);
        let fate = trial.end.as_ref().map_or(Ok(()), |end| {
            end::check(key, end, self.sweep.sweep().epochs(key.stage), epochs)
        });
        if let Some(block) = new {
            if trial.end.is_none()
                && let TrialState::Leased { fence, worker } = row.state
            {
                self.records.push(Record::Trial(TrialRow {
                    state: TrialState::Running { fence, worker },
                    ..row.clone()
                }));
            }
            self.records.push(Record::Epochs(EpochsRow {
                trial: row.id,
                fence: self.fence,
                attempt: trial.attempt,
                block,
            }));
        }
        if let Err(refusal) = fate {
            return said(epochs, Standing::Refused(refusal));
        }
        let (Some(end), Some(lease)) = (trial.end, self.lease) else {
            return said(epochs, Standing::Going);
        };
        self.ended += 1;
        let ended = Ended {
            state: self.state,
            sweep: self.sweep,
            lease: &lease.row,
            now: self.now,
        };
        ended.trial(row, end, None, self.streak.as_mut(), &mut self.records);
        said(epochs, Standing::Ended)
    }
}

/// Of these blocks what is not there yet, as one; what is there must be what it was.
fn new_epochs(
    key: TrialKey,
    blocks: Vec<Block>,
    live: &Curve,
    epochs: u32,
) -> Result<Option<Block>, Refusal> {
    let mut new: Option<Block> = None;
    for block in blocks {
        check(key, &block, &live.metrics, epochs)?;
        compare(key, &block, live)?;
        let fresh = if block.first > live.epochs() {
            block
        } else {
            match block.from_epoch(live.epochs() + 1) {
                Some(fresh) => fresh,
                None => continue,
            }
        };
        let expected = new.as_ref().map_or(live.epochs(), Block::last) + 1;
        let got = fresh.first;
        let joined = match &mut new {
            _ if got != expected => false,
            None => {
                new = Some(fresh);
                true
            }
            Some(before) => before.join(&fresh),
        };
        if !joined {
            return Err(Refusal::Gap { key, got, expected });
        }
    }
    Ok(new)
}

fn check(key: TrialKey, block: &Block, metrics: &[Metric], epochs: u32) -> Result<(), Refusal> {
    let malformed = |what| Err(Refusal::Malformed { key, what });
    if !block.is_well_formed(metrics.len()) {
        let names: Vec<_> = metrics.iter().take(NAMED).map(|metric| metric.name()).collect();
        let others = if metrics.len() > NAMED { ", …" } else { "" };
        return malformed(format!(
            "a block of {} epochs from {} has {} values and {} times; {} values ({}{others}) and one time an epoch are \
             right, and epochs count from 1",
            block.epochs,
            block.first,
            block.columns.len(),
            block.seconds.len(),
            metrics.len(),
            names.join(", "),
        ));
    }
    if block.last() > epochs {
        return malformed(format!(
            "epoch {} came, but the sweep trains {epochs}",
            block.last()
        ));
    }
    if let Some(value) = block
        .columns
        .iter()
        .chain(&block.seconds)
        .find(|value| !value.is_finite())
    {
        return malformed(format!(
            "a value is {value}; a diverged epoch is no part of the curve"
        ));
    }
    Ok(())
}

/// What came again must be what it was, to the bit.
fn compare(key: TrialKey, block: &Block, live: &Curve) -> Result<(), Refusal> {
    for epoch in block.first..=block.last().min(live.epochs()) {
        for (metric, column) in live.columns.iter().enumerate() {
            if column[epoch as usize - 1].to_bits() != block.value(metric, epoch).to_bits() {
                return Err(Refusal::Differs { key, epoch });
            }
        }
    }
    Ok(())
}
