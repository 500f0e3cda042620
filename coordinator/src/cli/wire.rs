//! Messages of the coordinator, as what the reports are made of.

use tenfold_core::aggregate::{Counts, Group, GroupResult, Statistics};
use tenfold_proto::{convert, v1};
use tenfold_types::{Metric, Setting, SweepId, Value};

use super::exit::Failure;

fn odd(what: impl std::fmt::Display) -> Failure {
    Failure::Refused(format!("the coordinator said something that this version does not understand: {what}"))
}

pub(crate) fn sweep_id(bytes: &[u8]) -> Result<SweepId, Failure> {
    convert::sweep_id(bytes).map_err(odd)
}

pub(crate) fn assignments(assignments: Vec<v1::Assignment>) -> Result<Vec<(Setting, Value)>, Failure> {
    let assignment = |assignment| {
        let (name, value) = convert::assigned(assignment).map_err(odd)?;
        Ok((name.parse().map_err(odd)?, value))
    };
    assignments.into_iter().map(assignment).collect()
}

pub(crate) fn metrics(names: &[String]) -> Result<Vec<Metric>, Failure> {
    names.iter().map(|name| name.parse().map_err(odd)).collect()
}

pub(crate) fn counts(counts: v1::TrialCounts) -> Counts {
    Counts {
        pending: counts.pending,
        leased: counts.leased,
        running: counts.running,
        backoff: counts.backoff,
        suspect: counts.suspect,
        succeeded: counts.succeeded,
        diverged: counts.diverged,
        failed: counts.failed,
        cancelled: counts.cancelled,
    }
}

pub(crate) fn group(group: Option<v1::Group>) -> Result<Group, Failure> {
    let group = group.ok_or_else(|| odd("a group is missing"))?;
    Ok(Group {
        stage: group.stage,
        index: group.index,
        values: assignments(group.values)?,
        counts: counts(group.trials.unwrap_or_default()),
    })
}

pub(crate) fn statistics(statistics: v1::Statistics) -> Statistics {
    Statistics {
        n: statistics.n,
        mean: statistics.mean,
        standard_deviation: statistics.standard_deviation,
        standard_error: statistics.standard_error,
        ci95: statistics.ci95_low.zip(statistics.ci95_high),
        min: statistics.min,
        median: statistics.median,
        max: statistics.max,
    }
}

pub(crate) fn group_result(result: v1::GroupResult) -> Result<GroupResult, Failure> {
    let metrics = metrics(&result.metrics)?;
    let all: Vec<Statistics> = result.statistics.into_iter().map(statistics).collect();
    if metrics.is_empty() && !all.is_empty() || !metrics.is_empty() && all.len() % metrics.len() != 0 {
        return Err(odd(format!("{} statistics of {} metrics", all.len(), metrics.len())));
    }
    let epochs = all.chunks(metrics.len().max(1)).map(<[Statistics]>::to_vec).collect();
    Ok(GroupResult { group: group(result.group)?, metrics, epochs })
}
