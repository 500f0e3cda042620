//! `tenfold show`.

use std::fmt::Write;

use clap::Args;
use tenfold::report::log;
use tenfold_proto::v1;

use super::exit::Failure;
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
    let mut text = answer.description.clone();
    let remarks = match format::remarks(&counts) {
        none if none.is_empty() => none,
        some => format!(" ({some})"),
    };
    // Writing to a string cannot fail.
    _ = write!(
        text,
        "\nstate           {}: {over} of {trials} trials over{remarks}, {} of {} epochs\nid              {}\nsubmitted       {}\n",
        format::sweep_state(status.state()),
        status.epochs,
        status.total_epochs,
        format::hex(&status.sweep),
        format::time(status.submitted_at_ms),
    );
    if let Some(at) = status.finished_at_ms {
        let took = format::duration(at.saturating_sub(status.submitted_at_ms) as f64 / 1000.0);
        _ = writeln!(
            text,
            "finished        {} ({took} after it was submitted)",
            format::time(at)
        );
    }
    for extension in &answer.extensions {
        _ = writeln!(
            text,
            "{:<15} {} at {}",
            "extension",
            log::extension_text(extension),
            format::time(extension.at_ms)
        );
    }
    if !answer.choices.is_empty() {
        _ = writeln!(text, "\nchoices");
        text.push_str(&log::choice_tables(&answer.choices));
    }
    if !answer.failures.is_empty() {
        _ = writeln!(text, "\nfailed trials");
        for trial in &answer.failures {
            let error = trial.error.as_deref().unwrap_or("no reason is known");
            _ = writeln!(
                text,
                "  {:<10} {}\n             {}",
                format::key(trial.trial),
                format::point(&trial.point),
                format::indented(error, 13)
            );
        }
        let id = format::short(&status.sweep);
        let first = format::key(answer.failures[0].trial);
        _ = writeln!(
            text,
            "\nmore: tenfold show {id}/{first}; again: tenfold retry {id} --failed"
        );
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
    let mut text = String::new();
    _ = writeln!(
        text,
        "trial           {}/{}",
        format::short(&status.sweep),
        format::key(status.trial)
    );
    _ = writeln!(text, "point           {}", format::point(&status.point));
    _ = writeln!(
        text,
        "state           {}, {} epochs",
        format::trial_state(status.state()),
        status.epochs
    );
    if let Some(until) = status.until_ms {
        _ = writeln!(text, "waits until     {}", format::time(until));
    }
    if let Some(error) = &status.error {
        _ = writeln!(text, "error           {}", format::indented(error, 16));
    }
    _ = writeln!(
        text,
        "attempts        {} ({} charged to the trial)",
        status.attempts, status.failures
    );
    for attempt in &answer.attempts {
        let ended = if attempt.ended.is_empty() {
            "runs"
        } else {
            &attempt.ended
        };
        text.push_str(&self::attempt(attempt, ended));
    }
    text
}

/// An attempt, where and when it ran; how it ended is said so.
pub(super) fn attempt(attempt: &v1::Attempt, ended: &str) -> String {
    let mut text = format!("\nattempt {}: {}\n", attempt.number, format::foreign(ended));
    // Writing to a string cannot fail.
    _ = writeln!(
        text,
        "  ran on        {}, {}, {}",
        format::foreign(&attempt.host),
        format::foreign(&attempt.device),
        format::count(attempt.threads.into(), "thread")
    );
    _ = writeln!(
        text,
        "  versions      tenfold {}, libtorch {}",
        format::foreign(&attempt.version),
        format::foreign(&attempt.libtorch)
    );
    let took = attempt
        .ended_at_ms
        .map(|at| at.saturating_sub(attempt.started_at_ms) as f64 / 1000.0);
    let took = took.map_or_else(String::new, |seconds| format!(", {}", format::duration(seconds)));
    _ = writeln!(
        text,
        "  started       {}{took}",
        format::time(attempt.started_at_ms)
    );
    if !attempt.error.is_empty() {
        _ = writeln!(text, "  error         {}", format::indented(&attempt.error, 16));
    }
    if !attempt.stderr.is_empty() {
        _ = writeln!(text, "  the end of its standard error:");
        attempt
            .stderr
            .lines()
            .for_each(|line| _ = writeln!(text, "    {line}"));
    }
    text
}
