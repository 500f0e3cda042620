//! Points by index, never listed in memory.
//!
//! The raw grid is the product of the axes, the first varying slowest and zipped axes together at the place of their
//! first, and behind it the points that each `[[include]]` adds. `exclude` removes points from it without moving any
//! other, so an index means the same point for as long as the axes stand.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use tenfold_types::{Setting, Value};

use super::axis::Axis;
use super::definition::Definition;
use super::selection::Selection;

mod alike;

pub(super) use alike::{AxisSet, Orders, axis_set};

/// A sweep holds at most so many trials.
pub const MAX_TRIALS: u64 = 10_000_000;

/// At most so many times is a point held against an `[[include]]` or `[[exclude]]` when a sweep is read: some seconds.
const MAX_CHECKS: u64 = 100_000_000;

/// One combination of axis values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Its index in the raw grid.
    pub index: u64,
    /// A value for each axis, in the order of the axes.
    pub values: Vec<(Setting, Value)>,
}

/// An axis, or axes that vary together: their places, and the values of each; all lists are as long as one another.
#[derive(Debug, Clone, PartialEq)]
struct Dimension {
    axes: Vec<(usize, Vec<Value>)>,
    /// Its positions, in the order of their values. No two are the same, though a value of one axis may occur again.
    order: Vec<u32>,
    /// Which part of that order has a value of the first axis: one position, unless the value occurs again.
    parts: BTreeMap<Value, Range<usize>>,
}

impl Dimension {
    fn new(axes: Vec<(usize, Vec<Value>)>) -> Arc<Self> {
        let first = axes.first().map(|(_, values)| values.as_slice());
        let first = first.unwrap_or_default();
        let mut order: Vec<u32> = (0..first.len() as u32).collect();
        let at = |position: u32| axes.iter().map(move |(_, list)| list.get(position as usize));
        order.sort_unstable_by(|&one, &other| at(one).cmp(at(other)));
        let mut parts: BTreeMap<Value, Range<usize>> = BTreeMap::new();
        for (place, &position) in order.iter().enumerate() {
            let part = parts.entry(first[position as usize].clone());
            part.or_insert(place..place).end = place + 1;
        }
        Arc::new(Self { order, parts, axes })
    }

    fn len(&self) -> u64 {
        self.axes.first().map_or(1, |(_, values)| values.len() as u64)
    }

    /// Whether at one of its positions every axis of it has its value.
    fn holds(&self, values: &[&Value]) -> bool {
        let Some(((first, _), others)) = self.axes.split_first() else {
            return true;
        };
        let Some(part) = self.parts.get(values[*first]) else {
            return false;
        };
        let wanted = || others.iter().map(|(axis, _)| Some(values[*axis]));
        let at = |position: u32| others.iter().map(move |(_, list)| list.get(position as usize));
        let found = self.order[part.clone()].binary_search_by(|&position| at(position).cmp(wanted()));
        found.is_ok()
    }

    /// Whether at one of its positions every axis that the exclusion names has a value of it.
    fn meets(&self, exclusion: &Exclusion) -> bool {
        let named = |axis: &usize| exclusion.get(axis);
        match self.axes.as_slice() {
            [(axis, _)] => {
                named(axis).is_none_or(|wanted| wanted.iter().any(|value| self.parts.contains_key(value)))
            }
            axes if axes.iter().all(|(axis, _)| named(axis).is_none()) => true,
            axes => (0..self.len() as usize).any(|at| {
                axes.iter()
                    .all(|(axis, list)| named(axis).is_none_or(|wanted| wanted.contains(&list[at])))
            }),
        }
    }
}

/// What an `[[exclude]]` names: for some axes, by their places, the values.
type Exclusion = BTreeMap<usize, BTreeSet<Value>>;

/// A product of dimensions.
#[derive(Debug, Clone, PartialEq)]
struct Product {
    dimensions: Vec<Arc<Dimension>>,
    points: u64,
}

impl Product {
    /// None when the number of points is beyond 64 bits.
    fn new(dimensions: Vec<Arc<Dimension>>) -> Option<Self> {
        let points = dimensions
            .iter()
            .try_fold(1u64, |points, dimension| points.checked_mul(dimension.len()))?;
        Some(Self { dimensions, points })
    }

    /// The values at an index below `points`, in the order of the axes.
    fn at(&self, mut index: u64, axes: usize) -> Vec<&Value> {
        let mut values: Vec<Option<&Value>> = vec![None; axes];
        for dimension in self.dimensions.iter().rev() {
            let position = (index % dimension.len()) as usize;
            index /= dimension.len();
            for (axis, list) in &dimension.axes {
                values[*axis] = Some(&list[position]);
            }
        }
        values.into_iter().flatten().collect()
    }

    fn holds(&self, values: &[&Value]) -> bool {
        self.dimensions.iter().all(|dimension| dimension.holds(values))
    }

    fn meets(&self, exclusion: &Exclusion) -> bool {
        self.dimensions.iter().all(|dimension| dimension.meets(exclusion))
    }
}

/// All points of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Grid {
    axes: Vec<Axis>,
    /// The grid proper, then each `[[include]]`.
    products: Vec<Product>,
    exclude: Vec<Exclusion>,
    raw: u64,
    points: u64,
}

/// Why there is no grid.
pub(super) enum GridError {
    /// So many trials, or more than can be counted.
    TooMany(Option<u64>),
    /// So many points are to be held against so many `[[include]]` and `[[exclude]]`.
    TooManyChecks(u64, u64),
    /// This `[[include]]` names one axis of a zip and not the others.
    HalfZipped(usize),
    /// This `[[include]]` adds nothing that is not there.
    NothingNew(usize),
    /// This `[[exclude]]` names a value that the axis has at no point.
    NoValue(usize, Setting, Value),
    /// This `[[exclude]]` matches no point.
    MatchesNothing(usize),
    /// Nothing is left.
    Empty,
}

/// How [`GridError::TooMany`] is said.
pub(super) fn too_many(trials: Option<u64>) -> String {
    let many = trials.map_or_else(|| "more than 2^64".to_owned(), |trials| trials.to_string());
    format!("the sweep has {many} trials before exclude; at most {MAX_TRIALS} are possible")
}

/// The first exclusion, axis and value of it that no point has.
fn unknown_value(products: &[Product], exclude: &[Exclusion]) -> Option<(usize, usize, Value)> {
    let mut known: BTreeMap<usize, BTreeSet<&Value>> = BTreeMap::new();
    let dimensions = products.iter().flat_map(|product| &product.dimensions);
    for (axis, list) in dimensions.flat_map(|dimension| &dimension.axes) {
        if exclude.iter().any(|exclusion| exclusion.contains_key(axis)) {
            known.entry(*axis).or_default().extend(list);
        }
    }
    exclude.iter().enumerate().find_map(|(number, exclusion)| {
        exclusion.iter().find_map(|(axis, wanted)| {
            let unknown = wanted
                .iter()
                .find(|value| !known.get(axis).is_some_and(|known| known.contains(value)));
            unknown.map(|value| (number, *axis, value.clone()))
        })
    })
}

impl Grid {
    pub(super) fn new(definition: &Definition) -> Result<Self, GridError> {
        let axes = definition.axes.clone();
        let all = |place: usize| axes[place].values.clone();
        let mut dimensions = Vec::new();
        for place in 0..axes.len() {
            match definition.zip.iter().find(|group| group.contains(&place)) {
                Some(group) if group[0] == place => {
                    dimensions.push(Dimension::new(
                        group.iter().map(|&axis| (axis, all(axis))).collect(),
                    ));
                }
                Some(_) => {}
                None => dimensions.push(Dimension::new(vec![(place, all(place))])),
            }
        }
        let mut products = vec![Product::new(dimensions.clone()).ok_or(GridError::TooMany(None))?];
        for (number, include) in definition.include.iter().enumerate() {
            let mut own = Vec::new();
            for dimension in &dimensions {
                let named = dimension
                    .axes
                    .iter()
                    .filter(|(axis, _)| include.contains_key(axis))
                    .count();
                if named == 0 {
                    own.push(Arc::clone(dimension));
                } else if named < dimension.axes.len() {
                    return Err(GridError::HalfZipped(number));
                } else {
                    let alone = |(axis, _): &(usize, _)| Dimension::new(vec![(*axis, include[axis].clone())]);
                    own.extend(dimension.axes.iter().map(alone));
                }
            }
            products.push(Product::new(own).ok_or(GridError::TooMany(None))?);
        }
        let raw = products
            .iter()
            .try_fold(0u64, |sum, product| sum.checked_add(product.points));
        let raw = raw.ok_or(GridError::TooMany(None))?;
        let trials = raw.checked_mul(u64::from(definition.repetitions));
        if trials.is_none_or(|trials| trials > MAX_TRIALS) {
            return Err(GridError::TooMany(trials));
        }
        let blocks = (definition.include.len() + definition.exclude.len()) as u64;
        if raw.saturating_mul(blocks) > MAX_CHECKS {
            return Err(GridError::TooManyChecks(raw, blocks));
        }
        let exclusion = |selection: &Selection| -> Exclusion {
            selection
                .iter()
                .map(|(axis, values)| (*axis, values.iter().cloned().collect()))
                .collect()
        };
        let exclude: Vec<Exclusion> = definition.exclude.iter().map(exclusion).collect();
        if let Some((number, axis, value)) = unknown_value(&products, &exclude) {
            return Err(GridError::NoValue(number, axes[axis].setting, value));
        }
        let matches = |exclusion: &Exclusion| products.iter().any(|product| product.meets(exclusion));
        if let Some(number) = exclude.iter().position(|exclusion| !matches(exclusion)) {
            return Err(GridError::MatchesNothing(number));
        }
        let mut grid = Self {
            axes,
            products,
            exclude,
            raw,
            points: raw,
        };
        let mut from = grid.products[0].points;
        for (number, product) in grid.products.iter().enumerate().skip(1) {
            let to = from + product.points;
            if (from..to).all(|index| grid.repeats(number, &product.at(index - from, grid.axes.len()))) {
                return Err(GridError::NothingNew(number - 1));
            }
            from = to;
        }
        if !grid.is_plain() {
            grid.points = (0..raw).filter(|&index| grid.values(index).is_some()).count() as u64;
        }
        if grid.points == 0 {
            Err(GridError::Empty)
        } else {
            Ok(grid)
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.exclude.is_empty() && self.products.len() == 1
    }

    pub(super) fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// Indexes of the raw grid.
    pub(super) fn raw(&self) -> u64 {
        self.raw
    }

    /// Points that are there.
    pub(super) fn points(&self) -> u64 {
        self.points
    }

    /// Whether an earlier product has this point already.
    fn repeats(&self, product: usize, values: &[&Value]) -> bool {
        self.products[..product]
            .iter()
            .any(|earlier| earlier.holds(values))
    }

    /// The values of a point, in the order of the axes; none when it is excluded, repeated or beyond the grid.
    pub(super) fn values(&self, index: u64) -> Option<Vec<&Value>> {
        let (mut within, mut number) = (index, 0);
        while within >= self.products.get(number)?.points {
            within -= self.products[number].points;
            number += 1;
        }
        let values = self.products[number].at(within, self.axes.len());
        let excluded = self.exclude.iter().any(|exclusion| {
            exclusion
                .iter()
                .all(|(axis, wanted)| wanted.contains(values[*axis]))
        });
        (!excluded && !self.repeats(number, &values)).then_some(values)
    }

    pub(super) fn exists(&self, index: u64) -> bool {
        if self.is_plain() {
            index < self.raw
        } else {
            self.values(index).is_some()
        }
    }

    pub(super) fn point(&self, index: u64) -> Option<Point> {
        let values = self.values(index)?;
        let named = self
            .axes
            .iter()
            .zip(values)
            .map(|(axis, value)| (axis.setting, value.clone()));
        Some(Point {
            index,
            values: named.collect(),
        })
    }

    /// The first point that is there from this index on.
    pub(super) fn first(&self, from: u64) -> Option<u64> {
        (from..self.raw).find(|&index| self.exists(index))
    }

    /// All values that an axis takes anywhere.
    pub(super) fn values_of(&self, setting: Setting) -> Vec<Value> {
        let mut seen = BTreeSet::new();
        let lists = self
            .products
            .iter()
            .flat_map(|product| &product.dimensions)
            .flat_map(|dimension| &dimension.axes);
        lists
            .filter(|(axis, _)| self.axes[*axis].setting == setting)
            .flat_map(|(_, list)| list)
            .filter(|value| seen.insert(*value))
            .cloned()
            .collect()
    }
}
