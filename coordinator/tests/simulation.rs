//! The very turn of production, with fake workers and a network that drops, repeats and delays, a store that fails,
//! and restarts. One thread, a seeded clock: a seed that fails is printed and replays.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tenfold::store::{Cursor, MemoryStore, Reader, Store, StoreError};
use tenfold::turn::{Turn, TurnError};
use tenfold_core::record::{Record, Slot, WorkerRow};
use tenfold_core::sweep::Sweep;
use tenfold_core::{
    Answer, End, Grant, Input, Order, Refusal, Settings, Standing, State, SweepState, TrialReport,
};
use tenfold_types::{Block, DeviceKind, Fence, Outcome, RequestId, SweepId, TrialKey, WorkerId};

const SWEEP: &str = r#"
repetitions = 3
epochs = 4
[settings]
architecture = "perceptron-5"
[axes]
learning_rate = [0.1, 0.01, 0.001]
"#;
const EPOCHS: u32 = 4;
/// One trial of the sweep diverges in this epoch, whoever trains it.
const DIVERGES: (TrialKey, u32) = (
    TrialKey {
        stage: 0,
        repetition: 1,
        index: 2,
    },
    3,
);

/// The curve of a trial is a function of its key alone.
fn block(key: TrialKey, epoch: u32) -> Block {
    let value =
        |metric: u32| (key.index * 1000 + u64::from(key.repetition * 100 + epoch * 10 + metric)) as f32;
    Block {
        first: epoch,
        epochs: 1,
        columns: (0..4).map(value).collect(),
        seconds: vec![1.0],
    }
}

/// What goes wrong next with a store.
#[derive(Default)]
struct BadLuck {
    /// A commit is written, and its caller told that this is not known.
    unknown: bool,
    /// So many attempts to load fail.
    unreadable: u32,
}

/// A store that has bad luck.
struct Unlucky {
    store: MemoryStore,
    luck: Arc<Mutex<BadLuck>>,
}

impl Store for Unlucky {
    fn load(&mut self, visit: &mut dyn FnMut(Record)) -> Result<Cursor, StoreError> {
        let mut luck = self.luck.lock().unwrap();
        if luck.unreadable > 0 {
            luck.unreadable -= 1;
            return Err(StoreError::Unknown("the disk does not answer".to_owned()));
        }
        self.store.load(visit)
    }

    fn commit(&mut self, records: &[Record]) -> Result<Cursor, StoreError> {
        let cursor = self.store.commit(records)?;
        if std::mem::take(&mut self.luck.lock().unwrap().unknown) {
            return Err(StoreError::Unknown("the disk did not say".to_owned()));
        }
        Ok(cursor)
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        self.store.tidy()
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        self.store.reader()
    }
}

/// A pack, trained trial by trial.
struct Training {
    grant: Grant,
    /// The trial's place in it.
    place: usize,
    key: TrialKey,
    attempt: u32,
    trained: u32,
    acknowledged: u32,
}

/// To whom a fence was given out, and for which attempts.
type GivenOut = ((WorkerId, RequestId), BTreeMap<TrialKey, u32>);

struct FakeWorker {
    id: WorkerId,
    request: RequestId,
    training: Option<Training>,
}

fn settings() -> Settings {
    Settings {
        lease_term: 50,
        grace: 30,
        backoff_base: 20,
        failure_limit: 1000,
        ..Settings::default()
    }
}

struct World {
    random: StdRng,
    now: u64,
    store: MemoryStore,
    luck: Arc<Mutex<BadLuck>>,
    turn: Turn,
    workers: Vec<FakeWorker>,
    /// Messages under way: they may come late, twice, or out of order.
    mail: Vec<(usize, Input)>,
    fences: BTreeMap<Fence, GivenOut>,
    acknowledged: BTreeMap<(TrialKey, Fence), u32>,
    sweep: SweepId,
}

impl World {
    fn new(seed: u64) -> Self {
        let store = MemoryStore::default();
        let luck = Arc::new(Mutex::new(BadLuck::default()));
        let unlucky = Unlucky {
            store: store.clone(),
            luck: Arc::clone(&luck),
        };
        let turn = Turn::open(Box::new(unlucky), settings(), 0).unwrap();
        let mut random = StdRng::seed_from_u64(seed);
        let workers = (0..3).map(|_| FakeWorker {
            id: WorkerId(random.random()),
            request: RequestId(random.random()),
            training: None,
        });
        let workers = workers.collect();
        Self {
            random,
            now: 0,
            store,
            luck,
            turn,
            workers,
            mail: Vec::new(),
            fences: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            sweep: SweepId([0; 16]),
        }
    }

    fn decide(&mut self, input: Input) -> Result<Answer, TurnError> {
        let asked = match &input {
            Input::Acquire { worker, request, .. } => Some((*worker, *request)),
            _ => None,
        };
        let mut outcome = self.turn.step(vec![input], self.now);
        self.check();
        let answer = outcome.answers.remove(0);
        if let (Some(asked), Ok(Answer::Leased(grant))) = (asked, &answer) {
            self.granted(asked, grant);
        }
        answer
    }

    /// A fence is one lease of one request, whenever its answer comes; of two attempts the later has the higher one.
    fn granted(&mut self, asked: (WorkerId, RequestId), grant: &Grant) {
        let attempts: BTreeMap<TrialKey, u32> = grant
            .trials
            .iter()
            .map(|(key, attempt, _)| (*key, *attempt))
            .collect();
        for (fence, (_, others)) in &self.fences {
            for (key, attempt) in &attempts {
                let in_order = |number: &u32| (*fence < grant.fence) == (number < attempt);
                assert!(
                    *fence == grant.fence || others.get(key).is_none_or(in_order),
                    "fences of {key} do not grow"
                );
            }
        }
        // Those that were cancelled meanwhile are no part of the lease when it is said again.
        let lease = (asked, attempts);
        let known = self.fences.entry(grant.fence).or_insert_with(|| lease.clone());
        let again = known.0 == lease.0
            && lease
                .1
                .iter()
                .all(|(key, attempt)| known.1.get(key) == Some(attempt));
        assert!(again, "fence {} is given out twice", grant.fence);
    }

    fn state(&self) -> &State {
        self.turn.state().unwrap()
    }

    fn is_broken(&self) -> bool {
        self.turn.state().is_err()
    }

    /// After every step: the state's own invariants, and that the store would give the same state again.
    fn check(&mut self) {
        if self.is_broken() {
            return; // nobody can look at it either
        }
        self.state().check_invariants();
        let mut loaded = State::new(*self.state().settings());
        self.store.load(&mut |record| loaded.evolve(&record)).unwrap();
        assert!(
            loaded.same_durable(self.state()),
            "the store holds another state than the turn"
        );
        for sweep in self.state().newest_sweeps() {
            for trial in sweep.touched_trials() {
                // No acknowledged epoch of an attempt that still counts is ever lost.
                let key = trial.id.key;
                let holder = trial
                    .state
                    .holder()
                    .map(|(fence, _)| fence)
                    .or(trial.state.accepted());
                let have = sweep
                    .live(key)
                    .map_or_else(|| trial.state.accepted_epochs(), tenfold_types::Curve::epochs);
                if let Some(promised) = holder.and_then(|fence| self.acknowledged.get(&(key, fence))) {
                    assert!(
                        have >= *promised,
                        "{key}: {promised} epochs were acknowledged, {have} are there"
                    );
                }
            }
        }
    }

    fn has_all_results(&self) -> bool {
        let counts = self
            .turn
            .state()
            .ok()
            .and_then(|state| state.sweep(self.sweep))
            .map(SweepState::counts);
        counts.is_some_and(|counts| counts.succeeded + counts.diverged == counts.total())
    }

    fn restart(&mut self) {
        self.luck.lock().unwrap().unreadable = 0;
        let unlucky = Unlucky {
            store: self.store.clone(),
            luck: Arc::clone(&self.luck),
        };
        self.turn = Turn::open(Box::new(unlucky), settings(), self.now).unwrap();
        self.check();
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    /// What a worker wants to say next.
    fn next_message(&mut self, number: usize) -> Input {
        let worker = &self.workers[number];
        let id = worker.id;
        if self.turn.state().is_ok_and(|state| state.worker(id).is_none()) {
            let slots = vec![Slot {
                kind: DeviceKind::Cpu,
                device: "fake".to_owned(),
                threads: 1,
            }];
            let text = String::new;
            return Input::Register(WorkerRow {
                id,
                host: text(),
                process: 1,
                version: text(),
                libtorch: text(),
                slots,
                draining: false,
            });
        }
        let crash = self.random.random_range(0..40) == 0;
        let released = self.random.random_range(0..40) == 0;
        let heartbeat = self.random.random_range(0..4) == 0;
        let max_trials = self.random.random_range(1..=4);
        let together = self.random.random_range(1..=3);
        let with_epochs = self.random.random_range(0..2) == 0;
        let worker = &mut self.workers[number];
        let Some(training) = &mut worker.training else {
            return Input::Acquire {
                worker: id,
                request: worker.request,
                slot: 0,
                max_trials,
                sizes: BTreeMap::new(),
            };
        };
        let (fence, sweep, key, attempt) = (
            training.grant.fence,
            training.grant.sweep,
            training.key,
            training.attempt,
        );
        if heartbeat {
            return Input::Heartbeat {
                worker: id,
                fences: vec![fence],
            };
        }
        let last = if key == DIVERGES.0 { DIVERGES.1 - 1 } else { EPOCHS };
        let report = |blocks, end| Input::Append {
            worker: id,
            sweep,
            fence,
            trials: vec![TrialReport {
                key,
                attempt,
                blocks,
                end,
            }],
        };
        let end = |outcome, epochs| {
            let stderr = String::new();
            Some(End {
                epochs,
                outcome,
                stderr,
            })
        };
        if crash {
            let error = "crashed".to_owned();
            let outcome = match together {
                1 => Outcome::Failed { error },
                together => Outcome::Lost { error, together },
            };
            return report(Vec::new(), end(outcome, training.trained));
        }
        if released {
            return report(Vec::new(), end(Outcome::Released, training.trained));
        }
        if training.trained < last && training.trained <= training.acknowledged + 1 {
            training.trained += 1;
        }
        let blocks: Vec<Block> = (training.acknowledged + 1..=training.trained)
            .map(|epoch| block(key, epoch))
            .collect();
        let outcome = if key == DIVERGES.0 {
            Outcome::Diverged { epoch: DIVERGES.1 }
        } else {
            Outcome::Succeeded
        };
        // Its end may come with its last epochs, or behind them.
        let over = training.trained == last && (blocks.is_empty() || with_epochs);
        report(blocks, end(outcome, last).filter(|_| over))
    }

    fn hear(&mut self, number: usize, sent: &Input, answer: Result<Answer, TurnError>) {
        let mut random_request = RequestId([0; 16]);
        self.random.fill(&mut random_request.0);
        match (sent, answer) {
            (Input::Acquire { request, .. }, Ok(Answer::Leased(grant))) => {
                let worker = &mut self.workers[number];
                if worker.training.is_some() || *request != worker.request {
                    return;
                }
                let Some(&(key, attempt, _)) = grant.trials.first() else {
                    return;
                };
                worker.training = Some(Training {
                    grant,
                    place: 0,
                    key,
                    attempt,
                    trained: 0,
                    acknowledged: 0,
                });
            }
            (Input::Append { fence, trials, .. }, Ok(Answer::Acknowledged(acknowledgements))) => {
                let promised = self.acknowledged.entry((trials[0].key, *fence)).or_default();
                *promised = (*promised).max(acknowledgements[0].epochs);
                if let Some(training) = self.of_fence(number, *fence)
                    && training.key == trials[0].key
                {
                    training.acknowledged = training.acknowledged.max(acknowledgements[0].epochs);
                }
                match &acknowledgements[0].standing {
                    Standing::Going => {}
                    Standing::Ended | Standing::Cancelled => {
                        self.go_on(number, *fence, trials[0].key, random_request);
                    }
                    // An end may be delayed until after epochs that followed it, when its worker has changed its mind.
                    Standing::Refused(Refusal::IncompleteCurve { .. } | Refusal::Gap { .. }) => {}
                    Standing::Refused(refusal) => {
                        panic!("a worker that tells the truth is called a liar: {refusal}: {sent:?}")
                    }
                }
            }
            (Input::Append { fence, .. }, Err(TurnError::Refused(Refusal::StaleFence(_)))) => {
                self.let_go(number, *fence, random_request);
            }
            (Input::Heartbeat { .. }, Ok(Answer::Heard { stale, .. })) => {
                for fence in stale {
                    self.let_go(number, fence, random_request);
                }
            }
            (_, Err(TurnError::Refused(Refusal::Differs { .. } | Refusal::Malformed { .. }))) => {
                panic!("a worker that tells the truth is called a liar: {sent:?}")
            }
            _ => {}
        }
    }

    /// A trial of the pack is over: on to the next, or the lease is.
    fn go_on(&mut self, number: usize, fence: Fence, key: TrialKey, next: RequestId) {
        let Some(training) = self
            .of_fence(number, fence)
            .filter(|training| training.key == key)
        else {
            return;
        };
        training.place += 1;
        match training.grant.trials.get(training.place) {
            Some(&(key, attempt, _)) => {
                (training.key, training.attempt) = (key, attempt);
                (training.trained, training.acknowledged) = (0, 0);
            }
            None => self.let_go(number, fence, next),
        }
    }

    /// The lease is over for this worker: its next request is another.
    fn let_go(&mut self, number: usize, fence: Fence, next: RequestId) {
        if self.of_fence(number, fence).is_some() {
            self.workers[number].training = None;
            self.workers[number].request = next;
        }
    }

    fn of_fence(&mut self, number: usize, fence: Fence) -> Option<&mut Training> {
        self.workers[number]
            .training
            .as_mut()
            .filter(|training| training.grant.fence == fence)
    }

    fn step(&mut self, trouble: bool) {
        self.now += self.random.random_range(0..10);
        if trouble {
            if self.chance(3) {
                self.store
                    .fail_next(StoreError::Unknown("the disk is having a bad day".to_owned()));
            }
            if self.chance(3) {
                self.luck.lock().unwrap().unknown = true;
            }
            if self.chance(1) {
                self.luck.lock().unwrap().unreadable = self.random.random_range(0..3);
            }
            if self.chance(2) {
                self.restart();
            }
            if self.chance(1) {
                let orders = [Order::Pause, Order::Stop, Order::Cancel];
                let order = orders[self.random.random_range(0..orders.len())];
                _ = self.decide(Input::Order {
                    sweep: self.sweep,
                    order,
                });
            }
            if self.chance(5) {
                let (sweep, order) = (self.sweep, Order::Resume);
                _ = self.decide(Input::Order { sweep, order });
            }
            if self.chance(2) {
                // The machine sleeps: leases expire.
                self.now += 200;
            }
            if self.chance(1) {
                // A worker loses its mind: another begins in its place.
                let number = self.random.random_range(0..self.workers.len());
                let (id, request) = (WorkerId(self.random.random()), RequestId(self.random.random()));
                self.workers[number] = FakeWorker {
                    id,
                    request,
                    training: None,
                };
            }
        }
        let number = self.random.random_range(0..self.workers.len());
        let message = self.next_message(number);
        self.mail.push((number, message));
        while !self.mail.is_empty() && (self.mail.len() > 6 || self.chance(60)) {
            let at = if trouble {
                self.random.random_range(0..self.mail.len())
            } else {
                0
            };
            let (number, message) = self.mail.remove(at);
            if trouble && self.chance(10) {
                continue; // lost on the way there
            }
            if trouble && self.chance(10) {
                self.mail.push((number, message.clone())); // comes again, later
            }
            let answer = self.decide(message.clone());
            if trouble && self.chance(10) {
                continue; // lost on the way back
            }
            self.hear(number, &message, answer);
        }
    }
}

fn simulate(seed: u64, trouble: bool) -> BTreeMap<TrialKey, Vec<Block>> {
    let mut world = World::new(seed);
    let sweep = Sweep::parse(SWEEP, "sweep.toml", &[], None).unwrap();
    let id = sweep.id();
    world.sweep = id;
    world.decide(Input::Submit(sweep.clone())).unwrap();
    assert_eq!(
        world.decide(Input::Submit(sweep)).unwrap(),
        Answer::Submitted {
            sweep: id,
            existing: true
        },
        "the same text finds the same sweep"
    );
    let mut steps = 0;
    while !world.has_all_results() {
        steps += 1;
        assert!(steps < 20_000, "the sweep does not end");
        world.step(trouble);
    }
    let state = world.state().sweep(id).unwrap();
    let counts = state.counts();
    assert_eq!((counts.succeeded, counts.diverged, counts.total()), (8, 1, 9));
    let mut reader = world.store.reader().unwrap();
    let mut curves = BTreeMap::new();
    for index in 0..3 {
        for trial in reader.point(id, 0, index).unwrap() {
            let mut whole = trial.blocks[0].clone();
            trial.blocks[1..]
                .iter()
                .for_each(|block| assert!(whole.join(block)));
            curves.insert(trial.row.id.key, vec![whole]);
        }
    }
    curves
}

#[test]
fn while_the_store_cannot_be_read_nothing_is_shown_and_nothing_decided() {
    let mut world = World::new(1);
    let register = world.next_message(0);
    world
        .store
        .fail_next(StoreError::Unknown("the disk did not say".to_owned()));
    world.luck.lock().unwrap().unreadable = 2;
    assert!(matches!(world.decide(register.clone()), Err(TurnError::Store(_))));
    assert!(world.is_broken(), "the state has a worker that is nowhere else");
    assert_eq!(
        world.turn.next_deadline(),
        Some(1_000),
        "it is tried again, but not without pause"
    );
    assert!(matches!(world.decide(register.clone()), Err(TurnError::Store(_))));
    world.now = 1_000;
    assert!(world.turn.step(Vec::new(), world.now).answers.is_empty());
    assert!(world.is_broken());
    world.now = 2_000;
    assert!(world.turn.step(Vec::new(), world.now).answers.is_empty());
    assert_eq!(world.state().workers().count(), 0);
    assert_eq!(world.decide(register).unwrap(), Answer::Registered);
    assert_eq!(world.turn.next_deadline(), None);
}

#[test]
fn a_store_that_stays_full_is_not_hammered_and_can_still_be_looked_at() {
    let mut world = World::new(1);
    let sweep = Sweep::parse(SWEEP, "sweep.toml", &[], None).unwrap();
    world.decide(Input::Submit(sweep)).unwrap();
    for _ in 0..2 {
        let message = world.next_message(0);
        world.decide(message).unwrap();
    }
    let leases = |world: &World| world.state().leases().count();
    world.now = 50;
    for _ in 0..3 {
        assert!(
            world.turn.next_deadline().is_some_and(|at| at <= world.now),
            "a lease is to be suspected"
        );
        world.turn.step(Vec::new(), world.now);
        world.now += settings().grace;
        world.store.fail_next(StoreError::Full("not a byte".to_owned()));
        world.turn.step(Vec::new(), world.now);
        assert_eq!(
            leases(&world),
            1,
            "it has not expired, as that could not be written"
        );
        assert_eq!(world.turn.next_deadline(), Some(world.now + 1_000));
        world.now += 1_000;
    }
    // It was given a fresh term when the state was loaded again.
    world.turn.step(Vec::new(), world.now);
    world.now += settings().grace;
    world.turn.step(Vec::new(), world.now);
    assert_eq!(leases(&world), 0);
}

proptest! {
    #![proptest_config(Config { cases: 24, failure_persistence: None, ..Config::default() })]

    #[test]
    fn trouble_changes_nothing_that_is_exported(seed in any::<u64>()) {
        let undisturbed = simulate(0, false);
        prop_assert_eq!(undisturbed.len(), 9);
        let disturbed = simulate(seed, true);
        if disturbed != undisturbed {
            return Err(TestCaseError::fail("the curves differ"));
        }
    }
}
