//! Twins: points of a stage that differ only in settings that cannot matter to them. They are the same network, trained in the
//! same way on the same data.
//!
//! Nothing is listed: which points are twins follows from the positions of the axes that do not matter. The lowest of them
//! that exists represents the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock, PoisonError};

use tenfold_types::{Schedule, Setting, Value};

use super::super::gate::Passage;
use super::super::grid::{AxisSet, Orders, axis_set};
use super::Stage;

/// Twins that are looked at before it is remembered which of them is the first that exists.
const LOOKS: usize = 64;
/// Most points that are counted one by one.
const MAX_COUNTED: u64 = 100_000;
/// Points from which the share of those without a representative is estimated.
const SAMPLE: u64 = 1024;

/// What decides at which points an axis does not matter.
#[derive(Debug)]
pub(super) struct Twins {
    aux_weight: AxisSet,
    steps: AxisSet,
    dropout: AxisSet,
    weight_sharing: AxisSet,
    /// For each architecture which axes do not matter in it.
    architectures: BTreeMap<String, AxisSet>,
    orders: Orders,
    /// For the first of some twins the first that exists, where many are excluded: one entry for more than [`LOOKS`] points.
    first_there: Mutex<BTreeMap<u64, u64>>,
    share: OnceLock<f64>,
    /// How many points of the grid are trained for themselves, where they were counted.
    distinct: OnceLock<u64>,
}

impl Twins {
    /// None when each axis matters at every point.
    pub(super) fn of(stage: &Stage) -> Option<Self> {
        let axis = |setting: Setting| stage.axes().iter().position(|axis| axis.setting == setting);
        let set = |setting: Setting| axis(setting).map_or(0, axis_set);
        let off = || {
            stage
                .values_of(Setting::AuxiliaryLoss)
                .contains(&Value::Bool(false))
        };
        let steady = || {
            let schedules = stage.values_of(Setting::Schedule);
            schedules.iter().any(|schedule| !is_step(schedule))
        };
        let mut aux_weight = set(Setting::AuxWeight);
        if aux_weight != 0 && !off() {
            aux_weight = 0;
        }
        let mut steps = set(Setting::StepEpochs) | set(Setting::StepFactor);
        if steps != 0 && !steady() {
            steps = 0;
        }
        let (dropout, weight_sharing) = (set(Setting::Dropout), set(Setting::WeightSharing));
        let mut architectures = BTreeMap::new();
        if dropout | weight_sharing != 0 {
            for name in stage.values_of(Setting::Architecture) {
                let Value::Text(name) = name else { continue };
                let Some(architecture) = stage.architecture(&name) else {
                    continue;
                };
                let mut idle = 0;
                if !architecture.drops_by_setting() {
                    idle |= dropout;
                }
                if architecture.sub_networks == 1 {
                    idle |= weight_sharing;
                }
                architectures.insert(name, idle);
            }
        }
        let of_architectures = architectures.values().fold(0, |all, idle| all | idle);
        (aux_weight | steps | of_architectures != 0).then(|| Self {
            aux_weight,
            steps,
            dropout: dropout & of_architectures,
            weight_sharing: weight_sharing & of_architectures,
            architectures,
            orders: Orders::default(),
            first_there: Mutex::default(),
            share: OnceLock::new(),
            distinct: OnceLock::new(),
        })
    }

    /// The axes that do not matter at a point: as the canonical form of a trial has it. A value that is still to be chosen is none.
    fn idle(&self, value: impl Fn(Setting) -> Option<Value>) -> AxisSet {
        let mut idle = 0;
        if self.aux_weight != 0 && value(Setting::AuxiliaryLoss) == Some(Value::Bool(false)) {
            idle |= self.aux_weight;
        }
        if self.steps != 0 && value(Setting::Schedule).is_some_and(|schedule| !is_step(&schedule)) {
            idle |= self.steps;
        }
        if self.dropout | self.weight_sharing != 0
            && let Some(Value::Text(name)) = value(Setting::Architecture)
            && let Some(axes) = self.architectures.get(&name)
        {
            idle |= axes;
        }
        idle
    }
}

/// Whether it is the schedule that has steps; the place of one that is still to be chosen is none.
fn is_step(schedule: &Value) -> bool {
    match schedule {
        Value::Text(name) => name == Schedule::Step.name(),
        _ => true,
    }
}

impl Stage {
    fn twins(&self) -> Option<&Twins> {
        self.inner.twins.get_or_init(|| Twins::of(self)).as_ref()
    }

    /// Whether a setting that varies does not matter at some points, so that they may have twins.
    pub fn has_twins(&self) -> bool {
        self.twins().is_some()
    }

    /// Returns the index whose trial is trained for that of a point and its twins, for one repetition: the lowest that is
    /// neither excluded nor left out, or the point itself where it has no twins.
    pub fn representative(&self, index: u64, repetition: u32) -> u64 {
        let Some(twins) = self.twins() else {
            return index;
        };
        if !self.is_gated() {
            return self.lowest(twins, index);
        }
        let trained = |of: &u64| *of == index || self.at_gate(*of, repetition) != Passage::LeftOut;
        self.alike(index).find(trained).unwrap_or(index)
    }

    /// Returns a point and its twins, in order, but for those whose trials of this repetition are left out.
    pub fn alike_at(&self, index: u64, repetition: u32) -> impl Iterator<Item = u64> + '_ {
        let passes = move |of: &u64| self.at_gate(*of, repetition) != Passage::LeftOut;
        self.alike(index).filter(passes)
    }

    /// A point and its twins, left out or not, in order. One with a value that is still to be chosen has none.
    fn alike(&self, index: u64) -> Box<dyn Iterator<Item = u64> + '_> {
        let alone = || Box::new(std::iter::once(index));
        let (Some(twins), Some(values)) = (self.twins(), self.inner.grid.values(index)) else {
            return alone();
        };
        let there = |index: &u64| self.inner.grid.exists(*index);
        if self.inner.taken.is_empty() {
            let idle = twins.idle(|setting| self.value_of(&values, setting));
            return match idle {
                0 => alone(),
                _ => Box::new(self.inner.grid.alike(&values, idle, &twins.orders).filter(there)),
            };
        }
        let Some(known) = self.values(index) else {
            return alone();
        };
        let known: Vec<Value> = known.into_iter().cloned().collect();
        let idle = twins.idle(|setting| self.value_of(&known.iter().collect::<Vec<_>>(), setting));
        if idle == 0 {
            return alone();
        }
        // An axis whose values were chosen for each value of one that does not matter may have the same at other places.
        let loose = self.inner.taken.iter().filter(|taken| {
            let depends = |axis: usize| taken.rule.per.contains(&self.axes()[axis].setting);
            (0..self.axes().len()).any(|axis| idle & axis_set(axis) != 0 && depends(axis))
        });
        let free = loose.fold(idle, |free, taken| free | axis_set(taken.axis));
        let same = move |other: &u64| {
            self.values(*other).is_some_and(|values| {
                let mut axes = values.iter().zip(&known).enumerate();
                axes.all(|(axis, (value, known))| idle & axis_set(axis) != 0 || *value == known)
            })
        };
        let places = self.inner.grid.alike(&values, free, &twins.orders);
        Box::new(places.filter(there).filter(same))
    }

    /// The lowest that exists of the points that agree with one by the grid: where values are still to be chosen, as far as
    /// that is known before.
    fn lowest(&self, twins: &Twins, index: u64) -> u64 {
        let grid = &self.inner.grid;
        let Some(values) = grid.values(index) else {
            return index;
        };
        let idle = twins.idle(|setting| self.value_of(&values, setting));
        if idle == 0 {
            return index;
        }
        let mut all = grid.alike(&values, idle, &twins.orders);
        let first = all.next().unwrap_or(index);
        if grid.exists(first) {
            return first;
        }
        let remembered = || twins.first_there.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = remembered().get(&first) {
            return *found;
        }
        let (looks, found) = (1..)
            .zip(all)
            .find(|(_, of)| grid.exists(*of))
            .unwrap_or((0, index));
        if looks > LOOKS {
            remembered().insert(first, found);
        }
        found
    }

    /// The value of a setting where the axes have these.
    fn value_of(&self, values: &[&Value], setting: Setting) -> Option<Value> {
        match self.axes().iter().position(|axis| axis.setting == setting) {
            Some(axis) => values.get(axis).map(|value| (*value).clone()),
            None => self.fixed(setting),
        }
    }

    /// Returns how many of its points are trained for themselves, as far as that is known before values are chosen; all of
    /// them where it has no twins. Estimated where there are too many points to [count](Self::counts_distinct).
    pub fn distinct_points(&self) -> u64 {
        let Some(twins) = self.twins() else {
            return self.points();
        };
        if !self.counts_distinct() {
            return (self.points() as f64 * self.distinct_share()).round() as u64;
        }
        let own = |index: &u64| self.lowest(twins, *index) == *index;
        match self.is_gated() {
            // What is decided changes which points there are; a gated stage is small.
            true => self.indexes().filter(own).count() as u64,
            false => *twins
                .distinct
                .get_or_init(|| self.indexes().filter(own).count() as u64),
        }
    }

    /// Returns whether the points that are trained for themselves are counted, one by one, and not estimated: whoever shows a
    /// sweep must not hold up the coordinator.
    pub fn counts_distinct(&self) -> bool {
        !self.has_twins() || self.raw_points() <= MAX_COUNTED
    }

    /// Returns the most trials that are trained, as far as that is known; about, where points are not counted.
    pub fn most_trained(&self) -> u64 {
        if !self.has_twins() {
            return self.most_trials();
        }
        let distinct = self.distinct_points() * u64::from(self.repetitions);
        self.most_trials().min(distinct)
    }

    /// The settings that vary and do not matter at some points.
    pub(in crate::sweep) fn idle_settings(&self) -> Vec<Setting> {
        let Some(twins) = self.twins() else {
            return Vec::new();
        };
        let all = twins.aux_weight | twins.steps | twins.dropout | twins.weight_sharing;
        let axes = self.axes().iter().enumerate();
        axes.filter(|(axis, _)| all & axis_set(*axis) != 0)
            .map(|(_, axis)| axis.setting)
            .collect()
    }

    /// About which share of its points is trained for themselves.
    pub(crate) fn distinct_share(&self) -> f64 {
        let Some(twins) = self.twins() else { return 1.0 };
        *twins.share.get_or_init(|| {
            let raw = self.raw_points();
            // Steps that share no period with a grid: an odd number near the golden ratio of 2^64.
            let spread = |step: u64| step.wrapping_mul(0x9E37_79B9_7F4A_7C15) % raw;
            let points: Vec<u64> = match raw {
                0..=SAMPLE => (0..raw).collect(),
                _ => (0..SAMPLE).map(spread).collect(),
            };
            let there: Vec<u64> = points.into_iter().filter(|index| self.has(*index)).collect();
            let own = there
                .iter()
                .filter(|index| self.lowest(twins, **index) == **index);
            own.count().max(1) as f64 / there.len().max(1) as f64
        })
    }

    /// Of points that are compared at once those that count, in order: of twins among them the first.
    pub fn compared(&self, points: &[u64]) -> Vec<u64> {
        if !self.has_twins() {
            return points.to_vec();
        }
        let listed: BTreeSet<u64> = points.iter().copied().collect();
        let first = |index: &&u64| self.alike(**index).find(|of| listed.contains(of)) == Some(**index);
        points.iter().filter(first).copied().collect()
    }

    /// These points and those of `among` that are their twins, in order.
    pub fn with_twins(&self, points: &[u64], among: &[u64]) -> Vec<u64> {
        let mut all: BTreeSet<u64> = points.iter().copied().collect();
        if self.has_twins() {
            let among: BTreeSet<u64> = among.iter().copied().collect();
            let twins = points.iter().flat_map(|index| self.alike(*index));
            all.extend(twins.filter(|index| among.contains(index)));
        }
        all.into_iter().collect()
    }
}
