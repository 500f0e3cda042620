//! `tenfold backup` and `tenfold restore`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use tempfile::NamedTempFile;
use tenfold::server::ServerError;
use tenfold::store;
use tenfold_proto::v1;

use super::exit::{self, Failure};
use super::{Common, format, json};

#[derive(Args)]
pub(crate) struct Backup {
    /// The file to write, which must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Backup {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let path = &self.file;
        if path.exists() {
            let what = format!("{} is there already; a backup overwrites nothing", path.display());
            return Err(Failure::Usage(what));
        }
        let failed = |error: std::io::Error| exit::of_file(path, &error);
        // Whole or not at all: under its own name only when all of it is on the disk.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut file = NamedTempFile::new_in(folder).map_err(failed)?;
        let client = common.client().await?;
        let mut chunks = client
            .ask(v1::BackupRequest {}, |mut control, request| async move {
                control.backup(request).await
            })
            .await?;
        let (mut length, mut total) = (0, None);
        while let Some(chunk) = chunks.message().await.map_err(|status| client.failure(&status))? {
            file.write_all(&chunk.data).map_err(failed)?;
            length += chunk.data.len() as u64;
            total = Some(chunk.total);
        }
        if total != Some(length) {
            let what = format!(
                "the backup ended after {length} bytes of {}",
                total.unwrap_or_default()
            );
            return Err(Failure::Refused(what));
        }
        file.as_file().sync_all().map_err(failed)?;
        file.persist_noclobber(path)
            .map_err(|error| failed(error.error))?;
        if common.json {
            return format::print(&json::line(&json::file(path)));
        }
        format::print(&format!(
            "{} has everything up to now ({length} bytes); put it back with: tenfold restore {0} --store sqlite:PATH\n",
            path.display()
        ))
    }
}

#[derive(Args)]
pub(crate) struct Restore {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The store to make of it: sqlite:PATH, which must not be there yet
    #[arg(long, default_value = "sqlite:runs/tenfold.sqlite", value_name = "STORE")]
    store: String,
    /// Restore a backup of which some rows are damaged: their trials will be FAILED
    #[arg(long)]
    accept_loss: bool,
}

impl Restore {
    pub(crate) fn run(self, common: &Common) -> Result<(), Failure> {
        let path = store::restore(&self.file, &self.store, self.accept_loss).map_err(ServerError::Store)?;
        if common.json {
            return format::print(&json::line(&json::file(&path)));
        }
        format::print(&format!(
            "{} is restored; start its coordinator with: tenfold serve --store sqlite:{0}\n",
            path.display()
        ))
    }
}
