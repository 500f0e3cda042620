//! The bound on what a folder of checkpoints takes: the oldest give way.

use std::fs::{DirBuilder, DirEntry};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use crate::session::lock;

/// What the names of files begin with that are not whole yet.
pub(super) const UNFINISHED: &str = "unfinished-";

/// Others may fill the folder too: it is looked through again after so long, when there is something to keep.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Where the checkpoints of a key lie: in one of 256 folders, so that none has too many.
pub(super) fn shelf(folder: &Path, key: &str) -> PathBuf {
    folder.join(&key[..2])
}

/// The name of a file.
pub(super) fn name(key: &str, epochs: u32) -> String {
    format!("{key}-{epochs}")
}

/// Creates a folder that is not there, for this user alone.
pub(super) fn create(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Room in a folder.
#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    /// Bytes that all files may take.
    most: u64,
    known: Mutex<Known>,
}

/// What is known of the folder.
#[derive(Debug, Default)]
struct Known {
    /// Bytes in it when it was looked through, and those that were promised since.
    bytes: u64,
    looked_at: Option<Instant>,
}

/// A file that may give way.
struct File {
    changed: SystemTime,
    path: PathBuf,
    bytes: u64,
}

impl Room {
    pub(super) fn new(folder: &Path, most: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            most,
            known: Mutex::default(),
        }
    }

    /// Makes room for a file of so many bytes: deletes the oldest where it would be too much, and an eighth of the whole
    /// more, so that a full folder is not looked through for each file.
    ///
    /// # Errors
    /// For a file that is larger than all may be, and where others cannot be deleted.
    pub(super) fn make(&self, bytes: u64) -> io::Result<()> {
        if bytes > self.most {
            let text = format!("one takes {bytes} bytes, all may take {}", self.most);
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, text));
        }
        let mut known = lock(&self.known);
        let is_old = known.looked_at.is_none_or(|at| at.elapsed() > LOOK_EVERY);
        if is_old || known.bytes + bytes > self.most {
            known.bytes = self.thin_out(bytes);
            known.looked_at = Some(Instant::now());
            if known.bytes + bytes > self.most {
                let text = format!(
                    "{} bytes are there that cannot be deleted, all may take {}",
                    known.bytes, self.most
                );
                return Err(io::Error::new(io::ErrorKind::QuotaExceeded, text));
            }
        }
        known.bytes += bytes;
        Ok(())
    }

    /// Bytes in the folder, when there is room for so many more.
    fn thin_out(&self, bytes: u64) -> u64 {
        let mut files = self.files();
        let mut sum: u64 = files.iter().map(|file| file.bytes).sum();
        if sum + bytes <= self.most {
            return sum;
        }
        let target = (self.most - self.most / 8).saturating_sub(bytes);
        files.sort_unstable_by(|a, b| (a.changed, &a.path).cmp(&(b.changed, &b.path)));
        for file in files {
            if sum <= target {
                break;
            }
            match std::fs::remove_file(&file.path) {
                Ok(()) => sum -= file.bytes,
                // Somebody else has made room too.
                Err(error) if error.kind() == io::ErrorKind::NotFound => sum -= file.bytes,
                Err(_) => {}
            }
        }
        sum
    }

    /// All files of ours: nothing else that is in the folder is ever touched.
    fn files(&self) -> Vec<File> {
        let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
        let is_hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let shelves = entries(&self.folder).filter(|entry| {
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            name.len() == 2 && is_hexadecimal(name)
        });
        let is_ours = |entry: &DirEntry| {
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            let whole = name.split_once('-').is_some_and(|(key, epochs)| {
                key.len() == 64 && is_hexadecimal(key) && epochs.parse::<u32>().is_ok()
            });
            whole || name.starts_with(UNFINISHED)
        };
        let file = |entry: DirEntry| {
            let metadata = entry.metadata().ok().filter(|metadata| metadata.is_file())?;
            Some(File {
                changed: metadata.modified().ok()?,
                path: entry.path(),
                bytes: metadata.len(),
            })
        };
        shelves
            .flat_map(|shelf| entries(&shelf.path()))
            .filter(is_ours)
            .filter_map(file)
            .collect()
    }
}
