//! Which trials a worker gets.

use tenfold_types::{DeviceKind, Fence, RequestId, SweepId, TrialKey, WorkerId};

use crate::Millis;
use crate::input::{Answer, Grant, Refusal, Transition};
use crate::record::{AttemptRow, Control, Counters, LeaseRow, Record};
use crate::state::{Lease, State, SweepState};
use crate::trial::TrialState;

/// Idempotent while the lease lives: the same request finds the lease it got, so a lost answer leaks nothing.
pub(crate) fn acquire(
    state: &State,
    worker: WorkerId,
    request: RequestId,
    slot: u32,
    max_trials: u32,
    now: Millis,
) -> Transition {
    let Some(known) = state.worker(worker) else {
        return Transition::refuse(Refusal::UnknownWorker(worker));
    };
    let Some(device) = known.row.slots.get(slot as usize) else {
        return Transition::refuse(Refusal::UnknownSlot {
            worker,
            slot,
            slots: known.row.slots.len(),
        });
    };
    if max_trials == 0 {
        return Transition::refuse(Refusal::EmptyPack);
    }
    let seen = Record::Seen { worker, at: now };
    let expires = now + state.settings().lease_term;
    if let Some(lease) = state.lease_of_request(worker, request) {
        let renewed = Record::Renewed {
            fence: lease.row.fence,
            expires,
        };
        return Transition::answer(regrant(state, lease)).with(vec![seen, renewed]);
    }
    let Some(sweep) = fairest(state, device.kind) else {
        return Transition::answer(Answer::Idle).with(vec![seen]);
    };
    let keys = pack(sweep, max_trials);
    let id = sweep.row().id;
    let fence = Fence(state.counters().fence + 1);
    let mut records = vec![
        seen,
        Record::Counters(Counters {
            fence: fence.0,
            ..state.counters()
        }),
    ];
    let mut granted = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(spec) = sweep.sweep().spec(key.index, key.repetition) else {
            continue;
        };
        let mut row = sweep.row_of(key);
        row.state = TrialState::Leased { fence, worker };
        row.attempts += 1;
        records.push(Record::Attempt(AttemptRow {
            trial: row.id,
            number: row.attempts,
            fence,
            worker,
            host: known.row.host.clone(),
            device: device.device.clone(),
            threads: device.threads,
            version: known.row.version.clone(),
            libtorch: known.row.libtorch.clone(),
            started_at: now,
            ended_at: None,
            ended: String::new(),
            error: String::new(),
            stderr: String::new(),
        }));
        granted.push((key, row.attempts, spec));
        records.push(Record::Trial(row));
    }
    records.push(Record::Lease(LeaseRow {
        fence,
        worker,
        request,
        slot,
        given_at: now,
        sweep: id,
        trials: granted.iter().map(|(key, attempt, _)| (*key, *attempt)).collect(),
    }));
    records.push(Record::Renewed { fence, expires });
    Transition::answer(Answer::Leased(Grant {
        fence,
        sweep: id,
        trials: granted,
    }))
    .with(records)
}

/// The sweep whose turn it is: of those with work for such a device, the one with the fewest trials held, and of
/// several such the one submitted first. So sweeps that run at once share the slots, and none starves.
fn fairest(state: &State, kind: DeviceKind) -> Option<&SweepState> {
    state
        .unfinished_sweeps()
        .filter(|sweep| sweep.row().control == Control::Active)
        .filter(|sweep| {
            sweep
                .sweep()
                .required_device()
                .is_none_or(|required| required == kind)
        })
        .filter(|sweep| sweep.next_trial().is_some())
        .min_by_key(|sweep| (sweep.held(), sweep.row().number))
}

/// The next trials in order of work: repetition 0 of every point comes before repetition 1 of any, so that a look
/// after a tenth of the time shows the whole grid.
fn pack(sweep: &SweepState, max_trials: u32) -> Vec<TrialKey> {
    // Trainers train one trial at a time so far; a pack of several would only delay the others.
    let size = max_trials.min(1) as usize;
    std::iter::successors(sweep.next_trial(), |key| sweep.next_trial_after(*key))
        .take(size)
        .collect()
}

fn regrant(state: &State, lease: &Lease) -> Answer {
    let id: SweepId = lease.row.sweep;
    let trials = state.sweep(id).map_or_else(Vec::new, |sweep| {
        sweep
            .held_by(lease.row.fence, &lease.row)
            .filter_map(|key| {
                let attempt = lease.row.trials.iter().find(|(held, _)| *held == key)?.1;
                Some((key, attempt, sweep.sweep().spec(key.index, key.repetition)?))
            })
            .collect()
    });
    Answer::Leased(Grant {
        fence: lease.row.fence,
        sweep: id,
        trials,
    })
}
