//! What people ask: submit, pause, resume, stop, cancel, retry, delete.

use tenfold_types::{SweepId, TrialKey};

use crate::Millis;
use crate::choice;
use crate::input::{Answer, Order, Refusal, Transition};
use crate::lease::{Ending, ended_attempt};
use crate::record::{Control, Counters, Record, SweepRow, TrialRow};
use crate::state::{State, SweepState};
use crate::sweep::Sweep;
use crate::trial::TrialState;

/// Idempotent: the id is the hash of the text, so the same text finds the sweep that is there.
pub(crate) fn submit(state: &State, sweep: &Sweep, now: Millis) -> Transition {
    let id = sweep.id();
    if state.sweep(id).is_some() {
        return Transition::answer(Answer::Submitted {
            sweep: id,
            existing: true,
        });
    }
    if let Some(refused) = state.refused_sweep(id) {
        return Transition::refuse(refusal(id, &refused.why));
    }
    let counters = Counters {
        sweeps: state.counters().sweeps + 1,
        ..state.counters()
    };
    let row = SweepRow {
        id,
        number: counters.sweeps,
        name: sweep.name().to_owned(),
        normalised: sweep.normalised().to_owned(),
        submitted_at: now,
        finished_at: None,
        control: Control::Active,
    };
    Transition::answer(Answer::Submitted {
        sweep: id,
        existing: false,
    })
    .with(vec![Record::Counters(counters), Record::Sweep(row)])
    .and_work(true)
}

pub(crate) fn order(state: &State, id: SweepId, order: Order, now: Millis) -> Transition {
    let Some(sweep) = state.sweep(id) else {
        return Transition::refuse(match state.refused_sweep(id) {
            Some(refused) => refusal(id, &refused.why),
            None => Refusal::UnknownSweep(id),
        });
    };
    let row = sweep.row();
    let over = row.finished_at.is_some();
    let refuse = |state, hint| {
        Transition::refuse(Refusal::NotNow {
            sweep: id,
            state,
            hint,
        })
    };
    let mut records = Vec::new();
    match order {
        Order::Pause if over => return refuse("over", "there is nothing to pause"),
        Order::Pause if row.control == Control::Stopped => {
            return refuse("stopped", "what runs is being finished; resume it first");
        }
        Order::Pause => set_control(sweep, Control::Paused, &mut records),
        Order::Resume => {
            if row.control == Control::Stopped {
                retry(sweep, false, true, &mut records);
            }
            set_control(sweep, Control::Active, &mut records);
        }
        Order::Stop | Order::Cancel if over => {}
        Order::Stop => {
            cancel(sweep, sweep.waiting(), &mut records);
            set_control(sweep, Control::Stopped, &mut records);
        }
        Order::Cancel => {
            cancel(sweep, sweep.waiting(), &mut records);
            for lease in state.leases().filter(|lease| lease.row.sweep == id) {
                let fence = lease.row.fence;
                for trial in sweep
                    .held_by(fence, &lease.row)
                    .filter_map(|key| sweep.trial(key))
                {
                    let ending = Ending {
                        ended: "cancelled".to_owned(),
                        ..Ending::default()
                    };
                    let attempt = ended_attempt(&lease.row, trial.id, trial.attempts, ending, now);
                    records.push(Record::Attempt(attempt));
                    records.push(Record::EpochsDropped {
                        trial: trial.id,
                        fence,
                    });
                    records.push(Record::Trial(TrialRow {
                        state: TrialState::Cancelled,
                        ..trial
                    }));
                }
                // Its worker learns from the next heartbeat, at most a second away, that the lease is over.
                records.push(Record::LeaseClosed(fence));
            }
            set_control(sweep, Control::Stopped, &mut records);
        }
        Order::Retry { failed, cancelled } => {
            let untouched = match row.control {
                Control::Stopped if cancelled => sweep.untouched(),
                _ => 0,
            };
            let retried = retry(sweep, failed, cancelled, &mut records) + untouched;
            match row.control {
                _ if retried == 0 => {}
                // The trials never begun would come back with the rest: they only do when asked for.
                Control::Stopped if !cancelled => {
                    return refuse("stopped", "retry its cancelled trials too, or resume it first");
                }
                // A pause outlasts a retry, unless nobody could have meant it: there was nothing left to hold back.
                Control::Paused if !over => {}
                _ => set_control(sweep, Control::Active, &mut records),
            }
            return Transition::answer(Answer::Ordered { retried })
                .with(records)
                .and_work(retried > 0);
        }
    }
    Transition::answer(Answer::Ordered { retried: 0 })
        .with(records)
        .and_work(order == Order::Resume)
}

/// Only what is over: a sweep whose trials are still trained would leave workers with leases on nothing.
pub(crate) fn delete(state: &State, id: SweepId) -> Transition {
    match state.sweep(id) {
        // What is damaged can be given up.
        None if state.refused_sweep(id).is_some() => {
            Transition::answer(Answer::Deleted).with(vec![Record::SweepGone(id)])
        }
        None => Transition::refuse(Refusal::UnknownSweep(id)),
        Some(sweep) if sweep.row().finished_at.is_none() => Transition::refuse(Refusal::NotNow {
            sweep: id,
            state: "not over",
            hint: "cancel it first",
        }),
        Some(_) => Transition::answer(Answer::Deleted).with(vec![Record::SweepGone(id)]),
    }
}

fn refusal(sweep: SweepId, why: &str) -> Refusal {
    let why = format!("{why}; restore a backup, or give it up with `tenfold delete {sweep}`");
    Refusal::DamagedSweep { sweep, why }
}

fn set_control(sweep: &SweepState, control: Control, records: &mut Vec<Record>) {
    if sweep.row().control != control {
        records.push(Record::Sweep(SweepRow {
            control,
            ..sweep.row().clone()
        }));
    }
}

fn cancel(sweep: &SweepState, keys: impl Iterator<Item = TrialKey>, records: &mut Vec<Record>) {
    for key in keys {
        records.push(Record::Trial(TrialRow {
            state: TrialState::Cancelled,
            ..sweep.row_of(key)
        }));
    }
}

fn retry(sweep: &SweepState, failed: bool, cancelled: bool, records: &mut Vec<Record>) -> u64 {
    if failed {
        choice::withdraw(sweep, records);
    }
    let before = records.len();
    for trial in sweep.without_result() {
        let wanted = match trial.state {
            TrialState::Failed => failed,
            TrialState::Cancelled => cancelled,
            _ => false,
        };
        if wanted {
            let mut row = trial.clone();
            row.state = TrialState::Pending;
            row.failures = 0;
            row.pack_limit = 0;
            row.error = None;
            records.push(Record::Trial(row));
        }
    }
    (records.len() - before) as u64
}
