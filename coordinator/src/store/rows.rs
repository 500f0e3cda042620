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

use super::{Cursor, StoreError};

/// A row of a database, read by the places of its columns.
pub(super) trait Columns {
    /// A number. They are stored as signed 64 bits; counters never come near the limit.
    fn integer(&self, column: usize) -> Result<i64>;
    fn integer_or_null(&self, column: usize) -> Result<Option<i64>>;
    fn text(&self, column: usize) -> Result<String>;
    fn text_or_null(&self, column: usize) -> Result<Option<String>>;
    fn bytes(&self, column: usize) -> Result<&[u8]>;
    fn bytes_or_null(&self, column: usize) -> Result<Option<&[u8]>>;
}

/// The columns that [`trial`] and [`seq_of_trial`] read, from the first on.
pub(super) const TRIAL: &str = "stage, point, repetition, state, fence, worker, number, attempts, failures, error, \
                                pack_limit, accepted_at, seq";
/// The columns that [`epochs`] reads, from the first on.
pub(super) const EPOCHS: &str = "stage, point, repetition, fence, attempt, first, epochs, columns, seconds";
/// The columns that [`attempt`] reads, from the first on.
pub(super) const ATTEMPT: &str = "stage, point, repetition, number, fence, worker, host, device, threads, version, \
                                  libtorch, started_at, ended_at, ended, error, stderr";
/// The columns that [`sweep`] reads, from the first on.
pub(super) const SWEEP: &str = "number, id, name, normalised, submitted_at, finished_at, control";

/// The columns that [`choice`] reads, from the first on.
pub(super) const CHOICE: &str = "stage, rule, cell, row, seq";

/// The columns that [`extension`] reads, from the first on.
pub(super) const EXTENSION: &str = "number, extended_at, row, seq";

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
pub(super) const LEASE: &str =
    "fence, worker, request, slot, given_at, host, device, threads, version, libtorch, trials";

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
        trials: match row.bytes_or_null(10)? {
            None => Vec::new(),
            Some(bytes) => postcard::from_bytes(bytes).map_err(|error| wrong(10, error))?,
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
