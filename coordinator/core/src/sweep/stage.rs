//! One step of a sweep, with points of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use tenfold_types::network::Architecture;
use tenfold_types::{Data, DeviceKind, Metric, Setting, TrialSpec, Value};

use super::axis::Axis;
use super::definition::{self, Definition};
use super::error::{Origin, Problem};
use super::gate::{self, Decided, Gate, Passage};
use super::grid::{Grid, Point};
use super::rule::Stages;
use super::taken::Taken;

/// Points that are looked at to count those excluded.
const MAX_LOOKS: u64 = 100_000;

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
}

impl Stage {
    /// With what it takes from stages before it.
    pub(super) fn new(
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
        Ok(Self::bare(name, definition, grid, taken, gate))
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
            inner: Arc::new(Inner {
                taken_by_axis: (0..grid.axes().len()).map(by_axis).collect(),
                definition,
                grid,
                taken,
                gate,
                base: OnceLock::new(),
            }),
            chosen: Arc::default(),
            decided: Arc::default(),
        }
    }

    /// The same with the values that were chosen for a cell of a rule; without, when they are still to be chosen.
    pub(super) fn with(&self, rule: u32, cell: u64, values: Option<Vec<Value>>) -> Self {
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
    pub(super) fn decided(&self, decide: impl FnOnce(&mut Decided)) -> Self {
        let mut decided = Decided::clone(&self.decided);
        decide(&mut decided);
        Self {
            decided: Arc::new(decided),
            ..self.clone()
        }
    }

    /// The same with a name.
    pub(super) fn named(&self, name: &str) -> Self {
        Self {
            name: name.into(),
            ..self.clone()
        }
    }

    /// The same with so many repetitions.
    pub(super) fn repeated(&self, repetitions: u32) -> Self {
        Self {
            repetitions,
            ..self.clone()
        }
    }

    /// The axes whose values it takes from earlier stages.
    pub fn rules(&self) -> &[Taken] {
        &self.inner.taken
    }

    /// What its trials wait for, beside values.
    pub fn gate(&self) -> Option<&Gate> {
        self.inner.gate.as_ref()
    }

    /// The number of its gate among the rules of choices: that behind the last of [`rules`](Self::rules).
    pub fn gate_rule(&self) -> u32 {
        self.inner.taken.len() as u32
    }

    /// Whether its trials depend on what is chosen or decided while the sweep runs.
    pub fn is_gated(&self) -> bool {
        !self.inner.taken.is_empty() || self.inner.gate.is_some()
    }

    /// The repetitions of each point that may be run as soon as the sweep is submitted.
    pub(crate) fn free_repetitions(&self) -> u32 {
        match self.gate() {
            _ if !self.inner.taken.is_empty() => 0,
            Some(Gate::Points(_)) => 0,
            Some(Gate::Repetitions(until)) => until.min,
            None => self.repetitions,
        }
    }

    /// Whether a trial may be run.
    pub fn passage(&self, index: u64, repetition: u32) -> Passage {
        match self.at_gate(index, repetition) {
            Passage::Free if !self.is_resolved(index) => Passage::Waits,
            passage => passage,
        }
    }

    /// Whether a trial may be run, as far as the gate goes.
    pub(super) fn at_gate(&self, index: u64, repetition: u32) -> Passage {
        let passage = self
            .gate()
            .map(|gate| self.decided.passage(gate, index, repetition));
        passage.unwrap_or(Passage::Free)
    }

    /// How often a point is run: as often as the stage says, or no more than was enough.
    pub fn repetitions_of(&self, index: u64) -> u32 {
        self.decided.repetitions(index).unwrap_or(self.repetitions)
    }

    /// How many repetitions a point may have by what was decided so far; none without a gate for them.
    pub(super) fn granted(&self, index: u64) -> Option<u32> {
        match self.gate()? {
            Gate::Points(_) => None,
            Gate::Repetitions(until) => Some(self.decided.granted_now(until, index)),
        }
    }

    /// Whether a point goes on or is left out by what was decided at the gate.
    pub(crate) fn is_decided(&self, index: u64) -> bool {
        self.gate().is_some_and(|gate| self.decided.has(gate, index))
    }

    /// Whether it may still come to fewer trials than it has now, by what is decided at its gate.
    pub fn may_shrink(&self) -> bool {
        self.gate().is_some() && self.indexes().any(|index| !self.is_decided(index))
    }

    /// The most points that are run, as far as that is known.
    pub fn most_points(&self) -> u64 {
        match self.gate() {
            Some(Gate::Points(rung)) => rung.most().min(self.points()),
            _ => self.points(),
        }
    }

    /// The most trials that are run, as far as that is known.
    pub fn most_trials(&self) -> u64 {
        self.trials()
            .min(self.most_points() * u64::from(self.repetitions))
    }

    /// How often each point is run at least, where repetitions are added by need.
    pub fn min_repetitions(&self) -> Option<u32> {
        match self.gate() {
            Some(Gate::Repetitions(until)) => Some(until.min),
            _ => None,
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
    pub(super) fn paired_by(&self, index: u64) -> Vec<(Setting, Value)> {
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
    pub(super) fn common_metrics(&self) -> Vec<Metric> {
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

    pub(super) fn definition(&self) -> &Definition {
        &self.inner.definition
    }

    pub(super) fn grid(&self) -> &Grid {
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
    pub(super) fn raw_trials(&self) -> Option<u64> {
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

    /// The columns of the curves of a point; none for a point that is not there.
    /// Known before all of its values are: none that is taken from another stage has a say in them.
    pub fn metrics(&self, index: u64) -> Vec<Metric> {
        let spec = || {
            let known = self.known_values(index)?;
            let mut spec = self.inner.base.get_or_init(|| self.first_spec()).clone()?;
            for (axis, value) in self.axes().iter().zip(known) {
                if let Some(value) = value {
                    self.put(&mut spec, axis.setting, value)?;
                }
            }
            Some(spec)
        };
        spec().map(|spec| spec.metrics()).unwrap_or_default()
    }

    /// A trial as a trainer needs it; none as long as one of its values is still to be chosen.
    pub fn spec(&self, index: u64, repetition: u32) -> Option<TrialSpec> {
        let values = self.values(index)?;
        let base = self.inner.base.get_or_init(|| self.first_spec()).as_ref()?;
        let mut spec = TrialSpec {
            repetition,
            ..base.clone()
        };
        for (axis, value) in self.axes().iter().zip(values) {
            self.put(&mut spec, axis.setting, value)?;
        }
        Some(spec)
    }

    fn first_spec(&self) -> Option<TrialSpec> {
        let point = self.point(self.first_in_grid(0)?)?;
        let Value::Text(name) = self.value(&point, Setting::Architecture)? else {
            return None;
        };
        let mut spec = TrialSpec {
            epochs: self.epochs(),
            data: self.data(),
            seed: self.seed(),
            ..TrialSpec::with_defaults(self.architecture(&name)?)
        };
        for &setting in Setting::ALL
            .iter()
            .filter(|&&setting| setting != Setting::Architecture)
        {
            self.put(&mut spec, setting, &self.value(&point, setting)?)?;
        }
        Some(spec)
    }

    /// The value of a setting at a point: from its axes, else fixed, else the default.
    fn value(&self, point: &Point, setting: Setting) -> Option<Value> {
        let of_axis = point.values.iter().find(|(axis, _)| *axis == setting);
        of_axis
            .map(|(_, value)| value.clone())
            .or_else(|| self.fixed(setting))
    }

    /// Sets a setting of a trial; none for a value that is not of its kind.
    pub(super) fn put(&self, spec: &mut TrialSpec, setting: Setting, value: &Value) -> Option<()> {
        match (setting, value) {
            (Setting::Architecture, Value::Text(name)) => spec.architecture = self.architecture(name)?,
            (Setting::WeightSharing, Value::Bool(value)) => spec.weight_sharing = *value,
            (Setting::AuxiliaryLoss, Value::Bool(value)) => spec.auxiliary_loss = *value,
            (Setting::AuxWeight, Value::Float(value)) => spec.aux_weight = *value,
            (Setting::Join, Value::Text(value)) => spec.join = value.parse().ok()?,
            (Setting::LearningRate, Value::Float(value)) => spec.learning_rate = *value,
            (Setting::BatchSize, Value::Int(value)) => spec.batch_size = u32::try_from(*value).ok()?,
            (Setting::Optimizer, Value::Text(value)) => spec.optimizer = value.parse().ok()?,
            (Setting::Loss, Value::Text(value)) => spec.loss = value.parse().ok()?,
            (Setting::Dropout, Value::Float(value)) => spec.dropout = *value,
            (Setting::Head, Value::Text(value)) => spec.head = value.parse().ok()?,
            (Setting::Momentum, Value::Float(value)) => spec.momentum = *value,
            (Setting::Nesterov, Value::Bool(value)) => spec.nesterov = *value,
            (Setting::WeightDecay, Value::Float(value)) => spec.weight_decay = *value,
            (Setting::Schedule, Value::Text(value)) => spec.schedule = value.parse().ok()?,
            (Setting::StepEpochs, Value::Int(value)) => spec.step_epochs = u32::try_from(*value).ok()?,
            (Setting::StepFactor, Value::Float(value)) => spec.step_factor = *value,
            (Setting::WarmUp, Value::Int(value)) => spec.warm_up = u32::try_from(*value).ok()?,
            _ => return None,
        }
        Some(())
    }

    /// The values of a point that decide its trials' shape, for those of its axes that have a say in it: trials of
    /// points that agree in them are of one shape. None for a point that is not there.
    pub(crate) fn shaping(&self, index: u64) -> Option<Vec<&Value>> {
        let axes = self.axes().iter().zip(self.values(index)?);
        Some(
            axes.filter(|(axis, _)| decides_shape(axis.setting))
                .map(|(_, value)| value)
                .collect(),
        )
    }

    fn architecture(&self, name: &str) -> Option<Architecture> {
        let defined = self
            .inner
            .definition
            .architectures
            .iter()
            .find(|architecture| architecture.name == name);
        defined.cloned().or_else(|| Architecture::named(name))
    }

    /// All values that a setting takes at some point.
    pub(super) fn values_of(&self, setting: Setting) -> Vec<Value> {
        if let Some(taken) = self.inner.taken.iter().find(|taken| taken.setting == setting) {
            return taken.possible().to_vec();
        }
        if self.axes().iter().any(|axis| axis.setting == setting) {
            return self.inner.grid.values_of(setting);
        }
        self.fixed(setting).into_iter().collect()
    }

    /// The networks that occur, with each of the switches that decide their shapes.
    pub(super) fn networks(&self) -> Vec<(Architecture, bool, bool)> {
        let mut networks = Vec::new();
        for name in self.values_of(Setting::Architecture) {
            for sharing in self.values_of(Setting::WeightSharing) {
                for auxiliary in self.values_of(Setting::AuxiliaryLoss) {
                    if let (Value::Text(name), Value::Bool(sharing), Value::Bool(auxiliary)) =
                        (&name, &sharing, &auxiliary)
                        && let Some(architecture) = self.architecture(name)
                    {
                        networks.push((architecture, *sharing, *auxiliary));
                    }
                }
            }
        }
        networks
    }

    /// Which combinations of these settings some point has, each value as the number that `number` gives it, fixed ones 0.
    /// Only looks at so many points as it takes to find `most` of them.
    pub(super) fn combinations(
        &self,
        settings: &[Setting],
        most: usize,
        number: impl Fn(usize, &Value) -> usize,
    ) -> BTreeSet<Vec<usize>> {
        let axis = |setting: &Setting| self.axes().iter().position(|axis| axis.setting == *setting);
        let axes: Vec<Option<usize>> = settings.iter().map(axis).collect();
        let mut found = BTreeSet::new();
        // A value that is still to be chosen may be any of those, of which few mean something else.
        let possible: Vec<Option<Vec<usize>>> = axes
            .iter()
            .enumerate()
            .map(|(at, axis)| {
                let taken = self.inner.taken.iter().find(|taken| Some(taken.axis) == *axis)?;
                let numbers: BTreeSet<usize> =
                    taken.possible().iter().map(|value| number(at, value)).collect();
                Some(numbers.into_iter().collect())
            })
            .collect();
        for values in (0..self.raw_points()).filter_map(|index| self.inner.grid.values(index)) {
            let mut combinations = vec![Vec::new()];
            for (at, axis) in axes.iter().enumerate() {
                let of_point = || vec![axis.map_or(0, |axis| number(at, values[axis]))];
                let numbers = possible[at].clone().unwrap_or_else(of_point);
                let longer = combinations.iter().flat_map(|combination: &Vec<usize>| {
                    let with = |&number: &usize| combination.iter().copied().chain([number]).collect();
                    numbers.iter().map(with).collect::<Vec<Vec<usize>>>()
                });
                combinations = longer.collect();
            }
            found.extend(combinations);
            if found.len() >= most {
                break;
            }
        }
        found
    }
}

/// Whether a setting is part of [`TrialSpec::shape`]. One that is not may differ within a pack.
fn decides_shape(setting: Setting) -> bool {
    match setting {
        Setting::Architecture
        | Setting::WeightSharing
        | Setting::Join
        | Setting::Head
        | Setting::BatchSize
        | Setting::Optimizer
        | Setting::Nesterov
        | Setting::Loss => true,
        Setting::AuxiliaryLoss
        | Setting::AuxWeight
        | Setting::LearningRate
        | Setting::Dropout
        | Setting::Momentum
        | Setting::WeightDecay
        | Setting::Schedule
        | Setting::StepEpochs
        | Setting::StepFactor
        | Setting::WarmUp => false,
    }
}
