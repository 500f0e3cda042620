//! Opening: the locks, what is missing, the schema, and the mark that the store is in use.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use super::guard::{Guard, Log};
use super::mark::{self, Alone, Counter};
use super::meta::Meta;
use super::place::{beside, lock, place};
use super::restore::FENCES;
use super::{CACHE, SqliteStore, prepare, schema, summing};
use crate::store::StoreError;
use crate::store::checks::Checks;

pub(super) fn open(path: &Path, accept_loss: bool) -> Result<SqliteStore, StoreError> {
    let path = &place(path)?;
    let lock = lock(path)?;
    let guard = Arc::new(Guard::lock(path)?);
    let alone = Alone::read(path);
    let accept = |what: String| -> Result<(), StoreError> {
        if accept_loss {
            tracing::warn!(store = %path.display(), what, "the store is not whole, which is accepted");
            return Ok(());
        }
        Err(StoreError::Missing {
            path: path.to_owned(),
            what,
        })
    };
    let mut lost = false;
    if let Some(what) = alone.and_then(|alone| alone.misses(path)) {
        accept(what)?;
        mark::set_aside(path)?;
        lost = true;
    }
    let mut connection = connect(path)?;
    let mut meta = Meta::read(&connection)?;
    if let Some(what) = alone.and_then(|alone| alone.contradicts(meta.seq)) {
        accept(what)?;
        lost = true;
        drop(connection);
        mark::set_aside(path)?;
        connection = connect(path)?;
        meta = Meta::read(&connection)?;
    }
    let id = connection.query_row("SELECT store FROM meta", [], |row| row.get(0))?;
    if let Some(what) = mark::older(path, &id, meta.seq) {
        accept(what)?;
        lost = true;
    }
    if lost {
        whole(&connection)?;
        // What was lost may have given out fences, of which none is given out twice.
        meta.skip_fences(FENCES);
        meta.write(&connection)?;
    }
    mark(&connection, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    let checks = Checks::default();
    if summing::is_complete(&connection)? {
        checks.complete();
    }
    Ok(SqliteStore {
        path: path.to_owned(),
        counter: Counter::open(path, id, meta.seq),
        log: Log::of(path)?,
        length: guard.length()?,
        is_sound: true,
        connection,
        meta,
        checks,
        numbers: BTreeMap::new(),
        guard,
        _lock: lock,
    })
}

/// Connects, and brings the schema up to date.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    let foreign = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::Foreign {
            path: path.to_owned(),
            reason: error.to_string(),
        },
        Some(ErrorCode::DatabaseCorrupt) => error.into(),
        _ => beside(path, io::Error::other(error)),
    };
    let mut connection = Connection::open(path).map_err(foreign)?;
    prepare(&connection).map_err(foreign)?;
    // Until it is known that the log belongs to the file it is not written back.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
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
    if version < 0 || (version == 0 && tables > 0) {
        return Err(StoreError::Corrupt(format!(
            "{} has schema version {version}, and {tables} tables; restore a backup",
            path.display()
        )));
    }
    // SQLite opens a file that it may not write for reading only.
    if connection.is_readonly("main")? {
        let denied = io::ErrorKind::PermissionDenied;
        return Err(beside(path, io::Error::new(denied, "it cannot be written")));
    }
    if version > 0 && version < schema::VERSION {
        tracing::info!(store = %path.display(), version, "the store is brought up to date");
    }
    schema::migrate(&mut connection, version)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        let reason = format!("its file system has no write-ahead log ({mode} instead); choose a local one");
        return Err(beside(path, io::Error::other(reason)));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -CACHE)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    Ok(connection)
}

/// Says in the file itself whether the store is in use: the log is written back with it.
pub(super) fn mark(connection: &Connection, in_use: bool) -> Result<(), StoreError> {
    let marked = connection.execute("UPDATE meta SET in_use = ?1 WHERE in_use != ?1", [in_use])?;
    if marked == 0 {
        return Ok(());
    }
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    match busy {
        0 => Ok(()),
        _ => Err(StoreError::Unknown(
            "the log could not be written back: something reads the store".to_owned(),
        )),
    }
}

/// Refuses a file in which pages of several times are mixed.
fn whole(connection: &Connection) -> Result<(), StoreError> {
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match said.as_str() {
        "ok" => Ok(()),
        problem => Err(StoreError::Corrupt(format!(
            "without what is missing it is no whole store ({problem}); restore a backup"
        ))),
    }
}
