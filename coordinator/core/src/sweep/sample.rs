//! `[sample]`: axes with a range and no points of their own get their values together, a point each, at random or along
//! Sobol's sequence.
//!
//! A value depends on the method, the seed, the axis and its number alone, and on no function of the machine's own: so the
//! first n of 2n values are the n values, everywhere. From here on the axes are zipped lists; nothing else, nor the id, knows
//! where their values come from.

use std::fmt;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};
use tenfold_types::{Setting, Value};

use super::axis::{self, MAX_VALUES, Range};
use super::definition::Reader;
use super::document::{Entry, Node, Tree, unknown_key};
use super::error::{Origin, Problem, quoted, suggestion};
use super::sobol::{MAX_DIMENSIONS, Sobol};
use crate::rounding::rounded;

/// Its keys.
pub(super) const KEYS: &[&str] = &["method", "points", "seed"];
const METHODS: [&str; 2] = ["sobol", "random"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Sobol,
    Random,
}

/// How the axes of a stage are sampled.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    method: Method,
    points: u64,
    seed: u64,
    /// Where its key stands.
    pub(super) at: Origin,
}

/// Whether an axis is sampled: a range without points.
pub(super) fn is_sampled(axis: &Node) -> bool {
    match &axis.tree {
        Tree::Table(range) => {
            let has = |keys: &[&str]| range.iter().any(|entry| keys.contains(&entry.key.as_str()));
            has(&["log", "linear"]) && !has(&["points"])
        }
        _ => false,
    }
}

/// Whether one of these `[axes]` is sampled.
pub(super) fn has_sampled(axes: &[Entry]) -> bool {
    axes.iter().any(|entry| is_sampled(&entry.value))
}

/// The problem that there is nothing to sample.
pub(super) fn nothing_to_sample(at: &Origin) -> Problem {
    Problem::new(
        at,
        "[sample] is here, but no axis is sampled; an axis is when it has a range without points, such as { log = [1e-6, \
         1e-1] }",
    )
}

impl Reader {
    /// Reads `[sample]`; what is wrong in it is noted.
    pub(super) fn sample(&mut self, entry: &Entry, sweep_seed: u64) -> Sample {
        let mut sample = Sample {
            method: Method::Sobol,
            points: 1,
            seed: sweep_seed,
            at: entry.at.clone(),
        };
        let table = entry
            .value
            .table("a table: [sample] with method and points")
            .map(<[Entry]>::to_vec);
        let Ok(table) = table.map_err(|problem| self.problems.push(problem)) else {
            return sample;
        };
        for key in &KEYS[..2] {
            if !table.iter().any(|entry| entry.key == *key) {
                let message = match *key {
                    "method" => "[sample] needs method = \"sobol\" or \"random\"",
                    _ => "[sample] needs points = n",
                };
                self.problems.push(Problem::new(&entry.at, message));
            }
        }
        for entry in &table {
            let node = &entry.value;
            match entry.key.as_str() {
                "method" => sample.method = self.note_or(method(node), sample.method),
                "points" => {
                    let points = node.count("the points to sample", 1, MAX_VALUES);
                    sample.points = self.note_or(points, sample.points);
                }
                "seed" => {
                    let seed = node.count("the seed of the sample", 0, i64::MAX as u64);
                    sample.seed = self.note_or(seed, sample.seed);
                }
                _ => self.problems.push(unknown_key(entry, KEYS)),
            }
        }
        sample
    }
}

fn method(node: &Node) -> Result<Method, Problem> {
    match node.text()? {
        "sobol" => Ok(Method::Sobol),
        "random" => Ok(Method::Random),
        other => {
            let near = suggestion(other, METHODS);
            let message = format!(
                "{} is no way to sample; choose one of {}{near}",
                quoted(other),
                METHODS.join(", ")
            );
            Err(Problem::new(&node.at, message))
        }
    }
}

/// For people: `16 points, sobol, seed 7`.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method {
            Method::Sobol => METHODS[0],
            Method::Random => METHODS[1],
        };
        write!(f, "{} points, {method}, seed {}", self.points, self.seed)
    }
}

impl Sample {
    /// How many points it has.
    pub(super) fn points(&self) -> u64 {
        self.points
    }

    /// The values of an axis, which is the one with this number, from 0, of those that are sampled together.
    ///
    /// # Errors
    /// A range that is none for the axis, or more axes than the method takes.
    pub(super) fn values(&self, setting: Setting, node: &Node, number: usize) -> Result<Vec<Value>, Problem> {
        let range = Range::read(setting, node)?;
        for &end in &range.ends {
            axis::number(setting, end).map_err(|message| Problem::new(&range.at, message))?;
        }
        let shares = self.shares(setting, number).ok_or_else(|| {
            let message = format!("at most {MAX_DIMENSIONS} axes can be sampled with method = \"sobol\"");
            Problem::new(&node.at, message)
        })?;
        let values = shares.map(|share| axis::number(setting, at(&range, share)));
        let values = values.collect::<Result<Vec<_>, _>>();
        values.map_err(|message| Problem::new(&range.at, message))
    }

    /// For each point a number in [0, 1): how far it is along the axis. The axis is told by its name, so another beside it
    /// changes nothing at random, and with Sobol's sequence nothing if it stands behind.
    fn shares(&self, setting: Setting, number: usize) -> Option<Box<dyn Iterator<Item = f64>>> {
        let mut hash = Sha256::new();
        hash.update(b"tenfold sample 1");
        hash.update(self.seed.to_le_bytes());
        hash.update(setting.name());
        let mut random = ChaCha8Rng::from_seed(hash.finalize().into());
        let share = |bits: u64| (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64);
        match self.method {
            Method::Random => Some(Box::new((0..self.points).map(move |_| share(random.next_u64())))),
            Method::Sobol => {
                let sobol = Sobol::new(number)?;
                // A digital shift: it keeps the points a net, and the first from lying in the corner (L'Ecuyer and
                // Lemieux, Recent advances in randomized quasi-Monte Carlo methods, 2002).
                let shift = random.next_u64();
                let at = move |point: u64| share(u64::from(sobol.at(point as u32)) << 32 ^ shift);
                Some(Box::new((0..self.points).map(at)))
            }
        }
    }
}

/// The number at a share of the range, to 12 significant digits. Of whole numbers each has as wide a part as another, the
/// ends too: they are rounded from half below the first to half above the last.
fn at(range: &Range, share: f64) -> f64 {
    let [low, high] = range.ends;
    let margin = if range.whole { 0.5 } else { 0.0 };
    let (from, to) = (low - margin, high + margin);
    let at = if range.log {
        // Those of the standard library may differ from one machine to another, in a last bit that rounding shows.
        let (from, to) = (libm::log(from), libm::log(to));
        libm::exp(from + (to - from) * share)
    } else {
        from + (to - from) * share
    };
    let at = if range.whole {
        at.round()
    } else {
        rounded::<12>(at)
    };
    at.clamp(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The centred L2 discrepancy: how far a set of points is from filling a cube evenly (Hickernell, 1998).
    fn discrepancy(points: &[Vec<f64>]) -> f64 {
        let n = points.len() as f64;
        let off = |x: f64| (x - 0.5).abs();
        let one = |point: &Vec<f64>| -> f64 {
            point
                .iter()
                .map(|&x| 1.0 + off(x) / 2.0 - off(x) * off(x) / 2.0)
                .product()
        };
        let two = |a: &Vec<f64>, b: &Vec<f64>| -> f64 {
            let pairs = a.iter().zip(b);
            pairs
                .map(|(&a, &b)| 1.0 + (off(a) + off(b) - (a - b).abs()) / 2.0)
                .product()
        };
        let singles: f64 = points.iter().map(one).sum();
        let pairs: f64 = points
            .iter()
            .map(|a| points.iter().map(|b| two(a, b)).sum::<f64>())
            .sum();
        (13.0_f64 / 12.0).powi(points[0].len() as i32) - 2.0 / n * singles + pairs / (n * n)
    }

    fn points(method: Method, points: u64, seed: u64, axes: &[Setting]) -> Vec<Vec<f64>> {
        let sample = Sample {
            method,
            points,
            seed,
            at: Origin::Whole,
        };
        let columns: Vec<Vec<f64>> = axes
            .iter()
            .enumerate()
            .map(|(number, &setting)| sample.shares(setting, number).unwrap().collect())
            .collect();
        (0..points as usize)
            .map(|point| columns.iter().map(|column| column[point]).collect())
            .collect()
    }

    const AXES: [Setting; 3] = [Setting::LearningRate, Setting::Dropout, Setting::Momentum];

    #[test]
    fn shifted_points_are_more_even_than_random_ones() {
        for (axes, size) in [(2, 16), (2, 64), (3, 64), (3, 256)] {
            let of = |method, seed| discrepancy(&points(method, size, seed, &AXES[..axes]));
            let worst = (0..20).map(|seed| of(Method::Sobol, seed)).fold(0.0, f64::max);
            let best = (0..20).map(|seed| of(Method::Random, seed)).fold(1.0, f64::min);
            assert!(worst < best, "{size} points of {axes} axes: {worst} and {best}");
        }
    }

    #[test]
    fn shifted_points_are_a_net() {
        for seed in 0..20 {
            for column in 0..3 {
                let mut cells: Vec<u64> = points(Method::Sobol, 64, seed, &AXES)
                    .iter()
                    .map(|point| (point[column] * 64.0) as u64)
                    .collect();
                cells.sort_unstable();
                assert!(cells.into_iter().eq(0..64), "seed {seed}, axis {column}");
            }
        }
    }

    #[test]
    fn more_points_begin_with_the_same_ones() {
        for method in [Method::Sobol, Method::Random] {
            let (few, many) = (points(method, 50, 3, &AXES), points(method, 100, 3, &AXES));
            assert_eq!(few, many[..50]);
            assert_ne!(few, points(method, 50, 4, &AXES));
            assert!(many.iter().flatten().all(|share| (0.0..1.0).contains(share)));
        }
    }

    #[test]
    fn whole_numbers_have_equal_parts_and_none_is_beyond_the_ends() {
        let range = |log, whole, ends| Range {
            log,
            whole,
            ends,
            points: None,
            at: Origin::Whole,
        };
        let whole = range(false, true, [1.0, 4.0]);
        let values: Vec<f64> = (0..8).map(|share| at(&whole, f64::from(share) / 8.0)).collect();
        assert_eq!(values, [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]);
        let last = 1.0 - f64::EPSILON / 2.0;
        for log in [false, true] {
            for ends in [[1.0, 4.0], [3.0, 1e9]] {
                assert_eq!(
                    [
                        at(&range(log, true, ends), 0.0),
                        at(&range(log, true, ends), last)
                    ],
                    ends
                );
            }
            for ends in [[0.123_456_789_012_34, 0.123_456_789_012_35], [1e-300, 1e300]] {
                for share in [0.0, 0.3, last] {
                    let at = at(&range(log, false, ends), share);
                    assert!((ends[0]..=ends[1]).contains(&at), "{at}");
                }
            }
        }
        assert_eq!(at(&range(true, false, [1e-6, 1e-2]), 0.5), 1e-4);
    }
}
