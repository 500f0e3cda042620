//! What a commit changed of each sweep: a row that names its trials.

use std::collections::BTreeMap;

use tenfold_core::record::CountedRow;
use tenfold_types::TrialKey;

use super::checks::Checks;
use super::columns::Columns;
use super::rows;
use super::{Cursor, StoreError, What};

/// The trial's own row changed.
pub(super) const TRIAL: u8 = 1;
/// It has new epochs.
pub(super) const EPOCHS: u8 = 2;
/// It is over.
pub(super) const OVER: u8 = 4;

/// What a commit changes, by the numbers of sweeps.
#[derive(Default)]
pub(super) struct Changed(BTreeMap<i64, OfSweep>);

#[derive(Default)]
struct OfSweep {
    itself: bool,
    trials: Vec<(TrialKey, u8)>,
    counted: Option<Counts>,
}

/// The number of rows that a sweep has: touched trials, choices, extensions.
pub(super) type Counts = (u64, u64, u64);

/// What a commit changed of a sweep, as its row holds it.
pub(super) struct ChangeRow {
    pub(super) sweep: i64,
    pub(super) itself: bool,
    pub(super) trials: Vec<u8>,
    pub(super) counted: Option<Vec<u8>>,
}

/// Reads the numbers of rows back.
pub(super) fn counts(bytes: &[u8]) -> Option<Counts> {
    postcard::from_bytes(bytes).ok()
}

impl Changed {
    pub(super) fn sweep(&mut self, sweep: i64) {
        self.0.entry(sweep).or_default().itself = true;
    }

    pub(super) fn trial(&mut self, sweep: i64, key: TrialKey, is_over: bool) {
        self.note(sweep, key, if is_over { TRIAL | OVER } else { TRIAL });
    }

    pub(super) fn epochs(&mut self, sweep: i64, key: TrialKey) {
        self.note(sweep, key, EPOCHS);
    }

    pub(super) fn counted(&mut self, sweep: i64, row: &CountedRow) {
        let counts = (row.trials, row.choices, row.extensions);
        self.0.entry(sweep).or_default().counted = Some(counts);
    }

    fn note(&mut self, sweep: i64, key: TrialKey, what: u8) {
        let trials = &mut self.0.entry(sweep).or_default().trials;
        // A trial's records mostly follow one another.
        match trials.last_mut() {
            Some((last, flags)) if *last == key => *flags |= what,
            _ => trials.push((key, what)),
        }
    }

    /// The rows of this commit, one a sweep.
    pub(super) fn rows(self) -> impl Iterator<Item = Result<ChangeRow, StoreError>> {
        self.0.into_iter().map(|(sweep, mut of)| {
            of.trials.sort_unstable();
            of.trials.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                if same {
                    kept.1 |= next.1;
                }
                same
            });
            let corrupt = |error: postcard::Error| StoreError::Corrupt(error.to_string());
            let counted = of.counted.map(|counted| postcard::to_allocvec(&counted));
            Ok(ChangeRow {
                sweep,
                itself: of.itself,
                trials: postcard::to_allocvec(&of.trials).map_err(corrupt)?,
                counted: counted.transpose().map_err(corrupt)?,
            })
        })
    }
}

/// A row read back.
pub(super) struct Commit {
    pub(super) seq: i64,
    pub(super) itself: bool,
    pub(super) trials: Vec<(TrialKey, u8)>,
}

impl Commit {
    /// Reads a row of [`rows::CHANGE`]; stores differ in how they hold whether the sweep itself changed.
    pub(super) fn read(
        checks: &Checks,
        sweep: i64,
        row: &impl Columns,
        itself: bool,
    ) -> Result<Self, StoreError> {
        let seq = row.integer(0)?;
        if !checks.holds("change", sweep, row, rows::CHANGE_SUM)? {
            let what = format!(
                "what commit {seq} changed of the sweep is damaged on disk, so that it cannot be followed; its results are \
                 whole"
            );
            return Err(StoreError::damaged(what));
        }
        let trials = postcard::from_bytes(row.bytes(2)?)
            .map_err(|error| StoreError::Corrupt(format!("a list of trials: {error}")))?;
        Ok(Self { seq, itself, trials })
    }

    /// How much of a page it fills.
    fn named(&self) -> usize {
        self.trials.len() + usize::from(self.itself)
    }

    /// The trials that changed in one of these ways.
    pub(super) fn which(&self, what: u8) -> impl Iterator<Item = TrialKey> {
        self.trials
            .iter()
            .filter(move |(_, flags)| flags & what != 0)
            .map(|(key, _)| *key)
    }
}

/// Commits that changed a sweep, oldest first.
#[derive(Default)]
pub(super) struct Commits {
    pub(super) commits: Vec<Commit>,
    named: usize,
}

impl Commits {
    /// Whether they name so many trials.
    pub(super) fn fill(&self, limit: usize) -> bool {
        self.named >= limit.max(1)
    }

    pub(super) fn push(&mut self, commit: Commit) {
        self.named += commit.named();
        self.commits.push(commit);
    }

    pub(super) fn ends_with(&self, seq: i64) -> bool {
        self.commits.last().is_some_and(|commit| commit.seq == seq)
    }

    /// The commit that they end in.
    pub(super) fn last(&self, since: Cursor) -> Cursor {
        self.commits.last().map_or(since, |commit| commit.seq as Cursor)
    }
}

/// What these flags mean.
pub(super) fn what(flags: u8) -> What {
    What {
        row: flags & TRIAL != 0,
        epochs: flags & EPOCHS != 0,
        over: flags & OVER != 0,
    }
}
