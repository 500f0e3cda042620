//! Choices between the stages of a sweep: those made, and what the others wait for.

use std::collections::BTreeMap;

use tenfold_types::TrialKey;

use crate::record::{ChoiceRow, Outcome};
use crate::sweep::{ChoiceId, Sweep, Taken};

/// How often the points are run that a choice is made from.
fn repetitions(sweep: &Sweep, taken: &Taken) -> u64 {
    let stage = sweep.stage(taken.rule.source);
    stage.map_or(0, |stage| stage.repetitions().into())
}

/// The choices of a sweep.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Choices {
    made: BTreeMap<ChoiceId, ChoiceRow>,
    /// For each of them the trials that it is made from and that are not over yet.
    open: BTreeMap<ChoiceId, u64>,
}

impl Choices {
    pub(super) fn of(sweep: &Sweep) -> Self {
        let points = sweep.source_counts();
        let open = |(id, taken): (ChoiceId, &Taken)| {
            let points = points.get(&id).copied().unwrap_or_default();
            (id, points * repetitions(sweep, taken))
        };
        Self {
            made: BTreeMap::new(),
            open: sweep.choices().map(open).collect(),
        }
    }

    /// Takes in what the stages that are chosen from have got beyond what they had before.
    pub(super) fn extend(&mut self, before: &Sweep, after: &Sweep) {
        let points = after.source_counts();
        let old = |(id, _): &(ChoiceId, &Taken)| before.stage(id.stage).is_some();
        for (id, taken) in after.choices().filter(old) {
            let more = repetitions(after, taken) - repetitions(before, taken);
            if more > 0 {
                let points = points.get(&id).copied().unwrap_or_default();
                *self.open.entry(id).or_default() += points * more;
            }
        }
    }

    /// Takes in a choice of a new stage, with the trials that it is made from and that are not over yet.
    pub(super) fn add(&mut self, choice: ChoiceId, open: u64) {
        self.open.insert(choice, open);
    }

    /// Those that were made, or taken back, in order.
    pub(super) fn rows(&self) -> impl Iterator<Item = &ChoiceRow> {
        self.made.values()
    }

    pub(super) fn insert(&mut self, row: &ChoiceRow) {
        self.made.insert(row.choice, row.clone());
    }

    /// Whether its stages take nothing from one another: then there is nothing to note.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Notes that a trial is over, or no longer.
    pub(super) fn note(&mut self, sweep: &Sweep, key: TrialKey, over: bool) {
        for id in sweep.choices_from(key) {
            if let Some(open) = self.open.get_mut(&id) {
                *open = if over { open.saturating_sub(1) } else { *open + 1 };
            }
        }
    }

    /// Whether it is to be made, and all trials that it is made from are over.
    pub(super) fn is_due(&self, choice: ChoiceId) -> bool {
        let made = self.made.get(&choice).map(|row| &row.outcome);
        matches!(made, None | Some(Outcome::Withdrawn)) && self.open.get(&choice) == Some(&0)
    }

    /// Trials that a choice is to be made from and that are not over yet; none when it is made.
    pub(super) fn awaited(&self, choice: ChoiceId) -> Option<u64> {
        let made = self.made.get(&choice).map(|row| &row.outcome);
        let waits = matches!(made, None | Some(Outcome::Withdrawn));
        self.open.get(&choice).copied().filter(|_| waits)
    }

    /// Those that are due, in order.
    pub(super) fn due(&self) -> impl Iterator<Item = ChoiceId> {
        let over = self.open.iter().filter(|(_, open)| **open == 0);
        over.map(|(id, _)| *id).filter(|id| self.is_due(*id))
    }
}
