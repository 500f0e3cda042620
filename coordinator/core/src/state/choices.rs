//! Choices between the stages of a sweep and decisions at their gates: those made, and what the others wait for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

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
    /// Those still to be made with no such trial.
    ripe: BTreeSet<ChoiceId>,
    /// Those that were taken back and not made since.
    withdrawn: BTreeSet<ChoiceId>,
}

impl Choices {
    pub(super) fn of(sweep: &Sweep) -> Self {
        let points = sweep.source_counts();
        let open = |choice: ChoiceId| {
            // What is not counted is decided about one point.
            let points = points.get(&choice).copied().unwrap_or(1);
            (choice, points * repetitions(sweep, choice))
        };
        let open: BTreeMap<ChoiceId, u64> = sweep.all_choices().map(open).collect();
        let ripe = open.iter().filter(|(_, open)| **open == 0);
        Self {
            made: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            ripe: ripe.map(|(choice, _)| *choice).collect(),
            open,
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
                self.ripen(choice);
            }
        }
    }

    /// Takes in a choice that has come up, with the trials that it is made from and that are not over yet.
    pub(super) fn add(&mut self, choice: ChoiceId, open: u64) {
        self.open.insert(choice, open);
        self.ripen(choice);
    }

    /// Notes whether a choice waits for any trial.
    fn ripen(&mut self, choice: ChoiceId) {
        match self.open.get(&choice) == Some(&0) && !self.is_made(choice) {
            true => _ = self.ripe.insert(choice),
            false => _ = self.ripe.remove(&choice),
        }
    }

    /// Those that were made, or taken back, in order.
    pub(super) fn rows(&self) -> impl Iterator<Item = &ChoiceRow> {
        self.made.values()
    }

    pub(super) fn len(&self) -> u64 {
        self.made.len() as u64
    }

    pub(super) fn insert(&mut self, row: &ChoiceRow) {
        self.made.insert(row.choice, row.clone());
        match row.outcome {
            Outcome::Withdrawn => self.withdrawn.insert(row.choice),
            Outcome::Chosen(_) | Outcome::Nothing(_) => self.withdrawn.remove(&row.choice),
        };
        self.ripen(row.choice);
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
                self.ripen(id);
            }
        }
    }

    fn is_made(&self, choice: ChoiceId) -> bool {
        let made = self.made.get(&choice).map(|row| &row.outcome);
        !matches!(made, None | Some(Outcome::Withdrawn))
    }

    /// Whether it is to be made, and all trials that it is made from are over, and what is decided before is decided.
    pub(super) fn is_due(&self, sweep: &Sweep, choice: ChoiceId) -> bool {
        // Each is made when the one before it is; but one further ahead may have been taken back since.
        let first = ChoiceId { cell: 0, ..choice };
        let looked_at = match self.withdrawn.range(first..choice).next() {
            None => 1,
            Some(_) => usize::MAX,
        };
        !self.is_made(choice)
            && self.open.get(&choice) == Some(&0)
            && sweep.is_reached(choice)
            && sweep
                .predecessors(choice)
                .take(looked_at)
                .all(|before| self.is_made(before))
    }

    /// Trials that a choice is to be made from and that are not over yet; none when it is made.
    pub(super) fn awaited(&self, choice: ChoiceId) -> Option<u64> {
        let open = self.open.get(&choice).copied();
        open.filter(|_| !self.is_made(choice))
    }

    /// Those of the same rule that were made, or taken back, up to before one in order.
    pub(super) fn before(&self, choice: ChoiceId) -> impl Iterator<Item = &ChoiceRow> {
        let first = ChoiceId { cell: 0, ..choice };
        self.made.range(first..choice).map(|(_, row)| row)
    }

    /// Those that are due, in order.
    pub(super) fn due<'a>(&'a self, sweep: &'a Sweep) -> impl Iterator<Item = ChoiceId> + 'a {
        let ripe = self.ripe.iter().copied();
        ripe.filter(|id| self.is_due(sweep, *id))
    }

    /// The first of the same rule behind one that is due.
    pub(super) fn due_behind(&self, sweep: &Sweep, choice: ChoiceId) -> Option<ChoiceId> {
        let behind = self.ripe.range((Excluded(choice), Unbounded)).copied();
        let mut same = behind.take_while(|id| (id.stage, id.rule) == (choice.stage, choice.rule));
        same.find(|id| self.is_due(sweep, *id))
    }
}
