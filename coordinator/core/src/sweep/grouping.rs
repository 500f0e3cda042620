//! Groups: which trials are aggregated together.

use std::collections::BTreeMap;

use tenfold_types::{Setting, Value};

use super::Sweep;
use super::selection::place;

/// A name that is no axis of the sweep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownAxis(String);

/// How the points of a sweep are grouped. A group is called by the index of its first point.
#[derive(Debug, Clone)]
pub struct Grouping {
    sweep: Sweep,
    by: By,
}

#[derive(Debug, Clone)]
enum By {
    /// Each point by itself: nothing is listed.
    Point,
    /// By the values of these axes.
    Axes {
        axes: Vec<usize>,
        /// For each group its members, in order.
        members: BTreeMap<u64, Vec<u64>>,
        /// For each point its group.
        group_of: BTreeMap<u64, u64>,
    },
}

impl Grouping {
    pub(super) fn new(sweep: Sweep, by: &[String]) -> Result<Self, UnknownAxis> {
        if by.is_empty() {
            return Ok(Self { sweep, by: By::Point });
        }
        let axes = by
            .iter()
            .map(|name| place(sweep.axes(), name))
            .collect::<Result<Vec<_>, _>>();
        let axes = axes.map_err(UnknownAxis)?;
        let (mut members, mut group_of) = (BTreeMap::<u64, Vec<u64>>::new(), BTreeMap::new());
        let mut first: BTreeMap<Vec<Value>, u64> = BTreeMap::new();
        for index in sweep.indexes() {
            let Some(point) = sweep.point(index) else { continue };
            let values = axes.iter().map(|&axis| point.values[axis].1.clone()).collect();
            let group = *first.entry(values).or_insert(index);
            members.entry(group).or_default().push(index);
            group_of.insert(index, group);
        }
        Ok(Self {
            sweep,
            by: By::Axes {
                axes,
                members,
                group_of,
            },
        })
    }

    /// The places of the axes that it groups by; none when each point is a group.
    pub fn axes(&self) -> &[usize] {
        match &self.by {
            By::Point => &[],
            By::Axes { axes, .. } => axes,
        }
    }

    /// The group of a point.
    pub fn group_of(&self, index: u64) -> u64 {
        match &self.by {
            By::Point => index,
            By::Axes { group_of, .. } => group_of.get(&index).copied().unwrap_or(index),
        }
    }

    /// All groups, in the order of their first points.
    pub fn groups(&self) -> Box<dyn Iterator<Item = u64> + Send + '_> {
        match &self.by {
            By::Point => Box::new(self.sweep.indexes()),
            By::Axes { members, .. } => Box::new(members.keys().copied()),
        }
    }

    /// The points of a group, in order.
    pub fn members(&self, group: u64) -> Vec<u64> {
        match &self.by {
            By::Point => vec![group],
            By::Axes { members, .. } => members.get(&group).cloned().unwrap_or_default(),
        }
    }

    /// The values that the points of a group have in common by definition.
    pub fn values(&self, group: u64) -> Vec<(Setting, Value)> {
        let values = self
            .sweep
            .point(group)
            .map(|point| point.values)
            .unwrap_or_default();
        match &self.by {
            By::Point => values,
            By::Axes { axes, .. } => axes
                .iter()
                .filter_map(|&axis| values.get(axis).cloned())
                .collect(),
        }
    }
}
