//! `tenfold show`.

use clap::Args;
use tenfold::report::log;
use tenfold_proto::v1;
use tenfold_types::printable;

use super::exit::Failure;
use super::format::Fields;
use super::{Common, format, json};

#[derive(Args)]
pub(crate) struct Show {
    /// A sweep, or a trial as SEL/stage.point.repetition
    #[arg(value_name = "SEL|TRIAL")]
    what: String,
}

impl Show {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let client = common.client().await?;
        if self.what.contains('/') {
            let request = v1::ShowTrialRequest { trial: self.what };
            let answer = client
                .ask(request, |mut control, request| async move {
                    control.show_trial(request).await
                })
                .await?;
            return format::print(&trial(&answer, common.json));
        }
        let request = v1::ShowRequest { selector: self.what };
        let answer = client
            .ask(request, |mut control, request| async move {
                control.show(request).await
            })
            .await?;
        format::print(&sweep(&answer, common.json))
    }
}

fn sweep(answer: &v1::ShowResponse, as_json: bool) -> String {
    let status = answer.status.clone().unwrap_or_default();
    if as_json {
        let failures = answer
            .failures
            .iter()
            .map(|trial| json::line(&json::trial(trial)));
        let choices = answer.choices.iter().map(|choice| log::choice(choice) + "\n");
        let extensions = answer.extensions.iter();
        let extensions = extensions.map(|extension| log::extension(extension) + "\n");
        return std::iter::once(json::line(&json::sweep(&status)))
            .chain(extensions)
            .chain(choices)
            .chain(failures)
            .collect();
    }
    let counts = status.trials.unwrap_or_default();
    let (over, trials) = format::over(&counts);
    let remarks = match format::remarks(&counts) {
        none if none.is_empty() => none,
        some => format!(" ({some})"),
    };
    let mut fields = Fields::new(0, 15);
    let state = format::sweep_state(status.state());
    let epochs = format!("{} of {} epochs", status.epochs, status.total_epochs);
    fields.line(
        "state",
        &format!("{state}: {over} of {trials} trials over{remarks}, {epochs}"),
    );
    fields.line("id", &format::hex(&status.sweep));
    fields.line("submitted", &format::time(status.submitted_at_ms));
    if let Some(at) = status.finished_at_ms {
        let took = format::duration(at.saturating_sub(status.submitted_at_ms) as f64 / 1000.0);
        let when = format::time(at);
        fields.line("finished", &format!("{when} ({took} after it was submitted)"));
    }
    for extension in &answer.extensions {
        let (what, when) = (log::extension_text(extension), format::time(extension.at_ms));
        fields.line("extension", &format!("{what} at {when}"));
    }
    let mut text = format!("{}\n{}", answer.description, fields.finish());
    if !answer.choices.is_empty() {
        text += "\nchoices\n";
        text += &log::choice_tables(&answer.choices);
    }
    if let Some(first) = answer.failures.first() {
        text += "\nfailed trials\n";
        let mut fields = Fields::new(2, 10);
        for trial in &answer.failures {
            fields.line(&format::key(trial.trial), &format::point(&trial.point));
            fields.line("", trial.error.as_deref().unwrap_or("no reason is known"));
        }
        let (id, first) = (format::short(&status.sweep), format::key(first.trial));
        text += &fields.finish();
        text += &format!("\nmore: tenfold show {id}/{first}; again: tenfold retry {id} --failed\n");
    }
    text
}

fn trial(answer: &v1::ShowTrialResponse, as_json: bool) -> String {
    let status = answer.status.clone().unwrap_or_default();
    if as_json {
        let attempts = answer
            .attempts
            .iter()
            .map(|attempt| json::line(&json::attempt(attempt)));
        return std::iter::once(json::line(&json::trial(&status)))
            .chain(attempts)
            .collect();
    }
    let mut fields = Fields::new(0, 15);
    let key = format::key(status.trial);
    fields.line("trial", &format!("{}/{key}", format::short(&status.sweep)));
    fields.line("point", &format::point(&status.point));
    let state = format::trial_state(status.state());
    fields.line("state", &format!("{state}, {} epochs", status.epochs));
    if let Some(until) = status.until_ms {
        fields.line("waits until", &format::time(until));
    }
    if let Some(error) = &status.error {
        fields.line("error", error);
    }
    let attempts = format!("{} ({} charged to the trial)", status.attempts, status.failures);
    fields.line("attempts", &attempts);
    let mut text = fields.finish();
    for attempt in &answer.attempts {
        let ended = match attempt.ended.as_str() {
            "" => "runs",
            ended => ended,
        };
        text += &self::attempt(attempt, ended);
    }
    text
}

/// An attempt, where and when it ran; how it ended is said so.
pub(super) fn attempt(attempt: &v1::Attempt, ended: &str) -> String {
    let mut fields = Fields::new(2, 13);
    let threads = format::count(attempt.threads.into(), "thread");
    fields.line(
        "ran on",
        &format!("{}, {}, {threads}", attempt.host, attempt.device),
    );
    fields.line(
        "versions",
        &format!("tenfold {}, libtorch {}", attempt.version, attempt.libtorch),
    );
    let took = attempt
        .ended_at_ms
        .map(|at| at.saturating_sub(attempt.started_at_ms) as f64 / 1000.0);
    let took = took.map_or_else(String::new, |seconds| format!(", {}", format::duration(seconds)));
    fields.line(
        "started",
        &format!("{}{took}", format::time(attempt.started_at_ms)),
    );
    if !attempt.error.is_empty() {
        fields.line("error", &attempt.error);
    }
    let mut text = format!(
        "\nattempt {}: {}\n{}",
        attempt.number,
        printable::line(ended),
        fields.finish()
    );
    if !attempt.stderr.is_empty() {
        text += "  the end of its standard error:\n";
        text.extend(attempt.stderr.lines().map(|line| format!("    {line}\n")));
    }
    text
}
