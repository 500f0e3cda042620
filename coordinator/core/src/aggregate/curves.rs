//! Aggregated curves: statistics at each epoch over the curves of a group.

use std::ops::Range;

use tenfold_types::{Curve, Metric};

use super::Statistics;
use super::statistics::{LANES, side_by_side};
use super::within;

/// The metrics that all curves have, and for each epoch, 1 first, the statistics of each of them.
///
/// Curves come in the order of points and repetitions. All of them count at every epoch: should one be shorter, which
/// no curve of a succeeded trial is, the result ends with it. Nothing of no curves.
pub fn aggregate(curves: &[&Curve]) -> (Vec<Metric>, Vec<Vec<Statistics>>) {
    let part = part(curves, 1, usize::MAX);
    (part.metrics, part.epochs)
}

/// A part of an aggregated curve.
#[derive(Debug, PartialEq)]
pub struct Part {
    /// The metrics that all curves have.
    pub metrics: Vec<Metric>,
    /// For each epoch, from the first of the part on, the statistics of each metric.
    pub epochs: Vec<Vec<Statistics>>,
    /// Epochs follow.
    pub more: bool,
}

/// What [`aggregate`] gives, from the epoch `first` on and about `most` statistics, but one epoch at least.
pub fn part(curves: &[&Curve], first: u32, most: usize) -> Part {
    part_within(curves, 1, first, most)
}

/// As [`part`], of a group of several points: the statistics are of the means over the points within each repetition.
/// The curves are those of the repetitions that count, all of the first point first, so `points` divides their number.
pub fn part_within(curves: &[&Curve], points: usize, first: u32, most: usize) -> Part {
    let metrics = common(curves);
    let columns = columns(curves, &metrics);
    let all = curves.iter().map(|curve| curve.epochs()).min().unwrap_or(0);
    let most = u32::try_from(most / metrics.len().max(1))
        .unwrap_or(u32::MAX)
        .max(1);
    let last = all.min(first.saturating_add(most - 1));
    let (first, last) = (first as usize, last as usize);
    Part {
        epochs: epochs(&columns, points, first - 1..last.max(first - 1)),
        more: last < all as usize,
        metrics,
    }
}

/// The values of one epoch of some curves, each with its metrics: the metrics that all have, and the statistics of each.
pub fn one_epoch(curves: &[(Vec<Metric>, Vec<f32>)]) -> (Vec<Metric>, Vec<Statistics>) {
    one_epoch_within(curves, 1)
}

/// As [`one_epoch`], of a group of several points; see [`part_within`].
pub fn one_epoch_within(curves: &[(Vec<Metric>, Vec<f32>)], points: usize) -> (Vec<Metric>, Vec<Statistics>) {
    let Some(((first, _), others)) = curves.split_first() else {
        return (Vec::new(), Vec::new());
    };
    let everywhere = |metric: &Metric| others.iter().all(|(metrics, _)| metrics.contains(metric));
    let metrics: Vec<Metric> = first.iter().copied().filter(everywhere).collect();
    let statistics = metrics.iter().filter_map(|metric| {
        let value = |(metrics, values): &(Vec<Metric>, Vec<f32>)| {
            let at = metrics.iter().position(|of| of == metric)?;
            values.get(at).map(|&value| f64::from(value))
        };
        let values: Vec<f64> = curves.iter().filter_map(value).collect();
        match points {
            0 | 1 => Statistics::of(&values),
            points => Statistics::of(&within_each(&values, points)),
        }
    });
    let statistics = statistics.collect();
    (metrics, statistics)
}

/// The mean over the points within each repetition, of values with all of the first point first.
fn within_each(values: &[f64], points: usize) -> Vec<f64> {
    let repetitions = values.len() / points;
    let of = |repetition: usize| within::mean(values.iter().skip(repetition).step_by(repetitions).copied());
    (0..repetitions).filter_map(of).collect()
}

/// The metrics that all curves have, in the order of the first.
fn common(curves: &[&Curve]) -> Vec<Metric> {
    let Some((first, others)) = curves.split_first() else {
        return Vec::new();
    };
    let everywhere = |metric: &Metric| others.iter().all(|curve| curve.column(*metric).is_some());
    first.metrics.iter().copied().filter(everywhere).collect()
}

/// For each metric the columns of all curves.
fn columns<'a>(curves: &[&'a Curve], metrics: &[Metric]) -> Vec<Vec<&'a [f32]>> {
    let of = |metric: &Metric| curves.iter().filter_map(|curve| curve.column(*metric)).collect();
    metrics.iter().map(of).collect()
}

/// For each of some epochs, 0 first, the statistics of each metric over its columns, all of which reach them.
fn epochs(columns: &[Vec<&[f32]>], points: usize, epochs: Range<usize>) -> Vec<Vec<Statistics>> {
    let none = || Vec::with_capacity(columns.len());
    let mut all: Vec<Vec<Statistics>> = epochs.clone().map(|_| none()).collect();
    let mut samples = Vec::new();
    for columns in columns {
        // Some epochs at a time, side by side; what is beyond the last of them counts nowhere.
        for (begin, all) in epochs.clone().step_by(LANES).zip(all.chunks_mut(LANES)) {
            samples.clear();
            samples.extend(columns.iter().map(|column| {
                let mut values = [0.0; LANES];
                for (value, &of) in values.iter_mut().zip(&column[begin..begin + all.len()]) {
                    *value = f64::from(of);
                }
                values
            }));
            if points > 1 {
                means_within_each(&mut samples, points);
            }
            let statistics = side_by_side(&mut samples);
            for (all, statistics) in all.iter_mut().zip(statistics.into_iter().flatten()) {
                all.push(statistics);
            }
        }
    }
    all
}

/// Puts the means over the points within each repetition in the place of the values of all points, the first of which come
/// first. Each mean has the bits of [`within::mean`].
fn means_within_each(samples: &mut Vec<[f64; LANES]>, points: usize) {
    let repetitions = samples.len() / points;
    let (first, others) = samples.split_at_mut(repetitions);
    for (at, values) in others.iter().enumerate() {
        for (sum, value) in first[at % repetitions].iter_mut().zip(values) {
            *sum += value;
        }
    }
    for sum in first.iter_mut().flatten() {
        *sum /= points as f64;
    }
    samples.truncate(repetitions);
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: [Metric; 2] = [Metric::TrainError, Metric::TestError];

    fn curve(train: &[f32], test: &[f32]) -> Curve {
        Curve {
            metrics: METRICS.to_vec(),
            columns: vec![train.to_vec(), test.to_vec()],
        }
    }

    #[test]
    fn every_epoch_has_the_statistics_of_every_metric() {
        let (a, b) = (
            curve(&[0.5, 0.25], &[0.5, 0.5]),
            curve(&[0.5, 0.75], &[0.25, 0.0]),
        );
        let (metrics, epochs) = aggregate(&[&a, &b]);
        assert_eq!(metrics, METRICS);
        let means: Vec<Vec<f64>> = epochs
            .iter()
            .map(|row| row.iter().map(|statistics| statistics.mean).collect())
            .collect();
        assert_eq!(means, [[0.5, 0.375], [0.5, 0.25]]);
        assert!(epochs.iter().flatten().all(|statistics| statistics.n == 2));
        assert_eq!(epochs[0][0].standard_deviation, Some(0.0));
    }

    #[test]
    fn parts_make_up_the_whole() {
        let a = curve(&[0.5, 0.25, 1.0, 2.0, 3.0], &[0.0; 5]);
        let b = curve(&[0.25, 0.5, 2.0, 1.0, 0.0], &[1.0; 5]);
        for most in [0, 1, 2, 4, 6, 10, 100] {
            let (mut epochs, mut more) = (Vec::new(), true);
            while more {
                let part = part(&[&a, &b], epochs.len() as u32 + 1, most);
                assert!(part.epochs.len() <= (most / 2).max(1));
                epochs.extend(part.epochs);
                more = part.more;
            }
            assert_eq!(epochs, aggregate(&[&a, &b]).1, "parts of {most}");
        }
        let none = Part {
            metrics: vec![],
            epochs: vec![],
            more: false,
        };
        assert_eq!(part(&[], 1, 4), none);
    }

    #[test]
    fn several_points_have_their_means_within_repetitions() {
        // Two points, three repetitions: the points differ much, their means within repetitions little.
        let value = |point: u16, repetition: u16, epoch: u16| {
            f32::from(10 * point + repetition) / 64.0 + f32::from(epoch % 7) / 128.0
        };
        let column = |point, repetition| {
            (0..19)
                .map(|epoch| value(point, repetition, epoch))
                .collect::<Vec<_>>()
        };
        let of = |(point, repetition)| curve(&column(point, repetition), &[0.5; 19]);
        let curves: Vec<Curve> = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)].map(of).to_vec();
        let curves: Vec<&Curve> = curves.iter().collect();
        let whole = part_within(&curves, 2, 1, usize::MAX);
        assert_eq!(
            (whole.metrics.as_slice(), whole.epochs.len()),
            (METRICS.as_slice(), 19)
        );
        for (epoch, row) in (0..).zip(&whole.epochs) {
            let mean = |repetition| {
                within::mean([0, 1].map(|point| value(point, repetition, epoch).into())).unwrap()
            };
            let expected = Statistics::of(&[mean(0), mean(1), mean(2)]).unwrap();
            assert_eq!(row[0], expected, "epoch {epoch}");
            assert_eq!(row[1].n, 3);
        }
        let last = curves
            .iter()
            .map(|curve| (curve.metrics.clone(), vec![curve.columns[0][18], 0.5]));
        assert_eq!(
            one_epoch_within(&last.collect::<Vec<_>>(), 2).1,
            whole.epochs[18],
            "the newest epoch of a running group comes to the same"
        );
    }

    #[test]
    fn one_repetition_of_several_points_has_no_interval() {
        let (a, b) = (curve(&[0.25], &[0.5]), curve(&[0.75], &[0.5]));
        let part = part_within(&[&a, &b], 2, 1, usize::MAX);
        let only = part.epochs[0][0];
        assert_eq!((only.n, only.mean, only.ci95), (1, 0.5, None));
    }

    #[test]
    fn only_metrics_of_all_curves_are_aggregated() {
        let a = curve(&[0.5], &[0.25]);
        let b = Curve {
            metrics: vec![Metric::TestLoss, Metric::TestError],
            columns: vec![vec![1.0], vec![0.75]],
        };
        let (metrics, epochs) = aggregate(&[&a, &b]);
        assert_eq!(metrics, [Metric::TestError]);
        assert_eq!(epochs[0][0].mean, 0.5);
    }

    #[test]
    fn no_curves_give_nothing() {
        assert_eq!(aggregate(&[]), (vec![], vec![]));
        assert_eq!(one_epoch(&[]), (vec![], vec![]));
        let empty = Curve::new(METRICS.to_vec());
        assert_eq!(aggregate(&[&empty]).1.len(), 0);
    }

    #[test]
    fn one_epoch_is_that_of_the_whole() {
        let mut b = curve(&[0.5, 0.75], &[0.25, 0.0]);
        b.metrics.push(Metric::TestLoss);
        b.columns.push(vec![1.0, 2.0]);
        let (a, b) = (curve(&[0.5, 0.25], &[0.5, 0.5]), b);
        let (metrics, epochs) = aggregate(&[&a, &b]);
        for epoch in [1, 2] {
            let values = |curve: &Curve| {
                let columns = curve.columns.iter();
                (
                    curve.metrics.clone(),
                    columns.map(|column| column[epoch - 1]).collect(),
                )
            };
            let one = one_epoch(&[values(&a), values(&b)]);
            assert_eq!(one, (metrics.clone(), epochs[epoch - 1].clone()));
        }
    }
}
