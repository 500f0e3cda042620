//! Exports of aggregated curves: CSV and JSON Lines in long format, a row for each group, epoch and metric.
//!
//! Numbers have at most seven significant digits; see [`significant`]. The order is that of the results, so the same
//! results give the same bytes.

use std::io::{self, Write};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use tenfold_core::aggregate::{GroupResult, Statistics};
use tenfold_core::rounding::significant;
use tenfold_types::{Metric, Setting, Value, printable};

use super::{JSON_VERSION, json};

/// Writes CSV. Columns: `stage`, `point` (the index of the group's first point), one for each axis, then
/// [`CSV_COLUMNS`]. Cells without a value are empty. A group without a succeeded trial has one row, without epoch and
/// metric and with n = 0.
///
/// `n` and `repetitions` count repetitions; `diverged`, `failed`, `cancelled`, `unfinished` and `trials` count the trials of all
/// points of the group, whatever counts of them. `binomial_error` is that of one trial, see
/// [`binomial_error`](tenfold_core::aggregate::binomial_error). Intervals are whole, even where a share cannot lie.
///
/// # Errors
/// The writer's.
pub fn csv(results: &[GroupResult], out: impl Write) -> io::Result<()> {
    let mut out = csv::Writer::from_writer(out);
    let axes = axes(results.iter().map(|result| result.group.values.as_slice()));
    let names = axes.iter().map(|axis| axis.name());
    record(
        &mut out,
        ["stage", "point"].into_iter().chain(names).chain(CSV_COLUMNS),
    )?;
    for result in results {
        let mut lead = vec![result.group.stage.to_string(), result.group.index.to_string()];
        lead.extend(axes.iter().map(|axis| cell(&result.group.values, *axis)));
        for row in rows(result) {
            record(&mut out, lead.iter().cloned().chain(row.cells()))?;
        }
    }
    out.flush()
}

/// Writes a record of CSV, printable and on one line.
pub(super) fn record(
    out: &mut csv::Writer<impl Write>,
    cells: impl IntoIterator<Item = impl AsRef<str>>,
) -> csv::Result<()> {
    for cell in cells {
        out.write_field(&*printable::line(cell.as_ref()))?;
    }
    out.write_record(None::<&[u8]>)
}

const COLUMNS: usize = 22;

/// The columns of [`csv()`] behind the axes.
pub const CSV_COLUMNS: [&str; COLUMNS] = [
    "epoch",
    "metric",
    "n",
    "mean",
    "standard_deviation",
    "standard_error",
    "ci95_low",
    "ci95_high",
    "min",
    "median",
    "max",
    "repetitions",
    "diverged",
    "failed",
    "cancelled",
    "unfinished",
    "trials",
    "points",
    "points_left_out",
    "twins",
    "repetitions_left_out",
    "binomial_error",
];

/// Writes JSON Lines: the rows of [`csv()`] as objects with `"v": 2, "kind": "group"`, the axes in an object `axes`.
///
/// # Errors
/// The writer's.
pub fn jsonl(results: &[GroupResult], mut out: impl Write) -> io::Result<()> {
    for result in results {
        for row in rows(result) {
            let line = Line {
                v: JSON_VERSION,
                kind: "group",
                stage: result.group.stage,
                point: result.group.index,
                axes: Axes(&result.group.values),
                row,
            };
            writeln!(out, "{}", json(&line))?;
        }
    }
    out.flush()
}

#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    kind: &'static str,
    stage: u32,
    point: u64,
    axes: Axes<'a>,
    #[serde(flatten)]
    row: Row,
}

/// What a row says behind the axes.
#[derive(Serialize)]
struct Row {
    epoch: Option<u32>,
    metric: Option<String>,
    n: u32,
    mean: Option<f64>,
    standard_deviation: Option<f64>,
    standard_error: Option<f64>,
    ci95_low: Option<f64>,
    ci95_high: Option<f64>,
    min: Option<f64>,
    median: Option<f64>,
    max: Option<f64>,
    repetitions: u64,
    diverged: u64,
    failed: u64,
    cancelled: u64,
    unfinished: u64,
    trials: u64,
    points: u32,
    points_left_out: u32,
    twins: u32,
    repetitions_left_out: u32,
    binomial_error: Option<f64>,
}

fn rows(result: &GroupResult) -> Vec<Row> {
    let mut rows = Vec::new();
    for (epoch, statistics) in (1..).zip(&result.epochs) {
        for (&metric, statistics) in result.metrics.iter().zip(statistics) {
            rows.push(Row::new(Some((epoch, metric, statistics)), result));
        }
    }
    if rows.is_empty() {
        rows.push(Row::new(None, result));
    }
    rows
}

impl Row {
    fn new(what: Option<(u32, Metric, &Statistics)>, result: &GroupResult) -> Self {
        let (group, counts, sample) = (&result.group, &result.group.counts, &result.group.sample);
        let of = |value: fn(&Statistics) -> Option<f64>| what.and_then(|(_, _, s)| value(s)).map(significant);
        Self {
            epoch: what.map(|(epoch, ..)| epoch),
            metric: what.map(|(_, metric, _)| metric.to_string()),
            n: what.map_or(0, |(_, _, statistics)| statistics.n),
            mean: of(|s| Some(s.mean)),
            standard_deviation: of(|s| s.standard_deviation),
            standard_error: of(|s| s.standard_error),
            ci95_low: of(|s| Some(s.ci95?.0)),
            ci95_high: of(|s| Some(s.ci95?.1)),
            min: of(|s| Some(s.min)),
            median: of(|s| Some(s.median)),
            max: of(|s| Some(s.max)),
            repetitions: group.repetitions(),
            diverged: counts.diverged,
            failed: counts.failed,
            cancelled: counts.cancelled,
            unfinished: counts.open(),
            trials: counts.total(),
            points: sample.points,
            points_left_out: sample.points_left_out,
            twins: sample.twins,
            repetitions_left_out: sample.repetitions_left_out,
            binomial_error: what
                .and_then(|(_, metric, s)| result.binomial_error(metric, s.mean))
                .map(significant),
        }
    }

    fn cells(self) -> [String; COLUMNS] {
        let float = |value: Option<f64>| value.map_or(String::new(), number);
        [
            self.epoch.map_or(String::new(), |epoch| epoch.to_string()),
            self.metric.unwrap_or_default(),
            self.n.to_string(),
            float(self.mean),
            float(self.standard_deviation),
            float(self.standard_error),
            float(self.ci95_low),
            float(self.ci95_high),
            float(self.min),
            float(self.median),
            float(self.max),
            self.repetitions.to_string(),
            self.diverged.to_string(),
            self.failed.to_string(),
            self.cancelled.to_string(),
            self.unfinished.to_string(),
            self.trials.to_string(),
            self.points.to_string(),
            self.points_left_out.to_string(),
            self.twins.to_string(),
            self.repetitions_left_out.to_string(),
            float(self.binomial_error),
        ]
    }
}

/// A number as exports write it: the shortest text that reads back as the same, with an exponent where it is short so.
pub(super) fn number(value: f64) -> String {
    Value::Float(value).to_string()
}

/// The settings that occur in any of these, in the order in which they first do.
pub(super) fn axes<'a>(values: impl Iterator<Item = &'a [(Setting, Value)]>) -> Vec<Setting> {
    let mut axes = Vec::new();
    for (setting, _) in values.flatten() {
        if !axes.contains(setting) {
            axes.push(*setting);
        }
    }
    axes
}

/// The value of a setting as text; empty when it is not among them.
pub(super) fn cell(values: &[(Setting, Value)], setting: Setting) -> String {
    let value = values.iter().find(|(s, _)| *s == setting);
    value.map_or(String::new(), |(_, value)| value.to_string())
}

/// Settings with their values, as a JSON object.
pub(super) struct Axes<'a>(pub(super) &'a [(Setting, Value)]);

impl Serialize for Axes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (setting, value) in self.0 {
            map.serialize_entry(setting.name(), value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use tenfold_core::aggregate::{Counts, Sample};

    use super::super::samples::{curve, group, result};
    use super::*;

    fn results() -> Vec<GroupResult> {
        let axes = |name: &str, rate| {
            vec![
                (Setting::Architecture, Value::Text(name.to_owned())),
                (Setting::LearningRate, Value::Float(rate)),
                (Setting::WeightSharing, Value::Bool(true)),
            ]
        };
        let mut first = group(0, axes("a, \"b\"", 1e-4), 2);
        first.counts.diverged = 1;
        let mut second = group(3, axes("c", 0.5), 0);
        second.counts = Counts {
            failed: 1,
            pending: 2,
            ..Counts::default()
        };
        // Two of three points, one of which has a twin.
        first.sample = Sample {
            points: 2,
            points_left_out: 1,
            twins: 1,
            repetitions: 3,
            repetitions_left_out: 1,
        };
        let curves = [curve(&[0.123], &[0.5]), curve(&[0.125], &[0.5])];
        let mut first = result(first, &curves);
        first.answers = vec![Some(1000), Some(400)];
        vec![first, result(second, &[])]
    }

    fn text(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes)
            .map(|()| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    #[test]
    fn csv_is_long_and_drops_no_group() {
        assert_eq!(
            text(|out| csv(&results(), out)),
            "stage,point,architecture,learning_rate,weight_sharing,epoch,metric,n,mean,standard_deviation,\
             standard_error,ci95_low,ci95_high,min,median,max,repetitions,diverged,failed,cancelled,unfinished,trials,points,\
             points_left_out,twins,repetitions_left_out,binomial_error\n\
             0,0,\"a, \"\"b\"\"\",1e-4,true,1,train_error,2,0.124,0.001414211,9.999983e-4,0.1112938,0.1367062,0.123,\
             0.124,0.125,3,1,0,0,0,3,2,1,1,1,0.01042228\n\
             0,0,\"a, \"\"b\"\"\",1e-4,true,1,test_error,2,0.5,0,0,0.5,0.5,0.5,0.5,0.5,3,1,0,0,0,3,2,1,1,1,0.025\n\
             0,3,c,0.5,true,,,0,,,,,,,,,3,0,1,0,2,3,0,0,0,0,\n"
        );
    }

    #[test]
    fn json_lines_say_the_same() {
        let text = text(|out| jsonl(&results(), out));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            r#"{"v":2,"kind":"group","stage":0,"point":0,"axes":{"architecture":"a, \"b\"","learning_rate":0.0001,"weight_sharing":true},"epoch":1,"metric":"train_error","n":2,"mean":0.124,"standard_deviation":0.001414211,"standard_error":0.0009999983,"ci95_low":0.1112938,"ci95_high":0.1367062,"min":0.123,"median":0.124,"max":0.125,"repetitions":3,"diverged":1,"failed":0,"cancelled":0,"unfinished":0,"trials":3,"points":2,"points_left_out":1,"twins":1,"repetitions_left_out":1,"binomial_error":0.01042228}"#
        );
        assert_eq!(lines.len(), 3);
        assert!(
            lines[2].contains(r#""epoch":null,"metric":null,"n":0,"mean":null"#),
            "{}",
            lines[2]
        );
    }

    #[test]
    fn nothing_gives_a_header_alone() {
        assert!(text(|out| csv(&[], out)).starts_with("stage,point,epoch,metric,n,"));
        assert_eq!(text(|out| jsonl(&[], out)), "");
    }
}
