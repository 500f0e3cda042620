//! Points of a grid that differ in the values of some axes only.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use tenfold_types::Value;

use super::{Dimension, Grid};

/// A set of axes by their places: one bit each.
pub(in crate::sweep) type AxisSet = u32;

/// Returns the set of one axis.
pub(in crate::sweep) fn axis_set(axis: usize) -> AxisSet {
    1 << axis
}

/// For products, their dimensions and sets of axes: the positions in the order of their values at all other axes. Filled for
/// dimensions of which some axes are in the set and others are not, four bytes for each position.
#[derive(Debug, Default)]
pub(in crate::sweep) struct Orders(Mutex<BTreeMap<OrderKey, Arc<[u32]>>>);

/// A product, a dimension of it, and the axes that are free.
type OrderKey = (usize, usize, AxisSet);

impl Orders {
    fn get(&self, place: (usize, usize), dimension: &Dimension, free: AxisSet) -> Arc<[u32]> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let order = known.entry((place.0, place.1, free)).or_insert_with(|| {
            let mut order: Vec<u32> = (0..dimension.len() as u32).collect();
            order.sort_by(|&one, &other| dimension.kept(one, free).cmp(dimension.kept(other, free)));
            order.into()
        });
        Arc::clone(order)
    }
}

/// Positions of a dimension, in order.
enum Positions {
    One(u64),
    All(u64),
    /// Some positions of an order. Equal values keep the order of their positions, as sorting is stable.
    Some(Arc<[u32]>, Range<usize>),
}

impl Positions {
    fn len(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::All(len) => *len,
            Self::Some(_, range) => range.len() as u64,
        }
    }

    fn get(&self, place: u64) -> u64 {
        match self {
            Self::One(position) => *position,
            Self::All(_) => place,
            Self::Some(order, range) => order
                .get(range.start + place as usize)
                .map_or(0, |position| u64::from(*position)),
        }
    }
}

impl Dimension {
    /// The values of the axes that are not in a set, at a position.
    fn kept(&self, position: u32, free: AxisSet) -> impl Iterator<Item = &Value> {
        let axes = self.axes.iter();
        axes.filter(move |(axis, _)| axis_set(*axis) & free == 0)
            .filter_map(move |(_, list)| list.get(position as usize))
    }

    /// The position at which every axis has its value.
    fn position(&self, values: &[&Value]) -> Option<u64> {
        let Some(((first, _), others)) = self.axes.split_first() else {
            return Some(0);
        };
        let part = &self.order[self.parts.get(values[*first])?.clone()];
        let wanted = || others.iter().map(|(axis, _)| Some(values[*axis]));
        let at = |position: u32| others.iter().map(move |(_, list)| list.get(position as usize));
        let found = part.binary_search_by(|&position| at(position).cmp(wanted()));
        found.ok().map(|place| u64::from(part[place]))
    }

    /// The positions at which every axis that is not in the set has its value; none when there are none.
    fn agreeing(
        &self,
        values: &[&Value],
        free: AxisSet,
        order: impl FnOnce() -> Arc<[u32]>,
    ) -> Option<Positions> {
        let is_free = |(axis, _): &&(usize, Vec<Value>)| axis_set(*axis) & free != 0;
        let positions = match self.axes.iter().filter(is_free).count() {
            0 => Positions::One(self.position(values)?),
            all if all == self.axes.len() => Positions::All(self.len()),
            _ => {
                let order = order();
                let wanted = || {
                    let axes = self.axes.iter().map(|(axis, _)| *axis);
                    axes.filter(|axis| axis_set(*axis) & free == 0)
                        .map(|axis| values[axis])
                };
                let from = order.partition_point(|&position| self.kept(position, free).lt(wanted()));
                let to = order.partition_point(|&position| self.kept(position, free).le(wanted()));
                Positions::Some(order, from..to)
            }
        };
        (positions.len() > 0).then_some(positions)
    }
}

/// The indexes of a product at some positions of each of its dimensions, in order.
struct Combinations {
    /// For each dimension how many indexes one position is apart from the next, and its positions.
    dimensions: Vec<(u64, Positions)>,
    first: u64,
    next: u64,
    count: u64,
}

impl Iterator for Combinations {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.next == self.count {
            return None;
        }
        let (mut rest, mut index) = (self.next, self.first);
        // The first dimension varies slowest, as in the grid: the order of places is that of indexes.
        for (apart, positions) in self.dimensions.iter().rev() {
            index += apart * positions.get(rest % positions.len());
            rest /= positions.len();
        }
        self.next += 1;
        Some(index)
    }
}

impl Grid {
    /// Returns the indexes, in order, at which all axes but those in the set have these values, those excluded or repeated too.
    pub(in crate::sweep) fn alike<'a>(
        &'a self,
        values: &[&Value],
        free: AxisSet,
        orders: &Orders,
    ) -> impl Iterator<Item = u64> + use<'a> {
        let (mut found, mut first) = (Vec::new(), 0);
        for (number, product) in self.products.iter().enumerate() {
            let mut apart = product.points;
            let dimensions = product.dimensions.iter().enumerate().map(|(place, dimension)| {
                apart /= dimension.len();
                let order = || orders.get((number, place), dimension, free);
                Some((apart, dimension.agreeing(values, free, order)?))
            });
            if let Some(dimensions) = dimensions.collect::<Option<Vec<_>>>() {
                found.push(Combinations {
                    count: dimensions.iter().map(|(_, positions)| positions.len()).product(),
                    dimensions,
                    first,
                    next: 0,
                });
            }
            first += product.points;
        }
        found.into_iter().flatten()
    }
}
