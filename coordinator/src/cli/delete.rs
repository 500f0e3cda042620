//! `tenfold delete`.

use clap::Args;
use tenfold_proto::v1;

use super::exit::Failure;
use super::{Common, format, json};

#[derive(Args)]
pub(crate) struct Delete {
    /// The sweep, which must be over
    #[arg(value_name = "SEL")]
    selector: String,
}

impl Delete {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let client = common.client().await?;
        let request = v1::SelectRequest {
            selector: self.selector,
            ..v1::SelectRequest::default()
        };
        let answer = client
            .order(request, |mut control, request| async move {
                control.delete(request).await
            })
            .await?;
        if common.json {
            return format::print(&json::line(&json::deleted(&answer)));
        }
        format::print(&format!(
            "{} ({}) is deleted, with all its curves; results logs and figures are left where they are\n",
            answer.name,
            format::short(&answer.sweep)
        ))
    }
}
