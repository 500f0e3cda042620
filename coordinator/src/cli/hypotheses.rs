//! `tenfold hypotheses`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use tenfold::report::hypotheses::{Asked, Case, Judged, jsonl, judge, text};
use tenfold_core::sweep::{Family, Hypothesis, Missing, Sweep};
use tenfold_proto::v1;

use super::client::Client;
use super::exit::Failure;
use super::{Common, format, read_text, results, wire};

#[derive(Args)]
pub(crate) struct Hypotheses {
    /// The sweep
    #[arg(value_name = "SEL")]
    selector: String,
    /// Judge the [[hypothesis]] tables of this file as well, marked as added later
    #[arg(long, value_name = "FILE")]
    add: Option<PathBuf>,
    /// Judge by another rule than the sweep's for pairs that are missing: "count" (undecided) or "drop"
    #[arg(long, value_name = "RULE", value_parser = rule::<Missing>)]
    missing: Option<Missing>,
    /// Judge as another family than the sweep's: "none" (each by itself), or a name that makes all of them one family
    #[arg(long, value_name = "NAME", value_parser = rule::<Family>)]
    family: Option<Family>,
}

/// A rule of judgement of the command line.
fn rule<T: FromStr<Err = String>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|right| format!("expected {right}"))
}

impl Hypotheses {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let client = common.client().await?;
        let selector = self.selector.clone();
        let shown = show(&client, self.selector).await?;
        let sweep = wire::sweep(&shown)?;
        let added = match &self.add {
            None => Vec::new(),
            Some(path) => {
                let text = read_text(path)?;
                let read = sweep.more_hypotheses(&text, &path.display().to_string());
                read.map_err(|error| Failure::Usage(error.to_string()))?
            }
        };
        let asked = Asked {
            missing: self.missing,
            family: self.family,
        };
        let judged = judged(&client, &shown, &sweep, &added, &asked).await?;
        format::print(&match common.json {
            true => jsonl(&judged),
            false => text(&judged, &selector),
        })
    }
}

/// Judges the hypotheses of a sweep, and those that were added, by all of its trials.
pub(crate) async fn judged(
    client: &Client,
    shown: &v1::ShowResponse,
    sweep: &Sweep,
    added: &[Hypothesis],
    asked: &Asked,
) -> Result<Vec<Judged>, Failure> {
    let all = sweep.hypotheses().iter().chain(added);
    let mut metrics: Vec<String> = all.map(|of| of.metric.to_string()).collect();
    metrics.sort_unstable();
    metrics.dedup();
    if metrics.is_empty() {
        return Ok(Vec::new());
    }
    let status = shown.status.clone().unwrap_or_default();
    let request = v1::CurvesRequest {
        selector: format::hex(&status.sweep),
        metrics,
        every_trial: true,
        ..v1::CurvesRequest::default()
    };
    let rows = results::request_curves(client, request).await?;
    Ok(judge(Case {
        sweep,
        added,
        rows: &rows,
        finished: status.finished_at_ms.is_some(),
        asked,
    }))
}

/// What a coordinator shows of a sweep.
pub(crate) async fn show(client: &Client, selector: String) -> Result<v1::ShowResponse, Failure> {
    let request = v1::ShowRequest { selector };
    client
        .ask(request, |mut control, request| async move {
            control.show(request).await
        })
        .await
}
