//! A store in one SQLite file: write-ahead log, `synchronous=FULL`, one writer, a transaction a turn.

mod rows;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, params};
use tenfold_core::record::{AttemptRow, Counters, LeaseRow, Record};
use tenfold_types::{SweepId, TrialId, TrialKey};

use super::{Change, Changes, Cursor, Reader, Store, StoreError, StoredTrial};

/// Statements kept prepared; more than there are.
const STATEMENTS: usize = 64;

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
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
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
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if mode != "wal" {
            let reason =
                format!("its file system has no write-ahead log ({mode} instead); choose a local one");
            return Err(beside(path, std::io::Error::other(reason)));
        }
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
        schema::migrate(&mut connection, version)?;
        let cursor = cursor(&connection)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            cursor,
            numbers: BTreeMap::new(),
            _lock: lock,
        })
    }

    fn number(&mut self, sweep: SweepId) -> Result<i64, StoreError> {
        if let Some(number) = self.numbers.get(&sweep) {
            return Ok(*number as i64);
        }
        let number = number_of(&self.connection, sweep)?;
        let number =
            number.ok_or_else(|| StoreError::Corrupt(format!("sweep {sweep} has trials but no row")))?;
        self.numbers.insert(sweep, number as u64);
        Ok(number)
    }
}

fn beside(path: &Path, error: std::io::Error) -> StoreError {
    StoreError::Io(std::io::Error::new(
        error.kind(),
        format!("{}: {error}", path.display()),
    ))
}

/// The file's one absolute name, whatever links lead to it, so that all who open it take the same lock. Makes its
/// folder when it is not there, on disk too: SQLite syncs the folder that the file is in, and none above.
fn place(path: &Path) -> Result<PathBuf, StoreError> {
    if let Ok(path) = fs::canonicalize(path) {
        return Ok(path);
    }
    let wrong = |error| beside(path, error);
    let path = std::path::absolute(path).map_err(wrong)?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(wrong(std::io::ErrorKind::IsADirectory.into()));
    };
    let missing = folder.ancestors().take_while(|folder| !folder.exists()).count();
    fs::create_dir_all(folder).map_err(wrong)?;
    for above in folder.ancestors().skip(1).take(missing) {
        File::open(above)
            .and_then(|above| above.sync_all())
            .map_err(wrong)?;
    }
    Ok(fs::canonicalize(folder).map_err(wrong)?.join(name))
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let beside = |error| beside(Path::new(&name), error);
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&name)
        .map_err(beside)?;
    match file.try_lock() {
        Ok(()) => {
            // Only a help for whoever finds it locked; that it cannot be written on a full disk does no harm.
            _ = file
                .set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| write!(file, "process {}", std::process::id()));
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            _ = file.read_to_string(&mut holder);
            let holder = if holder.is_empty() {
                "unknown process".to_owned()
            } else {
                holder
            };
            Err(StoreError::Locked {
                path: path.to_owned(),
                holder,
            })
        }
        Err(TryLockError::Error(error)) => Err(beside(error)),
    }
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

/// The epochs of one attempt, in order.
fn of_attempt() -> String {
    format!(
        "SELECT {} FROM epochs WHERE sweep = ?1 AND stage = ?2 AND point = ?3 AND repetition = ?4 AND fence = ?5 \
         ORDER BY first",
        rows::EPOCHS
    )
}

/// The first rows of a sweep behind a commit, `?3` of them and those that the last one's commit wrote too.
fn page(table: &str, columns: &str) -> String {
    format!(
        "SELECT {columns}, seq FROM {table} WHERE sweep = ?1 AND seq > ?2 AND seq <= coalesce((SELECT seq FROM {table} \
         WHERE sweep = ?1 AND seq > ?2 ORDER BY seq LIMIT 1 OFFSET ?3 - 1), {}) ORDER BY seq",
        i64::MAX
    )
}

fn json<T>(result: serde_json::Result<T>) -> Result<T, StoreError> {
    result.map_err(|error| StoreError::Corrupt(error.to_string()))
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
            for row in statement.query_map([], rows::sweep)? {
                let row = row?;
                sweeps.push((row.number as i64, row.id));
                visit(Record::Sweep(row));
            }
            let mut statement = transaction.prepare("SELECT id, row FROM worker ORDER BY id")?;
            for row in statement.query_map([], rows::worker)? {
                visit(Record::Worker(row?));
            }
            let mut statement = transaction.prepare("SELECT row FROM lease ORDER BY fence")?;
            for row in statement.query_map([], |row| row.get::<_, String>(0))? {
                visit(Record::Lease(json(serde_json::from_str::<LeaseRow>(&row?))?));
            }
            let trials = format!("SELECT {} FROM trial WHERE sweep = ?1", rows::TRIAL);
            let mut trials = transaction.prepare(&trials)?;
            let mut held = Vec::new();
            for (number, id) in &sweeps {
                for row in trials.query_map([number], |row| rows::trial(*id, row))? {
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
                for row in epochs.query_map(of, |row| rows::epochs(sweep, row))? {
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
        // Numbers first: looking one up must not happen within the transaction, which borrows the connection.
        for record in records {
            if let Record::Sweep(row) = record {
                self.numbers.insert(row.id, row.number);
            }
        }
        let mut numbers = BTreeMap::new();
        for sweep in records.iter().filter_map(sweep_of) {
            if let Entry::Vacant(vacant) = numbers.entry(sweep) {
                vacant.insert(self.number(sweep)?);
            }
        }
        let transaction = self.connection.transaction()?;
        for record in records {
            write_record(&transaction, &numbers, at as i64, record)?;
        }
        transaction
            .prepare_cached("UPDATE meta SET seq = ?1")?
            .execute([at as i64])?;
        transaction.commit()?;
        self.cursor = at;
        Ok(at)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "query_only", true)?;
        Ok(Box::new(SqliteReader { connection }))
    }
}

fn sweep_of(record: &Record) -> Option<SweepId> {
    match record {
        Record::Trial(row) => Some(row.id.sweep),
        Record::Attempt(row) => Some(row.trial.sweep),
        Record::Epochs(row) => Some(row.trial.sweep),
        Record::EpochsDropped { trial, .. } => Some(trial.sweep),
        _ => None,
    }
}

fn write_record(
    transaction: &Transaction<'_>,
    numbers: &BTreeMap<SweepId, i64>,
    at: i64,
    record: &Record,
) -> Result<(), StoreError> {
    let execute = |sql: &str, values: &[&dyn rusqlite::ToSql]| -> Result<(), StoreError> {
        transaction.prepare_cached(sql)?.execute(values)?;
        Ok(())
    };
    let number = |sweep: SweepId| {
        numbers
            .get(&sweep)
            .copied()
            .ok_or_else(|| StoreError::Corrupt(format!("sweep {sweep} has no number")))
    };
    match record {
        Record::Counters(counters) => execute(
            "UPDATE meta SET fence = ?1, sweeps = ?2",
            params![counters.fence as i64, counters.sweeps as i64],
        ),
        Record::Sweep(row) => execute(
            "INSERT INTO sweep (number, id, seq, name, normalised, submitted_at, finished_at, control) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (number) DO UPDATE SET seq = excluded.seq, \
             name = excluded.name, finished_at = excluded.finished_at, control = excluded.control",
            params![
                row.number as i64,
                row.id.0,
                at,
                row.name,
                row.normalised,
                row.submitted_at as i64,
                row.finished_at.map(|at| at as i64),
                rows::control(row.control)
            ],
        ),
        Record::Worker(row) => execute(
            "INSERT OR REPLACE INTO worker (id, row) VALUES (?1, ?2)",
            params![row.id.0, json(rows::worker_text(row))?],
        ),
        Record::Trial(row) => {
            let key = row.id.key;
            let (state, fence, worker, carried) = rows::state(&row.state);
            execute(
                "INSERT OR REPLACE INTO trial (sweep, stage, point, repetition, seq, state, fence, worker, number, \
                 attempts, failures, error) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                params![
                    number(row.id.sweep)?,
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
                    row.error
                ],
            )
        }
        Record::Attempt(row) => write_attempt(&execute, number(row.trial.sweep)?, row),
        Record::Epochs(row) => {
            let key = row.trial.key;
            execute(
                "INSERT OR REPLACE INTO epochs (sweep, stage, point, repetition, fence, first, seq, attempt, epochs, columns, \
                 seconds) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                params![
                    number(row.trial.sweep)?,
                    key.stage,
                    key.index as i64,
                    key.repetition,
                    row.fence.0 as i64,
                    row.block.first,
                    at,
                    row.attempt,
                    row.block.epochs,
                    rows::floats(&row.block.columns),
                    rows::floats(&row.block.seconds)
                ],
            )
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
        Record::Lease(row) => execute(
            "INSERT OR REPLACE INTO lease (fence, row) VALUES (?1, ?2)",
            params![row.fence.0 as i64, json(serde_json::to_string(row))?],
        ),
        Record::LeaseClosed(fence) => execute("DELETE FROM lease WHERE fence = ?1", params![fence.0 as i64]),
        Record::Renewed { .. } | Record::Seen { .. } => Ok(()),
    }
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
            row.host,
            row.device,
            row.threads,
            row.version,
            row.libtorch,
            row.started_at as i64,
            row.ended_at.map(|at| at as i64),
            row.ended,
            row.error,
            row.stderr
        ],
    )
}

struct SqliteReader {
    connection: Connection,
}

impl Reader for SqliteReader {
    fn changes(&mut self, sweep: SweepId, since: Cursor, limit: usize) -> Result<Changes, StoreError> {
        let transaction = self.connection.transaction()?;
        let head = cursor(&transaction)?;
        let Some(number) = number_of(&transaction, sweep)? else {
            return Ok(Changes {
                cursor: head,
                rows: Vec::new(),
                end: true,
            });
        };
        let (since, limit) = (since.min(head) as i64, limit.max(1));
        let mut changes = Vec::new();
        // The commit that each table's page ends in; what lies behind the nearest of these is left for the next page.
        let mut until = i64::MAX;
        let mut collect =
            |kind: u8, sql: &str, read: &dyn Fn(&rusqlite::Row<'_>) -> rusqlite::Result<(i64, Change)>| {
                let mut statement = transaction.prepare_cached(sql)?;
                let mut rows = statement.query(params![number, since, limit as i64])?;
                let (mut count, mut last) = (0_usize, since);
                while let Some(row) = rows.next()? {
                    let (at, change) = read(row)?;
                    count += 1;
                    last = at;
                    changes.push((at as Cursor, kind, change));
                }
                if count >= limit {
                    until = until.min(last);
                }
                Ok::<(), StoreError>(())
            };
        let seq = |row: &rusqlite::Row<'_>| row.get::<_, i64>("seq");
        collect(1, &page("epochs", rows::EPOCHS), &|row| {
            Ok((seq(row)?, Change::Epochs(rows::epochs(sweep, row)?)))
        })?;
        collect(2, &page("trial", rows::TRIAL), &|row| {
            Ok((seq(row)?, Change::Trial(rows::trial(sweep, row)?)))
        })?;
        collect(
            0,
            &format!(
                "SELECT {}, seq FROM sweep WHERE number = ?1 AND seq > ?2 AND ?3 > 0",
                rows::SWEEP
            ),
            &|row| Ok((seq(row)?, Change::Sweep(rows::sweep(row)?))),
        )?;
        changes.retain(|(at, ..)| *at as i64 <= until);
        changes.sort_by_key(|(at, kind, _)| (*at, *kind));
        let mut page = Changes::page(changes, head, limit);
        if page.end && until != i64::MAX {
            page.end = false;
            page.cursor = until as Cursor;
        }
        Ok(page)
    }

    fn point(&mut self, sweep: SweepId, stage: u32, index: u64) -> Result<Vec<StoredTrial>, StoreError> {
        let transaction = self.connection.transaction()?;
        let Some(number) = number_of(&transaction, sweep)? else {
            return Ok(Vec::new());
        };
        let sql = format!(
            "SELECT {} FROM trial WHERE sweep = ?1 AND stage = ?2 AND point = ?3 ORDER BY repetition",
            rows::TRIAL
        );
        let mut statement = transaction.prepare_cached(&sql)?;
        let trials = statement.query_map(params![number, stage, index as i64], |row| {
            rows::trial(sweep, row)
        })?;
        let mut blocks = transaction.prepare_cached(&of_attempt())?;
        let mut stored = Vec::new();
        for row in trials {
            let row = row?;
            let fence = row
                .state
                .accepted()
                .or_else(|| row.state.holder().map(|(fence, _)| fence));
            let mut own = Vec::new();
            if let Some(fence) = fence {
                let of = params![number, stage, index as i64, row.id.key.repetition, fence.0 as i64];
                for block in blocks.query_map(of, |row| rows::epochs(sweep, row))? {
                    own.push(block?.block);
                }
            }
            stored.push(StoredTrial { row, blocks: own });
        }
        Ok(stored)
    }

    fn attempts(&mut self, trial: TrialId) -> Result<Vec<AttemptRow>, StoreError> {
        let Some(number) = number_of(&self.connection, trial.sweep)? else {
            return Ok(Vec::new());
        };
        let TrialKey {
            stage,
            index,
            repetition,
        } = trial.key;
        let sql = format!(
            "SELECT {} FROM attempt WHERE sweep = ?1 AND stage = ?2 AND point = ?3 AND repetition = ?4 \
             ORDER BY number DESC",
            rows::ATTEMPT
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let attempts = statement.query_map(params![number, stage, index as i64, repetition], |row| {
            rows::attempt(trial.sweep, row)
        })?;
        Ok(attempts.collect::<Result<_, _>>()?)
    }
}
