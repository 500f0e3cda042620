//! Workers: they register, are heard of, and are told to go.

use std::collections::BTreeSet;

use tenfold_types::{Fence, TrialKey, WorkerId};

use crate::Millis;
use crate::input::{Answer, Refusal, Transition};
use crate::record::{Record, WorkerRow};
use crate::state::State;
use crate::trial::TrialState;

/// The most workers that are known at a time.
const MAX_WORKERS: usize = 10_000;
/// One not heard of for so long, in milliseconds, makes room for another.
const FORGET_AFTER: Millis = 60_000;

/// Every start of an agent is a worker of its own, so those that went away are forgotten when there are many.
pub(crate) fn register(state: &State, mut row: WorkerRow, now: Millis) -> Transition {
    let mut records = Vec::new();
    let known = state.worker(row.id);
    if known.is_none() && state.workers().len() >= MAX_WORKERS {
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
    row.draining = known.is_some_and(|known| known.row.draining);
    // After a restart of the coordinator all register again, most of them as they are known.
    if known.is_none_or(|known| known.row != row) {
        records.push(Record::Worker(row));
    }
    records.push(seen);
    Transition::answer(Answer::Registered).with(records)
}

/// A heartbeat renews the leases it names that are this worker's, and says which of the others are over.
pub(crate) fn heartbeat(state: &State, worker: WorkerId, fences: &[Fence], now: Millis) -> Transition {
    let Some(known) = state.worker(worker) else {
        return Transition::refuse(Refusal::UnknownWorker(worker));
    };
    let expires = now + state.settings().lease_term;
    let mut records = vec![Record::Seen { worker, at: now }];
    let (mut stale, mut cancelled) = (Vec::new(), Vec::new());
    for fence in fences.iter().copied().collect::<BTreeSet<_>>() {
        match state.lease(fence).filter(|lease| lease.row.worker == worker) {
            None => stale.push(fence),
            Some(lease) => {
                records.push(Record::Renewed { fence, expires });
                // Most hold all their trials: nothing of them was cancelled.
                if let Some(sweep) = state.sweep(lease.row.sweep)
                    && lease.held() < lease.row.trials.len() as u64
                {
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
    let drain = known.row.draining;
    Transition::answer(Answer::Heard {
        stale,
        cancelled,
        drain,
    })
    .with(records)
}

/// The worker hears of it from its next heartbeat.
pub(crate) fn drain(state: &State, worker: WorkerId) -> Transition {
    let Some(known) = state.worker(worker) else {
        return Transition::refuse(Refusal::UnknownWorker(worker));
    };
    let mut records = Vec::new();
    if !known.row.draining {
        records.push(Record::Worker(WorkerRow {
            draining: true,
            ..known.row.clone()
        }));
    }
    Transition::answer(Answer::Draining).with(records)
}
