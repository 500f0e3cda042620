//! Gates: trials of a stage that wait until it is decided whether they are run at all. Either whole points, which an earlier
//! rung of a search has to let go on, or further repetitions of a point, which are run where its mean is not known well enough.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tenfold_types::curve::UnknownMetric;
use tenfold_types::{Metric, Setting, Value};

use super::bits::Bits;
use super::error::quoted;
use super::stage::Stage;

/// The most points, before exclude, of a stage with a gate: what is decided of each is a record.
pub(super) const MAX_POINTS: u64 = 10_000;

/// What trials of a stage wait for.
#[derive(Debug, Clone, PartialEq)]
pub enum Gate {
    /// Points are run where an earlier stage, the rung before, lets them go on.
    Points(Rung),
    /// Repetitions behind the first few are run as long as a mean is not known well enough.
    Repetitions(Until),
}

/// By which rule points go on from one rung to the next; see `tenfold_core::search`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum StopRule {
    /// The best of all, when all are complete.
    SuccessiveHalving {
        /// One in so many goes on.
        factor: u32,
    },
    /// One that is among the best of those before it and itself.
    Asha {
        /// One in so many goes on.
        factor: u32,
    },
    /// One that is not in the worse half of those before it and itself.
    Median {
        /// So many go on without a comparison.
        startup: u32,
    },
    /// One that has not been worse than it was for too long.
    Patience {
        /// For how many epochs it may be so.
        patience: u32,
        /// How much worse it may be, in the metric's unit.
        tolerance: f64,
    },
}

impl StopRule {
    /// Its name in sweep files.
    pub fn name(self) -> &'static str {
        match self {
            Self::SuccessiveHalving { .. } => "successive-halving",
            Self::Asha { .. } => "asha",
            Self::Median { .. } => "median",
            Self::Patience { .. } => "patience",
        }
    }

    /// Whether it decides on all points at once; the others decide on one after the other.
    pub fn is_joint(self) -> bool {
        matches!(self, Self::SuccessiveHalving { .. })
    }

    /// Whether it compares a point with those before it.
    pub fn compares(self) -> bool {
        !matches!(self, Self::Patience { .. })
    }

    /// Its settings, as in sweep files.
    fn settings(self) -> String {
        match self {
            Self::SuccessiveHalving { factor } | Self::Asha { factor } => format!("factor {factor}"),
            Self::Median { startup } => format!("startup {startup}"),
            Self::Patience { patience, tolerance } => {
                format!("patience {patience}, tolerance {tolerance}")
            }
        }
    }
}

/// A stage whose points are those that another one, which trains them for fewer epochs, lets go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung {
    /// The number of the rung before.
    pub source: u32,
    /// Its name.
    pub source_name: String,
    /// By which rule points go on.
    pub rule: StopRule,
    /// What is compared; less is better.
    pub metric: Metric,
    /// At this epoch, from 1: the last of the rung before.
    pub epoch: u32,
    /// Only points with the same values of these settings are compared.
    pub per: Vec<Setting>,
    /// For each point its cell: those with the same number are compared.
    cell_of: BTreeMap<u64, u64>,
    /// For each point the one before it in its cell.
    before: BTreeMap<u64, u64>,
    /// For each cell the most points that go on.
    most: BTreeMap<u64, u64>,
}

/// A rung as it stands in a normalised text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RungDraft {
    pub(super) source: String,
    pub(super) rule: StopRule,
    pub(super) metric: Metric,
    pub(super) per: Vec<Setting>,
}

/// A rung in the normalised text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRung {
    stage: String,
    rule: StopRule,
    metric: String,
    per: Vec<String>,
}

impl WrittenRung {
    pub(super) fn of(rung: &Rung) -> Self {
        Self {
            stage: rung.source_name.clone(),
            rule: rung.rule,
            metric: rung.metric.to_string(),
            per: rung.per.iter().map(|setting| setting.name().to_owned()).collect(),
        }
    }

    pub(super) fn read(self) -> Result<RungDraft, String> {
        let per = self.per.iter().map(|name| name.parse::<Setting>());
        match self.rule {
            StopRule::SuccessiveHalving { factor } | StopRule::Asha { factor } if factor < 2 => {
                return Err(format!("a factor of {factor} is wanted; it is 2 or more"));
            }
            StopRule::Patience { tolerance, .. } if !(tolerance.is_finite() && tolerance >= 0.0) => {
                return Err(format!("a tolerance of {tolerance} is wanted; it is 0 or more"));
            }
            _ => {}
        }
        Ok(RungDraft {
            source: self.stage,
            rule: self.rule,
            metric: self
                .metric
                .parse()
                .map_err(|error: UnknownMetric| error.to_string())?,
            per: per.collect::<Result<_, _>>().map_err(|error| error.to_string())?,
        })
    }
}

impl RungDraft {
    /// The rung, if there is such an earlier stage with the same points.
    ///
    /// # Errors
    /// Words for people.
    pub(super) fn resolve(&self, stage: &Stage, earlier: &[Stage]) -> Result<Rung, String> {
        let found = (0..).zip(earlier).find(|(_, other)| other.name() == self.source);
        let Some((source, before)) = found else {
            return Err(format!(
                "there is no stage {} before this one",
                quoted(&self.source)
            ));
        };
        if before.axes() != stage.axes() || before.raw_points() != stage.raw_points() {
            return Err(format!(
                "stage {} has other points than this one, which goes on from it",
                quoted(&self.source)
            ));
        }
        if stage.raw_points() > MAX_POINTS {
            return Err(format!(
                "there are {} points before exclude; {MAX_POINTS} at most are possible in a search that stops early",
                stage.raw_points()
            ));
        }
        if !before.common_metrics().contains(&self.metric) {
            let known: Vec<String> = before.common_metrics().iter().map(Metric::to_string).collect();
            return Err(format!(
                "{} is not measured at every point; what is: {}",
                self.metric,
                known.join(", ")
            ));
        }
        for setting in &self.per {
            let why = match () {
                () if !stage.axes().iter().any(|axis| axis.setting == *setting) => "is not varied here",
                () if stage.definition().rules.contains_key(setting) => "is taken from another stage",
                () => continue,
            };
            return Err(format!("per names {setting}, which {why}"));
        }
        let mut cells: BTreeMap<Vec<Option<Value>>, u64> = BTreeMap::new();
        let (mut cell_of, mut last, mut previous) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut sizes: BTreeMap<u64, u64> = BTreeMap::new();
        for index in stage.indexes() {
            let values = self.per.iter().map(|setting| stage.value_at(index, *setting));
            let next = cells.len() as u64;
            let cell = *cells.entry(values.collect()).or_insert(next);
            cell_of.insert(index, cell);
            if let Some(before) = last.insert(cell, index) {
                previous.insert(index, before);
            }
            *sizes.entry(cell).or_default() += 1;
        }
        if let Some(Gate::Points(rung)) = before.gate() {
            sizes.clone_from(&rung.most);
        }
        let most = |(cell, size): (u64, u64)| match self.rule {
            // As `search::halving` rounds it.
            StopRule::SuccessiveHalving { factor } => (cell, (size / u64::from(factor)).max(1)),
            _ => (cell, size),
        };
        Ok(Rung {
            source,
            source_name: self.source.clone(),
            rule: self.rule,
            metric: self.metric,
            epoch: before.epochs(),
            per: self.per.clone(),
            cell_of,
            before: previous,
            most: sizes.into_iter().map(most).collect(),
        })
    }
}

impl Rung {
    /// The cells of its decisions: of points that are compared at once, or each point by itself, by its index.
    pub(super) fn cells(&self) -> Vec<u64> {
        match self.rule.is_joint() {
            true => self.most.keys().copied().collect(),
            false => self.cell_of.keys().copied().collect(),
        }
    }

    /// The cell of the decision on a point; none when there is no such point.
    pub(super) fn cell(&self, index: u64) -> Option<u64> {
        let cell = *self.cell_of.get(&index)?;
        Some(if self.rule.is_joint() { cell } else { index })
    }

    /// The points of a decision, left out or not, in order.
    pub fn points(&self, cell: u64) -> Vec<u64> {
        match self.rule.is_joint() {
            true => {
                let points = self.cell_of.iter().filter(|(_, of)| **of == cell);
                points.map(|(index, _)| *index).collect()
            }
            false => self
                .cell_of
                .contains_key(&cell)
                .then_some(cell)
                .into_iter()
                .collect(),
        }
    }

    /// The points that one is compared with, the nearest first.
    pub(super) fn before(&self, index: u64) -> impl Iterator<Item = u64> + '_ {
        let first = self.rule.compares().then(|| self.before.get(&index)).flatten();
        std::iter::successors(first.copied(), |index| self.before.get(index).copied())
    }

    /// Whether two points are compared with one another.
    pub(crate) fn are_compared(&self, one: u64, other: u64) -> bool {
        self.per.is_empty() || self.cell_of.get(&one) == self.cell_of.get(&other)
    }

    /// The most points that go on.
    pub(super) fn most(&self) -> u64 {
        self.most.values().sum()
    }
}

impl std::fmt::Display for Rung {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "those that go on from stage {}: {} of {} at epoch {}, {}",
            self.source_name,
            self.rule.name(),
            self.metric,
            self.epoch,
            self.rule.settings()
        )?;
        if !self.per.is_empty() {
            let per: Vec<&str> = self.per.iter().map(|setting| setting.name()).collect();
            write!(f, ", for each {}", per.join(" × "))?;
        }
        Ok(())
    }
}

/// Repetitions of a point until its mean is known well enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Until {
    /// How many are run in any case.
    pub min: u32,
    /// How many at most.
    pub max: u32,
    /// How many are run before it is looked at again.
    pub step: u32,
    /// Half the width of the 95 % t interval that is narrow enough, in the metric's unit.
    pub half_width: f64,
    /// What the mean is of.
    pub metric: Metric,
    /// At this epoch, from 1.
    pub epoch: u32,
}

/// The same in the normalised text; the most repetitions are the stage's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenUntil {
    min: u32,
    step: u32,
    ci95_half_width: f64,
    metric: String,
    epoch: u32,
}

impl WrittenUntil {
    pub(super) fn of(until: &Until) -> Self {
        Self {
            min: until.min,
            step: until.step,
            ci95_half_width: until.half_width,
            metric: until.metric.to_string(),
            epoch: until.epoch,
        }
    }

    pub(super) fn read(self, max: u32) -> Result<Until, String> {
        let metric: Result<Metric, UnknownMetric> = self.metric.parse();
        let until = Until {
            min: self.min,
            max,
            step: self.step,
            half_width: self.ci95_half_width,
            metric: metric.map_err(|error| error.to_string())?,
            epoch: self.epoch,
        };
        match (2..max).contains(&until.min)
            && until.step >= 1
            && until.half_width.is_finite()
            && until.half_width > 0.0
        {
            true => Ok(until),
            false => Err(format!(
                "{} to {max} repetitions until a width is no rule",
                until.min
            )),
        }
    }
}

impl Until {
    /// How often it may be looked at a point.
    fn looks(&self) -> u64 {
        u64::from(self.max - self.min).div_ceil(u64::from(self.step.max(1)))
    }

    /// The cell of the decision that is made when a point has so many repetitions.
    pub(super) fn cell(&self, index: u64, repetitions: u32) -> Option<u64> {
        let beyond = repetitions.checked_sub(self.min)?;
        (repetitions < self.max && beyond % self.step.max(1) == 0)
            .then(|| index * self.looks() + u64::from(beyond / self.step.max(1)))
    }

    /// The point of a decision, and how many repetitions it has when it is made.
    pub fn point(&self, cell: u64) -> (u64, u32) {
        let look = (cell % self.looks()) as u32;
        (cell / self.looks(), self.min + look * self.step)
    }

    /// How many repetitions follow so many.
    pub(crate) fn next(&self, repetitions: u32) -> u32 {
        repetitions.saturating_add(self.step).min(self.max)
    }
}

impl std::fmt::Display for Until {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} to {}, {} more at a time, until the 95 % interval of {} at epoch {} is ± {} or narrower",
            self.min, self.max, self.step, self.metric, self.epoch, self.half_width
        )
    }
}

/// Whether a trial may be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It may.
    Free,
    /// It depends on what is still to be chosen or decided.
    Waits,
    /// It is not run: it is no longer part of the sweep.
    LeftOut,
}

/// What was decided at a stage's gate.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Decided {
    /// Points that go on.
    kept: Bits,
    /// Points that are left out.
    out: Bits,
    /// For points with further repetitions how many they may have; no more than that when it is final.
    granted: BTreeMap<u64, (u32, bool)>,
    /// Trials that are left out of points that are there.
    closed: u64,
}

impl Decided {
    pub(super) fn is_out(&self, index: u64) -> bool {
        self.out.contains(index)
    }

    /// How many points are left out.
    pub(super) fn out(&self) -> u64 {
        self.out.len()
    }

    /// How many trials of points that are there are left out.
    pub(super) fn closed(&self) -> u64 {
        self.closed
    }

    /// How often a point is run, as far as that is final; none while it may be run as often as the stage says.
    pub(super) fn repetitions(&self, index: u64) -> Option<u32> {
        let granted = self.granted.get(&index);
        granted
            .filter(|(_, last)| *last)
            .map(|(repetitions, _)| *repetitions)
    }

    pub(super) fn passage(&self, gate: &Gate, index: u64, repetition: u32) -> Passage {
        match gate {
            Gate::Points(_) if self.kept.contains(index) => Passage::Free,
            Gate::Points(_) if self.out.contains(index) => Passage::LeftOut,
            Gate::Points(_) => Passage::Waits,
            Gate::Repetitions(until) => match self.granted.get(&index) {
                Some((granted, _)) if repetition < *granted => Passage::Free,
                Some((_, true)) => Passage::LeftOut,
                None if repetition < until.min => Passage::Free,
                _ => Passage::Waits,
            },
        }
    }

    /// How many repetitions a point may have by now.
    pub(super) fn granted_now(&self, until: &Until, index: u64) -> u32 {
        self.granted
            .get(&index)
            .map_or(until.min, |(granted, _)| *granted)
    }

    /// Whether nothing is left to be decided on a point.
    pub(super) fn has(&self, gate: &Gate, index: u64) -> bool {
        match gate {
            Gate::Points(_) => self.kept.contains(index) || self.out.contains(index),
            Gate::Repetitions(until) => {
                let granted = self.granted.get(&index);
                granted.is_some_and(|(granted, last)| *last || *granted >= until.max)
            }
        }
    }

    /// Takes in which of these points go on; none while that is to be decided again.
    pub(super) fn points(&mut self, of: &[u64], kept: Option<&BTreeSet<u64>>) {
        for index in of {
            self.kept.remove(*index);
            self.out.remove(*index);
            match kept {
                Some(kept) if kept.contains(index) => self.kept.insert(*index),
                Some(_) => self.out.insert(*index),
                None => {}
            }
        }
    }

    /// Takes in how many repetitions a point has after it was looked at with so many: no more than those when they are
    /// enough; none while that is to be decided again.
    pub(super) fn granted(&mut self, until: &Until, index: u64, now: u32, then: Option<u32>) {
        if let Some((granted, true)) = self.granted.remove(&index) {
            self.closed -= u64::from(until.max - granted);
        }
        match then {
            Some(then) if then <= now => {
                self.granted.insert(index, (now, true));
                self.closed += u64::from(until.max - now);
            }
            Some(then) => _ = self.granted.insert(index, (then.min(until.max), false)),
            None if now > until.min => _ = self.granted.insert(index, (now, false)),
            None => {}
        }
    }
}
