//! Verdicts of the sweep's hypotheses, each with its interval: the first thing that a report says.

use tenfold_core::rounding::significant;
use tenfold_core::sweep::Claim;
use tenfold_types::Metric;

use super::super::super::figure::{Forest, Row};
use super::super::super::hypotheses::{Judged, numbers, side};
use super::super::super::words::{self, Unit, sentence};
use super::super::super::{export, verdicts};
use super::super::differences::signed;
use super::super::{Block, Column, Drawing, Picture, Span, Table, paragraph};
use super::Study;

/// Rows of a figure.
const MAX_ROWS: usize = 48;

pub(super) fn blocks(study: &Study) -> Vec<Block> {
    let here = |stage: u32| study.results.iter().any(|result| result.group.stage == stage);
    let all: Vec<&Judged> = (study.verdicts.iter())
        .filter(|judged| here(judged.hypothesis.stage))
        .collect();
    if all.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![
        Block::Heading(2, "Hypotheses".to_owned()),
        Block::List(all.iter().map(|judged| item(study, judged)).collect()),
        paragraph(rates(study)),
    ];
    for (metric, rows) in by_metric(&all) {
        if rows.len() <= MAX_ROWS {
            blocks.push(figure(metric, &rows));
        }
    }
    blocks.push(Block::Table(table(&all)));
    blocks
}

/// What the error rates are, of all hypotheses of the sweep.
fn rates(study: &Study) -> String {
    let rates = verdicts::error_rates(&study.verdicts).into_iter();
    let rates: Vec<String> = rates.map(|rate| sentence(&rate) + ".").collect();
    format!(
        "{} Several hypotheses of a family are corrected by Holm, the tests of support and those of refutation each by themselves. \
         {}",
        rates.join(" "),
        verdicts::RATES_HOLD
    )
}

/// `Supported (provisional): the claim. The difference is …, expected is …`
fn item(study: &Study, judged: &Judged) -> Vec<Span> {
    let unit = words::unit(judged.hypothesis.metric);
    let points = points(unit);
    let found = match judged.planned.evidence.statistics {
        None => "no repetition has both".to_owned(),
        Some(of) if of.n == 1 => "one pair, and so no interval".to_owned(),
        Some(of) if of.ci95.is_none() => format!(
            "the {} differs by {}{points} in each of {} pairs",
            words::metric(judged.hypothesis.metric),
            signed(of.mean, unit),
            of.n
        ),
        Some(of) => format!(
            "the {} differs by {}{points}, 95 % interval {}, over {} pairs",
            words::metric(judged.hypothesis.metric),
            signed(of.mean, unit),
            words::interval(&of, unit, 2),
            of.n
        ),
    };
    let averages = verdicts::averages(judged).map(|points| format!("; {points}"));
    let notes = match verdicts::notes(judged).join("; ") {
        notes if notes.is_empty() => notes,
        notes => format!(" ({notes})"),
    };
    let remarks = verdicts::remarks(judged, &study.name).into_iter();
    let remarks: String = remarks.map(|remark| format!(" {}.", sentence(&remark))).collect();
    vec![
        Span::Strong(sentence(judged.verdict.name())),
        Span::Text(format!(
            "{notes}: {} ({found}{}; expected {}{points}).{remarks}",
            judged.hypothesis.claim,
            averages.unwrap_or_default(),
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
fn by_metric<'a>(all: &[&'a Judged]) -> Vec<(Metric, Vec<&'a Judged>)> {
    let mut metrics: Vec<(Metric, Vec<&Judged>)> = Vec::new();
    for &judged in all {
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
        let statistics = judged.planned.evidence.statistics;
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
            text: match judged.provisional {
                true => format!("{} so far", judged.verdict.name()),
                false => judged.verdict.name().to_owned(),
            },
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
        caption: caption(rows),
        drawing: Drawing::Intervals(Forest {
            title: format!("hypotheses on the {metric_name}"),
            label: sentence(&format!("difference of the {metric_name}{points}")),
            unit,
            sides: None,
            rows: rows.iter().map(row).collect(),
        }),
    })
}

/// How the intervals of a figure are read.
fn caption(rows: &[&Judged]) -> String {
    let mut caption = "Paired differences with their 95 % t intervals, each by itself. Dashed: the margins that they are held against. A \
                       hypothesis is supported where the whole interval lies where it says, refuted where the whole interval lies \
                       elsewhere, undecided otherwise."
        .to_owned();
    if rows.iter().any(|judged| judged.corrected.family > 1) {
        caption += " The verdicts are corrected for the hypotheses of each family, and so may be undecided where an interval is not.";
    }
    if rows.iter().any(|judged| judged.planned.missing() > 0) {
        caption += " Where planned pairs are missing the interval is of the others, and may be biased.";
    }
    if rows.iter().any(|judged| judged.extended.is_some()) {
        caption += " Of stages that were extended after a look the planned repetitions are shown.";
    }
    caption
}

fn table(all: &[&Judged]) -> Table {
    let columns = vec![
        Column::words("verdict"),
        Column::words("claim"),
        Column::words("this"),
        Column::words("than"),
        Column::words("at"),
        Column::number("expected"),
        Column::number("difference"),
        Column::number("95 % interval"),
        Column::number("p (Holm)"),
        Column::number("n"),
        Column::words("marks"),
    ];
    Table {
        name: "hypotheses".to_owned(),
        caption: "The sweep's hypotheses, written before it ran: they are a part of the text that its id is the hash of. Differences are those \
                  of this less than, paired by repetition; shares in percentage points. n counts pairs, beside those that were planned; p \
                  is one-sided, the lesser of that of support and that of refutation, each corrected for the hypotheses of the family. \
                  \u{201c}–\u{201d}: there are no such pairs, or too few for an interval, or none of their differences differ."
            .to_owned(),
        columns,
        rows: all.iter().map(|judged| row(judged)).collect(),
        strong: Vec::new(),
        header: HEADER.map(str::to_owned).to_vec(),
        values: all.iter().map(|judged| values(judged)).collect(),
    }
}

/// A row for people.
fn row(judged: &Judged) -> Vec<String> {
    let hypothesis = &judged.hypothesis;
    let unit = words::unit(hypothesis.metric);
    let of = judged.planned.evidence.statistics;
    let at = format!("{}, epoch {}", words::metric(hypothesis.metric), hypothesis.at);
    let at = match judged.stage.as_str() {
        "" => at,
        stage => format!("{stage}: {at}"),
    };
    let p = f64::min(judged.corrected.p_support, judged.corrected.p_refutation);
    let n = match (judged.planned.evidence.pairs(), judged.planned.repetitions) {
        (n, planned) if n == planned => n.to_string(),
        (n, planned) => format!("{n} of {planned}"),
    };
    vec![
        judged.verdict.name().to_owned(),
        hypothesis.claim.clone(),
        side(&hypothesis.this),
        side(&hypothesis.than),
        at,
        expected(judged),
        of.map_or("–".to_owned(), |of| signed(of.mean, unit)),
        of.map_or("–".to_owned(), |of| words::interval(&of, unit, 2)),
        verdicts::words_of_p(p),
        n,
        verdicts::notes(judged).join("; "),
    ]
}

/// The columns of the CSV file.
const HEADER: [&str; 43] = [
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
    "provisional",
    "averages_over",
    "planned",
    "missing",
    "missing_pairs",
    "missing_diverged",
    "missing_failed",
    "missing_cancelled",
    "missing_left_out",
    "missing_unfinished",
    "verdict_of_present",
    "verdict_by_interval",
    "family",
    "family_size",
    "p_support",
    "p_support_holm",
    "p_refutation",
    "p_refutation_holm",
    "least_deviation",
    "by_need",
    "diverged_this",
    "diverged_than",
    "diverged_of",
    "diverged_p",
    "extended_repetitions",
    "extended_seen",
    "extended_verdict",
    "extended_n",
];

/// A row of the CSV file.
fn values(judged: &Judged) -> Vec<String> {
    let number =
        |value: Option<f64>| value.map_or_else(String::new, |value| export::number(significant(value)));
    let (hypothesis, planned, absent) = (&judged.hypothesis, &judged.planned, &judged.absent);
    let (expected, margin) = match hypothesis.expected {
        Claim::Lower(margin) => ("lower_by", margin),
        Claim::Higher(margin) => ("higher_by", margin),
        Claim::Within(margin) => ("within", margin),
    };
    let [difference, low, high] = numbers(planned);
    let (evidence, corrected) = (&planned.evidence, &judged.corrected);
    let mut values = vec![
        judged.verdict.name().to_owned(),
        hypothesis.claim.clone(),
        judged.stage.clone(),
        hypothesis.metric.to_string(),
        hypothesis.at.to_string(),
        side(&hypothesis.this),
        side(&hypothesis.than),
        expected.to_owned(),
        number(Some(margin)),
        number(planned.means[0]),
        number(planned.means[1]),
        number(difference),
        number(low),
        number(high),
        evidence.pairs().to_string(),
        judged.provisional.to_string(),
        judged.averages.join("; "),
        planned.repetitions.to_string(),
        hypothesis.missing.name().to_owned(),
    ];
    let missing = [
        planned.missing(),
        absent.diverged,
        absent.failed,
        absent.cancelled,
        absent.left_out,
        absent.unfinished,
    ];
    values.extend(missing.map(|count| count.to_string()));
    values.extend([
        judged.of_present.name().to_owned(),
        evidence.by_interval.name().to_owned(),
        hypothesis.family.name().unwrap_or_default().to_owned(),
        corrected.family.to_string(),
        number(Some(evidence.p_support)),
        number(Some(corrected.p_support)),
        number(Some(evidence.p_refutation)),
        number(Some(corrected.p_refutation)),
        evidence.floored.to_string(),
        judged.by_need.to_string(),
    ]);
    let diverged = judged.divergence.map(|of| (of.this, of.than, of.of, of.p));
    values.extend(diverged.map_or_else(
        || vec![String::new(); 4],
        |(this, than, of, p)| {
            let counts = [this, than, of].map(|count| count.to_string());
            counts.into_iter().chain([number(Some(p))]).collect()
        },
    ));
    values.extend(judged.extended.as_ref().map_or_else(
        || vec![String::new(); 4],
        |of| {
            let seen = of.looks.iter().map(|look| look.pairs().to_string());
            vec![
                of.present.repetitions.to_string(),
                seen.collect::<Vec<_>>().join("; "),
                of.verdict.name().to_owned(),
                of.present.evidence.pairs().to_string(),
            ]
        },
    ));
    values
}
