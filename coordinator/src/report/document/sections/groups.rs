//! The table of groups at their last epoch.

use tenfold_core::aggregate::{GroupResult, Statistics};
use tenfold_core::rounding::significant;
use tenfold_types::Metric;

use super::super::super::export;
use super::super::super::last::{best, last, lowest, rank};
use super::super::super::words::{self, Labels};
use super::super::{Block, Column, Table};
use super::{StageOf, Study};

/// Rows on the page; the CSV file has all.
const MAX_ROWS: usize = 60;

pub(super) fn blocks(study: &Study, stage: &StageOf, results: &[&GroupResult]) -> Vec<Block> {
    vec![
        Block::Heading(3, "Groups after the last epoch".to_owned()),
        Block::Table(table(study, stage, results)),
    ]
}

fn table(study: &Study, stage: &StageOf, results: &[&GroupResult]) -> Table {
    let metric = study.metric();
    let beside = match metric {
        Metric::TestError => Some(Metric::TrainError),
        Metric::TestLoss => Some(Metric::TrainLoss),
        _ => None,
    };
    let labels = Labels::of(results.iter().map(|result| &result.group));
    let missing = results
        .iter()
        .any(|result| !words::left_out(&result.group).is_empty());
    let mut columns: Vec<Column> = labels
        .varying
        .iter()
        .map(|&setting| Column::words(words::setting(setting)))
        .collect();
    columns.extend([
        Column::number("n"),
        Column::number(words::metric(metric)),
        Column::number("95 % interval"),
        Column::number("deviation"),
    ]);
    let binomial = results
        .iter()
        .any(|result| binomial_error(result, metric).is_some());
    columns.extend(binomial.then(|| Column::number("binomial error")));
    columns.extend(beside.map(|metric| Column::number(words::metric(metric))));
    columns.push(Column::number("lowest mean (epoch)"));
    columns.extend(missing.then(|| Column::words("missing")));

    let best = best(results.iter().copied(), metric, study.answers());
    let shown = shown(results, metric, study.answers());
    let mut rows = Vec::new();
    for &at in &shown {
        let (Some(result), Some(cells)) = (results.get(at), labels.cells.get(at)) else {
            continue;
        };
        let mut row = cells.clone();
        row.extend(cells_of(result, metric, beside, binomial, study.answers()));
        row.extend(missing.then(|| words::left_out(&result.group)));
        rows.push(row);
    }
    let (header, values) = values(results, metric, study.answers());
    Table {
        name: format!("{}groups", stage.prefix()),
        caption: caption(study, results, shown.len()) + &explained(&rows, binomial),
        columns,
        strong: shown
            .iter()
            .position(|&at| Some(at) == best && results.len() > 1)
            .into_iter()
            .collect(),
        rows,
        header,
        values,
    }
}

/// The groups on the page: all in their order, or those with the lowest means.
fn shown(results: &[&GroupResult], metric: Metric, answers: Option<u32>) -> Vec<usize> {
    let mut places: Vec<usize> = (0..results.len()).collect();
    if places.len() > MAX_ROWS {
        let mean = |&at: &usize| {
            let mean = results.get(at).and_then(|result| last(result, metric));
            // Those without a mean come last.
            (mean.is_none(), mean.map(|mean| rank(mean, answers)))
        };
        places.sort_by_key(mean);
        places.truncate(MAX_ROWS);
    }
    places
}

/// The binomial error of one trial at a group's last epoch.
fn binomial_error(result: &GroupResult, metric: Metric) -> Option<f64> {
    result.binomial_error(metric, last(result, metric)?.mean)
}

fn cells_of(
    result: &GroupResult,
    metric: Metric,
    beside: Option<Metric>,
    binomial: bool,
    answers: Option<u32>,
) -> Vec<String> {
    let unit = words::unit(metric);
    let none = || "–".to_owned();
    let of = |text: fn(&Statistics, words::Unit) -> String, metric| {
        last(result, metric).map_or_else(none, |s| text(s, words::unit(metric)))
    };
    let mut cells = vec![
        words::repetitions(result),
        of(|s, unit| words::quantity(s.mean, unit, 2), metric),
        of(|s, unit| words::mean_interval(s, unit, 2), metric),
        of(
            |s, unit| {
                s.standard_deviation
                    .map_or_else(|| "–".to_owned(), |deviation| words::quantity(deviation, unit, 2))
            },
            metric,
        ),
    ];
    cells.extend(
        binomial.then(|| {
            binomial_error(result, metric).map_or_else(none, |error| words::quantity(error, unit, 2))
        }),
    );
    cells.extend(beside.map(|metric| of(|s, unit| words::quantity(s.mean, unit, 2), metric)));
    cells.push(
        lowest(result, metric, answers).map_or_else(none, |(epoch, statistics)| {
            format!("{} ({epoch})", words::quantity(statistics.mean, unit, 2))
        }),
    );
    cells
}

fn caption(study: &Study, results: &[&GroupResult], shown: usize) -> String {
    let metric = words::metric(study.metric());
    let mut caption = format!(
        "Groups after their last epoch: the mean {metric} over n of the planned repetitions with its 95 % t interval and the sample standard \
         deviation; and the lowest mean of any epoch, which is chosen by the {metric} itself and so no estimate of it."
    );
    if results.len() > 1 {
        caption += " Bold: the lowest mean, of a group without missing repetitions where there is one; of equal means the first.";
    }
    if shown < results.len() {
        caption += &format!(
            " These are the {shown} groups with the lowest means of {}; the CSV file has all.",
            results.len()
        );
    }
    caption
}

/// What the signs in the cells mean, as far as there are any.
fn explained(rows: &[Vec<String>], binomial: bool) -> String {
    let has = |is: fn(&String) -> bool| rows.iter().flatten().any(is);
    let mut text = String::new();
    if binomial {
        text += " Binomial error: √(p(1 − p)/N) for the mean p and the N answers of one trial, which is how much of the deviation \
                 comes from the choice of its pairs alone; nothing is computed from it.";
    }
    if has(|cell| cell.ends_with(words::CUT)) {
        text.push(' ');
        text += words::CUT_INTERVAL;
    }
    if has(|cell| cell == "–") {
        text +=
            " –: there is no mean where no repetition counts, and no interval and deviation of a single one.";
    }
    text
}

/// All groups with all metrics, for programs.
fn values(results: &[&GroupResult], metric: Metric, answers: Option<u32>) -> (Vec<String>, Vec<Vec<String>>) {
    let axes = export::axes(results.iter().map(|result| result.group.values.as_slice()));
    let mut metrics: Vec<Metric> = Vec::new();
    for of in results.iter().flat_map(|result| &result.metrics) {
        if !metrics.contains(of) {
            metrics.push(*of);
        }
    }
    let lead = ["stage", "point"].into_iter();
    let counts = [
        "repetitions",
        "succeeded",
        "diverged",
        "failed",
        "cancelled",
        "unfinished",
        "epoch",
    ];
    let names = lead.chain(axes.iter().map(|axis| axis.name())).chain(counts);
    let mut header: Vec<String> = names.map(str::to_owned).collect();
    for metric in &metrics {
        for what in [
            "mean",
            "standard_deviation",
            "standard_error",
            "ci95_low",
            "ci95_high",
            "min",
            "median",
            "max",
        ] {
            header.push(format!("{metric}_{what}"));
        }
    }
    header.extend([format!("lowest_{metric}"), "lowest_epoch".to_owned()]);
    let sample = [
        "trials",
        "points",
        "points_left_out",
        "twins",
        "repetitions_left_out",
    ];
    header.extend(sample.map(str::to_owned));
    header.extend(metrics.iter().map(|metric| format!("{metric}_binomial_error")));
    let number =
        |value: Option<f64>| value.map_or_else(String::new, |value| export::number(significant(value)));
    let row = |result: &&GroupResult| {
        let counts = &result.group.counts;
        let mut row = vec![result.group.stage.to_string(), result.group.index.to_string()];
        row.extend(axes.iter().map(|&axis| export::cell(&result.group.values, axis)));
        let counts = [
            result.group.repetitions(),
            counts.succeeded,
            counts.diverged,
            counts.failed,
            counts.cancelled,
            counts.open(),
        ];
        row.extend(counts.map(|count| count.to_string()));
        row.push(match result.epochs.len() {
            0 => String::new(),
            epoch => epoch.to_string(),
        });
        for &metric in &metrics {
            let of = last(result, metric);
            row.extend([
                number(of.map(|s| s.mean)),
                number(of.and_then(|s| s.standard_deviation)),
                number(of.and_then(|s| s.standard_error)),
                number(of.and_then(|s| Some(s.ci95?.0))),
                number(of.and_then(|s| Some(s.ci95?.1))),
                number(of.map(|s| s.min)),
                number(of.map(|s| s.median)),
                number(of.map(|s| s.max)),
            ]);
        }
        let lowest = lowest(result, metric, answers);
        row.push(number(lowest.map(|(_, statistics)| statistics.mean)));
        row.push(lowest.map_or_else(String::new, |(epoch, _)| epoch.to_string()));
        let sample = &result.group.sample;
        row.push(result.group.counts.total().to_string());
        row.extend(
            [
                sample.points,
                sample.points_left_out,
                sample.twins,
                sample.repetitions_left_out,
            ]
            .map(|count| count.to_string()),
        );
        row.extend(
            metrics
                .iter()
                .map(|&metric| number(binomial_error(result, metric))),
        );
        row
    };
    let values = results.iter().map(row).collect();
    (header, values)
}
