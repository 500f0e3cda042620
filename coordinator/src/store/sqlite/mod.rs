//! A store in one SQLite file: write-ahead log, `synchronous=FULL`, one writer, a transaction a turn.

mod columns;
mod guard;
mod load;
mod mark;
mod meta;
mod open;
mod place;
mod read;
mod rescue;
mod restore;
mod schema;
mod summing;
#[cfg(test)]
mod tests;
mod tidy;
mod verify;
mod write;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use tenfold_core::record::Record;
use tenfold_types::SweepId;

use self::guard::{Guard, Log};
use self::mark::Counter;
use self::meta::Meta;
use self::read::SqliteReader;
pub(super) use self::restore::restore;
use self::write::{sweep_of, write_changes, write_record};
use super::changes::Changed;
use super::checks::Checks;
use super::{Cursor, Reader, Store, StoreError};

/// Statements kept prepared; more than there are.
const STATEMENTS: usize = 64;

/// Kibibytes of pages that the writer keeps: a thousand trials that run have a page each for their epochs.
const CACHE: i64 = 16 << 10;

/// The store, and the lock that keeps other coordinators away while it lives.
pub struct SqliteStore {
    path: PathBuf,
    connection: Connection,
    meta: Meta,
    checks: Checks,
    /// The numbers by which rows name their sweeps.
    numbers: BTreeMap<SweepId, u64>,
    /// The number of the newest commit, beside the store.
    counter: Counter,
    /// The log, as it was opened.
    log: Log,
    /// Bytes of the file after the last commit.
    length: u64,
    /// Nothing says that the file is not what it should be.
    is_sound: bool,
    /// Held for the life of the store. The system lets go of it even when the process is killed. Behind the connection: it is
    /// closed last.
    guard: Arc<Guard>,
    /// What earlier versions look at.
    _lock: File,
}

impl SqliteStore {
    /// Opens the file, making it and its folder when they are not there, and brings its schema up to date. What is missing of
    /// it is done without if that is accepted.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another coordinator has it, [`StoreError::Version`] when it is too new,
    /// [`StoreError::Foreign`] when it is something else, [`StoreError::Missing`] when some of it is missing, and those of the
    /// file system.
    pub fn open(path: &Path, accept_loss: bool) -> Result<Self, StoreError> {
        open::open(path, accept_loss)
    }

    fn write(&mut self, records: &[Record]) -> Result<Cursor, StoreError> {
        let transaction = self.connection.transaction()?;
        let mut meta = self.meta;
        meta.seq += 1;
        let (mut changed, mut sweeps) = (Changed::default(), false);
        for record in records {
            // A sweep may be deleted and submitted again in one commit: numbers are looked up in order.
            if let Some(sweep) = sweep_of(record)
                && let Entry::Vacant(vacant) = self.numbers.entry(sweep)
            {
                let number = number_of(&transaction, sweep)?;
                let nameless = || StoreError::Corrupt(format!("sweep {sweep} has trials but no row"));
                vacant.insert(number.ok_or_else(nameless)? as u64);
            }
            write_record(
                &transaction,
                &self.numbers,
                meta.seq,
                record,
                &mut changed,
                &self.checks,
            )?;
            match record {
                Record::Counters(counters) => meta.count(*counters),
                Record::Sweep(row) => {
                    self.numbers.insert(row.id, row.number);
                    sweeps = true;
                }
                Record::SweepGone(sweep) => {
                    self.numbers.remove(sweep);
                    sweeps = true;
                }
                _ => {}
            }
        }
        write_changes(&transaction, changed, meta.seq)?;
        if sweeps {
            let mut count = transaction.prepare_cached("SELECT count(*) FROM sweep")?;
            meta.there = count.query_row([], |row| row.get(0))?;
        }
        meta.write(&transaction)?;
        transaction.commit()?;
        self.meta = meta;
        self.looked_at()?;
        self.counter.write(meta.seq);
        Ok(meta.seq as Cursor)
    }

    /// What has become of the files while they were open, if they are no longer those that were opened.
    fn looked_at(&mut self) -> Result<(), StoreError> {
        let gone = self.guard.gone().or_else(|| self.log.gone());
        let what = match gone {
            Some(gone) => rescue::rescue(&self.connection, &self.path, gone),
            None => match self.guard.cut(self.length) {
                Some(cut) => format!("{cut}; restore a backup"),
                None => {
                    self.length = self.guard.length()?;
                    return Ok(());
                }
            },
        };
        Err(StoreError::Fatal(what))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // All of it is in the file then, which is whole by itself.
        let closed = self.is_sound && open::mark(&self.connection, false).is_ok();
        if !closed {
            tracing::warn!(store = %self.path.display(), "the store stays marked as in use; keep its -wal file beside it");
            // Else SQLite removes the log, which the mark says is needed.
            let keep = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            _ = self.connection.set_db_config(keep, true);
        }
    }
}

/// Statements are planned once: without the planner's guarantee of stability SQLite plans one anew when a value that was 0 or 1
/// is bound again, as it guesses from it how many rows have it; and every stage is 0.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn cursor(connection: &Connection) -> Result<Cursor, StoreError> {
    let seq: i64 = connection
        .prepare_cached("SELECT seq FROM meta")?
        .query_row([], |row| row.get(0))?;
    Ok(seq as Cursor)
}

fn number_of(connection: &Connection, sweep: SweepId) -> Result<Option<i64>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT number FROM sweep WHERE id = ?1")?;
    Ok(statement.query_row([sweep.0], |row| row.get(0)).optional()?)
}

impl Store for SqliteStore {
    fn load(&mut self, visit: &mut dyn FnMut(Record)) -> Result<Cursor, StoreError> {
        let loaded = load::load(&mut self.connection, &self.checks, visit)?;
        self.numbers = loaded.numbers;
        self.meta = loaded.meta;
        Ok(self.meta.seq as Cursor)
    }

    fn commit(&mut self, records: &[Record]) -> Result<Cursor, StoreError> {
        let written = self.write(records);
        self.is_sound &= !written.as_ref().is_err_and(StoreError::is_fatal);
        written
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        if tidy::some(&mut self.connection)? {
            return Ok(true);
        }
        if self.checks.is_complete() {
            return Ok(false);
        }
        let complete = summing::some(&mut self.connection)?;
        if complete {
            self.checks.complete();
        }
        Ok(!complete)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        prepare(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(Box::new(SqliteReader {
            connection,
            checks: self.checks.clone(),
            _guard: Arc::clone(&self.guard),
        }))
    }
}
