//! Lines about a sweep as it runs: JSON for the results log and for `tail --json`, plain text for terminals.
//!
//! Each JSON object has `v` and `kind`. `progress`: a group that is not complete, at its newest epoch, over running
//! trials too: provisional. `epoch`: one epoch of a complete group. In both `n` counts repetitions and `missing` trials; those of a
//! group of several points have `trials`, `points`, `points_left_out`, `twins` and `repetitions_left_out` as well. `extension`: what the sweep got beyond its text. `choice`: what a
//! stage took from an earlier one. `sweep`: where the sweep stands. `trial_epoch` and
//! `trial`: single trials, for those who ask for them. Numbers have at most seven significant digits.

mod choice;
mod extension;
mod group;
mod text;

use serde::{Serialize, Serializer};
use tenfold_core::aggregate::GroupResult;
use tenfold_proto::v1;
use tenfold_types::{Block, Metric, SweepId, TrialKey};

use self::choice::ChoiceLine;
use self::extension::ExtensionLine;
use self::group::GroupLines;
use super::{JSON_VERSION, json};
use crate::watch::Event;

pub use choice::{choice_lines, choice_tables, choice_text, decides};
pub use extension::extension_text;
pub use text::{complete_text, progress_text, sweep_text};

/// Writes the lines of the results log for an event: one for progress and for a sweep, one for each epoch of a complete
/// group. Events about single trials have none.
pub fn write(event: &Event, out: &mut Vec<u8>) {
    match event {
        Event::Progress(seen) => {
            GroupLines::new("progress", &seen.group, &seen.metrics).write(
                Some(seen.epoch),
                &seen.statistics,
                out,
            );
        }
        Event::Complete(part) => complete(&part.result, part.first, out),
        Event::Extension(extension) => line(&ExtensionLine::of(extension), out),
        Event::Choice(choice) => line(&ChoiceLine::of(choice), out),
        Event::Sweep(status) => line(&SweepLine::of(status), out),
        Event::Epochs(_) | Event::Trial(_) => {}
    }
}

/// What [`write()`] writes, line by line.
pub fn lines(event: &Event) -> Vec<String> {
    let mut out = Vec::new();
    write(event, &mut out);
    String::from_utf8_lossy(&out).lines().map(str::to_owned).collect()
}

/// A complete group as JSON, a line for each epoch, of which this is the first. A group without a succeeded trial has one
/// line without epoch.
fn complete(result: &GroupResult, first: u32, out: &mut Vec<u8>) {
    let lines = GroupLines::new("epoch", &result.group, &result.metrics);
    if result.epochs.is_empty() {
        lines.write(None, &[], out);
    }
    for (epoch, statistics) in (first..).zip(&result.epochs) {
        lines.write(Some(epoch), statistics, out);
    }
}

/// Where a sweep stands, as JSON; without times, which are no result.
pub fn sweep(status: &v1::SweepStatus) -> String {
    json(&SweepLine::of(status))
}

/// A choice between two stages, as JSON.
pub fn choice(choice: &v1::Choice) -> String {
    json(&ChoiceLine::of(choice))
}

/// What a sweep got beyond its text, as JSON.
pub fn extension(extension: &v1::Extension) -> String {
    json(&ExtensionLine::of(extension))
}

/// Epochs of one trial as JSON, a line for each.
pub fn trial_epochs(key: TrialKey, attempt: u32, metrics: &[Metric], block: &Block) -> Vec<String> {
    if !block.is_well_formed(metrics.len()) {
        return Vec::new();
    }
    let line = |epoch| {
        json(&TrialEpochLine {
            v: JSON_VERSION,
            kind: "trial_epoch",
            stage: key.stage,
            point: key.index,
            repetition: key.repetition,
            attempt,
            epoch,
            metrics: Values {
                metrics,
                block,
                epoch,
            },
        })
    };
    (block.first..=block.last()).map(line).collect()
}

/// A trial's change of state as JSON.
pub fn trial(key: TrialKey, state: &str, attempts: u32, epochs: u32, error: Option<&str>) -> String {
    json(&TrialLine {
        v: JSON_VERSION,
        kind: "trial",
        stage: key.stage,
        point: key.index,
        repetition: key.repetition,
        state,
        attempts,
        epochs,
        error,
    })
}

/// The name of a sweep's state on the wire, such as `active`.
pub fn state_name(state: i32) -> &'static str {
    match v1::SweepState::try_from(state) {
        Ok(v1::SweepState::Active) => "active",
        Ok(v1::SweepState::Paused) => "paused",
        Ok(v1::SweepState::Stopping) => "stopping",
        Ok(v1::SweepState::Complete) => "complete",
        Ok(v1::SweepState::Failed) => "failed",
        Ok(v1::SweepState::Cancelled) => "cancelled",
        Ok(v1::SweepState::Unspecified) | Err(_) => "unknown",
    }
}

/// Appends a line.
fn line(line: &impl Serialize, out: &mut Vec<u8>) {
    out.extend_from_slice(json(line).as_bytes());
    out.push(b'\n');
}

#[derive(Serialize)]
struct SweepLine<'a> {
    v: u32,
    kind: &'static str,
    sweep: String,
    name: &'a str,
    state: &'static str,
    points: u64,
    repetitions: u32,
    trials: TrialsLine,
    epochs: u64,
    total_epochs: u64,
}

impl<'a> SweepLine<'a> {
    fn of(status: &'a v1::SweepStatus) -> Self {
        let trials = status.trials.unwrap_or_default();
        Self {
            v: JSON_VERSION,
            kind: "sweep",
            sweep: SweepId::from_bytes(&status.sweep).map_or(String::new(), |id| id.to_string()),
            name: &status.name,
            state: state_name(status.state),
            points: status.points,
            repetitions: status.repetitions,
            trials: TrialsLine::of(&trials),
            epochs: status.epochs,
            total_epochs: status.total_epochs,
        }
    }
}

#[derive(Serialize)]
struct TrialsLine {
    pending: u64,
    leased: u64,
    running: u64,
    backoff: u64,
    suspect: u64,
    succeeded: u64,
    diverged: u64,
    failed: u64,
    cancelled: u64,
}

impl TrialsLine {
    fn of(trials: &v1::TrialCounts) -> Self {
        let v1::TrialCounts {
            pending,
            leased,
            running,
            backoff,
            suspect,
            succeeded,
            diverged,
            failed,
            cancelled,
        } = *trials;
        Self {
            pending,
            leased,
            running,
            backoff,
            suspect,
            succeeded,
            diverged,
            failed,
            cancelled,
        }
    }
}

#[derive(Serialize)]
struct TrialEpochLine<'a> {
    v: u32,
    kind: &'static str,
    stage: u32,
    point: u64,
    repetition: u32,
    attempt: u32,
    epoch: u32,
    metrics: Values<'a>,
}

/// The values of one epoch of a block, float32 all the way to the text.
struct Values<'a> {
    metrics: &'a [Metric],
    block: &'a Block,
    epoch: u32,
}

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = |(at, metric): (usize, &Metric)| (metric.name(), self.block.value(at, self.epoch));
        serializer.collect_map(self.metrics.iter().enumerate().map(value))
    }
}

#[derive(Serialize)]
struct TrialLine<'a> {
    v: u32,
    kind: &'static str,
    stage: u32,
    point: u64,
    repetition: u32,
    state: &'a str,
    attempts: u32,
    epochs: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tenfold_core::aggregate::{Counts, Sample};
    use tenfold_types::{Setting, Value};

    use super::*;
    use crate::groups::{GroupPart, GroupProgress};
    use crate::report::samples::{curve, group, result};

    fn values() -> Vec<(Setting, Value)> {
        vec![
            (Setting::Architecture, Value::Text("perceptron-100".to_owned())),
            (Setting::WeightSharing, Value::Bool(true)),
            (Setting::AuxiliaryLoss, Value::Bool(false)),
        ]
    }

    fn sample() -> GroupResult {
        let curves = [0.13, 0.14, 0.15].map(|end| curve(&[0.25, 0.125], &[0.25, end]));
        result(group(2, values(), 3), &curves)
    }

    #[test]
    fn a_complete_group_is_a_line_an_epoch() {
        let part = |first| {
            lines(&Event::Complete(Arc::new(GroupPart {
                result: sample(),
                first,
                more: false,
            })))
        };
        assert!(part(101)[0].contains("\"epoch\":101"), "{}", part(101)[0]);
        let lines = part(1);
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[0],
            concat!(
                r#"{"v":2,"kind":"epoch","stage":0,"point":2,"#,
                r#""axes":{"architecture":"perceptron-100","weight_sharing":true,"auxiliary_loss":false},"#,
                r#""epoch":1,"n":3,"repetitions":3,"missing":{},"metrics":{"#,
                r#""train_error":{"mean":0.25,"standard_deviation":0.0,"standard_error":0.0,"ci95":[0.25,0.25],"min":0.25,"median":0.25,"max":0.25},"#,
                r#""test_error":{"mean":0.25,"standard_deviation":0.0,"standard_error":0.0,"ci95":[0.25,0.25],"min":0.25,"median":0.25,"max":0.25}}}"#,
            )
        );
        assert!(
            lines[1].contains(r#""test_error":{"mean":0.14,"standard_deviation":0.01000001,"#),
            "{}",
            lines[1]
        );
    }

    #[test]
    fn a_group_without_a_result_is_not_dropped() {
        let mut none = group(2, values(), 0);
        none.counts = Counts {
            diverged: 2,
            failed: 1,
            ..Counts::default()
        };
        let none = result(none, &[]);
        let lines = lines(&Event::Complete(Arc::new(GroupPart {
            result: none,
            first: 1,
            more: false,
        })));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with(
            r#""epoch":null,"n":0,"repetitions":3,"missing":{"diverged":2,"failed":1},"metrics":{}}"#
        ));
    }

    #[test]
    fn progress_says_what_is_missing() {
        let mut sample = sample();
        sample.group.counts.running = 1;
        sample.group.counts.pending = 6;
        let line = lines(&Event::Progress(GroupProgress {
            group: sample.group,
            epoch: 1,
            metrics: sample.metrics,
            statistics: sample.epochs[0].clone(),
        }))
        .concat();
        assert!(
            line.starts_with(r#"{"v":2,"kind":"progress","stage":0,"point":2,"axes":{"#),
            "{line}"
        );
        assert!(
            line.contains(r#""epoch":1,"n":3,"repetitions":10,"missing":{"pending":6,"running":1},"#),
            "{line}"
        );
    }

    #[test]
    fn lines_of_several_points_say_what_counts() {
        let mut sample = sample();
        sample.group.counts.diverged = 3;
        sample.group.sample = Sample {
            points: 2,
            points_left_out: 1,
            twins: 1,
            repetitions: 4,
            repetitions_left_out: 1,
        };
        let line = lines(&Event::Complete(Arc::new(GroupPart {
            result: sample,
            first: 1,
            more: false,
        })))
        .remove(0);
        assert!(
            line.contains(concat!(
                r#""epoch":1,"n":3,"repetitions":4,"missing":{"diverged":3},"trials":6,"points":2,"#,
                r#""points_left_out":1,"twins":1,"repetitions_left_out":1,"metrics":{"#
            )),
            "{line}"
        );
    }

    #[test]
    fn a_sweep_is_a_line_without_times() {
        let status = v1::SweepStatus {
            sweep: vec![0xab; 16],
            name: "quickstart".to_owned(),
            state: v1::SweepState::Active.into(),
            trials: Some(v1::TrialCounts {
                succeeded: 6,
                diverged: 1,
                pending: 5,
                ..Default::default()
            }),
            points: 4,
            repetitions: 3,
            submitted_at_ms: 77,
            finished_at_ms: None,
            epochs: 160,
            total_epochs: 300,
            stages: Vec::new(),
            min_repetitions: None,
        };
        let line = lines(&Event::Sweep(Box::new(status))).concat();
        assert!(
            line.starts_with(r#"{"v":2,"kind":"sweep","sweep":"abababababababababababababababab","name":"quickstart","state":"active","points":4,"repetitions":3,"trials":{"pending":5,"#),
            "{line}"
        );
        assert!(!line.contains("77"));
    }

    #[test]
    fn single_trials_keep_float32() {
        let key = TrialKey {
            stage: 0,
            repetition: 1,
            index: 4,
        };
        let block = Block {
            first: 3,
            epochs: 2,
            columns: vec![0.123, 0.1, 0.5, 0.25],
            seconds: vec![0.1, 0.1],
        };
        assert_eq!(
            trial_epochs(key, 2, &[Metric::TrainError, Metric::TestError], &block),
            [
                r#"{"v":2,"kind":"trial_epoch","stage":0,"point":4,"repetition":1,"attempt":2,"epoch":3,"metrics":{"train_error":0.123,"test_error":0.5}}"#,
                r#"{"v":2,"kind":"trial_epoch","stage":0,"point":4,"repetition":1,"attempt":2,"epoch":4,"metrics":{"train_error":0.1,"test_error":0.25}}"#,
            ]
        );
        assert!(trial_epochs(key, 2, &[Metric::TrainError], &block).is_empty());
        assert_eq!(
            trial(key, "failed", 3, 0, Some("no such device")),
            r#"{"v":2,"kind":"trial","stage":0,"point":4,"repetition":1,"state":"failed","attempts":3,"epochs":0,"error":"no such device"}"#
        );
    }
}
