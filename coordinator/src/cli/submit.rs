//! `tenfold submit`.

use clap::Args;
use tenfold_proto::v1;

use super::exit::Failure;
use super::progress::{self, Bar};
use super::{Common, Source, format, json, tail};

#[derive(Args)]
pub(crate) struct Submit {
    #[command(flatten)]
    source: Source,
    /// Print results as they come, until the sweep is over
    #[arg(long, conflicts_with = "wait")]
    tail: bool,
    /// Wait until the sweep is over
    #[arg(long)]
    wait: bool,
}

impl Submit {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let source = Some(self.source.read()?);
        let client = common.client().await?;
        let request = v1::SubmitRequest {
            source,
            ..v1::SubmitRequest::default()
        };
        let answer = client
            .order(request, |mut control, request| async move {
                control.submit(request).await
            })
            .await?;
        let sweep = answer.sweep.unwrap_or_default();
        let id = format::short(&sweep.sweep);
        if common.json {
            format::print(&json::line(&json::with(
                json::sweep(&sweep),
                "existing",
                answer.existing,
            )))?;
        } else {
            format::print(&said(&sweep, &id, answer.existing, &common.elsewhere()))?;
        }
        let selector = format::hex(&sweep.sweep);
        if self.tail {
            return tail::follow(&client, common, selector).await;
        }
        if self.wait {
            let mut bar = Bar::new();
            let last = progress::until_over(&client, &selector, &mut bar).await?;
            return progress::verdict(&last);
        }
        Ok(())
    }
}

/// `elsewhere` is what the next commands need to find the same coordinator.
fn said(sweep: &v1::SweepStatus, id: &str, existing: bool, elsewhere: &str) -> String {
    let mut text = if existing {
        let (over, trials) = format::over(&sweep.trials.unwrap_or_default());
        format!(
            "{} ({id}) is there already: {}, {over} of {trials} trials over; nothing is submitted twice\n",
            sweep.name,
            format::sweep_state(sweep.state())
        )
    } else {
        format!("submitted {} ({id}): {}\n", sweep.name, format::size(sweep))
    };
    text.push_str("\nnext:\n");
    for (command, gives) in [
        (format!("tail {id} --follow"), "results as they come"),
        (format!("show {id}"), "where it stands"),
        (format!("results {id}"), "the table"),
        (format!("plot {id} -o figure.png"), "the figure"),
    ] {
        let command = format!("tenfold {command}{elsewhere}");
        text.push_str(&format!("  {command:<37}  {gives}\n"));
    }
    text
}
