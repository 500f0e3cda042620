//! One sweep in the state: its touched trials, and what is derived from them.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_types::{Curve, Fence, TrialId, TrialKey};

use crate::Millis;
use crate::aggregate::Counts;
use crate::record::{Control, EpochsRow, LeaseRow, SweepRow, TrialRow};
use crate::sweep::Sweep;
use crate::trial::TrialState;

use super::places::Places;

/// A sweep with its touched trials.
#[derive(Debug, Clone)]
pub struct SweepState {
    pub(super) row: SweepRow,
    sweep: Sweep,
    pub(super) trials: BTreeMap<TrialKey, TrialRow>,
    /// Where the touched trials stand in order of work.
    touched: Places,
    /// The first trial, in order of work, that is not touched.
    untouched: Option<TrialKey>,
    /// Touched trials that are PENDING.
    ready: BTreeSet<TrialKey>,
    pub(super) backoff: BTreeSet<(Millis, TrialKey)>,
    counts: Counts,
    /// The curves of leased and running trials so far.
    live: BTreeMap<TrialKey, Curve>,
    accepted_epochs: u64,
}

impl SweepState {
    pub(super) fn new(row: SweepRow, sweep: Sweep) -> Self {
        let untouched = first_trial(&sweep, 0);
        Self {
            row,
            sweep,
            trials: BTreeMap::new(),
            touched: Places::default(),
            untouched,
            ready: BTreeSet::new(),
            backoff: BTreeSet::new(),
            counts: Counts::default(),
            live: BTreeMap::new(),
            accepted_epochs: 0,
        }
    }

    /// As it was submitted, and what people last asked of it.
    pub fn row(&self) -> &SweepRow {
        &self.row
    }

    /// The sweep itself.
    pub fn sweep(&self) -> &Sweep {
        &self.sweep
    }

    /// A touched trial.
    pub fn trial(&self, key: TrialKey) -> Option<&TrialRow> {
        self.trials.get(&key)
    }

    /// All touched trials, in order of work.
    pub fn trials(&self) -> impl ExactSizeIterator<Item = &TrialRow> {
        self.trials.values()
    }

    /// Whether the sweep has this trial at all.
    pub fn has(&self, key: TrialKey) -> bool {
        key.stage == 0 && key.repetition < self.sweep.repetitions() && self.sweep.point(key.index).is_some()
    }

    /// How many trials are in which state, untouched ones included.
    pub fn counts(&self) -> Counts {
        let untouched = self.sweep.trials() - self.trials.len() as u64;
        let mut counts = self.counts;
        match self.row.control {
            Control::Stopped => counts.cancelled += untouched,
            Control::Active | Control::Paused => counts.pending += untouched,
        }
        counts
    }

    /// Epochs durable in all trials.
    pub fn epochs(&self) -> u64 {
        self.accepted_epochs
            + self
                .live
                .values()
                .map(|curve| u64::from(curve.epochs()))
                .sum::<u64>()
    }

    /// The curve so far of a leased or running trial.
    pub fn live(&self, key: TrialKey) -> Option<&Curve> {
        self.live.get(&key)
    }

    /// How many of its trials workers hold.
    pub fn held(&self) -> u64 {
        self.counts.leased + self.counts.running + self.counts.suspect
    }

    /// The trial to be leased next: the least in order of work that waits.
    pub fn next_trial(&self) -> Option<TrialKey> {
        self.ready
            .first()
            .copied()
            .into_iter()
            .chain(self.untouched)
            .min()
    }

    /// Where in order of work a trial stands, counting the raw grid once for each repetition.
    pub(crate) fn place(&self, key: TrialKey) -> u64 {
        u64::from(key.repetition) * self.sweep.raw_points() + key.index
    }

    /// The first place from this one on where a trial waits, or no trial is because its point is excluded, and what
    /// key it has.
    pub(crate) fn waits_from(&self, place: u64) -> Option<(u64, TrialKey)> {
        let raw = self.sweep.raw_points();
        let key = |place: u64| TrialKey {
            stage: 0,
            repetition: (place / raw) as u32,
            index: place % raw,
        };
        let end = raw * u64::from(self.sweep.repetitions());
        if place >= end {
            return None;
        }
        let free = self.touched.first_free(place).min(end);
        let ready = self.ready.range(key(place)..key(free)).next();
        let place = ready.map_or(free, |key| self.place(*key));
        (place < end).then(|| (place, key(place)))
    }

    /// Whether a trial that the sweep has waits to be leased.
    pub(crate) fn waits(&self, key: TrialKey) -> bool {
        self.ready.contains(&key) || !self.touched.contains(self.place(key))
    }

    /// Touched trials that wait, in back-off or not.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = TrialKey> {
        self.ready
            .iter()
            .copied()
            .chain(self.backoff.iter().map(|(_, key)| *key))
    }

    /// Trials whose back-off is over by now.
    pub(crate) fn rested(&self, now: Millis) -> impl Iterator<Item = TrialKey> {
        self.backoff
            .iter()
            .take_while(move |(until, _)| *until <= now)
            .map(|(_, key)| *key)
    }

    /// The trials of a lease that it still holds.
    pub(crate) fn held_by<'a>(
        &'a self,
        fence: Fence,
        lease: &'a LeaseRow,
    ) -> impl Iterator<Item = TrialKey> + 'a {
        lease.trials.iter().map(|(key, _)| *key).filter(move |key| {
            self.trials
                .get(key)
                .and_then(|row| row.state.holder())
                .is_some_and(|(held, _)| held == fence)
        })
    }

    /// The row that a trial has, or would have if it were touched.
    pub fn row_of(&self, key: TrialKey) -> TrialRow {
        self.trials.get(&key).cloned().unwrap_or(TrialRow {
            id: TrialId {
                sweep: self.row.id,
                key,
            },
            state: TrialState::Pending,
            attempts: 0,
            failures: 0,
            error: None,
        })
    }

    pub(super) fn evolve_trial(&mut self, row: &TrialRow) {
        let key = row.id.key;
        if let Some(old) = self.trials.insert(key, row.clone()) {
            *self.count(&old.state) -= 1;
            match old.state {
                TrialState::Pending => _ = self.ready.remove(&key),
                TrialState::Backoff { until } => _ = self.backoff.remove(&(until, key)),
                TrialState::Succeeded { .. } | TrialState::Diverged { .. } => {
                    self.accepted_epochs -= u64::from(old.state.accepted_epochs());
                }
                _ => {}
            }
        }
        *self.count(&row.state) += 1;
        match row.state {
            TrialState::Pending => _ = self.ready.insert(key),
            TrialState::Backoff { until } => _ = self.backoff.insert((until, key)),
            _ => {}
        }
        self.accepted_epochs += u64::from(row.state.accepted_epochs());
        if row.state.holder().is_some() {
            let metrics = self.sweep.metrics(key.index);
            self.live.entry(key).or_insert_with(|| Curve::new(metrics));
        } else {
            self.live.remove(&key);
        }
        self.touched.insert(self.place(key));
        while let Some(first) = self.untouched
            && self.touched.contains(self.place(first))
        {
            self.untouched = self.first_from(self.touched.first_free(self.place(first)));
        }
    }

    pub(super) fn evolve_epochs(&mut self, row: &EpochsRow) {
        if let Some(curve) = self.live.get_mut(&row.trial.key) {
            // A decision has checked it; a store that gives anything else would fail the comparison of states.
            let _fits = curve.push(&row.block);
        }
    }

    pub(super) fn drop_epochs(&mut self, key: TrialKey) {
        if let Some(curve) = self.live.get_mut(&key) {
            *curve = Curve::new(std::mem::take(&mut curve.metrics));
        }
    }

    /// The first trial from a place on.
    fn first_from(&self, place: u64) -> Option<TrialKey> {
        let raw = self.sweep.raw_points();
        let repetition = u32::try_from(place / raw).ok()?;
        (repetition < self.sweep.repetitions()).then_some(())?;
        let rest = self.sweep.first_point(place % raw);
        rest.map(|index| TrialKey {
            stage: 0,
            repetition,
            index,
        })
        .or_else(|| first_trial(&self.sweep, repetition + 1))
    }

    fn count(&mut self, state: &TrialState) -> &mut u64 {
        state.counter(&mut self.counts)
    }

    pub(super) fn same(&self, other: &Self) -> bool {
        self.row == other.row
            && self.trials == other.trials
            && self.touched == other.touched
            && self.untouched == other.untouched
            && self.ready == other.ready
            && self.backoff == other.backoff
            && self.counts == other.counts
            && self.live == other.live
            && self.accepted_epochs == other.accepted_epochs
    }

    pub(super) fn check_invariants(&self) {
        let mut fresh = Self::new(self.row.clone(), self.sweep.clone());
        for row in self.trials.values() {
            fresh.evolve_trial(row);
        }
        fresh.live.clone_from(&self.live);
        assert!(
            self.same(&fresh),
            "derived data of sweep {} differs from its rows",
            self.row.id
        );
        for (key, trial) in &self.trials {
            assert_eq!(
                self.live.contains_key(key),
                trial.state.holder().is_some(),
                "live curve of {key}"
            );
        }
    }
}

fn first_trial(sweep: &Sweep, repetition: u32) -> Option<TrialKey> {
    (repetition < sweep.repetitions())
        .then(|| sweep.first_point(0))
        .flatten()
        .map(|index| TrialKey {
            stage: 0,
            repetition,
            index,
        })
}
