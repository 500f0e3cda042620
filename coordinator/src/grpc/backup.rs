//! A copy of the store, sent piece by piece.

use std::io::{self, Read};
use std::path::Path;

use tenfold_proto::v1;
use tokio::sync::mpsc::Sender;
use tonic::Status;

use super::{Service, status};

/// Bytes of a piece.
const PIECE: usize = 256 << 10;

/// Makes a copy and sends it; its file is gone afterwards, however that ends.
pub(super) async fn send(service: Service, out: Sender<Result<v1::BackupChunk, Status>>) {
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
        .prefix(".backup-")
        .tempdir_in(&service.scratch)
        .map_err(failed)?;
    let file = folder.path().join("store.sqlite");
    let to = file.clone();
    let copied = service.readers.with(move |reader| reader.backup(&to)).await;
    copied.map_err(status::of_store)?;
    let pieces = out.clone();
    let sent = tokio::task::spawn_blocking(move || read(&file, &pieces)).await;
    sent.unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(failed)
}

fn read(file: &Path, out: &Sender<Result<v1::BackupChunk, Status>>) -> io::Result<()> {
    let mut file = std::fs::File::open(file)?;
    let total = file.metadata()?.len();
    loop {
        let mut data = Vec::with_capacity(PIECE);
        file.by_ref().take(PIECE as u64).read_to_end(&mut data)?;
        if data.is_empty() || out.blocking_send(Ok(v1::BackupChunk { data, total })).is_err() {
            return Ok(());
        }
    }
}
