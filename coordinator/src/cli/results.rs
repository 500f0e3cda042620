//! `tenfold results`.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tenfold::report::raw::{self, Provenance, TrialCurveRow};
use tenfold::report::{export, table};
use tenfold_core::aggregate::GroupResult;
use tenfold_proto::v1;
use tenfold_types::{Curve, TrialKey, printable};

use super::client::Client;
use super::exit::Failure;
use super::{Common, format, wire, write_file};

#[derive(Args)]
pub(crate) struct Results {
    /// The sweep
    #[arg(value_name = "SEL")]
    selector: String,
    /// How to print them
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Group by these axes [default: each point by itself]
    #[arg(long, value_delimiter = ',', value_name = "AXIS,…", conflicts_with = "raw")]
    by: Vec<String>,
    /// Of this stage only [default: of all]
    #[arg(long, value_name = "NAME", conflicts_with = "raw")]
    stage: Option<String>,
    /// The curves of single trials instead of groups (csv or jsonl)
    #[arg(long)]
    raw: bool,
    /// With --raw: where, when and by what each trial was trained, and how long each epoch took
    #[arg(long, requires = "raw")]
    provenance: bool,
    /// Write to this file instead
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// The last epoch of each group
    Table,
    /// All epochs, a row a group, epoch and metric
    Csv,
    /// All epochs, one JSON object a line
    Jsonl,
}

impl Results {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let wanted = if common.json { Format::Jsonl } else { self.format };
        let client = common.client().await?;
        let mut text = Vec::new();
        if self.raw {
            let curves = curves(&client, &self.selector, self.provenance, None).await?;
            match wanted {
                Format::Table if self.output.is_none() => {
                    return Err(Failure::Usage(
                        "single curves come as --format csv or jsonl".to_owned(),
                    ));
                }
                Format::Table | Format::Csv => raw::csv(&curves, &mut text),
                Format::Jsonl => raw::jsonl(&curves, &mut text),
            }
        } else {
            let groups = groups(&client, &self.selector, self.by, self.stage).await?;
            match wanted {
                Format::Table => text.write_all(table::final_table(&groups).as_bytes()),
                Format::Csv => export::csv(&groups, &mut text),
                Format::Jsonl => export::jsonl(&groups, &mut text),
            }
        }
        .map_err(|error| Failure::Refused(error.to_string()))?;
        // The same bytes in a file and on a terminal.
        let text = printable::lines(&String::from_utf8_lossy(&text)).into_owned();
        match self.output {
            Some(path) => write_file(&path, text.as_bytes()),
            None => format::print(&text),
        }
    }
}

/// The aggregated curves of a sweep's groups, or of those of one stage.
pub(crate) async fn groups(
    client: &Client,
    selector: &str,
    by: Vec<String>,
    stage: Option<String>,
) -> Result<Vec<GroupResult>, Failure> {
    let request = v1::ResultsRequest {
        selector: selector.to_owned(),
        by,
        stage,
    };
    let groups = client
        .all(request, |mut control, request| async move {
            control.results(request).await
        })
        .await?;
    wire::groups(groups).into_iter().map(wire::group_result).collect()
}

/// The names of the stages that groups are of.
pub(crate) fn stages(groups: &[GroupResult]) -> Vec<&str> {
    let mut names: Vec<&str> = groups
        .iter()
        .map(|result| result.group.stage_name.as_str())
        .collect();
    names.dedup();
    names.retain(|name| !name.is_empty());
    names
}

/// The accepted curves of a sweep's trials, or of those of one stage.
pub(crate) async fn curves(
    client: &Client,
    selector: &str,
    provenance: bool,
    stage: Option<String>,
) -> Result<Vec<TrialCurveRow>, Failure> {
    let request = v1::CurvesRequest {
        selector: selector.to_owned(),
        provenance,
        stage,
        ..v1::CurvesRequest::default()
    };
    request_curves(client, request).await
}

/// The curves that a request asks for.
pub(crate) async fn request_curves(
    client: &Client,
    request: v1::CurvesRequest,
) -> Result<Vec<TrialCurveRow>, Failure> {
    let curves = client
        .all(request, |mut control, request| async move {
            control.curves(request).await
        })
        .await?;
    wire::curves(curves)?.into_iter().map(row).collect()
}

fn row(curve: v1::TrialCurve) -> Result<TrialCurveRow, Failure> {
    let state = format::trial_state(curve.state());
    let key = curve.trial.map_or(TrialKey::FIRST, TrialKey::from);
    let epochs = curve.epochs as usize;
    let metrics = wire::metrics(&curve.metrics)?;
    let columns = match epochs {
        // One that diverged in its first epoch.
        0 => vec![Vec::new(); metrics.len()],
        _ => curve.columns.chunks(epochs).map(<[f32]>::to_vec).collect(),
    };
    Ok(TrialCurveRow {
        key,
        values: wire::assignments(curve.point)?,
        state: state.to_owned(),
        curve: Curve { metrics, columns },
        provenance: match curve.attempt {
            Some(attempt) => Some(Provenance {
                attempt: wire::attempt(attempt, key)?,
                seconds: curve.seconds,
            }),
            None => None,
        },
    })
}
