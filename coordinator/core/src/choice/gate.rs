//! What is decided at a gate: which points go on, and whether a point is repeated once more.

use tenfold_types::Value;

use crate::record::{Candidate, Outcome};
use crate::search::{Standing, asha, halving, median, width};
use crate::state::SweepState;
use crate::sweep::{ChoiceId, Rung, StopRule, Until};

/// How a point stands, under the rules with this number.
pub(super) fn standing(candidate: &Candidate, rules: u32) -> Standing {
    Standing {
        n: candidate.n,
        missing: candidate.missing,
        mean: candidate.rank(rules),
    }
}

fn number(value: u64) -> Value {
    Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// The points that go on. Rules that decide on one point after the other find what those before it came to in the decisions on
/// these, which are made.
pub(super) fn points(sweep: &SweepState, choice: ChoiceId, rung: &Rung, candidates: &[Candidate]) -> Outcome {
    let rules = sweep.rules();
    let standing = |candidate: &Candidate| standing(candidate, rules);
    if let StopRule::SuccessiveHalving { factor } = rung.rule {
        let standings: Vec<Standing> = candidates.iter().map(standing).collect();
        let best = halving::best(&standings, halving::kept(standings.len(), factor));
        let best = best
            .into_iter()
            .filter_map(|place| match candidates[place].value {
                Value::Int(index) => u64::try_from(index).ok(),
                _ => None,
            });
        let kept = sweep.sweep().going_on(choice, rules, &best.collect::<Vec<_>>());
        return Outcome::Chosen(kept.into_iter().map(number).collect());
    }
    if let Some(goes_on) = sweep.repeated(choice, rules) {
        return Outcome::Chosen(goes_on.then(|| number(choice.cell)).into_iter().collect());
    }
    // The number that counts for a rule: the first says how the point stands, and those behind it what else is looked at.
    let before = |place: usize| -> Vec<Standing> {
        let rows = sweep.made_before(choice, rules);
        rows.filter_map(|row| row.candidates.get(place))
            .map(&standing)
            .collect()
    };
    let this = |place: usize| candidates.get(place).map(&standing);
    let goes_on = match rung.rule {
        StopRule::SuccessiveHalving { .. } => None,
        StopRule::Asha { factor } => this(0).map(|this| asha::goes_on(&before(0), this, factor)),
        StopRule::Median { startup } => this(1).map(|this| median::goes_on(&before(1), this, startup)),
        StopRule::Patience { tolerance, .. } => match (this(0), this(1), this(2)) {
            (Some(this), Some(before), Some(lately)) => {
                Some(this.is_alive() && !before.mean.is_exceeded(lately.mean, tolerance))
            }
            // There are no epochs before the last ones yet.
            (Some(this), ..) => Some(this.is_alive()),
            (None, ..) => None,
        },
    };
    let kept = goes_on.unwrap_or_default().then(|| number(choice.cell));
    Outcome::Chosen(kept.into_iter().collect())
}

/// How many repetitions a point has then: no more than it has when its mean is known well enough, or none has succeeded.
///
/// Values that are equal by the luck of few do not make a mean known. Under the rules 1 the deviation of a count of N answers is
/// at least 1/N, as in verdicts, and equal values of another metric say nothing.
pub(super) fn repetitions(
    until: &Until,
    choice: ChoiceId,
    candidates: &[Candidate],
    (rules, answers): (u32, Option<u32>),
) -> Outcome {
    let (_, now) = until.point(choice.cell);
    let enough = candidates.first().is_none_or(|candidate| {
        let error = match (rules, answers) {
            (0, _) => candidate.standard_error,
            (_, Some(answers)) => {
                let least = 1.0 / (f64::from(answers.max(1)) * f64::from(candidate.n).sqrt());
                candidate.standard_error.map(|error| error.max(least))
            }
            (_, None) => candidate.standard_error.filter(|error| *error > 0.0),
        };
        let narrow = |error: f64| width::is_narrow(candidate.n, error, until.half_width);
        candidate.n == 0 || error.is_some_and(narrow)
    });
    let then = match enough {
        true => now,
        false => until.next(now),
    };
    Outcome::Chosen(vec![number(then.into())])
}
