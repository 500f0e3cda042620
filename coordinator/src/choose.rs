//! Choices between stages: what there is to choose from is read here, beside the turn; the turn chooses, and records it.

use std::collections::BTreeMap;
use std::time::Duration;

use tenfold_core::aggregate::Statistics;
use tenfold_core::record::Candidate;
use tenfold_core::sweep::{ChoiceId, Sweep};
use tenfold_core::trial::TrialState;
use tenfold_core::{Answer, Input, State};
use tenfold_types::{Fence, TrialKey, Value};

use crate::readers::Readers;
use crate::shutdown::Shutdown;
use crate::store::{Reader, StoreError};
use crate::turn::{Handle, TurnError};

/// Choices are looked for at most this often.
const PAUSE: Duration = Duration::from_millis(50);
/// How soon a store that could not be read is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Choices that are looked at before others are.
const TOGETHER: usize = 4096;

/// Choices that can be made now.
pub fn due(state: &State) -> Vec<(Sweep, ChoiceId)> {
    let sweeps = state.unfinished_sweeps();
    let due = sweeps.flat_map(|sweep| sweep.due_choices().map(|choice| (sweep.sweep().clone(), choice)));
    due.take(TOGETHER).collect()
}

/// What there is to choose from, in the order of the axis: of the sweep as it was when the choice was due. A pure function of
/// the curves of the trials that have succeeded, in the order of points and repetitions.
///
/// # Errors
/// The store's.
pub fn candidates(
    reader: &mut dyn Reader,
    sweep: &Sweep,
    choice: ChoiceId,
) -> Result<Vec<Candidate>, StoreError> {
    let Some(taken) = sweep.rule(choice) else {
        return Ok(Vec::new());
    };
    let (source, metric) = (taken.rule.source, taken.rule.metric);
    let repetitions = sweep.stage(source).map_or(0, |stage| stage.repetitions());
    let mut order: Vec<Value> = Vec::new();
    let mut found: BTreeMap<Value, (Vec<f64>, u32)> = BTreeMap::new();
    for index in sweep.source_points(choice) {
        let first = TrialKey {
            stage: source,
            index,
            repetition: 0,
        };
        let values = sweep.values(first);
        // A value that was never chosen, as nothing could be, is none to choose from.
        let Some((_, value)) = values.into_iter().find(|(setting, _)| *setting == taken.setting) else {
            continue;
        };
        let mut rows = reader.trials(sweep.id(), source, index)?.rows;
        // Those that an extension has added meanwhile are no part of what was due.
        rows.retain(|row| row.id.key.repetition < repetitions);
        let succeeded: Vec<(TrialKey, Fence)> = rows
            .iter()
            .filter_map(|row| match row.state {
                TrialState::Succeeded { fence, .. } => Some((row.id.key, fence)),
                _ => None,
            })
            .collect();
        let column = sweep.metrics(first).iter().position(|of| *of == metric);
        let epochs = reader.values(sweep.id(), &succeeded, taken.rule.epoch)?;
        let (numbers, missing) = found.entry(value.clone()).or_default();
        for values in epochs {
            let number = column.and_then(|column| values?.get(column).copied());
            let number = number.ok_or_else(|| {
                StoreError::Corrupt(format!(
                    "a trial of point {index} of stage {source} has no {metric} at epoch {}",
                    taken.rule.epoch
                ))
            })?;
            numbers.push(f64::from(number));
        }
        *missing += repetitions.saturating_sub(succeeded.len() as u32);
        if !order.contains(&value) {
            order.push(value);
        }
    }
    let candidate = |value: Value| {
        let (numbers, missing) = found.remove(&value).unwrap_or_default();
        let statistics = Statistics::of(&numbers);
        Candidate {
            value,
            n: numbers.len() as u32,
            missing,
            mean: statistics.map_or(0.0, |statistics| statistics.mean),
            standard_error: statistics.and_then(|statistics| statistics.standard_error),
        }
    };
    Ok(order.into_iter().map(candidate).collect())
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
    let due = turn.read(|state, _| due(state)).await?;
    let (mut made, mut unread) = (false, None);
    for (sweep, choice) in due {
        let id = sweep.id();
        let read = move |reader: &mut dyn Reader| candidates(reader, &sweep, choice);
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
            Ok(answer) => made |= answer == Answer::Chosen(true),
            Err(TurnError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match unread {
        Some(error) if !made => Err(error.into()),
        _ => Ok(made),
    }
}
