//! What a sweep gets beyond its text, once it is submitted. Its text, and so its id, stay what they were; no trial is
//! numbered anew, as trials are keys.

use serde::{Deserialize, Serialize};

use tenfold_types::hyperparameter::UnknownSetting;
use tenfold_types::{Metric, Setting, Value};

use super::definition::{Definition, MAX_REPETITIONS, Places};
use super::error::{quoted, suggestion};
use super::gate::Gate;
use super::grid::Grid;
use super::rule::{Draft, Refine, Stages};
use super::selection::Selection;
use super::stages::MAX_STAGES;
use super::{MAX_TEXT, MAX_TRIALS, Stage, Sweep, grid_problem, normalise};

/// An extension of a sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Extension {
    /// A stage has more repetitions.
    Repetitions {
        /// The stage.
        stage: u32,
        /// How many it has now.
        repetitions: u32,
        /// How many of its pairs were complete when it was extended. `None` in rows of versions that did not record it: all of
        /// them may have been seen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<u32>,
    },
    /// One more stage, at the end.
    Stage {
        /// Its name.
        name: String,
        /// Its normalised text.
        text: String,
    },
}

/// A stage around the best values of an earlier one.
#[derive(Debug, Clone, PartialEq)]
pub struct Around {
    /// The axis.
    pub axis: String,
    /// How many values.
    pub points: u32,
    /// How many decades to each side.
    pub span: f64,
    /// The stage; none for the only one that has the axis.
    pub stage: Option<String>,
    /// What is compared; less is better.
    pub metric: Metric,
}

/// What the one stage of a sweep without named ones is called when there is another.
pub(super) const ONLY: &str = "sweep";

impl Sweep {
    /// The sweep with an extension; values that were chosen stay chosen.
    ///
    /// # Errors
    /// When it is none of this sweep: it has no such stage, or would get too large.
    pub fn extended(&self, extension: &Extension) -> Result<Self, String> {
        let mut stages = self.stages().to_vec();
        match extension {
            Extension::Repetitions {
                stage,
                repetitions,
                seen,
            } => {
                let of = stages
                    .get_mut(*stage as usize)
                    .ok_or_else(|| format!("there is no stage {stage}"))?;
                let now = of.repetitions();
                if let Some(Gate::Repetitions(until)) = of.gate() {
                    return Err(format!(
                        "{} has its repetitions added by need, {} at most; what is wanted beyond is another sweep",
                        called(of),
                        until.max
                    ));
                }
                if *repetitions <= now {
                    return Err(format!(
                        "{} has {now} repetitions already; an extension has more, not {repetitions}",
                        called(of)
                    ));
                }
                *of = of.repeated(*repetitions, *seen);
            }
            Extension::Stage { name, text } => {
                if stages.iter().any(|stage| stage.name() == name) {
                    return Err(format!("there is a stage {} already", quoted(name)));
                }
                if stages.len() >= MAX_STAGES {
                    return Err(format!(
                        "the sweep has {MAX_STAGES} stages, and no more are possible"
                    ));
                }
                if let [only] = stages.as_mut_slice()
                    && only.name().is_empty()
                {
                    *only = only.named(ONLY);
                }
                let definition = normalise::read_stage(self.name(), text)?;
                let stage = stage(name, definition, &stages)?;
                stages.push(stage);
            }
        }
        let trials = stages
            .iter()
            .try_fold(0u64, |sum, stage| sum.checked_add(stage.raw_trials()?));
        match trials {
            Some(0..=MAX_TRIALS) => Ok(self.of_stages(stages)),
            Some(trials) => Err(format!(
                "the sweep would have {trials} trials before exclude; at most {MAX_TRIALS} are possible"
            )),
            None => Err("the sweep would have more than 2^64 trials".to_owned()),
        }
    }

    /// The extensions that give a stage so many repetitions, or all stages that have fewer.
    ///
    /// # Errors
    /// Words for people: too many, not more than now, no such stage.
    pub fn more_repetitions(&self, stage: Option<&str>, repetitions: u32) -> Result<Vec<Extension>, String> {
        if u64::from(repetitions) > MAX_REPETITIONS {
            return Err(format!(
                "{repetitions} repetitions are too many; at most {MAX_REPETITIONS} are possible"
            ));
        }
        let chosen = stage.map(|name| self.stage_called(name)).transpose()?;
        let wanted = |number: &u32| chosen.is_none_or(|(chosen, _)| chosen == *number);
        let of = (0..).zip(self.stages()).filter(|(number, _)| wanted(number));
        let by_need = |of: &Stage| matches!(of.gate(), Some(Gate::Repetitions(_))) && chosen.is_none();
        let fewer = of.filter(|(_, of)| of.repetitions() < repetitions && !by_need(of));
        let extensions: Vec<Extension> = fewer
            .map(|(stage, _)| Extension::Repetitions {
                stage,
                repetitions,
                seen: None,
            })
            .collect();
        if extensions.is_empty() {
            let now = match chosen {
                Some((_, stage)) => format!("{} has {}", called(stage), stage.repetitions()),
                None if self.stages().iter().any(|of| of.min_repetitions().is_some()) => {
                    let need = "has its repetitions added by need, or as many";
                    return Err(format!(
                        "each stage {need}; an extension has more, not {repetitions}"
                    ));
                }
                None => {
                    let least = self.stages().iter().map(Stage::repetitions).min();
                    format!("each point has at least {}", least.unwrap_or_default())
                }
            };
            return Err(format!(
                "{now} repetitions already; an extension has more, not {repetitions}"
            ));
        }
        // One after the other, as they will be taken in.
        let all = extensions.iter();
        let extended = all
            .clone()
            .try_fold(self.clone(), |sweep, extension| sweep.extended(extension));
        extended.map(|_| extensions)
    }

    /// The extension that adds a stage around the best values of an earlier one: with the axes of that, this one taken from it
    /// by a rule, for each combination of the others.
    ///
    /// # Errors
    /// Words for people: what cannot be refined, and why.
    pub fn refined(&self, around: &Around) -> Result<Extension, String> {
        let setting: Setting = around.axis.parse().map_err(|error: UnknownSetting| {
            let near = suggestion(&around.axis, Setting::ALL.iter().map(|setting| setting.name()));
            format!("{error}{near}")
        })?;
        let varies = |stage: &Stage| stage.axes().iter().any(|axis| axis.setting == setting);
        let (_, source) = match &around.stage {
            Some(name) => self.stage_called(name)?,
            None => {
                let varying: Vec<(u32, &Stage)> = (0..)
                    .zip(self.stages())
                    .filter(|(_, stage)| varies(stage))
                    .collect();
                match varying.as_slice() {
                    [one] => *one,
                    [] => return Err(format!("no stage varies {setting}")),
                    several => {
                        let names: Vec<&str> = several.iter().map(|(_, stage)| stage.name()).collect();
                        return Err(format!(
                            "several stages vary {setting}: {}; name one of them",
                            names.join(", ")
                        ));
                    }
                }
            }
        };
        let source = match source.name() {
            "" => source.named(ONLY),
            _ => source.clone(),
        };
        let Some(axis) = source.axes().iter().position(|axis| axis.setting == setting) else {
            return Err(format!("stage {} does not vary {setting}", source.name()));
        };
        let mut definition = source.definition().clone();
        let named = |selection: &Selection| selection.iter().any(|(named, _)| *named == axis);
        let together = definition.zip.iter().flatten().any(|zipped| *zipped == axis);
        if together || definition.include.iter().chain(&definition.exclude).any(named) {
            return Err(format!(
                "stage {} has {setting} zipped, sampled with others, included or excluded, and so it cannot be refined",
                source.name()
            ));
        }
        let refine = Refine {
            points: around.points,
            span: around.span,
        };
        let draft = Draft::around(setting, source.name(), around.metric, refine)?;
        definition.axes[axis].values = (0..i64::from(refine.points)).map(Value::Int).collect();
        definition.rules.insert(setting, draft);
        // Around the best of those that went on all are run, and equally often.
        definition.repetitions = match source.gate() {
            Some(Gate::Repetitions(until)) => until.min,
            _ => source.repetitions(),
        };
        (definition.rung, definition.until, definition.confirm) = (None, None, None);
        let taken = |name: &String| self.stages().iter().any(|stage| stage.name() == name);
        let mut names = (1..).map(|number: u32| format!("refine-{number}"));
        let name = names.find(|name| !taken(name)).unwrap_or_default();
        let mut earlier = self.stages().to_vec();
        if let [only] = earlier.as_mut_slice() {
            *only = source;
        }
        let text = normalise::write_stage(&stage(&name, definition, &earlier)?);
        if text.len() > MAX_TEXT {
            return Err(format!(
                "the stage's text would have {} bytes; at most {MAX_TEXT} are possible",
                text.len()
            ));
        }
        let extension = Extension::Stage { name, text };
        self.extended(&extension).map(|_| extension)
    }

    /// A stage by its name, and its number.
    ///
    /// # Errors
    /// Words for people: which stages there are.
    fn stage_called(&self, name: &str) -> Result<(u32, &Stage), String> {
        let found = (0..).zip(self.stages()).find(|(_, stage)| stage.name() == name);
        found.filter(|_| !name.is_empty()).ok_or_else(|| {
            let names: Vec<&str> = self.stages().iter().map(Stage::name).collect();
            match names.as_slice() {
                [""] => format!("there is no stage {}: this sweep has none", quoted(name)),
                names => format!(
                    "there is no stage {}; the sweep's are {}{}",
                    quoted(name),
                    names.join(", "),
                    suggestion(name, names.iter().copied())
                ),
            }
        })
    }
}

/// A stage behind these.
fn stage(name: &str, definition: Definition, earlier: &[Stage]) -> Result<Stage, String> {
    let grid = Grid::new(&definition).map_err(|error| grid_problem(&error, &Places::default()).message)?;
    let before = Stages {
        earlier,
        all: &[],
        this: name,
    };
    Stage::new(name.to_owned(), definition, grid, before).map_err(|problem| problem.message)
}

/// What people call a stage.
fn called(stage: &Stage) -> String {
    match stage.name() {
        "" => "each point".to_owned(),
        name => format!("stage {name}"),
    }
}
