//! One step of a sweep, with points of its own.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use tenfold_types::network::Architecture;
use tenfold_types::{Data, DeviceKind, Metric, Setting, TrialSpec, Value};

use super::axis::Axis;
use super::definition::{self, Definition};
use super::grid::{Grid, Point};

/// A stage of a sweep. Cheap to clone; never changes.
#[derive(Debug, Clone)]
pub struct Stage(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    definition: Definition,
    grid: Grid,
    /// What all trials have in common; the rest is as at the first point.
    base: OnceLock<Option<TrialSpec>>,
}

impl Stage {
    pub(super) fn new(name: String, definition: Definition, grid: Grid) -> Self {
        Self(Arc::new(Inner {
            name,
            definition,
            grid,
            base: OnceLock::new(),
        }))
    }

    /// Its name; empty for the one stage of a sweep without any.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub(super) fn definition(&self) -> &Definition {
        &self.0.definition
    }

    pub(super) fn grid(&self) -> &Grid {
        &self.0.grid
    }

    /// What data, weights and order of every repetition come from.
    pub fn seed(&self) -> u64 {
        self.0.definition.seed
    }

    /// How often each point is run.
    pub fn repetitions(&self) -> u32 {
        self.0.definition.repetitions
    }

    /// Epochs that each trial trains.
    pub fn epochs(&self) -> u32 {
        self.0.definition.epochs
    }

    /// The pairs.
    pub fn data(&self) -> Data {
        self.0.definition.data
    }

    /// The only kind of device that may train it, if it says so.
    pub fn required_device(&self) -> Option<DeviceKind> {
        self.0.definition.device
    }

    /// Its axes, in the order of the file: the first varies slowest.
    pub fn axes(&self) -> &[Axis] {
        self.0.grid.axes()
    }

    /// Indexes of the raw grid, before `exclude`.
    pub fn raw_points(&self) -> u64 {
        self.0.grid.raw()
    }

    /// Points that are there.
    pub fn points(&self) -> u64 {
        self.0.grid.points()
    }

    /// Indexes of the raw grid × repetitions; none beyond 64 bits.
    pub(super) fn raw_trials(&self) -> Option<u64> {
        self.raw_points().checked_mul(self.repetitions().into())
    }

    /// Points × repetitions.
    pub fn trials(&self) -> u64 {
        self.points() * u64::from(self.repetitions())
    }

    /// The point at an index of the raw grid; none when there is none, or it is excluded.
    pub fn point(&self, index: u64) -> Option<Point> {
        self.0.grid.point(index)
    }

    /// The index of the first point from this one on.
    pub fn first_point(&self, from: u64) -> Option<u64> {
        self.0.grid.first(from)
    }

    /// The indexes of all points, in order.
    pub fn indexes(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::successors(self.first_point(0), |index| self.first_point(index + 1))
    }

    /// The columns of the curves of a point; none for a point that is not there.
    pub fn metrics(&self, index: u64) -> Vec<Metric> {
        self.spec(index, 0).map(|spec| spec.metrics()).unwrap_or_default()
    }

    /// A trial as a trainer needs it.
    pub fn spec(&self, index: u64, repetition: u32) -> Option<TrialSpec> {
        let values = self.0.grid.values(index)?;
        let base = self.0.base.get_or_init(|| self.first_spec()).as_ref()?;
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
        let point = self.point(self.first_point(0)?)?;
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
            .map(|(_, value)| value)
            .or_else(|| self.0.definition.settings.get(&setting))
            .cloned()
            .or_else(|| definition::default(setting))
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
        let values = self.0.grid.values(index)?;
        let axes = self.axes().iter().zip(values);
        Some(
            axes.filter(|(axis, _)| decides_shape(axis.setting))
                .map(|(_, value)| value)
                .collect(),
        )
    }

    fn architecture(&self, name: &str) -> Option<Architecture> {
        let defined = self
            .0
            .definition
            .architectures
            .iter()
            .find(|architecture| architecture.name == name);
        defined.cloned().or_else(|| Architecture::named(name))
    }

    /// All values that a setting takes at some point.
    pub(super) fn values_of(&self, setting: Setting) -> Vec<Value> {
        if self.axes().iter().any(|axis| axis.setting == setting) {
            return self.0.grid.values_of(setting);
        }
        let fixed = self.0.definition.settings.get(&setting).cloned();
        fixed
            .or_else(|| definition::default(setting))
            .into_iter()
            .collect()
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
        for values in (0..self.raw_points()).filter_map(|index| self.0.grid.values(index)) {
            let of_axis =
                |(at, axis): (usize, &Option<usize>)| axis.map_or(0, |axis| number(at, values[axis]));
            found.insert(axes.iter().enumerate().map(of_axis).collect());
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
