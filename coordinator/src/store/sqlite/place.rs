//! Where the file is, and the lock beside it that keeps other coordinators away.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

pub(super) fn beside(path: &Path, error: std::io::Error) -> StoreError {
    StoreError::Io(std::io::Error::new(
        error.kind(),
        format!("{}: {error}", path.display()),
    ))
}

/// The file's one absolute name, whatever links lead to it, so that all who open it take the same lock. Makes its
/// folder when it is not there, on disk too: SQLite syncs the folder that the file is in, and none above.
pub(super) fn place(path: &Path) -> Result<PathBuf, StoreError> {
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

pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
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
