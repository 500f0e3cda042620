//! The table that a sweep ends with, for terminals.

use comfy_table::{Cell, CellAlignment, Table, presets};
use tenfold_core::aggregate::GroupResult;
use tenfold_types::Metric;

use super::last::last;
use super::words::{self, Labels};

/// One row per group, at its last epoch: the axes that vary, repetitions that count of those planned, test and train error
/// and, where there is any, the digit errors, each as mean ± half the width of the 95 % t interval; and what does not count, if
/// anything. A caption says what the numbers are. Each stage has a table of its own.
pub fn final_table(results: &[GroupResult]) -> String {
    if results.is_empty() {
        return "There are no groups.\n".to_owned();
    }
    let stages = results.chunk_by(|a, b| a.group.stage == b.group.stage);
    let tables = stages.map(|results| match results[0].group.stage_name.as_str() {
        "" => of_stage(results),
        name => format!("Stage {name}\n{}", of_stage(results)),
    });
    tables.collect::<Vec<_>>().join("\n")
}

/// Of one group at least.
fn of_stage(results: &[GroupResult]) -> String {
    let labels = Labels::of(results.iter().map(|result| &result.group));
    let metrics = metrics(results);
    let missing = results
        .iter()
        .any(|result| !words::left_out(&result.group).is_empty());

    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    let mut header: Vec<String> = labels
        .varying
        .iter()
        .map(|&setting| words::setting(setting).to_owned())
        .collect();
    let texts = header.len();
    header.push("n".to_owned());
    header.extend(metrics.iter().map(|&metric| words::metric(metric)));
    if missing {
        header.push("missing".to_owned());
    }
    let right = |at: usize| (texts..texts + 1 + metrics.len()).contains(&at);
    let cell = |(at, text): (usize, String)| {
        Cell::new(text).set_alignment(if right(at) {
            CellAlignment::Right
        } else {
            CellAlignment::Left
        })
    };
    table.set_header(header.into_iter().enumerate().map(cell));
    for (result, cells) in results.iter().zip(&labels.cells) {
        let mut row = cells.clone();
        row.push(words::repetitions(result));
        row.extend(metrics.iter().map(|&metric| self::cell(result, metric)));
        if missing {
            row.push(words::left_out(&result.group));
        }
        table.add_row(row.into_iter().enumerate().map(cell));
    }
    format!("{}\n{}\n", table.trim_fmt(), caption(results, &labels, &metrics))
}

/// Errors first by what people look for; digit errors only where some group has them.
fn metrics(results: &[GroupResult]) -> Vec<Metric> {
    let mut metrics = vec![Metric::TestError, Metric::TrainError];
    for &metric in results.iter().flat_map(|result| &result.metrics) {
        if matches!(metric, Metric::TestDigitError(_)) && !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    metrics[2..].sort_unstable();
    metrics
}

fn cell(result: &GroupResult, metric: Metric) -> String {
    last(result, metric).map_or("–".to_owned(), |s| {
        words::mean_and_half_width(s, words::unit(metric), 2)
    })
}

fn caption(results: &[GroupResult], labels: &Labels, metrics: &[Metric]) -> String {
    let lengths = || {
        results
            .iter()
            .map(|result| result.epochs.len())
            .filter(|&length| length > 0)
    };
    let when = match (lengths().min(), lengths().max()) {
        (Some(least), Some(most)) if least == most => format!("After epoch {most}."),
        (Some(_), Some(_)) => "After the last epoch of each group.".to_owned(),
        _ => "No repetition has succeeded.".to_owned(),
    };
    let most = results
        .iter()
        .filter_map(|result| result.epochs.first()?.first())
        .map(|s| s.n)
        .max();
    let pooled = results.iter().any(|result| result.group.sample.is_pooled());
    let within = "\nn counts repetitions: within each the mean over the points of a group is taken first.";
    let mut what = match most {
        None => "",
        Some(1) => " One repetition each, so no interval.",
        Some(_) => " Means over n repetitions; ± is half the width of the 95 % t interval.",
    }
    .to_owned();
    if pooled && most.is_some() {
        what += within;
    }
    if results.iter().any(|result| result.group.sample.twins > 0) {
        what += "\nPoints that are the same network count once.";
    }
    let is_cut = |result: &GroupResult, &metric: &Metric| {
        last(result, metric).is_some_and(|statistics| words::is_cut(statistics, words::unit(metric)))
    };
    if results
        .iter()
        .any(|result| metrics.iter().any(|metric| is_cut(result, metric)))
    {
        what.push('\n');
        what += words::CUT_HALF_WIDTH;
    }
    let is_equal = |result: &GroupResult, &metric: &Metric| {
        last(result, metric).is_some_and(|of| of.standard_deviation == Some(0.0))
    };
    if results
        .iter()
        .any(|result| metrics.iter().any(|metric| is_equal(result, metric)))
    {
        what += "\n± 0.00: all repetitions have the same value, which says little of how they vary.";
    }
    let lacks = |result: &GroupResult| metrics.iter().any(|&metric| last(result, metric).is_none());
    if most.is_some() && results.iter().any(lacks) {
        what += "\n–: no repetition counts, or none has this metric.";
    }
    let common = match labels.common.as_str() {
        "" => String::new(),
        common => format!("Everywhere: {common}.\n"),
    };
    common + &when + &what
}

#[cfg(test)]
mod tests {
    use tenfold_core::aggregate::Sample;
    use tenfold_types::{Setting, Value};

    use super::super::samples::{curve, group, result};
    use super::*;

    fn values(sharing: bool) -> Vec<(Setting, Value)> {
        vec![
            (Setting::Architecture, Value::Text("perceptron-100".to_owned())),
            (Setting::WeightSharing, Value::Bool(sharing)),
        ]
    }

    #[test]
    fn a_row_a_group_with_the_axes_that_vary() {
        let curves = [
            curve(&[0.3, 0.01], &[0.3, 0.14]),
            curve(&[0.3, 0.02], &[0.3, 0.16]),
        ];
        let results = [
            result(group(0, values(false), 2), &curves),
            result(group(1, values(true), 2), &curves),
        ];
        assert_eq!(
            final_table(&results),
            "\
┌───────────────────────────────────────────────────────────────┐
│ weight sharing     n        test error            train error │
╞═══════════════════════════════════════════════════════════════╡
│ off              2/2   15.00 % ± 12.71   1.50 % [0.00, 7.85]† │
│ on               2/2   15.00 % ± 12.71   1.50 % [0.00, 7.85]† │
└───────────────────────────────────────────────────────────────┘
Everywhere: perceptron-100.
After epoch 2. Means over n repetitions; ± is half the width of the 95 % t interval.
†: the 95 % t interval, cut at 0 or 100 %, since no share lies beyond.
"
        );
    }

    #[test]
    fn what_is_missing_has_a_column() {
        let mut some = group(0, values(false), 1);
        some.counts.diverged = 2;
        let mut none = group(1, values(true), 0);
        none.counts.failed = 1;
        none.counts.pending = 2;
        let table = final_table(&[result(some, &[curve(&[0.01], &[0.14])]), result(none, &[])]);
        for text in [
            "missing",
            "1/3",
            "14.00 %",
            "2 diverged",
            "0/3",
            "–",
            "1 failed, 2 unfinished",
            "so no interval",
        ] {
            assert!(table.contains(text), "{text} in\n{table}");
        }
    }

    #[test]
    fn several_points_are_counted_by_repetition() {
        let curves = [curve(&[0.2], &[0.3]), curve(&[0.2], &[0.31])];
        let mut of = group(0, vec![(Setting::WeightSharing, Value::Bool(false))], 7);
        of.counts.diverged = 3;
        of.sample = Sample {
            points: 3,
            points_left_out: 1,
            twins: 1,
            repetitions: 2,
            repetitions_left_out: 0,
        };
        let table = final_table(&[result(of, &curves)]);
        for text in [
            " 2/2 ",
            "3 trials diverged; 1 of 4 points left out",
            "n counts repetitions: within each the mean over the points of a group is taken first.",
            "Points that are the same network count once.",
        ] {
            assert!(table.contains(text), "{text} in\n{table}");
        }
    }

    #[test]
    fn digit_errors_come_last_and_only_if_any() {
        let mut with = curve(&[0.01], &[0.14]);
        for sub_network in [0, 1] {
            with.metrics.push(Metric::TestDigitError(sub_network));
            with.columns.push(vec![0.08]);
        }
        let results = [
            result(group(0, values(false), 1), &[curve(&[0.01], &[0.14])]),
            result(group(1, values(true), 1), &[with]),
        ];
        let table = final_table(&results);
        let at = |text| table.find(text).unwrap();
        assert!(at("train error") < at("digit error 0") && at("digit error 0") < at("digit error 1"));
        assert!(!final_table(&results[..1]).contains("digit"));
        assert_eq!(final_table(&[]), "There are no groups.\n");
    }
}
