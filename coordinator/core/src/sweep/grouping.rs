//! Groups: which trials are aggregated together.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use tenfold_types::{Setting, TrialKey, Value};

use super::Sweep;
use super::error::{quoted, suggestion};
use super::stage::Stage;

/// A name that is no axis of the sweep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownAxis(String);

/// A group: it is called by the index of its first point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId {
    /// The stage of its points.
    pub stage: u32,
    /// Its first point.
    pub index: u64,
}

/// How the points of a sweep's stages are grouped.
#[derive(Debug, Clone)]
pub struct Grouping {
    sweep: Sweep,
    by: Vec<Setting>,
    stages: Vec<By>,
}

#[derive(Debug, Clone)]
enum By {
    /// Each point by itself: nothing is listed.
    Point,
    /// By the values of these axes.
    Axes {
        axes: Vec<Setting>,
        /// For each group its members.
        members: BTreeMap<u64, Members>,
        /// For each point its group.
        group_of: BTreeMap<u64, u64>,
    },
}

/// The points of a group, in order.
#[derive(Debug, Clone, Default)]
struct Members {
    all: Vec<u64>,
    /// Those that are no twins of an earlier one. Found out when it is asked for: it takes the specs of all.
    distinct: OnceLock<Vec<u64>>,
}

impl By {
    fn axes(stage: &Stage, by: &[Setting]) -> Self {
        let has = |setting: &Setting| stage.axes().iter().any(|axis| axis.setting == *setting);
        let axes: Vec<Setting> = by.iter().copied().filter(has).collect();
        let (mut members, mut group_of) = (BTreeMap::<u64, Members>::new(), BTreeMap::new());
        let mut first: BTreeMap<Vec<Option<Value>>, u64> = BTreeMap::new();
        for index in stage.indexes() {
            let Some(point) = stage.point(index) else { continue };
            let value = |setting: &Setting| {
                let value = point.values.iter().find(|(axis, _)| axis == setting);
                value.map(|(_, value)| value.clone())
            };
            let values = axes.iter().map(value).collect();
            let group = *first.entry(values).or_insert(index);
            members.entry(group).or_default().all.push(index);
            group_of.insert(index, group);
        }
        Self::Axes {
            axes,
            members,
            group_of,
        }
    }
}

impl Grouping {
    pub(super) fn new(sweep: Sweep, by: &[String]) -> Result<Self, UnknownAxis> {
        let by = by
            .iter()
            .map(|name| axis(&sweep, name))
            .collect::<Result<Vec<_>, _>>()?;
        let of_stage = |stage: &Stage| match by.as_slice() {
            [] => By::Point,
            by => By::axes(stage, by),
        };
        Ok(Self {
            stages: sweep.stages().iter().map(of_stage).collect(),
            by,
            sweep,
        })
    }

    /// The axes that it groups by; none when each point is a group.
    pub fn axes(&self) -> &[Setting] {
        &self.by
    }

    /// The group of a trial.
    pub fn group_of(&self, key: TrialKey) -> GroupId {
        let index = match self.stages.get(key.stage as usize) {
            Some(By::Axes { group_of, .. }) => group_of.get(&key.index).copied(),
            Some(By::Point) | None => None,
        };
        GroupId {
            stage: key.stage,
            index: index.unwrap_or(key.index),
        }
    }

    /// All groups, in the order of the stages and of their first points.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> + Send + '_ {
        let stages = (0..).zip(self.sweep.stages()).zip(&self.stages);
        stages.flat_map(|((number, stage), by)| {
            let indexes: Box<dyn Iterator<Item = u64> + Send> = match by {
                By::Point => Box::new(stage.indexes()),
                By::Axes { members, .. } => Box::new(members.keys().copied()),
            };
            indexes.map(move |index| GroupId { stage: number, index })
        })
    }

    /// The points of a group, in order.
    pub fn members(&self, group: GroupId) -> Vec<u64> {
        match self.stages.get(group.stage as usize) {
            Some(By::Point) => vec![group.index],
            Some(By::Axes { members, .. }) => members
                .get(&group.index)
                .map(|members| members.all.clone())
                .unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// Returns the points of a group that count, in order: of points that are the same network the first.
    pub fn distinct(&self, group: GroupId) -> Vec<u64> {
        let Some(By::Axes { members, .. }) = self.stages.get(group.stage as usize) else {
            return self.members(group);
        };
        let (Some(members), Some(stage)) = (members.get(&group.index), self.sweep.stage(group.stage)) else {
            return Vec::new();
        };
        match members.all.as_slice() {
            [_] => members.all.clone(),
            all => members.distinct.get_or_init(|| stage.distinct(all)).clone(),
        }
    }

    /// The values that the points of a group have in common by definition.
    pub fn values(&self, group: GroupId) -> Vec<(Setting, Value)> {
        let point = self
            .sweep
            .stage(group.stage)
            .and_then(|stage| stage.point(group.index));
        let values = point.map(|point| point.values).unwrap_or_default();
        match self.stages.get(group.stage as usize) {
            Some(By::Axes { axes, .. }) => axes
                .iter()
                .filter_map(|axis| values.iter().find(|(setting, _)| setting == axis).cloned())
                .collect(),
            Some(By::Point) | None => values,
        }
    }
}

/// An axis of some stage by its name.
fn axis(sweep: &Sweep, name: &str) -> Result<Setting, UnknownAxis> {
    let mut axes: Vec<Setting> = Vec::new();
    for axis in sweep.stages().iter().flat_map(Stage::axes) {
        if !axes.contains(&axis.setting) {
            axes.push(axis.setting);
        }
    }
    axes.iter()
        .find(|axis| axis.name() == name)
        .copied()
        .ok_or_else(|| {
            let names: Vec<&str> = axes.iter().map(|axis| axis.name()).collect();
            let near = suggestion(name, names.iter().copied());
            let list = match names.is_empty() {
                true => "there are none".to_owned(),
                false => format!("the axes are {}", names.join(", ")),
            };
            UnknownAxis(format!("{} is no axis of this sweep; {list}{near}", quoted(name)))
        })
}
