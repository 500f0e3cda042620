//! The trials of a stage as trainers need them, and the networks among them.

use std::collections::BTreeSet;

use tenfold_types::network::Architecture;
use tenfold_types::{Metric, Setting, TrialSpec, Value};

use super::super::grid::Point;
use super::Stage;

impl Stage {
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

    /// Returns a trial as a trainer needs it, in its [canonical](TrialSpec::canonical) form; `None` as long as one of its values
    /// is still to be chosen.
    pub fn spec(&self, index: u64, repetition: u32) -> Option<TrialSpec> {
        let values = self.values(index)?;
        let base = self.inner.base.get_or_init(|| self.first_spec()).as_ref()?;
        let mut spec = TrialSpec {
            repetition: self.trained_as(repetition),
            ..base.clone()
        };
        for (axis, value) in self.axes().iter().zip(values) {
            self.put(&mut spec, axis.setting, value)?;
        }
        Some(spec.canonical())
    }

    /// Returns the points whose trials no point before them in the list has too: of points that are the same network with the
    /// same settings the first. Points with a value that is still to be chosen are all distinct.
    pub fn distinct(&self, points: &[u64]) -> Vec<u64> {
        if !self.has_twins() {
            return points.to_vec();
        }
        let mut seen = BTreeSet::new();
        let is_new = |index: &&u64| match self.spec(**index, 0) {
            // Plain data with finite numbers: there is nothing that JSON could refuse.
            Some(spec) => seen.insert(serde_json::to_string(&spec).unwrap_or_default()),
            None => true,
        };
        points.iter().filter(is_new).copied().collect()
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
    pub(in crate::sweep) fn put(&self, spec: &mut TrialSpec, setting: Setting, value: &Value) -> Option<()> {
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

    pub(super) fn architecture(&self, name: &str) -> Option<Architecture> {
        let defined = self
            .inner
            .definition
            .architectures
            .iter()
            .find(|architecture| architecture.name == name);
        defined.cloned().or_else(|| Architecture::named(name))
    }

    /// All values that a setting takes at some point.
    pub(in crate::sweep) fn values_of(&self, setting: Setting) -> Vec<Value> {
        if let Some(taken) = self.inner.taken.iter().find(|taken| taken.setting == setting) {
            return taken.possible().to_vec();
        }
        if self.axes().iter().any(|axis| axis.setting == setting) {
            return self.inner.grid.values_of(setting);
        }
        self.fixed(setting).into_iter().collect()
    }

    /// The networks that occur, with each of the switches that decide their shapes.
    pub(in crate::sweep) fn networks(&self) -> Vec<(Architecture, bool, bool)> {
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
    pub(in crate::sweep) fn combinations(
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
