//! Ties: of equal means the order decides, and that is said.

use tenfold_types::Value;

use crate::record::{ChoiceRow, Outcome};
use crate::search::{Standing, halving};
use crate::sweep::{Chooses, StopRule, Sweep};

use super::axis::{eligible, pick};
use super::gate::standing;

/// The values, or the indexes of the points, that were as good as the chosen one and come behind it: they lost by the order of
/// the axis, or of the points, alone. Rules that decide on one point by itself have none.
pub fn ties(sweep: &Sweep, row: &ChoiceRow) -> Vec<Value> {
    if !matches!(row.outcome, Outcome::Chosen(_)) {
        return Vec::new();
    }
    let candidates = row.candidates.as_slice();
    let places = match sweep.chooses(row.choice) {
        Some(Chooses::Axis(taken)) => {
            let Some(chosen) = pick(&taken.rule, row.rules, candidates) else {
                return Vec::new();
            };
            let rank = |place: usize| candidates[place].rank(row.rules);
            let others = eligible(candidates).into_iter();
            let equal = others.filter(|place| *place != chosen && rank(*place) == rank(chosen));
            equal.collect()
        }
        Some(Chooses::Points(rung)) => match rung.rule {
            StopRule::SuccessiveHalving { factor } => {
                let standings: Vec<Standing> = candidates
                    .iter()
                    .map(|candidate| standing(candidate, row.rules))
                    .collect();
                let keep = halving::kept(standings.len(), factor);
                halving::tied(&standings, &halving::best(&standings, keep))
            }
            StopRule::Asha { .. } | StopRule::Median { .. } | StopRule::Patience { .. } => Vec::new(),
        },
        Some(Chooses::Repetitions(_)) | None => Vec::new(),
    };
    places
        .into_iter()
        .map(|place: usize| candidates[place].value.clone())
        .collect()
}
