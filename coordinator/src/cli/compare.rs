//! `tenfold compare`.

use clap::{Args, ValueEnum};
use tenfold::report::compare::{Wanted, family};
use tenfold::report::reference::reference;
use tenfold_core::sweep::{Stage, Sweep};
use tenfold_proto::v1;
use tenfold_types::{Metric, Setting};

use super::exit::Failure;
use super::{Common, format, hypotheses, results, wire};

#[derive(Args)]
pub(crate) struct Compare {
    /// The sweep
    #[arg(value_name = "SEL")]
    selector: String,
    /// Compare the values of these axes, where all others are equal
    #[arg(long, value_delimiter = ',', value_name = "AXIS,…", required = true)]
    by: Vec<String>,
    /// Compare with this value alone, and not all values with one another: VALUE, or AXIS=VALUE for each of several axes
    #[arg(long, value_delimiter = ',', value_name = "VALUE")]
    against: Vec<String>,
    /// How to print them
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// After this epoch, from 1, or after the last
    #[arg(long, value_name = "EPOCH", default_value = "last")]
    at: String,
    /// What is compared
    #[arg(long, value_name = "METRIC", default_value = "test_error")]
    metric: String,
    /// The stage, where the sweep has several
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For terminals
    Table,
    /// A row a comparison, with full numbers
    Csv,
    /// A table for a paper, in the style of booktabs
    Latex,
    /// One JSON object a line
    Jsonl,
}

impl Compare {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let client = common.client().await?;
        let shown = hypotheses::show(&client, self.selector.clone()).await?;
        let sweep = wire::sweep(&shown)?;
        let status = shown.status.unwrap_or_default();
        let (id, finished) = (format::hex(&status.sweep), status.finished_at_ms.is_some());
        let (number, stage) = self.stage(&sweep).map_err(Failure::Usage)?;
        let wanted = self.wanted(number, stage).map_err(Failure::Usage)?;
        let request = v1::CurvesRequest {
            selector: id,
            stage: Some(stage.name().to_owned()),
            metrics: vec![wanted.metric.to_string()],
            every_trial: true,
            ..v1::CurvesRequest::default()
        };
        let rows = results::request_curves(&client, request).await?;
        let family = family(stage, wanted, &rows, finished).map_err(Failure::Usage)?;
        let wanted = if common.json { Format::Jsonl } else { self.format };
        match wanted {
            Format::Table => format::print(&family.table()),
            Format::Csv => format::print(&String::from_utf8_lossy(&family.document().csv())),
            Format::Latex => format::print(&family.document().latex()),
            Format::Jsonl => format::print(&family.jsonl()),
        }
    }

    fn stage<'a>(&self, sweep: &'a Sweep) -> Result<(u32, &'a Stage), String> {
        let names: Vec<&str> = sweep.stages().iter().map(Stage::name).collect();
        let named = names.join(", ");
        match (&self.stage, sweep.stages()) {
            (None, [stage]) => Ok((0, stage)),
            (None, _) => Err(format!(
                "comparisons are of one stage; say which with --stage: {named}"
            )),
            (Some(name), stages) => {
                let mut stages = (0..).zip(stages);
                stages
                    .find(|(_, stage)| stage.name() == name && !name.is_empty())
                    .ok_or_else(|| match named.as_str() {
                        "" => format!("the sweep has no stages, and so none called {name:?}"),
                        named => format!("no stage is called {name:?}; the sweep's are {named}"),
                    })
            }
        }
    }

    fn wanted(&self, number: u32, stage: &Stage) -> Result<Wanted, String> {
        let mut by: Vec<Setting> = Vec::new();
        for name in &self.by {
            let axis = stage.axes().iter().find(|axis| axis.setting.name() == name);
            let axis = axis.ok_or_else(|| {
                let names: Vec<&str> = stage.axes().iter().map(|axis| axis.setting.name()).collect();
                format!("{name:?} is no axis here; the axes are {}", names.join(", "))
            })?;
            if axis.values.len() < 2 {
                return Err(match stage.is_taken(axis.setting) {
                    true => format!(
                        "{name} is taken from an earlier stage: where all else is equal it has one value, and there is nothing to compare"
                    ),
                    false => format!("axis {name} has one value only; there is nothing to compare"),
                });
            }
            if !by.contains(&axis.setting) {
                by.push(axis.setting);
            }
        }
        let metric: Metric = self
            .metric
            .parse()
            .map_err(|error: tenfold_types::curve::UnknownMetric| error.to_string())?;
        if !stage
            .indexes()
            .any(|index| stage.metrics(index).contains(&metric))
        {
            return Err(format!("no point records {metric}"));
        }
        let last = stage.epochs();
        let epoch = match self.at.as_str() {
            "last" => last,
            text => {
                let epoch = text.parse().ok().filter(|epoch| (1..=last).contains(epoch));
                epoch.ok_or_else(|| format!("--at {text}: expected an epoch from 1 to {last}, or last"))?
            }
        };
        if stage.repetitions() < 2 {
            return Err(
                "each point has one repetition; a comparison needs 2 at least for its interval".to_owned(),
            );
        }
        let against = match self.against.as_slice() {
            [] => None,
            given => Some(reference(stage, &by, metric, given)?),
        };
        Ok(Wanted {
            stage: number,
            by,
            metric,
            epoch,
            against,
        })
    }
}
