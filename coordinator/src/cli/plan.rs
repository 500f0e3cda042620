//! `tenfold plan`.

use clap::Args;
use tenfold::grpc::messages;
use tenfold_core::sweep::Sweep;
use tenfold_proto::v1;

use super::exit::Failure;
use super::{Common, Source, format, json};

#[derive(Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    source: Source,
}

impl Plan {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let source = self.source.read()?;
        // A plan is a function of the file. A coordinator is asked only when one is named: it adds whether the sweep
        // is there already.
        let plan = if common.coordinator.is_some() {
            let client = common.client().await?;
            let request = v1::PlanRequest { source: Some(source) };
            client
                .ask(request, |mut control, request| async move {
                    control.plan(request).await
                })
                .await?
        } else {
            messages::plan(&parse(&source)?, false)
        };
        if common.json {
            return format::print(&json::line(&json::plan(&plan)));
        }
        let existing = if plan.existing {
            "\nthis sweep has been submitted already\n"
        } else {
            ""
        };
        format::print(&format!("{}{existing}", plan.description))
    }
}

pub(crate) fn parse(source: &v1::SweepSource) -> Result<Sweep, Failure> {
    Sweep::parse(&source.text, &source.file, &source.overrides, source.repetitions)
        .map_err(|error| Failure::Usage(error.to_string()))
}
