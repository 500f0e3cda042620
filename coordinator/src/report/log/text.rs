//! The same for people: a line of plain text each.

use tenfold_core::aggregate::{Group, GroupResult, Statistics};
use tenfold_proto::v1;
use tenfold_types::Metric;

use super::state_name;
use crate::report::words;

/// A group's newest epoch for people: `perceptron-100 sharing=on  epoch 3/25  test error 14.2 % ± 0.8  (n = 3 of 10)`.
pub fn progress_text(
    group: &Group,
    epoch: u32,
    total_epochs: u32,
    metrics: &[Metric],
    statistics: &[Statistics],
) -> String {
    let label = label(group);
    let figures = figures(metrics, statistics);
    let n = statistics.first().map_or(0, |statistics| statistics.n);
    let trials = fates(n, group);
    format!("{label}  epoch {epoch}/{total_epochs}  {figures}  {trials}")
}

/// A complete group at its last epoch, for people.
pub fn complete_text(result: &GroupResult) -> String {
    let group = &result.group;
    match result.epochs.last() {
        Some(statistics) => {
            let epochs = result.epochs.len() as u32;
            progress_text(group, epochs, epochs, &result.metrics, statistics)
        }
        None => format!("{}  no result  {}", label(group), fates(0, group)),
    }
}

/// Where a sweep stands, for people: `quickstart active: 7 of 12 trials over, 1 diverged; 160 of 300 epochs`.
pub fn sweep_text(status: &v1::SweepStatus) -> String {
    let trials = status.trials.unwrap_or_default();
    let over = trials.succeeded + trials.diverged + trials.failed + trials.cancelled;
    let total = over + trials.pending + trials.leased + trials.running + trials.backoff + trials.suspect;
    let mut text = format!(
        "{} {}: {over} of {total} trials over",
        status.name,
        state_name(status.state)
    );
    for (count, fate) in [
        (trials.diverged, "diverged"),
        (trials.failed, "failed"),
        (trials.cancelled, "cancelled"),
    ] {
        if count > 0 {
            text += &format!(", {count} {fate}");
        }
    }
    text + &format!("; {} of {} epochs", status.epochs, status.total_epochs)
}

/// What a group is called in a line: by its values, behind its stage where that has a name.
fn label(group: &Group) -> String {
    let values = words::terse(&group.values);
    match group.stage_name.as_str() {
        "" => values,
        stage => format!("{stage}: {values}"),
    }
}

/// The test error if there is one, else whatever comes first.
fn figures(metrics: &[Metric], statistics: &[Statistics]) -> String {
    let at = metrics
        .iter()
        .position(|&metric| metric == Metric::TestError)
        .unwrap_or(0);
    match (metrics.get(at), statistics.get(at)) {
        (Some(&metric), Some(statistics)) => {
            let unit = words::unit(metric);
            let figure = words::mean_and_half_width(statistics, unit, 1);
            // A line has no caption that could explain the sign.
            let figure = figure.trim_end_matches(words::CUT);
            let cut = if words::is_cut(statistics, unit) {
                " cut at 0 or 100 %"
            } else {
                ""
            };
            format!("{} {figure}{cut}", words::metric(metric))
        }
        _ => "no metrics".to_owned(),
    }
}

/// `(n = 3 of 10, 7 waiting)`; of several points, whose trials are no repetitions of one another, `(n = 3 of 4 repetitions of 5
/// points, 1 point left out; trials: 2 diverged)`.
fn fates(n: u32, group: &Group) -> String {
    let counts = &group.counts;
    let total = group.repetitions();
    let of = if u64::from(n) == total {
        String::new()
    } else {
        format!(" of {total}")
    };
    let fates = [
        (counts.diverged, "diverged"),
        (counts.failed, "failed"),
        (counts.cancelled, "cancelled"),
        (counts.leased + counts.running + counts.suspect, "running"),
        (counts.pending + counts.backoff, "waiting"),
    ];
    let fates = fates.iter().filter(|(count, _)| *count > 0);
    let fates: String = fates.map(|(count, fate)| format!(", {count} {fate}")).collect();
    if !group.sample.has_several_points() {
        return format!("(n = {n}{of}{fates})");
    }
    let sample = &group.sample;
    let count = |count: u32, noun: &str| match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    };
    let mut text = format!(
        "n = {n} of {total} repetitions of {}",
        count(sample.points, "point")
    );
    if sample.twins > 0 {
        text += &format!(" with {} more of the same network", sample.twins);
    }
    for (number, noun) in [
        (sample.points_left_out, "point"),
        (sample.repetitions_left_out, "repetition"),
    ] {
        if number > 0 {
            text += &format!(", {} left out", count(number, noun));
        }
    }
    if let Some(fates) = fates.strip_prefix(", ") {
        text += &format!("; trials: {fates}");
    }
    format!("({text})")
}

#[cfg(test)]
mod tests {
    use tenfold_core::aggregate::{Counts, Sample};
    use tenfold_types::{Setting, Value};

    use super::*;
    use crate::report::samples::{curve, group, result};

    fn values() -> Vec<(Setting, Value)> {
        vec![
            (Setting::Architecture, Value::Text("perceptron-100".to_owned())),
            (Setting::WeightSharing, Value::Bool(true)),
            (Setting::AuxiliaryLoss, Value::Bool(false)),
        ]
    }

    fn sample() -> GroupResult {
        let curves = [0.13, 0.14, 0.15].map(|end| curve(&[0.25, 0.125], &[0.25, end]));
        result(group(2, values(), 3), &curves)
    }

    #[test]
    fn text_fits_a_line() {
        let mut sample = sample();
        assert_eq!(
            complete_text(&sample),
            "perceptron-100 sharing=on aux=off  epoch 2/2  test error 14.0 % ± 2.5  (n = 3)"
        );
        sample.group.counts.pending = 7;
        assert_eq!(
            progress_text(&sample.group, 2, 25, &sample.metrics, &sample.epochs[1]),
            "perceptron-100 sharing=on aux=off  epoch 2/25  test error 14.0 % ± 2.5  (n = 3 of 10, 7 waiting)"
        );
    }

    #[test]
    fn a_group_of_several_points_counts_repetitions() {
        let mut sample = sample();
        sample.group.counts.diverged = 2;
        sample.group.counts.succeeded = 10;
        sample.group.sample = Sample {
            points: 2,
            points_left_out: 1,
            twins: 3,
            repetitions: 4,
            repetitions_left_out: 1,
        };
        assert_eq!(
            complete_text(&sample),
            "perceptron-100 sharing=on aux=off  epoch 2/2  test error 14.0 % ± 2.5  (n = 3 of 4 repetitions of 2 points \
             with 3 more of the same network, 1 point left out, 1 repetition left out; trials: 2 diverged)"
        );
    }

    #[test]
    fn an_interval_beyond_what_a_share_can_be_says_where_it_ends() {
        let curves = [0.01, 0.05].map(|end| curve(&[0.1], &[end]));
        let text = complete_text(&result(group(2, values(), 2), &curves));
        assert!(
            text.contains("test error 3.0 % [0.0, 28.4] cut at 0 or 100 %  (n = 2)"),
            "{text}"
        );
    }

    #[test]
    fn a_group_of_a_named_stage_says_which() {
        let mut sample = sample();
        sample.group.stage_name = "modes".to_owned();
        let text = complete_text(&sample);
        assert!(text.starts_with("modes: perceptron-100 sharing=on"), "{text}");
    }

    #[test]
    fn a_group_without_a_result_says_so() {
        let mut none = group(2, values(), 0);
        none.counts = Counts {
            diverged: 2,
            failed: 1,
            ..Counts::default()
        };
        let none = result(none, &[]);
        assert_eq!(
            complete_text(&none),
            "perceptron-100 sharing=on aux=off  no result  (n = 0 of 3, 2 diverged, 1 failed)"
        );
    }

    #[test]
    fn a_sweep_counts_what_is_over() {
        let status = v1::SweepStatus {
            name: "quickstart".to_owned(),
            state: v1::SweepState::Active.into(),
            trials: Some(v1::TrialCounts {
                succeeded: 6,
                diverged: 1,
                pending: 5,
                ..Default::default()
            }),
            epochs: 160,
            total_epochs: 300,
            ..Default::default()
        };
        assert_eq!(
            sweep_text(&status),
            "quickstart active: 7 of 12 trials over, 1 diverged; 160 of 300 epochs"
        );
    }
}
