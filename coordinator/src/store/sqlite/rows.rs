//! Rows to records and back.

use rusqlite::Row;
use rusqlite::types::{FromSqlError, Type};
use serde::{Deserialize, Serialize};
use tenfold_core::record::{
    AttemptRow, Control, EpochsRow, LeaseRow, Provenance, Slot, SweepRow, TrialRow, WorkerRow,
};
use tenfold_core::trial::TrialState;
use tenfold_types::{Block, Fence, RequestId, SweepId, TrialId, TrialKey, WorkerId};

use crate::store::StoreError;

/// The columns that [`trial`] reads, from the first on.
pub(super) const TRIAL: &str = "stage, point, repetition, state, fence, worker, number, attempts, failures, error, pack_limit, accepted_at";
/// The columns that [`epochs`] reads, from the first on.
pub(super) const EPOCHS: &str = "stage, point, repetition, fence, attempt, first, epochs, columns, seconds";
/// The columns that [`attempt`] reads, from the first on.
pub(super) const ATTEMPT: &str = "stage, point, repetition, number, fence, worker, host, device, threads, version, \
                                  libtorch, started_at, ended_at, ended, error, stderr";
/// The columns that [`sweep`] reads, from the first on.
pub(super) const SWEEP: &str = "number, id, name, normalised, submitted_at, finished_at, control";

type Result<T> = rusqlite::Result<T>;

fn wrong(column: usize, kind: Type, what: impl Into<String>) -> rusqlite::Error {
    let what: Box<dyn std::error::Error + Send + Sync> = what.into().into();
    rusqlite::Error::FromSqlConversionFailure(column, kind, FromSqlError::Other(what).into())
}

/// Numbers are stored as SQLite's signed 64 bits; counters never come near the limit.
fn number(row: &Row<'_>, column: usize) -> Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| wrong(column, Type::Integer, format!("{value} is negative")))
}

fn small(row: &Row<'_>, column: usize) -> Result<u32> {
    row.get(column)
}

pub(super) fn key(row: &Row<'_>, from: usize) -> Result<TrialKey> {
    Ok(TrialKey {
        stage: small(row, from)?,
        index: number(row, from + 1)?,
        repetition: small(row, from + 2)?,
    })
}

fn worker_id(row: &Row<'_>, column: usize) -> Result<WorkerId> {
    let bytes: Vec<u8> = row.get(column)?;
    WorkerId::from_bytes(&bytes).ok_or_else(|| wrong(column, Type::Blob, "no worker id"))
}

pub(super) fn control(control: Control) -> i64 {
    match control {
        Control::Active => 0,
        Control::Paused => 1,
        Control::Stopped => 2,
    }
}

pub(super) fn sweep(row: &Row<'_>) -> Result<SweepRow> {
    let id: Vec<u8> = row.get(1)?;
    let control: i64 = row.get(6)?;
    Ok(SweepRow {
        number: number(row, 0)?,
        id: SweepId::from_bytes(&id).ok_or_else(|| wrong(1, Type::Blob, "no sweep id"))?,
        name: row.get(2)?,
        normalised: row.get(3)?,
        submitted_at: number(row, 4)?,
        finished_at: row.get::<_, Option<i64>>(5)?.map(|at| at as u64),
        control: match control {
            0 => Control::Active,
            1 => Control::Paused,
            2 => Control::Stopped,
            _ => return Err(wrong(6, Type::Integer, format!("control {control} is unknown"))),
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

pub(super) fn trial(sweep: SweepId, row: &Row<'_>) -> Result<TrialRow> {
    let kind: i64 = row.get(3)?;
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
        _ => return Err(wrong(3, Type::Integer, format!("trial state {kind} is unknown"))),
    };
    Ok(TrialRow {
        id: TrialId {
            sweep,
            key: key(row, 0)?,
        },
        state,
        attempts: small(row, 7)?,
        failures: small(row, 8)?,
        error: row.get(9)?,
        pack_limit: small(row, 10)?,
        accepted_at: row.get::<_, Option<i64>>(11)?.map(|at| at as u64),
    })
}

/// The columns that [`lease`] reads, from the first on.
pub(super) const LEASE: &str =
    "fence, worker, request, slot, given_at, host, device, threads, version, libtorch, trials";
pub(super) const INSERT_LEASE: &str = "INSERT OR REPLACE INTO lease (fence, sweep, worker, request, slot, given_at, host, \
                                       device, threads, version, libtorch, trials) \
                                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

/// The trials of a lease, as they are stored.
pub(super) fn trials(trials: &[(TrialKey, u32)]) -> std::result::Result<Vec<u8>, StoreError> {
    postcard::to_allocvec(trials).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// One that is over has no trials any more.
pub(super) fn lease(sweep: SweepId, row: &Row<'_>) -> Result<LeaseRow> {
    let request: Vec<u8> = row.get(2)?;
    let trials = row
        .get_ref(10)?
        .as_blob_or_null()
        .map_err(|error| wrong(10, Type::Blob, error.to_string()))?;
    Ok(LeaseRow {
        fence: Fence(number(row, 0)?),
        worker: worker_id(row, 1)?,
        request: RequestId::from_bytes(&request).ok_or_else(|| wrong(2, Type::Blob, "no request id"))?,
        slot: small(row, 3)?,
        given_at: number(row, 4)?,
        provenance: provenance(row, 5)?,
        sweep,
        trials: match trials {
            None => Vec::new(),
            Some(bytes) => {
                postcard::from_bytes(bytes).map_err(|error| wrong(10, Type::Blob, error.to_string()))?
            }
        },
    })
}

fn provenance(row: &Row<'_>, from: usize) -> Result<Provenance> {
    Ok(Provenance {
        host: row.get(from)?,
        device: row.get(from + 1)?,
        threads: small(row, from + 2)?,
        version: row.get(from + 3)?,
        libtorch: row.get(from + 4)?,
    })
}

pub(super) fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn unfloats(row: &Row<'_>, column: usize) -> Result<Vec<f32>> {
    let bytes = row
        .get_ref(column)?
        .as_blob()
        .map_err(|error| wrong(column, Type::Blob, error.to_string()))?;
    let (chunks, rest) = bytes.as_chunks::<4>();
    if rest.is_empty() {
        Ok(chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect())
    } else {
        Err(wrong(
            column,
            Type::Blob,
            format!("{} bytes are no 32-bit numbers", bytes.len()),
        ))
    }
}

pub(super) fn epochs(sweep: SweepId, row: &Row<'_>) -> Result<EpochsRow> {
    Ok(EpochsRow {
        trial: TrialId {
            sweep,
            key: key(row, 0)?,
        },
        fence: Fence(number(row, 3)?),
        attempt: small(row, 4)?,
        block: Block {
            first: small(row, 5)?,
            epochs: small(row, 6)?,
            columns: unfloats(row, 7)?,
            seconds: unfloats(row, 8)?,
        },
    })
}

/// Repetition and fence of a row that [`epochs`] reads.
pub(super) fn attempt_of_epochs(row: &Row<'_>) -> Result<(u32, Fence)> {
    Ok((small(row, 2)?, Fence(number(row, 3)?)))
}

pub(super) fn attempt(sweep: SweepId, row: &Row<'_>) -> Result<AttemptRow> {
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
        ended_at: row.get::<_, Option<i64>>(12)?.map(|at| at as u64),
        ended: row.get(13)?,
        error: row.get(14)?,
        stderr: row.get(15)?,
    })
}

/// A worker's row, bar its id.
#[derive(Serialize, Deserialize)]
struct StoredWorker {
    host: String,
    process: u32,
    version: String,
    libtorch: String,
    slots: Vec<Slot>,
    #[serde(default)]
    draining: bool,
}

pub(super) fn worker_text(row: &WorkerRow) -> serde_json::Result<String> {
    serde_json::to_string(&StoredWorker {
        host: row.host.clone(),
        process: row.process,
        version: row.version.clone(),
        libtorch: row.libtorch.clone(),
        slots: row.slots.clone(),
        draining: row.draining,
    })
}

pub(super) fn worker(row: &Row<'_>) -> Result<WorkerRow> {
    let text: String = row.get(1)?;
    let stored: StoredWorker =
        serde_json::from_str(&text).map_err(|error| wrong(1, Type::Text, error.to_string()))?;
    Ok(WorkerRow {
        id: worker_id(row, 0)?,
        host: stored.host,
        process: stored.process,
        version: stored.version,
        libtorch: stored.libtorch,
        slots: stored.slots,
        draining: stored.draining,
    })
}
