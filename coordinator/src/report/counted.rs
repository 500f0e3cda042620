//! What counts of a group and what is left out of it, in words.

use tenfold_core::aggregate::{Group, GroupResult};

use super::words::missing;

/// What does not count of a group, such as `2 diverged, 1 failed`; of one with several points, `2 trials diverged, 1 failed;
/// 1 of 5 points and 1 of 4 repetitions left out`. Empty when everything counts.
pub fn left_out(group: &Group) -> String {
    described(group, None)
}

/// The same beside the number of all trials, such as `2 of 10 diverged, 1 failed`; none when everything counts.
pub fn left_out_of_all(group: &Group) -> Option<String> {
    let text = described(group, Some(group.counts.total()));
    (!text.is_empty()).then_some(text)
}

fn described(group: &Group, of: Option<u64>) -> String {
    let (sample, missing) = (&group.sample, missing(&group.counts));
    let several = sample.has_several_points();
    let mut parts = Vec::new();
    if let Some((first, rest)) = missing.split_once(' ') {
        let of = of.map_or_else(String::new, |all| format!(" of {all}"));
        let noun = match (several, of.as_str(), first) {
            (false, ..) => "",
            (true, "", "1") => " trial",
            (true, ..) => " trials",
        };
        parts.push(format!("{first}{of}{noun} {rest}"));
    }
    if several {
        let points = sample.points + sample.points_left_out;
        let counts = [
            (sample.points_left_out, u64::from(points), "point"),
            (sample.repetitions_left_out, group.repetitions(), "repetition"),
        ];
        let counts = counts.iter().filter(|(count, ..)| *count > 0);
        let words: Vec<String> = counts
            .map(|(count, all, noun)| format!("{count} of {all} {noun}{}", if *all == 1 { "" } else { "s" }))
            .collect();
        if !words.is_empty() {
            parts.push(format!("{} left out", words.join(" and ")));
        }
    }
    parts.join("; ")
}

/// Repetitions that count of those planned, such as `4/4`.
pub fn repetitions(result: &GroupResult) -> String {
    let n = result
        .epochs
        .first()
        .and_then(|row| row.first())
        .map_or(0, |statistics| statistics.n);
    format!("{n}/{}", result.group.repetitions())
}

#[cfg(test)]
mod tests {
    use tenfold_core::aggregate::{Counts, Sample};

    use super::super::samples::group;
    use super::*;

    #[test]
    fn a_group_of_one_point_says_what_became_of_its_repetitions() {
        let counts = Counts {
            succeeded: 6,
            diverged: 2,
            failed: 1,
            pending: 1,
            ..Counts::default()
        };
        let mut of_one = Group {
            counts,
            ..group(0, vec![], 0)
        };
        assert_eq!(left_out(&of_one), missing(&counts));
        assert_eq!(
            left_out_of_all(&of_one).as_deref(),
            Some("2 of 10 diverged, 1 failed, 1 unfinished")
        );
        of_one.counts = Counts {
            succeeded: 3,
            ..Counts::default()
        };
        assert_eq!(left_out_of_all(&of_one), None);
    }

    #[test]
    fn a_group_of_several_points_says_what_it_leaves_out() {
        let mut group = group(0, vec![], 11);
        group.counts.diverged = 5;
        group.sample = Sample {
            points: 3,
            points_left_out: 1,
            repetitions: 4,
            repetitions_left_out: 1,
            ..Sample::default()
        };
        assert_eq!(
            left_out(&group),
            "5 trials diverged; 1 of 4 points and 1 of 4 repetitions left out"
        );
        assert_eq!(
            left_out_of_all(&group).as_deref(),
            Some("5 of 16 trials diverged; 1 of 4 points and 1 of 4 repetitions left out")
        );
        group.counts.diverged = 1;
        (group.sample.points_left_out, group.sample.repetitions_left_out) = (0, 0);
        assert_eq!(left_out(&group), "1 trial diverged");
        assert_eq!(group.repetitions(), 4, "not the 12 trials");
    }
}
