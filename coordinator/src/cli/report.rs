//! `tenfold report`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use tenfold::report::document::{Failed, File, Provenance, StageOf, Study, report, stale};
use tenfold::report::hypotheses::Asked;
use tenfold::report::log;
use tenfold_proto::v1;
use tenfold_types::{Metric, TrialKey};

use super::client::Client;
use super::exit::{self, Failure};
use super::{Common, format, hypotheses, json, results, wire, write_file};

#[derive(Args)]
pub(crate) struct Report {
    /// The sweep
    #[arg(value_name = "SEL")]
    selector: String,
    /// The folder to write it to: index.html, report.md, figures, tables, provenance; an older report's other files are
    /// removed, unless somebody changed them
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Of this stage only [default: of all]
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// What groups are compared by
    #[arg(long, value_name = "METRIC", default_value = "test_error")]
    metric: String,
}

impl Report {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let metric: Metric = self
            .metric
            .parse()
            .map_err(|error: tenfold_types::curve::UnknownMetric| Failure::Usage(error.to_string()))?;
        if self.output.exists() && !self.output.is_dir() {
            return Err(Failure::Usage(format!(
                "{} is a file; a report goes into a folder",
                self.output.display()
            )));
        }
        let client = common.client().await?;
        let files = write(
            &client,
            self.selector,
            &self.output,
            self.stage.as_deref(),
            metric,
        )
        .await?;
        let page = self.output.join("index.html");
        if common.json {
            return format::print(&json::line(&json::file(&page)));
        }
        format::print(&format!("wrote {files} files; begin with {}\n", page.display()))
    }
}

/// Writes the report of a sweep, or of one of its stages, into a folder; how many files it has.
pub(crate) async fn write(
    client: &Client,
    selector: String,
    output: &Path,
    stage: Option<&str>,
    metric: Metric,
) -> Result<usize, Failure> {
    let show = v1::ShowRequest { selector };
    let shown = client
        .ask(
            show,
            |mut control, request| async move { control.show(request).await },
        )
        .await?;
    let status = shown.status.clone().unwrap_or_default();
    let id = format::hex(&status.sweep);
    let named = stage.map(str::to_owned);
    let groups = results::groups(client, &id, Vec::new(), named.clone()).await?;
    if groups.iter().all(|group| group.epochs.is_empty()) {
        let what = stage.map_or_else(|| "the sweep".to_owned(), |stage| format!("stage {stage}"));
        return Err(Failure::Refused(format!(
            "no trial of {what} has succeeded, so there is nothing to report yet"
        )));
    }
    if groups.iter().all(|group| !group.metrics.contains(&metric)) {
        return Err(Failure::Usage(format!("no group has a {metric}")));
    }
    // Those without a curve too: comparisons and verdicts say what became of them.
    let request = v1::CurvesRequest {
        selector: id.clone(),
        provenance: true,
        stage: named,
        every_trial: true,
        ..v1::CurvesRequest::default()
    };
    let trials = results::request_curves(client, request).await?;
    let mut study = study(&shown, stage, metric);
    study
        .failed
        .retain(|failed| groups.iter().any(|group| group.group.stage == failed.key.stage));
    let verdicts = match &study.sweep {
        Some(sweep) => hypotheses::judged(client, &shown, sweep, &[], &Asked::default()).await?,
        None => Vec::new(),
    };
    let study = Study {
        results: groups,
        trials,
        verdicts,
        ..study
    };
    let provenance = Provenance {
        sweep: &study.id,
        name: &study.name,
        version: &study.version,
        written_at: format::time(now()),
        submitted_at: format::time(status.submitted_at_ms),
        finished_at: status.finished_at_ms.map(format::time),
        trials: &study.trials,
        time: format::time,
    };
    let files = report(&study)
        .files()
        .map_err(|error| Failure::Refused(error.to_string()))?;
    let provenance = provenance.files(&files);
    remove_stale(output, &files)?;
    // First the list of what is written: if this is cut off, the next report still knows.
    let all = provenance.iter().chain(&files);
    for file in all.clone() {
        write_file(&output.join(&file.path), &file.bytes)?;
    }
    Ok(all.count())
}

/// Removes what an older report wrote into the folder and this one does not write; what was changed since, or was never a
/// report's, stays.
fn remove_stale(output: &Path, files: &[File]) -> Result<(), Failure> {
    let Ok(older) = fs::read(output.join("provenance.json")) else {
        return Ok(());
    };
    for stale in stale(&older, files) {
        let path = output.join(&stale.path);
        let is_file = fs::symlink_metadata(&path).is_ok_and(|found| found.is_file());
        if is_file && fs::read(&path).is_ok_and(|bytes| stale.is(&bytes)) {
            fs::remove_file(&path).map_err(|error| exit::of_file(&path, &error))?;
        }
    }
    Ok(())
}

/// What the coordinator says of the sweep, without results and trials.
fn study(shown: &v1::ShowResponse, stage: Option<&str>, metric: Metric) -> Study {
    let status = shown.status.clone().unwrap_or_default();
    let sweep = wire::sweep(shown).ok();
    let provisional = status
        .finished_at_ms
        .is_none()
        .then(|| format::sweep_state(status.state()).to_owned());
    let stages: Vec<StageOf> = match status.stages.as_slice() {
        [] => vec![StageOf {
            name: String::new(),
            points: status.points,
            repetitions: status.repetitions,
            min_repetitions: sweep
                .as_ref()
                .and_then(|sweep| sweep.stages().first()?.min_repetitions()),
            epochs: sweep.as_ref().map_or(0, |sweep| sweep.epochs(0)),
        }],
        stages => (stages.iter())
            .filter(|of| stage.is_none_or(|stage| of.name == stage))
            .map(|of| StageOf {
                name: of.name.clone(),
                points: of.points,
                repetitions: of.repetitions,
                min_repetitions: of.min_repetitions,
                epochs: of.epochs,
            })
            .collect(),
    };
    let failed = |trial: &v1::TrialStatus| {
        Some(Failed {
            key: TrialKey::from(trial.trial?),
            values: wire::assignments(trial.point.clone()).ok()?,
            error: trial.error.clone().unwrap_or_default(),
        })
    };
    Study {
        id: format::hex(&status.sweep),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        plan: shown.description.clone(),
        normalised: shown.normalised.clone(),
        sweep,
        provisional,
        counts: wire::counts(status.trials.unwrap_or_default()),
        stages,
        failed: shown.failures.iter().filter_map(failed).collect(),
        choices: log::choice_lines(
            shown
                .choices
                .iter()
                .filter(|choice| stage.is_none_or(|stage| choice.stage_name == stage)),
        ),
        metric: Some(metric),
        name: status.name,
        ..Study::default()
    }
}

/// In milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
