//! `tenfold drain`.

use clap::Args;
use tenfold_proto::v1;

use super::exit::Failure;
use super::{Common, format, json};

#[derive(Args)]
pub(crate) struct Drain {
    /// A worker's id or its beginning, or a host's name for all workers there
    #[arg(value_name = "WORKER")]
    worker: String,
}

impl Drain {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let client = common.client().await?;
        let request = v1::DrainRequest {
            worker: self.worker,
            ..v1::DrainRequest::default()
        };
        let answer = client
            .order(request, |mut control, request| async move {
                control.drain(request).await
            })
            .await?;
        let said = |worker: &Vec<u8>| match common.json {
            true => json::line(&json::drained(worker)),
            false => format!(
                "worker {} finishes what it trains, takes no more, and ends\n",
                format::short(worker)
            ),
        };
        format::print(&answer.workers.iter().map(said).collect::<String>())
    }
}
