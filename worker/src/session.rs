//! What the agent does and when: a step function without I/O.
//!
//! Events come in (answers of the coordinator, frames of trainers, time), actions come out. Of each kind of call one
//! is under way at a time: one `Acquire` a slot, one `Append` or `Finish` a lease, one `Heartbeat`, one `Register`.
//! A call that fails for a passing reason is made again after a pause with full jitter; training goes on meanwhile.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tenfold_types::frame::{Device, FromTrainer, ToTrainer};
use tenfold_types::{Block, Fence, Outcome, RequestId, SweepId, TrialKey, TrialSpec};

use crate::outbox::Outbox;

/// Milliseconds since the agent started.
pub type Millis = u64;

/// Epochs wait at most so long to be sent.
const APPEND_EVERY: Millis = 100;
/// The first pause after a failed call, doubled with each, and the longest.
const RETRY_BASE: Millis = 100;
const RETRY_CAP: Millis = 5_000;
/// A trainer that was told to cancel and has not stopped within this is killed.
const CANCEL_PATIENCE: Millis = 2_000;
/// What a stopping agent allows itself to give its leases back.
const STOP_PATIENCE: Millis = 3_000;
/// Trials asked for at a time: trainers train one so far.
const MAX_TRIALS: u32 = 1;

/// What can be set.
#[derive(Debug, Clone)]
pub struct Options {
    /// Unacknowledged epochs may take so many bytes; then no more are read from trainers until some are acknowledged.
    pub outbox_bytes: usize,
    /// Give up after so long without a coordinator.
    pub stop_after: Option<Millis>,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A slot's trainer is ready for a pack.
    Ready {
        /// The slot.
        slot: usize,
        /// What it trains on.
        device: Device,
    },
    /// A slot's trainer cannot work at all.
    Unfit {
        /// The slot.
        slot: usize,
        /// Why.
        error: String,
    },
    /// A slot's trainer sent a frame.
    Frame {
        /// The slot.
        slot: usize,
        /// The frame.
        frame: FromTrainer,
    },
    /// A slot's trainer is gone.
    Died {
        /// The slot.
        slot: usize,
        /// How.
        how: String,
        /// The end of its standard error.
        stderr: String,
    },
    /// `Register` was answered.
    Registered {
        /// How often a heartbeat is wanted.
        heartbeat_interval: Millis,
    },
    /// `Acquire` was answered.
    Acquired {
        /// The slot.
        slot: usize,
        /// A lease, or when to ask again.
        lease: Result<Lease, Millis>,
    },
    /// `Append` was answered: for each trial sent, its acknowledged epochs and whether it is cancelled.
    Appended {
        /// The lease.
        fence: Fence,
        /// In the order sent.
        acknowledgements: Vec<(TrialKey, u32, bool)>,
    },
    /// `Finish` was answered.
    Finished {
        /// The lease.
        fence: Fence,
        /// The trial.
        key: TrialKey,
    },
    /// `Heartbeat` was answered.
    Heard {
        /// Leases that are over.
        stale: Vec<Fence>,
        /// Trials that are no longer wanted.
        cancelled: Vec<(Fence, TrialKey)>,
    },
    /// A call failed.
    Failed {
        /// Which.
        call: Call,
        /// How.
        failure: Failure,
    },
    /// The agent is to stop.
    Stop,
    /// Time has passed.
    Tick,
}

/// Which call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `Register`.
    Register,
    /// `Acquire` for a slot.
    Acquire(usize),
    /// `Append` or `Finish` of a lease; for `Finish` the trial.
    Lease(Fence, Option<TrialKey>),
    /// `Heartbeat`.
    Heartbeat,
}

/// How a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// For a passing reason: no coordinator, no answer in time, too much to do.
    Passing(String),
    /// The coordinator does not know the worker.
    Unknown,
    /// The fence is stale.
    Stale,
    /// For good: it would be refused again.
    Refused(String),
}

/// A lease, as the coordinator gave it.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Its number.
    pub fence: Fence,
    /// The sweep.
    pub sweep: SweepId,
    /// The trials with the numbers of their attempts; an error is a trial that this worker cannot understand.
    pub trials: Vec<(TrialKey, u32, Result<TrialSpec, String>)>,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Call `Register` with these slots.
    Register(Vec<Device>),
    /// Call `Acquire`.
    Acquire {
        /// For this slot.
        slot: usize,
        /// The same until it is answered.
        request: RequestId,
        /// The most trials.
        max_trials: u32,
    },
    /// Call `Append`.
    Append {
        /// The lease.
        fence: Fence,
        /// Its sweep.
        sweep: SweepId,
        /// The trials with their attempts and epochs.
        trials: Vec<(TrialKey, u32, Vec<Block>)>,
    },
    /// Call `Finish`.
    Finish {
        /// The lease.
        fence: Fence,
        /// Its sweep.
        sweep: SweepId,
        /// The trial.
        key: TrialKey,
        /// Its attempt.
        attempt: u32,
        /// The length of its curve.
        epochs: u32,
        /// How it ended.
        outcome: Outcome,
        /// The end of the trainer's standard error.
        stderr: String,
    },
    /// Call `Heartbeat`.
    Heartbeat(Vec<Fence>),
    /// Send a frame to a slot's trainer.
    Tell {
        /// The slot.
        slot: usize,
        /// The frame.
        frame: ToTrainer,
    },
    /// Kill a slot's trainer at once; another is started.
    Kill {
        /// The slot.
        slot: usize,
    },
    /// End the agent.
    Exit(Exit),
}

/// Why the agent ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It was asked to.
    Asked,
    /// The coordinator refused it for good.
    Refused(String),
    /// There was no coordinator for too long.
    ServerLost(Millis),
    /// No trainer can work on this node.
    Unfit(String),
}

/// One call of a kind at a time, with pauses after failures.
#[derive(Debug, Default)]
struct Lane {
    under_way: bool,
    failures: u32,
    not_before: Millis,
}

impl Lane {
    fn is_free(&self, now: Millis) -> bool {
        !self.under_way && now >= self.not_before
    }

    fn answered(&mut self) {
        self.under_way = false;
        self.failures = 0;
        self.not_before = 0;
    }

    /// Full jitter: a pause between nothing and twice the last bound.
    fn failed(&mut self, now: Millis, random: &mut StdRng) {
        self.under_way = false;
        let bound = RETRY_BASE
            .saturating_mul(1 << self.failures.min(16))
            .min(RETRY_CAP);
        self.failures += 1;
        self.not_before = now + random.random_range(0..=bound);
    }

    fn wake(&self) -> Option<Millis> {
        (!self.under_way).then_some(self.not_before)
    }
}

#[derive(Debug, Default)]
struct Slot {
    device: Option<Device>,
    ready: bool,
    unfit: Option<String>,
    /// The lease that its trainer works on.
    training: Option<Fence>,
    request: Option<RequestId>,
    acquire: Lane,
}

#[derive(Debug)]
struct Held {
    slot: usize,
    sweep: SweepId,
    trials: Vec<Trial>,
    lane: Lane,
    last_append: Millis,
    /// The trainer is told to stop a trial, and is killed then if it has not.
    kill_at: Option<Millis>,
}

#[derive(Debug)]
struct Trial {
    key: TrialKey,
    attempt: u32,
    outbox: Outbox,
    end: Option<(Outcome, String)>,
    /// Nothing more is to be said of it.
    done: bool,
}

/// The agent's state.
#[derive(Debug)]
pub struct Session {
    options: Options,
    random: StdRng,
    slots: Vec<Slot>,
    leases: BTreeMap<Fence, Held>,
    registered: bool,
    register: Lane,
    heartbeat: Lane,
    heartbeat_interval: Millis,
    last_contact: Millis,
    stopping: Option<Millis>,
    exit: Option<Exit>,
}

impl Session {
    /// A session with so many slots. `seed` decides request ids and pauses.
    pub fn new(slots: usize, options: Options, seed: [u8; 32]) -> Self {
        Self {
            options,
            random: StdRng::from_seed(seed),
            slots: (0..slots).map(|_| Slot::default()).collect(),
            leases: BTreeMap::new(),
            registered: false,
            register: Lane::default(),
            heartbeat: Lane::default(),
            heartbeat_interval: 1_000,
            last_contact: 0,
            stopping: None,
            exit: None,
        }
    }

    /// Whether trainers are not to be read from, because too much waits for the coordinator. They then wait too.
    pub fn is_paused(&self) -> bool {
        let bytes: usize = self
            .leases
            .values()
            .flat_map(|held| &held.trials)
            .map(|trial| trial.outbox.bytes())
            .sum();
        bytes > self.options.outbox_bytes
    }

    /// When to step next if nothing happens before. Never a time at which [`Session::step`] would do nothing.
    pub fn next_wake(&self) -> Option<Millis> {
        let mut wakes: Vec<Millis> = Vec::new();
        if self.registered {
            wakes.extend(self.heartbeat.wake());
            for held in self.leases.values() {
                if held.trials.iter().any(Trial::has_something_to_say) {
                    wakes.extend(held.lane.wake().map(|at| at.max(held.next_append())));
                }
            }
            if self.wants_work() {
                let idle = self.slots.iter().filter(|slot| slot.is_idle());
                wakes.extend(idle.filter_map(|slot| slot.acquire.wake()));
            }
        } else if self.all_have_spoken() {
            wakes.extend(self.register.wake());
        }
        wakes.extend(self.leases.values().filter_map(|held| held.kill_at));
        wakes.extend(self.stopping.map(|since| since + STOP_PATIENCE));
        wakes.extend(self.options.stop_after.map(|after| self.last_contact + after));
        wakes.into_iter().min()
    }

    /// Slots are named to the coordinator with their devices, so all trainers must have spoken before.
    fn all_have_spoken(&self) -> bool {
        let spoken = |slot: &Slot| slot.device.is_some() || slot.unfit.is_some();
        self.slots.iter().all(spoken)
    }

    fn wants_work(&self) -> bool {
        self.stopping.is_none() && !self.is_paused()
    }

    /// One step.
    pub fn step(&mut self, event: Event, now: Millis) -> Vec<Action> {
        let mut actions = Vec::new();
        self.take(event, now, &mut actions);
        self.pump(now, &mut actions);
        actions
    }

    fn take(&mut self, event: Event, now: Millis, actions: &mut Vec<Action>) {
        match event {
            Event::Ready { slot, device } => {
                let slot = &mut self.slots[slot];
                slot.device = Some(device);
                slot.ready = true;
                slot.unfit = None;
            }
            Event::Unfit { slot, error } => {
                self.slots[slot].unfit = Some(error.clone());
                self.end_training(slot, &Outcome::Released, "");
                let never = self
                    .slots
                    .iter()
                    .all(|slot| slot.device.is_none() && slot.unfit.is_some());
                if never {
                    self.exit.get_or_insert(Exit::Unfit(error));
                }
            }
            Event::Died { slot, how, stderr } => self.died(slot, how, &stderr),
            Event::Frame { slot, frame } => self.frame(slot, frame, actions),
            Event::Registered { heartbeat_interval } => {
                self.contact(now);
                self.register.answered();
                self.registered = true;
                self.heartbeat_interval = heartbeat_interval.max(1);
            }
            Event::Acquired { slot, lease } => self.acquired(slot, lease, now, actions),
            Event::Appended {
                fence,
                acknowledgements,
            } => {
                self.contact(now);
                let Some(held) = self.leases.get_mut(&fence) else {
                    return;
                };
                held.lane.answered();
                for (key, epochs, _) in &acknowledgements {
                    if let Some(trial) = held.trials.iter_mut().find(|trial| trial.key == *key) {
                        trial.outbox.acknowledge(*epochs);
                    }
                }
                for (key, ..) in acknowledgements.into_iter().filter(|(.., cancelled)| *cancelled) {
                    self.cancel(fence, key, now, actions);
                }
            }
            Event::Finished { fence, key } => {
                self.contact(now);
                self.finished(fence, key);
            }
            Event::Heard { stale, cancelled } => {
                self.contact(now);
                self.heartbeat.answered();
                self.heartbeat.not_before = now + self.heartbeat_interval;
                for fence in stale {
                    self.stale(fence, actions);
                }
                for (fence, key) in cancelled {
                    self.cancel(fence, key, now, actions);
                }
            }
            Event::Failed { call, failure } => self.failed(call, failure, now, actions),
            Event::Stop => self.stop(now, actions),
            Event::Tick => {}
        }
    }

    fn contact(&mut self, now: Millis) {
        self.last_contact = now;
    }

    fn frame(&mut self, slot: usize, frame: FromTrainer, actions: &mut Vec<Action>) {
        match frame {
            FromTrainer::Epochs { pack, trial, block } => {
                let Some(trial) = self.trial(slot, pack, trial) else {
                    return;
                };
                if trial.end.is_none() && !trial.done && !trial.outbox.push(block) {
                    let error = "the trainer sent epochs out of order".to_owned();
                    trial.end = Some((Outcome::Failed { error }, String::new()));
                    trial.outbox.clear();
                    self.slots[slot].ready = false;
                    actions.push(Action::Kill { slot });
                }
            }
            FromTrainer::Ended { pack, trial, outcome } => {
                if let Some(trial) = self.trial(slot, pack, trial)
                    && trial.end.is_none()
                {
                    trial.end = Some((outcome, String::new()));
                }
            }
            FromTrainer::PackEnded { pack } => {
                if self.slots[slot].training == Some(Fence(pack)) {
                    self.end_training(slot, &Outcome::Released, "");
                }
            }
            FromTrainer::Hello { .. } | FromTrainer::Unfit { .. } | FromTrainer::Alive { .. } => {}
        }
    }

    /// The trial of a frame, when the slot still trains that pack.
    fn trial(&mut self, slot: usize, pack: u64, trial: u32) -> Option<&mut Trial> {
        let fence = self.slots[slot].training.filter(|fence| fence.0 == pack)?;
        self.leases.get_mut(&fence)?.trials.get_mut(trial as usize)
    }

    /// A trainer that dies while it trains one trial is that trial's doing; of several, nobody knows whose.
    fn died(&mut self, slot: usize, how: String, stderr: &str) {
        self.slots[slot].ready = false;
        let alone = self.slots[slot]
            .training
            .and_then(|fence| self.leases.get(&fence))
            .map(|held| {
                let open: Vec<&Trial> = held.trials.iter().filter(|trial| trial.is_open()).collect();
                (
                    open.len() == 1,
                    open.first().map_or(0, |trial| trial.outbox.last()),
                )
            });
        let outcome = match alone {
            Some((true, epochs)) => Outcome::Failed {
                error: format!("the trainer {how} in epoch {}", epochs + 1),
            },
            _ => Outcome::Released,
        };
        self.end_training(slot, &outcome, stderr);
    }

    /// The slot trains no more; trials whose end is not known end so.
    fn end_training(&mut self, slot: usize, outcome: &Outcome, stderr: &str) {
        let Some(fence) = self.slots[slot].training.take() else {
            return;
        };
        let Some(held) = self.leases.get_mut(&fence) else {
            return;
        };
        held.kill_at = None;
        for trial in held.trials.iter_mut().filter(|trial| trial.is_open()) {
            trial.end = Some((outcome.clone(), stderr.to_owned()));
        }
        self.drop_if_done(fence);
    }

    fn acquired(
        &mut self,
        slot: usize,
        lease: Result<Lease, Millis>,
        now: Millis,
        actions: &mut Vec<Action>,
    ) {
        self.contact(now);
        let place = &mut self.slots[slot];
        place.acquire.answered();
        place.request = None;
        let lease = match lease {
            Ok(lease) => lease,
            Err(again) => {
                place.acquire.not_before = now + again / 2 + self.random.random_range(0..=again);
                return;
            }
        };
        let (mut trials, mut specs) = (Vec::new(), Vec::new());
        for (key, attempt, spec) in lease.trials {
            let end = match spec {
                Ok(spec) => {
                    specs.push(spec);
                    None
                }
                Err(error) => Some((Outcome::Failed { error }, String::new())),
            };
            trials.push(Trial {
                key,
                attempt,
                outbox: Outbox::default(),
                end,
                done: false,
            });
        }
        // Frames name trials by their place, so a pack with one that cannot be understood is not trained at all.
        let whole = specs.len() == trials.len();
        let train = whole && self.stopping.is_none() && place.ready && place.training.is_none();
        if !train {
            for trial in trials.iter_mut().filter(|trial| trial.is_open()) {
                trial.end = Some((Outcome::Released, String::new()));
            }
        }
        let (fence, sweep) = (lease.fence, lease.sweep);
        let held = Held {
            slot,
            sweep,
            trials,
            lane: Lane::default(),
            last_append: now,
            kill_at: None,
        };
        self.leases.insert(fence, held);
        if train {
            place.training = Some(fence);
            actions.push(Action::Tell {
                slot,
                frame: ToTrainer::Train {
                    pack: fence.0,
                    trials: specs,
                },
            });
        }
    }

    fn finished(&mut self, fence: Fence, key: TrialKey) {
        let Some(held) = self.leases.get_mut(&fence) else {
            return;
        };
        held.lane.answered();
        if let Some(trial) = held.trials.iter_mut().find(|trial| trial.key == key) {
            trial.done = true;
            trial.outbox.clear();
        }
        self.drop_if_done(fence);
    }

    /// A lease is let go when all its trials are over and its trainer works on it no more.
    fn drop_if_done(&mut self, fence: Fence) {
        let done = self.leases.get(&fence).is_some_and(|held| {
            held.trials.iter().all(|trial| trial.done) && self.slots[held.slot].training != Some(fence)
        });
        if done {
            self.leases.remove(&fence);
        }
    }

    /// The lease is over: its trainer is killed within this step, its epochs are discarded.
    fn stale(&mut self, fence: Fence, actions: &mut Vec<Action>) {
        if let Some(held) = self.leases.remove(&fence) {
            let slot = &mut self.slots[held.slot];
            if slot.training == Some(fence) {
                slot.training = None;
                slot.ready = false;
                actions.push(Action::Kill { slot: held.slot });
            }
        }
    }

    fn cancel(&mut self, fence: Fence, key: TrialKey, now: Millis, actions: &mut Vec<Action>) {
        let Some(held) = self.leases.get_mut(&fence) else {
            return;
        };
        let Some(place) = held.trials.iter().position(|trial| trial.key == key) else {
            return;
        };
        let trial = &mut held.trials[place];
        if trial.done {
            return;
        }
        trial.done = true;
        trial.outbox.clear();
        if self.slots[held.slot].training == Some(fence) {
            held.kill_at.get_or_insert(now + CANCEL_PATIENCE);
            let frame = ToTrainer::Cancel {
                pack: fence.0,
                trial: place as u32,
            };
            actions.push(Action::Tell {
                slot: held.slot,
                frame,
            });
        }
        self.drop_if_done(fence);
    }

    fn failed(&mut self, call: Call, failure: Failure, now: Millis, actions: &mut Vec<Action>) {
        if !matches!(failure, Failure::Passing(_)) {
            self.contact(now);
        }
        if failure == Failure::Unknown && call != Call::Register {
            self.registered = false;
        }
        match call {
            Call::Register => match failure {
                Failure::Refused(why) => _ = self.exit.get_or_insert(Exit::Refused(why)),
                _ => self.register.failed(now, &mut self.random),
            },
            Call::Heartbeat => self.heartbeat.failed(now, &mut self.random),
            Call::Acquire(slot) => self.slots[slot].acquire.failed(now, &mut self.random),
            Call::Lease(fence, key) => match failure {
                Failure::Stale => self.stale(fence, actions),
                Failure::Refused(why) => self.refused(fence, key, &why, actions),
                Failure::Passing(_) | Failure::Unknown => {
                    if let Some(held) = self.leases.get_mut(&fence) {
                        held.lane.failed(now, &mut self.random);
                    }
                }
            },
        }
    }

    /// The coordinator will not take what was sent, ever: the attempts are given up as failed, with the reason. Where
    /// that is refused too, the lease is left to run out by itself.
    fn refused(&mut self, fence: Fence, key: Option<TrialKey>, why: &str, actions: &mut Vec<Action>) {
        let Some(held) = self.leases.get_mut(&fence) else {
            return;
        };
        held.lane.answered();
        for trial in held
            .trials
            .iter_mut()
            .filter(|trial| !trial.done && key.is_none_or(|key| key == trial.key))
        {
            trial.outbox.clear();
            match &trial.end {
                Some((Outcome::Failed { .. } | Outcome::Released, _)) if key.is_some() => trial.done = true,
                _ => {
                    let what = if key.is_some() { "end" } else { "epochs" };
                    let error = format!("the coordinator refused its {what}: {why}");
                    trial.end = Some((Outcome::Failed { error }, String::new()));
                }
            }
        }
        let slot = held.slot;
        if self.slots[slot].training == Some(fence) {
            self.slots[slot].training = None;
            self.slots[slot].ready = false;
            actions.push(Action::Kill { slot });
        }
        self.drop_if_done(fence);
    }

    /// Trainers are killed, and what they trained is given back.
    fn stop(&mut self, now: Millis, actions: &mut Vec<Action>) {
        if self.stopping.is_some() {
            self.exit.get_or_insert(Exit::Asked);
            return;
        }
        self.stopping = Some(now);
        for slot in 0..self.slots.len() {
            if self.slots[slot].training.is_some() {
                self.slots[slot].ready = false;
                self.end_training(slot, &Outcome::Released, "");
                actions.push(Action::Kill { slot });
            }
        }
    }

    /// Makes every call that is due.
    fn pump(&mut self, now: Millis, actions: &mut Vec<Action>) {
        if let Some(since) = self.stopping
            && (self.leases.is_empty() || now >= since + STOP_PATIENCE)
        {
            self.exit.get_or_insert(Exit::Asked);
        }
        if let Some(after) = self.options.stop_after
            && now >= self.last_contact + after
        {
            self.exit.get_or_insert(Exit::ServerLost(after));
        }
        if let Some(exit) = self.exit.clone() {
            actions.push(Action::Exit(exit));
            return;
        }
        for held in self.leases.values_mut() {
            if held.kill_at.is_some_and(|at| now >= at) {
                held.kill_at = None;
                self.slots[held.slot].ready = false;
                actions.push(Action::Kill { slot: held.slot });
            }
        }
        if !self.registered {
            if self.all_have_spoken() && self.register.is_free(now) {
                self.register.under_way = true;
                let first = self.slots.iter().find_map(|slot| slot.device.clone());
                let devices = self
                    .slots
                    .iter()
                    .filter_map(|slot| slot.device.clone().or_else(|| first.clone()));
                actions.push(Action::Register(devices.collect()));
            }
            return;
        }
        if self.heartbeat.is_free(now) {
            self.heartbeat.under_way = true;
            actions.push(Action::Heartbeat(self.leases.keys().copied().collect()));
        }
        for (fence, held) in &mut self.leases {
            if held.lane.is_free(now)
                && let Some(action) = held.next_call(*fence, now)
            {
                held.lane.under_way = true;
                actions.push(action);
            }
        }
        if !self.wants_work() {
            return;
        }
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if slot.is_idle() && slot.acquire.is_free(now) {
                slot.acquire.under_way = true;
                let request = *slot
                    .request
                    .get_or_insert_with(|| RequestId(self.random.random()));
                actions.push(Action::Acquire {
                    slot: number,
                    request,
                    max_trials: MAX_TRIALS,
                });
            }
        }
    }
}

impl Slot {
    /// Ready, and nothing to do.
    fn is_idle(&self) -> bool {
        self.ready && self.training.is_none()
    }
}

impl Held {
    /// When epochs that wait are sent: together with the trial's end at once, otherwise a while after the last ones.
    fn next_append(&self) -> Millis {
        let ended = self.trials.iter().any(|trial| trial.end.is_some() && !trial.done);
        if ended { 0 } else { self.last_append + APPEND_EVERY }
    }

    fn next_call(&mut self, fence: Fence, now: Millis) -> Option<Action> {
        let waiting = |trial: &&Trial| !trial.done && !trial.outbox.is_empty() && trial.wants_epochs_kept();
        if self.trials.iter().any(|trial| waiting(&trial)) {
            if now < self.next_append() {
                return None;
            }
            self.last_append = now;
            let trials = self.trials.iter().filter(waiting);
            let trials = trials.map(|trial| {
                (
                    trial.key,
                    trial.attempt,
                    trial.outbox.pending().cloned().collect(),
                )
            });
            return Some(Action::Append {
                fence,
                sweep: self.sweep,
                trials: trials.collect(),
            });
        }
        let trial = self
            .trials
            .iter()
            .find(|trial| !trial.done && trial.end.is_some())?;
        let (outcome, stderr) = trial.end.clone()?;
        Some(Action::Finish {
            fence,
            sweep: self.sweep,
            key: trial.key,
            attempt: trial.attempt,
            epochs: trial.outbox.last(),
            outcome,
            stderr,
        })
    }
}

impl Trial {
    /// Its end is not known yet.
    fn is_open(&self) -> bool {
        !self.done && self.end.is_none()
    }

    fn has_something_to_say(&self) -> bool {
        !self.done && (self.end.is_some() || !self.outbox.is_empty())
    }

    /// Whether its epochs still matter: those of an attempt that failed or is given back do not.
    fn wants_epochs_kept(&self) -> bool {
        !matches!(self.end, Some((Outcome::Failed { .. } | Outcome::Released, _)))
    }
}
