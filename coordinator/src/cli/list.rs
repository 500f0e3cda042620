//! `tenfold list`.

use clap::Args;
use tenfold_proto::v1;

use super::exit::Failure;
use super::{Common, format, json};

#[derive(Args)]
pub(crate) struct List {
    /// At most so many
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

impl List {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let client = common.client().await?;
        let request = v1::ListRequest {
            limit: self.limit,
            before: Vec::new(),
        };
        let answer = client
            .ask(request, |mut control, request| async move {
                control.list(request).await
            })
            .await?;
        for sweep in &answer.damaged {
            let named = match (sweep.name.as_str(), sweep.sweep.as_slice()) {
                ("", []) => format!("number {}", sweep.number),
                (name, id) => format!("{name:?} ({})", format::short(id)),
            };
            note!(
                "tenfold: sweep {named} is damaged on disk and not served: {}",
                sweep.why
            );
        }
        if common.json {
            return format::print(
                &answer
                    .sweeps
                    .iter()
                    .map(|sweep| json::line(&json::sweep(sweep)))
                    .collect::<String>(),
            );
        }
        if answer.sweeps.is_empty() {
            return format::print("no sweeps yet; submit one with: tenfold submit FILE\n");
        }
        let mut table = format::Table::new(&["sweep", "name", "state", "trials", "", "submitted"]);
        for sweep in &answer.sweeps {
            let counts = sweep.trials.unwrap_or_default();
            let (over, trials) = format::over(&counts);
            table.row(&[
                format::short(&sweep.sweep),
                sweep.name.clone(),
                format::sweep_state(sweep.state()).to_owned(),
                format!("{over}/{trials}"),
                format::remarks(&counts),
                format::ago(sweep.submitted_at_ms),
            ]);
        }
        let more = if answer.more {
            "there are more: --limit N\n"
        } else {
            ""
        };
        format::print(&format!("{table}\n{more}"))
    }
}
