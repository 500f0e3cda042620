//! Making a store of a backup.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::meta::Meta;
use super::place::{beside, lock, place};
use super::{schema, verify};
use crate::store::StoreError;

/// By so much the fences of a restored store go on above those of the backup: more than can have been given out since it
/// was made, so that none is given out twice.
pub(super) const FENCES: i64 = 1 << 40;

/// Copies a backup to where no store is, checked and on disk when this returns. The store's place.
///
/// # Errors
/// [`StoreError::Io`] when something is there or the backup cannot be read, [`StoreError::Foreign`] and
/// [`StoreError::Corrupt`] when it is no store, [`StoreError::Missing`] when some of its rows are not what was written and that is
/// not accepted.
pub(in crate::store) fn restore(backup: &Path, to: &Path, accept_loss: bool) -> Result<PathBuf, StoreError> {
    check(backup)?;
    let to = place(to)?;
    let _lock = lock(&to)?;
    let folder = to.parent().unwrap_or(Path::new("/"));
    if to.exists() {
        let there = std::io::Error::new(
            std::io::ErrorKind::AlreadyExists,
            "it is there already; a backup is restored to where no store is",
        );
        return Err(beside(&to, there));
    }
    let wrong = |error| beside(&to, error);
    let copy = tempfile::NamedTempFile::new_in(folder).map_err(wrong)?;
    fs::copy(backup, copy.path()).map_err(wrong)?;
    let mut connection = Connection::open(copy.path())?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > schema::VERSION {
        return Err(StoreError::Version {
            path: backup.to_owned(),
            found: version,
            known: schema::VERSION,
        });
    }
    schema::migrate(&mut connection, version)?;
    if let Some(what) = verify::damage(&mut connection)?
        && !accept_loss
    {
        return Err(StoreError::Missing {
            path: backup.to_owned(),
            what,
        });
    }
    let mut meta = Meta::read(&connection)?;
    meta.skip_fences(FENCES);
    meta.write(&connection)?;
    // Another store from now on: the number of commits that is beside its place is not about it.
    connection.execute("UPDATE meta SET store = randomblob(16), in_use = 0", [])?;
    connection.close().map_err(|(_, error)| error)?;
    copy.as_file().sync_all().map_err(wrong)?;
    copy.persist_noclobber(&to).map_err(|error| wrong(error.error))?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(wrong)?;
    Ok(to)
}

fn check(backup: &Path) -> Result<(), StoreError> {
    let foreign = |reason: String| StoreError::Foreign {
        path: backup.to_owned(),
        reason,
    };
    File::open(backup).map_err(|error| beside(backup, error))?;
    let connection = Connection::open_with_flags(backup, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|error| foreign(error.to_string()))?;
    let application: i64 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(|error| foreign(error.to_string()))?;
    if application != schema::APPLICATION {
        return Err(foreign("it is no backup of a coordinator".to_owned()));
    }
    let damaged = |problem: &str| {
        let backup = backup.display();
        StoreError::Corrupt(format!("{backup}: {problem}; restore another backup"))
    };
    match connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)) {
        Ok(said) if said == "ok" => Ok(()),
        Ok(problem) => Err(damaged(&problem)),
        Err(error) => Err(damaged(&error.to_string())),
    }
}
