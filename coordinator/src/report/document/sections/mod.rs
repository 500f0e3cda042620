//! What a report says, section by section: a file each.

mod best_of;
mod comparisons;
mod curves;
mod groups;
mod hypotheses;
mod lead;
mod method;
mod sensitivity;
mod speed;
mod stage;
mod unfinished;

use tenfold_core::aggregate::{Counts, GroupResult};
use tenfold_core::sweep::{Gate, Sweep};
use tenfold_types::{Metric, Setting, TrialKey, Value};

use super::super::hypotheses::Judged;
use super::super::raw::TrialCurveRow;
use super::{Block, Document, Span, stage_prefix};

/// What a report is made of: all that the coordinator says of a sweep, but for where and when it ran.
#[derive(Debug, Clone, Default)]
pub struct Study {
    /// The sweep's name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// The version of this program.
    pub version: String,
    /// Its plan, as text for people.
    pub plan: String,
    /// The text that its id is the hash of.
    pub normalised: String,
    /// The sweep itself, where this version can read its text.
    pub sweep: Option<Sweep>,
    /// Its state in a word; none when nothing of it can change any more.
    pub provisional: Option<String>,
    /// How many of its trials are in which state.
    pub counts: Counts,
    /// Its stages, or those that the report is of; one without a name where it has none.
    pub stages: Vec<StageOf>,
    /// Its groups, those of a stage together.
    pub results: Vec<GroupResult>,
    /// The curves of its trials.
    pub trials: Vec<TrialCurveRow>,
    /// The sweep's hypotheses with their verdicts, of stages that the report leaves out too.
    pub verdicts: Vec<Judged>,
    /// Why trials failed, as far as that is told.
    pub failed: Vec<Failed>,
    /// What was chosen and decided while it ran: a line each.
    pub choices: Vec<String>,
    /// What groups are compared by.
    pub metric: Option<Metric>,
}

/// A stage of a [`Study`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StageOf {
    /// Its name; empty where the sweep has no stages.
    pub name: String,
    /// Its points.
    pub points: u64,
    /// Repetitions of each; the most of each, where they were added by need.
    pub repetitions: u32,
    /// The fewest of each, where they were added by need.
    pub min_repetitions: Option<u32>,
    /// Epochs of each trial.
    pub epochs: u32,
}

/// A failed trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The trial.
    pub key: TrialKey,
    /// The values of its point.
    pub values: Vec<(Setting, Value)>,
    /// Why it failed.
    pub error: String,
}

impl Study {
    /// What groups are compared by: the test error where nothing else is said.
    fn metric(&self) -> Metric {
        self.metric.unwrap_or(Metric::TestError)
    }

    /// The number of answers that it is a count of; none where it is none, or that is not known.
    fn answers(&self) -> Option<u32> {
        self.sweep.as_ref()?.data().answers(self.metric())
    }

    /// The name of the stage with this number.
    fn stage_name(&self, number: u32) -> &str {
        let of = self.results.iter().find(|result| result.group.stage == number);
        of.map_or("", |result| &result.group.stage_name)
    }

    /// Whether a later rung of a search goes on from a stage.
    fn is_continued(&self, stage: &StageOf) -> bool {
        let Some(sweep) = &self.sweep else { return false };
        let stages = (0..).zip(sweep.stages());
        let mut called = stages.filter(|(_, of)| of.name() == stage.name);
        called.any(|(number, _)| sweep.is_continued(number))
    }

    /// Whether the repetitions of a stage are ones that no choice has seen.
    fn confirms(&self, stage: &StageOf) -> bool {
        let mut stages = self.sweep.iter().flat_map(Sweep::stages);
        stages.any(|of| of.name() == stage.name && of.confirms())
    }

    /// Among how many points a search began whose last rung this is; none where it is none.
    fn searched(&self, stage: &StageOf) -> Option<u64> {
        let sweep = self.sweep.as_ref()?;
        let mut of = sweep.stages().iter().find(|of| of.name() == stage.name)?;
        let mut first = None;
        while let Some(Gate::Points(rung)) = of.gate() {
            of = sweep.stage(rung.source)?;
            first = Some(of.distinct_points());
        }
        first
    }

    /// The groups of a stage.
    fn of_stage(&self, stage: &StageOf) -> Vec<&GroupResult> {
        let results = self.results.iter();
        results
            .filter(|result| result.group.stage_name == stage.name)
            .collect()
    }
}

impl StageOf {
    /// What names of files of this stage begin with.
    fn prefix(&self) -> String {
        stage_prefix(&self.name)
    }

    /// What its heading says.
    fn heading(&self) -> String {
        match self.name.as_str() {
            "" => "Results".to_owned(),
            name => format!("Stage {name}"),
        }
    }
}

/// The report of a sweep.
pub fn report(study: &Study) -> Document {
    let mut blocks = lead::blocks(study);
    blocks.extend(hypotheses::blocks(study));
    blocks.extend(lead::in_short(study));
    blocks.extend(choices(study));
    for stage in &study.stages {
        blocks.extend(stage::blocks(study, stage));
    }
    blocks.extend(unfinished::blocks(study));
    blocks.extend(method::blocks(study));
    Document {
        title: study.name.clone(),
        blocks,
    }
}

/// What was chosen and decided while it ran, where something was.
fn choices(study: &Study) -> Vec<Block> {
    if study.choices.is_empty() {
        return Vec::new();
    }
    let line = |choice: &String| vec![Span::Text(choice.clone())];
    vec![
        Block::Heading(2, "What was chosen while it ran".to_owned()),
        Block::List(study.choices.iter().map(line).collect()),
    ]
}
