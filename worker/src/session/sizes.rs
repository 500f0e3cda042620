//! How large packs a slot asks for.

use tenfold_types::frame::{MAX_PACK, Rate, ToTrainer, Trial};
use tenfold_types::{DeviceKind, Fence, ShapeKey};

use super::held::Slot;
use super::{Action, Session};
use crate::throughput::{Machine, Size};

/// The most sizes that a request may name.
const MAX_SIZES: usize = 1024;
/// From one size that is tried to the next.
const GROWTH: u64 = 4;

impl Slot {
    /// What its trainer is, for the table.
    fn machine(&self) -> Option<Machine> {
        Some(Machine::new(self.device.as_ref()?, self.lanes))
    }

    /// Whether sizes make a difference: on a processor a pack is a queue, and as many trials as the trainer has threads are
    /// as good as more.
    fn fuses(&self) -> bool {
        self.device
            .as_ref()
            .is_some_and(|device| device.kind == DeviceKind::Cuda)
    }
}

impl Session {
    /// The most trials of a pack of unknown shape: as many as the trainer trains at once.
    pub(super) fn unknown_size(&self, slot: usize) -> u32 {
        self.slots[slot].lanes.clamp(1, self.options.max_pack.max(1))
    }

    /// The most trials of packs of known shapes.
    pub(super) fn sizes(&self, slot: usize) -> Vec<(ShapeKey, u32)> {
        let place = &self.slots[slot];
        let machine = place.machine();
        // First those that must not be forgotten, however many shapes are known.
        let careful = place
            .careful
            .iter()
            .map(|(&shape, &most)| (shape, self.known_size(slot, shape).min(most)));
        let table = machine.iter().flat_map(|machine| self.options.table.of(machine));
        let known = table
            .filter(|(shape, _)| !place.careful.contains_key(shape))
            .map(|(shape, size)| (shape, size.trials));
        let bounded =
            |(shape, trials): (ShapeKey, u32)| (shape, trials.clamp(1, self.options.max_pack.max(1)));
        careful.chain(known).map(bounded).take(MAX_SIZES).collect()
    }

    /// The size of a shape's packs as long as all goes well.
    fn known_size(&self, slot: usize, shape: ShapeKey) -> u32 {
        let machine = self.slots[slot].machine();
        let known = machine.and_then(|machine| self.options.table.get(&machine, shape));
        known.map_or(self.slots[slot].lanes, |size| size.trials)
    }

    /// Has a shape measured that the slot's trainer meets for the first time; the pack waits. False when it is known, or
    /// makes no difference.
    pub(super) fn measure(
        &mut self,
        slot: usize,
        fence: Fence,
        trials: &[Trial],
        of_sweep: u64,
        actions: &mut Vec<Action>,
    ) -> bool {
        let (Some(machine), Some(first)) = (self.slots[slot].machine(), trials.first()) else {
            return false;
        };
        let shape = first.spec.shape();
        if !self.slots[slot].fuses() || self.options.table.get(&machine, shape).is_some() {
            return false;
        }
        let most = of_sweep.clamp(1, u64::from(self.options.max_pack.clamp(1, MAX_PACK)));
        let mut sizes: Vec<u32> = std::iter::successors(Some(1), |size| Some(size * GROWTH))
            .take_while(|size| *size < most)
            .map(|size| size as u32)
            .collect();
        sizes.push(most as u32);
        let memory = match self.slots[slot].memory {
            0 => u64::MAX,
            memory => memory,
        };
        self.slots[slot].waiting = Some(trials.to_vec());
        actions.push(Action::Tell {
            slot,
            frame: ToTrainer::Measure {
                pack: fence.0,
                spec: first.spec.clone(),
                sizes,
                memory,
            },
        });
        true
    }

    /// The measurement is there: the pack that waited for it is trained.
    pub(super) fn measured(
        &mut self,
        slot: usize,
        pack: u64,
        rates: &[Rate],
        error: Option<&str>,
        actions: &mut Vec<Action>,
    ) {
        if self.slots[slot].training != Some(Fence(pack)) {
            return;
        }
        let Some(trials) = self.slots[slot].waiting.take() else {
            return;
        };
        if let (Some(machine), Some(first)) = (self.slots[slot].machine(), trials.first()) {
            match Size::best(rates) {
                Some(size) => self.learn(machine, first.spec.shape(), size, actions),
                None => self.unmeasured(slot, first.spec.shape(), error.unwrap_or("no size fits memory")),
            }
        }
        actions.push(Action::Tell {
            slot,
            frame: ToTrainer::Train { pack, trials },
        });
    }

    /// A shape that cannot be measured counts as known for as long as this session lasts: it is not measured again and
    /// again.
    pub(super) fn unmeasured(&mut self, slot: usize, shape: ShapeKey, error: &str) {
        tracing::warn!(%shape, error, "packs could not be measured, and are trained one trial at a time");
        let one = Size {
            trials: 1,
            epochs_per_second: 0.0,
        };
        if let Some(machine) = self.slots[slot].machine() {
            self.options.table.insert(machine, shape, one);
        }
    }

    fn learn(&mut self, machine: Machine, shape: ShapeKey, size: Size, actions: &mut Vec<Action>) {
        self.options.table.insert(machine.clone(), shape, size);
        actions.push(Action::Learn { machine, shape, size });
    }

    /// A pack came to its end, trained in arrays of at most so many trials.
    pub(super) fn packed(&mut self, slot: usize, fence: Fence, largest: u32, actions: &mut Vec<Action>) {
        let Some(held) = self.leases.get(&fence) else {
            return;
        };
        let (Some(shape), trials) = (held.shape, held.trials.len()) else {
            return;
        };
        // What was careful has done well: it is trusted with twice as much, until that is all.
        let known = self.known_size(slot, shape);
        if let Some(most) = self.slots[slot].careful.remove(&shape)
            && most.saturating_mul(2) < known
        {
            self.slots[slot].careful.insert(shape, most * 2);
        }
        let machine = self.slots[slot].machine().filter(|_| self.slots[slot].fuses());
        if let Some(machine) = machine
            && (largest as usize) < trials
            && let Some(known) = self.options.table.get(&machine, shape)
            && largest < known.trials
        {
            let size = Size {
                trials: largest.max(1),
                ..known
            };
            self.learn(machine, shape, size, actions);
        }
    }

    /// A trainer died with several trials of a pack: nobody knows whose doing it was. The slot's next packs of the shape
    /// are half as large, until a trial dies alone; each that does well doubles them again.
    pub(super) fn be_careful(&mut self, slot: usize, fence: Fence, open: usize) {
        if let Some(shape) = self.leases.get(&fence).and_then(|held| held.shape) {
            let half = (open as u32 / 2).max(1);
            self.slots[slot].careful.insert(shape, half);
        }
    }
}
