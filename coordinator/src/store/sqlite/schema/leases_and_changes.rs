//! From schema 1 to 2: leases are rows with their provenance, kept for good; what commits changed is listed.

use std::collections::BTreeMap;

use rusqlite::{Transaction, params};
use serde::Deserialize;
use tenfold_core::record::Provenance;
use tenfold_types::{Fence, RequestId, SweepId, TrialKey, WorkerId};

use crate::store::changes::{ChangeRow, Changed};
use crate::store::sqlite::number_of;
use crate::store::{StoreError, rows};

const INSERT_LEASE: &str = "INSERT INTO lease (fence, sweep, worker, request, slot, given_at, host, device, threads, \
                            version, libtorch, trials) \
                            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
const INSERT_CHANGE: &str = "INSERT INTO change (sweep, seq, itself, trials) VALUES (?1, ?2, ?3, ?4)";

/// A lease as the first schema has it.
#[derive(Deserialize)]
struct OldLease {
    fence: Fence,
    worker: WorkerId,
    request: RequestId,
    slot: u32,
    given_at: u64,
    sweep: SweepId,
    trials: Vec<(TrialKey, u32)>,
}

pub(super) fn fill(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    leases(transaction)?;
    changes(transaction)?;
    transaction.execute_batch("DROP TABLE old_lease")?;
    Ok(())
}

/// Living leases get the provenance of their workers; those that are over have left it in `attempt`.
fn leases(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let mut workers = BTreeMap::new();
    let mut statement = transaction.prepare("SELECT id, row FROM worker")?;
    for row in statement.query_and_then([], |row| rows::worker(row))? {
        let row = row?;
        workers.insert(row.id, row);
    }
    let mut statement = transaction.prepare("SELECT row FROM old_lease")?;
    for row in statement.query_map([], |row| row.get::<_, String>(0))? {
        let old: OldLease =
            serde_json::from_str(&row?).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let worker = workers.get(&old.worker);
        let slot = worker.and_then(|worker| worker.slots.get(old.slot as usize));
        let provenance = Provenance {
            host: worker.map_or_else(String::new, |worker| worker.host.clone()),
            device: slot.map_or_else(String::new, |slot| slot.device.clone()),
            threads: slot.map_or(0, |slot| slot.threads),
            version: worker.map_or_else(String::new, |worker| worker.version.clone()),
            libtorch: worker.map_or_else(String::new, |worker| worker.libtorch.clone()),
        };
        let sweep = number_of(transaction, old.sweep)?
            .ok_or_else(|| StoreError::Corrupt(format!("a lease names sweep {}", old.sweep)))?;
        transaction.prepare_cached(INSERT_LEASE)?.execute(params![
            old.fence.0 as i64,
            sweep,
            old.worker.0,
            old.request.0,
            old.slot,
            old.given_at as i64,
            provenance.host,
            provenance.device,
            provenance.threads,
            provenance.version,
            provenance.libtorch,
            rows::trials(&old.trials)?
        ])?;
    }
    // Attempts that run have no rows any more: their leases tell.
    transaction.execute("DELETE FROM attempt WHERE ended_at IS NULL", [])?;
    Ok(())
}

fn changes(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let mut changed: BTreeMap<i64, Changed> = BTreeMap::new();
    let key = |row: &rusqlite::Row<'_>| {
        Ok::<_, StoreError>((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, rows::key(row, 2)?))
    };
    let of = "SELECT sweep, seq, stage, point, repetition FROM";
    // 4 to 7: SUCCEEDED, DIVERGED, FAILED, CANCELLED.
    let trials = "SELECT sweep, seq, stage, point, repetition, state >= 4 FROM trial";
    let mut statement = transaction.prepare(trials)?;
    for row in statement.query_and_then([], |row| Ok::<_, StoreError>((key(row)?, row.get(5)?)))? {
        let ((sweep, seq, key), is_over) = row?;
        changed.entry(seq).or_default().trial(sweep, key, is_over);
    }
    let mut statement = transaction.prepare(&format!("{of} epochs"))?;
    for row in statement.query_and_then([], key)? {
        let (sweep, seq, key) = row?;
        changed.entry(seq).or_default().epochs(sweep, key);
    }
    let mut statement = transaction.prepare("SELECT number, seq FROM sweep")?;
    for row in statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))? {
        let (sweep, seq) = row?;
        changed.entry(seq).or_default().sweep(sweep);
    }
    for (seq, changed) in changed {
        for row in changed.rows() {
            let ChangeRow {
                sweep,
                itself,
                trials,
                ..
            } = row?;
            let mut insert = transaction.prepare_cached(INSERT_CHANGE)?;
            insert.execute(params![sweep, seq, itself, trials])?;
        }
    }
    Ok(())
}
