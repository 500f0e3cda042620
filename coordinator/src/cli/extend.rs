//! `tenfold extend`.

use clap::Args;
use tenfold_proto::v1;

use super::exit::Failure;
use super::{Common, format, json, orders};

#[derive(Args)]
pub(crate) struct Extend {
    /// The sweep
    #[arg(value_name = "SEL")]
    selector: String,
    /// So many repetitions of each point, more than now
    #[arg(long, value_name = "N")]
    repetitions: u32,
    /// Of this stage alone [default: all stages that have fewer]
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
}

impl Extend {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let client = common.client().await?;
        let request = v1::ExtendRequest {
            selector: self.selector,
            repetitions: self.repetitions,
            stage: self.stage,
            ..v1::ExtendRequest::default()
        };
        let answer = client
            .order(request, |mut control, request| async move {
                control.extend(request).await
            })
            .await?;
        let status = answer.status.unwrap_or_default();
        if common.json {
            let line = json::with(json::sweep(&status), "choices_kept", answer.kept);
            return format::print(&json::line(&line));
        }
        let kept = match answer.kept {
            0 => String::new(),
            1 => "1 choice that was made from it stays as it is\n".to_owned(),
            kept => format!("{kept} choices that were made from it stay as they are\n"),
        };
        format::print(&format!("extended to {}\n{kept}", format::size(&status)))?;
        orders::said(&status, common)
    }
}
