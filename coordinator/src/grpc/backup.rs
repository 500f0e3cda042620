//! A copy of the store, sent piece by piece.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tenfold_proto::{pushback, v1};
use tokio::io::AsyncReadExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Sender;
use tonic::Status;

use super::{Service, status};

/// Bytes of a piece.
const PIECE: usize = 256 << 10;

/// A place for a backup. Each keeps a copy of the store on the disk for as long as it is read.
pub(super) fn place(service: &Service) -> Result<OwnedSemaphorePermit, Status> {
    Arc::clone(&service.gates.backup)
        .try_acquire_owned()
        .map_err(|_| {
            let why = "as many backups are being made as may be at once; try again in a moment";
            pushback::with(Status::resource_exhausted(why), Duration::from_secs(5))
        })
}

/// The beginning of the names of folders that copies are made in.
const PREFIX: &str = ".backup-";

/// Removes the copies that a coordinator has left behind which was killed. Those that are being made are locked.
pub(crate) fn clear(scratch: &Path) {
    let entries = std::fs::read_dir(scratch).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let path = entry.path();
        let is_left = File::open(&path).is_ok_and(|folder| path.is_dir() && folder.try_lock().is_ok());
        if is_left && let Err(error) = std::fs::remove_dir_all(&path) {
            tracing::warn!(path = %path.display(), %error, "what a killed backup has left cannot be removed");
        }
    }
}

/// Makes a copy and sends it; its file is gone afterwards, however that ends.
pub(super) async fn send(
    service: Service,
    _place: OwnedSemaphorePermit,
    out: Sender<Result<v1::BackupChunk, Status>>,
) {
    if let Err(status) = try_to_send(&service, &out).await {
        _ = out.send(Err(status)).await;
    }
}

async fn try_to_send(service: &Service, out: &Sender<Result<v1::BackupChunk, Status>>) -> Result<(), Status> {
    let failed = |error: io::Error| {
        let folder = service.scratch.display();
        Status::unavailable(format!("no backup could be made in {folder}: {error}"))
    };
    std::fs::create_dir_all(&service.scratch).map_err(failed)?;
    let mut folder = tempfile::Builder::new();
    let folder = folder
        .prefix(PREFIX)
        .tempdir_in(&service.scratch)
        .map_err(failed)?;
    let lock = File::open(folder.path()).map_err(failed)?;
    lock.try_lock().map_err(|error| failed(error.into()))?;
    let file = folder.path().join("store.sqlite");
    let to = file.clone();
    let copied = service.readers.with(move |reader| reader.backup(&to)).await;
    copied.map_err(status::of_store)?;
    // No thread waits for a client that does not read.
    let mut file = tokio::fs::File::open(file).await.map_err(failed)?;
    let total = file.metadata().await.map_err(failed)?.len();
    loop {
        let mut data = Vec::with_capacity(PIECE);
        let piece = (&mut file).take(PIECE as u64).read_to_end(&mut data).await;
        piece.map_err(failed)?;
        if data.is_empty() || out.send(Ok(v1::BackupChunk { data, total })).await.is_err() {
            return Ok(());
        }
    }
}
