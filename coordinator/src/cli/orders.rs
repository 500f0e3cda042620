//! `tenfold pause`, `resume`, `stop`, `cancel` and `retry`.

use clap::Args;
use tenfold_proto::v1;

use super::exit::Failure;
use super::{Common, format, json};

#[derive(Args)]
pub(crate) struct Select {
    /// The sweep
    #[arg(value_name = "SEL")]
    selector: String,
}

macro_rules! orders {
    ($($name:ident)*) => {$(
        pub(crate) async fn $name(select: Select, common: &Common) -> Result<(), Failure> {
            let client = common.client().await?;
            let request = v1::SelectRequest { selector: select.selector, ..v1::SelectRequest::default() };
            let status = client.order(request, |mut control, request| async move { control.$name(request).await }).await?;
            said(&status, common)
        }
    )*};
}

orders! { pause resume stop cancel }

#[derive(Args)]
pub(crate) struct Retry {
    #[command(flatten)]
    select: Select,
    /// Those that failed
    #[arg(long, required_unless_present = "cancelled")]
    failed: bool,
    /// Those that were cancelled
    #[arg(long)]
    cancelled: bool,
}

impl Retry {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let client = common.client().await?;
        let (failed, cancelled) = (self.failed, self.cancelled);
        let request = v1::RetryRequest {
            selector: self.select.selector,
            failed,
            cancelled,
            ..v1::RetryRequest::default()
        };
        let answer = client
            .order(request, |mut control, request| async move {
                control.retry(request).await
            })
            .await?;
        let status = answer.status.unwrap_or_default();
        if common.json {
            return format::print(&json::line(&json::with(
                json::sweep(&status),
                "retried",
                answer.retried,
            )));
        }
        let again = if answer.retried == 1 {
            "waits again"
        } else {
            "wait again"
        };
        format::print(&format!("{} {again}\n", format::count(answer.retried, "trial")))?;
        said(&status, common)
    }
}

pub(super) fn said(status: &v1::SweepStatus, common: &Common) -> Result<(), Failure> {
    if common.json {
        return format::print(&json::line(&json::sweep(status)));
    }
    let counts = status.trials.unwrap_or_default();
    let (over, trials) = format::over(&counts);
    let remarks = match format::remarks(&counts) {
        none if none.is_empty() => none,
        some => format!(" ({some})"),
    };
    format::print(&format!(
        "{} ({}) is {}: {over} of {trials} trials over{remarks}\n",
        status.name,
        format::short(&status.sweep),
        format::sweep_state(status.state())
    ))
}
