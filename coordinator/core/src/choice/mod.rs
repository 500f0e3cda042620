//! Choices between stages, and decisions at their gates: from the means of trials that are over to the values of a later stage,
//! to the points that go on, to whether a point is repeated once more.

mod axis;
mod gate;
mod reuse;
mod ties;

use std::collections::BTreeSet;

use tenfold_types::SweepId;

use crate::Millis;
use crate::input::{Answer, Refusal, Transition};
use crate::record::{Candidate, ChoiceRow, Outcome, Record, TrialRow};
use crate::state::{State, SweepState};
use crate::sweep::{ChoiceId, Chooses};
use crate::trial::TrialState;

pub use axis::pick;
pub(crate) use reuse::reuse;
pub use ties::ties;

/// The number of the rules by which choices and decisions of new sweeps are made. What is recorded stays: a sweep goes on
/// under the number of the choices that it has ([`SweepState::rules`]).
///
/// | number | rules |
/// | --- | --- |
/// | 0 | a value's mean is over all its trials; means are compared as float64 |
/// | 1 | a value's mean is over its repetitions, each the mean over the value's points, of which equal ones count once; means are compared by [`Rank`](crate::rank::Rank); equal values do not end repetitions by need |
pub const RULES: u32 = 1;

/// Makes a choice that is due from what its candidates came to, in their order. One that is not due, or from other trials than
/// have succeeded, is not made: whoever asked has looked at what has changed since.
pub(crate) fn choose(
    state: &State,
    id: SweepId,
    choice: ChoiceId,
    candidates: Vec<Candidate>,
    now: Millis,
) -> Transition {
    let Some(sweep) = state.sweep(id) else {
        return Transition::refuse(Refusal::UnknownSweep(id));
    };
    let Some(chooses) = sweep.sweep().chooses(choice).filter(|_| sweep.is_due(choice)) else {
        return Transition::answer(Answer::Chosen(false));
    };
    let rules = sweep.rules();
    let succeeded = sweep.sweep().compared_trials(choice, rules).into_iter();
    let succeeded = succeeded
        .filter_map(|key| sweep.trial(key))
        .filter(|row| matches!(row.state, TrialState::Succeeded { .. }))
        .count() as u64;
    if counted(chooses, &candidates) != succeeded {
        return Transition::answer(Answer::Chosen(false));
    }
    let outcome = match chooses {
        Chooses::Axis(taken) => axis::choose(&taken.rule, rules, &candidates),
        Chooses::Points(rung) => gate::points(sweep, choice, rung, &candidates),
        Chooses::Repetitions(until) => {
            let answers = sweep.sweep().data().answers(until.metric);
            gate::repetitions(until, choice, &candidates, (rules, answers))
        }
    };
    let mut records = Vec::new();
    match &outcome {
        Outcome::Chosen(values) if matches!(chooses, Chooses::Axis(_)) => {
            let resolved = sweep.sweep().with(choice, values.clone());
            reuse(sweep, &resolved, choice, now, &mut records);
        }
        Outcome::Chosen(_) => {}
        Outcome::Nothing(reason) => fail(sweep, choice, reason, &mut records),
        Outcome::Withdrawn => {}
    }
    let chosen = matches!(outcome, Outcome::Chosen(_));
    // First: what it says of the trials counts before they are looked at.
    records.insert(
        0,
        Record::Choice(ChoiceRow {
            sweep: id,
            choice,
            candidates,
            outcome,
            rules,
        }),
    );
    Transition::answer(Answer::Chosen(true))
        .with(records)
        .and_work(chosen)
}

/// How many trials the candidates speak of. What is decided about one point has its standing first, and what else is looked
/// at of it behind that.
fn counted(chooses: Chooses<'_>, candidates: &[Candidate]) -> u64 {
    let of_one_point = match chooses {
        Chooses::Axis(_) => false,
        Chooses::Points(rung) => !rung.rule.is_joint(),
        Chooses::Repetitions(_) => true,
    };
    let counted = match of_one_point {
        true => &candidates[..candidates.len().min(1)],
        false => candidates,
    };
    counted
        .iter()
        .map(|candidate| u64::from(candidate.trials()))
        .sum()
}

/// The trials that wait for a choice fail with its reason.
fn fail(sweep: &SweepState, choice: ChoiceId, reason: &str, records: &mut Vec<Record>) {
    for key in sweep.waits_for(choice) {
        let row = sweep.row_of(key);
        // Whether what waits at a gate is run at all is not known.
        let awaits = sweep.sweep().decision_for(key);
        if row.state == TrialState::Pending && awaits.is_none() {
            records.push(Record::Trial(TrialRow {
                state: TrialState::Failed,
                error: Some(reason.to_owned()),
                ..row
            }));
        }
    }
}

/// Takes back the choices that found nothing, and the decisions for which nothing had succeeded and something that failed is run
/// again.
pub(crate) fn withdraw(sweep: &SweepState, records: &mut Vec<Record>) {
    let failed = |choice: ChoiceId| {
        let sources = sweep.sweep().sources(choice).into_iter();
        let mut rows = sources.filter_map(|key| sweep.touched_trial(key));
        rows.any(|row| row.state == TrialState::Failed)
    };
    // Stages of which a decision is taken back: in the order of stages, so the rungs behind come later.
    let mut rungs = BTreeSet::new();
    let mut found_nothing = |row: &&ChoiceRow| match &row.outcome {
        Outcome::Nothing(_) => true,
        Outcome::Withdrawn => false,
        Outcome::Chosen(_) if sweep.sweep().rule(row.choice).is_some() => false,
        Outcome::Chosen(_) => {
            let again = match row.candidates.is_empty() {
                // No point had come as far: some may now.
                true => sweep
                    .sweep()
                    .source(row.choice)
                    .is_some_and(|source| rungs.contains(&source)),
                false => row.candidates.iter().all(|candidate| candidate.trials() == 0) && failed(row.choice),
            };
            if again {
                rungs.insert(row.choice.stage);
            }
            again
        }
    };
    records.extend(sweep.choices().filter(|row| found_nothing(row)).map(|row| {
        Record::Choice(ChoiceRow {
            outcome: Outcome::Withdrawn,
            ..row.clone()
        })
    }));
}
