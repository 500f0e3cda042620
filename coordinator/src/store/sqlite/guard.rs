//! The file itself: it is locked as long as any connection to it lives, and it is looked at whenever something was committed.
//!
//! SQLite's own locks are those of the process: they go when any descriptor of the file is closed. So the descriptor that
//! holds the lock here is opened before the first connection and closed after the last.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::mark::named;
use super::place::beside;
use crate::store::StoreError;

/// Bytes of a database's header that are looked at.
const HEADER: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The database's file, locked.
#[derive(Debug)]
pub(super) struct Guard {
    path: PathBuf,
    file: File,
    identity: Identity,
}

/// Tells a file from every other one.
type Identity = (u64, u64);

fn identity(path: &Path) -> std::io::Result<Identity> {
    let there = std::fs::metadata(path)?;
    Ok((there.dev(), there.ino()))
}

impl Guard {
    /// Locks a file, making it where it is not there. Whatever name it was opened by: all names of a file share its lock.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it, [`StoreError::Unsupported`] on a file system whose locks keep nobody
    /// away.
    pub(super) fn lock(path: &Path) -> Result<Self, StoreError> {
        let wrong = |error| beside(path, error);
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(wrong)?;
        let system = rustix::fs::fstatfs(&file).map_err(|error| wrong(error.into()))?;
        if let Some(name) = shared(system.f_type) {
            return Err(StoreError::Unsupported(format!(
                "{} is on {name}, whose locks do not keep a second coordinator away; put the store on a disk of this machine, \
                 or use a PostgreSQL database (--store postgres://USER@HOST/DATABASE)",
                path.display()
            )));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked {
                    path: path.to_owned(),
                    holder: "another process has the file open, perhaps under another name".to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        let there = file.metadata().map_err(wrong)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            identity: (there.dev(), there.ino()),
        })
    }

    /// Returns the length of the file in bytes.
    pub(super) fn length(&self) -> Result<u64, StoreError> {
        let there = self.file.metadata().map_err(|error| beside(&self.path, error))?;
        Ok(there.len())
    }

    /// Returns what has become of the file, if it is no longer the one that was opened.
    pub(super) fn gone(&self) -> Option<String> {
        let path = self.path.display();
        match identity(&self.path) {
            Ok(found) if found == self.identity => None,
            Ok(_) => Some(format!("{path} is another file than the one that was opened")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let folder = self.path.parent().is_some_and(Path::exists);
                Some(match folder {
                    true => format!("{path} was deleted or moved away"),
                    false => format!("the folder of {path} was deleted or moved away"),
                })
            }
            Err(error) => Some(format!("{path} cannot be looked at: {error}")),
        }
    }

    /// Returns what the file lacks, if it is shorter than its header says and than it was. Until a log is written back as a
    /// whole the header alone may be ahead of the file.
    pub(super) fn cut(&self, before: u64) -> Option<String> {
        let length = self.file.metadata().map_or(0, |there| there.len());
        if length >= before {
            return None;
        }
        let mut header = [0; HEADER];
        let whole = self.file.read_exact_at(&mut header, 0).is_ok() && header.starts_with(MAGIC);
        let expected = if whole { pages(&header) } else { before };
        (length < expected).then(|| {
            format!(
                "{} was cut to {length} bytes, and had {expected}",
                self.path.display()
            )
        })
    }
}

/// The log beside the database's file, as it was opened.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    identity: Identity,
}

impl Log {
    /// Takes note of the log that SQLite has opened.
    pub(super) fn of(store: &Path) -> Result<Self, StoreError> {
        let path = named(store, "-wal");
        let identity = identity(&path).map_err(|error| beside(&path, error))?;
        Ok(Self { path, identity })
    }

    /// Returns what has become of it, if it is no longer the one that was opened.
    pub(super) fn gone(&self) -> Option<String> {
        let path = self.path.display();
        match identity(&self.path) {
            Ok(found) if found == self.identity => None,
            Ok(_) => Some(format!("{path} is another file than the one that was opened")),
            Err(_) => Some(format!(
                "{path}, in which the newest commits are, was deleted or moved away"
            )),
        }
    }
}

/// The bytes that a header says the file has.
fn pages(header: &[u8; HEADER]) -> u64 {
    let page = u16::from_be_bytes([header[16], header[17]]);
    // 1 stands for 65,536, which two bytes cannot hold.
    let page = if page == 1 { 65_536 } else { u64::from(page) };
    let count = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
    page * u64::from(count)
}

/// The name of a file system that is shared over a network, where `flock` is emulated or does not reach other machines.
fn shared(kind: impl TryInto<u64>) -> Option<&'static str> {
    // Numbers of linux/magic.h.
    match kind.try_into().ok()? & 0xffff_ffff {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x0102_1997 => Some("9P"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_over_a_network_are_known_by_their_numbers() {
        assert_eq!(shared(0x6969_i64), Some("NFS"));
        // As a system with 32-bit numbers has it.
        assert_eq!(shared(0xff53_4d42_u64), Some("SMB"));
        for local in [0xef53_i64, 0x5846_5342, 0x0102_1994, 0x9123_683e, 0x794c_7630] {
            assert_eq!(shared(local), None, "ext4, XFS, tmpfs, Btrfs, overlay");
        }
    }

    #[test]
    fn a_file_that_is_not_the_one_that_was_opened_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("store"), folder.path().join("other"));
        let guard = Guard::lock(&path).unwrap();
        assert_eq!(guard.gone(), None);
        std::fs::hard_link(&path, &other).unwrap();
        assert!(matches!(Guard::lock(&other), Err(StoreError::Locked { .. })));
        std::fs::remove_file(&path).unwrap();
        assert!(guard.gone().unwrap().contains("deleted"));
        std::fs::write(&path, "another").unwrap();
        assert!(guard.gone().unwrap().contains("another file"));
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(guard.gone(), None, "back in its place");
    }
}
