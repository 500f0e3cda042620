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
        let answer = client.answer(client.control.clone().workers(v1::WorkersRequest {}).await)?;
        if common.json {
            return format::print(
                &answer
                    .workers
                    .iter()
                    .map(|worker| json::line(&json::worker(worker)))
                    .collect::<String>(),
            );
        }
        if answer.workers.is_empty() {
            let start = format!("tenfold worker --coordinator {}", client.address);
            return format::print(&format!("no workers yet; start one on each node with: {start}\n"));
        }
        let mut table = format::table(&[
            "worker",
            "host",
            "slots",
            "busy",
            "device",
            "version",
            "last heard of",
        ]);
        for worker in &answer.workers {
            let seen = format::ago(worker.last_seen_ms);
            table.add_row(vec![
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
