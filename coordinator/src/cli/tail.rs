//! `tenfold tail`.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tenfold::groups::{GroupPart, GroupProgress};
use tenfold::report::log;
use tenfold::watch::Event;
use tenfold_proto::v1::{self, watch_response};
use tenfold_types::printable;

use super::client::Client;
use super::exit::Failure;
use super::told::Told;
use super::{Common, format, json, progress, wire};

/// Pauses before a lost coordinator is asked again: the first, doubled with each, and the longest.
const AGAIN: Duration = Duration::from_millis(200);
const AGAIN_CAP: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(crate) struct Tail {
    /// The sweep
    #[arg(value_name = "SEL")]
    selector: String,
    /// Go on until the sweep is over; a coordinator that goes away is waited for
    #[arg(long, short)]
    follow: bool,
    /// Group by these axes [default: each point by itself]
    #[arg(long, value_delimiter = ',', value_name = "AXIS,…", conflicts_with = "raw")]
    by: Vec<String>,
    /// Epochs of single trials instead of groups
    #[arg(long)]
    raw: bool,
    /// Begin behind this cursor, which --json prints with each line
    #[arg(long, default_value_t = 0, value_name = "CURSOR")]
    since: u64,
}

impl Tail {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let client = common.client().await?;
        let Self {
            selector,
            follow,
            by,
            raw,
            since,
        } = self;
        let last = watch(
            &client,
            common.json,
            v1::WatchRequest {
                selector,
                by,
                raw,
                since,
                follow,
            },
        )
        .await?;
        if follow { progress::verdict(&last) } else { Ok(()) }
    }
}

/// Prints a sweep's results as they come, until it is over.
pub(crate) async fn follow(client: &Client, common: &Common, selector: String) -> Result<(), Failure> {
    let request = v1::WatchRequest {
        selector,
        follow: true,
        ..v1::WatchRequest::default()
    };
    progress::verdict(&watch(client, common.json, request).await?)
}

async fn watch(
    client: &Client,
    as_json: bool,
    mut request: v1::WatchRequest,
) -> Result<v1::SweepStatus, Failure> {
    let mut pause = AGAIN;
    let mut status = loop {
        match find(client, &request.selector).await {
            Err(failure) if request.follow && failure.may_pass() => {
                wait(&mut pause, Some(&failure)).await;
            }
            found => break found?,
        }
    };
    // `last` means the same sweep for as long as this runs, whatever is submitted meanwhile.
    request.selector = format::hex(&status.sweep);
    pause = AGAIN;
    let mut told = Told::default();
    loop {
        let before = request.since;
        let failure = match read(client, as_json, &mut request, &mut status, &mut told).await {
            Ok(()) if !request.follow || status.finished_at_ms.is_some() => return Ok(status),
            Ok(()) => None,
            Err(failure) if request.follow && failure.may_pass() => Some(failure),
            Err(failure) => return Err(failure),
        };
        if request.since > before {
            pause = AGAIN;
        }
        wait(&mut pause, failure.as_ref()).await;
    }
}

async fn find(client: &Client, selector: &str) -> Result<v1::SweepStatus, Failure> {
    let show = v1::ShowRequest {
        selector: selector.to_owned(),
    };
    let shown = client
        .ask(
            show,
            |mut control, request| async move { control.show(request).await },
        )
        .await?;
    Ok(shown.status.unwrap_or_default())
}

/// Lets a pause pass, each twice as long as the one before; the first says why.
async fn wait(pause: &mut Duration, failure: Option<&Failure>) {
    if let Some(failure) = failure
        && *pause == AGAIN
    {
        note!("tenfold: waiting for the coordinator: {failure}");
    }
    tokio::time::sleep(*pause).await;
    *pause = (*pause * 2).min(AGAIN_CAP);
}

/// Prints what comes until the stream ends. A pass of the coordinator is printed when it is whole, so that asking
/// again behind the last one neither repeats nor misses a line.
async fn read(
    client: &Client,
    as_json: bool,
    request: &mut v1::WatchRequest,
    status: &mut v1::SweepStatus,
    told: &mut Told,
) -> Result<(), Failure> {
    let mut stream = client
        .ask(request.clone(), |mut control, request| async move {
            control.watch(request).await
        })
        .await?;
    let (mut pass, mut is_first) = (Vec::new(), true);
    while let Some(message) = stream.message().await.map_err(|status| client.failure(&status))? {
        let Some(mut event) = message.event else { continue };
        if let (Some(watch_response::Event::Complete(before)), watch_response::Event::Complete(part)) =
            (pass.last_mut(), &mut event)
            && before.more
        {
            // A long curve comes in parts.
            before.statistics.append(&mut part.statistics);
            before.more = part.more;
            continue;
        }
        let closes = matches!(event, watch_response::Event::Sweep(_));
        if let watch_response::Event::Sweep(now) = &event {
            *status = now.clone();
        }
        pass.push(event);
        if closes {
            told.pass(&mut pass, is_first, message.reached, message.cursor);
            is_first = false;
            let mut text = String::new();
            for event in pass.drain(..) {
                text.push_str(&lines(event, as_json, message.cursor, status)?);
            }
            format::print(&text)?;
            request.since = message.cursor;
        }
    }
    Ok(())
}

fn lines(
    event: watch_response::Event,
    as_json: bool,
    cursor: u64,
    status: &v1::SweepStatus,
) -> Result<String, Failure> {
    use watch_response::Event as Wire;
    let event = match event {
        Wire::Progress(progress) => {
            let metrics = wire::metrics(&progress.metrics)?;
            Event::Progress(GroupProgress {
                group: wire::group(progress.group)?,
                epoch: progress.epoch,
                metrics,
                statistics: progress.statistics.into_iter().map(wire::statistics).collect(),
            })
        }
        Wire::Complete(result) => Event::Complete(Arc::new(GroupPart {
            result: wire::group_result(result)?,
            first: 1,
            more: false,
        })),
        Wire::Extension(extension) => Event::Extension(Box::new(extension)),
        Wire::Choice(choice) => Event::Choice(Box::new(choice)),
        Wire::Sweep(status) => Event::Sweep(Box::new(status)),
        Wire::Epochs(progress) if as_json => return json_epochs(progress, cursor),
        Wire::Epochs(progress) => return epochs(progress),
        Wire::Trial(trial) if as_json => {
            return Ok(json::with_cursor(&json::trial(&trial).to_string(), cursor));
        }
        Wire::Trial(trial) => {
            let error = trial
                .error
                .as_ref()
                .map_or_else(String::new, |error| format!(": {}", printable::line(error)));
            let state = format::trial_state(trial.state());
            return Ok(format!(
                "{:<10} {state}{error}  {}\n",
                format::key(trial.trial),
                format::point(&trial.point)
            ));
        }
    };
    if as_json {
        return Ok(log::lines(&event)
            .iter()
            .map(|line| json::with_cursor(line, cursor))
            .collect());
    }
    let line = match &event {
        Event::Progress(progress) => {
            let epochs = epochs_of(status, progress.group.stage);
            log::progress_text(
                &progress.group,
                progress.epoch,
                epochs,
                &progress.metrics,
                &progress.statistics,
            )
        }
        Event::Complete(part) => log::complete_text(&part.result),
        Event::Extension(extension) => log::extension_text(extension),
        Event::Choice(choice) => log::choice_text(choice),
        Event::Sweep(status) => log::sweep_text(status),
        Event::Epochs(_) | Event::Trial(_) => return Ok(String::new()),
    };
    Ok(format!("{line}\n"))
}

/// Epochs of each trial of a stage.
fn epochs_of(status: &v1::SweepStatus, stage: u32) -> u32 {
    match status.stages.get(stage as usize) {
        Some(stage) => stage.epochs,
        None => {
            let trials = status.points * u64::from(status.repetitions);
            u32::try_from(status.total_epochs / trials.max(1)).unwrap_or(u32::MAX)
        }
    }
}

fn json_epochs(progress: v1::TrialProgress, cursor: u64) -> Result<String, Failure> {
    let metrics = wire::metrics(&progress.metrics)?;
    let (Some(key), Some(block)) = (progress.trial, progress.block) else {
        return Ok(String::new());
    };
    let lines = log::trial_epochs(key.into(), progress.attempt, &metrics, &wire::block(block)?);
    Ok(lines.iter().map(|line| json::with_cursor(line, cursor)).collect())
}

/// A line an epoch: `0.12.3  epoch 7  train_error 0.12  …`.
fn epochs(progress: v1::TrialProgress) -> Result<String, Failure> {
    let Some(block) = progress.block.map(wire::block).transpose()? else {
        return Ok(String::new());
    };
    let mut text = String::new();
    for epoch in 0..block.epochs {
        text.push_str(&format!(
            "{:<10} epoch {:<5}",
            format::key(progress.trial),
            block.first + epoch
        ));
        for (metric, name) in progress.metrics.iter().enumerate() {
            if let Some(value) = block.columns.get(metric * block.epochs as usize + epoch as usize) {
                text.push_str(&format!("  {name} {value}"));
            }
        }
        text.push('\n');
    }
    Ok(text)
}
