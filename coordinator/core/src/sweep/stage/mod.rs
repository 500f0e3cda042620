//! One step of a sweep, with points of its own.

mod gated;
mod planned;
mod spec;
mod twins;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use tenfold_types::{Data, DeviceKind, Metric, Setting, TrialSpec, Value};

use super::axis::Axis;
use super::definition::{self, Definition};
use super::error::{Origin, Problem};
use super::gate::{self, Decided, Gate};
use super::grid::{Grid, Point};
use super::rule::Stages;
use super::taken::Taken;
pub use planned::Look;
use twins::Twins;

/// Points that are looked at to count those excluded.
const MAX_LOOKS: u64 = 100_000;

/// The first repetition of those that confirm: above the most of any stage.
pub const CONFIRMING: u32 = definition::MAX_REPETITIONS as u32;

/// The values that were chosen, by rule and cell.
type Chosen = BTreeMap<(u32, u64), Arc<[Value]>>;

/// A stage of a sweep. Cheap to clone; never changes but by [`Sweep::with`](super::Sweep::with) and
/// [`Sweep::extended`](super::Sweep::extended), which give another.
#[derive(Debug, Clone)]
pub struct Stage {
    inner: Arc<Inner>,
    name: Arc<str>,
    /// As many as its definition says, or more.
    repetitions: u32,
    /// As many as were planned before anybody could have seen a result.
    planned: u32,
    /// Extensions beyond those.
    looks: Arc<[Look]>,
    /// For each rule and cell the values that were chosen.
    chosen: Arc<Chosen>,
    decided: Arc<Decided>,
}

#[derive(Debug)]
struct Inner {
    definition: Definition,
    grid: Grid,
    /// Axes whose values are taken from earlier stages.
    taken: Vec<Taken>,
    /// For each axis which of these it is.
    taken_by_axis: Vec<Option<u32>>,
    gate: Option<Gate>,
    /// What all trials have in common; the rest is as at the first point.
    base: OnceLock<Option<TrialSpec>>,
    /// Which points come to the same; none where all settings that vary matter everywhere.
    twins: OnceLock<Option<Twins>>,
}

impl Stage {
    /// With what it takes from stages before it.
    pub(in crate::sweep) fn new(
        name: String,
        definition: Definition,
        grid: Grid,
        stages: Stages<'_>,
    ) -> Result<Self, Problem> {
        let bare = Self::bare(name.clone(), definition.clone(), grid.clone(), Vec::new(), None);
        let mut taken = Vec::new();
        for (&setting, draft) in &definition.rules {
            let rule = draft.resolve(setting, stages)?;
            let source = &stages.earlier[rule.source as usize];
            let Some(axis) = grid.axes().iter().position(|axis| axis.setting == setting) else {
                continue;
            };
            taken.push(Taken::new(&bare, (axis, setting), rule, source, draft.at())?);
        }
        if taken.is_empty() && definition.rung.is_none() && definition.until.is_none() {
            return Ok(bare);
        }
        let refused = |at: &Origin| {
            let at = at.clone();
            move |message: String| Problem::new(&at, message)
        };
        let gate = match (&definition.rung, &definition.until) {
            (Some((rung, at)), _) => {
                let rung = rung.resolve(&bare, stages.earlier).map_err(refused(at))?;
                Some(Gate::Points(rung))
            }
            (None, Some((until, at))) => Some(bare.until(*until).map_err(refused(at))?),
            (None, None) => None,
        };
        let stage = Self::bare(name, definition, grid, taken, gate);
        if let Some(at) = stage.definition().confirm.clone() {
            stage.check_confirms(stages.earlier).map_err(refused(&at))?;
        }
        Ok(stage)
    }

    /// Checks that nothing that it takes descends from a stage that has confirmed it already.
    fn check_confirms(&self, earlier: &[Self]) -> Result<(), String> {
        let sources = |stage: &Self| {
            let gate = match stage.gate() {
                Some(Gate::Points(rung)) => Some(rung.source),
                Some(Gate::Repetitions(_)) | None => None,
            };
            let taken = stage.rules().iter().map(|taken| taken.rule.source);
            taken.chain(gate).collect::<Vec<u32>>()
        };
        // Sources come before what takes from them, so there is an end.
        let mut behind = sources(self);
        while let Some(number) = behind.pop() {
            let Some(source) = earlier.get(number as usize) else {
                continue;
            };
            if source.confirms() {
                return Err(format!(
                    "what is taken here descends from stage {}, which has confirmed it: its repetitions are seen, and none are left \
                     that no choice has seen; write repetitions = n, or take the value from a stage before that one",
                    source.name()
                ));
            }
            behind.extend(sources(source));
        }
        Ok(())
    }

    /// Further repetitions, if the points of this stage can be looked at so.
    fn until(&self, until: gate::Until) -> Result<Gate, String> {
        if self.raw_points() > gate::MAX_POINTS {
            return Err(format!(
                "there are {} points before exclude; {} at most are possible where repetitions are added by need",
                self.raw_points(),
                gate::MAX_POINTS
            ));
        }
        if until.epoch > self.epochs() {
            return Err(format!(
                "there are {} epochs, and no epoch {}",
                self.epochs(),
                until.epoch
            ));
        }
        let metrics = self.common_metrics();
        if !metrics.contains(&until.metric) {
            let known: Vec<String> = metrics.iter().map(Metric::to_string).collect();
            return Err(format!(
                "{} is not measured at every point; what is: {}",
                until.metric,
                known.join(", ")
            ));
        }
        Ok(Gate::Repetitions(until))
    }

    fn bare(name: String, definition: Definition, grid: Grid, taken: Vec<Taken>, gate: Option<Gate>) -> Self {
        let by_axis = |axis| {
            (0..)
                .zip(&taken)
                .find(|(_, taken)| taken.axis == axis)
                .map(|(rule, _)| rule)
        };
        Self {
            name: name.into(),
            repetitions: definition.repetitions,
            planned: definition.repetitions,
            looks: Arc::default(),
            inner: Arc::new(Inner {
                taken_by_axis: (0..grid.axes().len()).map(by_axis).collect(),
                definition,
                grid,
                taken,
                gate,
                base: OnceLock::new(),
                twins: OnceLock::new(),
            }),
            chosen: Arc::default(),
            decided: Arc::default(),
        }
    }

    /// The same with the values that were chosen for a cell of a rule; without, when they are still to be chosen.
    pub(in crate::sweep) fn with(&self, rule: u32, cell: u64, values: Option<Vec<Value>>) -> Self {
        let mut chosen = Chosen::clone(&self.chosen);
        match values {
            Some(values) => _ = chosen.insert((rule, cell), values.into()),
            None => _ = chosen.remove(&(rule, cell)),
        }
        Self {
            chosen: Arc::new(chosen),
            ..self.clone()
        }
    }

    /// The same with what was decided at its gate.
    pub(in crate::sweep) fn decided(&self, decide: impl FnOnce(&mut Decided)) -> Self {
        let mut decided = Decided::clone(&self.decided);
        decide(&mut decided);
        Self {
            decided: Arc::new(decided),
            ..self.clone()
        }
    }

    /// The same with a name.
    pub(in crate::sweep) fn named(&self, name: &str) -> Self {
        Self {
            name: name.into(),
            ..self.clone()
        }
    }

    /// Whether the values of a setting are taken from an earlier stage.
    pub fn is_taken(&self, setting: Setting) -> bool {
        self.inner.taken.iter().any(|taken| taken.setting == setting)
    }

    /// Whether one value of a setting, for each cell, is.
    pub fn is_one_taken(&self, setting: Setting) -> bool {
        let one = |taken: &Taken| taken.setting == setting && taken.rule.refine.is_none();
        self.inner.taken.iter().any(one)
    }

    /// The values of a point by which it is paired with others: those of its axes, but of one that is taken from another stage its
    /// place among those around the chosen one, and nothing where it is that one alone.
    pub(in crate::sweep) fn paired_by(&self, index: u64) -> Vec<(Setting, Value)> {
        let values = self.inner.grid.values(index).unwrap_or_default();
        let axes = self.axes().iter().zip(values);
        axes.filter(|(axis, _)| !self.is_one_taken(axis.setting))
            .map(|(axis, value)| (axis.setting, value.clone()))
            .collect()
    }

    /// The cell of a point for one of [`rules`](Self::rules); none when there is no such rule or point.
    pub fn cell(&self, rule: u32, index: u64) -> Option<u64> {
        let taken = self.inner.taken.get(rule as usize)?;
        taken.cell(|setting| self.value_at(index, setting))
    }

    /// Whether all values of a point are known.
    pub fn is_resolved(&self, index: u64) -> bool {
        let known = |rule: u32| {
            let cell = self.cell(rule, index);
            cell.is_some_and(|cell| self.chosen.contains_key(&(rule, cell)))
        };
        (0..).take(self.inner.taken.len()).all(known)
    }

    /// The values of a point, those that are still to be chosen as none, in the order of the axes.
    fn known_values(&self, index: u64) -> Option<Vec<Option<&Value>>> {
        let values = self.inner.grid.values(index)?;
        let known = values.into_iter().enumerate().map(|(axis, value)| {
            let Some(rule) = self.inner.taken_by_axis[axis] else {
                return Some(value);
            };
            let Value::Int(place) = value else { return None };
            let cell = self.cell(rule, index)?;
            self.chosen.get(&(rule, cell))?.get(*place as usize)
        });
        Some(known.collect())
    }

    /// The values of a point, in the order of the axes; none when there is no such point, or one of them is still to be chosen.
    fn values(&self, index: u64) -> Option<Vec<&Value>> {
        if self.inner.taken.is_empty() {
            return self.inner.grid.values(index);
        }
        self.known_values(index)?.into_iter().collect()
    }

    /// The value of a setting at a point, varied or fixed; none where it is still to be chosen, or there is no such point.
    pub(crate) fn value_at(&self, index: u64, setting: Setting) -> Option<Value> {
        let axis = self.axes().iter().position(|axis| axis.setting == setting);
        match axis {
            Some(axis) if self.inner.definition.rules.contains_key(&setting) => {
                self.known_values(index)?[axis].cloned()
            }
            Some(axis) => Some(self.inner.grid.values(index)?[axis].clone()),
            None => self.fixed(setting),
        }
    }

    fn fixed(&self, setting: Setting) -> Option<Value> {
        let fixed = self.inner.definition.settings.get(&setting).cloned();
        fixed.or_else(|| definition::default(setting))
    }

    /// The metrics that the curves of all its points have.
    pub(in crate::sweep) fn common_metrics(&self) -> Vec<Metric> {
        let mut common: Option<Vec<Metric>> = None;
        for (architecture, _, auxiliary) in self.networks() {
            let spec = TrialSpec {
                auxiliary_loss: auxiliary,
                ..TrialSpec::with_defaults(architecture)
            };
            let metrics = spec.metrics();
            match &mut common {
                Some(common) => common.retain(|metric| metrics.contains(metric)),
                None => common = Some(metrics),
            }
        }
        common.unwrap_or_default()
    }

    /// Its name; empty for the one stage of a sweep without any.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::sweep) fn definition(&self) -> &Definition {
        &self.inner.definition
    }

    pub(in crate::sweep) fn grid(&self) -> &Grid {
        &self.inner.grid
    }

    /// What data, weights and order of every repetition come from.
    pub fn seed(&self) -> u64 {
        self.inner.definition.seed
    }

    /// How often each point is run.
    pub fn repetitions(&self) -> u32 {
        self.repetitions
    }

    /// Whether it trains chosen values on repetitions that no choice has seen.
    pub fn confirms(&self) -> bool {
        self.inner.definition.confirm.is_some()
    }

    /// The number by which repetition `repetition` of its trials is trained: data, weights and order follow from it. Repetitions
    /// that confirm are above all that other stages can have.
    pub fn trained_as(&self, repetition: u32) -> u32 {
        match self.confirms() {
            true => CONFIRMING.saturating_add(repetition),
            false => repetition,
        }
    }

    /// Epochs that each trial trains.
    pub fn epochs(&self) -> u32 {
        self.inner.definition.epochs
    }

    /// The pairs.
    pub fn data(&self) -> Data {
        self.inner.definition.data
    }

    /// The only kind of device that may train it, if it says so.
    pub fn required_device(&self) -> Option<DeviceKind> {
        self.inner.definition.device
    }

    /// Its axes, in the order of the file: the first varies slowest.
    pub fn axes(&self) -> &[Axis] {
        self.inner.grid.axes()
    }

    /// Indexes of the raw grid, before `exclude`.
    pub fn raw_points(&self) -> u64 {
        self.inner.grid.raw()
    }

    /// Points that are there: neither excluded nor left out.
    pub fn points(&self) -> u64 {
        self.inner.grid.points() - self.decided.out()
    }

    /// Indexes of the raw grid × repetitions; none beyond 64 bits.
    pub(in crate::sweep) fn raw_trials(&self) -> Option<u64> {
        self.raw_points().checked_mul(self.repetitions().into())
    }

    /// Points × repetitions, but for those that are left out.
    pub fn trials(&self) -> u64 {
        self.points() * u64::from(self.repetitions()) - self.decided.closed()
    }

    /// The point at an index of the raw grid, without values that are still to be chosen; none when there is none, or it is
    /// excluded.
    pub fn point(&self, index: u64) -> Option<Point> {
        if self.inner.taken.is_empty() {
            return self.inner.grid.point(index);
        }
        let axes = self.axes().iter().zip(self.known_values(index)?);
        let values = axes.filter_map(|(axis, value)| Some((axis.setting, value?.clone())));
        Some(Point {
            index,
            values: values.collect(),
        })
    }

    /// Whether there is a point at an index of the raw grid, which is not left out.
    pub fn has(&self, index: u64) -> bool {
        self.inner.grid.exists(index) && !self.decided.is_out(index)
    }

    /// The index of the first point from this one on.
    pub fn first_point(&self, from: u64) -> Option<u64> {
        let points = std::iter::successors(self.first_in_grid(from), |index| self.first_in_grid(index + 1));
        points.into_iter().find(|index| !self.decided.is_out(*index))
    }

    /// The index of the first point from this one on, left out or not.
    pub(crate) fn first_in_grid(&self, from: u64) -> Option<u64> {
        self.inner.grid.first(from)
    }

    /// How many of the first so many trials, repetition by repetition, are excluded; about, where the grid is large.
    pub(crate) fn excluded_before(&self, trials: u64) -> u64 {
        let (raw, excluded) = (self.raw_points(), self.raw_points() - self.inner.grid.points());
        if excluded == 0 {
            return 0;
        }
        let (whole, rest) = (trials / raw, trials % raw);
        let of_rest = match rest {
            0..=MAX_LOOKS => (0..rest).filter(|index| !self.inner.grid.exists(*index)).count() as u64,
            _ => (u128::from(rest) * u128::from(excluded) / u128::from(raw)) as u64,
        };
        whole * excluded + of_rest
    }

    /// The indexes of all points, in order.
    pub fn indexes(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::successors(self.first_point(0), |index| self.first_point(index + 1))
    }
}
