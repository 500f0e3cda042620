//! One sweep in the state: its touched trials, and what is derived from them.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_types::{Curve, Fence, TrialId, TrialKey};

use crate::Millis;
use crate::aggregate::Counts;
use crate::choice::RULES;
use crate::record::{
    ChoiceRow, Control, CountedRow, EpochsRow, ExtensionRow, LeaseRow, Outcome, SweepRow, TrialRow,
};
use crate::sweep::{ChoiceId, Chooses, Passage, Stage, Sweep};
use crate::trial::TrialState;

use super::accepted::Accepted;
use super::choices::Choices;
use super::line::Line;
use super::places::Places;

/// Places in line that are looked at to count those before a trial.
const MAX_LOOKS: u64 = 100_000;

/// A sweep with its touched trials.
#[derive(Debug, Clone)]
pub struct SweepState {
    pub(super) row: SweepRow,
    sweep: Sweep,
    line: Line,
    /// Touched trials without a result.
    trials: BTreeMap<TrialKey, TrialRow>,
    /// Touched trials with one.
    accepted: Accepted,
    choices: Choices,
    extensions: BTreeMap<u32, ExtensionRow>,
    /// Where the touched trials stand in order of work, and those whose values are still to be chosen.
    touched: Places,
    /// The first trial, in order of work, that is not touched.
    untouched: Option<TrialKey>,
    /// Touched trials that are PENDING.
    ready: BTreeSet<TrialKey>,
    /// Those of them whose values are still to be chosen, or that follow another trial, which are not in `ready`.
    held_back: BTreeSet<TrialKey>,
    pub(super) backoff: BTreeSet<(Millis, TrialKey)>,
    failed: BTreeSet<TrialKey>,
    /// Leased and running trials whose lease is suspected.
    suspect: BTreeSet<TrialKey>,
    counts: Counts,
    /// Trials whose values are still to be chosen.
    unresolved: u64,
    /// The curves of leased and running trials so far.
    live: BTreeMap<TrialKey, Curve>,
    live_epochs: u64,
}

impl SweepState {
    pub(super) fn new(row: SweepRow, sweep: Sweep) -> Self {
        let mut state = Self {
            row,
            line: Line::of(&sweep),
            sweep,
            trials: BTreeMap::new(),
            accepted: Accepted::default(),
            choices: Choices::default(),
            extensions: BTreeMap::new(),
            touched: Places::default(),
            untouched: None,
            ready: BTreeSet::new(),
            held_back: BTreeSet::new(),
            backoff: BTreeSet::new(),
            failed: BTreeSet::new(),
            suspect: BTreeSet::new(),
            counts: Counts::default(),
            unresolved: 0,
            live: BTreeMap::new(),
            live_epochs: 0,
        };
        state.choices = Choices::of(&state.sweep);
        for (stage, of) in (0..).zip(state.sweep.stages()) {
            if of.is_gated()
                && let Some((from, to)) = state.line.places(stage)
            {
                let free = of.free_repetitions();
                state
                    .touched
                    .insert_run(from + u64::from(free) * of.raw_points(), to);
                state.unresolved += of.points() * u64::from(of.repetitions() - free);
            }
        }
        state.untouched = state.untouched_from(0);
        state
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
    pub fn trial(&self, key: TrialKey) -> Option<TrialRow> {
        match self.trials.get(&key) {
            Some(row) => Some(row.clone()),
            None => self.accepted.fill(self.line.place(key)?, self.untouched_row(key)),
        }
    }

    /// A touched trial without a result.
    pub(crate) fn touched_trial(&self, key: TrialKey) -> Option<&TrialRow> {
        self.trials.get(&key)
    }

    /// Whether a trial waits or runs; none when it is not touched.
    pub(crate) fn is_open(&self, key: TrialKey) -> Option<bool> {
        match self.trials.get(&key) {
            Some(row) => Some(row.state.is_open()),
            None => self.accepted.contains(self.line.place(key)?).then_some(false),
        }
    }

    /// Whether a trial has a result: it succeeded or diverged.
    pub(super) fn has_result(&self, key: TrialKey) -> bool {
        let place = self.line.place(key);
        place.is_some_and(|place| self.accepted.contains(place))
    }

    /// Whether two trials of a repetition of a stage have a result or an epoch, whichever they are.
    pub(super) fn shows_two(&self, stage: u32, repetition: u32) -> bool {
        let first = TrialKey {
            stage,
            index: 0,
            repetition,
        };
        let (Some(from), Some(of)) = (self.line.place(first), self.sweep.stage(stage)) else {
            return false;
        };
        let live = self
            .live
            .iter()
            .filter(|(key, curve)| (key.stage, key.repetition) == (stage, repetition) && curve.epochs() > 0);
        let live = live.take(2).count();
        live + self.accepted.count_within(from..from + of.raw_points(), 2 - live) >= 2
    }

    /// How many trials are touched.
    pub fn touched(&self) -> u64 {
        self.trials.len() as u64 + self.accepted.len()
    }

    /// How many rows it has in a store.
    pub fn counted(&self) -> CountedRow {
        CountedRow {
            sweep: self.row.id,
            trials: self.touched(),
            choices: self.choices.len(),
            extensions: self.extensions.len() as u64,
        }
    }

    /// All touched trials, in no order that means anything.
    pub fn touched_trials(&self) -> impl Iterator<Item = TrialRow> {
        let accepted = self.accepted.places();
        let accepted = accepted.filter_map(|place| self.trial(self.line.key(place)?));
        self.trials.values().cloned().chain(accepted)
    }

    /// Touched trials without a result, in order of work.
    pub fn without_result(&self) -> impl Iterator<Item = &TrialRow> {
        self.trials.values()
    }

    /// Choices between its stages that were made, or taken back, in order.
    pub fn choices(&self) -> impl Iterator<Item = &ChoiceRow> {
        self.choices.rows()
    }

    /// The number of the rules by which its choices are made: that of those recorded, made or taken back; the newest where it has
    /// none yet.
    pub fn rules(&self) -> u32 {
        self.choices.rows().next().map_or(RULES, |row| row.rules)
    }

    /// What it got beyond its text, in order.
    pub fn extensions(&self) -> impl DoubleEndedIterator<Item = &ExtensionRow> {
        self.extensions.values()
    }

    /// Choices that can be made now, in order.
    pub fn due_choices(&self) -> impl Iterator<Item = ChoiceId> {
        let runs = self.row.control != Control::Stopped;
        self.choices.due(&self.sweep).filter(move |_| runs)
    }

    /// The first choice of the same kind behind one that can be made now: often it waited for that one.
    pub fn due_behind(&self, choice: ChoiceId) -> Option<ChoiceId> {
        let runs = self.row.control != Control::Stopped;
        self.choices.due_behind(&self.sweep, choice).filter(|_| runs)
    }

    pub(crate) fn is_due(&self, choice: ChoiceId) -> bool {
        self.row.control != Control::Stopped && self.choices.is_due(&self.sweep, choice)
    }

    /// Whether a point goes on because its [twin](Sweep::repeats) does; none when that is decided for the point itself.
    pub(crate) fn repeated(&self, choice: ChoiceId, rules: u32) -> Option<bool> {
        let first = self.sweep.repeats(choice, rules)?;
        let row = self.choices.before(choice).find(|row| row.choice == first)?;
        Some(matches!(&row.outcome, Outcome::Chosen(kept) if !kept.is_empty()))
    }

    /// The decisions that were made on the points that a point is compared with, in order; of twins under the rules with this
    /// number only the first, except under 0.
    pub(crate) fn made_before(&self, choice: ChoiceId, rules: u32) -> impl Iterator<Item = &ChoiceRow> {
        let rung = match self.sweep.chooses(choice) {
            Some(Chooses::Points(rung)) => Some(rung),
            _ => None,
        };
        let made = self.choices.before(choice);
        made.filter(move |row| {
            let (one, other) = (row.choice.cell, choice.cell);
            rung.is_some_and(|rung| rung.are_compared(one, other))
                && self.sweep.is_reached(row.choice)
                && self.sweep.repeats(row.choice, rules).is_none()
        })
    }

    /// The trials whose values a choice gives.
    pub(crate) fn waits_for(&self, choice: ChoiceId) -> Vec<TrialKey> {
        self.sweep.waits_for(choice)
    }

    /// The choices that a trial waits for, each with the trials that it is made from and that are not over yet.
    pub(crate) fn awaited(&self, key: TrialKey) -> Vec<(ChoiceId, u64)> {
        let Some(stage) = self.sweep.stage(key.stage) else {
            return Vec::new();
        };
        let rules = (0..).zip(stage.rules());
        let of_rules = rules.filter_map(|(rule, _)| {
            Some(ChoiceId {
                stage: key.stage,
                rule,
                cell: stage.cell(rule, key.index)?,
            })
        });
        let choices = of_rules.chain(self.sweep.decision_for(key));
        let awaited = |choice| {
            let own = self.choices.awaited(choice)?;
            // What is decided before it is waited for too.
            let before = self.sweep.predecessors(choice);
            let before = before.filter_map(|before| self.choices.awaited(before));
            Some((choice, own + before.sum::<u64>()))
        };
        choices.filter_map(awaited).collect()
    }

    /// How many trials of the sweep that could be leased stand before this one in line; about, where much is excluded from a
    /// large grid.
    pub(crate) fn before(&self, key: TrialKey) -> u64 {
        let place = self.place(key);
        let untouched = (0..).zip(self.sweep.stages()).map_while(|(number, stage)| {
            let (from, to) = self.line.places(number).filter(|(from, _)| *from < place)?;
            let to = to.min(place);
            let free = to - from - self.touched.count(from, to);
            if stage.has_twins() {
                return Some(self.free_to_lease(from, to, free));
            }
            // Places that are excluded are touched where values were once to be chosen, and nowhere else.
            Some(match !stage.is_gated() {
                true => free.saturating_sub(stage.excluded_before(to - from)),
                false => free,
            })
        });
        self.ready.range(..key).count() as u64 + untouched.sum::<u64>()
    }

    /// How many of these places are those of trials that could be leased and are not touched, as `free` are; about, where there
    /// are many.
    fn free_to_lease(&self, from: u64, to: u64, free: u64) -> u64 {
        if to - from > MAX_LOOKS {
            let stage = self.line.key(from).and_then(|key| self.sweep.stage(key.stage));
            return (free as f64 * stage.map_or(1.0, Stage::distinct_share)) as u64;
        }
        let keys = (from..to).filter(|place| !self.touched.contains(*place));
        let keys = keys.filter_map(|place| self.line.key(place));
        keys.filter(|key| self.has(*key) && !self.sweep.is_twin(*key))
            .count() as u64
    }

    pub(crate) fn is_resolved(&self, key: TrialKey) -> bool {
        self.sweep.passage(key) == Passage::Free
    }

    /// Whether a trial that waits may be leased: nothing is to be chosen for it, and no other is trained for it.
    fn may_be_leased(&self, key: TrialKey) -> bool {
        self.is_resolved(key) && !self.sweep.is_twin(key)
    }

    /// The key at a place in line; none behind the last.
    pub(crate) fn key_at(&self, place: u64) -> Option<TrialKey> {
        self.line.key(place)
    }

    /// The place in line behind the trials of a stage.
    pub(crate) fn end_of_stage(&self, stage: u32) -> Option<u64> {
        self.line.places(stage).map(|(_, end)| end)
    }

    /// Trials that have failed, in order of work.
    pub fn failed(&self) -> impl Iterator<Item = &TrialRow> {
        self.failed.iter().filter_map(|key| self.trials.get(key))
    }

    /// Whether a trial's lease is suspected.
    pub fn is_suspect(&self, key: TrialKey) -> bool {
        self.suspect.contains(&key)
    }

    /// Whether the sweep has this trial at all.
    pub fn has(&self, key: TrialKey) -> bool {
        self.sweep.has(key)
    }

    /// How many trials of the sweep are not touched.
    pub(crate) fn untouched(&self) -> u64 {
        self.sweep.trials().saturating_sub(self.touched())
    }

    /// How many trials are in which state, untouched ones included.
    pub fn counts(&self) -> Counts {
        let untouched = self.untouched();
        let mut counts = self.counts;
        for row in self.suspect.iter().filter_map(|key| self.trials.get(key)) {
            *row.state.counter(&mut counts) -= 1;
            counts.suspect += 1;
        }
        match self.row.control {
            Control::Stopped => counts.cancelled += untouched,
            Control::Active | Control::Paused => counts.pending += untouched,
        }
        counts
    }

    /// About how many trials could be leased now: those that wait, but for those whose values are still to be chosen and those
    /// that follow others.
    pub(crate) fn available(&self) -> u64 {
        let waiting = self.counts().pending.saturating_sub(self.unresolved);
        if !self.sweep.has_twins() {
            return waiting;
        }
        let stage = self.next_trial().and_then(|key| self.sweep.stage(key.stage));
        let share = stage.map_or(1.0, Stage::distinct_share);
        ((waiting as f64 * share).ceil() as u64).min(waiting)
    }

    /// Epochs durable in all trials.
    pub fn epochs(&self) -> u64 {
        self.accepted.epochs() + self.live_epochs
    }

    /// The curve so far of a leased or running trial.
    pub fn live(&self, key: TrialKey) -> Option<&Curve> {
        self.live.get(&key)
    }

    /// How many of its trials workers hold.
    pub fn held(&self) -> u64 {
        self.counts.leased + self.counts.running
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

    /// Where in order of work a trial of the sweep stands.
    pub(crate) fn place(&self, key: TrialKey) -> u64 {
        self.line.place(key).unwrap_or_else(|| self.line.end())
    }

    /// The first place from this one on where a trial waits, or no trial is because its point is excluded, and what
    /// key it has.
    pub(crate) fn waits_from(&self, place: u64) -> Option<(u64, TrialKey)> {
        let first = self.line.key(place)?;
        let free = self.touched.first_free(place);
        let untouched = self.line.key(free);
        let ready = match untouched {
            Some(untouched) => self.ready.range(first..untouched).next(),
            None => self.ready.range(first..).next(),
        };
        let key = ready.copied().or(untouched)?;
        Some((self.place(key), key))
    }

    /// Whether a trial that the sweep has waits to be leased.
    pub(crate) fn waits(&self, key: TrialKey) -> bool {
        self.ready.contains(&key) || (!self.touched.contains(self.place(key)) && !self.sweep.is_twin(key))
    }

    /// Touched trials that wait, in back-off or not.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = TrialKey> {
        self.ready
            .iter()
            .chain(&self.held_back)
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
        self.trial(key).unwrap_or_else(|| self.untouched_row(key))
    }

    fn untouched_row(&self, key: TrialKey) -> TrialRow {
        TrialRow {
            id: TrialId {
                sweep: self.row.id,
                key,
            },
            state: TrialState::Pending,
            attempts: 0,
            failures: 0,
            error: None,
            pack_limit: 0,
            accepted_at: None,
        }
    }

    /// Returns the fence of the lease that held it before.
    pub(super) fn evolve_trial(&mut self, row: &TrialRow) -> Option<Fence> {
        let key = row.id.key;
        let place = self.place(key);
        let over = !row.state.is_open();
        if !self.choices.is_empty() && self.is_open(key).unwrap_or(true) == over {
            self.choices.note(&self.sweep, key, over);
        }
        let (old, result) = match self.accepted.insert(place, row) {
            Some(result) => (self.trials.remove(&key), result),
            None => {
                // A result is lost in one way only: it is damaged on disk.
                let lost = row.state == TrialState::Failed;
                let result = lost.then(|| self.accepted.remove(place)).flatten();
                (self.trials.insert(key, row.clone()), result)
            }
        };
        if let Some(state) = &result {
            *self.count(state) -= 1;
        }
        if let Some(old) = &old {
            *self.count(&old.state) -= 1;
            match old.state {
                TrialState::Pending => {
                    self.ready.remove(&key);
                    self.held_back.remove(&key);
                }
                TrialState::Backoff { until } => _ = self.backoff.remove(&(until, key)),
                TrialState::Failed => _ = self.failed.remove(&key),
                _ => {}
            }
        }
        *self.count(&row.state) += 1;
        match row.state {
            TrialState::Pending if self.may_be_leased(key) => _ = self.ready.insert(key),
            TrialState::Pending => _ = self.held_back.insert(key),
            TrialState::Backoff { until } => _ = self.backoff.insert((until, key)),
            TrialState::Failed => _ = self.failed.insert(key),
            _ => {}
        }
        if row.state.holder().is_none() {
            if let Some(curve) = self.live.remove(&key) {
                self.live_epochs -= u64::from(curve.epochs());
            }
            self.suspect.remove(&key);
        } else if !self.live.contains_key(&key) {
            let metrics = self.sweep.metrics(key);
            self.live.insert(key, Curve::new(metrics));
        }
        if old.is_none() && result.is_none() {
            self.touch(place);
        }
        old.and_then(|old| old.state.holder()).map(|(fence, _)| fence)
    }

    fn touch(&mut self, place: u64) {
        self.touched.insert(place);
        if let Some(first) = self.untouched.map(|first| self.place(first))
            && self.touched.contains(first)
        {
            self.untouched = self.untouched_from(first);
        }
    }

    /// The first trial from a place on that is not touched, whose values are known and that follows no other.
    fn untouched_from(&self, place: u64) -> Option<TrialKey> {
        let mut first = self.first_from(self.touched.first_free(place))?;
        loop {
            let place = self.place(first);
            let next = match self.touched.first_free(place) {
                free if free > place => free,
                _ if self.sweep.is_twin(first) => self.touched.first_free(place + 1),
                _ => return Some(first),
            };
            first = self.first_from(next)?;
        }
    }

    /// Takes a choice in: the trials that waited for it can be leased, or are left out; or wait again, where it is taken back.
    pub(super) fn evolve_choice(&mut self, row: &ChoiceRow) {
        self.choices.insert(row);
        let choice = row.choice;
        let Some(after) = row.applied(&self.sweep) else {
            return;
        };
        let before = std::mem::replace(&mut self.sweep, after);
        for key in self.sweep.governed(choice) {
            match (before.passage(key), self.sweep.passage(key)) {
                (Passage::Waits, Passage::Free) => self.release(key),
                (Passage::Waits, Passage::LeftOut) => {
                    self.unresolved = self.unresolved.saturating_sub(1);
                    self.choices.note(&self.sweep, key, true);
                }
                (Passage::LeftOut, Passage::Waits) => {
                    self.unresolved += 1;
                    self.choices.note(&self.sweep, key, false);
                }
                _ => {}
            }
        }
        self.sort_waiting(choice);
        if let Some(Chooses::Repetitions(until)) = self.sweep.chooses(choice)
            && let Some(next) = self.sweep.next_decision(choice.stage, until.point(choice.cell).0)
            && next != choice
        {
            self.choices.add(next, self.open_sources(next));
        }
        self.untouched = self.untouched_from(0);
    }

    /// Which trials follow others may depend on what was chosen: sorts those that wait anew.
    fn sort_waiting(&mut self, choice: ChoiceId) {
        let stages = self.sweep.stages().iter().skip(choice.stage as usize);
        if !stages.into_iter().any(Stage::has_twins) {
            return;
        }
        let ready = std::mem::take(&mut self.ready).into_iter();
        let waiting = ready.chain(std::mem::take(&mut self.held_back));
        (self.ready, self.held_back) = waiting.partition(|key| self.may_be_leased(*key));
    }

    /// What a trial waited for is there.
    fn release(&mut self, key: TrialKey) {
        self.unresolved = self.unresolved.saturating_sub(1);
        match self.is_open(key) {
            None => self.touched.remove(self.place(key)),
            Some(_) => {
                if self.held_back.remove(&key) {
                    self.ready.insert(key);
                }
            }
        }
    }

    /// Takes an extension in: what is new waits, and all that is there moves to where it stands in the longer line.
    pub(super) fn evolve_extension(&mut self, row: &ExtensionRow) -> Result<(), String> {
        let extended = self.sweep.extended(&row.extension)?;
        self.extensions.insert(row.number, row.clone());
        let before = std::mem::replace(&mut self.sweep, extended);
        let line = std::mem::replace(&mut self.line, Line::of(&self.sweep));
        self.choices.extend(&before, &self.sweep);
        self.accepted.moved(|place| self.line.place(line.key(place)?));
        let new: Vec<ChoiceId> = self.sweep.all_choices().collect();
        for choice in new {
            if before.stage(choice.stage).is_none() {
                self.choices.add(choice, self.open_sources(choice));
            }
        }
        let touched = std::mem::take(&mut self.touched);
        for (number, stage) in (0..).zip(self.sweep.stages()) {
            let Some((start, end)) = self.line.places(number) else {
                continue;
            };
            let (from, to) = line.places(number).unwrap_or_default();
            for (first, last) in touched.runs(from, to) {
                self.touched
                    .insert_run(start + (first - from), start + (last - from));
            }
            if !stage.is_gated() {
                continue;
            }
            // As at the start: what is still to be chosen is touched, as far as places go.
            let old = before.stage(number).map_or(0, Stage::repetitions);
            let first = old.max(stage.free_repetitions());
            self.touched
                .insert_run(start + u64::from(first) * stage.raw_points(), end);
            for index in stage.indexes() {
                for repetition in first..stage.repetitions() {
                    let key = TrialKey {
                        stage: number,
                        index,
                        repetition,
                    };
                    match stage.passage(index, repetition) {
                        Passage::Waits => self.unresolved += 1,
                        Passage::Free => self.touched.remove(self.line.place(key).unwrap_or(end)),
                        Passage::LeftOut => {}
                    }
                }
            }
        }
        self.untouched = self.untouched_from(0);
        Ok(())
    }

    /// How many of the trials that a choice is made from are not over yet.
    fn open_sources(&self, choice: ChoiceId) -> u64 {
        let sources = self.sweep.sources(choice).into_iter();
        sources.filter(|key| self.is_open(*key) != Some(false)).count() as u64
    }

    /// Notes that a lease is suspected, or no longer.
    pub(super) fn suspect(&mut self, lease: &LeaseRow, suspect: bool) {
        let keys: Vec<TrialKey> = self.held_by(lease.fence, lease).collect();
        for key in keys {
            match suspect {
                true => _ = self.suspect.insert(key),
                false => _ = self.suspect.remove(&key),
            }
        }
    }

    pub(super) fn evolve_epochs(&mut self, row: &EpochsRow) {
        if let Some(curve) = self.live.get_mut(&row.trial.key)
            && curve.push(&row.block)
        {
            self.live_epochs += u64::from(row.block.epochs);
        }
    }

    pub(super) fn drop_epochs(&mut self, key: TrialKey) {
        if let Some(curve) = self.live.get_mut(&key) {
            self.live_epochs -= u64::from(curve.epochs());
            *curve = Curve::new(std::mem::take(&mut curve.metrics));
        }
    }

    /// The first trial from a place on.
    fn first_from(&self, place: u64) -> Option<TrialKey> {
        let mut from = self.line.key(place)?;
        loop {
            let stage = self.sweep.stage(from.stage)?;
            // Points that are left out are never free: whoever asks looks on behind them.
            if let Some(index) = stage.first_in_grid(from.index) {
                return Some(TrialKey { index, ..from });
            }
            // Points at the end of this repetition are excluded; a grid has one point at least.
            let next = TrialKey {
                index: stage.raw_points() - 1,
                ..from
            };
            from = self.line.key(self.place(next) + 1)?;
        }
    }

    fn count(&mut self, state: &TrialState) -> &mut u64 {
        state.counter(&mut self.counts)
    }

    pub(super) fn same(&self, other: &Self) -> bool {
        self.row == other.row
            && self.trials == other.trials
            && self.accepted == other.accepted
            && self.failed == other.failed
            && self.choices == other.choices
            && self.extensions == other.extensions
            && self.unresolved == other.unresolved
            && self.held_back == other.held_back
            && self.touched == other.touched
            && self.untouched == other.untouched
            && self.ready == other.ready
            && self.backoff == other.backoff
            && self.counts == other.counts
            && self.live == other.live
            && self.live_epochs == other.live_epochs
    }

    pub(super) fn check_invariants(&self) {
        let unchosen = Sweep::from_normalised(&self.row.name, &self.row.normalised);
        let mut fresh = Self::new(self.row.clone(), unchosen.unwrap_or_else(|_| self.sweep.clone()));
        for row in self.extensions() {
            assert_eq!(fresh.evolve_extension(row), Ok(()), "an extension taken in twice");
        }
        for row in self.choices() {
            fresh.evolve_choice(row);
        }
        for row in self.touched_trials() {
            fresh.evolve_trial(&row);
        }
        fresh.live.clone_from(&self.live);
        fresh.live_epochs = self.live.values().map(|curve| u64::from(curve.epochs())).sum();
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
