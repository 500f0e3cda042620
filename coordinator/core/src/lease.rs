//! Workers and their leases: registration, epochs, ends of trials, heartbeats, expiry.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_types::{Block, Curve, Fence, Outcome, SweepId, TrialId, TrialKey, WorkerId};

use crate::Millis;
use crate::input::{Acknowledgement, Answer, Finish, Refusal, Transition, TrialEpochs};
use crate::record::{AttemptRow, Control, EpochsRow, LeaseRow, Record, TrialRow, WorkerRow};
use crate::state::{State, SweepState};
use crate::trial::TrialState;

/// The most workers that are known at a time.
const MAX_WORKERS: usize = 10_000;
/// One not heard of for so long, in milliseconds, makes room for another.
const FORGET_AFTER: Millis = 60_000;

/// Every start of an agent is a worker of its own, so those that went away are forgotten when there are many.
pub(crate) fn register(state: &State, row: WorkerRow, now: Millis) -> Transition {
    let mut records = Vec::new();
    if state.worker(row.id).is_none() && state.workers().len() >= MAX_WORKERS {
        let held: BTreeSet<WorkerId> = state.leases().map(|lease| lease.row.worker).collect();
        let gone = state.workers().filter(|worker| {
            let silent = worker
                .seen
                .is_none_or(|seen| now.saturating_sub(seen) >= FORGET_AFTER);
            silent && !held.contains(&worker.row.id)
        });
        records.extend(gone.map(|worker| Record::WorkerGone(worker.row.id)));
        if records.is_empty() {
            return Transition::refuse(Refusal::TooManyWorkers(MAX_WORKERS));
        }
    }
    let seen = Record::Seen {
        worker: row.id,
        at: now,
    };
    records.extend([Record::Worker(row), seen]);
    Transition::answer(Answer::Registered).with(records)
}

/// A heartbeat renews the leases it names that are this worker's, and says which of the others are over.
pub(crate) fn heartbeat(state: &State, worker: WorkerId, fences: &[Fence], now: Millis) -> Transition {
    if state.worker(worker).is_none() {
        return Transition::refuse(Refusal::UnknownWorker(worker));
    }
    let expires = now + state.settings().lease_term;
    let mut records = vec![Record::Seen { worker, at: now }];
    let (mut stale, mut cancelled) = (Vec::new(), Vec::new());
    for fence in fences.iter().copied().collect::<BTreeSet<_>>() {
        match state.lease(fence).filter(|lease| lease.row.worker == worker) {
            None => stale.push(fence),
            Some(lease) => {
                records.push(Record::Renewed { fence, expires });
                if let Some(sweep) = state.sweep(lease.row.sweep) {
                    let gone = |key: &TrialKey| {
                        sweep
                            .trial(*key)
                            .is_some_and(|trial| matches!(trial.state, TrialState::Cancelled))
                    };
                    let keys = lease.row.trials.iter().map(|(key, _)| *key);
                    cancelled.extend(keys.filter(gone).map(|key| (fence, key)));
                }
            }
        }
    }
    Transition::answer(Answer::Heard { stale, cancelled }).with(records)
}

/// Idempotent: epochs that are there already are compared and acknowledged again, and only the rest is written.
pub(crate) fn append(
    state: &State,
    worker: WorkerId,
    id: SweepId,
    fence: Fence,
    trials: &[TrialEpochs],
) -> Transition {
    let Some(sweep) = state.sweep(id) else {
        return Transition::refuse(Refusal::UnknownSweep(id));
    };
    // With no trial to look at, the fence is all that the write names.
    let current = state
        .lease(fence)
        .is_some_and(|lease| lease.row.worker == worker && lease.row.sweep == id);
    if trials.is_empty() && !current {
        return Transition::refuse(Refusal::StaleFence(fence));
    }
    let mut records = Vec::new();
    let mut acknowledgements = Vec::with_capacity(trials.len());
    let mut named = BTreeSet::new();
    for trial in trials {
        if !named.insert(trial.key) {
            let what = "the trial is named twice in one append; name it once with all its blocks".to_owned();
            return Transition::refuse(Refusal::Malformed { key: trial.key, what });
        }
        match append_trial(state, sweep, worker, fence, trial, &mut records) {
            Ok(acknowledgement) => acknowledgements.push(acknowledgement),
            // All or nothing: the worker sends everything again that was not acknowledged.
            Err(refusal) => return Transition::refuse(refusal),
        }
    }
    Transition::answer(Answer::Acknowledged(acknowledgements)).with(records)
}

fn append_trial(
    state: &State,
    sweep: &SweepState,
    worker: WorkerId,
    fence: Fence,
    trial: &TrialEpochs,
    records: &mut Vec<Record>,
) -> Result<Acknowledgement, Refusal> {
    let key = trial.key;
    let row = match attempt(state, sweep, worker, fence, key, trial.attempt)? {
        Attempt::Held(row) => row,
        Attempt::Accepted(row) => {
            return Ok(Acknowledgement {
                epochs: row.state.accepted_epochs(),
                cancelled: false,
            });
        }
        Attempt::GivenUp => {
            return Ok(Acknowledgement {
                epochs: 0,
                cancelled: true,
            });
        }
    };
    let nothing = Curve::default();
    let live = sweep.live(key).unwrap_or(&nothing);
    let mut new: Option<Block> = None;
    for block in &trial.blocks {
        check(key, block, live.metrics.len(), sweep.sweep().epochs())?;
        compare(key, block, live)?;
        let Some(fresh) = block.from_epoch(live.epochs() + 1) else {
            continue;
        };
        let expected = new.as_ref().map_or(live.epochs(), Block::last) + 1;
        match &mut new {
            _ if fresh.first != expected => {
                return Err(Refusal::Gap {
                    key,
                    got: fresh.first,
                    expected,
                });
            }
            None => new = Some(fresh),
            Some(joined) => {
                if !joined.join(&fresh) {
                    return Err(Refusal::Gap {
                        key,
                        got: fresh.first,
                        expected,
                    });
                }
            }
        }
    }
    let mut epochs = live.epochs();
    if let Some(block) = new {
        epochs = block.last();
        if matches!(row.state, TrialState::Leased { .. }) {
            records.push(Record::Trial(TrialRow {
                state: TrialState::Running { fence, worker },
                ..row.clone()
            }));
        }
        records.push(Record::Epochs(EpochsRow {
            trial: row.id,
            fence,
            attempt: trial.attempt,
            block,
        }));
    }
    Ok(Acknowledgement {
        epochs,
        cancelled: false,
    })
}

fn check(key: TrialKey, block: &Block, metrics: usize, epochs: u32) -> Result<(), Refusal> {
    let malformed = |what| Err(Refusal::Malformed { key, what });
    if !block.is_well_formed(metrics) {
        return malformed(format!(
            "a block of {} epochs from {} has {} values and {} times; {metrics} values and one time an epoch are \
             right, and epochs count from 1",
            block.epochs,
            block.first,
            block.columns.len(),
            block.seconds.len(),
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

enum Attempt<'a> {
    /// The lease holds the trial.
    Held(&'a TrialRow),
    /// This attempt was accepted as the trial's result.
    Accepted(&'a TrialRow),
    /// The attempt ended without a result, or was cancelled, while the lease goes on for others: what comes late of it
    /// is of no use, and no reason to refuse what comes of them.
    GivenUp,
}

/// What a write that names (trial, attempt, fence) refers to; anything not current is stale.
fn attempt<'a>(
    state: &State,
    sweep: &'a SweepState,
    worker: WorkerId,
    fence: Fence,
    key: TrialKey,
    number: u32,
) -> Result<Attempt<'a>, Refusal> {
    let row = sweep.trial(key);
    if let Some(row) = row.filter(|row| row.state.accepted() == Some(fence) && row.attempts == number) {
        return Ok(Attempt::Accepted(row));
    }
    let lease = state.lease(fence).ok_or(Refusal::StaleFence(fence))?;
    if lease.row.worker != worker || lease.row.sweep != sweep.row().id {
        return Err(Refusal::StaleFence(fence));
    }
    let row = row
        .filter(|_| lease.row.trials.contains(&(key, number)))
        .ok_or(Refusal::UnknownAttempt {
            fence,
            key,
            attempt: number,
        })?;
    match row.state.holder() {
        Some((held, _)) if held == fence => Ok(Attempt::Held(row)),
        _ => Ok(Attempt::GivenUp),
    }
}

/// Idempotent for outcomes that were accepted, and for all while the lease goes on for others: said again, they are
/// answered as the first time.
pub(crate) fn finish(state: &State, finish: Finish, now: Millis) -> Transition {
    let Some(sweep) = state.sweep(finish.sweep) else {
        return Transition::refuse(Refusal::UnknownSweep(finish.sweep));
    };
    let row = match attempt(
        state,
        sweep,
        finish.worker,
        finish.fence,
        finish.key,
        finish.attempt,
    ) {
        Ok(Attempt::Held(row)) => row,
        Ok(Attempt::Accepted(_) | Attempt::GivenUp) => return Transition::answer(Answer::Finished),
        Err(refusal) => return Transition::refuse(refusal),
    };
    let have = sweep.live(finish.key).map_or(0, Curve::epochs);
    let wanted = match &finish.outcome {
        Outcome::Succeeded => Some(sweep.sweep().epochs()),
        Outcome::Diverged { epoch } => Some(epoch.saturating_sub(1)),
        Outcome::Failed { .. } | Outcome::Released => None,
    };
    let impossible =
        matches!(finish.outcome, Outcome::Diverged { epoch } if epoch == 0 || epoch > sweep.sweep().epochs());
    if let Some(wanted) = wanted.filter(|&wanted| impossible || wanted != have || finish.epochs != have) {
        let claimed = finish.epochs;
        return Transition::refuse(Refusal::IncompleteCurve {
            key: finish.key,
            claimed,
            have,
            wanted,
        });
    }
    let mut records = Vec::new();
    let (outcome, stderr) = (finish.outcome, finish.stderr);
    end_trial(
        state,
        sweep,
        finish.fence,
        row,
        End {
            outcome,
            stderr,
            said: None,
        },
        now,
        &mut records,
    );
    let Some(lease) = state.lease(finish.fence) else {
        return Transition::refuse(Refusal::StaleFence(finish.fence));
    };
    if sweep
        .held_by(finish.fence, &lease.row)
        .all(|key| key == finish.key)
    {
        records.push(Record::LeaseClosed(finish.fence));
    }
    let free = returns_work(&records);
    Transition::answer(Answer::Finished).with(records).and_work(free)
}

/// How an attempt ends, and what people are told of it.
struct End {
    outcome: Outcome,
    stderr: String,
    /// Instead of the outcome's own words.
    said: Option<&'static str>,
}

fn end_trial(
    state: &State,
    sweep: &SweepState,
    fence: Fence,
    row: &TrialRow,
    end: End,
    now: Millis,
    records: &mut Vec<Record>,
) {
    let settings = state.settings();
    let mut row = row.clone();
    let (mut ended, mut error) = (String::new(), String::new());
    row.state = match end.outcome {
        Outcome::Succeeded => {
            "succeeded".clone_into(&mut ended);
            TrialState::Succeeded {
                fence,
                epochs: sweep.sweep().epochs(),
            }
        }
        Outcome::Diverged { epoch } => {
            ended = format!("diverged in epoch {epoch}");
            TrialState::Diverged { fence, epoch }
        }
        Outcome::Failed { error: what } => {
            "failed".clone_into(&mut ended);
            error.clone_from(&what);
            row.error = Some(what);
            row.failures += 1;
            if row.failures >= settings.failure_limit {
                TrialState::Failed
            } else {
                let doubled = settings
                    .backoff_base
                    .saturating_mul(1 << (row.failures - 1).min(32));
                TrialState::Backoff {
                    until: now + doubled.min(settings.backoff_cap),
                }
            }
        }
        Outcome::Released => {
            "released by its worker".clone_into(&mut ended);
            TrialState::Pending
        }
    };
    let stopped = sweep.row().control == Control::Stopped;
    if stopped && matches!(row.state, TrialState::Pending | TrialState::Backoff { .. }) {
        row.state = TrialState::Cancelled;
    }
    if row.state.accepted().is_none() {
        records.push(Record::EpochsDropped { trial: row.id, fence });
    }
    if let Some(lease) = state.lease(fence) {
        let ended = end.said.map_or(ended, str::to_owned);
        let (trial, number) = (row.id, row.attempts);
        let ending = Ending {
            ended,
            error,
            stderr: end.stderr,
        };
        records.push(Record::Attempt(ended_attempt(
            state, &lease.row, trial, number, ending, now,
        )));
    }
    records.push(Record::Trial(row));
}

/// What an attempt's row says of its end.
#[derive(Default)]
pub(crate) struct Ending {
    pub(crate) ended: String,
    pub(crate) error: String,
    pub(crate) stderr: String,
}

/// The whole row of an attempt that ends now: what ran where is known from the lease and its worker.
pub(crate) fn ended_attempt(
    state: &State,
    lease: &LeaseRow,
    trial: TrialId,
    number: u32,
    ending: Ending,
    now: Millis,
) -> AttemptRow {
    let worker = state.worker(lease.worker).map(|worker| &worker.row);
    let slot = worker.and_then(|worker| worker.slots.get(lease.slot as usize));
    let of_worker =
        |text: fn(&WorkerRow) -> &String| worker.map_or_else(String::new, |row| text(row).clone());
    AttemptRow {
        trial,
        number,
        fence: lease.fence,
        worker: lease.worker,
        host: of_worker(|row| &row.host),
        device: slot.map_or_else(String::new, |slot| slot.device.clone()),
        threads: slot.map_or(0, |slot| slot.threads),
        version: of_worker(|row| &row.version),
        libtorch: of_worker(|row| &row.libtorch),
        started_at: lease.given_at,
        ended_at: Some(now),
        ended: ending.ended,
        error: ending.error,
        stderr: ending.stderr,
    }
}

/// Leases whose term is over give their trials back, charged to nobody; trials whose back-off is over wait again.
pub(crate) fn tick(state: &State, now: Millis) -> Transition {
    let mut records = Vec::new();
    for lease in state.expired(now) {
        if let Some(sweep) = state.sweep(lease.row.sweep) {
            for key in sweep.held_by(lease.row.fence, &lease.row) {
                if let Some(row) = sweep.trial(key) {
                    let end = End {
                        outcome: Outcome::Released,
                        stderr: String::new(),
                        said: Some("lease expired"),
                    };
                    end_trial(state, sweep, lease.row.fence, row, end, now, &mut records);
                }
            }
        }
        records.push(Record::LeaseClosed(lease.row.fence));
    }
    for sweep in state.unfinished_sweeps() {
        for key in sweep.rested(now) {
            if let Some(row) = sweep.trial(key) {
                records.push(Record::Trial(TrialRow {
                    state: TrialState::Pending,
                    ..row.clone()
                }));
            }
        }
    }
    let free = returns_work(&records);
    Transition::default().with(records).and_work(free)
}

/// Whether the records, taken together, leave a trial waiting that was not.
fn returns_work(records: &[Record]) -> bool {
    let mut last = BTreeMap::new();
    for record in records {
        if let Record::Trial(row) = record {
            last.insert(row.id, matches!(row.state, TrialState::Pending));
        }
    }
    last.values().any(|pending| *pending)
}
