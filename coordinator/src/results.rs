//! The results log of a sweep: `RESULTS/<sweep>/aggregate.jsonl`, a file that `tail -f` follows.
//!
//! A watcher like any other, whose reader is a file. It may lag, and is rebuilt from the store when a coordinator
//! starts; what it holds for a finished sweep is a pure function of the accepted curves.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tenfold_core::sweep::Sweep;
use tenfold_proto::v1;
use tenfold_types::SweepId;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::grpc::{Service, messages};
use crate::report::log;
use crate::turn::TurnError;
use crate::watch::{self, Seen, Watch};

/// The name of the log in a sweep's folder.
pub const LOG: &str = "aggregate.jsonl";
/// Bytes that are written to a log at once: each write is a thread's work, and an epoch's line has about a thousand.
const BUFFER: usize = 128 << 10;
/// Each time so many bytes of a log are written, the system is told that it need not keep its latest windows in memory: a
/// log of gigabytes would displace what others read, and new memory is dearer than memory used again.
const WINDOW: u64 = 32 << 20;
const WINDOWS: u64 = 3;
/// How soon a log that could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// Logs of sweeps that are over already which are written at once: where a folder is new there may be thousands.
const OVER: usize = 8;

/// The folder of a sweep among results: its name, as far as file systems take it, and the start of its id.
pub fn sweep_folder(name: &str, id: SweepId) -> String {
    let safe = |c: char| {
        if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') {
            c
        } else {
            '-'
        }
    };
    let name: String = name.chars().map(safe).take(60).collect();
    format!("{}-{}", name.trim_start_matches('.'), id.short())
}

/// Keeps the log of every sweep, until the service shuts down.
pub async fn keep_logs(service: Service, results: PathBuf) {
    let mut commits = service.turn.commits();
    let mut shutdown = service.shutdown.clone();
    let mut writers: BTreeMap<SweepId, JoinHandle<()>> = BTreeMap::new();
    let (mut seen, mut first) = (0, true);
    let over_at_once = Arc::new(Semaphore::new(OVER));
    loop {
        commits.borrow_and_update();
        // Sweeps that are not over, and new ones even if they are: some end before they are looked at.
        let listed = service.turn.read(move |state, _| {
            let new = state
                .newest_sweeps()
                .take_while(|sweep| sweep.row().number > seen);
            let new = new.filter(|sweep| sweep.row().finished_at.is_some());
            let sweeps = state.unfinished_sweeps().chain(new);
            let sweeps = sweeps.map(|sweep| (sweep.sweep().clone(), messages::sweep_status(sweep)));
            (sweeps.collect::<Vec<_>>(), state.counters().sweeps)
        });
        match listed.await {
            Ok((sweeps, newest)) => {
                writers.retain(|_, writer| !writer.is_finished());
                for (sweep, status) in sweeps {
                    let (id, over) = (sweep.id(), status.finished_at_ms.is_some());
                    let path = results.join(sweep_folder(sweep.name(), id)).join(LOG);
                    // One that ended before this coordinator began has its log, unless the end was too sudden for it or somebody has
                    // removed it.
                    if first && over && is_whole(&path, &status).await {
                        continue;
                    }
                    let (service, gate) = (service.clone(), Arc::clone(&over_at_once));
                    writers.entry(id).or_insert_with(|| {
                        tokio::spawn(async move {
                            let _turn = match over {
                                true => gate.acquire_owned().await.ok(),
                                false => None,
                            };
                            keep(service, id, sweep, path).await;
                        })
                    });
                }
                (seen, first) = (newest, false);
            }
            Err(TurnError::Stopped) => break,
            // The store has failed for now, or much is waiting.
            Err(_) => tokio::time::sleep(AGAIN / 5).await,
        }
        tokio::select! {
            () = shutdown.wait() => break,
            changed = commits.changed(), if !first => if changed.is_err() { break },
            () = std::future::ready(()), if first => {}
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Their watchers end with the service; what they have seen is written.
    for (_, writer) in writers {
        _ = writer.await;
    }
}

/// Whether a log is there and ends with where the sweep stands.
async fn is_whole(path: &Path, status: &v1::SweepStatus) -> bool {
    let wanted = format!("{}\n", log::sweep(status));
    let end = async {
        let mut file = File::open(path).await?;
        let length = file.metadata().await?.len();
        file.seek(io::SeekFrom::Start(length.saturating_sub(wanted.len() as u64)))
            .await?;
        let mut end = Vec::new();
        file.take(wanted.len() as u64).read_to_end(&mut end).await?;
        Ok::<_, io::Error>(end)
    };
    end.await.is_ok_and(|end| end == wanted.as_bytes())
}

async fn keep(service: Service, id: SweepId, sweep: Sweep, path: PathBuf) {
    while let Err(error) = write(&service, id, &sweep, &path).await {
        if error.get_ref().is_some_and(|error| error.is::<Removed>()) && !service.shutdown.is_on() {
            tracing::warn!(path = %path.display(), "the results log was removed; it is written again");
            continue;
        }
        tracing::warn!(%error, path = %path.display(), "the results log cannot be written; the results are safe in the store");
        if service.shutdown.is_on() {
            return;
        }
        let mut shutdown = service.shutdown.clone();
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

/// From the start to the end of the sweep, into a fresh file.
async fn write(service: &Service, id: SweepId, sweep: &Sweep, path: &Path) -> io::Result<()> {
    let path = path.to_owned();
    let mut file = blocking(move || LogFile::create(&path)).await?;
    let grouping = Arc::new(sweep.grouping(&[]).map_err(io::Error::other)?);
    let options = Watch {
        sweep: id,
        grouping,
        raw: false,
        since: 0,
        follow: true,
    };
    let (out, mut seen) = mpsc::channel::<Seen>(64);
    let watching = watch::watch(
        service.turn.clone(),
        service.readers.clone(),
        service.kept.clone(),
        options,
        out,
        service.shutdown.clone(),
    );
    let watching = tokio::spawn(watching);
    while let Some(Seen { event, .. }) = seen.recv().await {
        log::write(&event, &mut file.lines);
        if file.lines.len() >= BUFFER || seen.is_empty() {
            file = blocking(move || file.flush()).await?;
        }
    }
    match watching.await {
        Ok(Ok(()) | Err(watch::WatchError::Stopped | watch::WatchError::Gone(_))) => Ok(()),
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Work that may wait for a disk.
async fn blocking<R: Send + 'static>(work: impl FnOnce() -> io::Result<R> + Send + 'static) -> io::Result<R> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// The log is no longer there, or another file is in its place.
#[derive(Debug, thiserror::Error)]
#[error("it was removed")]
struct Removed;

/// A log that is being written.
struct LogFile {
    path: PathBuf,
    file: std::fs::File,
    /// What comes next.
    lines: Vec<u8>,
    written: u64,
}

impl LogFile {
    /// A fresh one, and its folder if it is not there.
    fn create(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(Self {
            path: path.to_owned(),
            file: std::fs::File::create(path)?,
            lines: Vec::new(),
            written: 0,
        })
    }

    /// Makes sure that the file is still the one of its name.
    fn is_there(&self) -> io::Result<()> {
        let own = self.file.metadata()?;
        let is_own = |there: std::fs::Metadata| (there.dev(), there.ino()) == (own.dev(), own.ino());
        match std::fs::metadata(&self.path).is_ok_and(is_own) {
            true => Ok(()),
            false => Err(io::Error::other(Removed)),
        }
    }

    /// Writes the lines that are waiting.
    fn flush(mut self) -> io::Result<Self> {
        self.file.write_all(&self.lines)?;
        self.is_there()?;
        let windows = self.written / WINDOW;
        self.written += self.lines.len() as u64;
        self.lines.clear();
        if self.written / WINDOW > windows {
            // The first time this is said of a page it is on its way to the disk, the next time it is given up. Advice: where
            // it is not taken nothing is lost.
            let from = windows.saturating_sub(WINDOWS) * WINDOW;
            let length = NonZeroU64::new(self.written - from);
            _ = rustix::fs::fadvise(&self.file, from, length, rustix::fs::Advice::DontNeed);
        }
        Ok(self)
    }
}
