//! `tenfold refine`.

use clap::Args;
use tenfold::report::log;
use tenfold_proto::v1;

use super::exit::Failure;
use super::{Common, format, json, orders};

#[derive(Args)]
pub(crate) struct Refine {
    /// The sweep
    #[arg(value_name = "SEL")]
    selector: String,
    /// The axis, such as learning_rate
    #[arg(long)]
    axis: String,
    /// So many values; an odd number has the best one itself in its middle
    #[arg(long, value_name = "N")]
    points: u32,
    /// Decades to each side of the best value
    #[arg(long, default_value_t = 1.0, value_name = "DECADES")]
    span: f64,
    /// The stage whose best values are meant; needed where several vary the axis
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// What is compared at the last epoch; less is better
    #[arg(long, default_value = "test_error")]
    metric: String,
}

impl Refine {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let client = common.client().await?;
        let request = v1::RefineRequest {
            selector: self.selector,
            axis: self.axis,
            points: self.points,
            span: self.span,
            stage: self.stage,
            metric: self.metric,
            ..v1::RefineRequest::default()
        };
        let answer = client
            .order(request, |mut control, request| async move {
                control.refine(request).await
            })
            .await?;
        let status = answer.status.unwrap_or_default();
        let extension = answer.extension.unwrap_or_default();
        if common.json {
            format::print(&(log::extension(&extension) + "\n"))?;
            return format::print(&json::line(&json::sweep(&status)));
        }
        format::print(&format!("{}\n", log::extension_text(&extension)))?;
        orders::said(&status, common)
    }
}
