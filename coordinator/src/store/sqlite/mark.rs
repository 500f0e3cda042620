//! What is missed of a store that was killed or copied: its log, or its newest commits.
//!
//! While a coordinator has the store, its row of counters says so, in the file itself and not only in the log. So a copy of
//! the file alone, without the log that the newest commits are in, is known for what it is. Beside the file stands the
//! number of the newest commit, written after each one and not synced: it may lag behind the store and never leads.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::place::beside;
use crate::store::StoreError;

/// Bytes of a log's header.
const LOG_HEADER: u64 = 32;
/// Bytes of a log that are searched for the store's name.
const LOG: u64 = 64 << 20;

/// A store's own name: random, given once.
pub(super) type StoreId = [u8; 16];

/// The file's name with something behind it.
pub(super) fn named(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn log(path: &Path) -> PathBuf {
    named(path, "-wal")
}

/// What the file by itself says, without its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alone {
    id: StoreId,
    in_use: bool,
    seq: i64,
    /// Its newest pages are in a log, as long as it is in use.
    logs: bool,
}

impl Alone {
    /// Reads it; none where there is no store, or one of an earlier version, or one that cannot be read without its log.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let mut header = [0; 100];
        let whole = File::open(path).and_then(|file| file.read_exact_at(&mut header, 0));
        let logs = whole.is_ok() && header[18] == 2;
        let address = format!("file:{}?immutable=1", escaped(path)?);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(address, flags).ok()?;
        let (id, in_use, seq) = connection
            .query_row("SELECT store, in_use, seq FROM meta", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()
            .ok()??;
        Some(Self {
            id,
            in_use,
            seq,
            logs,
        })
    }

    /// Returns what is missing of the store, before its log is looked at by SQLite.
    pub(super) fn misses(&self, path: &Path) -> Option<String> {
        let log = log(path);
        let length = fs::metadata(&log).map(|there| there.len());
        match length {
            Err(_) if self.in_use && self.logs => Some(format!(
                "{} is not there: the file was copied without it or it was deleted, and the newest commits were in it; put the \
                 file and its log there as they were, or restore a backup",
                log.display()
            )),
            Ok(length) if length > LOG_HEADER && !holds(&log, &self.id) => {
                Some(format!("{} is the log of another store", log.display()))
            }
            _ => None,
        }
    }

    /// Returns what is wrong with the log of a store that was closed in order, and so needs none, once SQLite has taken it in:
    /// the only commit in it may be that of the mark.
    pub(super) fn contradicts(&self, seq: i64) -> Option<String> {
        let other = !self.in_use && seq != self.seq;
        other.then(|| {
            format!(
                "the log beside it is of another time: the file was closed in order after commit {}, and with the log it comes \
                 to {seq}",
                self.seq
            )
        })
    }
}

/// A path as a part of an address of SQLite's.
fn escaped(path: &Path) -> Option<String> {
    let path = path.to_str()?;
    Some(path.replace('%', "%25").replace('?', "%3f").replace('#', "%23"))
}

/// Whether a log has the name of the store in it, as every log has with a commit in it: each writes the counters.
fn holds(log: &Path, id: &StoreId) -> bool {
    let mut bytes = Vec::new();
    let read = File::open(log).and_then(|file| file.take(LOG).read_to_end(&mut bytes));
    read.is_ok() && bytes.windows(id.len()).any(|part| part == id)
}

/// Puts a log that is not the store's out of the way.
pub(super) fn set_aside(path: &Path) -> Result<(), StoreError> {
    let log = log(path);
    match fs::rename(&log, named(path, "-wal.set-aside")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(beside(&log, error)),
        _ => Ok(()),
    }
}

/// The number of the newest commit, beside the store.
#[derive(Debug)]
pub(super) struct Counter {
    file: Option<File>,
    id: StoreId,
}

impl Counter {
    /// Where it stands.
    pub(super) fn path(store: &Path) -> PathBuf {
        named(store, "-commits")
    }

    /// The number that is there of this store.
    pub(super) fn read(store: &Path, id: &StoreId) -> Option<i64> {
        let text = fs::read_to_string(Self::path(store)).ok()?;
        let (of, number) = text.trim_end().split_once(' ')?;
        (of == hex(id)).then(|| number.trim().parse().ok())?
    }

    /// Goes on from a commit. Where it cannot be written there is none: it is a help, and nothing rests on it.
    pub(super) fn open(store: &Path, id: StoreId, seq: i64) -> Self {
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(Self::path(store));
        let counter = Self { file: file.ok(), id };
        counter.write(seq);
        counter
    }

    /// Notes a commit that is on disk.
    pub(super) fn write(&self, seq: i64) {
        if let Some(file) = &self.file {
            // Always as long, so that an older number leaves nothing behind.
            _ = file.write_all_at(format!("{} {seq:<20}\n", hex(&self.id)).as_bytes(), 0);
        }
    }
}

fn hex(id: &StoreId) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns what is missing of a store that has come to a commit, by the number beside it.
pub(super) fn older(store: &Path, id: &StoreId, seq: i64) -> Option<String> {
    let newest = Counter::read(store, id).filter(|newest| *newest > seq)?;
    Some(format!(
        "it ends with commit {seq}, and {} says that there were {newest}: {} commits are missing",
        Counter::path(store).display(),
        newest - seq
    ))
}
