//! `tenfold hypotheses`.

use std::path::PathBuf;

use clap::Args;
use tenfold::report::hypotheses::{jsonl, judged, text};
use tenfold_core::sweep::Sweep;
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
}

impl Hypotheses {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let client = common.client().await?;
        let (id, sweep) = sweep(&client, self.selector).await?;
        let added = match &self.add {
            None => Vec::new(),
            Some(path) => {
                let text = read_text(path)?;
                let read = sweep.more_hypotheses(&text, &path.display().to_string());
                read.map_err(|error| Failure::Usage(error.to_string()))?
            }
        };
        let own = sweep.hypotheses().iter().map(|hypothesis| (hypothesis, false));
        let all: Vec<_> = own
            .chain(added.iter().map(|hypothesis| (hypothesis, true)))
            .collect();
        let mut metrics: Vec<String> = all.iter().map(|(of, _)| of.metric.to_string()).collect();
        metrics.sort_unstable();
        metrics.dedup();
        let rows = match all.is_empty() {
            true => Vec::new(),
            false => {
                let request = v1::CurvesRequest {
                    selector: id,
                    metrics,
                    every_trial: true,
                    ..v1::CurvesRequest::default()
                };
                results::request_curves(&client, request).await?
            }
        };
        let judged: Vec<_> = all
            .into_iter()
            .map(|(hypothesis, post_hoc)| judged(&sweep, hypothesis, post_hoc, &rows))
            .collect();
        format::print(&match common.json {
            true => jsonl(&judged).map_err(|error| Failure::Refused(error.to_string()))?,
            false => text(&judged),
        })
    }
}

/// A sweep as this program reads it, with its id.
pub(crate) async fn sweep(client: &Client, selector: String) -> Result<(String, Sweep), Failure> {
    let request = v1::ShowRequest { selector };
    let shown = client
        .ask(request, |mut control, request| async move {
            control.show(request).await
        })
        .await?;
    let sweep = wire::sweep(&shown)?;
    let status = shown.status.unwrap_or_default();
    Ok((format::hex(&status.sweep), sweep))
}
