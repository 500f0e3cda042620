//! What a sweep gets beyond its text, once it is submitted. Its text, and so its id, stay what they were; no trial is
//! numbered anew, as trials are keys.

use serde::{Deserialize, Serialize};

use super::definition::MAX_REPETITIONS;
use super::error::{quoted, suggestion};
use super::{MAX_TRIALS, Stage, Sweep};

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
    },
}

impl Sweep {
    /// The sweep with an extension; values that were chosen stay chosen.
    ///
    /// # Errors
    /// When it is none of this sweep: it has no such stage, or would get too large.
    pub fn extended(&self, extension: &Extension) -> Result<Self, String> {
        let mut stages = self.stages().to_vec();
        match extension {
            Extension::Repetitions { stage, repetitions } => {
                let of = stages
                    .get_mut(*stage as usize)
                    .ok_or_else(|| format!("there is no stage {stage}"))?;
                let now = of.repetitions();
                if *repetitions <= now {
                    return Err(format!(
                        "{} has {now} repetitions already; an extension has more, not {repetitions}",
                        called(of)
                    ));
                }
                *of = of.repeated(*repetitions);
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
        let fewer = of.filter(|(_, of)| of.repetitions() < repetitions);
        let extensions: Vec<Extension> = fewer
            .map(|(stage, _)| Extension::Repetitions { stage, repetitions })
            .collect();
        if extensions.is_empty() {
            let now = match chosen {
                Some((_, stage)) => format!("{} has {}", called(stage), stage.repetitions()),
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

/// What people call a stage.
fn called(stage: &Stage) -> String {
    match stage.name() {
        "" => "each point".to_owned(),
        name => format!("stage {name}"),
    }
}
