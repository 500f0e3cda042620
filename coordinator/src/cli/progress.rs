//! Waiting for a sweep: a bar on a terminal, a plain line now and then elsewhere.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tenfold_proto::v1;

use super::client::Client;
use super::exit::Failure;
use super::format;

/// How often the coordinator is asked.
const ASK: Duration = Duration::from_millis(100);
/// How often a plain line is printed.
const LINE: Duration = Duration::from_secs(5);

/// What is shown while waiting.
pub(crate) struct Bar {
    bar: Option<ProgressBar>,
    began: Instant,
    /// The epochs there were at the start: what came before says nothing of the speed now.
    first: Option<u64>,
    line: Instant,
    lines: u32,
}

impl Bar {
    pub(crate) fn new() -> Self {
        let bar = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:32} {pos}/{len} trials  {msg}");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self {
            bar,
            began: Instant::now(),
            first: None,
            line: Instant::now(),
            lines: 0,
        }
    }

    fn show(&mut self, status: &v1::SweepStatus) {
        let counts = status.trials.unwrap_or_default();
        let (over, trials) = format::over(&counts);
        let first = *self.first.get_or_insert(status.epochs);
        let seconds = self.began.elapsed().as_secs_f64();
        let speed = status.epochs.saturating_sub(first) as f64 / seconds.max(0.001);
        let left = status.total_epochs.saturating_sub(status.epochs) as f64;
        let time = if speed > 0.0 && seconds > 1.0 {
            format!(", {} left", format::duration(left / speed))
        } else {
            String::new()
        };
        let state = match status.state() {
            v1::SweepState::Active => String::new(),
            other => format!(", {}", format::sweep_state(other)),
        };
        let remarks = match format::remarks(&counts) {
            none if none.is_empty() => none,
            some => format!(", {some}"),
        };
        let message = format!("{speed:.0} epochs/s{time}{remarks}{state}");
        match &self.bar {
            Some(bar) => {
                bar.set_length(trials);
                bar.set_position(over);
                bar.set_message(message);
            }
            None if self.lines == 0 || self.line.elapsed() >= LINE => {
                self.lines += 1;
                self.line = Instant::now();
                note!("{over}/{trials} trials, {message}");
            }
            None => {}
        }
    }

    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Waits until the sweep is over. A coordinator that goes away is waited for.
pub(crate) async fn until_over(
    client: &Client,
    selector: &str,
    bar: &mut Bar,
) -> Result<v1::SweepStatus, Failure> {
    loop {
        let request = v1::ShowRequest {
            selector: selector.to_owned(),
        };
        match client.control.clone().show(request).await {
            Ok(answer) => {
                let status = answer.into_inner().status.unwrap_or_default();
                bar.show(&status);
                if status.finished_at_ms.is_some() {
                    bar.clear();
                    return Ok(status);
                }
            }
            Err(status) => match client.failure(&status) {
                Failure::Unreachable { .. } | Failure::Busy { .. } => {}
                failure => return Err(failure),
            },
        }
        tokio::time::sleep(ASK).await;
    }
}

/// Divergence is a result; failed and cancelled trials are failures.
pub(crate) fn verdict(status: &v1::SweepStatus) -> Result<(), Failure> {
    match status.state() {
        v1::SweepState::Failed | v1::SweepState::Cancelled => Err(Failure::Sweep),
        _ => Ok(()),
    }
}
