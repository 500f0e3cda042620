//! Rungs of a search that stops early: stages whose points an earlier one lets go on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenfold_types::curve::UnknownMetric;
use tenfold_types::{Metric, Setting, Value};

use super::super::error::quoted;
use super::super::stage::Stage;
use super::{Gate, MAX_POINTS};

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
    /// For each cell the most points that go on, those that are the same network as one that does included.
    most: BTreeMap<u64, u64>,
    /// For each cell the most networks that go on.
    most_networks: BTreeMap<u64, u64>,
}

/// A rung as it stands in a normalised text.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sweep) struct RungDraft {
    pub(in crate::sweep) source: String,
    pub(in crate::sweep) rule: StopRule,
    pub(in crate::sweep) metric: Metric,
    pub(in crate::sweep) per: Vec<Setting>,
}

/// A rung in the normalised text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sweep) struct WrittenRung {
    stage: String,
    rule: StopRule,
    metric: String,
    per: Vec<String>,
}

impl WrittenRung {
    pub(in crate::sweep) fn of(rung: &Rung) -> Self {
        Self {
            stage: rung.source_name.clone(),
            rule: rung.rule,
            metric: rung.metric.to_string(),
            per: rung.per.iter().map(|setting| setting.name().to_owned()).collect(),
        }
    }

    pub(in crate::sweep) fn read(self) -> Result<RungDraft, String> {
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
    pub(in crate::sweep) fn resolve(&self, stage: &Stage, earlier: &[Stage]) -> Result<Rung, String> {
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
        for index in stage.indexes() {
            let values = self.per.iter().map(|setting| stage.value_at(index, *setting));
            let next = cells.len() as u64;
            let cell = *cells.entry(values.collect()).or_insert(next);
            cell_of.insert(index, cell);
            if let Some(before) = last.insert(cell, index) {
                previous.insert(index, before);
            }
        }
        let networks = networks(stage, &cell_of);
        let earlier = match before.gate() {
            Some(Gate::Points(rung)) => Some(&rung.most_networks),
            _ => None,
        };
        let most_networks = networks.iter().map(|(cell, sizes)| {
            let size = earlier.and_then(|most| most.get(cell).copied());
            let size = size.unwrap_or(sizes.len() as u64);
            match self.rule {
                // As `search::halving` rounds it.
                StopRule::SuccessiveHalving { factor } => (*cell, (size / u64::from(factor)).max(1)),
                _ => (*cell, size),
            }
        });
        let most_networks: BTreeMap<u64, u64> = most_networks.collect();
        // At most those with the most points.
        let most = networks.iter().map(|(cell, sizes)| {
            let go_on = most_networks.get(cell).map_or(0, |most| *most as usize);
            (*cell, sizes.iter().take(go_on).sum())
        });
        let most: BTreeMap<u64, u64> = most.collect();
        Ok(Rung {
            source,
            source_name: self.source.clone(),
            rule: self.rule,
            metric: self.metric,
            epoch: before.epochs(),
            per: self.per.clone(),
            cell_of,
            before: previous,
            most,
            most_networks,
        })
    }
}

/// For each cell how many points each of its networks has, the most first.
fn networks(stage: &Stage, cell_of: &BTreeMap<u64, u64>) -> BTreeMap<u64, Vec<u64>> {
    let mut points: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (index, cell) in cell_of {
        points.entry(*cell).or_default().push(*index);
    }
    let sizes = |points: Vec<u64>| -> Vec<u64> {
        if !stage.has_twins() {
            return vec![1; points.len()];
        }
        let firsts = stage.compared(&points).into_iter();
        let mut sizes: Vec<u64> = firsts
            .map(|first| stage.with_twins(&[first], &points).len() as u64)
            .collect();
        sizes.sort_unstable_by_key(|size| std::cmp::Reverse(*size));
        sizes
    };
    points
        .into_iter()
        .map(|(cell, points)| (cell, sizes(points)))
        .collect()
}

impl Rung {
    /// The cells of its decisions: of points that are compared at once, or each point by itself, by its index.
    pub(in crate::sweep) fn cells(&self) -> Vec<u64> {
        match self.rule.is_joint() {
            true => self.most.keys().copied().collect(),
            false => self.cell_of.keys().copied().collect(),
        }
    }

    /// The cell of the decision on a point; none when there is no such point.
    pub(in crate::sweep) fn cell(&self, index: u64) -> Option<u64> {
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
    pub(in crate::sweep) fn before(&self, index: u64) -> impl Iterator<Item = u64> + '_ {
        let first = self.rule.compares().then(|| self.before.get(&index)).flatten();
        std::iter::successors(first.copied(), |index| self.before.get(index).copied())
    }

    /// Whether two points are compared with one another.
    pub(crate) fn are_compared(&self, one: u64, other: u64) -> bool {
        self.per.is_empty() || self.cell_of.get(&one) == self.cell_of.get(&other)
    }

    /// The most points that go on.
    pub(in crate::sweep) fn most(&self) -> u64 {
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
