//! The values of a later stage's axis, from the means of an earlier stage.

use tenfold_types::Value;

use crate::rank::Rank;
use crate::record::{Candidate, Outcome};
use crate::sweep::{Criterion, Rule};

/// What a rule makes of its candidates.
pub(super) fn choose(rule: &Rule, rules: u32, candidates: &[Candidate]) -> Outcome {
    match pick(rule, rules, candidates) {
        Some(place) => of_values(rule, &candidates[place].value),
        None => Outcome::Nothing(nothing(rule, candidates)),
    }
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

/// The place of the candidate that the rule chooses; none when no trial of any has succeeded.
///
/// One with diverged or failed trials is never chosen over one with fewer. Of the others the least mean counts, and of
/// equal ones the first.
pub fn pick(rule: &Rule, rules: u32, candidates: &[Candidate]) -> Option<usize> {
    let eligible = eligible(candidates);
    let rank = |place: &usize| candidates[*place].rank(rules);
    let best = eligible.iter().copied().min_by_key(rank)?;
    match rule.criterion {
        Criterion::MinMean => Some(best),
        Criterion::OneStandardError => {
            let least = &candidates[best];
            let most = least.mean + least.standard_error.unwrap_or_default();
            let is_near = |place: &usize| match rules {
                0 => candidates[*place].mean <= most,
                // The standard error is no ratio: what is added to it is compared by digits.
                _ => {
                    let mean = Rank::rounded(candidates[*place].mean);
                    rank(place) <= least.rank(rules) || mean <= Rank::rounded(most)
                }
            };
            eligible.into_iter().find(is_near)
        }
    }
}

/// The places of the candidates that one is chosen among: of those with a mean the ones with the fewest missing.
pub(super) fn eligible(candidates: &[Candidate]) -> Vec<usize> {
    let known = |candidate: &&Candidate| candidate.n > 0;
    let missing = candidates.iter().filter(known);
    let missing = missing.map(|candidate| candidate.missing).min();
    let places = (0..candidates.len()).filter(|place| {
        let candidate = &candidates[*place];
        candidate.n > 0 && Some(candidate.missing) == missing
    });
    places.collect()
}

fn nothing(rule: &Rule, candidates: &[Candidate]) -> String {
    if candidates.is_empty() {
        return format!(
            "nothing to choose from: no point of stage {} that it is chosen from has gone on so far",
            rule.source_name
        );
    }
    let missing: u64 = candidates
        .iter()
        .map(|candidate| u64::from(candidate.missing))
        .sum();
    let ended = match missing {
        // They waited for a choice themselves.
        0 => String::new(),
        _ => format!(", {missing} have diverged or failed"),
    };
    if candidates.iter().any(|candidate| candidate.trials() > 0) {
        return format!(
            "nothing to choose from: in no repetition of stage {} have all points of a value succeeded{ended}",
            rule.source_name
        );
    }
    format!(
        "nothing to choose from: no trial of stage {} has succeeded{ended}",
        rule.source_name
    )
}

#[cfg(test)]
mod tests {
    use tenfold_types::{Metric, Setting};

    use super::*;
    use crate::RULES;

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
            n,
            missing,
            mean,
            standard_error: (n >= 2).then_some(error),
            ..Candidate::without_trials(Value::Float(mean))
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
        assert_eq!(pick(&min, RULES, &all), Some(3));
        assert_eq!(pick(&min, RULES, &all[..2]), Some(1));
        assert_eq!(pick(&min, RULES, &all[..1]), None);
        assert_eq!(pick(&min, RULES, &[]), None);
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
        assert_eq!(pick(&one, RULES, &all), Some(1));
        assert_eq!(pick(&one, RULES, &all[2..]), Some(0));
        assert_eq!(pick(&one, RULES, &[candidate(1, 0, 0.5, 0.0)]), Some(0));
    }
}
