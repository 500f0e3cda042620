//! `tenfold plan`.

use clap::Args;
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
            client.answer(client.control.clone().plan(request).await)?
        } else {
            local(&parse(&source)?)
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

fn local(sweep: &Sweep) -> v1::PlanResponse {
    v1::PlanResponse {
        sweep: sweep.id().0.to_vec(),
        name: sweep.name().to_owned(),
        points: sweep.points(),
        excluded: sweep.raw_points() - sweep.points(),
        repetitions: sweep.repetitions(),
        trials: sweep.trials(),
        description: sweep.describe(),
        existing: false,
    }
}
