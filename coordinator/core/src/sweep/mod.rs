//! Sweeps: the file, what is valid in it, its axes and its points.
//!
//! [`Sweep::parse`] reads a sweep file: `document` (TOML with places) → `overrides` → `definition` (keys, kinds,
//! defaults) → `grid` (points by index). `normalise` writes the canonical text that the sweep's id is the hash of.

mod architecture;
mod axis;
mod definition;
mod describe;
mod document;
mod error;
mod grid;
mod grouping;
mod normalise;
mod overrides;
mod selection;
mod together;

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use tenfold_types::network::Architecture;
use tenfold_types::{Data, DeviceKind, Metric, Setting, SweepId, TrialSpec, Value};

pub use axis::Axis;
use definition::{Definition, Places};
pub use error::SweepError;
use error::{Origin, Problem};
use grid::{Grid, GridError, too_many};
pub use grid::{MAX_TRIALS, Point};
pub use grouping::{Grouping, UnknownAxis};

/// The longest sweep file, in bytes.
pub const MAX_TEXT: usize = 256 * 1024;
/// The most overrides.
const MAX_OVERRIDES: usize = 1000;

/// A valid sweep. Cheap to clone; never changes.
#[derive(Debug, Clone)]
pub struct Sweep(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    definition: Definition,
    grid: Grid,
    normalised: String,
    id: SweepId,
    /// What all trials have in common; the rest is as at the first point.
    base: OnceLock<Option<TrialSpec>>,
}

impl PartialEq for Sweep {
    fn eq(&self, other: &Self) -> bool {
        self.0.normalised == other.0.normalised && self.0.definition.name == other.0.definition.name
    }
}

impl Sweep {
    /// Reads a sweep file. `file` is what messages call it; `overrides` are `KEY=VALUE`.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place.
    pub fn parse(
        text: &str,
        file: &str,
        overrides: &[String],
        repetitions: Option<u32>,
    ) -> Result<Self, SweepError> {
        let refuse = |problems| SweepError::new(file, text, overrides, problems);
        let refuse_one = |message: String| refuse(vec![Problem::new(&Origin::Whole, message)]);
        if text.len() > MAX_TEXT {
            return Err(refuse_one(format!(
                "the file has {} bytes; a sweep file has at most {MAX_TEXT}",
                text.len()
            )));
        }
        if overrides.len() > MAX_OVERRIDES {
            return Err(refuse_one(format!(
                "there are {} overrides; at most {MAX_OVERRIDES} are taken",
                overrides.len()
            )));
        }
        let mut document = document::parse(text).map_err(|problem| refuse(vec![problem]))?;
        let problems: Vec<Problem> = overrides
            .iter()
            .enumerate()
            .filter_map(|(number, text)| overrides::apply(&mut document, number, text).err())
            .collect();
        if !problems.is_empty() {
            return Err(refuse(problems));
        }
        if let Some(repetitions) = repetitions {
            overrides::repetitions(&mut document, repetitions);
        }
        let (mut definition, places) = definition::read(&document).map_err(refuse)?;
        if definition.name.is_empty() {
            definition.name = name_of(file);
        }
        let grid = Grid::new(&definition).map_err(|error| refuse(vec![grid_problem(&error, &places)]))?;
        let sweep = Self::build(definition, grid);
        let problems = together::check(&sweep, &places);
        if problems.is_empty() {
            Ok(sweep)
        } else {
            Err(refuse(problems))
        }
    }

    /// The sweep of a normalised text.
    ///
    /// # Errors
    /// When this version cannot read it.
    pub fn from_normalised(name: &str, normalised: &str) -> Result<Self, SweepError> {
        let refuse = |message: String| {
            let problem = Problem::new(&Origin::Whole, message);
            SweepError::new("the normalised text", normalised, &[], vec![problem])
        };
        let definition = normalise::read(name, normalised).map_err(refuse)?;
        let grid = Grid::new(&definition)
            .map_err(|error| refuse(grid_problem(&error, &Places::default()).message))?;
        let sweep = Self::build(definition, grid);
        if sweep.normalised() == normalised {
            Ok(sweep)
        } else {
            Err(refuse(
                "it was written by another version, and reads differently in this one".to_owned(),
            ))
        }
    }

    fn build(definition: Definition, grid: Grid) -> Self {
        let normalised = normalise::write(&definition, &grid);
        let id = SweepId::of(&normalised);
        Self(Arc::new(Inner {
            definition,
            grid,
            normalised,
            id,
            base: OnceLock::new(),
        }))
    }

    /// The canonical text: defaults, comments, name and description left out, overrides included.
    pub fn normalised(&self) -> &str {
        &self.0.normalised
    }

    /// The hash of the normalised text.
    pub fn id(&self) -> SweepId {
        self.0.id
    }

    /// Its label: from the file, else the file's own name.
    pub fn name(&self) -> &str {
        &self.0.definition.name
    }

    /// What the file says it is for.
    pub fn description(&self) -> &str {
        &self.0.definition.description
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
    fn put(&self, spec: &mut TrialSpec, setting: Setting, value: &Value) -> Option<()> {
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

    /// Groups its points: by the values of some axes, or each point by itself when none is named.
    ///
    /// # Errors
    /// A name that is no axis.
    pub fn grouping(&self, by: &[String]) -> Result<Grouping, UnknownAxis> {
        Grouping::new(self.clone(), by)
    }

    /// The plan as text for people.
    pub fn describe(&self) -> String {
        describe::describe(self)
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
    fn values_of(&self, setting: Setting) -> Vec<Value> {
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
    fn networks(&self) -> Vec<(Architecture, bool, bool)> {
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
    fn combinations(
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

/// `configs/figure1.toml` is `figure1`.
fn name_of(file: &str) -> String {
    let base = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let stem = base.strip_suffix(".toml").unwrap_or(base);
    let name: String = stem.chars().filter(|c| !c.is_control()).take(60).collect();
    let name = name.trim();
    if name.is_empty() || name == "last" {
        "sweep".to_owned()
    } else {
        name.to_owned()
    }
}

fn grid_problem(error: &GridError, places: &Places) -> Problem {
    let whole = Origin::Whole;
    let at = |list: &[Origin], number: usize| list.get(number).cloned().unwrap_or(Origin::Whole);
    match error {
        GridError::TooMany(trials) => Problem::new(&places.grid, too_many(*trials)),
        GridError::TooManyChecks(points, blocks) => Problem::new(
            &whole,
            format!(
                "{points} points before exclude and {blocks} [[include]] and [[exclude]] tables are too much together; \
                 write fewer tables with lists of values"
            ),
        ),
        GridError::HalfZipped(number) => Problem::new(
            &at(&places.include, *number),
            "this include names some axes of a zip and not the others; name all of them or none",
        ),
        GridError::NothingNew(number) => Problem::new(
            &at(&places.include, *number),
            "this include adds no point that is not there already",
        ),
        GridError::NoValue(number, setting, value) => Problem::new(
            &at(&places.exclude, *number),
            format!("this exclude names {setting} {value}, a value that no point has"),
        ),
        GridError::MatchesNothing(number) => Problem::new(
            &at(&places.exclude, *number),
            "this exclude matches no point: its values occur, but not together",
        ),
        GridError::Empty => Problem::new(&whole, "every point is excluded; nothing is left to train"),
    }
}
