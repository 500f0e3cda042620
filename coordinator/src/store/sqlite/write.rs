//! Records to rows.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, params};
use tenfold_core::record::{AttemptRow, EpochsRow, Record};
use tenfold_types::{SweepId, TrialKey, floats};

use super::read::of_attempt;
use crate::store::changes::{ChangeRow, Changed};
use crate::store::checks::Checks;
use crate::store::rows::as_it_is;
use crate::store::{StoreError, rows};

const INSERT_LEASE: &str = "INSERT OR REPLACE INTO lease (fence, sweep, worker, request, slot, given_at, host, \
     device, threads, version, libtorch, trials, sum, trials_sum) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";

/// The sweep whose number its row needs.
pub(super) fn sweep_of(record: &Record) -> Option<SweepId> {
    match record {
        Record::Extension(row) => Some(row.sweep),
        Record::Choice(row) => Some(row.sweep),
        Record::Counted(row) => Some(row.sweep),
        Record::Trial(row) => Some(row.id.sweep),
        Record::Attempt(row) => Some(row.trial.sweep),
        Record::Epochs(row) => Some(row.trial.sweep),
        Record::EpochsDropped { trial, .. } => Some(trial.sweep),
        Record::Lease(row) => Some(row.sweep),
        Record::EpochsCopied { sweep, .. } | Record::SweepGone(sweep) => Some(*sweep),
        _ => None,
    }
}

/// Writes the row of a record, or removes what it says is gone.
pub(super) fn write_record(
    transaction: &Transaction<'_>,
    numbers: &BTreeMap<SweepId, u64>,
    at: i64,
    record: &Record,
    changed: &mut Changed,
    checks: &Checks,
) -> Result<(), StoreError> {
    let execute = |sql: &str, values: &[&dyn rusqlite::ToSql]| -> Result<(), StoreError> {
        transaction.prepare_cached(sql)?.execute(values)?;
        Ok(())
    };
    let number = |sweep: SweepId| {
        numbers
            .get(&sweep)
            .map(|number| *number as i64)
            .ok_or_else(|| StoreError::Corrupt(format!("sweep {sweep} has no number")))
    };
    match record {
        // They are written with the number of the commit.
        Record::Counters(_) => Ok(()),
        Record::Sweep(row) => {
            changed.sweep(row.number as i64);
            execute(
                "INSERT INTO sweep (number, id, seq, name, normalised, submitted_at, finished_at, control, sum) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (number) DO UPDATE SET seq = excluded.seq, \
             name = excluded.name, finished_at = excluded.finished_at, control = excluded.control, sum = excluded.sum",
                params![
                    row.number as i64,
                    row.id.0,
                    at,
                    row.name,
                    row.normalised,
                    row.submitted_at as i64,
                    row.finished_at.map(|at| at as i64),
                    rows::control(row.control),
                    rows::sweep_sum(row, at, as_it_is)
                ],
            )
        }
        Record::Extension(row) => {
            let (sweep, stored) = (number(row.sweep)?, rows::extension_text(row)?);
            execute(
                "INSERT OR REPLACE INTO extension (sweep, number, seq, extended_at, row, sum) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    sweep,
                    row.number,
                    at,
                    row.at as i64,
                    stored,
                    rows::extension_sum(sweep, row, &stored, at)
                ],
            )
        }
        Record::Choice(row) => {
            let (sweep, stored) = (number(row.sweep)?, rows::choice_text(row)?);
            execute(
                "INSERT OR REPLACE INTO choice (sweep, stage, rule, cell, seq, row, sum) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    sweep,
                    row.choice.stage,
                    row.choice.rule,
                    row.choice.cell as i64,
                    at,
                    stored,
                    rows::choice_sum(sweep, row.choice, &stored, at)
                ],
            )
        }
        Record::Counted(row) => {
            changed.counted(number(row.sweep)?, row);
            Ok(())
        }
        Record::Worker(row) => execute(
            "INSERT OR REPLACE INTO worker (id, row) VALUES (?1, ?2)",
            params![row.id.0, rows::worker_text(row)?],
        ),
        Record::Trial(row) => {
            let key = row.id.key;
            let (state, fence, worker, carried) = rows::state(&row.state);
            let sweep = number(row.id.sweep)?;
            changed.trial(sweep, key, !row.state.is_open());
            execute(
                "INSERT OR REPLACE INTO trial (sweep, stage, point, repetition, seq, state, fence, worker, number, \
                 attempts, failures, error, pack_limit, accepted_at, sum) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
                params![
                    sweep,
                    key.stage,
                    key.index as i64,
                    key.repetition,
                    at,
                    state,
                    fence,
                    worker.map(|worker| worker.0),
                    carried,
                    row.attempts,
                    row.failures,
                    row.error,
                    row.pack_limit,
                    row.accepted_at.map(|at| at as i64),
                    rows::trial_sum(sweep, row, at, as_it_is)
                ],
            )
        }
        Record::Attempt(row) => write_attempt(&execute, number(row.trial.sweep)?, row),
        Record::Epochs(row) => {
            let sweep = number(row.trial.sweep)?;
            changed.epochs(sweep, row.trial.key);
            write_epochs(&execute, sweep, row, at)
        }
        Record::EpochsDropped { trial, fence } => {
            let TrialKey {
                stage,
                index,
                repetition,
            } = trial.key;
            execute(
                "DELETE FROM epochs WHERE sweep = ?1 AND stage = ?2 AND point = ?3 AND repetition = ?4 AND fence = ?5",
                params![
                    number(trial.sweep)?,
                    stage,
                    index as i64,
                    repetition,
                    fence.0 as i64
                ],
            )
        }
        Record::EpochsCopied {
            sweep,
            from,
            to,
            fence,
        } => {
            let (id, sweep) = (*sweep, number(*sweep)?);
            changed.epochs(sweep, *to);
            let mut select = transaction.prepare_cached(&of_attempt())?;
            let of = params![
                sweep,
                from.stage,
                from.index as i64,
                from.repetition,
                fence.0 as i64
            ];
            let mut epochs = select.query(of)?;
            while let Some(row) = epochs.next()? {
                // A damaged block is not copied: both trials lack it then, and both say so.
                if !checks.holds("epochs", sweep, row, rows::EPOCHS_SUM)? {
                    continue;
                }
                let mut row = rows::epochs(id, row)?;
                row.trial.key = *to;
                write_epochs(&execute, sweep, &row, at)?;
            }
            Ok(())
        }
        Record::Lease(row) => {
            let (sweep, trials) = (number(row.sweep)?, rows::trials(&row.trials)?);
            execute(
                INSERT_LEASE,
                params![
                    row.fence.0 as i64,
                    sweep,
                    row.worker.0,
                    row.request.0,
                    row.slot,
                    row.given_at as i64,
                    row.provenance.host,
                    row.provenance.device,
                    row.provenance.threads,
                    row.provenance.version,
                    row.provenance.libtorch,
                    trials,
                    rows::lease_sum(sweep, row, as_it_is),
                    rows::lease_trials_sum(sweep, row.fence.0 as i64, &trials)
                ],
            )
        }
        Record::WorkerGone(worker) => execute("DELETE FROM worker WHERE id = ?1", params![worker.0]),
        Record::LeaseClosed(fence) => execute(
            "UPDATE lease SET trials = NULL, trials_sum = NULL WHERE fence = ?1",
            params![fence.0 as i64],
        ),
        Record::Request(row) => execute(
            "INSERT OR REPLACE INTO request (number, id, method, digest, decided_at, code, answer) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                row.number as i64,
                row.key.id,
                row.key.method,
                row.key.digest,
                row.at as i64,
                row.code,
                row.answer
            ],
        ),
        Record::RequestsForgotten { through } => {
            execute("DELETE FROM request WHERE number <= ?1", params![*through as i64])
        }
        Record::SweepGone(sweep) => {
            let number = number(*sweep)?;
            execute("DELETE FROM sweep WHERE number = ?1", params![number])?;
            execute("INSERT INTO gone (sweep) VALUES (?1)", params![number])
        }
        Record::Renewed { .. }
        | Record::Suspected { .. }
        | Record::Seen { .. }
        | Record::Health { .. }
        | Record::Damaged(_)
        | Record::Repaired
        | Record::Refused(_)
        | Record::Followed { .. } => Ok(()),
    }
}

/// Writes what a commit has changed.
pub(super) fn write_changes(connection: &Connection, changed: Changed, seq: i64) -> Result<(), StoreError> {
    for row in changed.rows() {
        let ChangeRow {
            sweep,
            itself,
            trials,
            counted,
        } = row?;
        let sum = rows::change_sum(sweep, seq, itself, &trials, counted.as_deref());
        let sql =
            "INSERT INTO change (sweep, seq, itself, trials, counted, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        connection
            .prepare_cached(sql)?
            .execute(params![sweep, seq, itself, trials, counted, sum])?;
    }
    Ok(())
}

fn write_epochs(execute: &Execute<'_>, sweep: i64, row: &EpochsRow, at: i64) -> Result<(), StoreError> {
    let key = row.trial.key;
    let columns = floats::to_bytes(&row.block.columns);
    let seconds = floats::to_bytes(&row.block.seconds);
    let sum = rows::epochs_sum(sweep, row, (&columns, &seconds), at);
    execute(
        "INSERT OR REPLACE INTO epochs (sweep, stage, point, repetition, fence, first, seq, attempt, epochs, columns, \
         seconds, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            sweep,
            key.stage,
            key.index as i64,
            key.repetition,
            row.fence.0 as i64,
            row.block.first,
            at,
            row.attempt,
            row.block.epochs,
            columns,
            seconds,
            sum
        ],
    )
}

/// Runs one prepared statement.
type Execute<'a> = dyn Fn(&str, &[&dyn rusqlite::ToSql]) -> Result<(), StoreError> + 'a;

fn write_attempt(execute: &Execute<'_>, sweep: i64, row: &AttemptRow) -> Result<(), StoreError> {
    let key = row.trial.key;
    execute(
        "INSERT OR REPLACE INTO attempt (sweep, stage, point, repetition, number, fence, worker, host, device, \
         threads, version, libtorch, started_at, ended_at, ended, error, stderr) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        params![
            sweep,
            key.stage,
            key.index as i64,
            key.repetition,
            row.number,
            row.fence.0 as i64,
            row.worker.0,
            row.provenance.host,
            row.provenance.device,
            row.provenance.threads,
            row.provenance.version,
            row.provenance.libtorch,
            row.started_at as i64,
            row.ended_at.map(|at| at as i64),
            row.ended,
            row.error,
            row.stderr
        ],
    )
}
