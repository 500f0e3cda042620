//! Trials that have a result, kept as small as can be: there may be ten million of them.

use std::collections::BTreeMap;

use tenfold_types::Fence;

use crate::Millis;
use crate::record::TrialRow;
use crate::trial::TrialState;

/// Trials with a result by their place in line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    trials: BTreeMap<u64, Kept>,
    /// The few that failed before they succeeded: how often, and why last.
    marked: BTreeMap<u64, (u32, u32, Option<String>)>,
    epochs: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kept {
    fence: Fence,
    at: Millis,
    attempts: u32,
    /// The epoch in which it diverged, or the length of the whole curve with the highest bit set.
    end: u32,
}

/// Marks whole curves. A sweep has at most a million epochs.
const WHOLE: u32 = 1 << 31;

impl Accepted {
    pub(super) fn len(&self) -> u64 {
        self.trials.len() as u64
    }

    /// Epochs in all curves.
    pub(super) fn epochs(&self) -> u64 {
        self.epochs
    }

    pub(super) fn contains(&self, place: u64) -> bool {
        self.trials.contains_key(&place)
    }

    /// Returns the number of trials in a range of places, counted up to `most`.
    pub(super) fn count_within(&self, places: std::ops::Range<u64>, most: usize) -> usize {
        self.trials.range(places).take(most).count()
    }

    /// Takes a trial out: its curve is damaged on disk. Returns the state that it had.
    pub(super) fn remove(&mut self, place: u64) -> Option<TrialState> {
        let state = self.trials.remove(&place)?.state();
        self.marked.remove(&place);
        self.epochs -= u64::from(state.accepted_epochs());
        Some(state)
    }

    /// Keeps the row of a trial with a result, and returns the state that it had before if that was one too. None when it has
    /// none.
    pub(super) fn insert(&mut self, place: u64, row: &TrialRow) -> Option<Option<TrialState>> {
        let (fence, end) = match row.state {
            TrialState::Succeeded { fence, epochs } => (fence, epochs | WHOLE),
            TrialState::Diverged { fence, epoch } => (fence, epoch),
            _ => return None,
        };
        let result = Kept {
            fence,
            at: row.accepted_at.unwrap_or_default(),
            attempts: row.attempts,
            end,
        };
        self.epochs += u64::from(row.state.accepted_epochs());
        let old = self.trials.insert(place, result).map(Kept::state);
        if let Some(old) = &old {
            self.epochs -= u64::from(old.accepted_epochs());
        }
        if row.failures > 0 || row.pack_limit > 0 || row.error.is_some() {
            self.marked
                .insert(place, (row.failures, row.pack_limit, row.error.clone()));
        }
        Some(old)
    }

    /// Moves them to other places, in the same order.
    pub(super) fn moved(&mut self, to: impl Fn(u64) -> Option<u64>) {
        let trials = std::mem::take(&mut self.trials).into_iter();
        self.trials = trials
            .filter_map(|(place, kept)| Some((to(place)?, kept)))
            .collect();
        let marked = std::mem::take(&mut self.marked).into_iter();
        self.marked = marked
            .filter_map(|(place, mark)| Some((to(place)?, mark)))
            .collect();
    }

    /// Fills a row in with what is kept.
    pub(super) fn fill(&self, place: u64, row: TrialRow) -> Option<TrialRow> {
        let result = self.trials.get(&place)?;
        let (failures, pack_limit, error) = self.marked.get(&place).cloned().unwrap_or_default();
        Some(TrialRow {
            state: result.state(),
            attempts: result.attempts,
            failures,
            error,
            pack_limit,
            accepted_at: Some(result.at),
            ..row
        })
    }

    /// All of them, in order of work.
    pub(super) fn places(&self) -> impl Iterator<Item = u64> {
        self.trials.keys().copied()
    }
}

impl Kept {
    fn state(self) -> TrialState {
        let fence = self.fence;
        match self.end & WHOLE {
            0 => TrialState::Diverged {
                fence,
                epoch: self.end,
            },
            _ => TrialState::Succeeded {
                fence,
                epochs: self.end & !WHOLE,
            },
        }
    }
}
