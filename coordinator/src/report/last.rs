//! Groups at their last epoch, and which is the best.

use tenfold_core::aggregate::{GroupResult, Statistics};
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

/// The place of the group with the lowest mean at its last epoch: of those that are whole, since one with a diverged or
/// failed repetition is never chosen over one without; of all when none is. The first of equals.
pub fn best<'a>(results: impl IntoIterator<Item = &'a GroupResult>, metric: Metric) -> Option<usize> {
    let rank = |(at, result)| Some((!whole(result), last(result, metric)?.mean, at));
    let ranks = results.into_iter().enumerate().filter_map(rank);
    ranks
        .min_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)))
        .map(|(.., at)| at)
}

/// The epoch, 1 first, with the lowest mean of a metric, and its statistics; the first of equals.
pub fn lowest(result: &GroupResult, metric: Metric) -> Option<(usize, &Statistics)> {
    let column = result.metrics.iter().position(|&m| m == metric)?;
    let rows = (1..).zip(&result.epochs);
    rows.filter_map(|(epoch, row)| Some((epoch, row.get(column)?)))
        .min_by(|a, b| a.1.mean.total_cmp(&b.1.mean))
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
        assert_eq!(best(&results, Metric::TestError), Some(1));
        assert_eq!(best(&results[..1], Metric::TestError), Some(0));
        assert_eq!(best(&results[3..], Metric::TestError), None);
        assert_eq!(best(&results, Metric::TestLoss), None);
    }

    #[test]
    fn the_lowest_epoch_is_the_first_of_equals() {
        let result = result(group(0, vec![], 1), &[curve(&[0.5; 4], &[0.5, 0.2, 0.2, 0.4])]);
        let (epoch, statistics) = lowest(&result, Metric::TestError).unwrap();
        assert_eq!((epoch, statistics.n), (2, 1));
    }
}
