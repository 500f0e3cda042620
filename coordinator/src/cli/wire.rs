//! Messages of the coordinator, as what the reports are made of.

use tenfold::grpc::messages;
use tenfold_core::aggregate::{Counts, Group, GroupResult, Sample, Statistics};
use tenfold_core::record::{AttemptRow, Provenance};
use tenfold_core::sweep::Sweep;
use tenfold_proto::{convert, v1};
use tenfold_types::{Block, Fence, Metric, Setting, SweepId, TrialId, TrialKey, Value};

use super::exit::Failure;

fn odd(what: impl std::fmt::Display) -> Failure {
    Failure::Refused(format!(
        "the coordinator said something that this version does not understand: {what}"
    ))
}

pub(crate) fn assignments(assignments: Vec<v1::Assignment>) -> Result<Vec<(Setting, Value)>, Failure> {
    let assignment = |assignment| {
        let (name, value) = convert::assigned(assignment).map_err(odd)?;
        Ok((name.parse().map_err(odd)?, value))
    };
    assignments.into_iter().map(assignment).collect()
}

/// A sweep as it is now: with what it got beyond its text, and what its stages have taken from one another.
pub(crate) fn sweep(shown: &v1::ShowResponse) -> Result<Sweep, Failure> {
    let name = shown.status.as_ref().map_or("", |status| status.name.as_str());
    let sweep = Sweep::from_normalised(name, &shown.normalised).map_err(odd)?;
    let mut extensions = shown.extensions.iter();
    let sweep = extensions.try_fold(sweep, |sweep, extension| {
        sweep.extended(&messages::extended(extension)).map_err(odd)
    })?;
    let chosen = shown.choices.iter().filter_map(messages::chosen);
    Ok(chosen.fold(sweep, |sweep, (choice, values)| sweep.with(choice, values)))
}

pub(crate) fn block(block: v1::Block) -> Result<Block, Failure> {
    block.try_into().map_err(odd)
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
        stage_name: group.stage_name,
        index: group.index,
        values: assignments(group.values)?,
        counts: counts(group.trials.unwrap_or_default()),
        sample: sample(group.sample.unwrap_or_default()),
    })
}

fn sample(sample: v1::GroupSample) -> Sample {
    Sample {
        points: sample.points,
        points_left_out: sample.points_left_out,
        twins: sample.twins,
        repetitions: sample.repetitions,
        repetitions_left_out: sample.repetitions_left_out,
    }
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

/// Long curves come in parts: the parts of each put together, in the order in which they came.
pub(crate) fn groups(parts: Vec<v1::GroupResult>) -> Vec<v1::GroupResult> {
    let mut whole: Vec<v1::GroupResult> = Vec::new();
    for part in parts {
        match whole.last_mut() {
            Some(last) if last.more => {
                last.statistics.extend(part.statistics);
                last.more = part.more;
            }
            _ => whole.push(part),
        }
    }
    whole
}

/// As [`groups`], for curves of single trials.
///
/// # Errors
/// When a part does not fit the one before it.
pub(crate) fn curves(parts: Vec<v1::TrialCurve>) -> Result<Vec<v1::TrialCurve>, Failure> {
    let mut whole: Vec<v1::TrialCurve> = Vec::new();
    for part in parts {
        match whole.last_mut() {
            Some(last) if last.more => {
                if last.trial != part.trial || last.metrics != part.metrics {
                    return Err(odd("parts of different curves follow one another"));
                }
                let (before, now) = (last.epochs.max(1) as usize, part.epochs.max(1) as usize);
                let columns = last.columns.chunks(before).zip(part.columns.chunks(now));
                last.columns = columns
                    .flat_map(|(before, now)| before.iter().chain(now).copied())
                    .collect();
                last.seconds.extend(part.seconds);
                last.epochs += part.epochs;
                last.more = part.more;
            }
            _ => whole.push(part),
        }
    }
    Ok(whole)
}

pub(crate) fn group_result(result: v1::GroupResult) -> Result<GroupResult, Failure> {
    let metrics = metrics(&result.metrics)?;
    let all: Vec<Statistics> = result.statistics.into_iter().map(statistics).collect();
    if metrics.is_empty() && !all.is_empty()
        || !metrics.is_empty() && !all.len().is_multiple_of(metrics.len())
    {
        return Err(odd(format!(
            "{} statistics of {} metrics",
            all.len(),
            metrics.len()
        )));
    }
    let epochs = all
        .chunks(metrics.len().max(1))
        .map(<[Statistics]>::to_vec)
        .collect();
    Ok(GroupResult {
        group: group(result.group)?,
        answers: result
            .answers
            .into_iter()
            .map(|answers| (answers > 0).then_some(answers))
            .collect(),
        metrics,
        epochs,
    })
}

/// The message does not say of which sweep it is, and nothing that is made of it does.
pub(crate) fn attempt(attempt: v1::Attempt, key: TrialKey) -> Result<AttemptRow, Failure> {
    Ok(AttemptRow {
        trial: TrialId {
            sweep: SweepId([0; 16]),
            key,
        },
        number: attempt.number,
        fence: Fence(attempt.fence),
        worker: convert::worker_id(&attempt.worker).map_err(odd)?,
        provenance: Provenance {
            host: attempt.host,
            device: attempt.device,
            threads: attempt.threads,
            version: attempt.version,
            libtorch: attempt.libtorch,
        },
        started_at: attempt.started_at_ms,
        ended_at: attempt.ended_at_ms,
        ended: attempt.ended,
        error: attempt.error,
        stderr: attempt.stderr,
    })
}
