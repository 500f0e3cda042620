//! Axes whose values a stage takes from an earlier one, and the cells for which they are chosen.

use std::collections::BTreeMap;

use tenfold_types::{Setting, Value};

use super::error::{Origin, Problem, quoted};
use super::rule::Rule;
use super::stage::Stage;

/// The most choices of one stage, and the most points that are looked at when all of them are made: some seconds of the turn, a
/// part at each.
const MAX_CELLS: usize = 1_000;
const MAX_LOOKS: u64 = 10_000_000;
/// The most trials of a stage that takes values, and of one that they are taken from: what a choice lets go, or hands on, is one
/// commit.
const MAX_TRIALS: u64 = 1_000_000;
/// The most values among which one choice is made.
const MAX_CANDIDATES: usize = 1_000;

/// An axis whose values are chosen among those of an earlier stage: for each cell by themselves. A cell is a combination of
/// values of the settings that the rule has in `per`.
#[derive(Debug)]
pub struct Taken {
    /// The setting.
    pub setting: Setting,
    /// Its place among the stage's axes.
    pub axis: usize,
    /// How its values are chosen.
    pub rule: Rule,
    /// For each setting of `per` the places of its values.
    per: Vec<BTreeMap<Value, u64>>,
    /// The cells in which the stage has points, in order.
    cells: Vec<u64>,
    /// Values that may be chosen, as far as settings must fit one another.
    possible: Vec<Value>,
}

impl Taken {
    /// The cells in which the stage has points, in order.
    pub fn cells(&self) -> &[u64] {
        &self.cells
    }

    /// Values that may be chosen. Of numbers around one of them there is no list; they fit where those do.
    pub(super) fn possible(&self) -> &[Value] {
        &self.possible
    }

    /// The cell of a point of this stage or of the earlier one, of which `value` tells the values; none when the stage has no
    /// such point.
    pub(super) fn cell(&self, mut value: impl FnMut(Setting) -> Option<Value>) -> Option<u64> {
        let mut settings = self.rule.per.iter().zip(&self.per);
        settings.try_fold(0, |cell, (&setting, places)| {
            let place = places.get(&value(setting)?)?;
            Some(cell * places.len() as u64 + place)
        })
    }

    /// The values that the points of a cell have in common.
    pub fn values(&self, mut cell: u64) -> Vec<(Setting, Value)> {
        let mut values = Vec::new();
        for (&setting, places) in self.rule.per.iter().zip(&self.per).rev() {
            let place = cell % places.len().max(1) as u64;
            cell /= places.len().max(1) as u64;
            let value = places.iter().find(|(_, at)| **at == place);
            values.extend(value.map(|(value, _)| (setting, value.clone())));
        }
        values.reverse();
        values
    }

    /// The cells of a rule for an axis of a stage, which are checked against those of the earlier stage.
    pub(super) fn new(
        stage: &Stage,
        (axis, setting): (usize, Setting),
        rule: Rule,
        source: &Stage,
        at: &Origin,
    ) -> Result<Self, Problem> {
        let refused = |message: String| Problem::new(at, message);
        let name = quoted(&rule.source_name);
        let also = |other: &&Setting| stage.definition().rules.contains_key(other);
        if let Some(other) = rule.per.iter().find(also) {
            return Err(refused(format!(
                "the choice of {setting} depends on {other}, which is taken from another stage here; name with per = […] \
                 what else it depends on"
            )));
        }
        for (of, which) in [(stage, "this stage"), (source, "the earlier one")] {
            if of.raw_trials().is_none_or(|trials| trials > MAX_TRIALS) {
                return Err(refused(format!(
                    "{which} has more than {MAX_TRIALS} trials before exclude; so many are possible where values are taken \
                     from another stage"
                )));
            }
        }
        let places = |setting: &Setting| {
            let values = stage.values_of(*setting).into_iter();
            values.zip(0..).collect::<BTreeMap<_, _>>()
        };
        let per: Vec<BTreeMap<Value, u64>> = rule.per.iter().map(places).collect();
        if per
            .iter()
            .try_fold(1u64, |n, places| n.checked_mul(places.len() as u64))
            .is_none()
        {
            return Err(refused(format!(
                "per makes more choices than can be counted; at most {MAX_CELLS} are possible"
            )));
        }
        let mut taken = Self {
            setting,
            axis,
            rule,
            per,
            cells: Vec::new(),
            possible: source.values_of(setting),
        };
        let candidates = taken.possible.len();
        if candidates > MAX_CANDIDATES {
            return Err(refused(format!(
                "stage {name} has {candidates} values of {setting}; a choice is made among {MAX_CANDIDATES} at most"
            )));
        }
        let mut found: BTreeMap<u64, bool> = BTreeMap::new();
        for index in stage.indexes() {
            let Some(cell) = taken.cell(|setting| stage.value_at(index, setting)) else {
                continue;
            };
            found.insert(cell, false);
            if found.len() > MAX_CELLS {
                return Err(refused(format!(
                    "per makes more than {MAX_CELLS} choices for this stage; name fewer settings"
                )));
            }
        }
        let looks = (stage.raw_points() + source.raw_points()).saturating_mul(found.len() as u64);
        if looks > MAX_LOOKS {
            return Err(refused(format!(
                "{} choices among so many points would take too long; name fewer settings in per",
                found.len()
            )));
        }
        if source.most_points() < found.len() as u64 {
            return Err(refused(format!(
                "{} choices are made from stage {name}, and {} of its points at most go on to it; name in per of its search \
                 what tells the choices apart",
                found.len(),
                source.most_points()
            )));
        }
        for index in source.indexes() {
            let cell = taken.cell(|setting| source.value_at(index, setting));
            if let Some(there) = cell.and_then(|cell| found.get_mut(&cell)) {
                *there = true;
            }
        }
        taken.cells = found.keys().copied().collect();
        match found.iter().find(|(_, there)| !**there) {
            None => Ok(taken),
            Some((cell, _)) => {
                let values: Vec<String> = taken
                    .values(*cell)
                    .iter()
                    .map(|(setting, value)| format!("{setting} {value}"))
                    .collect();
                Err(refused(format!(
                    "stage {name} has no point with {}, from which this stage could take {setting}; vary the same there, \
                     or say with per = […] what the choice depends on",
                    values.join(", ")
                )))
            }
        }
    }
}
