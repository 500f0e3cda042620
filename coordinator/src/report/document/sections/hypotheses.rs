//! Verdicts of the sweep's hypotheses, each with its interval: the first thing that a report says.

use std::collections::BTreeMap;

use tenfold_core::compare::Verdict;
use tenfold_core::rounding::significant;
use tenfold_core::sweep::Claim;
use tenfold_types::{Metric, Setting, Value};

use super::super::super::export;
use super::super::super::figure::{Forest, Row};
use super::super::super::hypotheses::{Judged, judged};
use super::super::super::words::{self, Unit, sentence, terse};
use super::super::differences::signed;
use super::super::{Block, Column, Drawing, Picture, Span, Table};
use super::Study;

/// Rows of a figure.
const MAX_ROWS: usize = 48;

pub(super) fn blocks(study: &Study) -> Vec<Block> {
    let Some(sweep) = &study.sweep else {
        return Vec::new();
    };
    let here = |stage: u32| study.results.iter().any(|result| result.group.stage == stage);
    let all: Vec<Judged> = (sweep.hypotheses().iter())
        .filter(|hypothesis| here(hypothesis.stage))
        .map(|hypothesis| judged(sweep, hypothesis, false, &study.trials))
        .collect();
    if all.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![
        Block::Heading(2, "Hypotheses".to_owned()),
        Block::List(all.iter().map(item).collect()),
    ];
    for (metric, rows) in by_metric(&all) {
        if rows.len() <= MAX_ROWS {
            blocks.push(figure(metric, &rows));
        }
    }
    blocks.push(Block::Table(table(&all)));
    blocks
}

/// `Supported: the claim. The difference is …, expected is …`
fn item(judged: &Judged) -> Vec<Span> {
    let unit = words::unit(judged.hypothesis.metric);
    let points = points(unit);
    let found = match judged.comparison.difference.as_ref() {
        None => "no repetition has both".to_owned(),
        Some(of) if of.statistics.ci95.is_none() => "one pair, and so no interval".to_owned(),
        Some(of) => format!(
            "the {} differs by {}{points}, 95 % interval {}, over {} pairs",
            words::metric(judged.hypothesis.metric),
            signed(of.statistics.mean, unit),
            words::interval(&of.statistics, unit, 2),
            of.statistics.n
        ),
    };
    vec![
        Span::Strong(sentence(judged.verdict.name())),
        Span::Text(format!(
            ": {} ({found}; expected {}{points}).",
            judged.hypothesis.claim,
            expected(judged)
        )),
    ]
}

fn points(unit: Unit) -> &'static str {
    match unit {
        Unit::Percent => " percentage points",
        Unit::Plain => "",
    }
}

fn expected(judged: &Judged) -> String {
    let unit = words::unit(judged.hypothesis.metric);
    match judged.hypothesis.expected {
        Claim::Lower(margin) => format!("below {}", signed(0.0 - margin, unit)),
        Claim::Higher(margin) => format!("above {}", signed(margin, unit)),
        Claim::Within(margin) => format!("within ±{}", signed(margin, unit)),
    }
}

/// Metrics in the order in which they first occur: intervals of different units share no axis.
fn by_metric(all: &[Judged]) -> Vec<(Metric, Vec<&Judged>)> {
    let mut metrics: Vec<(Metric, Vec<&Judged>)> = Vec::new();
    for judged in all {
        let metric = judged.hypothesis.metric;
        match metrics.iter_mut().find(|(of, _)| *of == metric) {
            Some((_, rows)) => rows.push(judged),
            None => metrics.push((metric, vec![judged])),
        }
    }
    metrics
}

fn figure(metric: Metric, rows: &[&Judged]) -> Block {
    let unit = words::unit(metric);
    let row = |judged: &&Judged| {
        let statistics = judged.comparison.difference.as_ref().map(|of| of.statistics);
        Row {
            head: None,
            name: judged.hypothesis.claim.clone(),
            mean: statistics.map(|of| of.mean),
            interval: statistics.and_then(|of| of.ci95),
            margins: match judged.hypothesis.expected {
                Claim::Lower(margin) => vec![-margin],
                Claim::Higher(margin) => vec![margin],
                Claim::Within(margin) => vec![-margin, margin],
            },
            text: judged.verdict.name().to_owned(),
        }
    };
    let metric_name = words::metric(metric);
    let points = if unit == Unit::Percent {
        ", percentage points"
    } else {
        ""
    };
    Block::Figure(Picture {
        name: format!("hypotheses-{}", words::plain(&metric.to_string())),
        title: format!("Hypotheses on the {metric_name}"),
        caption: "Paired differences with their 95 % t intervals. Dashed: the margins that they are held against. A hypothesis is supported \
                  where the whole interval lies where it says, refuted where the whole interval lies elsewhere, undecided otherwise."
            .to_owned(),
        drawing: Drawing::Intervals(Forest {
            title: format!("hypotheses on the {metric_name}"),
            label: sentence(&format!("difference of the {metric_name}{points}")),
            unit,
            sides: None,
            rows: rows.iter().map(row).collect(),
        }),
    })
}

fn table(all: &[Judged]) -> Table {
    let columns = vec![
        Column::words("verdict"),
        Column::words("claim"),
        Column::words("this"),
        Column::words("than"),
        Column::words("at"),
        Column::number("expected"),
        Column::number("difference"),
        Column::number("95 % interval"),
        Column::number("n"),
        Column::words("left out"),
    ];
    let row = |judged: &Judged| {
        let hypothesis = &judged.hypothesis;
        let unit = words::unit(hypothesis.metric);
        let of = judged.comparison.difference.as_ref().map(|of| &of.statistics);
        let at = format!("{}, epoch {}", words::metric(hypothesis.metric), hypothesis.at);
        let at = match judged.stage.as_str() {
            "" => at,
            stage => format!("{stage}: {at}"),
        };
        vec![
            judged.verdict.name().to_owned(),
            hypothesis.claim.clone(),
            side(&hypothesis.this),
            side(&hypothesis.than),
            at,
            expected(judged),
            of.map_or("–".to_owned(), |of| signed(of.mean, unit)),
            of.map_or("–".to_owned(), |of| words::interval(of, unit, 2)),
            judged.comparison.pairs().to_string(),
            judged.missing.clone(),
        ]
    };
    let number =
        |value: Option<f64>| value.map_or_else(String::new, |value| export::number(significant(value)));
    let values = |judged: &Judged| {
        let hypothesis = &judged.hypothesis;
        let of = judged.comparison.difference.as_ref().map(|of| &of.statistics);
        let (expected, margin) = match hypothesis.expected {
            Claim::Lower(margin) => ("lower_by", margin),
            Claim::Higher(margin) => ("higher_by", margin),
            Claim::Within(margin) => ("within", margin),
        };
        vec![
            judged.verdict.name().to_owned(),
            hypothesis.claim.clone(),
            judged.stage.clone(),
            hypothesis.metric.to_string(),
            hypothesis.at.to_string(),
            side(&hypothesis.this),
            side(&hypothesis.than),
            expected.to_owned(),
            number(Some(margin)),
            number(judged.comparison.this_mean),
            number(judged.comparison.than_mean),
            number(of.map(|of| of.mean)),
            number(of.and_then(|of| Some(of.ci95?.0))),
            number(of.and_then(|of| Some(of.ci95?.1))),
            judged.comparison.pairs().to_string(),
        ]
    };
    let header = [
        "verdict",
        "claim",
        "stage",
        "metric",
        "epoch",
        "this",
        "than",
        "expected",
        "margin",
        "this_mean",
        "than_mean",
        "difference_mean",
        "ci95_low",
        "ci95_high",
        "n",
    ];
    Table {
        name: "hypotheses".to_owned(),
        caption: "The sweep's hypotheses, written before it ran: they are a part of the text that its id is the hash of. Differences are those \
                  of this less than, paired by repetition; shares in percentage points."
            .to_owned(),
        columns,
        rows: all.iter().map(row).collect(),
        strong: (0..all.len())
            .filter(|&at| all[at].verdict != Verdict::Undecided)
            .collect(),
        header: header.map(str::to_owned).to_vec(),
        values: all.iter().map(values).collect(),
    }
}

fn side(side: &BTreeMap<Setting, Value>) -> String {
    let values: Vec<(Setting, Value)> = side
        .iter()
        .map(|(setting, value)| (*setting, value.clone()))
        .collect();
    terse(&values)
}
