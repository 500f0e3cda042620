//! `tenfold workers`.

use clap::Args;
use tenfold_proto::v1;

use super::exit::Failure;
use super::{Common, format, json};

#[derive(Args)]
pub(crate) struct Workers {}

impl Workers {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let client = common.client().await?;
        let mut workers: Vec<v1::Worker> = Vec::new();
        loop {
            let request = v1::WorkersRequest {
                limit: 0,
                after: workers
                    .last()
                    .map(|worker| worker.worker.clone())
                    .unwrap_or_default(),
            };
            let page = client
                .ask(request, |mut control, request| async move {
                    control.workers(request).await
                })
                .await?;
            workers.extend(page.workers);
            if !page.more {
                break;
            }
        }
        if common.json {
            return format::print(
                &workers
                    .iter()
                    .map(|worker| json::line(&json::worker(worker)))
                    .collect::<String>(),
            );
        }
        if workers.is_empty() {
            let start = format!("tenfold worker --coordinator {}", client.address);
            return format::print(&format!("no workers yet; start one on each node with: {start}\n"));
        }
        let mut table = format::Table::new(&[
            "worker",
            "host",
            "slots",
            "busy",
            "device",
            "version",
            "last heard of",
        ]);
        for worker in &workers {
            let seen = format::ago(worker.last_seen_ms);
            table.row(&[
                format::short(&worker.worker),
                format!("{} ({})", worker.host, worker.process),
                worker.slots.to_string(),
                worker.busy.to_string(),
                worker.device.clone(),
                format!("{} (libtorch {})", worker.version, worker.libtorch),
                match worker {
                    v1::Worker { connected: false, .. } => format!("{seen}: gone"),
                    v1::Worker { draining: true, .. } => format!("{seen}: draining"),
                    v1::Worker {
                        quarantined_until_ms: Some(_),
                        ..
                    } => format!("{seen}: quarantined"),
                    _ => seen,
                },
            ]);
        }
        format::print(&format!("{table}\n"))
    }
}
