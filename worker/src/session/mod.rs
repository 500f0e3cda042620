//! What the agent does and when: a step function without I/O.
//!
//! Events come in (answers of the coordinator, frames of trainers, time), actions come out. Of each kind of call one
//! is under way at a time: one `Acquire` a slot, one `Append` a lease, one `Heartbeat`, one `Register`.
//! A call that fails for a passing reason is made again after a pause with full jitter; training goes on meanwhile.

mod held;
mod lane;
mod leases;
mod sizes;
mod trainers;
mod words;

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tenfold_types::{Fence, Outcome, RequestId};

use held::{Held, Slot, Trial};
use lane::Lane;
pub use words::{Acknowledgement, Action, Call, Event, Exit, Failure, Lease, Millis, Options, Report};

/// What a stopping agent allows itself to give its leases back.
const STOP_PATIENCE: Millis = 3_000;

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
    /// No more is asked for, and the agent ends when nothing is leased.
    draining: bool,
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
            draining: false,
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
        self.stopping.is_none() && !self.draining && !self.is_paused()
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
            Event::Ready {
                slot,
                device,
                lanes,
                memory,
            } => {
                let slot = &mut self.slots[slot];
                slot.device = Some(device);
                (slot.lanes, slot.memory) = (lanes.max(1), memory);
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
                for (key, said) in acknowledgements {
                    self.acknowledged(fence, key, said, now, actions);
                }
                self.drop_if_done(fence);
            }
            Event::Heard {
                stale,
                cancelled,
                drain,
            } => {
                self.contact(now);
                self.heartbeat.answered();
                self.heartbeat.not_before = now + self.heartbeat_interval;
                for fence in stale {
                    self.stale(fence, actions);
                }
                for (fence, key) in cancelled {
                    self.cancel(fence, key, now, actions);
                }
                self.draining |= drain;
            }
            Event::Failed { call, failure } => self.failed(call, failure, now, actions),
            Event::Stop => self.stop(now, actions),
            Event::Tick => {}
        }
    }

    fn contact(&mut self, now: Millis) {
        self.last_contact = now;
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
        let asking = || self.slots.iter().any(|slot| slot.acquire.under_way);
        if self.draining && self.leases.is_empty() && !asking() {
            self.exit.get_or_insert(Exit::Drained);
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
                && let Some(action) = held.append(*fence, now)
            {
                held.lane.under_way = true;
                actions.push(action);
            }
        }
        if !self.wants_work() {
            return;
        }
        for number in 0..self.slots.len() {
            let slot = &mut self.slots[number];
            if slot.is_idle() && slot.acquire.is_free(now) {
                slot.acquire.under_way = true;
                let request = *slot
                    .request
                    .get_or_insert_with(|| RequestId(self.random.random()));
                actions.push(Action::Acquire {
                    slot: number,
                    request,
                    max_trials: self.unknown_size(number),
                    sizes: self.sizes(number),
                });
            }
        }
    }
}
