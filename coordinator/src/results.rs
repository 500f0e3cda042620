//! The results log of a sweep: `RESULTS/<sweep>/aggregate.jsonl`, a file that `tail -f` follows.
//!
//! A watcher like any other, whose reader is a file. It may lag, and is rebuilt from the store when a coordinator
//! starts; what it holds for a finished sweep is a pure function of the accepted curves.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tenfold_core::SweepState;
use tenfold_core::sweep::Sweep;
use tenfold_types::SweepId;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::grpc::Service;
use crate::report::log;
use crate::watch::{self, Seen, Watch};

/// The name of the log in a sweep's folder.
pub const LOG: &str = "aggregate.jsonl";
/// How soon a log that could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(5);

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
    let mut kept = BTreeSet::new();
    let mut writers = JoinSet::new();
    loop {
        commits.borrow_and_update();
        let listed = service.turn.read(|state, _| {
            let sweep = |sweep: &SweepState| {
                (
                    sweep.row().id,
                    sweep.sweep().clone(),
                    sweep.row().finished_at.is_some(),
                )
            };
            state.newest_sweeps().map(sweep).collect::<Vec<_>>()
        });
        let Ok(sweeps) = listed.await else { break };
        for (id, sweep, over) in sweeps {
            if !over && kept.insert(id) {
                let path = results.join(sweep_folder(sweep.name(), id)).join(LOG);
                writers.spawn(keep(service.clone(), id, sweep, path));
            } else if over {
                // Should it be retried, it is kept again.
                kept.remove(&id);
            }
        }
        tokio::select! {
            () = shutdown.wait() => break,
            changed = commits.changed() => if changed.is_err() { break },
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Their watchers end with the service; what they have seen is written.
    while writers.join_next().await.is_some() {}
}

async fn keep(service: Service, id: SweepId, sweep: Sweep, path: PathBuf) {
    while let Err(error) = write(&service, id, &sweep, &path).await {
        tracing::warn!(%error, path = %path.display(), "the results log cannot be written; the results are safe in the store");
        if service.shutdown.is_on() {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// From the start to the end of the sweep, into a fresh file.
async fn write(service: &Service, id: SweepId, sweep: &Sweep, path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    let mut file = BufWriter::new(File::create(path).await?);
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
        options,
        out,
        service.shutdown.clone(),
    );
    let watching = tokio::spawn(watching);
    while let Some(Seen { event, .. }) = seen.recv().await {
        for line in log::lines(&event) {
            file.write_all(line.as_bytes()).await?;
            file.write_all(b"\n").await?;
        }
        if seen.is_empty() {
            file.flush().await?;
        }
    }
    file.flush().await?;
    match watching.await {
        Ok(Ok(()) | Err(watch::WatchError::Stopped | watch::WatchError::Gone(_))) => Ok(()),
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(error) => Err(io::Error::other(error)),
    }
}
