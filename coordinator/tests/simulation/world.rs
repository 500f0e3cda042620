//! A coordinator's turn, its workers, what lies between them, and what must hold after every step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tenfold::choose;
use tenfold::store::Store;
use tenfold::turn::{self, Prepared, Reply, Turn, TurnError};
use tenfold_core::record::RequestKey;
use tenfold_core::{Answer, Grant, Input, Order, Settings, State, SweepState, Wider};
use tenfold_types::{Curve, Fence, RequestId, SweepId, TrialId, TrialKey, WorkerId};

use crate::landscape::Landscape;
use crate::network::Link;
use crate::store::Unlucky;
use crate::sweeps::{LAST, REPEATED};
use crate::worker::FakeWorker;

/// To whom a fence was given out, and for which attempts.
type GivenOut = ((WorkerId, RequestId), BTreeMap<TrialKey, u32>);

/// How often in a hundred steps something goes wrong.
const LOST: u32 = 10;
const TWICE: u32 = 10;

pub(crate) fn settings() -> Settings {
    Settings {
        lease_term: 50,
        grace: 30,
        backoff_base: 20,
        failure_limit: 1000,
        ..Settings::default()
    }
}

pub(crate) struct World {
    pub(crate) random: StdRng,
    pub(crate) now: u64,
    pub(crate) store: Unlucky,
    pub(crate) turn: Turn,
    pub(crate) workers: Vec<(FakeWorker, Link)>,
    pub(crate) sweep: SweepId,
    pub(crate) landscape: Landscape,
    /// What was to be chosen, to be told once more.
    late: Vec<Input>,
    /// What people have asked, under which ids; any of it may come again.
    orders: Vec<(String, Input)>,
    /// What was answered to them, whether or not that arrived.
    replies: BTreeMap<String, Reply>,
    /// Messages under way: they may come late, twice, or out of order.
    mail: Vec<(usize, Input)>,
    /// Until when there is no room on the disk.
    full: u64,
    /// Until when the disk is slow.
    slow: u64,
    /// What was last loaded, and how many commits were on the disk.
    loaded: Option<(u64, State)>,
    fences: BTreeMap<Fence, GivenOut>,
    acknowledged: BTreeMap<(TrialKey, Fence), u32>,
    accepted: BTreeMap<TrialId, Fence>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let store = Unlucky::default();
        let mut random = StdRng::seed_from_u64(seed);
        let landscape = Landscape(seed);
        let workers = (0..random.random_range(1..=6))
            .map(|_| (FakeWorker::new(&mut random, landscape), Link::default()))
            .collect();
        Self {
            random,
            landscape,
            late: Vec::new(),
            now: 0,
            turn: Turn::open(Box::new(store.clone()), settings(), 0).unwrap(),
            store,
            workers,
            sweep: SweepId([0; 16]),
            orders: Vec::new(),
            replies: BTreeMap::new(),
            mail: Vec::new(),
            full: 0,
            slow: 0,
            loaded: None,
            fences: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            accepted: BTreeMap::new(),
        }
    }

    pub(crate) fn decide(&mut self, input: Input) -> Result<Answer, TurnError> {
        let asked = match &input {
            Input::Acquire { worker, request, .. } => Some((*worker, *request)),
            _ => None,
        };
        let told = match &input {
            Input::Append { fence, trials, .. } => Some((trials[0].key, *fence)),
            _ => None,
        };
        let mut outcome = self.turn.step(vec![input], self.now);
        if self.now < self.slow {
            self.now += self.random.random_range(0..40);
        }
        let answer = outcome.answers.remove(0);
        if let (Some(asked), Ok(Answer::Leased(grant))) = (asked, &answer) {
            self.granted(asked, grant);
        }
        // What has left is promised, whether or not it arrives.
        if let (Some(told), Ok(Answer::Acknowledged(acknowledgements))) = (told, &answer) {
            let promised = self.acknowledged.entry(told).or_default();
            *promised = (*promised).max(acknowledgements[0].epochs);
        }
        self.check();
        answer
    }

    /// A person's order, under a new id.
    pub(crate) fn order(&mut self, input: Input) {
        let id = format!("order-{}", self.orders.len());
        self.orders.push((id, input));
        self.send(self.orders.len() - 1);
    }

    /// Sends an order, which may have been decided before: then it gets its answer and changes nothing.
    fn send(&mut self, number: usize) {
        let (id, input) = self.orders[number].clone();
        let known = self.replies.get(&id).cloned();
        let sweep = self.sweep;
        let looked_at = Arc::new(AtomicBool::new(false));
        let looking = Arc::clone(&looked_at);
        let order = turn::Order {
            key: Some(RequestKey {
                id: id.clone(),
                method: "Order".to_owned(),
                digest: [number as u8; 32],
            }),
            prepare: Box::new(move |_| {
                looking.store(true, Ordering::Relaxed);
                // Made of the state as it is then: made anew, it would be another.
                let reply = move |state: &State, answers: Vec<Answer>| {
                    let counts = state.sweep(sweep).map(SweepState::counts);
                    Reply::new(0, format!("{answers:?} {counts:?}").into_bytes())
                };
                Ok(Prepared {
                    inputs: vec![input],
                    reply: Box::new(reply),
                })
            }),
            refused: |refusal| Reply::new(1, refusal.to_string().into_bytes()),
        };
        let written = self.store.luck().written;
        let mut outcome = self.turn.step_with(Vec::new(), vec![order], self.now);
        if let Ok(reply) = outcome.replies.remove(0) {
            if let Some(known) = known {
                assert_eq!((reply.code, &reply.bytes), (known.code, &known.bytes), "{id}");
                assert!(reply.repeated && !looked_at.load(Ordering::Relaxed), "{id}");
            } else {
                let is_written = self.store.luck().written > written;
                assert!(
                    reply.repeated || is_written,
                    "{id}: an answer left that is not kept"
                );
                self.replies.insert(id, reply);
            }
        }
        self.check();
    }

    /// A fence is one lease of one request, whenever its answer comes; of two attempts the later has the higher one.
    fn granted(&mut self, asked: (WorkerId, RequestId), grant: &Grant) {
        let attempts: BTreeMap<TrialKey, u32> = grant
            .trials
            .iter()
            .map(|(key, attempt, ..)| (*key, *attempt))
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
        let sweep = self.state().sweep(self.sweep);
        if let Some(sweep) = sweep.filter(|_| !self.fences.contains_key(&grant.fence)) {
            let mut keys = lease.1.keys();
            assert!(
                keys.all(|key| !sweep.sweep().is_twin(*key)),
                "trained for another"
            );
        }
        let known = self.fences.entry(grant.fence).or_insert_with(|| lease.clone());
        let again = known.0 == lease.0
            && lease
                .1
                .iter()
                .all(|(key, attempt)| known.1.get(key) == Some(attempt));
        assert!(again, "fence {} is given out twice", grant.fence);
    }

    pub(crate) fn state(&self) -> &State {
        self.turn.state().unwrap()
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.turn.state().is_err()
    }

    /// After every step: the state's own invariants, that the store would give the same state again, that no acknowledged
    /// epoch is lost, that what is accepted stays so, and that what is left out was never begun.
    fn check(&mut self) {
        let Ok(state) = self.turn.state() else {
            return; // nobody can look at it either
        };
        state.check_invariants();
        let written = self.store.luck().written;
        let before = self.loaded.take().filter(|(commits, _)| *commits == written);
        let (_, loaded) = self.loaded.insert(before.unwrap_or_else(|| {
            let mut loaded = State::new(*state.settings());
            let mut disk = self.store.disk();
            disk.load(&mut |record| loaded.evolve(&record)).unwrap();
            (written, loaded)
        }));
        assert!(
            loaded.same_durable(state),
            "the store holds another state than the turn"
        );
        for sweep in state.newest_sweeps() {
            for trial in sweep.touched_trials() {
                let key = trial.id.key;
                assert!(sweep.has(key), "{key} is left out, and has a row");
                let accepted = trial.state.accepted();
                if let Some(fence) = accepted {
                    let first = *self.accepted.entry(trial.id).or_insert(fence);
                    assert_eq!(first, fence, "{key}: a second attempt is accepted");
                } else {
                    let before = self.accepted.get(&trial.id);
                    assert_eq!(before, None, "{key}: what was accepted no longer is");
                }
                let holder = trial.state.holder().map(|(fence, _)| fence).or(accepted);
                let have = sweep
                    .live(key)
                    .map_or_else(|| trial.state.accepted_epochs(), Curve::epochs);
                if let Some(promised) = holder.and_then(|fence| self.acknowledged.get(&(key, fence))) {
                    assert!(
                        have >= *promised,
                        "{key}: {promised} epochs were acknowledged, {have} are there"
                    );
                }
            }
        }
    }

    /// Every trial is over; only those fail for which nothing could be chosen.
    pub(crate) fn has_all_results(&self) -> bool {
        let counts = self
            .turn
            .state()
            .ok()
            .and_then(|state| state.sweep(self.sweep))
            .map(SweepState::counts);
        counts.is_some_and(|counts| counts.open() + counts.cancelled == 0)
    }

    /// The coordinator crashes, and is started again.
    fn restart(&mut self) {
        self.store.luck().unreadable = 0;
        self.turn = Turn::open(Box::new(self.store.clone()), settings(), self.now).unwrap();
        self.check();
    }

    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.random.random_ratio(percent, 100)
    }

    /// Something may go wrong.
    fn trouble(&mut self) {
        let (unwritten, unknown) = (self.chance(3), self.chance(3));
        let unreadable = if self.chance(1) {
            self.random.random_range(0..3)
        } else {
            0
        };
        let mut luck = self.store.luck();
        luck.unwritten |= unwritten;
        luck.unknown |= unknown;
        luck.unreadable = luck.unreadable.max(unreadable);
        drop(luck);
        if self.chance(1) {
            self.full = self.now + self.random.random_range(10..300);
        }
        if self.chance(1) {
            self.slow = self.now + self.random.random_range(10..300);
        }
        if self.chance(2) {
            self.restart();
        }
        if self.chance(1) {
            let orders = [Order::Pause, Order::Stop, Order::Cancel];
            let (sweep, order) = (self.sweep, orders[self.random.random_range(0..orders.len())]);
            self.order(Input::Order { sweep, order });
        }
        if self.chance(5) {
            let (sweep, order) = (self.sweep, Order::Resume);
            self.order(Input::Order { sweep, order });
        }
        if self.chance(1) {
            // Decisions that nothing has succeeded are made once more.
            let (sweep, failed) = (self.sweep, true);
            let cancelled = self.chance(50);
            let order = Order::Retry { failed, cancelled };
            self.order(Input::Order { sweep, order });
        }
        if self.chance(5) && !self.orders.is_empty() {
            let number = self.random.random_range(0..self.orders.len());
            self.send(number);
        }
        if self.chance(2) {
            // The coordinator's machine sleeps: leases expire.
            self.now += 200;
        }
        let number = self.random.random_range(0..self.workers.len());
        if self.chance(3) {
            self.workers[number].1.disturb(&mut self.random, self.now);
        }
        if self.chance(1) {
            // A worker crashes: another begins in its place.
            self.workers[number].0 = FakeWorker::new(&mut self.random, self.landscape);
        }
    }

    /// What a worker wants to say next.
    pub(crate) fn next_message(&mut self, number: usize) -> Input {
        let worker = &mut self.workers[number].0;
        let id = worker.id;
        if self.turn.state().is_ok_and(|state| state.worker(id).is_none()) {
            return worker.register();
        }
        worker.next_message(&mut self.random)
    }

    /// One of the choices that can be made is looked at, and sooner or later told, perhaps twice.
    fn choose(&mut self, trouble: bool) {
        if !self.late.is_empty() && self.chance(20) {
            let at = self.random.random_range(0..self.late.len());
            let late = self.late.swap_remove(at);
            _ = self.decide(late);
        }
        let Ok(state) = self.turn.state() else { return };
        let mut due = choose::due(state);
        if due.is_empty() {
            return;
        }
        let at = if trouble {
            self.random.random_range(0..due.len())
        } else {
            0
        };
        let due = due.swap_remove(at);
        let mut reader = self.store.reader().unwrap();
        let candidates = choose::candidates(reader.as_mut(), &due).unwrap();
        let input = Input::Choose {
            sweep: due.sweep.id(),
            choice: due.choice,
            candidates,
        };
        if trouble && self.chance(50) {
            self.trouble();
        }
        if trouble && self.chance(20) {
            self.late.push(input.clone());
        }
        _ = self.decide(input);
    }

    /// A person wants the last stage run twice.
    pub(crate) fn extend(&mut self) {
        let (stage, repetitions) = (Some(LAST.to_owned()), REPEATED);
        let wider = Wider::Repetitions { stage, repetitions };
        let sweep = self.sweep;
        self.order(Input::Extend { sweep, wider });
    }

    pub(crate) fn is_extended(&self) -> bool {
        let state = self.turn.state();
        let sweep = state.ok().and_then(|state| state.sweep(self.sweep));
        sweep.is_some_and(|sweep| sweep.extensions().count() > 0)
    }

    pub(crate) fn step(&mut self, trouble: bool) {
        self.now += self.random.random_range(0..10);
        if trouble {
            self.trouble();
        }
        if self.chance(30) {
            self.choose(trouble);
        }
        self.store.luck().full = self.now < self.full;
        let number = self.random.random_range(0..self.workers.len());
        if self.workers[number].1.is_awake(self.now) {
            let message = self.next_message(number);
            self.mail.push((number, message));
        }
        for number in 0..self.workers.len() {
            let (worker, link) = &mut self.workers[number];
            let (words, replies) = link.arrived(self.now);
            for (said, answer) in replies {
                worker.hear(&mut self.random, &said, &answer);
            }
            self.mail.extend(words.into_iter().map(|word| (number, word)));
        }
        while !self.mail.is_empty() && (self.mail.len() > 2 * self.workers.len() || self.chance(60)) {
            let at = if trouble {
                self.random.random_range(0..self.mail.len())
            } else {
                0
            };
            let (number, message) = self.mail.remove(at);
            if trouble && self.chance(LOST) {
                continue; // on the way there
            }
            if trouble && self.chance(TWICE) {
                self.mail.push((number, message.clone())); // comes again, later
            }
            let link = &mut self.workers[number].1;
            let Some(message) = link.word(&mut self.random, self.now, message) else {
                continue;
            };
            let answer = self.decide(message.clone());
            if trouble && self.chance(LOST) {
                continue; // on the way back
            }
            let (worker, link) = &mut self.workers[number];
            if let Some((said, answer)) = link.reply(&mut self.random, self.now, (message, answer)) {
                worker.hear(&mut self.random, &said, &answer);
            }
        }
    }
}
