//! A store in one SQLite file: write-ahead log, `synchronous=FULL`, one writer, a transaction a turn.

mod columns;
mod place;
mod read;
mod restore;
mod schema;
#[cfg(test)]
mod tests;
mod tidy;
mod write;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};
use tenfold_core::record::{Counters, Record};
use tenfold_types::{SweepId, TrialId};

use self::place::{beside, lock, place};
use self::read::{SqliteReader, of_attempt};
pub(super) use self::restore::restore;
use self::write::{sweep_of, write_changes, write_record};
use super::changes::Changed;
use super::{Cursor, Reader, Store, StoreError, rows};

/// Statements kept prepared; more than there are.
const STATEMENTS: usize = 64;

/// Kibibytes of pages that the writer keeps: a thousand trials that run have a page each for their epochs.
const CACHE: i64 = 16 << 10;

/// The store, and the lock that keeps other coordinators away while it lives.
pub struct SqliteStore {
    path: PathBuf,
    connection: Connection,
    cursor: Cursor,
    /// The numbers by which rows name their sweeps.
    numbers: BTreeMap<SweepId, u64>,
    /// Held for the life of the store. The system lets go of it even when the process is killed.
    _lock: File,
}

impl SqliteStore {
    /// Opens the file, making it and its folder when they are not there, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another coordinator has it, [`StoreError::Version`] when it is too new,
    /// [`StoreError::Foreign`] when it is something else, and those of the file system.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let path = &place(path)?;
        let lock = lock(path)?;
        let foreign = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => StoreError::Foreign {
                path: path.to_owned(),
                reason: error.to_string(),
            },
            _ => beside(path, std::io::Error::other(error)),
        };
        let mut connection = Connection::open(path).map_err(foreign)?;
        prepare(&connection).map_err(foreign)?;
        let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (application, version) = (
            pragma("application_id").map_err(foreign)?,
            pragma("user_version").map_err(foreign)?,
        );
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(foreign)?;
        if application != schema::APPLICATION && tables > 0 {
            let reason = "it is a database of another program".to_owned();
            return Err(StoreError::Foreign {
                path: path.to_owned(),
                reason,
            });
        }
        if version > schema::VERSION {
            return Err(StoreError::Version {
                path: path.to_owned(),
                found: version,
                known: schema::VERSION,
            });
        }
        // SQLite opens a file that it may not write for reading only.
        if connection.is_readonly("main")? {
            let denied = std::io::ErrorKind::PermissionDenied;
            return Err(beside(path, std::io::Error::new(denied, "it cannot be written")));
        }
        if version > 0 && version < schema::VERSION {
            tracing::info!(store = %path.display(), version, "the store is brought up to date");
        }
        schema::migrate(&mut connection, version)?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if mode != "wal" {
            let reason =
                format!("its file system has no write-ahead log ({mode} instead); choose a local one");
            return Err(beside(path, std::io::Error::other(reason)));
        }
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cache_size", -CACHE)?;
        connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
        let cursor = cursor(&connection)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            cursor,
            numbers: BTreeMap::new(),
            _lock: lock,
        })
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
        // One transaction, so that all of it is of one moment.
        let transaction = self.connection.transaction()?;
        let counters = transaction.query_row("SELECT fence, sweeps FROM meta", [], |row| {
            Ok(Counters {
                fence: row.get::<_, i64>(0)? as u64,
                sweeps: row.get::<_, i64>(1)? as u64,
            })
        })?;
        visit(Record::Counters(counters));
        let mut sweeps = Vec::new();
        {
            let mut statement =
                transaction.prepare(&format!("SELECT {} FROM sweep ORDER BY number", rows::SWEEP))?;
            for row in statement.query_and_then([], |row| rows::sweep(row))? {
                let row = row?;
                sweeps.push((row.number as i64, row.id));
                visit(Record::Sweep(row));
            }
            let mut statement = transaction.prepare("SELECT id, row FROM worker ORDER BY id")?;
            for row in statement.query_and_then([], |row| rows::worker(row))? {
                visit(Record::Worker(row?));
            }
            let mut statement =
                transaction.prepare(&format!("SELECT {} FROM request ORDER BY number", rows::REQUEST))?;
            for row in statement.query_and_then([], |row| rows::request(row))? {
                visit(Record::Request(row?));
            }
            let ids: BTreeMap<i64, SweepId> = sweeps.iter().copied().collect();
            let living = format!(
                "SELECT {}, sweep FROM lease WHERE trials IS NOT NULL ORDER BY fence",
                rows::LEASE
            );
            let mut statement = transaction.prepare(&living)?;
            let mut living = statement.query([])?;
            while let Some(row) = living.next()? {
                let number: i64 = row.get("sweep")?;
                let sweep = ids
                    .get(&number)
                    .ok_or_else(|| StoreError::Corrupt(format!("a lease names sweep number {number}")))?;
                visit(Record::Lease(rows::lease(*sweep, row)?));
            }
            let extensions = format!(
                "SELECT {} FROM extension WHERE sweep = ?1 ORDER BY number",
                rows::EXTENSION
            );
            let mut extensions = transaction.prepare(&extensions)?;
            for (number, id) in &sweeps {
                for row in extensions.query_and_then([number], |row| rows::extension(*id, row))? {
                    visit(Record::Extension(row?));
                }
            }
            let choices = format!("SELECT {} FROM choice WHERE sweep = ?1", rows::CHOICE);
            let mut choices = transaction.prepare(&choices)?;
            for (number, id) in &sweeps {
                for row in choices.query_and_then([number], |row| rows::choice(*id, row))? {
                    visit(Record::Choice(row?));
                }
            }
            let trials = format!("SELECT {} FROM trial WHERE sweep = ?1", rows::TRIAL);
            let mut trials = transaction.prepare(&trials)?;
            let mut held = Vec::new();
            for (number, id) in &sweeps {
                for row in trials.query_and_then([number], |row| rows::trial(*id, row))? {
                    let row = row?;
                    held.extend(row.state.holder().map(|(fence, _)| (*number, row.id, fence)));
                    visit(Record::Trial(row));
                }
            }
            // A look-up a held trial, and no join: as a join SQLite reads all epochs ever stored.
            let mut epochs = transaction.prepare(&of_attempt())?;
            for (number, TrialId { sweep, key }, fence) in held {
                let of = params![
                    number,
                    key.stage,
                    key.index as i64,
                    key.repetition,
                    fence.0 as i64
                ];
                for row in epochs.query_and_then(of, |row| rows::epochs(sweep, row))? {
                    visit(Record::Epochs(row?));
                }
            }
        }
        transaction.commit()?;
        self.numbers = sweeps
            .into_iter()
            .map(|(number, id)| (id, number as u64))
            .collect();
        self.cursor = cursor(&self.connection)?;
        Ok(self.cursor)
    }

    fn commit(&mut self, records: &[Record]) -> Result<Cursor, StoreError> {
        let at = self.cursor + 1;
        let transaction = self.connection.transaction()?;
        let mut changed = Changed::default();
        for record in records {
            // A sweep may be deleted and submitted again in one commit: numbers are looked up in order.
            if let Some(sweep) = sweep_of(record)
                && let Entry::Vacant(vacant) = self.numbers.entry(sweep)
            {
                let number = number_of(&transaction, sweep)?;
                let nameless = || StoreError::Corrupt(format!("sweep {sweep} has trials but no row"));
                vacant.insert(number.ok_or_else(nameless)? as u64);
            }
            write_record(&transaction, &self.numbers, at as i64, record, &mut changed)?;
            match record {
                Record::Sweep(row) => _ = self.numbers.insert(row.id, row.number),
                Record::SweepGone(sweep) => _ = self.numbers.remove(sweep),
                _ => {}
            }
        }
        write_changes(&transaction, changed, at as i64)?;
        transaction
            .prepare_cached("UPDATE meta SET seq = ?1")?
            .execute([at as i64])?;
        transaction.commit()?;
        self.cursor = at;
        Ok(at)
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        tidy::some(&mut self.connection)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        prepare(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(Box::new(SqliteReader { connection }))
    }
}
