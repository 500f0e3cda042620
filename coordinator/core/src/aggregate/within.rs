//! Means within repetitions: points share data and seed by repetition, so the unit of inference is the repetition.

/// What counts of a group of several points.
///
/// Points are not independent of one another: repetition r of each sees the same pairs and the same order of batches. So a
/// group takes the mean over its points within each repetition first, and its n is the number of repetitions (means of
/// clusters as the units of inference: Cochran, Sampling Techniques, third edition, 1977, chapter 9).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counted {
    /// The places of the points that count, ascending: those with at least one value.
    pub points: Vec<usize>,
    /// The repetitions that count, ascending: those in which all these points have a value.
    pub repetitions: Vec<u32>,
    /// The number of points without any value.
    pub points_left_out: u32,
    /// The number of repetitions in which some of the points that count have a value and others have none.
    pub repetitions_left_out: u32,
}

/// Returns what counts of a group, given for each point which of its repetitions have a value.
pub fn counted(points: &[Vec<bool>]) -> Counted {
    let has_any = |point: &Vec<bool>| point.iter().any(|has| *has);
    let places: Vec<usize> = (0..points.len())
        .filter(|place| has_any(&points[*place]))
        .collect();
    let mut counted = Counted {
        points_left_out: (points.len() - places.len()) as u32,
        ..Counted::default()
    };
    let longest = places.iter().map(|place| points[*place].len()).max().unwrap_or(0);
    for repetition in 0..longest {
        let has = |place: &&usize| points[**place].get(repetition) == Some(&true);
        match places.iter().filter(has).count() {
            0 => {}
            all if all == places.len() => counted.repetitions.push(repetition as u32),
            _ => counted.repetitions_left_out += 1,
        }
    }
    counted.points = places;
    counted
}

/// Returns the mean of some values, added in the order given; `None` of no values.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut n) = (0.0, 0u32);
    for value in values {
        sum += value;
        n += 1;
    }
    (n > 0).then(|| sum / f64::from(n))
}

/// Returns the mean over the points that count within each repetition that counts, in repetition order.
pub fn means_within(points: &[Vec<Option<f64>>]) -> (Counted, Vec<f64>) {
    let has: Vec<Vec<bool>> = points
        .iter()
        .map(|point| point.iter().map(Option::is_some).collect())
        .collect();
    let counted = counted(&has);
    let within = |repetition: &u32| {
        let values = counted
            .points
            .iter()
            .filter_map(|place| points[*place][*repetition as usize]);
        mean(values)
    };
    let means = counted.repetitions.iter().filter_map(within).collect();
    (counted, means)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_without_a_value_and_repetitions_that_a_point_lacks_are_left_out() {
        let points = [
            vec![Some(1.0), Some(2.0), None, Some(4.0)],
            vec![None, None, None, None],
            vec![Some(3.0), Some(6.0), Some(9.0)],
        ];
        let (counted, means) = means_within(&points);
        assert_eq!(means, [2.0, 4.0]);
        assert_eq!(counted.points, [0, 2]);
        assert_eq!(counted.repetitions, [0, 1]);
        assert_eq!((counted.points_left_out, counted.repetitions_left_out), (1, 2));
    }

    #[test]
    fn one_point_has_its_repetitions() {
        let (counted, means) = means_within(&[vec![Some(0.5), None, Some(0.25)]]);
        assert_eq!(means, [0.5, 0.25]);
        assert_eq!((counted.points_left_out, counted.repetitions_left_out), (0, 0));
        assert_eq!(means_within(&[]).1, Vec::<f64>::new());
    }
}
