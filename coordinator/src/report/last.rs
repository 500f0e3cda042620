//! Groups at their last epoch, and which is the best.

use tenfold_core::aggregate::{GroupResult, Statistics};
use tenfold_core::rank::{Mean, Rank};
use tenfold_types::Metric;

use super::words;

/// The statistics of a metric at a group's last epoch; none where it has no epochs or no such metric.
pub fn last(result: &GroupResult, metric: Metric) -> Option<&Statistics> {
    let column = result.metrics.iter().position(|&m| m == metric)?;
    result.epochs.last()?.get(column)
}

/// Whether all repetitions of a group have succeeded.
pub fn whole(result: &GroupResult) -> bool {
    words::missing(&result.group.counts).is_empty() && !result.epochs.is_empty()
}

/// What a mean is compared by. The metric is a count of `answers`, or none.
pub fn rank(statistics: &Statistics, answers: Option<u32>) -> Rank {
    Mean::known(statistics.mean, statistics.n.into(), answers).rank()
}

/// The place of the group with the lowest mean at its last epoch: of those that are whole, since one with a diverged or
/// failed repetition is never chosen over one without; of all when none is. The first of equals. The metric is a count of
/// `answers`, or none.
pub fn best<'a>(
    results: impl IntoIterator<Item = &'a GroupResult>,
    metric: Metric,
    answers: Option<u32>,
) -> Option<usize> {
    ranks(results, metric, answers).min().map(|(.., at)| at)
}

/// The places of the groups that are as good as the best and come behind it.
pub fn ties<'a>(
    results: impl IntoIterator<Item = &'a GroupResult>,
    metric: Metric,
    answers: Option<u32>,
) -> Vec<usize> {
    let mut ranks: Vec<_> = ranks(results, metric, answers).collect();
    ranks.sort_unstable();
    let Some((part, rank, _)) = ranks.first().copied() else {
        return Vec::new();
    };
    let equal = ranks
        .iter()
        .skip(1)
        .filter(|other| (other.0, other.1) == (part, rank));
    equal.map(|(.., at)| *at).collect()
}

fn ranks<'a>(
    results: impl IntoIterator<Item = &'a GroupResult>,
    metric: Metric,
    answers: Option<u32>,
) -> impl Iterator<Item = (bool, Rank, usize)> {
    let rank = move |(at, result)| Some((!whole(result), rank(last(result, metric)?, answers), at));
    results.into_iter().enumerate().filter_map(rank)
}

/// The epoch, 1 first, with the lowest mean of a metric, and its statistics; the first of equals. The metric is a count of
/// `answers`, or none.
pub fn lowest(result: &GroupResult, metric: Metric, answers: Option<u32>) -> Option<(usize, &Statistics)> {
    let column = result.metrics.iter().position(|&m| m == metric)?;
    let rows = (1..).zip(&result.epochs);
    rows.filter_map(|(epoch, row)| Some((epoch, row.get(column)?)))
        .min_by_key(|(_, statistics)| rank(statistics, answers))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{curve, group, result};
    use super::*;

    #[test]
    fn the_best_is_whole_where_one_is() {
        let mut part = group(0, vec![], 1);
        part.counts.diverged = 1;
        let results = [
            result(part, &[curve(&[0.1], &[0.1])]),
            result(group(1, vec![], 1), &[curve(&[0.3], &[0.3])]),
            result(group(2, vec![], 1), &[curve(&[0.2], &[0.3])]),
            result(group(3, vec![], 0), &[]),
        ];
        assert_eq!(best(&results, Metric::TestError, Some(1000)), Some(1));
        assert_eq!(best(&results[..1], Metric::TestError, Some(1000)), Some(0));
        assert_eq!(best(&results[3..], Metric::TestError, Some(1000)), None);
        assert_eq!(best(&results, Metric::TestLoss, None), None);
    }

    #[test]
    fn the_lowest_epoch_is_the_first_of_equals() {
        let result = result(group(0, vec![], 1), &[curve(&[0.5; 4], &[0.5, 0.2, 0.2, 0.4])]);
        let (epoch, statistics) = lowest(&result, Metric::TestError, Some(1000)).unwrap();
        assert_eq!((epoch, statistics.n), (2, 1));
    }

    #[test]
    fn means_that_are_equal_but_for_float32_tie() {
        let of = |index, values: [f32; 2]| {
            let curves = values.map(|value| curve(&[0.5], &[value]));
            result(group(index, vec![], 2), &curves)
        };
        let results = [of(0, [0.4, 0.4]), of(1, [0.1, 0.3]), of(2, [0.2, 0.2])];
        let mean = |at: usize| last(&results[at], Metric::TestError).unwrap().mean;
        assert!(mean(1) > mean(2), "as float64 the second is greater");
        for answers in [Some(1000), None] {
            assert_eq!(best(&results, Metric::TestError, answers), Some(1));
            assert_eq!(ties(&results, Metric::TestError, answers), [2]);
        }
        assert!(ties(&results[..2], Metric::TestError, Some(1000)).is_empty());
        // Epochs of one group alike.
        let curves = [curve(&[0.5; 2], &[0.1, 0.2]), curve(&[0.5; 2], &[0.3, 0.2])];
        let result = result(group(0, vec![], 2), &curves);
        assert_eq!(lowest(&result, Metric::TestError, Some(1000)).unwrap().0, 1);
    }
}
