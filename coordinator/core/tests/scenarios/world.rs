//! The world of a scenario: a state, the rows that a store would hold, a clock.

use std::collections::BTreeMap;

use tenfold_core::record::{
    AttemptRow, ChoiceRow, Counters, EpochsRow, ExtensionRow, LeaseRow, Provenance, Record, RequestRow, Slot,
    SweepRow, TrialRow, WorkerRow,
};
use tenfold_core::sweep::{ChoiceId, Sweep};
use tenfold_core::trial::TrialState;
use tenfold_core::{
    Acknowledgement, Answer, Effect, End, Grant, Input, Order, Refusal, Settings, Standing, State,
    TrialReport, Wider, decide,
};
use tenfold_types::{Block, DeviceKind, Fence, Outcome, RequestId, SweepId, TrialId, TrialKey, WorkerId};

/// Short and round, so that scenarios can be read.
pub(crate) const SETTINGS: Settings = Settings {
    lease_term: 100,
    grace: 0,
    failure_limit: 3,
    backoff_base: 10,
    backoff_cap: 15,
    protocol: 0,
};

/// What a store keeps, in the plainest form.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    counters: Counters,
    sweeps: BTreeMap<SweepId, SweepRow>,
    workers: BTreeMap<WorkerId, WorkerRow>,
    leases: BTreeMap<Fence, LeaseRow>,
    requests: BTreeMap<u64, RequestRow>,
    extensions: BTreeMap<(SweepId, u32), ExtensionRow>,
    choices: BTreeMap<(SweepId, ChoiceId), ChoiceRow>,
    trials: BTreeMap<TrialId, TrialRow>,
    attempts: BTreeMap<(TrialId, u32), AttemptRow>,
    epochs: BTreeMap<(TrialId, Fence), Vec<EpochsRow>>,
}

impl Rows {
    fn write(&mut self, record: &Record) {
        match record.clone() {
            Record::Counters(counters) => self.counters = counters,
            Record::Sweep(row) => _ = self.sweeps.insert(row.id, row),
            Record::Worker(row) => _ = self.workers.insert(row.id, row),
            Record::WorkerGone(worker) => _ = self.workers.remove(&worker),
            Record::Extension(row) => _ = self.extensions.insert((row.sweep, row.number), row),
            Record::Choice(row) => _ = self.choices.insert((row.sweep, row.choice), row),
            Record::Trial(row) => _ = self.trials.insert(row.id, row),
            Record::Attempt(row) => _ = self.attempts.insert((row.trial, row.number), row),
            Record::Epochs(row) => self.epochs.entry((row.trial, row.fence)).or_default().push(row),
            Record::EpochsDropped { trial, fence } => _ = self.epochs.remove(&(trial, fence)),
            Record::EpochsCopied {
                sweep,
                from,
                to,
                fence,
            } => {
                let rows = self.epochs[&(TrialId { sweep, key: from }, fence)].iter();
                let trial = TrialId { sweep, key: to };
                let copies = rows.map(|row| EpochsRow { trial, ..row.clone() }).collect();
                self.epochs.insert((trial, fence), copies);
            }
            Record::Lease(row) => _ = self.leases.insert(row.fence, row),
            Record::LeaseClosed(fence) => _ = self.leases.remove(&fence),
            Record::Request(row) => _ = self.requests.insert(row.number, row),
            Record::RequestsForgotten { through } => self.requests.retain(|number, _| *number > through),
            Record::SweepGone(sweep) => {
                self.sweeps.remove(&sweep);
                self.extensions.retain(|(of, _), _| *of != sweep);
                self.choices.retain(|(of, _), _| *of != sweep);
                self.trials.retain(|id, _| id.sweep != sweep);
                self.attempts.retain(|(id, _), _| id.sweep != sweep);
                self.epochs.retain(|(id, _), _| id.sweep != sweep);
            }
            Record::Renewed { .. }
            | Record::Suspected { .. }
            | Record::Seen { .. }
            | Record::Health { .. }
            | Record::Damaged(_)
            | Record::Repaired
            | Record::Refused(_)
            | Record::Followed { .. } => assert!(!record.is_durable()),
            // The turn's own.
            Record::Counted(_) => {}
        }
    }

    fn load(&self, settings: Settings) -> State {
        let mut state = State::new(settings);
        state.evolve(&Record::Counters(self.counters));
        for row in self.sweeps.values() {
            state.evolve(&Record::Sweep(row.clone()));
        }
        for row in self.extensions.values() {
            state.evolve(&Record::Extension(row.clone()));
        }
        for row in self.workers.values() {
            state.evolve(&Record::Worker(row.clone()));
        }
        for row in self.leases.values() {
            state.evolve(&Record::Lease(row.clone()));
        }
        for row in self.requests.values() {
            state.evolve(&Record::Request(row.clone()));
        }
        for row in self.choices.values() {
            state.evolve(&Record::Choice(row.clone()));
        }
        for row in self.trials.values() {
            state.evolve(&Record::Trial(row.clone()));
        }
        for rows in self.epochs.values() {
            for row in rows {
                if self.trials[&row.trial].state.holder().is_some() {
                    state.evolve(&Record::Epochs(row.clone()));
                }
            }
        }
        state
    }
}

pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) now: u64,
    pub(crate) rows: Rows,
    /// Times that those who wait for work were woken, and no scenario has claimed.
    woken: u32,
    /// The durable records of the last input.
    pub(crate) wrote: usize,
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(
                self.woken, 0,
                "work became available and the scenario did not expect it"
            );
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(SETTINGS)
    }

    pub(crate) fn with(settings: Settings) -> Self {
        Self {
            state: State::new(settings),
            now: 1_000,
            rows: Rows::default(),
            woken: 0,
            wrote: 0,
        }
    }

    fn apply(&mut self, input: Input) -> Option<Result<Answer, Refusal>> {
        let is_tick = matches!(input, Input::Tick);
        let transition = decide(&self.state, input, self.now);
        let mut answers = Vec::new();
        for effect in transition.effects {
            match effect {
                Effect::Answer(answer) => answers.push(answer),
                Effect::WorkAvailable => self.woken += 1,
            }
        }
        assert_eq!(
            answers.len(),
            usize::from(!is_tick),
            "an input has one answer, a tick has none"
        );
        if let Some(Err(refusal)) = answers.first() {
            assert!(
                transition.records.is_empty(),
                "refused and written all the same: {refusal}"
            );
        }
        self.wrote = transition
            .records
            .iter()
            .filter(|record| record.is_durable())
            .count();
        for record in &transition.records {
            if let Record::Trial(row) = record
                && let Some(old) = self.rows.trials.get(&row.id)
            {
                // A failure that turned out to be its worker's is taken back, wherever the trial stands now.
                let forgiven = old.state == row.state && row.failures < old.failures;
                // Memory has what the disk has lost: it is written again.
                let legal = forgiven || old == row || old.state.may_become(&row.state);
                assert!(
                    legal,
                    "{} moves from {:?} to {:?}",
                    row.id.key, old.state, row.state
                );
                assert!(old.attempts <= row.attempts, "{} loses attempts", row.id.key);
            }
            self.state.evolve(record);
            self.rows.write(record);
        }
        self.state.check_invariants();
        let loaded = self.rows.load(*self.state.settings());
        assert!(loaded.same_durable(&self.state), "the rows give another state");
        answers.pop()
    }

    /// Writes a row as another version would have.
    pub(crate) fn write(&mut self, record: &Record) {
        self.state.evolve(record);
        self.rows.write(record);
    }

    /// Has an input decided, as the turn does: what time has brought about comes first.
    pub(crate) fn ask(&mut self, input: Input) -> Result<Answer, Refusal> {
        self.tick();
        self.apply(input).unwrap()
    }

    pub(crate) fn tick(&mut self) {
        if self.state.next_deadline().is_some_and(|at| at <= self.now) {
            self.apply(Input::Tick);
            assert!(
                self.state.next_deadline().is_none_or(|at| at > self.now),
                "a tick leaves nothing that is due"
            );
        }
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.tick();
    }

    /// Makes a record so that no decision would: as another version may have left it.
    pub(crate) fn force(&mut self, record: &Record) {
        self.state.evolve(record);
        self.rows.write(record);
    }

    /// Has a trial be as if it had never been touched; holds from the next restart on.
    pub(crate) fn forget(&mut self, sweep: SweepId, key: TrialKey) {
        let trial = TrialId { sweep, key };
        self.rows.trials.remove(&trial);
        self.rows.epochs.retain(|(of, _), _| *of != trial);
    }

    /// Leases a trial that may not be leased now.
    pub(crate) fn force_lease(&mut self, sweep: SweepId, worker: WorkerId, key: TrialKey) -> Held {
        let fence = Fence(self.state.counters().fence + 1);
        let mut row = self.trial(sweep, key);
        row.state = TrialState::Leased { fence, worker };
        row.attempts += 1;
        let attempt = row.attempts;
        self.force(&Record::Counters(Counters {
            fence: fence.0,
            ..self.state.counters()
        }));
        self.force(&Record::Lease(LeaseRow {
            fence,
            worker,
            request: RequestId([fence.0 as u8 ^ 0x80; 16]),
            slot: 0,
            given_at: self.now,
            provenance: Provenance::default(),
            sweep,
            trials: vec![(key, attempt)],
        }));
        self.force(&Record::Trial(row));
        let expires = self.now + self.state.settings().lease_term;
        self.force(&Record::Renewed { fence, expires });
        let of = self.state.sweep(sweep).unwrap().sweep();
        let grant = Grant {
            fence,
            sweep,
            trials: vec![(key, attempt, of.spec(key).unwrap(), false)],
            sweep_trials: of.trials(),
        };
        Held { worker, grant }
    }

    /// Another process takes over what the store holds.
    pub(crate) fn restart(&mut self) {
        self.state = self.rows.load(*self.state.settings());
        self.state.fresh_terms(self.now);
        self.state.check_invariants();
    }

    /// Whether those who wait for work have been woken since this was last asked.
    pub(crate) fn woken(&mut self) -> bool {
        std::mem::take(&mut self.woken) > 0
    }

    pub(crate) fn try_submit(&mut self, text: &str) -> (SweepId, bool) {
        let sweep = Sweep::parse(text, "scenario.toml", &[], None).unwrap();
        match self.ask(Input::Submit(sweep)).unwrap() {
            Answer::Submitted { sweep, existing } => (sweep, existing),
            other => panic!("{other:?}"),
        }
    }

    /// A sweep of the smallest network with so many points, repetitions and epochs.
    pub(crate) fn sweep(&mut self, points: usize, repetitions: u32, epochs: u32) -> SweepId {
        self.sweep_with("seed = 1", points, repetitions, epochs)
    }

    pub(crate) fn sweep_with(&mut self, keys: &str, points: usize, repetitions: u32, epochs: u32) -> SweepId {
        let rates: Vec<String> = (1..=points).map(|point| format!("{point}e-3")).collect();
        let text = format!(
            "{keys}\nrepetitions = {repetitions}\nepochs = {epochs}\n[settings]\narchitecture = \"perceptron-5\"\n\
             [axes]\nlearning_rate = [{}]\n",
            rates.join(", ")
        );
        let (sweep, existing) = self.try_submit(&text);
        assert!(!existing && self.woken());
        sweep
    }

    /// A worker with this many CPU slots.
    pub(crate) fn worker(&mut self, number: u8, slots: usize) -> WorkerId {
        let slot = Slot {
            kind: DeviceKind::Cpu,
            device: "abacus".to_owned(),
            threads: 1,
        };
        self.register(number, vec![slot; slots])
    }

    pub(crate) fn register(&mut self, number: u8, slots: Vec<Slot>) -> WorkerId {
        let row = WorkerRow {
            id: WorkerId([number; 8]),
            host: format!("node-{number}"),
            process: number.into(),
            protocol: 0,
            version: "0.1.0".to_owned(),
            libtorch: "2.11.0".to_owned(),
            slots,
            draining: false,
        };
        let id = row.id;
        assert_eq!(self.ask(Input::Register(row)), Ok(Answer::Registered));
        id
    }

    pub(crate) fn acquire(&mut self, worker: WorkerId, request: u8) -> Result<Answer, Refusal> {
        self.ask(Input::Acquire {
            worker,
            request: RequestId([request; 16]),
            slot: 0,
            max_trials: 1,
            sizes: BTreeMap::new(),
        })
    }

    /// The lease that there must be.
    pub(crate) fn lease(&mut self, worker: WorkerId, request: u8) -> Held {
        match self.acquire(worker, request) {
            Ok(Answer::Leased(grant)) => Held { worker, grant },
            other => panic!("no lease but {other:?}"),
        }
    }

    pub(crate) fn is_idle(&mut self, worker: WorkerId, request: u8) -> bool {
        self.acquire(worker, request) == Ok(Answer::Idle)
    }

    fn report(
        &mut self,
        held: &Held,
        blocks: Vec<Block>,
        end: Option<End>,
    ) -> Result<Acknowledgement, Refusal> {
        let trials = vec![TrialReport {
            key: held.key(),
            attempt: held.attempt(),
            blocks,
            end,
        }];
        let answer = self.ask(Input::Append {
            worker: held.worker,
            sweep: held.grant.sweep,
            fence: held.grant.fence,
            trials,
        })?;
        match answer {
            Answer::Acknowledged(mut all) => match all.remove(0) {
                Acknowledgement {
                    standing: Standing::Refused(refusal),
                    ..
                } => Err(refusal),
                acknowledgement => Ok(acknowledgement),
            },
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn append(&mut self, held: &Held, blocks: Vec<Block>) -> Result<Acknowledgement, Refusal> {
        self.report(held, blocks, None)
    }

    /// Hands over epochs up to this one, which must go well.
    pub(crate) fn train(&mut self, held: &Held, epochs: std::ops::RangeInclusive<u32>) {
        let last = *epochs.end();
        let acknowledged = self.append(held, vec![held.block(epochs)]);
        assert_eq!(
            acknowledged,
            Ok(Acknowledgement {
                epochs: last,
                standing: Standing::Going
            })
        );
    }

    /// Tells the end of an attempt, after all its epochs.
    pub(crate) fn finish(&mut self, held: &Held, epochs: u32, outcome: Outcome) -> Result<Standing, Refusal> {
        let end = End {
            epochs,
            outcome,
            stderr: "its last words".to_owned(),
        };
        let acknowledgement = self.report(held, Vec::new(), Some(end))?;
        Ok(acknowledgement.standing)
    }

    /// Trains a trial to its end.
    pub(crate) fn complete(&mut self, held: &Held) {
        let epochs = held.grant.trials[0].2.epochs;
        self.train(held, 1..=epochs);
        assert_eq!(self.finish(held, epochs, Outcome::Succeeded), Ok(Standing::Ended));
    }

    /// The trainer crashes on the trial.
    pub(crate) fn fail(&mut self, held: &Held) {
        let error = "it burst".to_owned();
        assert_eq!(
            self.finish(held, 0, Outcome::Failed { error }),
            Ok(Standing::Ended)
        );
    }

    pub(crate) fn heartbeat(&mut self, worker: WorkerId, fences: Vec<Fence>) -> Vec<Fence> {
        match self.ask(Input::Heartbeat { worker, fences }) {
            Ok(Answer::Heard { stale, cancelled, .. }) => {
                for (fence, key) in cancelled {
                    let lease = &self.state.lease(fence).unwrap().row;
                    assert!(lease.trials.iter().any(|(held, _)| *held == key));
                    assert_eq!(
                        self.trial(lease.sweep, key).state,
                        TrialState::Cancelled,
                        "given back when its sweep was stopped, while others go on"
                    );
                }
                stale
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn order(&mut self, sweep: SweepId, order: Order) -> Result<Answer, Refusal> {
        self.ask(Input::Order { sweep, order })
    }

    /// An order that must be obeyed; the number of trials retried.
    pub(crate) fn obey(&mut self, sweep: SweepId, order: Order) -> u64 {
        match self.order(sweep, order) {
            Ok(Answer::Ordered { retried }) => retried,
            other => panic!("{order:?}: {other:?}"),
        }
    }

    /// More repetitions, of a stage or of all: how many choices stay as they are, or why not.
    pub(crate) fn extend(
        &mut self,
        sweep: SweepId,
        stage: Option<&str>,
        repetitions: u32,
    ) -> Result<u64, Refusal> {
        let wider = Wider::Repetitions {
            stage: stage.map(str::to_owned),
            repetitions,
        };
        match self.ask(Input::Extend { sweep, wider })? {
            Answer::Extended { kept } => Ok(kept),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn trial(&self, sweep: SweepId, key: TrialKey) -> TrialRow {
        self.state.sweep(sweep).unwrap().row_of(key)
    }

    pub(crate) fn trial_state(&self, held: &Held) -> TrialState {
        self.trial(held.grant.sweep, held.key()).state
    }

    /// Attempts that ended without a result.
    pub(crate) fn attempts(&self, sweep: SweepId, key: TrialKey) -> Vec<AttemptRow> {
        let trial = TrialId { sweep, key };
        self.rows
            .attempts
            .range((trial, 0)..=(trial, u32::MAX))
            .map(|(_, row)| row.clone())
            .collect()
    }

    /// Epochs stored of a trial, whatever the attempt, with their fences.
    pub(crate) fn stored(&self, sweep: SweepId, key: TrialKey) -> Vec<(Fence, u32)> {
        let trial = TrialId { sweep, key };
        let of_trial = self
            .rows
            .epochs
            .range((trial, Fence(0))..=(trial, Fence(u64::MAX)));
        of_trial
            .map(|((_, fence), rows)| (*fence, rows.iter().map(|row| row.block.epochs).sum()))
            .collect()
    }

    pub(crate) fn is_over(&self, sweep: SweepId) -> bool {
        self.state.sweep(sweep).unwrap().row().finished_at.is_some()
    }

    /// PENDING, held, in back-off, SUCCEEDED, DIVERGED, FAILED, CANCELLED.
    pub(crate) fn counts(&self, sweep: SweepId) -> [u64; 7] {
        let c = self.state.sweep(sweep).unwrap().counts();
        [
            c.pending,
            c.leased + c.running,
            c.backoff,
            c.succeeded,
            c.diverged,
            c.failed,
            c.cancelled,
        ]
    }
}

/// A lease, and who has it. All but [`Held::singly`] is about its first trial.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    pub(crate) worker: WorkerId,
    pub(crate) grant: Grant,
}

impl Held {
    /// Each trial of the lease as if it were the only one.
    pub(crate) fn singly(&self) -> Vec<Self> {
        let alone = |trial| Self {
            worker: self.worker,
            grant: Grant {
                trials: vec![trial],
                ..self.grant.clone()
            },
        };
        self.grant.trials.iter().cloned().map(alone).collect()
    }

    pub(crate) fn key(&self) -> TrialKey {
        self.grant.trials[0].0
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.grant.trials[0].1
    }

    pub(crate) fn fence(&self) -> Fence {
        self.grant.fence
    }

    /// Epochs of its trial, the same whoever trains it.
    pub(crate) fn block(&self, epochs: std::ops::RangeInclusive<u32>) -> Block {
        let key = self.key();
        let base = (key.index * 100 + u64::from(key.repetition) * 10) as f32;
        let column = |metric: u32| {
            epochs
                .clone()
                .map(move |epoch| base + (metric * 10_000 + epoch) as f32)
        };
        Block {
            first: *epochs.start(),
            epochs: epochs.end() + 1 - epochs.start(),
            columns: (0..4).flat_map(column).collect(),
            seconds: epochs.clone().map(|_| 0.5).collect(),
        }
    }
}
