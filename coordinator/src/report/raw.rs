//! Exports of single trials' curves: CSV and JSON Lines, a row for each trial and epoch, a column for each metric.

use std::io::{self, Write};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use tenfold_core::record::AttemptRow;
use tenfold_types::{Curve, Metric, Setting, TrialKey, Value};

use super::export::{Axes, axes, cell, record};
use super::{JSON_VERSION, json};

/// A trial with its accepted curve, or what there is of one.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialCurveRow {
    /// The trial.
    pub key: TrialKey,
    /// The values of its point, in the order of the axes.
    pub values: Vec<(Setting, Value)>,
    /// The name of its state, such as `succeeded`.
    pub state: String,
    /// Its curve.
    pub curve: Curve,
    /// Where and when it was trained, when that was asked for.
    pub provenance: Option<Provenance>,
}

/// Where and when a curve came about: no part of the curve, and other each time.
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    /// The attempt.
    pub attempt: AttemptRow,
    /// Seconds that each epoch took.
    pub seconds: Vec<f32>,
}

const LEAD: [&str; 3] = ["stage", "point", "repetition"];
const PROVENANCE: [&str; 10] = [
    "seconds",
    "attempt",
    "worker",
    "host",
    "device",
    "threads",
    "version",
    "libtorch",
    "started_at_ms",
    "ended_at_ms",
];

/// Writes CSV. Columns: `stage`, `point`, `repetition`, one for each axis, `state`, `epoch`, one for each metric; and,
/// when some row has provenance, `seconds` (of the epoch), `attempt`, `worker`, `host`, `device`, `threads`, `version`,
/// `libtorch`, `started_at_ms`, `ended_at_ms`. A trial without an epoch has one row without one.
///
/// # Errors
/// The writer's.
pub fn csv(rows: &[TrialCurveRow], out: impl Write) -> io::Result<()> {
    let mut out = csv::Writer::from_writer(out);
    let axes = axes(rows.iter().map(|row| row.values.as_slice()));
    let metrics = metrics(rows);
    let provenance = rows.iter().any(|row| row.provenance.is_some());

    let mut header: Vec<String> = LEAD.map(str::to_owned).to_vec();
    header.extend(axes.iter().map(|axis| axis.name().to_owned()));
    header.extend(["state", "epoch"].map(str::to_owned));
    header.extend(metrics.iter().map(Metric::to_string));
    header.extend(
        PROVENANCE
            .iter()
            .filter(|_| provenance)
            .map(|&name| name.to_owned()),
    );
    record(&mut out, &header)?;

    for row in rows {
        let TrialKey {
            stage,
            repetition,
            index,
        } = row.key;
        let mut lead = vec![stage.to_string(), index.to_string(), repetition.to_string()];
        lead.extend(axes.iter().map(|axis| cell(&row.values, *axis)));
        lead.push(row.state.clone());
        for epoch in epochs(&row.curve) {
            let mut cells = lead.clone();
            cells.push(epoch.map_or(String::new(), |epoch| epoch.to_string()));
            let value = |metric: &Metric| epoch.and_then(|epoch| at(row.curve.column(*metric)?, epoch));
            cells.extend(
                metrics
                    .iter()
                    .map(|metric| value(metric).map_or(String::new(), number)),
            );
            if provenance {
                cells.extend(provenance_cells(row.provenance.as_ref(), epoch));
            }
            record(&mut out, &cells)?;
        }
    }
    out.flush()
}

/// Writes JSON Lines: the rows of [`csv()`] as objects with `"v": 2, "kind": "trial_epoch"`; axes, metrics and
/// provenance in objects of their own.
///
/// # Errors
/// The writer's.
pub fn jsonl(rows: &[TrialCurveRow], mut out: impl Write) -> io::Result<()> {
    for row in rows {
        for epoch in epochs(&row.curve) {
            let line = Line {
                v: JSON_VERSION,
                kind: "trial_epoch",
                stage: row.key.stage,
                point: row.key.index,
                repetition: row.key.repetition,
                axes: Axes(&row.values),
                state: &row.state,
                epoch,
                metrics: Metrics(&row.curve, epoch),
                provenance: row
                    .provenance
                    .as_ref()
                    .map(|provenance| ProvenanceLine::new(provenance, epoch)),
            };
            writeln!(out, "{}", json(&line))?;
        }
    }
    out.flush()
}

/// The metrics that occur in any row, in the order in which they first do.
fn metrics(rows: &[TrialCurveRow]) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for metric in rows.iter().flat_map(|row| &row.curve.metrics) {
        if !metrics.contains(metric) {
            metrics.push(*metric);
        }
    }
    metrics
}

/// The numbers of a curve's epochs; one that is none when there are no epochs, so that the trial is not dropped.
fn epochs(curve: &Curve) -> Vec<Option<u32>> {
    match curve.epochs() {
        0 => vec![None],
        last => (1..=last).map(Some).collect(),
    }
}

fn at(column: &[f32], epoch: u32) -> Option<f32> {
    column.get((epoch as usize).checked_sub(1)?).copied()
}

/// The shortest text that reads back as the same float32.
fn number(value: f32) -> String {
    if value != 0.0 && !(1e-3..1e7).contains(&value.abs()) {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

fn provenance_cells(provenance: Option<&Provenance>, epoch: Option<u32>) -> [String; 10] {
    let Some(Provenance { attempt, seconds }) = provenance else {
        return Default::default();
    };
    [
        epoch
            .and_then(|epoch| at(seconds, epoch))
            .map_or(String::new(), number),
        attempt.number.to_string(),
        attempt.worker.to_string(),
        attempt.provenance.host.clone(),
        attempt.provenance.device.clone(),
        attempt.provenance.threads.to_string(),
        attempt.provenance.version.clone(),
        attempt.provenance.libtorch.clone(),
        attempt.started_at.to_string(),
        attempt.ended_at.map_or(String::new(), |ended| ended.to_string()),
    ]
}

#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    kind: &'static str,
    stage: u32,
    point: u64,
    repetition: u32,
    axes: Axes<'a>,
    state: &'a str,
    epoch: Option<u32>,
    metrics: Metrics<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<ProvenanceLine<'a>>,
}

/// A curve's values at an epoch; float32 all the way to the text, so that 0.123 stays 0.123.
struct Metrics<'a>(&'a Curve, Option<u32>);

impl Serialize for Metrics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (metric, column) in self.0.metrics.iter().zip(&self.0.columns) {
            if let Some(value) = self.1.and_then(|epoch| at(column, epoch)) {
                map.serialize_entry(&metric.to_string(), &value)?;
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
struct ProvenanceLine<'a> {
    seconds: Option<f32>,
    attempt: u32,
    worker: String,
    host: &'a str,
    device: &'a str,
    threads: u32,
    version: &'a str,
    libtorch: &'a str,
    started_at_ms: u64,
    ended_at_ms: Option<u64>,
}

impl<'a> ProvenanceLine<'a> {
    fn new(Provenance { attempt, seconds }: &'a Provenance, epoch: Option<u32>) -> Self {
        Self {
            seconds: epoch.and_then(|epoch| at(seconds, epoch)),
            attempt: attempt.number,
            worker: attempt.worker.to_string(),
            host: &attempt.provenance.host,
            device: &attempt.provenance.device,
            threads: attempt.provenance.threads,
            version: &attempt.provenance.version,
            libtorch: &attempt.provenance.libtorch,
            started_at_ms: attempt.started_at,
            ended_at_ms: attempt.ended_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use tenfold_types::{Fence, SweepId, TrialId, WorkerId};

    use super::super::samples::curve;
    use super::*;

    fn rows() -> Vec<TrialCurveRow> {
        let row = |repetition, state: &str, curve| TrialCurveRow {
            key: TrialKey {
                stage: 0,
                repetition,
                index: 4,
            },
            values: vec![
                (Setting::LearningRate, Value::Float(1e-4)),
                (Setting::AuxiliaryLoss, Value::Bool(false)),
            ],
            state: state.to_owned(),
            curve,
            provenance: None,
        };
        vec![
            row(0, "succeeded", curve(&[0.123, 1e-9], &[0.5, 0.25])),
            row(1, "failed", Curve::new(vec![])),
        ]
    }

    fn text(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes)
            .map(|()| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    #[test]
    fn csv_is_wide_and_drops_no_trial() {
        assert_eq!(
            text(|out| csv(&rows(), out)),
            "stage,point,repetition,learning_rate,auxiliary_loss,state,epoch,train_error,test_error\n\
             0,4,0,1e-4,false,succeeded,1,0.123,0.5\n\
             0,4,0,1e-4,false,succeeded,2,1e-9,0.25\n\
             0,4,1,1e-4,false,failed,,,\n"
        );
    }

    #[test]
    fn json_lines_say_the_same() {
        assert_eq!(
            text(|out| jsonl(&rows(), out)),
            concat!(
                r#"{"v":2,"kind":"trial_epoch","stage":0,"point":4,"repetition":0,"axes":{"learning_rate":0.0001,"auxiliary_loss":false},"state":"succeeded","epoch":1,"metrics":{"train_error":0.123,"test_error":0.5}}"#,
                "\n",
                r#"{"v":2,"kind":"trial_epoch","stage":0,"point":4,"repetition":0,"axes":{"learning_rate":0.0001,"auxiliary_loss":false},"state":"succeeded","epoch":2,"metrics":{"train_error":1e-9,"test_error":0.25}}"#,
                "\n",
                r#"{"v":2,"kind":"trial_epoch","stage":0,"point":4,"repetition":1,"axes":{"learning_rate":0.0001,"auxiliary_loss":false},"state":"failed","epoch":null,"metrics":{}}"#,
                "\n",
            )
        );
    }

    #[test]
    fn provenance_comes_when_it_is_there() {
        let mut rows = rows();
        let key = rows[0].key;
        rows[0].provenance = Some(Provenance {
            attempt: AttemptRow {
                trial: TrialId {
                    sweep: SweepId([0; 16]),
                    key,
                },
                number: 2,
                fence: Fence(9),
                worker: WorkerId([1; 8]),
                provenance: tenfold_core::record::Provenance {
                    host: "node-1".to_owned(),
                    device: "NVIDIA H100".to_owned(),
                    threads: 1,
                    version: "0.1.0".to_owned(),
                    libtorch: "2.11.0".to_owned(),
                },
                started_at: 1000,
                ended_at: Some(2000),
                ended: "succeeded".to_owned(),
                error: String::new(),
                stderr: String::new(),
            },
            seconds: vec![0.5, 0.25],
        });
        let csv = text(|out| csv(&rows, out));
        let lines: Vec<&str> = csv.lines().collect();
        assert!(lines[0].ends_with(",test_error,seconds,attempt,worker,host,device,threads,version,libtorch,started_at_ms,ended_at_ms"));
        assert!(
            lines[2].ends_with(",0.25,0.25,2,0101010101010101,node-1,NVIDIA H100,1,0.1.0,2.11.0,1000,2000")
        );
        assert!(lines[3].ends_with(",failed,,,,,,,,,,,,,"), "{}", lines[3]);
        let json = text(|out| jsonl(&rows, out));
        assert!(json.contains(r#""provenance":{"seconds":0.5,"attempt":2,"worker":"0101010101010101","#));
    }
}
