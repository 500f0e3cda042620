//! Choices between stages: from the means of an earlier stage to the values of a later one.

use std::collections::BTreeMap;

use tenfold_types::{SweepId, TrialKey, TrialSpec, Value};

use crate::Millis;
use crate::input::{Answer, Refusal, Transition};
use crate::record::{Candidate, ChoiceRow, Outcome, Record, TrialRow};
use crate::state::{State, SweepState};
use crate::sweep::{ChoiceId, Criterion, Rule, Sweep};
use crate::trial::TrialState;

/// Makes a choice that is due from what its candidates came to, in the order of their axis. One that is not due, or from
/// other trials than have succeeded, is not made: whoever asked has looked at what has changed since.
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
    let Some(taken) = sweep.sweep().rule(choice).filter(|_| sweep.is_due(choice)) else {
        return Transition::answer(Answer::Chosen(false));
    };
    let counted: u64 = candidates.iter().map(|candidate| u64::from(candidate.n)).sum();
    let succeeded = sources(sweep.sweep(), choice)
        .filter_map(|key| sweep.trial(key))
        .filter(|row| matches!(row.state, TrialState::Succeeded { .. }))
        .count() as u64;
    if counted != succeeded {
        return Transition::answer(Answer::Chosen(false));
    }
    let outcome = match pick(&taken.rule, &candidates) {
        Some(place) => of_values(&taken.rule, &candidates[place].value),
        None => Outcome::Nothing(nothing(&taken.rule, &candidates)),
    };
    let mut records = Vec::new();
    match &outcome {
        Outcome::Chosen(values) => {
            let resolved = sweep.sweep().with(choice, values.clone());
            reuse(sweep, &resolved, choice, now, &mut records);
        }
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
        }),
    );
    Transition::answer(Answer::Chosen(true))
        .with(records)
        .and_work(chosen)
}

fn of_values(rule: &Rule, chosen: &Value) -> Outcome {
    let values = rule.values(chosen);
    let usable = |value: &Value| match value {
        Value::Float(value) => value.is_finite() && (rule.refine.is_none() || *value > 0.0),
        _ => true,
    };
    match values.iter().all(usable) {
        true => Outcome::Chosen(values),
        false => Outcome::Nothing(format!("there is no room for values around {chosen}")),
    }
}

/// All trials that a choice is made from.
fn sources(sweep: &Sweep, choice: ChoiceId) -> impl Iterator<Item = TrialKey> {
    let source = sweep.rule(choice).map(|taken| taken.rule.source);
    let stage = source.and_then(|source| sweep.stage(source));
    let repetitions = stage.map_or(0, |stage| stage.repetitions());
    let keys = move |index| {
        (0..repetitions).map(move |repetition| TrialKey {
            stage: source.unwrap_or_default(),
            index,
            repetition,
        })
    };
    sweep.source_points(choice).into_iter().flat_map(keys)
}

/// The place of the candidate that the rule chooses; none when no trial of any has succeeded.
///
/// One with diverged or failed trials is never chosen over one with fewer. Of the others the least mean counts, and of
/// equal ones the first.
pub fn pick(rule: &Rule, candidates: &[Candidate]) -> Option<usize> {
    let known = |candidate: &&Candidate| candidate.n > 0;
    let missing = candidates
        .iter()
        .filter(known)
        .map(|candidate| candidate.missing)
        .min()?;
    let eligible = || {
        let places = candidates.iter().enumerate();
        places.filter(|(_, candidate)| candidate.n > 0 && candidate.missing == missing)
    };
    let (best, least) = eligible().min_by(|(_, a), (_, b)| a.mean.total_cmp(&b.mean))?;
    match rule.criterion {
        Criterion::MinMean => Some(best),
        Criterion::OneStandardError => {
            let most = least.mean + least.standard_error.unwrap_or_default();
            eligible()
                .find(|(_, candidate)| candidate.mean <= most)
                .map(|(place, _)| place)
        }
    }
}

fn nothing(rule: &Rule, candidates: &[Candidate]) -> String {
    let missing: u64 = candidates
        .iter()
        .map(|candidate| u64::from(candidate.missing))
        .sum();
    let ended = match missing {
        // They waited for a choice themselves.
        0 => String::new(),
        _ => format!(", {missing} have diverged or failed"),
    };
    format!(
        "nothing to choose from: no trial of stage {} has succeeded{ended}",
        rule.source_name
    )
}

/// The trials that wait for a choice fail with its reason.
fn fail(sweep: &SweepState, choice: ChoiceId, reason: &str, records: &mut Vec<Record>) {
    for key in sweep.waits_for(choice) {
        let row = sweep.row_of(key);
        if row.state == TrialState::Pending {
            records.push(Record::Trial(TrialRow {
                state: TrialState::Failed,
                error: Some(reason.to_owned()),
                ..row
            }));
        }
    }
}

/// Trials of the later stage that were trained in the earlier one already have their results: what they train from, and for
/// how long, is the same, so they would come to the same.
pub(crate) fn reuse(
    sweep: &SweepState,
    resolved: &Sweep,
    choice: ChoiceId,
    now: Millis,
    records: &mut Vec<Record>,
) {
    let source = resolved.rule(choice).map(|taken| taken.rule.source);
    let Some((number, source)) = source.and_then(|source| Some((source, resolved.stage(source)?))) else {
        return;
    };
    if source.epochs() != resolved.epochs(choice.stage) {
        return;
    }
    let mut trained: BTreeMap<SweepId, u64> = BTreeMap::new();
    for index in resolved.source_points(choice) {
        if let Some(spec) = source.spec(index, 0) {
            trained.entry(same(&spec)).or_insert(index);
        }
    }
    let mut known: BTreeMap<u64, Option<u64>> = BTreeMap::new();
    for to in resolved.waits_for(choice) {
        let twin = known.entry(to.index).or_insert_with(|| {
            let first = TrialKey { repetition: 0, ..to };
            trained.get(&same(&resolved.spec(first)?)).copied()
        });
        let Some(index) = *twin else { continue };
        let from = TrialKey {
            stage: number,
            index,
            ..to
        };
        let accepted = sweep
            .trial(from)
            .and_then(|row| Some((row.state.accepted()?, row)));
        if let Some((fence, row)) = accepted
            && sweep.is_open(to).is_none()
        {
            records.push(Record::EpochsCopied {
                sweep: sweep.row().id,
                from,
                to,
                fence,
            });
            records.push(Record::Trial(TrialRow {
                state: row.state,
                attempts: row.attempts,
                accepted_at: Some(now),
                ..sweep.row_of(to)
            }));
        }
    }
}

/// Trials with the same text come to the same curve.
fn same(spec: &TrialSpec) -> SweepId {
    // Plain data with finite numbers: there is nothing that JSON could refuse. The hash of a text, as of any other.
    SweepId::of(&serde_json::to_string(spec).unwrap_or_default())
}

/// Takes back the choices that found nothing: their stages are run again.
pub(crate) fn withdraw(sweep: &SweepState, records: &mut Vec<Record>) {
    let failed = sweep
        .choices()
        .filter(|row| matches!(row.outcome, Outcome::Nothing(_)));
    records.extend(failed.map(|row| {
        Record::Choice(ChoiceRow {
            outcome: Outcome::Withdrawn,
            ..row.clone()
        })
    }));
}

#[cfg(test)]
mod tests {
    use tenfold_types::{Metric, Setting};

    use super::*;

    fn rule(criterion: Criterion) -> Rule {
        Rule {
            source: 0,
            source_name: "coarse".to_owned(),
            metric: Metric::TestError,
            epoch: 1,
            per: vec![Setting::Architecture],
            criterion,
            refine: None,
        }
    }

    fn candidate(n: u32, missing: u32, mean: f64, error: f64) -> Candidate {
        Candidate {
            value: Value::Float(mean),
            n,
            missing,
            mean,
            standard_error: (n >= 2).then_some(error),
        }
    }

    #[test]
    fn one_with_failures_is_not_chosen_over_one_with_fewer_and_the_first_of_equals_is() {
        let min = rule(Criterion::MinMean);
        let all = [
            candidate(0, 3, 0.0, 0.0),
            candidate(2, 1, 0.1, 0.01),
            candidate(3, 0, 0.4, 0.02),
            candidate(3, 0, 0.3, 0.02),
            candidate(3, 0, 0.3, 0.02),
        ];
        assert_eq!(pick(&min, &all), Some(3));
        assert_eq!(pick(&min, &all[..2]), Some(1));
        assert_eq!(pick(&min, &all[..1]), None);
        assert_eq!(pick(&min, &[]), None);
    }

    #[test]
    fn within_a_standard_error_of_the_least_mean_the_first_is_chosen() {
        let one = rule(Criterion::OneStandardError);
        let all = [
            candidate(3, 0, 0.45, 0.2),
            candidate(3, 0, 0.32, 0.2),
            candidate(3, 0, 0.30, 0.02),
            candidate(3, 0, 0.31, 0.02),
        ];
        assert_eq!(pick(&one, &all), Some(1));
        assert_eq!(pick(&one, &all[2..]), Some(0));
        assert_eq!(pick(&one, &[candidate(1, 0, 0.5, 0.0)]), Some(0));
    }
}
