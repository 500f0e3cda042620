//! Which trials of a group count.

use tenfold_core::aggregate::{Sample, within};
use tenfold_types::TrialKey;

/// Trials that count, and what is left out.
pub(super) struct Chosen {
    /// What is planned, with what counts.
    pub(super) sample: Sample,
    /// The places of the trials that count, in order of points and repetitions.
    pub(super) places: Vec<usize>,
}

/// Chooses among trials with a value, in order of points and repetitions, those that count: of the points that have any, in
/// the repetitions that all of these have. `points` are the group's, without twins.
pub(super) fn choose(points: &[u64], trials: &[TrialKey], planned: Sample) -> Chosen {
    // Most groups have one point, whose trials all count.
    if let ([index], 0) = (points, planned.twins) {
        let has_any = trials.iter().any(|key| key.index == *index);
        return Chosen {
            sample: Sample {
                points: has_any.into(),
                points_left_out: (!has_any).into(),
                repetitions_left_out: 0,
                ..planned
            },
            places: (0..trials.len()).collect(),
        };
    }
    // For each point the places of its trials, by repetition.
    let mut by_point: Vec<Vec<Option<usize>>> = Vec::with_capacity(points.len());
    for index in points {
        let first = trials.partition_point(|key| key.index < *index);
        let mut of_point: Vec<Option<usize>> = Vec::new();
        for (place, key) in trials.iter().enumerate().skip(first) {
            if key.index != *index {
                break;
            }
            let repetition = key.repetition as usize;
            of_point.resize(of_point.len().max(repetition + 1), None);
            of_point[repetition] = Some(place);
        }
        by_point.push(of_point);
    }
    let has: Vec<Vec<bool>> = by_point
        .iter()
        .map(|point| point.iter().map(Option::is_some).collect())
        .collect();
    let counted = within::counted(&has);
    let place = |(point, repetition): (usize, u32)| by_point[point][repetition as usize];
    let repetitions = &counted.repetitions;
    let all = counted
        .points
        .iter()
        .flat_map(|&point| repetitions.iter().map(move |&repetition| (point, repetition)));
    Chosen {
        sample: Sample {
            points: counted.points.len() as u32,
            points_left_out: counted.points_left_out,
            repetitions_left_out: counted.repetitions_left_out,
            ..planned
        },
        places: all.filter_map(place).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(of: &[(u64, u32)]) -> Vec<TrialKey> {
        let key = |&(index, repetition)| TrialKey {
            stage: 0,
            repetition,
            index,
        };
        of.iter().map(key).collect()
    }

    #[test]
    fn twins_points_without_a_trial_and_incomplete_repetitions_do_not_count() {
        // Point 3 is a twin of point 2, point 7 has nothing, point 9 lacks repetition 1.
        let trials = keys(&[
            (2, 0),
            (2, 1),
            (2, 2),
            (3, 0),
            (3, 1),
            (3, 2),
            (9, 0),
            (9, 2),
            (9, 3),
        ]);
        let planned = Sample {
            twins: 1,
            repetitions: 4,
            ..Sample::default()
        };
        let chosen = choose(&[2, 7, 9], &trials, planned);
        assert_eq!(chosen.places, [0, 2, 6, 7]);
        let sample = chosen.sample;
        assert_eq!((sample.points, sample.points_left_out, sample.twins), (2, 1, 1));
        assert_eq!((sample.repetitions, sample.repetitions_left_out), (4, 2));
        assert!(sample.is_pooled());
    }

    #[test]
    fn a_group_of_twins_alone_is_a_group_of_one_point() {
        let planned = Sample {
            twins: 1,
            repetitions: 2,
            ..Sample::default()
        };
        let chosen = choose(&[0], &keys(&[(0, 0), (0, 1), (1, 0), (1, 1)]), planned);
        assert_eq!(chosen.places, [0, 1]);
        assert_eq!((chosen.sample.points, chosen.sample.is_pooled()), (1, false));
    }

    #[test]
    fn without_a_repetition_in_common_nothing_counts() {
        let chosen = choose(&[0, 1], &keys(&[(0, 0), (1, 1)]), Sample::default());
        assert_eq!(chosen.places, [] as [usize; 0]);
        assert_eq!((chosen.sample.points, chosen.sample.repetitions_left_out), (2, 2));
        let none = choose(&[5], &[], Sample::default()).sample;
        assert_eq!((none.points, none.points_left_out), (0, 1));
    }
}
