//! The state, and how records change it. Loading every stored record into an empty state gives the same state again.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_types::{Fence, RequestId, SweepId, WorkerId};

use crate::Millis;
use crate::record::{
    Counters, Damage, LeaseRow, QuickFailure, Record, RefusedSweep, RequestRow, SweepRow, TrialRow, WorkerRow,
};
use crate::sweep::Sweep;

use requests::Requests;

mod accepted;
mod choices;
mod held;
mod line;
mod places;
mod requests;
mod seen;
mod sweep;

pub use sweep::SweepState;

/// How long things last and how often they may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long a lease lives without being renewed, in milliseconds.
    pub lease_term: Millis,
    /// How long its trials are then SUSPECT, in milliseconds: its worker may still go on with them.
    pub grace: Millis,
    /// Failures after which a trial is FAILED.
    pub failure_limit: u32,
    /// The pause after the first failure, in milliseconds; doubled with each further one.
    pub backoff_base: Millis,
    /// The longest such pause, in milliseconds.
    pub backoff_cap: Millis,
    /// The version of the protocol that workers must have registered with to get leases.
    pub protocol: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease_term: 15_000,
            grace: 15_000,
            failure_limit: 3,
            backoff_base: 10_000,
            backoff_cap: 360_000,
            protocol: 0,
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
    requests: Requests,
    /// Sweeps of which trials may be open that follow one that is over, and the places in line from which on.
    to_follow: BTreeMap<SweepId, u64>,
    /// Damage that was found while loading and is still to be dealt with.
    damaged: Vec<Damage>,
    /// Sweeps that are not served.
    refused: BTreeMap<u64, RefusedSweep>,
}

/// A worker, and when it was last heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// As it registered.
    pub row: WorkerRow,
    /// When it was last heard of by this process; none since it started.
    pub seen: Option<Millis>,
    /// Its quick failures since something went well.
    pub failures: Vec<QuickFailure>,
    /// It gets no trials until then.
    pub quarantined: Option<Millis>,
}

impl Worker {
    /// Whether it gets no trials now, because its trainers failed again and again.
    pub fn is_quarantined(&self, now: Millis) -> bool {
        self.quarantined.is_some_and(|until| now < until)
    }
}

/// A lease, and when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// As it was given.
    pub row: LeaseRow,
    /// When it is suspected, or when it is over if it is suspected already; none until its first term begins.
    pub expires: Option<Millis>,
    /// It was not renewed in its term.
    pub suspect: bool,
    held: u64,
}

impl Lease {
    /// How many of its trials it still holds.
    pub fn held(&self) -> u64 {
        self.held
    }
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
    pub fn workers(&self) -> impl ExactSizeIterator<Item = &Worker> {
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

    /// When something happens by itself next: a lease expires, a back-off ends, or trials follow others.
    pub fn next_deadline(&self) -> Option<Millis> {
        let expiry = self.expiries.first().map(|(at, _)| *at);
        let backoff = self
            .unfinished_sweeps()
            .filter_map(|sweep| sweep.backoff.first())
            .map(|(at, _)| *at)
            .min();
        let at_once = (!self.to_follow.is_empty() || !self.damaged.is_empty()).then_some(0);
        expiry.into_iter().chain(backoff).chain(at_once).min()
    }

    /// Leases that have expired by now.
    pub(crate) fn expired(&self, now: Millis) -> impl Iterator<Item = &Lease> {
        self.expiries
            .range(..=(now, Fence(u64::MAX)))
            .filter_map(|(_, fence)| self.leases.get(fence))
    }

    /// A sweep of which trials may be open that follow one that is over, and the place in line from which on.
    pub(crate) fn to_follow(&self) -> Option<(SweepId, u64)> {
        self.to_follow.first_key_value().map(|(id, place)| (*id, *place))
    }

    /// The request of this id that was decided, with its answer, while that is kept.
    pub fn request(&self, id: &str) -> Option<&RequestRow> {
        self.requests.get(id)
    }

    /// Requests whose answers are kept, the oldest first.
    pub fn requests(&self) -> impl DoubleEndedIterator<Item = &RequestRow> {
        self.requests.rows()
    }

    /// Bytes that these answers count for.
    pub(crate) fn request_bytes(&self) -> usize {
        self.requests.bytes()
    }

    /// Damage that was found while loading and is still to be dealt with.
    pub(crate) fn damaged(&self) -> &[Damage] {
        &self.damaged
    }

    /// Sweeps that are not served because what is on disk of them is damaged.
    pub fn refused_sweeps(&self) -> impl Iterator<Item = &RefusedSweep> {
        self.refused.values()
    }

    /// A sweep that is not served, by its id.
    pub fn refused_sweep(&self, id: SweepId) -> Option<&RefusedSweep> {
        self.refused.values().find(|sweep| sweep.id == Some(id))
    }

    /// What could not be understood while loading; a coordinator must not go on with any.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Begins a fresh term for every lease: what a coordinator does after loading, so that downtime expires nothing. Trials
    /// that follow others, which a version before this one would have trained, are looked at in the next ticks.
    pub fn fresh_terms(&mut self, now: Millis) {
        let lost = held::without_lease(self);
        self.damaged.extend(lost);
        let touched = self.sweeps.iter().filter(|(_, sweep)| sweep.touched() > 0);
        let with_twins = touched.filter(|(_, sweep)| sweep.sweep().has_twins());
        self.to_follow = with_twins.map(|(id, _)| (*id, 0)).collect();
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
                let worker = self.workers.entry(row.id).or_insert_with(|| Worker {
                    row: row.clone(),
                    seen: None,
                    failures: Vec::new(),
                    quarantined: None,
                });
                worker.row = row.clone();
            }
            Record::WorkerGone(worker) => _ = self.workers.remove(worker),
            Record::Seen { worker, at } => {
                if let Some(worker) = self.workers.get_mut(worker) {
                    worker.seen = Some(*at);
                }
            }
            Record::Health {
                worker,
                failures,
                quarantined,
            } => {
                if let Some(worker) = self.workers.get_mut(worker) {
                    worker.failures.clone_from(failures);
                    worker.quarantined = *quarantined;
                }
            }
            Record::Extension(row) => {
                let mut wrong = Ok(());
                self.on_sweep(row.sweep, |sweep| wrong = sweep.evolve_extension(row));
                if let Err(why) = wrong {
                    let (number, sweep) = (row.number, row.sweep);
                    self.problems
                        .push(format!("extension {number} of sweep {sweep} is none: {why}"));
                }
            }
            Record::Choice(row) => self.on_sweep(row.sweep, |sweep| sweep.evolve_choice(row)),
            Record::Trial(row) => self.evolve_trial(row),
            // Of a curve that is accepted the state keeps what the trial's row says.
            Record::Attempt(_) | Record::EpochsCopied { .. } | Record::Counted(_) => {}
            Record::Damaged(damage) => self.damaged.push(damage.clone()),
            Record::Repaired => self.damaged.clear(),
            Record::Refused(row) => self.refuse(row),
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
                        suspect: false,
                        held: 0,
                    },
                );
            }
            Record::LeaseClosed(fence) => {
                if let Some(lease) = self.leases.remove(fence) {
                    self.by_request.remove(&(lease.row.worker, lease.row.request));
                    if let Some(expires) = lease.expires {
                        self.expiries.remove(&(expires, *fence));
                    }
                    if lease.suspect {
                        self.on_sweep(lease.row.sweep, |sweep| sweep.suspect(&lease.row, false));
                    }
                }
            }
            Record::Renewed { fence, expires } => self.evolve_term(*fence, *expires, false),
            Record::Suspected { fence, expires } => self.evolve_term(*fence, *expires, true),
            Record::Followed { sweep, place } => {
                match place.filter(|_| self.sweeps.contains_key(sweep)) {
                    Some(place) => self.to_follow.insert(*sweep, place),
                    None => self.to_follow.remove(sweep),
                };
            }
            Record::Request(row) => self.requests.insert(row.clone()),
            Record::RequestsForgotten { through } => self.requests.forget(*through),
            Record::SweepGone(id) => {
                self.refused.retain(|_, refused| refused.id != Some(*id));
                self.to_follow.remove(id);
                if let Some(sweep) = self.sweeps.remove(id) {
                    self.by_number.remove(&sweep.row.number);
                    self.unfinished.remove(id);
                }
            }
        }
    }

    /// Takes a sweep out of what is served, with its leases.
    fn refuse(&mut self, row: &RefusedSweep) {
        self.refused.insert(row.number, row.clone());
        let Some(id) = self.by_number.remove(&row.number) else {
            return;
        };
        self.sweeps.remove(&id);
        self.unfinished.remove(&id);
        self.to_follow.remove(&id);
        self.damaged.retain(|damage| damage.trial.sweep != id);
        let leases = self.leases.values().filter(|lease| lease.row.sweep == id);
        for fence in leases.map(|lease| lease.row.fence).collect::<Vec<_>>() {
            self.evolve(&Record::LeaseClosed(fence));
        }
    }

    fn evolve_term(&mut self, fence: Fence, expires: Millis, suspect: bool) {
        let Some(lease) = self.leases.get_mut(&fence) else {
            return;
        };
        if let Some(old) = lease.expires.replace(expires) {
            self.expiries.remove(&(old, fence));
        }
        self.expiries.insert((expires, fence));
        if std::mem::replace(&mut lease.suspect, suspect) != suspect
            && let Some(sweep) = self.sweeps.get_mut(&lease.row.sweep)
        {
            sweep.suspect(&lease.row, suspect);
        }
    }

    fn evolve_trial(&mut self, row: &TrialRow) {
        let Some(sweep) = self.sweeps.get_mut(&row.id.sweep) else {
            return self.on_sweep(row.id.sweep, |_| ());
        };
        let before = sweep.evolve_trial(row);
        let after = row.state.holder().map(|(fence, _)| fence);
        if before == after {
            return;
        }
        if let Some(lease) = before.and_then(|fence| self.leases.get_mut(&fence)) {
            lease.held -= 1;
        }
        if let Some(lease) = after.and_then(|fence| self.leases.get_mut(&fence)) {
            lease.held += 1;
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
        self.requests.check_invariants();
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
            assert_eq!(lease.held, held as u64, "trials of lease {}", lease.row.fence);
            seen.extend(
                sweep
                    .held_by(lease.row.fence, &lease.row)
                    .map(|key| (lease.row.sweep, key)),
            );
        }
        for (id, sweep) in &self.sweeps {
            sweep.check_invariants();
            for trial in sweep.without_result() {
                let key = trial.id.key;
                if trial.state.holder().is_some() {
                    assert!(
                        seen.contains(&(*id, key)),
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
            && self.requests().eq(other.requests())
    }
}
