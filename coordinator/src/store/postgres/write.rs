//! A turn's records as sets of rows, a statement a table: a statement a record would cost a round trip each.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use postgres::Transaction;
use tenfold_core::record::{
    AttemptRow, ChoiceRow, Counters, EpochsRow, ExtensionRow, LeaseRow, Record, RequestRow, SweepRow,
    TrialRow, WorkerRow,
};
use tenfold_core::sweep::ChoiceId;
use tenfold_types::{Fence, SweepId, TrialKey, WorkerId, floats};

use super::Numbers;
use super::meta::Meta;
use super::read::{epochs_of_attempt, parameters};
use super::requests::write_requests;
use crate::store::changes::{ChangeRow, Changed};
use crate::store::checks::Checks;
use crate::store::{StoreError, rows};

/// What a commit leaves behind, whatever came to be and went within it.
#[derive(Default)]
pub(super) struct Batch<'a> {
    counters: Option<Counters>,
    sweeps: BTreeMap<u64, &'a SweepRow>,
    gone: BTreeSet<u64>,
    workers: BTreeMap<WorkerId, Option<&'a WorkerRow>>,
    leases: BTreeMap<Fence, (i64, &'a LeaseRow)>,
    closed: BTreeSet<Fence>,
    extensions: BTreeMap<(i64, u32), &'a ExtensionRow>,
    choices: BTreeMap<(i64, ChoiceId), &'a ChoiceRow>,
    trials: BTreeMap<(i64, TrialKey), &'a TrialRow>,
    attempts: BTreeMap<(i64, TrialKey, u32), &'a AttemptRow>,
    dropped: BTreeSet<(i64, TrialKey, Fence)>,
    epochs: BTreeMap<(i64, TrialKey, Fence, u32), &'a EpochsRow>,
    /// Sweep, the trial whose epochs they are, the one that gets them, and the fence.
    copied: Vec<(i64, TrialKey, TrialKey, Fence)>,
    requests: BTreeMap<u64, &'a RequestRow>,
    /// The number of the last request that is no longer kept.
    forgotten: Option<u64>,
    changed: Changed,
}

impl<'a> Batch<'a> {
    /// Takes a record, which replaces what earlier ones said of the same row.
    pub(super) fn add(
        &mut self,
        record: &'a Record,
        numbers: &mut Numbers,
        transaction: &mut Transaction<'_>,
    ) -> Result<(), StoreError> {
        let mut number = |sweep: SweepId| numbers.of(sweep, transaction);
        match record {
            Record::Counters(counters) => self.counters = Some(*counters),
            Record::Sweep(row) => {
                self.changed.sweep(row.number as i64);
                self.sweeps.insert(row.number, row);
                numbers.insert(row.id, row.number as i64);
            }
            Record::SweepGone(sweep) => {
                let gone = number(*sweep)? as u64;
                self.sweeps.remove(&gone);
                self.gone.insert(gone);
                numbers.remove(*sweep);
            }
            Record::Worker(row) => _ = self.workers.insert(row.id, Some(row)),
            Record::WorkerGone(worker) => _ = self.workers.insert(*worker, None),
            Record::Lease(row) => _ = self.leases.insert(row.fence, (number(row.sweep)?, row)),
            Record::LeaseClosed(fence) => _ = self.closed.insert(*fence),
            Record::Counted(row) => {
                let sweep = number(row.sweep)?;
                self.changed.counted(sweep, row);
            }
            Record::Extension(row) => {
                self.extensions.insert((number(row.sweep)?, row.number), row);
            }
            Record::Choice(row) => {
                self.choices.insert((number(row.sweep)?, row.choice), row);
            }
            Record::Trial(row) => {
                let sweep = number(row.id.sweep)?;
                self.changed.trial(sweep, row.id.key, !row.state.is_open());
                self.trials.insert((sweep, row.id.key), row);
            }
            Record::Attempt(row) => {
                let sweep = number(row.trial.sweep)?;
                self.attempts.insert((sweep, row.trial.key, row.number), row);
            }
            Record::Epochs(row) => {
                let sweep = number(row.trial.sweep)?;
                self.changed.epochs(sweep, row.trial.key);
                self.epochs
                    .insert((sweep, row.trial.key, row.fence, row.block.first), row);
            }
            Record::EpochsDropped { trial, fence } => {
                let sweep = number(trial.sweep)?;
                self.epochs
                    .retain(|(of, key, under, _), _| (*of, *key, *under) != (sweep, trial.key, *fence));
                self.dropped.insert((sweep, trial.key, *fence));
            }
            Record::EpochsCopied {
                sweep,
                from,
                to,
                fence,
            } => {
                let sweep = number(*sweep)?;
                self.changed.epochs(sweep, *to);
                self.copied.push((sweep, *from, *to, *fence));
            }
            Record::Request(row) => _ = self.requests.insert(row.number, row),
            Record::RequestsForgotten { through } => {
                self.requests = self.requests.split_off(&(through + 1));
                self.forgotten = self.forgotten.max(Some(*through));
            }
            Record::Renewed { .. }
            | Record::Suspected { .. }
            | Record::Seen { .. }
            | Record::Health { .. }
            | Record::Damaged(_)
            | Record::Repaired
            | Record::Refused(_)
            | Record::Followed { .. } => {}
        }
        Ok(())
    }

    /// Writes it all.
    pub(super) fn write(
        self,
        transaction: &mut Transaction<'_>,
        meta: &mut Meta,
        checks: &Checks,
    ) -> Result<(), StoreError> {
        let at = meta.seq;
        if let Some(counters) = self.counters {
            meta.count(counters);
        }
        write_sweeps(transaction, &self.sweeps, &self.gone, at)?;
        write_workers(transaction, &self.workers)?;
        write_leases(transaction, &self.leases, &self.closed)?;
        write_extensions(transaction, &self.extensions, at)?;
        write_choices(transaction, &self.choices, at)?;
        write_trials(transaction, &self.trials, at)?;
        write_attempts(transaction, &self.attempts)?;
        write_epochs(transaction, &self.dropped, &self.epochs, at)?;
        copy_epochs(transaction, &self.copied, at, checks)?;
        write_requests(transaction, self.forgotten, &self.requests)?;
        write_changes(transaction, self.changed, at)?;
        if !(self.sweeps.is_empty() && self.gone.is_empty()) {
            let there = transaction.query_one("SELECT count(*) FROM sweep", &[])?;
            meta.there = there.get(0);
        }
        meta.write(transaction)
    }
}

/// PostgreSQL's text cannot hold a zero character, which a trainer's last words may.
fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\u{2400}").into()
    } else {
        text.into()
    }
}

/// A statement each: there are few.
fn write_extensions(
    transaction: &mut Transaction<'_>,
    extensions: &BTreeMap<(i64, u32), &ExtensionRow>,
    at: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO extension (sweep, number, seq, extended_at, row, sum) VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (sweep, number) DO UPDATE SET seq = excluded.seq, extended_at = excluded.extended_at, \
               row = excluded.row, sum = excluded.sum";
    for ((sweep, number), row) in extensions {
        let stored = rows::extension_text(row)?;
        let sum = rows::extension_sum(*sweep, row, &stored, at);
        transaction.execute(
            sql,
            &[sweep, &i64::from(*number), &at, &(row.at as i64), &stored, &sum],
        )?;
    }
    Ok(())
}

/// A statement each: there are few.
fn write_choices(
    transaction: &mut Transaction<'_>,
    choices: &BTreeMap<(i64, ChoiceId), &ChoiceRow>,
    at: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO choice (sweep, stage, rule, cell, seq, row, sum) VALUES ($1, $2, $3, $4, $5, $6, $7) \
               ON CONFLICT (sweep, stage, rule, cell) DO UPDATE SET seq = excluded.seq, row = excluded.row, \
               sum = excluded.sum";
    for ((sweep, choice), row) in choices {
        let (stage, rule) = (i64::from(choice.stage), i64::from(choice.rule));
        let stored = text(&rows::choice_text(row)?).into_owned();
        let sum = rows::choice_sum(*sweep, *choice, &stored, at);
        let cell = choice.cell as i64;
        transaction.execute(sql, &[sweep, &stage, &rule, &cell, &at, &stored, &sum])?;
    }
    Ok(())
}

/// Curves that other trials have too.
fn copy_epochs(
    transaction: &mut Transaction<'_>,
    copied: &[(i64, TrialKey, TrialKey, Fence)],
    at: i64,
    checks: &Checks,
) -> Result<(), StoreError> {
    if copied.is_empty() {
        return Ok(());
    }
    let select = transaction.prepare(&epochs_of_attempt())?;
    let mut copies: Vec<(i64, EpochsRow)> = Vec::new();
    for (number, from, to, fence) in copied {
        let [sweep, stage, point, repetition] = parameters(*number, *from);
        let of: [&(dyn postgres::types::ToSql + Sync); 5] =
            [&sweep, &stage, &point, &repetition, &(fence.0 as i64)];
        for row in transaction.query(&select, &of)? {
            // A damaged block is not copied: both trials lack it then, and both say so.
            if checks.holds("epochs", *number, &row, rows::EPOCHS_SUM)? {
                let mut row = rows::epochs(SweepId([0; 16]), &row)?;
                row.trial.key = *to;
                copies.push((*number, row));
            }
        }
    }
    let keyed = copies.iter().map(|(number, row)| {
        let key = (*number, row.trial.key, row.fence, row.block.first);
        (key, row)
    });
    write_epochs(transaction, &BTreeSet::new(), &keyed.collect(), at)
}

fn write_sweeps(
    transaction: &mut Transaction<'_>,
    sweeps: &BTreeMap<u64, &SweepRow>,
    gone: &BTreeSet<u64>,
    at: i64,
) -> Result<(), StoreError> {
    for number in gone {
        let number = *number as i64;
        transaction.execute("DELETE FROM sweep WHERE number = $1", &[&number])?;
        transaction.execute(
            "INSERT INTO gone (sweep) VALUES ($1) ON CONFLICT DO NOTHING",
            &[&number],
        )?;
    }
    let sql = "INSERT INTO sweep (number, id, seq, name, normalised, submitted_at, finished_at, control, sum) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (number) DO UPDATE SET seq = excluded.seq, \
               name = excluded.name, finished_at = excluded.finished_at, control = excluded.control, sum = excluded.sum";
    for row in sweeps.values() {
        transaction.execute(
            sql,
            &[
                &(row.number as i64),
                &row.id.0.as_slice(),
                &at,
                &text(&row.name),
                &text(&row.normalised),
                &(row.submitted_at as i64),
                &row.finished_at.map(|at| at as i64),
                &rows::control(row.control),
                &rows::sweep_sum(row, at, text),
            ],
        )?;
    }
    Ok(())
}

fn write_workers(
    transaction: &mut Transaction<'_>,
    workers: &BTreeMap<WorkerId, Option<&WorkerRow>>,
) -> Result<(), StoreError> {
    let (mut ids, mut texts, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for (id, row) in workers {
        match row {
            Some(row) => {
                ids.push(id.0.as_slice());
                texts.push(rows::worker_text(row)?);
            }
            None => gone.push(id.0.as_slice()),
        }
    }
    if !gone.is_empty() {
        transaction.execute("DELETE FROM worker WHERE id = ANY($1)", &[&gone])?;
    }
    if !ids.is_empty() {
        let sql = "INSERT INTO worker (id, row) SELECT * FROM unnest($1::bytea[], $2::text[]) \
                   ON CONFLICT (id) DO UPDATE SET row = excluded.row";
        transaction.execute(sql, &[&ids, &texts])?;
    }
    Ok(())
}

fn write_leases(
    transaction: &mut Transaction<'_>,
    leases: &BTreeMap<Fence, (i64, &LeaseRow)>,
    closed: &BTreeSet<Fence>,
) -> Result<(), StoreError> {
    if !leases.is_empty() {
        let (mut trials, mut sums, mut trials_sums) = (Vec::new(), Vec::new(), Vec::new());
        for (fence, (sweep, row)) in leases {
            let open = !closed.contains(fence);
            let of_lease = open.then(|| rows::trials(&row.trials)).transpose()?;
            let sum = |trials: &Vec<u8>| rows::lease_trials_sum(*sweep, fence.0 as i64, trials);
            trials_sums.push(of_lease.as_ref().map(sum));
            trials.push(of_lease);
            sums.push(rows::lease_sum(*sweep, row, text));
        }
        let of = || leases.values().map(|(_, row)| *row);
        let integers = |read: &dyn Fn(&LeaseRow) -> i64| of().map(read).collect::<Vec<_>>();
        let texts = |read: &dyn for<'r> Fn(&'r LeaseRow) -> &'r str| {
            of().map(|row| text(read(row)).into_owned()).collect::<Vec<_>>()
        };
        let sql = "INSERT INTO lease (fence, sweep, worker, request, slot, given_at, host, device, threads, version, \
                   libtorch, trials, sum, trials_sum) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[], \
                   $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::bigint[], $10::text[], $11::text[], \
                   $12::bytea[], $13::bigint[], $14::bigint[]) \
                   ON CONFLICT (fence) DO UPDATE SET trials = excluded.trials, trials_sum = excluded.trials_sum";
        transaction.execute(
            sql,
            &[
                &integers(&|row| row.fence.0 as i64),
                &leases.values().map(|(sweep, _)| *sweep).collect::<Vec<_>>(),
                &of().map(|row| row.worker.0.as_slice()).collect::<Vec<_>>(),
                &of().map(|row| row.request.0.as_slice()).collect::<Vec<_>>(),
                &integers(&|row| row.slot.into()),
                &integers(&|row| row.given_at as i64),
                &texts(&|row| &row.provenance.host),
                &texts(&|row| &row.provenance.device),
                &integers(&|row| row.provenance.threads.into()),
                &texts(&|row| &row.provenance.version),
                &texts(&|row| &row.provenance.libtorch),
                &trials,
                &sums,
                &trials_sums,
            ],
        )?;
    }
    let closed: Vec<i64> = closed
        .iter()
        .filter(|fence| !leases.contains_key(fence))
        .map(|fence| fence.0 as i64)
        .collect();
    if !closed.is_empty() {
        transaction.execute(
            "UPDATE lease SET trials = NULL, trials_sum = NULL WHERE fence = ANY($1)",
            &[&closed],
        )?;
    }
    Ok(())
}

/// The columns of keys: sweeps, stages, points, repetitions.
fn keys(of: impl Iterator<Item = (i64, TrialKey)>) -> [Vec<i64>; 4] {
    let mut columns = [const { Vec::new() }; 4];
    for (sweep, key) in of {
        let values = [sweep, key.stage.into(), key.index as i64, key.repetition.into()];
        for (column, value) in columns.iter_mut().zip(values) {
            column.push(value);
        }
    }
    columns
}

fn write_trials(
    transaction: &mut Transaction<'_>,
    trials: &BTreeMap<(i64, TrialKey), &TrialRow>,
    at: i64,
) -> Result<(), StoreError> {
    if trials.is_empty() {
        return Ok(());
    }
    let [sweeps, stages, points, repetitions] = keys(trials.keys().copied());
    let states: Vec<_> = trials.values().map(|row| rows::state(&row.state)).collect();
    let workers: Vec<_> = states
        .iter()
        .map(|(_, _, worker, _)| worker.as_ref().map(|worker| worker.0.as_slice()))
        .collect();
    let sql = "INSERT INTO trial (sweep, stage, point, repetition, seq, state, fence, worker, number, attempts, \
               failures, error, pack_limit, accepted_at, sum) SELECT a, b, c, d, $5, e, f, g, h, i, j, k, l, m, n FROM \
               unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $6::bigint[], $7::bigint[], $8::bytea[], \
               $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::bigint[], $14::bigint[], $15::bigint[]) \
               AS new (a, b, c, d, e, f, g, h, i, j, k, l, m, n) \
               ON CONFLICT (sweep, stage, point, repetition) DO UPDATE SET seq = excluded.seq, state = excluded.state, \
               fence = excluded.fence, worker = excluded.worker, number = excluded.number, \
               attempts = excluded.attempts, failures = excluded.failures, error = excluded.error, \
               pack_limit = excluded.pack_limit, accepted_at = excluded.accepted_at, sum = excluded.sum";
    transaction.execute(
        sql,
        &[
            &sweeps,
            &stages,
            &points,
            &repetitions,
            &at,
            &states.iter().map(|(state, ..)| *state).collect::<Vec<_>>(),
            &states.iter().map(|(_, fence, ..)| *fence).collect::<Vec<_>>(),
            &workers,
            &states.iter().map(|(.., carried)| *carried).collect::<Vec<_>>(),
            &trials
                .values()
                .map(|row| i64::from(row.attempts))
                .collect::<Vec<_>>(),
            &trials
                .values()
                .map(|row| i64::from(row.failures))
                .collect::<Vec<_>>(),
            &trials
                .values()
                .map(|row| row.error.as_deref().map(|error| text(error).into_owned()))
                .collect::<Vec<_>>(),
            &trials
                .values()
                .map(|row| i64::from(row.pack_limit))
                .collect::<Vec<_>>(),
            &trials
                .values()
                .map(|row| row.accepted_at.map(|at| at as i64))
                .collect::<Vec<_>>(),
            &trials
                .iter()
                .map(|((sweep, _), row)| rows::trial_sum(*sweep, row, at, text))
                .collect::<Vec<_>>(),
        ],
    )?;
    Ok(())
}

/// Few: attempts that ended without a result.
fn write_attempts(
    transaction: &mut Transaction<'_>,
    attempts: &BTreeMap<(i64, TrialKey, u32), &AttemptRow>,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO attempt (sweep, stage, point, repetition, number, fence, worker, host, device, threads, \
               version, libtorch, started_at, ended_at, ended, error, stderr) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) \
               ON CONFLICT (sweep, stage, point, repetition, number) DO UPDATE SET fence = excluded.fence, \
               worker = excluded.worker, host = excluded.host, device = excluded.device, threads = excluded.threads, \
               version = excluded.version, libtorch = excluded.libtorch, started_at = excluded.started_at, \
               ended_at = excluded.ended_at, ended = excluded.ended, error = excluded.error, stderr = excluded.stderr";
    for ((sweep, key, number), row) in attempts {
        transaction.execute(
            sql,
            &[
                sweep,
                &i64::from(key.stage),
                &(key.index as i64),
                &i64::from(key.repetition),
                &i64::from(*number),
                &(row.fence.0 as i64),
                &row.worker.0.as_slice(),
                &text(&row.provenance.host),
                &text(&row.provenance.device),
                &i64::from(row.provenance.threads),
                &text(&row.provenance.version),
                &text(&row.provenance.libtorch),
                &(row.started_at as i64),
                &row.ended_at.map(|at| at as i64),
                &text(&row.ended),
                &text(&row.error),
                &text(&row.stderr),
            ],
        )?;
    }
    Ok(())
}

fn write_epochs(
    transaction: &mut Transaction<'_>,
    dropped: &BTreeSet<(i64, TrialKey, Fence)>,
    epochs: &BTreeMap<(i64, TrialKey, Fence, u32), &EpochsRow>,
    at: i64,
) -> Result<(), StoreError> {
    if !dropped.is_empty() {
        let [sweeps, stages, points, repetitions] =
            keys(dropped.iter().map(|(sweep, key, _)| (*sweep, *key)));
        let fences: Vec<i64> = dropped.iter().map(|(.., fence)| fence.0 as i64).collect();
        let sql = "DELETE FROM epochs USING \
                   unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS old (a, b, c, d, e) \
                   WHERE sweep = a AND stage = b AND point = c AND repetition = d AND fence = e";
        transaction.execute(sql, &[&sweeps, &stages, &points, &repetitions, &fences])?;
    }
    if epochs.is_empty() {
        return Ok(());
    }
    let [sweeps, stages, points, repetitions] = keys(epochs.keys().map(|(sweep, key, ..)| (*sweep, *key)));
    let integers =
        |read: &dyn Fn(&EpochsRow) -> i64| epochs.values().map(|row| read(row)).collect::<Vec<_>>();
    let numbers = |read: &dyn for<'r> Fn(&'r EpochsRow) -> &'r [f32]| {
        epochs
            .values()
            .map(|row| floats::to_bytes(read(row)))
            .collect::<Vec<_>>()
    };
    let columns = numbers(&|row| &row.block.columns);
    let seconds = numbers(&|row| &row.block.seconds);
    let both = columns.iter().zip(&seconds);
    let sums: Vec<i64> = epochs
        .iter()
        .zip(both)
        .map(|(((sweep, ..), row), (columns, seconds))| rows::epochs_sum(*sweep, row, (columns, seconds), at))
        .collect();
    let sql = "INSERT INTO epochs (sweep, stage, point, repetition, seq, fence, first, attempt, epochs, columns, \
               seconds, sum) SELECT a, b, c, d, $5, e, f, g, h, i, j, k FROM \
               unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $6::bigint[], $7::bigint[], \
               $8::bigint[], $9::bigint[], $10::bytea[], $11::bytea[], $12::bigint[]) \
               AS new (a, b, c, d, e, f, g, h, i, j, k) \
               ON CONFLICT (sweep, stage, point, repetition, fence, first) DO UPDATE SET seq = excluded.seq, \
               attempt = excluded.attempt, epochs = excluded.epochs, columns = excluded.columns, \
               seconds = excluded.seconds, sum = excluded.sum";
    transaction.execute(
        sql,
        &[
            &sweeps,
            &stages,
            &points,
            &repetitions,
            &at,
            &integers(&|row| row.fence.0 as i64),
            &integers(&|row| row.block.first.into()),
            &integers(&|row| row.attempt.into()),
            &integers(&|row| row.block.epochs.into()),
            &columns,
            &seconds,
            &sums,
        ],
    )?;
    Ok(())
}

fn write_changes(transaction: &mut Transaction<'_>, changed: Changed, at: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO change (sweep, seq, itself, trials, counted, sum) VALUES ($1, $2, $3, $4, $5, $6)";
    for row in changed.rows() {
        let ChangeRow {
            sweep,
            itself,
            trials,
            counted,
        } = row?;
        let sum = rows::change_sum(sweep, at, itself, &trials, counted.as_deref());
        transaction.execute(sql, &[&sweep, &at, &itself, &trials, &counted, &sum])?;
    }
    Ok(())
}
