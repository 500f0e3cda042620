//! Choices between stages and decisions at their gates: what there is to choose from is read here, beside the turn; the turn
//! chooses, and records it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tenfold_core::aggregate::within::means_within;
use tenfold_core::aggregate::{self, Statistics};
use tenfold_core::rank::{Mean, Ratio};
use tenfold_core::record::Candidate;
use tenfold_core::search::{median, patience};
use tenfold_core::sweep::{ChoiceId, Chooses, Rung, StopRule, Sweep, Taken};
use tenfold_core::trial::TrialState;
use tenfold_core::{Answer, Input, State, SweepState};
use tenfold_types::{Curve, Fence, Metric, SweepId, TrialId, TrialKey, Value};

use crate::readers::Readers;
use crate::shutdown::Shutdown;
use crate::store::{Reader, StoreError};
use crate::turn::{Handle, TurnError};

/// Choices are looked for at most this often.
const PAUSE: Duration = Duration::from_millis(50);
/// How soon a store that could not be read is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Choices that are made before it is looked for others.
const TOGETHER: usize = 4096;

/// A choice that can be made.
#[derive(Debug, Clone)]
pub struct Due {
    /// The sweep as it was when the choice was due.
    pub sweep: Sweep,
    /// Which of its choices.
    pub choice: ChoiceId,
    /// The number of the rules by which it is made: [`SweepState::rules`].
    pub rules: u32,
}

impl Due {
    fn of(sweep: &SweepState, choice: ChoiceId) -> Self {
        Self {
            sweep: sweep.sweep().clone(),
            choice,
            rules: sweep.rules(),
        }
    }

    fn id(&self) -> (SweepId, ChoiceId) {
        (self.sweep.id(), self.choice)
    }
}

/// Choices that can be made now.
pub fn due(state: &State) -> Vec<Due> {
    let sweeps = state.unfinished_sweeps();
    let due = sweeps.flat_map(|sweep| sweep.due_choices().map(|choice| Due::of(sweep, choice)));
    due.take(TOGETHER).collect()
}

/// The choice of the same kind behind one that was made, if it can be made now: points are often decided on one after the other.
pub fn due_behind(state: &State, sweep: SweepId, choice: ChoiceId) -> Option<Due> {
    let sweep = state.sweep(sweep)?;
    let behind = sweep.due_behind(choice)?;
    Some(Due::of(sweep, behind))
}

/// What there is to choose from, in the order of the axis; or what there is to decide about points by, in their order: of the
/// sweep as it was when the choice was due. A pure function of the curves of the trials that have succeeded, in the order of
/// points and repetitions.
///
/// # Errors
/// The store's.
pub fn candidates(reader: &mut dyn Reader, due: &Due) -> Result<Vec<Candidate>, StoreError> {
    let Due { sweep, choice, rules } = due;
    let (choice, rules) = (*choice, *rules);
    let (Some(chooses), Some(stage)) = (sweep.chooses(choice), sweep.source(choice)) else {
        return Ok(Vec::new());
    };
    let repetitions = sweep.stage(stage).map_or(0, |stage| stage.repetitions());
    let mut source = Source {
        reader,
        sweep,
        stage,
        repetitions,
        rules,
    };
    match chooses {
        Chooses::Axis(taken) if rules == 0 => source.of_axis_pooled(choice, taken),
        Chooses::Axis(taken) => source.of_axis(choice, taken),
        Chooses::Points(rung) => source.of_points(choice, rung),
        Chooses::Repetitions(until) => {
            let (index, now) = until.point(choice.cell);
            source.repetitions = now;
            let (_, candidate) = source.of_point(index, until.metric, until.epoch)?;
            Ok(vec![candidate])
        }
    }
}

/// The stage that is chosen from.
struct Source<'a> {
    reader: &'a mut dyn Reader,
    sweep: &'a Sweep,
    stage: u32,
    /// The repetitions that count.
    repetitions: u32,
    rules: u32,
}

/// Trials that have succeeded, with the attempts that count.
type Succeeded = Vec<(TrialKey, Fence)>;

impl Source<'_> {
    /// The values of an axis that there are, each with its points, in the order of the points.
    fn values_of(&self, choice: ChoiceId, taken: &Taken) -> Vec<(Value, Vec<u64>)> {
        let mut order: Vec<Value> = Vec::new();
        let mut found: BTreeMap<Value, Vec<u64>> = BTreeMap::new();
        for index in self.sweep.source_points(choice) {
            let values = self.sweep.values(self.first(index)).into_iter();
            let value = values.into_iter().find(|(setting, _)| *setting == taken.setting);
            // A value that was never chosen, as nothing could be, is none to choose from.
            let Some((_, value)) = value else { continue };
            let points = found.entry(value.clone()).or_default();
            if points.is_empty() {
                order.push(value);
            }
            points.push(index);
        }
        let with_points = |value: Value| {
            let points = found.remove(&value).unwrap_or_default();
            (value, points)
        };
        order.into_iter().map(with_points).collect()
    }

    /// The values with means within repetitions, over their points, of which equal ones count once.
    fn of_axis(&mut self, choice: ChoiceId, taken: &Taken) -> Result<Vec<Candidate>, StoreError> {
        let (metric, epoch) = (taken.rule.metric, taken.rule.epoch);
        let mut candidates = Vec::new();
        for (value, points) in self.values_of(choice, taken) {
            let stage = self.sweep.stage(self.stage);
            let distinct = stage.map(|stage| stage.distinct(&points)).unwrap_or_default();
            let distinct = BTreeSet::from_iter(distinct);
            let (mut trials, mut missing, mut of_points) = (0, 0, Vec::new());
            for index in points {
                let (succeeded, not) = self.succeeded(index)?;
                trials += succeeded.len() as u32;
                if !distinct.contains(&index) {
                    continue;
                }
                missing += not;
                let numbers = self.numbers(&succeeded, metric, epoch)?;
                let mut of_point = vec![None; self.repetitions as usize];
                for ((key, _), number) in succeeded.iter().zip(numbers) {
                    if let Some(place) = of_point.get_mut(key.repetition as usize) {
                        *place = Some(number);
                    }
                }
                of_points.push(of_point);
            }
            let candidate = self.within(value, &of_points, metric);
            candidates.push(Candidate {
                missing,
                trials: (trials != candidate.n).then_some(trials),
                ..candidate
            });
        }
        Ok(candidates)
    }

    /// A value whose points came to these numbers, repetition by repetition.
    fn within(&self, value: Value, of_points: &[Vec<Option<f64>>], metric: Metric) -> Candidate {
        let (counted, means) = means_within(of_points);
        let all: Vec<f64> = counted
            .repetitions
            .iter()
            .flat_map(|repetition| {
                let of_point = |place: &usize| of_points[*place][*repetition as usize];
                counted.points.iter().filter_map(of_point).collect::<Vec<_>>()
            })
            .collect();
        Candidate {
            // As many points count in each repetition: the mean of the means is the mean of all.
            exact: Mean::of(&all, self.answers(metric)).and_then(|mean| mean.exact),
            points_left_out: counted.points_left_out,
            repetitions_left_out: counted.repetitions_left_out,
            ..candidate(value, &means, 0)
        }
    }

    /// The number of answers that a metric is a count of, where that is looked at.
    fn answers(&self, metric: Metric) -> Option<u32> {
        match self.rules {
            0 => None,
            _ => self.sweep.data().answers(metric),
        }
    }

    /// The values with means over all their trials, as under the rules 0.
    fn of_axis_pooled(&mut self, choice: ChoiceId, taken: &Taken) -> Result<Vec<Candidate>, StoreError> {
        let mut candidates = Vec::new();
        for (value, points) in self.values_of(choice, taken) {
            let (mut numbers, mut missing) = (Vec::new(), 0);
            for index in points {
                let (succeeded, not) = self.succeeded(index)?;
                numbers.extend(self.numbers(&succeeded, taken.rule.metric, taken.rule.epoch)?);
                missing += not;
            }
            candidates.push(candidate(value, &numbers, missing));
        }
        Ok(candidates)
    }

    fn of_points(&mut self, choice: ChoiceId, rung: &Rung) -> Result<Vec<Candidate>, StoreError> {
        let mut candidates = Vec::new();
        let mut succeeded = Vec::new();
        for index in self.sweep.compared_points(choice, self.rules) {
            let (of_point, candidate) = self.of_point(index, rung.metric, rung.epoch)?;
            succeeded = of_point;
            candidates.push(candidate);
        }
        let behind = match rung.rule {
            StopRule::SuccessiveHalving { .. } | StopRule::Asha { .. } => Vec::new(),
            StopRule::Median { .. } => {
                let curve = self.curve(&succeeded, rung.metric)?;
                let values: Vec<f64> = curve.iter().map(|mean| mean.value).collect();
                let average = Mean {
                    value: median::running_average(&values).unwrap_or_default(),
                    exact: Ratio::mean(curve.iter().map(|mean| mean.exact)),
                };
                vec![("running average", average)]
            }
            StopRule::Patience { patience, .. } => {
                let curve = self.curve(&succeeded, rung.metric)?;
                let parts = self.before_and_lately(&curve, patience);
                let named = |(before, lately)| vec![("least before", before), ("least lately", lately)];
                parts.map(named).unwrap_or_default()
            }
        };
        let Some(standing) = candidates.first().cloned() else {
            return Ok(candidates);
        };
        candidates.extend(behind.into_iter().map(|(name, mean)| Candidate {
            value: Value::Text(name.to_owned()),
            mean: mean.value,
            exact: mean.exact,
            standard_error: None,
            ..standing.clone()
        }));
        Ok(candidates)
    }

    /// How a point stands at an epoch, and its trials that have succeeded.
    fn of_point(
        &mut self,
        index: u64,
        metric: Metric,
        epoch: u32,
    ) -> Result<(Succeeded, Candidate), StoreError> {
        let (succeeded, missing) = self.succeeded(index)?;
        let numbers = self.numbers(&succeeded, metric, epoch)?;
        let value = Value::Int(i64::try_from(index).unwrap_or(i64::MAX));
        let standing = Candidate {
            exact: Mean::of(&numbers, self.answers(metric)).and_then(|mean| mean.exact),
            ..candidate(value, &numbers, missing)
        };
        Ok((succeeded, standing))
    }

    /// The least mean before the last `patience` + 1, and the least of these.
    fn before_and_lately(&self, curve: &[Mean], patience: u32) -> Option<(Mean, Mean)> {
        let numbers: Vec<f64> = curve.iter().map(|mean| mean.value).collect();
        let (before, lately) = patience::before_and_lately(&numbers, patience)?;
        let number = |value| Mean { value, exact: None };
        if self.rules == 0 {
            return Some((number(before), number(lately)));
        }
        let at = curve.len().checked_sub(patience as usize + 1)?;
        let (before, lately) = curve.split_at(at);
        let least = |part: &[Mean]| part.iter().copied().min_by_key(Mean::rank);
        least(before).zip(least(lately))
    }

    fn first(&self, index: u64) -> TrialKey {
        TrialKey {
            stage: self.stage,
            index,
            repetition: 0,
        }
    }

    /// The trials of a point that have succeeded, and how many have not.
    fn succeeded(&mut self, index: u64) -> Result<(Succeeded, u32), StoreError> {
        let mut rows = self.reader.trials(self.sweep.id(), self.stage, index)?.rows;
        // Those that an extension has added meanwhile, or that are still to come, are no part of what was due.
        let stage = self.sweep.stage(self.stage);
        let there = stage.map_or(0, |stage| stage.repetitions_of(index));
        let repetitions = self.repetitions.min(there);
        rows.retain(|row| row.id.key.repetition < repetitions);
        let succeeded = rows.iter().filter_map(|row| match row.state {
            TrialState::Succeeded { fence, .. } => Some((row.id.key, fence)),
            _ => None,
        });
        let succeeded: Succeeded = succeeded.collect();
        let missing = repetitions.saturating_sub(succeeded.len() as u32);
        Ok((succeeded, missing))
    }

    /// The place of a metric in the curves of a trial.
    fn column(&self, key: TrialKey, metric: Metric) -> Result<usize, StoreError> {
        let column = self.sweep.metrics(key).iter().position(|of| *of == metric);
        column.ok_or_else(|| StoreError::Corrupt(format!("a trial {key} has no {metric}")))
    }

    /// The values of a metric at an epoch, in the order of the trials.
    fn numbers(
        &mut self,
        succeeded: &[(TrialKey, Fence)],
        metric: Metric,
        epoch: u32,
    ) -> Result<Vec<f64>, StoreError> {
        let values = self.reader.values(self.sweep.id(), succeeded, epoch)?;
        let sweep = self.sweep.id();
        let number = |((key, fence), values): (&(TrialKey, Fence), Option<Vec<f32>>)| {
            let column = self.column(*key, metric)?;
            let number = values.and_then(|values| values.get(column).copied());
            number
                .map(f64::from)
                .ok_or_else(|| StoreError::damaged_epochs(TrialId { sweep, key: *key }, *fence))
        };
        succeeded.iter().zip(values).map(number).collect()
    }

    /// The means of a metric over trials of one point, epoch by epoch.
    fn curve(&mut self, succeeded: &[(TrialKey, Fence)], metric: Metric) -> Result<Vec<Mean>, StoreError> {
        let Some((key, _)) = succeeded.first().copied() else {
            return Ok(Vec::new());
        };
        let column = self.column(key, metric)?;
        let attempts: Vec<_> = succeeded
            .iter()
            .map(|(key, fence)| (key.repetition, *fence))
            .collect();
        let blocks = self
            .reader
            .blocks(self.sweep.id(), self.stage, key.index, &attempts)?;
        let mut curves = Vec::new();
        for ((key, fence), blocks) in succeeded.iter().zip(blocks) {
            let mut curve = Curve::new(self.sweep.metrics(*key));
            let whole = blocks.iter().all(|block| curve.push(block));
            if !whole || curve.epochs() != self.sweep.epochs(self.stage) {
                let sweep = self.sweep.id();
                return Err(StoreError::damaged_epochs(TrialId { sweep, key: *key }, *fence));
            }
            curves.push(curve);
        }
        let curves: Vec<&Curve> = curves.iter().collect();
        let (metrics, epochs) = aggregate::aggregate(&curves);
        debug_assert_eq!(metrics.get(column), Some(&metric));
        let columns: Vec<&[f32]> = curves.iter().filter_map(|curve| curve.column(metric)).collect();
        let mean = |(at, epoch): (usize, &Vec<Statistics>)| {
            let value = epoch.get(column)?.mean;
            let numbers = columns.iter().filter_map(|column| column.get(at).copied());
            let numbers: Vec<f64> = numbers.map(f64::from).collect();
            let exact = self
                .answers(metric)
                .and_then(|answers| Ratio::of(&numbers, answers));
            Some(Mean { value, exact })
        };
        Ok(epochs.iter().enumerate().filter_map(mean).collect())
    }
}

fn candidate(value: Value, numbers: &[f64], missing: u32) -> Candidate {
    let statistics = Statistics::of(numbers);
    Candidate {
        n: numbers.len() as u32,
        missing,
        mean: statistics.map_or(0.0, |statistics| statistics.mean),
        standard_error: statistics.and_then(|statistics| statistics.standard_error),
        ..Candidate::without_trials(value)
    }
}

/// Has every choice made as soon as it can be, until the coordinator shuts down.
pub(crate) async fn make_choices(turn: Handle, readers: Readers, mut shutdown: Shutdown) {
    let mut commits = turn.commits();
    loop {
        commits.borrow_and_update();
        let pause = match make_due(&turn, &readers).await {
            // What was made may make others due; what was not waits for something to change.
            Ok(true) => Duration::ZERO,
            Ok(false) => {
                tokio::select! {
                    () = shutdown.wait() => return,
                    changed = commits.changed() => if changed.is_err() { return },
                }
                PAUSE
            }
            Err(MakeError::Turn(TurnError::Stopped)) => return,
            Err(error) => {
                tracing::warn!(%error, "a choice between stages cannot be made yet");
                AGAIN
            }
        };
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum MakeError {
    #[error(transparent)]
    Turn(#[from] TurnError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether any was made. One that cannot be read holds up no other: its error comes last.
async fn make_due(turn: &Handle, readers: &Readers) -> Result<bool, MakeError> {
    let mut due = VecDeque::from(turn.read(|state, _| due(state)).await?);
    let mut looked_at: BTreeSet<(SweepId, ChoiceId)> = due.iter().map(Due::id).collect();
    let (mut made, mut unread) = (0, None);
    while let Some(next) = due.pop_front() {
        let (id, choice) = next.id();
        let read = move |reader: &mut dyn Reader| candidates(reader, &next);
        let candidates = match readers.with(read).await {
            Ok(candidates) => candidates,
            Err(error) => {
                unread = Some(error);
                continue;
            }
        };
        let input = Input::Choose {
            sweep: id,
            choice,
            candidates,
        };
        match turn.decide(input).await {
            // The sweep may have been deleted, or its trials retried, since it was looked at.
            Ok(Answer::Chosen(true)) => {
                made += 1;
                // Behind all others: nobody waits until a long row of points is through.
                if made < TOGETHER {
                    let behind = turn.read(move |state, _| due_behind(state, id, choice)).await?;
                    due.extend(behind.filter(|behind| looked_at.insert(behind.id())));
                }
            }
            Ok(_) => {}
            Err(TurnError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match unread {
        Some(error) if made == 0 => Err(error.into()),
        _ => Ok(made > 0),
    }
}
