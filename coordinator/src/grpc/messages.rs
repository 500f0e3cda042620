//! What the coordinator knows, as messages.

use tenfold_core::SweepState;
use tenfold_core::aggregate::{Counts, Group, Statistics};
use tenfold_core::rank::DIGITS;
use tenfold_core::record::{
    AttemptRow, Candidate, ChoiceRow, Control, ExtensionRow, Outcome, RefusedSweep, TrialRow,
};
use tenfold_core::sweep::{ChoiceId, Chooses, Extension, Stage, Sweep};
use tenfold_core::ties;
use tenfold_core::trial::TrialState;
use tenfold_proto::v1::choice::Kind;
use tenfold_proto::{convert, v1};
use tenfold_types::{Curve, Metric, Setting, TrialKey, Value};

use crate::groups::GroupPart;
use crate::watch::Event;

pub(crate) fn counts(counts: &Counts) -> v1::TrialCounts {
    v1::TrialCounts {
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

pub(crate) fn damaged_sweep(refused: &RefusedSweep) -> v1::DamagedSweep {
    v1::DamagedSweep {
        number: refused.number,
        sweep: refused.id.map_or_else(Vec::new, |id| id.0.to_vec()),
        name: refused.name.clone(),
        why: refused.why.clone(),
    }
}

pub(crate) fn sweep_status(sweep: &SweepState) -> v1::SweepStatus {
    let row = sweep.row();
    let trials = sweep.counts();
    let state = match row.control {
        _ if row.finished_at.is_some() && trials.failed > 0 => v1::SweepState::Failed,
        _ if row.finished_at.is_some() && trials.cancelled > 0 => v1::SweepState::Cancelled,
        _ if row.finished_at.is_some() => v1::SweepState::Complete,
        Control::Active => v1::SweepState::Active,
        Control::Paused => v1::SweepState::Paused,
        Control::Stopped => v1::SweepState::Stopping,
    };
    let definition = sweep.sweep();
    let mut trials = counts(&trials);
    // Where it is known how many points go on at most, the others are not waited for.
    let surplus = definition.trials() - definition.most_trials();
    match row.control {
        Control::Stopped => trials.cancelled = trials.cancelled.saturating_sub(surplus),
        Control::Active | Control::Paused => trials.pending = trials.pending.saturating_sub(surplus),
    }
    v1::SweepStatus {
        sweep: row.id.0.to_vec(),
        name: row.name.clone(),
        state: state.into(),
        trials: Some(trials),
        points: definition.points(),
        repetitions: repetitions(definition),
        submitted_at_ms: row.submitted_at,
        finished_at_ms: row.finished_at,
        epochs: sweep.epochs(),
        total_epochs: definition.most_epochs(),
        stages: stages(definition),
        min_repetitions: match definition.stages() {
            [stage] => stage.min_repetitions(),
            _ => None,
        },
    }
}

/// A choice between two stages of a sweep; none while it is to be made again.
pub(crate) fn choice(sweep: &Sweep, row: &ChoiceRow) -> Option<v1::Choice> {
    let (values, reason) = match &row.outcome {
        Outcome::Chosen(values) => (values.as_slice(), None),
        Outcome::Nothing(reason) => (&[][..], Some(reason.clone())),
        Outcome::Withdrawn => return None,
    };
    let candidate = |candidate: &Candidate| v1::Candidate {
        value: Some((&candidate.value).into()),
        n: candidate.n,
        missing: candidate.missing,
        mean: candidate.mean,
        standard_error: candidate.standard_error,
        trials: Some(candidate.trials()),
        points_left_out: candidate.points_left_out,
        repetitions_left_out: candidate.repetitions_left_out,
        exact: candidate.exact.map(|exact| v1::Ratio {
            sum: exact.sum,
            of: exact.of,
        }),
    };
    let ties = ties(sweep, row);
    let is_tied = |candidate: &&Candidate| ties.contains(&candidate.value);
    let tied_by_digits = |candidate: &Candidate| !candidate.rank(row.rules).is_exact();
    let tie_digits = match row.candidates.iter().filter(is_tied).any(tied_by_digits) {
        true if row.rules > 0 => DIGITS,
        _ => 0,
    };
    Some(v1::Choice {
        candidates: row.candidates.iter().map(candidate).collect(),
        values: values.iter().map(v1::Value::from).collect(),
        reason,
        rules: row.rules,
        ties: ties.iter().map(v1::Value::from).collect(),
        tie_digits,
        ..undecided(sweep, row.choice)?
    })
}

/// A choice of a sweep without what came of it.
pub(crate) fn undecided(sweep: &Sweep, choice: ChoiceId) -> Option<v1::Choice> {
    let stage = sweep.stage(choice.stage)?;
    let cell = choice.cell;
    let values_of = |index: u64| stage.point(index).map(|point| point.values).unwrap_or_default();
    let of_kind = match sweep.chooses(choice)? {
        Chooses::Axis(taken) => v1::Choice {
            kind: Kind::Axis.into(),
            setting: taken.setting.name().to_owned(),
            per: assignments(&taken.values(cell)),
            source: taken.rule.source_name.clone(),
            metric: taken.rule.metric.to_string(),
            epoch: taken.rule.epoch,
            criterion: taken.rule.criterion.name().to_owned(),
            ..v1::Choice::default()
        },
        Chooses::Points(rung) => {
            let point = (!rung.rule.is_joint()).then_some(cell);
            let per = match point {
                Some(index) => values_of(index),
                None => {
                    let first = rung.points(cell).first().map(|index| values_of(*index));
                    let mut values = first.unwrap_or_default();
                    values.retain(|(setting, _)| rung.per.contains(setting));
                    values
                }
            };
            v1::Choice {
                kind: Kind::Points.into(),
                point,
                per: assignments(&per),
                source: rung.source_name.clone(),
                metric: rung.metric.to_string(),
                epoch: rung.epoch,
                criterion: rung.rule.name().to_owned(),
                ..v1::Choice::default()
            }
        }
        Chooses::Repetitions(until) => {
            let (index, _) = until.point(cell);
            v1::Choice {
                kind: Kind::Repetitions.into(),
                point: Some(index),
                per: assignments(&values_of(index)),
                source: stage.name().to_owned(),
                metric: until.metric.to_string(),
                epoch: until.epoch,
                criterion: "ci95-half-width".to_owned(),
                ..v1::Choice::default()
            }
        }
    };
    Some(v1::Choice {
        stage: choice.stage,
        stage_name: stage.name().to_owned(),
        rule: choice.rule,
        cell,
        ..of_kind
    })
}

/// Which choice it is, and what was chosen; none when there was nothing to choose from.
pub fn chosen(choice: &v1::Choice) -> Option<(ChoiceId, Vec<Value>)> {
    let id = ChoiceId {
        stage: choice.stage,
        rule: choice.rule,
        cell: choice.cell,
    };
    let values = choice.values.iter().map(|value| value.clone().try_into().ok());
    let values = values.collect::<Option<Vec<Value>>>()?;
    choice.reason.is_none().then_some((id, values))
}

/// An extension of a sweep, which it has taken in.
pub(crate) fn extension(sweep: &Sweep, row: &ExtensionRow) -> v1::Extension {
    let stages = || (0..).zip(sweep.stages());
    let (found, repetitions, normalised) = match &row.extension {
        Extension::Repetitions {
            stage, repetitions, ..
        } => (
            stages().find(|(number, _)| number == stage),
            Some(*repetitions),
            "",
        ),
        Extension::Stage { name, text } => (
            stages().find(|(_, stage)| stage.name() == name),
            None,
            text.as_str(),
        ),
    };
    let (number, stage) = found.unzip();
    let taken = stage.filter(|_| repetitions.is_none());
    let taken = taken.into_iter().flat_map(Stage::rules);
    let taken: Vec<String> = taken
        .map(|taken| format!("{}: {}", taken.setting, taken.rule))
        .collect();
    v1::Extension {
        number: row.number,
        at_ms: row.at,
        stage: number.unwrap_or_default(),
        stage_name: stage.map_or_else(String::new, |stage| stage.name().to_owned()),
        repetitions: repetitions.unwrap_or_else(|| stage.map_or(0, Stage::repetitions)),
        normalised: normalised.to_owned(),
        takes: taken.join("; "),
        seen: match &row.extension {
            Extension::Repetitions { seen, .. } => *seen,
            Extension::Stage { .. } => None,
        },
    }
}

/// The extension itself.
pub fn extended(extension: &v1::Extension) -> Extension {
    match extension.normalised.as_str() {
        "" => Extension::Repetitions {
            stage: extension.stage,
            repetitions: extension.repetitions,
            seen: extension.seen,
        },
        text => Extension::Stage {
            name: extension.stage_name.clone(),
            text: text.to_owned(),
        },
    }
}

/// The stages of a sweep that has named ones.
fn stages(sweep: &Sweep) -> Vec<v1::Stage> {
    let named = sweep.stages().iter().filter(|stage| !stage.name().is_empty());
    let stage = |stage: &Stage| v1::Stage {
        name: stage.name().to_owned(),
        points: stage.points(),
        repetitions: stage.repetitions(),
        epochs: stage.epochs(),
        min_repetitions: stage.min_repetitions(),
        confirms: stage.confirms(),
        trials: stage.most_trials(),
        may_shrink: stage.may_shrink(),
        most_points: stage.most_points(),
    };
    named.map(stage).collect()
}

/// How often each point of a sweep is run; 0 where its stages differ in that.
fn repetitions(sweep: &Sweep) -> u32 {
    let mut all = sweep.stages().iter().map(Stage::repetitions);
    let first = all.next().unwrap_or(0);
    if all.all(|other| other == first) { first } else { 0 }
}

/// What a sweep would be; `existing` says that it has been submitted already.
pub fn plan(sweep: &Sweep, existing: bool) -> v1::PlanResponse {
    v1::PlanResponse {
        sweep: sweep.id().0.to_vec(),
        name: sweep.name().to_owned(),
        points: sweep.points(),
        excluded: sweep
            .stages()
            .iter()
            .map(|stage| stage.raw_points() - stage.points())
            .sum(),
        repetitions: repetitions(sweep),
        trials: sweep.most_trials(),
        trained: sweep.most_trained(),
        description: sweep.describe(),
        existing,
    }
}

pub(crate) fn assignments(values: &[(Setting, Value)]) -> Vec<v1::Assignment> {
    values
        .iter()
        .map(|(setting, value)| convert::assignment(setting.name(), value))
        .collect()
}

pub(crate) fn trial_state(state: &TrialState) -> v1::TrialState {
    match state {
        TrialState::Pending => v1::TrialState::Pending,
        TrialState::Leased { .. } => v1::TrialState::Leased,
        TrialState::Running { .. } => v1::TrialState::Running,
        TrialState::Backoff { .. } => v1::TrialState::Backoff,
        TrialState::Succeeded { .. } => v1::TrialState::Succeeded,
        TrialState::Diverged { .. } => v1::TrialState::Diverged,
        TrialState::Failed => v1::TrialState::Failed,
        TrialState::Cancelled => v1::TrialState::Cancelled,
    }
}

/// A trial as it stands now, and its row.
pub(crate) fn trial_now(sweep: &SweepState, key: TrialKey) -> (TrialRow, v1::TrialStatus) {
    let row = sweep.row_of(key);
    let live = sweep.live(key).map(Curve::epochs);
    let mut status = trial_status(
        sweep.sweep(),
        &row,
        live.unwrap_or_else(|| row.state.accepted_epochs()),
    );
    if sweep.is_suspect(key) {
        status.state = v1::TrialState::Suspect.into();
    }
    (row, status)
}

/// `epochs` is the number of durable ones.
pub(crate) fn trial_status(sweep: &Sweep, row: &TrialRow, epochs: u32) -> v1::TrialStatus {
    let point = assignments(&sweep.values(row.id.key));
    v1::TrialStatus {
        sweep: row.id.sweep.0.to_vec(),
        trial: Some(row.id.key.into()),
        state: trial_state(&row.state).into(),
        point,
        attempts: row.attempts,
        failures: row.failures,
        epochs,
        error: row.error.clone(),
        until_ms: match row.state {
            TrialState::Backoff { until } => Some(until),
            _ => None,
        },
    }
}

pub(crate) fn attempt(row: AttemptRow) -> v1::Attempt {
    v1::Attempt {
        number: row.number,
        fence: row.fence.0,
        worker: row.worker.0.to_vec(),
        host: row.provenance.host,
        device: row.provenance.device,
        threads: row.provenance.threads,
        version: row.provenance.version,
        libtorch: row.provenance.libtorch,
        started_at_ms: row.started_at,
        ended_at_ms: row.ended_at,
        ended: row.ended,
        error: row.error,
        stderr: row.stderr,
    }
}

fn statistics(statistics: &Statistics) -> v1::Statistics {
    v1::Statistics {
        n: statistics.n,
        mean: statistics.mean,
        standard_deviation: statistics.standard_deviation,
        standard_error: statistics.standard_error,
        ci95_low: statistics.ci95.map(|(low, _)| low),
        ci95_high: statistics.ci95.map(|(_, high)| high),
        min: statistics.min,
        median: statistics.median,
        max: statistics.max,
    }
}

fn group(group: &Group) -> v1::Group {
    v1::Group {
        index: group.index,
        stage: group.stage,
        stage_name: group.stage_name.clone(),
        values: assignments(&group.values),
        trials: Some(counts(&group.counts)),
        sample: Some(v1::GroupSample {
            points: group.sample.points,
            points_left_out: group.sample.points_left_out,
            twins: group.sample.twins,
            repetitions: group.sample.repetitions,
            repetitions_left_out: group.sample.repetitions_left_out,
        }),
    }
}

pub(crate) fn metrics(metrics: &[Metric]) -> Vec<String> {
    metrics.iter().map(Metric::to_string).collect()
}

pub(crate) fn group_part(part: &GroupPart) -> v1::GroupResult {
    let result = &part.result;
    v1::GroupResult {
        group: Some(group(&result.group)),
        metrics: metrics(&result.metrics),
        statistics: result.epochs.iter().flatten().map(statistics).collect(),
        more: part.more,
        answers: result
            .answers
            .iter()
            .map(|answers| answers.unwrap_or(0))
            .collect(),
    }
}

pub(crate) fn event(sweep: &Sweep, event: Event) -> v1::watch_response::Event {
    use v1::watch_response::Event as Wire;
    match event {
        Event::Progress(progress) => Wire::Progress(v1::GroupProgress {
            group: Some(group(&progress.group)),
            epoch: progress.epoch,
            metrics: metrics(&progress.metrics),
            statistics: progress.statistics.iter().map(statistics).collect(),
        }),
        Event::Complete(part) => Wire::Complete(group_part(&part)),
        Event::Epochs(row) => Wire::Epochs(v1::TrialProgress {
            trial: Some(row.trial.key.into()),
            attempt: row.attempt,
            metrics: metrics(&sweep.metrics(row.trial.key)),
            block: Some((&row.block).into()),
        }),
        Event::Trial(row) => Wire::Trial(trial_status(sweep, &row, row.state.accepted_epochs())),
        Event::Extension(extension) => Wire::Extension(*extension),
        Event::Choice(choice) => Wire::Choice(*choice),
        Event::Sweep(status) => Wire::Sweep(*status),
    }
}
