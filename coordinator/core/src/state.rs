//! The state, and how records change it. Loading every stored record into an empty state gives the same state again.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_types::{Curve, Fence, RequestId, SweepId, TrialId, TrialKey, WorkerId};

use crate::Millis;
use crate::aggregate::Counts;
use crate::record::{Control, Counters, EpochsRow, LeaseRow, Record, SweepRow, TrialRow, WorkerRow};
use crate::sweep::Sweep;
use crate::trial::TrialState;

/// How long things last and how often they may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long a lease lives without a heartbeat, in milliseconds.
    pub lease_term: Millis,
    /// Failures after which a trial is FAILED.
    pub failure_limit: u32,
    /// The pause after the first failure, in milliseconds; doubled with each further one.
    pub backoff_base: Millis,
    /// The longest such pause, in milliseconds.
    pub backoff_cap: Millis,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease_term: 15_000,
            failure_limit: 3,
            backoff_base: 10_000,
            backoff_cap: 360_000,
        }
    }
}

/// All that the coordinator knows, bar the curves of trials that are over.
#[derive(Debug, Clone, Default)]
pub struct State {
    settings: Settings,
    counters: Counters,
    sweeps: BTreeMap<SweepId, SweepState>,
    /// Sweeps with trials that wait or run.
    unfinished: BTreeSet<SweepId>,
    by_number: BTreeMap<u64, SweepId>,
    workers: BTreeMap<WorkerId, Worker>,
    leases: BTreeMap<Fence, Lease>,
    by_request: BTreeMap<(WorkerId, RequestId), Fence>,
    expiries: BTreeSet<(Millis, Fence)>,
    problems: Vec<String>,
}

/// A sweep with its touched trials.
#[derive(Debug, Clone)]
pub struct SweepState {
    row: SweepRow,
    sweep: Sweep,
    trials: BTreeMap<TrialKey, TrialRow>,
    /// The first trial, in order of work, behind all touched ones.
    untouched: Option<TrialKey>,
    /// Touched trials that are PENDING.
    ready: BTreeSet<TrialKey>,
    backoff: BTreeSet<(Millis, TrialKey)>,
    counts: Counts,
    /// The curves of leased and running trials so far.
    live: BTreeMap<TrialKey, Curve>,
    accepted_epochs: u64,
}

/// A worker, and when it was last heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// As it registered.
    pub row: WorkerRow,
    /// When it was last heard of by this process; none since it started.
    pub seen: Option<Millis>,
}

/// A lease, and when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// As it was given.
    pub row: LeaseRow,
    /// When it expires; none until its first term begins.
    pub expires: Option<Millis>,
}

impl State {
    /// A state without anything in it.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// How long things last.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Numbers that only grow.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// A sweep.
    pub fn sweep(&self, id: SweepId) -> Option<&SweepState> {
        self.sweeps.get(&id)
    }

    /// All sweeps, the newest first.
    pub fn newest_sweeps(&self) -> impl Iterator<Item = &SweepState> {
        self.by_number.values().rev().filter_map(|id| self.sweeps.get(id))
    }

    /// Sweeps with trials that wait or run.
    pub fn unfinished_sweeps(&self) -> impl Iterator<Item = &SweepState> {
        self.unfinished.iter().filter_map(|id| self.sweeps.get(id))
    }

    /// A worker.
    pub fn worker(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.get(&id)
    }

    /// All workers.
    pub fn workers(&self) -> impl Iterator<Item = &Worker> {
        self.workers.values()
    }

    /// A lease that is not over.
    pub fn lease(&self, fence: Fence) -> Option<&Lease> {
        self.leases.get(&fence)
    }

    /// All leases that are not over.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.leases.values()
    }

    /// The living lease that a request got.
    pub fn lease_of_request(&self, worker: WorkerId, request: RequestId) -> Option<&Lease> {
        self.by_request
            .get(&(worker, request))
            .and_then(|fence| self.leases.get(fence))
    }

    /// When something happens by itself next: a lease expires or a back-off ends.
    pub fn next_deadline(&self) -> Option<Millis> {
        let expiry = self.expiries.first().map(|(at, _)| *at);
        let backoff = self
            .unfinished_sweeps()
            .filter_map(|sweep| sweep.backoff.first())
            .map(|(at, _)| *at)
            .min();
        expiry.into_iter().chain(backoff).min()
    }

    /// Leases that have expired by now.
    pub(crate) fn expired(&self, now: Millis) -> impl Iterator<Item = &Lease> {
        self.expiries
            .range(..=(now, Fence(u64::MAX)))
            .filter_map(|(_, fence)| self.leases.get(fence))
    }

    /// What could not be understood while loading; a coordinator must not go on with any.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Begins a fresh term for every lease: what a coordinator does after loading, so that downtime expires nothing.
    pub fn fresh_terms(&mut self, now: Millis) {
        let expires = now + self.settings.lease_term;
        for fence in self.leases.keys().copied().collect::<Vec<_>>() {
            self.evolve(&Record::Renewed { fence, expires });
        }
    }

    /// Makes one record so. The only way in which the state changes.
    pub fn evolve(&mut self, record: &Record) {
        match record {
            Record::Counters(counters) => self.counters = *counters,
            Record::Sweep(row) => self.evolve_sweep(row),
            Record::Worker(row) => {
                let seen = self.workers.get(&row.id).and_then(|worker| worker.seen);
                self.workers.insert(
                    row.id,
                    Worker {
                        row: row.clone(),
                        seen,
                    },
                );
            }
            Record::Seen { worker, at } => {
                if let Some(worker) = self.workers.get_mut(worker) {
                    worker.seen = Some(*at);
                }
            }
            Record::Trial(row) => self.on_sweep(row.id.sweep, |sweep| sweep.evolve_trial(row)),
            Record::Attempt(_) => {}
            Record::Epochs(row) => self.on_sweep(row.trial.sweep, |sweep| sweep.evolve_epochs(row)),
            Record::EpochsDropped { trial, .. } => {
                self.on_sweep(trial.sweep, |sweep| sweep.drop_epochs(trial.key));
            }
            Record::Lease(row) => {
                self.by_request.insert((row.worker, row.request), row.fence);
                self.leases.insert(
                    row.fence,
                    Lease {
                        row: row.clone(),
                        expires: None,
                    },
                );
            }
            Record::LeaseClosed(fence) => {
                if let Some(lease) = self.leases.remove(fence) {
                    self.by_request.remove(&(lease.row.worker, lease.row.request));
                    if let Some(expires) = lease.expires {
                        self.expiries.remove(&(expires, *fence));
                    }
                }
            }
            Record::Renewed { fence, expires } => {
                if let Some(lease) = self.leases.get_mut(fence) {
                    if let Some(old) = lease.expires.replace(*expires) {
                        self.expiries.remove(&(old, *fence));
                    }
                    self.expiries.insert((*expires, *fence));
                }
            }
        }
    }

    fn on_sweep(&mut self, id: SweepId, change: impl FnOnce(&mut SweepState)) {
        match self.sweeps.get_mut(&id) {
            Some(sweep) => change(sweep),
            None => self
                .problems
                .push(format!("a record names sweep {id}, which is not there")),
        }
    }

    fn evolve_sweep(&mut self, row: &SweepRow) {
        if let Some(sweep) = self.sweeps.get_mut(&row.id) {
            sweep.row = row.clone();
        } else {
            match Sweep::from_normalised(&row.name, &row.normalised) {
                Ok(sweep) => {
                    self.sweeps.insert(row.id, SweepState::new(row.clone(), sweep));
                    self.by_number.insert(row.number, row.id);
                }
                Err(error) => self
                    .problems
                    .push(format!("sweep {} cannot be read: {error}", row.id)),
            }
        }
        if row.finished_at.is_some() {
            self.unfinished.remove(&row.id);
        } else {
            self.unfinished.insert(row.id);
        }
    }

    /// Panics unless everything derived agrees with what it is derived from. For tests.
    #[doc(hidden)]
    #[expect(clippy::panic, reason = "it exists to panic, in tests")]
    pub fn check_invariants(&self) {
        assert!(self.problems.is_empty(), "{:?}", self.problems);
        let mut seen = BTreeSet::new();
        for lease in self.leases.values() {
            assert!(
                lease.row.fence.0 <= self.counters.fence,
                "a fence beyond the counter"
            );
            assert_eq!(
                self.by_request.get(&(lease.row.worker, lease.row.request)),
                Some(&lease.row.fence),
                "a lease that its request does not find"
            );
            let sweep = &self.sweeps[&lease.row.sweep];
            let held = sweep.held_by(lease.row.fence, &lease.row).count();
            assert!(
                held > 0,
                "lease {} holds no trial and is not closed",
                lease.row.fence
            );
            seen.extend(
                sweep
                    .held_by(lease.row.fence, &lease.row)
                    .map(|key| (lease.row.sweep, key)),
            );
        }
        for (id, sweep) in &self.sweeps {
            sweep.check_invariants();
            for (key, trial) in &sweep.trials {
                if trial.state.holder().is_some() {
                    assert!(
                        seen.contains(&(*id, *key)),
                        "trial {key} runs under no living lease"
                    );
                }
            }
            assert_eq!(self.unfinished.contains(id), sweep.row.finished_at.is_none());
            assert_eq!(
                sweep.counts().open() == 0,
                sweep.row.finished_at.is_some(),
                "finished_at of {id}"
            );
        }
        if self.by_request.len() != self.leases.len() {
            panic!("requests point at leases that are over");
        }
    }

    /// Whether two states agree in all that a store keeps.
    pub fn same_durable(&self, other: &Self) -> bool {
        self.counters == other.counters
            && self.sweeps.len() == other.sweeps.len()
            && self
                .sweeps
                .iter()
                .zip(&other.sweeps)
                .all(|((a, x), (b, y))| a == b && x.same(y))
            && self.unfinished == other.unfinished
            && self
                .workers
                .values()
                .map(|w| &w.row)
                .eq(other.workers.values().map(|w| &w.row))
            && self
                .leases
                .values()
                .map(|l| &l.row)
                .eq(other.leases.values().map(|l| &l.row))
            && self.by_request == other.by_request
    }
}

impl SweepState {
    fn new(row: SweepRow, sweep: Sweep) -> Self {
        let untouched = first_trial(&sweep, 0);
        Self {
            row,
            sweep,
            trials: BTreeMap::new(),
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

    /// The trial to be leased after this one, among those no worker holds.
    pub(crate) fn next_trial_after(&self, key: TrialKey) -> Option<TrialKey> {
        let ready = self
            .ready
            .range((std::ops::Bound::Excluded(key), std::ops::Bound::Unbounded))
            .next()
            .copied();
        let untouched = match self.untouched {
            Some(first) if first > key => Some(first),
            Some(_) => next_in_order(&self.sweep, key),
            None => None,
        };
        ready.into_iter().chain(untouched).min()
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

    fn evolve_trial(&mut self, row: &TrialRow) {
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
        if self.untouched.is_some_and(|first| first <= key) {
            self.untouched = next_in_order(&self.sweep, key);
        }
    }

    fn evolve_epochs(&mut self, row: &EpochsRow) {
        if let Some(curve) = self.live.get_mut(&row.trial.key) {
            // A decision has checked it; a store that gives anything else would fail the comparison of states.
            let _fits = curve.push(&row.block);
        }
    }

    fn drop_epochs(&mut self, key: TrialKey) {
        if let Some(curve) = self.live.get_mut(&key) {
            *curve = Curve::new(std::mem::take(&mut curve.metrics));
        }
    }

    fn count(&mut self, state: &TrialState) -> &mut u64 {
        state.counter(&mut self.counts)
    }

    fn same(&self, other: &Self) -> bool {
        self.row == other.row
            && self.trials == other.trials
            && self.untouched == other.untouched
            && self.ready == other.ready
            && self.backoff == other.backoff
            && self.counts == other.counts
            && self.live == other.live
            && self.accepted_epochs == other.accepted_epochs
    }

    fn check_invariants(&self) {
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

/// The trial behind this one in order of work: the next point, or the first of the next repetition.
fn next_in_order(sweep: &Sweep, key: TrialKey) -> Option<TrialKey> {
    sweep
        .first_point(key.index + 1)
        .map(|index| TrialKey { index, ..key })
        .or_else(|| first_trial(sweep, key.repetition + 1))
}
