//! How the results depend on a setting with numbers, and which of its values is the best.

use tenfold_core::aggregate::GroupResult;
use tenfold_core::compare::coverage_of_lowest;
use tenfold_core::rounding::significant;
use tenfold_types::Setting;

use super::super::super::export;
use super::super::super::facet::value;
use super::super::super::figure::{Optimum, sensitivity};
use super::super::super::last::last;
use super::super::super::words::{self, sentence};
use super::super::family::Distinct;
use super::super::{Block, Column, Picture, Table, paragraph};
use super::{StageOf, Study, best_of};

pub(super) fn blocks(
    study: &Study,
    stage: &StageOf,
    results: &[&GroupResult],
    setting: Setting,
) -> Vec<Block> {
    let metric = study.metric();
    let what = words::setting(setting);
    let title = format!("{} against the {what}", sentence(&words::metric(metric)));
    let mut blocks = vec![Block::Heading(3, sentence(what))];
    let name = format!(
        "{}{}-{}",
        stage.prefix(),
        words::plain(&metric.to_string()),
        words::plain(setting.name())
    );
    let Some(found) = sensitivity(results, setting, metric, study.answers(), &title) else {
        blocks.push(paragraph(format!(
            "There is no figure of it: {} groups would be more lines than anybody can read. All values are in the table of \
             groups.",
            results.len()
        )));
        return blocks;
    };
    let count = found.figures.len();
    for (at, figure) in found.figures.into_iter().enumerate() {
        let name = if count == 1 {
            name.clone()
        } else {
            format!("{name}-{}", at + 1)
        };
        blocks.push(Block::Figure(Picture::of(name, figure)));
    }
    if !found.optima.is_empty() {
        blocks.push(Block::Table(optima(
            study,
            &name,
            results,
            setting,
            &found.optima,
        )));
    }
    blocks
}

/// A row for each line: its lowest point.
fn optima(
    study: &Study,
    name: &str,
    results: &[&GroupResult],
    setting: Setting,
    optima: &[Optimum],
) -> Table {
    let metric = study.metric();
    let (what, measured) = (words::setting(setting), words::metric(metric));
    let labelled = optima.iter().any(|optimum| !optimum.label.is_empty());
    let mut columns = vec![
        Column::number(what),
        Column::number(measured.clone()),
        Column::number("95 % interval"),
        Column::number("n"),
        Column::number("lowest of"),
        Column::number("would hold"),
        Column::words("note"),
    ];
    let number = results.first().map_or(0, |result| result.group.stage);
    let distinct = Distinct::of(
        study.sweep.as_ref().and_then(|sweep| sweep.stage(number)),
        results.iter().map(|result| result.group.index),
    );
    if labelled {
        columns.insert(0, Column::words("of"));
    }
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for optimum in optima {
        let Some(result) = results.get(optimum.group) else {
            continue;
        };
        let (Some(statistics), Some(at)) = (last(result, metric), value(result, setting)) else {
            continue;
        };
        let note = if optimum.edge {
            "at the edge of the values tried"
        } else {
            ""
        };
        let among = distinct.count(optimum.among.iter().map(|at| results[*at].group.index));
        let coverage = coverage_of_lowest(among, statistics.n);
        let mut row = vec![
            words::cell(setting, at),
            words::quantity(statistics.mean, words::unit(metric), 2),
            words::mean_interval(statistics, words::unit(metric), 2),
            statistics.n.to_string(),
            among.to_string(),
            coverage.map_or("–".to_owned(), best_of::percent),
            note.to_owned(),
        ];
        let number =
            |number: Option<f64>| number.map_or_else(String::new, |n| export::number(significant(n)));
        let mut numbers = vec![
            at.to_string(),
            number(Some(statistics.mean)),
            number(statistics.ci95.map(|(low, _)| low)),
            number(statistics.ci95.map(|(_, high)| high)),
            statistics.n.to_string(),
            optimum.edge.to_string(),
            among.to_string(),
            number(coverage),
        ];
        if labelled {
            row.insert(0, optimum.label.clone());
            numbers.insert(0, optimum.label.clone());
        }
        rows.push(row);
        values.push(numbers);
    }
    let lead = labelled.then_some("of").into_iter();
    let header = lead.chain([
        setting.name(),
        "mean",
        "ci95_low",
        "ci95_high",
        "n",
        "at_the_edge",
        "lowest_of",
        "coverage_if_equal",
    ]);
    let cut = match rows.iter().flatten().any(|cell| cell.ends_with(words::CUT)) {
        true => format!(" {}", words::CUT_INTERVAL),
        false => String::new(),
    };
    Table {
        name: format!("{name}-lowest"),
        caption: format!(
            "The {what} with the lowest mean {measured} after the last epoch, among groups without missing repetitions. The \
             lowest of several means is by chance too low: “would hold” says in how many cases its 95 % interval would hold the truth \
             were all these groups equal and independent. That is the worst case; one that is clearly below the others is less affected.{}{cut}",
            if rows.iter().flatten().any(|cell| cell == "–") {
                " –: no interval of n = 1."
            } else {
                ""
            }
        ),
        columns,
        rows,
        strong: Vec::new(),
        header: header.map(str::to_owned).collect(),
        values,
    }
}
