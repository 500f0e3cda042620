//! Sweeps: the file, what is valid in it, its axes and its points.
//!
//! [`Sweep::parse`] reads a sweep file: `document` (TOML with places) → `overrides` → `stages` (a document for
//! each) → `definition` (keys, kinds, defaults; `sample` draws values; `repetitions`, where they are added by need) → `grid`
//! (points by index), `rule` (values that a stage takes from an earlier one: `taken` has the cells for which they are chosen)
//! and `stop` (a search that stops early becomes a stage for each rung; `gate` has what their trials wait for). `choices` has
//! what is chosen and decided while the sweep runs. `normalise` writes the canonical text that the sweep's id is the hash of.

mod architecture;
mod axis;
mod choices;
mod definition;
mod describe;
mod document;
mod error;
mod extension;
mod gate;
mod grid;
mod grouping;
mod hypothesis;
mod judging;
mod normalise;
mod overrides;
mod repetitions;
mod rule;
mod sample;
mod selection;
mod sobol;
mod stage;
mod stages;
mod stop;
mod taken;
mod together;

use std::sync::Arc;

use tenfold_types::{Data, DeviceKind, Metric, Setting, SweepId, TrialKey, TrialSpec, Value};

pub use axis::Axis;
pub use choices::{ChoiceId, Chooses};
use definition::Places;
pub use error::SweepError;
use error::{Origin, Problem};
pub use extension::{Around, Extension};
pub use gate::{CoverageAtStop, FEW_REPETITIONS, Gate, Passage, Rung, StopRule, Until, coverage_at_stop};
use grid::{Grid, GridError, too_many};
pub use grid::{MAX_TRIALS, Point};
pub use grouping::{GroupId, Grouping, UnknownAxis};
pub use hypothesis::{Claim, Hypothesis};
pub use judging::{Family, Missing};
use rule::Stages;
pub use rule::{Criterion, Refine, Rule};
pub use stage::{CONFIRMING, Look, Stage};
pub use taken::Taken;

/// The longest sweep file, in bytes.
pub const MAX_TEXT: usize = 256 * 1024;
/// The most overrides.
const MAX_OVERRIDES: usize = 1000;

/// A valid sweep. Cheap to clone; never changes.
#[derive(Debug, Clone)]
pub struct Sweep(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    description: String,
    stages: Vec<Stage>,
    hypotheses: Vec<Hypothesis>,
    normalised: Arc<str>,
    id: SweepId,
}

impl PartialEq for Sweep {
    fn eq(&self, other: &Self) -> bool {
        self.0.normalised == other.0.normalised && self.0.name == other.0.name
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
        let (mut stages, mut problems, mut name, mut description) =
            (Vec::new(), Vec::new(), String::new(), String::new());
        let names = stages::names(&document);
        for part in stages::parts(&document).map_err(refuse)? {
            match part.read(&stages, &names, problems.is_empty()) {
                Ok(rungs) => {
                    for stage in rungs {
                        name.clone_from(&stage.definition().name);
                        description.clone_from(&stage.definition().description);
                        stages.push(stage);
                    }
                }
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(refuse(problems));
        }
        if stages.len() > stages::MAX_STAGES {
            return Err(refuse_one(format!(
                "there are {} stages, rungs of searches that stop early included; at most {} are possible",
                stages.len(),
                stages::MAX_STAGES
            )));
        }
        let trials = stages
            .iter()
            .try_fold(0u64, |sum, stage| sum.checked_add(stage.raw_trials()?));
        if trials.is_none_or(|trials| trials > MAX_TRIALS) {
            return Err(refuse_one(too_many(trials)));
        }
        let hypotheses = hypothesis::read(&document, &stages).map_err(refuse)?;
        if name.is_empty() {
            name = name_of(file);
        }
        Ok(Self::build(name, description, stages, hypotheses))
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
        let mut stages = Vec::new();
        let (definitions, hypotheses) = normalise::read(name, normalised).map_err(refuse)?;
        for (stage, definition) in definitions {
            let grid = Grid::new(&definition)
                .map_err(|error| refuse(grid_problem(&error, &Places::default()).message))?;
            let before = Stages {
                earlier: &stages,
                all: &[],
                this: &stage,
            };
            let stage = Stage::new(stage.clone(), definition, grid, before)
                .map_err(|problem| refuse(problem.message))?;
            stages.push(stage);
        }
        if stages.is_empty() {
            return Err(refuse("it has no stage".to_owned()));
        }
        let sweep = Self::build(name.to_owned(), String::new(), stages, hypotheses);
        if sweep.normalised() == normalised {
            Ok(sweep)
        } else {
            Err(refuse(
                "it was written by another version, and reads differently in this one".to_owned(),
            ))
        }
    }

    /// Of one stage at least.
    fn build(name: String, description: String, stages: Vec<Stage>, hypotheses: Vec<Hypothesis>) -> Self {
        let normalised = normalise::write(&stages, &hypotheses);
        let id = SweepId::of(&normalised);
        Self(Arc::new(Inner {
            name,
            description,
            stages,
            hypotheses,
            normalised: normalised.into(),
            id,
        }))
    }

    /// The same sweep, by text and id, as these stages have it.
    fn of_stages(&self, stages: Vec<Stage>) -> Self {
        Self(Arc::new(Inner {
            name: self.0.name.clone(),
            description: self.0.description.clone(),
            stages,
            hypotheses: self.0.hypotheses.clone(),
            normalised: Arc::clone(&self.0.normalised),
            id: self.0.id,
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
        &self.0.name
    }

    /// What the file says it is for.
    pub fn description(&self) -> &str {
        &self.0.description
    }

    /// Its stages, in order; one at least.
    pub fn stages(&self) -> &[Stage] {
        &self.0.stages
    }

    /// A stage by its number, from 0.
    pub fn stage(&self, number: u32) -> Option<&Stage> {
        self.0.stages.get(number as usize)
    }

    /// What it is expected to show, as its file said before it ran.
    pub fn hypotheses(&self) -> &[Hypothesis] {
        &self.0.hypotheses
    }

    /// Reads the `[[hypothesis]]` tables of a file of their own, about this sweep. `file` is what messages call it.
    ///
    /// # Errors
    /// Everything that is wrong with them, each with its place.
    pub fn more_hypotheses(&self, text: &str, file: &str) -> Result<Vec<Hypothesis>, SweepError> {
        hypothesis::added(self, text, file)
    }

    /// The pairs: the same for all stages.
    pub fn data(&self) -> Data {
        self.0.stages[0].data()
    }

    /// What data, weights and order of every repetition come from: the same for all stages.
    pub fn seed(&self) -> u64 {
        self.0.stages[0].seed()
    }

    /// The only kind of device that may train it, if it says so: the same for all stages.
    pub fn required_device(&self) -> Option<DeviceKind> {
        self.0.stages[0].required_device()
    }

    /// Points of all stages.
    pub fn points(&self) -> u64 {
        self.0.stages.iter().map(Stage::points).sum()
    }

    /// Trials of all stages.
    pub fn trials(&self) -> u64 {
        self.0.stages.iter().map(Stage::trials).sum()
    }

    /// Trials of all stages, at most, as far as that is known: where points are to go on, no more than can.
    pub fn most_trials(&self) -> u64 {
        self.0.stages.iter().map(Stage::most_trials).sum()
    }

    /// Trials of all stages that are trained, at most: the others come to the same as one of them. Looks at each point of stages
    /// [with twins](Self::has_twins).
    pub fn most_trained(&self) -> u64 {
        self.0.stages.iter().map(Stage::most_trained).sum()
    }

    /// Epochs of these, should each of them train to its end; those of trials that get the result of another one too.
    pub fn most_epochs(&self) -> u64 {
        let epochs = |stage: &Stage| stage.most_trials() * u64::from(stage.epochs());
        self.0.stages.iter().map(epochs).sum()
    }

    /// Whether it has such a trial.
    pub fn has(&self, key: TrialKey) -> bool {
        let of_stage =
            |stage: &Stage| stage.has(key.index) && key.repetition < stage.repetitions_of(key.index);
        self.stage(key.stage).is_some_and(of_stage)
    }

    /// Epochs that a trial of a stage trains.
    pub fn epochs(&self, stage: u32) -> u32 {
        self.stage(stage).map_or(0, Stage::epochs)
    }

    /// A trial as a trainer needs it.
    pub fn spec(&self, key: TrialKey) -> Option<TrialSpec> {
        self.stage(key.stage)?.spec(key.index, key.repetition)
    }

    /// Returns the trial that is trained for this one and its [twins](Stage::representative): often itself.
    pub fn representative(&self, key: TrialKey) -> TrialKey {
        match self.stage(key.stage) {
            Some(stage) if stage.has_twins() => TrialKey {
                index: stage.representative(key.index, key.repetition),
                ..key
            },
            _ => key,
        }
    }

    /// Whether another trial is trained for this one.
    pub fn is_twin(&self, key: TrialKey) -> bool {
        self.representative(key) != key
    }

    /// Whether trials of it may have twins.
    pub fn has_twins(&self) -> bool {
        self.0.stages.iter().any(Stage::has_twins)
    }

    /// The columns of a trial's curve; none for a trial that is not there.
    pub fn metrics(&self, key: TrialKey) -> Vec<Metric> {
        let stage = self.stage(key.stage);
        stage.map(|stage| stage.metrics(key.index)).unwrap_or_default()
    }

    /// The values of a trial's point; none for a trial that is not there.
    pub fn values(&self, key: TrialKey) -> Vec<(Setting, Value)> {
        let point = self.stage(key.stage).and_then(|stage| stage.point(key.index));
        point.map(|point| point.values).unwrap_or_default()
    }

    /// Groups the points of each stage: by the values of some axes, as far as the stage has them, or each point by itself when
    /// none is named.
    ///
    /// # Errors
    /// A name that is an axis of no stage.
    pub fn grouping(&self, by: &[String]) -> Result<Grouping, UnknownAxis> {
        Grouping::new(self.clone(), by)
    }

    /// The plan as text for people.
    pub fn describe(&self) -> String {
        describe::describe(self)
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
            "this include names some axes of a zip or a sample and not the others; name all of them or none",
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
