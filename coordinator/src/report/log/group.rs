//! Lines about a group.

use serde::{Serialize, Serializer};
use tenfold_core::aggregate::{Counts, Group, Statistics};
use tenfold_types::Metric;

use super::json;
use crate::report::JSON_VERSION;
use crate::report::export::Axes;
use crate::report::number::write_number;

/// Lines about a group, put together by hand: they are most of the results log, and differ in their numbers only.
pub(super) struct GroupLines {
    /// Up to the epoch.
    head: Vec<u8>,
    /// From the number of repetitions up to the metrics.
    middle: Vec<u8>,
    /// Up to the mean of each metric.
    metrics: Vec<Vec<u8>>,
}

impl GroupLines {
    pub(super) fn new(kind: &'static str, group: &Group, metrics: &[Metric]) -> Self {
        let head = GroupHead {
            v: JSON_VERSION,
            kind,
            stage: group.stage,
            point: group.index,
            axes: Axes(&group.values),
        };
        let middle = GroupMiddle {
            repetitions: group.repetitions(),
            missing: Missing(&group.counts),
            points: group.sample.has_several_points().then(|| Points::of(group)),
        };
        // Objects that go on: without their last brace, and without their first.
        let (mut head, mut middle) = (json(&head).into_bytes(), json(&middle).into_bytes());
        head.pop();
        head.extend_from_slice(br#","epoch":"#);
        middle.pop();
        middle.extend_from_slice(br#","metrics":{"#);
        let metrics = metrics.iter().enumerate().map(|(at, metric)| {
            let comma = if at == 0 { "" } else { "," };
            format!("{comma}{}:{{\"mean\":", json(&metric.name())).into_bytes()
        });
        Self {
            head,
            middle: middle.split_off(1),
            metrics: metrics.collect(),
        }
    }

    /// Appends the line of an epoch, or of the group when it has none.
    pub(super) fn write(&self, epoch: Option<u32>, statistics: &[Statistics], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        match epoch {
            Some(epoch) => out.extend_from_slice(epoch.to_string().as_bytes()),
            None => out.extend_from_slice(b"null"),
        }
        let n = statistics.first().map_or(0, |statistics| statistics.n);
        out.extend_from_slice(format!(",\"n\":{n},").as_bytes());
        out.extend_from_slice(&self.middle);
        for (metric, statistics) in self.metrics.iter().zip(statistics) {
            out.extend_from_slice(metric);
            write_statistics(statistics, out);
        }
        out.extend_from_slice(b"}}\n");
    }
}

/// Statistics behind the name of the first of them.
fn write_statistics(statistics: &Statistics, out: &mut Vec<u8>) {
    write_number(statistics.mean, out);
    if let Some(deviation) = statistics.standard_deviation {
        member(br#","standard_deviation":"#, deviation, out);
    }
    if let Some(error) = statistics.standard_error {
        member(br#","standard_error":"#, error, out);
    }
    if let Some((low, high)) = statistics.ci95 {
        member(br#","ci95":["#, low, out);
        member(b",", high, out);
        out.push(b']');
    }
    member(br#","min":"#, statistics.min, out);
    member(br#","median":"#, statistics.median, out);
    member(br#","max":"#, statistics.max, out);
    out.push(b'}');
}

/// A number behind its name, whose length is known when this is compiled.
fn member<const N: usize>(name: &[u8; N], x: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    write_number(x, out);
}

#[derive(Serialize)]
struct GroupHead<'a> {
    v: u32,
    kind: &'static str,
    stage: u32,
    point: u64,
    axes: Axes<'a>,
}

#[derive(Serialize)]
struct GroupMiddle<'a> {
    repetitions: u64,
    missing: Missing<'a>,
    #[serde(flatten)]
    points: Option<Points>,
}

/// What counts of the points of a group; of one point n and the number of repetitions say everything.
#[derive(Serialize)]
struct Points {
    trials: u64,
    points: u32,
    points_left_out: u32,
    twins: u32,
    repetitions_left_out: u32,
}

impl Points {
    fn of(group: &Group) -> Self {
        Self {
            trials: group.counts.total(),
            points: group.sample.points,
            points_left_out: group.sample.points_left_out,
            twins: group.sample.twins,
            repetitions_left_out: group.sample.repetitions_left_out,
        }
    }
}

/// How many trials are in which state; those that succeeded, and states without trials, are left out.
struct Missing<'a>(&'a Counts);

impl Serialize for Missing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let states = [
            ("pending", self.0.pending),
            ("leased", self.0.leased),
            ("running", self.0.running),
            ("backoff", self.0.backoff),
            ("suspect", self.0.suspect),
            ("diverged", self.0.diverged),
            ("failed", self.0.failed),
            ("cancelled", self.0.cancelled),
        ];
        serializer.collect_map(states.iter().filter(|(_, count)| *count > 0).copied())
    }
}
