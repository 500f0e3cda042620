//! Choices between the stages of a sweep and decisions at their gates: those made, and what the others wait for.

use std::collections::BTreeMap;

use tenfold_types::TrialKey;

use crate::record::{ChoiceRow, Outcome};
use crate::sweep::{ChoiceId, Chooses, Sweep};

/// How often the points are run that a choice is made from, at most.
fn repetitions(sweep: &Sweep, choice: ChoiceId) -> u64 {
    if let Some(Chooses::Repetitions(until)) = sweep.chooses(choice) {
        return until.min.into();
    }
    let stage = sweep.source(choice).and_then(|source| sweep.stage(source));
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
        let open = |choice: ChoiceId| {
            // What is not counted is decided about one point.
            let points = points.get(&choice).copied().unwrap_or(1);
            (choice, points * repetitions(sweep, choice))
        };
        Self {
            made: BTreeMap::new(),
            open: sweep.all_choices().map(open).collect(),
        }
    }

    /// Takes in what the stages that are chosen from have got beyond what they had before.
    pub(super) fn extend(&mut self, before: &Sweep, after: &Sweep) {
        for (choice, points) in after.source_counts() {
            if before.stage(choice.stage).is_none() {
                continue;
            }
            let more = repetitions(after, choice) - repetitions(before, choice);
            if more > 0 {
                *self.open.entry(choice).or_default() += points * more;
            }
        }
    }

    /// Takes in a choice that has come up, with the trials that it is made from and that are not over yet.
    pub(super) fn add(&mut self, choice: ChoiceId, open: u64) {
        self.open.insert(choice, open);
    }

    /// Those that were made, or taken back, in order.
    pub(super) fn rows(&self) -> impl Iterator<Item = &ChoiceRow> {
        self.made.values()
    }

    /// One that was made, or taken back.
    pub(super) fn row(&self, choice: ChoiceId) -> Option<&ChoiceRow> {
        self.made.get(&choice)
    }

    pub(super) fn insert(&mut self, row: &ChoiceRow) {
        self.made.insert(row.choice, row.clone());
    }

    /// Whether nothing is chosen or decided in its sweep: then there is nothing to note.
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

    fn is_made(&self, choice: ChoiceId) -> bool {
        let made = self.made.get(&choice).map(|row| &row.outcome);
        !matches!(made, None | Some(Outcome::Withdrawn))
    }

    /// Whether it is to be made, and all trials that it is made from are over, and what is decided before is decided.
    pub(super) fn is_due(&self, sweep: &Sweep, choice: ChoiceId) -> bool {
        let before = |choice| sweep.predecessors(choice).next();
        !self.is_made(choice)
            && self.open.get(&choice) == Some(&0)
            && sweep.is_reached(choice)
            && before(choice).is_none_or(|before| self.is_made(before))
    }

    /// Trials that a choice is to be made from and that are not over yet; none when it is made.
    pub(super) fn awaited(&self, choice: ChoiceId) -> Option<u64> {
        let open = self.open.get(&choice).copied();
        open.filter(|_| !self.is_made(choice))
    }

    /// Those that are due, in order.
    pub(super) fn due<'a>(&'a self, sweep: &'a Sweep) -> impl Iterator<Item = ChoiceId> + 'a {
        let over = self.open.iter().filter(|(_, open)| **open == 0);
        over.map(|(id, _)| *id).filter(|id| self.is_due(sweep, *id))
    }
}
