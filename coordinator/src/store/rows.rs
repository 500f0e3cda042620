//! Rows to records and back: what the columns hold, said once for all stores on disk.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tenfold_core::record::{
    AttemptRow, Candidate, ChoiceRow, Control, EpochsRow, ExtensionRow, LeaseRow, Outcome, Provenance,
    RequestKey, RequestRow, Slot, SweepRow, TrialRow, WorkerRow,
};
use tenfold_core::sweep::ChoiceId;
use tenfold_core::trial::TrialState;
use tenfold_types::{Block, Fence, RequestId, SweepId, TrialId, TrialKey, WorkerId, floats};

use super::checks::Checks;
use super::columns::Columns;
use super::sum::Sum;
use super::{Cursor, StoreError};

/// The columns that [`trial`] and [`seq_of_trial`] read, from the first on.
pub(super) const TRIAL: &str = "stage, point, repetition, state, fence, worker, number, attempts, failures, error, \
                                pack_limit, accepted_at, seq, sum";
/// The column with the checksum of those before it, of a trial and of other rows.
pub(super) const TRIAL_SUM: usize = 13;
pub(super) const EPOCHS_SUM: usize = 10;
pub(super) const SWEEP_SUM: usize = 8;
pub(super) const CHOICE_SUM: usize = 5;
pub(super) const EXTENSION_SUM: usize = 4;
pub(super) const CHANGE_SUM: usize = 4;
pub(super) const META_SUM: usize = 4;
pub(super) const LEASE_SUM: usize = 10;
/// The column with the checksum of a living lease's trials, which go when it is over.
pub(super) const LEASE_TRIALS_SUM: usize = 12;
/// The columns that [`epochs`] reads, from the first on.
pub(super) const EPOCHS: &str =
    "stage, point, repetition, fence, attempt, first, epochs, columns, seconds, seq, sum";
/// The columns that [`attempt`] reads, from the first on.
pub(super) const ATTEMPT: &str = "stage, point, repetition, number, fence, worker, host, device, threads, version, \
                                  libtorch, started_at, ended_at, ended, error, stderr";
/// The columns that [`sweep`] reads, from the first on.
pub(super) const SWEEP: &str = "number, id, name, normalised, submitted_at, finished_at, control, seq, sum";

/// The columns that [`choice`] reads, from the first on.
pub(super) const CHOICE: &str = "stage, rule, cell, row, seq, sum";

/// The columns that [`extension`] reads, from the first on.
pub(super) const EXTENSION: &str = "number, extended_at, row, seq, sum";

/// What a commit changed of a sweep.
pub(super) const CHANGE: &str = "seq, itself, trials, counted, sum";

/// The counters.
pub(super) const META: &str = "seq, fence, sweeps, there, sum";

/// The columns that [`request`] reads, from the first on.
pub(super) const REQUEST: &str = "number, id, method, digest, decided_at, code, answer";

type Result<T> = std::result::Result<T, StoreError>;

fn wrong(column: usize, what: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("column {column} of a row: {what}"))
}

fn number(row: &impl Columns, column: usize) -> Result<u64> {
    let value = row.integer(column)?;
    u64::try_from(value).map_err(|_| wrong(column, format!("{value} is negative")))
}

fn number_or_null(row: &impl Columns, column: usize) -> Result<Option<u64>> {
    let value = row.integer_or_null(column)?;
    value.map(|_| number(row, column)).transpose()
}

fn small(row: &impl Columns, column: usize) -> Result<u32> {
    let value = row.integer(column)?;
    u32::try_from(value).map_err(|_| wrong(column, format!("{value} is no number of 32 bits")))
}

pub(super) fn key(row: &impl Columns, from: usize) -> Result<TrialKey> {
    Ok(TrialKey {
        stage: small(row, from)?,
        index: number(row, from + 1)?,
        repetition: small(row, from + 2)?,
    })
}

fn worker_id(row: &impl Columns, column: usize) -> Result<WorkerId> {
    WorkerId::from_bytes(row.bytes(column)?).ok_or_else(|| wrong(column, "no worker id"))
}

pub(super) fn control(control: Control) -> i64 {
    match control {
        Control::Active => 0,
        Control::Paused => 1,
        Control::Stopped => 2,
    }
}

pub(super) fn sweep(row: &impl Columns) -> Result<SweepRow> {
    let control = row.integer(6)?;
    Ok(SweepRow {
        number: number(row, 0)?,
        id: SweepId::from_bytes(row.bytes(1)?).ok_or_else(|| wrong(1, "no sweep id"))?,
        name: row.text(2)?,
        normalised: row.text(3)?,
        submitted_at: number(row, 4)?,
        finished_at: number_or_null(row, 5)?,
        control: match control {
            0 => Control::Active,
            1 => Control::Paused,
            2 => Control::Stopped,
            _ => return Err(wrong(6, format!("control {control} is unknown"))),
        },
    })
}

/// A state as its columns: kind, fence, worker, and the number that the kind carries.
pub(super) fn state(state: &TrialState) -> (i64, Option<i64>, Option<WorkerId>, Option<i64>) {
    match state {
        TrialState::Pending => (0, None, None, None),
        TrialState::Leased { fence, worker } => (1, Some(fence.0 as i64), Some(*worker), None),
        TrialState::Running { fence, worker } => (2, Some(fence.0 as i64), Some(*worker), None),
        TrialState::Backoff { until } => (3, None, None, Some(*until as i64)),
        TrialState::Succeeded { fence, epochs } => (4, Some(fence.0 as i64), None, Some(i64::from(*epochs))),
        TrialState::Diverged { fence, epoch } => (5, Some(fence.0 as i64), None, Some(i64::from(*epoch))),
        TrialState::Failed => (6, None, None, None),
        TrialState::Cancelled => (7, None, None, None),
    }
}

/// The commit that last changed a trial.
pub(super) fn seq_of_trial(row: &impl Columns) -> Result<Cursor> {
    number(row, 12)
}

pub(super) fn trial(sweep: SweepId, row: &impl Columns) -> Result<TrialRow> {
    let kind = row.integer(3)?;
    let fence = || number(row, 4).map(Fence);
    let state = match kind {
        0 => TrialState::Pending,
        1 => TrialState::Leased {
            fence: fence()?,
            worker: worker_id(row, 5)?,
        },
        2 => TrialState::Running {
            fence: fence()?,
            worker: worker_id(row, 5)?,
        },
        3 => TrialState::Backoff {
            until: number(row, 6)?,
        },
        4 => TrialState::Succeeded {
            fence: fence()?,
            epochs: small(row, 6)?,
        },
        5 => TrialState::Diverged {
            fence: fence()?,
            epoch: small(row, 6)?,
        },
        6 => TrialState::Failed,
        7 => TrialState::Cancelled,
        _ => return Err(wrong(3, format!("trial state {kind} is unknown"))),
    };
    Ok(TrialRow {
        id: TrialId {
            sweep,
            key: key(row, 0)?,
        },
        state,
        attempts: small(row, 7)?,
        failures: small(row, 8)?,
        error: row.text_or_null(9)?,
        pack_limit: small(row, 10)?,
        accepted_at: number_or_null(row, 11)?,
    })
}

/// The columns that [`lease`] reads, from the first on.
pub(super) const LEASE: &str = "fence, worker, request, slot, given_at, host, device, threads, version, libtorch, sum, trials, trials_sum";

/// The trials of a lease, as they are stored.
pub(super) fn trials(trials: &[(TrialKey, u32)]) -> Result<Vec<u8>> {
    postcard::to_allocvec(trials).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// One that is over has no trials any more.
pub(super) fn lease(sweep: SweepId, row: &impl Columns) -> Result<LeaseRow> {
    Ok(LeaseRow {
        fence: Fence(number(row, 0)?),
        worker: worker_id(row, 1)?,
        request: RequestId::from_bytes(row.bytes(2)?).ok_or_else(|| wrong(2, "no request id"))?,
        slot: small(row, 3)?,
        given_at: number(row, 4)?,
        provenance: provenance(row, 5)?,
        sweep,
        trials: match row.bytes_or_null(11)? {
            None => Vec::new(),
            Some(bytes) => postcard::from_bytes(bytes).map_err(|error| wrong(11, error))?,
        },
    })
}

fn provenance(row: &impl Columns, from: usize) -> Result<Provenance> {
    Ok(Provenance {
        host: row.text(from)?,
        device: row.text(from + 1)?,
        threads: small(row, from + 2)?,
        version: row.text(from + 3)?,
        libtorch: row.text(from + 4)?,
    })
}

fn numbers(row: &impl Columns, column: usize) -> Result<Vec<f32>> {
    let bytes = row.bytes(column)?;
    let none = || wrong(column, format!("{} bytes are no 32-bit numbers", bytes.len()));
    floats::from_bytes(bytes).ok_or_else(none)
}

pub(super) fn epochs(sweep: SweepId, row: &impl Columns) -> Result<EpochsRow> {
    Ok(EpochsRow {
        trial: TrialId {
            sweep,
            key: key(row, 0)?,
        },
        fence: Fence(number(row, 3)?),
        attempt: small(row, 4)?,
        block: block(row)?,
    })
}

fn block(row: &impl Columns) -> Result<Block> {
    Ok(Block {
        first: small(row, 5)?,
        epochs: small(row, 6)?,
        columns: numbers(row, 7)?,
        seconds: numbers(row, 8)?,
    })
}

/// How a store writes a text; PostgreSQL's cannot hold a zero character.
pub(super) type Text = fn(&str) -> Cow<'_, str>;

/// Writes a text as it is.
pub(super) fn as_it_is(text: &str) -> Cow<'_, str> {
    text.into()
}

/// The checksums of rows as they are about to be written, by the commit with this number: the columns in the order in which
/// they are read, above.
pub(super) fn trial_sum(sweep: i64, row: &TrialRow, at: i64, text: Text) -> i64 {
    let (state, fence, worker, carried) = self::state(&row.state);
    with_key(Sum::of("trial", sweep), row.id.key)
        .integer(state)
        .integer_or_null(fence)
        .bytes_or_null(worker.as_ref().map(|worker| worker.0.as_slice()))
        .integer_or_null(carried)
        .integer(row.attempts.into())
        .integer(row.failures.into())
        .text_or_null(row.error.as_deref().map(text).as_deref())
        .integer(row.pack_limit.into())
        .integer_or_null(row.accepted_at.map(|at| at as i64))
        .integer(at)
        .end()
}

fn with_key(sum: Sum, key: TrialKey) -> Sum {
    sum.integer(key.stage.into())
        .integer(key.index as i64)
        .integer(key.repetition.into())
}

/// The columns of epochs are those of the row, as bytes.
pub(super) fn epochs_sum(sweep: i64, row: &EpochsRow, (columns, seconds): (&[u8], &[u8]), at: i64) -> i64 {
    with_key(Sum::of("epochs", sweep), row.trial.key)
        .integer(row.fence.0 as i64)
        .integer(row.attempt.into())
        .integer(row.block.first.into())
        .integer(row.block.epochs.into())
        .bytes(columns)
        .bytes(seconds)
        .integer(at)
        .end()
}

pub(super) fn sweep_sum(row: &SweepRow, at: i64, text: Text) -> i64 {
    Sum::of("sweep", 0)
        .integer(row.number as i64)
        .bytes(&row.id.0)
        .text(&text(&row.name))
        .text(&text(&row.normalised))
        .integer(row.submitted_at as i64)
        .integer_or_null(row.finished_at.map(|at| at as i64))
        .integer(control(row.control))
        .integer(at)
        .end()
}

pub(super) fn choice_sum(sweep: i64, choice: ChoiceId, stored: &str, at: i64) -> i64 {
    Sum::of("choice", sweep)
        .integer(choice.stage.into())
        .integer(choice.rule.into())
        .integer(choice.cell as i64)
        .text(stored)
        .integer(at)
        .end()
}

pub(super) fn extension_sum(sweep: i64, row: &ExtensionRow, stored: &str, at: i64) -> i64 {
    Sum::of("extension", sweep)
        .integer(row.number.into())
        .integer(row.at as i64)
        .text(stored)
        .integer(at)
        .end()
}

pub(super) fn change_sum(sweep: i64, at: i64, itself: bool, trials: &[u8], counted: Option<&[u8]>) -> i64 {
    Sum::of("change", sweep)
        .integer(at)
        .integer(itself.into())
        .bytes(trials)
        .bytes_or_null(counted)
        .end()
}

pub(super) fn meta_sum(seq: i64, fence: i64, sweeps: i64, there: i64) -> i64 {
    Sum::of("meta", 0)
        .integer(seq)
        .integer(fence)
        .integer(sweeps)
        .integer(there)
        .end()
}

/// Without its trials, which go when it is over.
pub(super) fn lease_sum(sweep: i64, row: &LeaseRow, text: Text) -> i64 {
    let provenance = &row.provenance;
    Sum::of("lease", sweep)
        .integer(row.fence.0 as i64)
        .bytes(&row.worker.0)
        .bytes(&row.request.0)
        .integer(row.slot.into())
        .integer(row.given_at as i64)
        .text(&text(&provenance.host))
        .text(&text(&provenance.device))
        .integer(provenance.threads.into())
        .text(&text(&provenance.version))
        .text(&text(&provenance.libtorch))
        .end()
}

pub(super) fn lease_trials_sum(sweep: i64, fence: i64, trials: &[u8]) -> i64 {
    Sum::of("lease.trials", sweep).integer(fence).bytes(trials).end()
}

/// Returns whether the trials of a living lease, a row of [`LEASE`], are those that were written.
pub(super) fn lease_trials_hold(checks: &Checks, sweep: i64, row: &impl Columns) -> Result<bool> {
    let Ok(Some(trials)) = row.bytes_or_null(LEASE_TRIALS_SUM - 1) else {
        return Ok(false);
    };
    match row.integer_or_null(LEASE_TRIALS_SUM) {
        Ok(Some(sum)) => Ok(sum == lease_trials_sum(sweep, row.integer(0)?, trials)),
        Ok(None) => Ok(!checks.is_complete()),
        Err(_) => Ok(false),
    }
}

/// The epochs of some attempts at trials of a point, found among those of all attempts.
pub(super) struct Found<'a> {
    attempts: &'a [(u32, Fence)],
    pub(super) blocks: Vec<Vec<Block>>,
    at: usize,
}

impl<'a> Found<'a> {
    /// None yet of these repetitions' attempts, which come in order.
    pub(super) fn of(attempts: &'a [(u32, Fence)]) -> Self {
        Self {
            attempts,
            blocks: vec![Vec::new(); attempts.len()],
            at: 0,
        }
    }

    /// Takes a row that [`EPOCHS`] are the columns of, if it is of one of the attempts. Rows come in the order of
    /// repetitions.
    pub(super) fn take(&mut self, row: &impl Columns) -> Result<()> {
        let (repetition, fence) = (small(row, 2)?, Fence(number(row, 3)?));
        while self.attempts.get(self.at).is_some_and(|(of, _)| *of < repetition) {
            self.at += 1;
        }
        if self.attempts.get(self.at) == Some(&(repetition, fence)) {
            self.blocks[self.at].push(block(row)?);
        }
        Ok(())
    }
}

pub(super) fn attempt(sweep: SweepId, row: &impl Columns) -> Result<AttemptRow> {
    Ok(AttemptRow {
        trial: TrialId {
            sweep,
            key: key(row, 0)?,
        },
        number: small(row, 3)?,
        fence: Fence(number(row, 4)?),
        worker: worker_id(row, 5)?,
        provenance: provenance(row, 6)?,
        started_at: number(row, 11)?,
        ended_at: number_or_null(row, 12)?,
        ended: row.text(13)?,
        error: row.text(14)?,
        stderr: row.text(15)?,
    })
}

/// The row of a choice, bar which it is.
#[derive(Serialize, Deserialize)]
struct StoredChoice<'a> {
    candidates: Cow<'a, [Candidate]>,
    outcome: Cow<'a, Outcome>,
    /// Absent: 0, as rows of earlier versions have it.
    #[serde(default, skip_serializing_if = "is_zero")]
    rules: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

pub(super) fn choice_text(row: &ChoiceRow) -> Result<String> {
    let stored = StoredChoice {
        candidates: Cow::Borrowed(&row.candidates),
        outcome: Cow::Borrowed(&row.outcome),
        rules: row.rules,
    };
    serde_json::to_string(&stored).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// The commit that last changed a choice.
pub(super) fn seq_of_choice(row: &impl Columns) -> Result<Cursor> {
    number(row, 4)
}

pub(super) fn choice(sweep: SweepId, row: &impl Columns) -> Result<ChoiceRow> {
    let stored: StoredChoice<'_> = serde_json::from_str(&row.text(3)?).map_err(|error| wrong(3, error))?;
    Ok(ChoiceRow {
        sweep,
        choice: ChoiceId {
            stage: small(row, 0)?,
            rule: small(row, 1)?,
            cell: number(row, 2)?,
        },
        candidates: stored.candidates.into_owned(),
        outcome: stored.outcome.into_owned(),
        rules: stored.rules,
    })
}

pub(super) fn extension_text(row: &ExtensionRow) -> Result<String> {
    serde_json::to_string(&row.extension).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// The commit that wrote an extension.
pub(super) fn seq_of_extension(row: &impl Columns) -> Result<Cursor> {
    number(row, 3)
}

pub(super) fn extension(sweep: SweepId, row: &impl Columns) -> Result<ExtensionRow> {
    Ok(ExtensionRow {
        sweep,
        number: small(row, 0)?,
        at: number(row, 1)?,
        extension: serde_json::from_str(&row.text(2)?).map_err(|error| wrong(2, error))?,
    })
}

pub(super) fn request(row: &impl Columns) -> Result<RequestRow> {
    let digest = row.bytes(3)?.try_into();
    Ok(RequestRow {
        number: number(row, 0)?,
        key: RequestKey {
            id: row.text(1)?,
            method: row.text(2)?,
            digest: digest.map_err(|_| wrong(3, "no SHA-256"))?,
        },
        at: number(row, 4)?,
        code: small(row, 5)?,
        answer: row.bytes(6)?.to_vec(),
    })
}

/// A worker's row, bar its id.
#[derive(Serialize, Deserialize)]
struct StoredWorker {
    host: String,
    process: u32,
    #[serde(default)]
    protocol: u32,
    version: String,
    libtorch: String,
    slots: Vec<Slot>,
    #[serde(default)]
    draining: bool,
}

pub(super) fn worker_text(row: &WorkerRow) -> Result<String> {
    let stored = StoredWorker {
        host: row.host.clone(),
        process: row.process,
        protocol: row.protocol,
        version: row.version.clone(),
        libtorch: row.libtorch.clone(),
        slots: row.slots.clone(),
        draining: row.draining,
    };
    serde_json::to_string(&stored).map_err(|error| StoreError::Corrupt(error.to_string()))
}

pub(super) fn worker(row: &impl Columns) -> Result<WorkerRow> {
    let stored: StoredWorker = serde_json::from_str(&row.text(1)?).map_err(|error| wrong(1, error))?;
    Ok(WorkerRow {
        id: worker_id(row, 0)?,
        host: stored.host,
        process: stored.process,
        protocol: stored.protocol,
        version: stored.version,
        libtorch: stored.libtorch,
        slots: stored.slots,
        draining: stored.draining,
    })
}
