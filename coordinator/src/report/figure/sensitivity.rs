//! How sensitive a metric is to a setting with numbers, such as the learning rate: its value at the last epoch against
//! them.

use tenfold_core::aggregate::GroupResult;
use tenfold_types::{Metric, Setting, Value};

use super::super::facet::{MAX_LINES, accompanied, beside, layout, number, split, value};
use super::super::last::{best, last, whole};
use super::super::words::{self, Labels, unit};
use super::multiples::MAX_FIGURES;
use super::{Axis, AxisKind, Figure, Form, MAX_PANELS, Mark, Panel, Point, Series, caption};

/// From this ratio of the greatest to the least value on an axis is logarithmic.
const WIDE: f64 = 20.0;
/// Lines of a panel whose best points are labelled.
const LABELLED: usize = 4;
/// Groups that a note names; of more it says how many they are.
const NAMED: usize = 6;

/// Figures of a metric against a setting, and where each line is lowest.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensitivity {
    /// One, or several where there are many panels.
    pub figures: Vec<Figure>,
    /// In the order of panels and lines.
    pub optima: Vec<Optimum>,
}

/// The lowest point of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Optimum {
    /// What the line is of; empty where there is only one.
    pub label: String,
    /// The place of its group among the results.
    pub group: usize,
    /// Whether it lies at the least or greatest value that the line has.
    pub edge: bool,
    /// The places of the groups of which it is the lowest, itself among them.
    pub among: Vec<usize>,
}

/// A metric at the last epoch against the values of a setting with numbers: a line for each combination of the other axes,
/// in panels if these are many. The lowest point of each line among groups without missing repetitions is marked.
///
/// The metric is a count of `answers`, or none.
///
/// None when there is nothing to draw, or so much that nobody could read it.
pub fn sensitivity(
    results: &[&GroupResult],
    setting: Setting,
    metric: Metric,
    answers: Option<u32>,
    title: &str,
) -> Option<Sensitivity> {
    let others = beside(results, setting);
    let layout = layout(results, &others);
    let (panels, lines) = (split(results, &layout.panels), split(results, &layout.lines));
    let whole_lines = split(results, &others);
    if lines.labels.len() > MAX_LINES || panels.labels.len() > MAX_FIGURES * MAX_PANELS {
        return None;
    }
    let mut values: Vec<&Value> = results
        .iter()
        .filter_map(|result| value(result, setting))
        .collect();
    values.sort();
    values.dedup();
    let kind = kind(setting, &values);
    let along = |result: &GroupResult| {
        let value = value(result, setting)?;
        match kind {
            #[expect(clippy::cast_precision_loss, reason = "a place on paper")]
            AxisKind::Places(_) => values
                .iter()
                .position(|&other| other == value)
                .map(|at| at as f64),
            _ => number(value),
        }
    };
    let form = if accompanied(results, setting) {
        Form::Dots
    } else {
        Form::Intervals
    };

    let (mut drawn, mut optima) = (Vec::new(), Vec::new());
    for (panel, title) in panels.labels.iter().enumerate() {
        let mut series = Vec::new();
        for (line, label) in lines.labels.iter().enumerate() {
            let here = |&at: &usize| panels.part[at] == panel && lines.part[at] == line;
            let mut here: Vec<(usize, f64, &GroupResult)> = (0..results.len())
                .filter(here)
                .filter_map(|at| Some((at, along(results[at])?, results[at])))
                .filter(|(.., result)| last(result, metric).is_some())
                .collect();
            here.sort_by(|a, b| a.1.total_cmp(&b.1));
            let point = |&(_, x, result): &(usize, f64, &GroupResult)| {
                let statistics = last(result, metric)?;
                Some(Point {
                    x,
                    mean: statistics.mean,
                    band: statistics.ci95,
                    hollow: !whole(result),
                })
            };
            let points: Vec<Point> = here.iter().filter_map(point).collect();
            let best = best(here.iter().map(|(.., result)| *result), metric, answers)
                .filter(|&at| whole(here[at].2));
            if let Some(at) = best {
                optima.push(Optimum {
                    label: whole_lines.labels[whole_lines.part[here[at].0]].clone(),
                    group: here[at].0,
                    edge: here.len() > 1 && (at == 0 || at + 1 == here.len()),
                    among: here
                        .iter()
                        .filter(|(.., result)| whole(result))
                        .map(|(at, ..)| *at)
                        .collect(),
                });
            }
            if !points.is_empty() {
                series.push(Series {
                    style: line,
                    label: label.clone(),
                    note: None,
                    form,
                    mark: best.map(|at| Mark {
                        at,
                        label: mark_label(here[at].2, setting, metric, lines.labels.len()),
                    }),
                    points,
                });
            }
        }
        drawn.push(Panel {
            title: title.clone(),
            unit: unit(metric),
            series,
        });
    }
    if drawn.iter().all(|panel| panel.series.is_empty()) {
        return None;
    }
    let figures = drawn.chunks(MAX_PANELS);
    let count = figures.len();
    let figure = |(at, panels): (usize, &[Panel])| Figure {
        title: match count {
            1 => title.to_owned(),
            _ => format!("{title}, {} of {count}", at + 1),
        },
        subtitle: None,
        x: Axis {
            label: match kind {
                AxisKind::Log => format!("{}, logarithmic", words::setting(setting)),
                _ => words::setting(setting).to_owned(),
            },
            kind: kind.clone(),
        },
        panels: panels.to_vec(),
        notes: missing(results, metric),
        caption: words_below(results, setting, metric, form),
    };
    Some(Sensitivity {
        figures: figures.enumerate().map(figure).collect(),
        optima,
    })
}

/// Logarithmic for values above zero that are far apart; side by side where such values come with zero.
fn kind(setting: Setting, values: &[&Value]) -> AxisKind {
    let numbers: Vec<f64> = values.iter().filter_map(|value| number(value)).collect();
    let above = || numbers.iter().copied().filter(|&number| number > 0.0);
    let (least, most) = (above().fold(f64::INFINITY, f64::min), above().fold(0.0, f64::max));
    match () {
        () if most < WIDE * least => AxisKind::Linear,
        () if numbers.iter().all(|&number| number > 0.0) => AxisKind::Log,
        () if values.len() <= 12 => {
            AxisKind::Places(values.iter().map(|value| words::cell(setting, value)).collect())
        }
        () => AxisKind::Linear,
    }
}

/// `1e-3: 12.3 %`; shorter among several lines; none among many.
fn mark_label(result: &GroupResult, setting: Setting, metric: Metric, lines: usize) -> Option<String> {
    let at = words::cell(setting, value(result, setting)?).replace('-', "\u{2212}");
    match lines {
        1 => {
            let mean = words::quantity(last(result, metric)?.mean, unit(metric), 1);
            Some(format!("{at}: {mean}"))
        }
        2..=LABELLED => Some(at),
        _ => None,
    }
}

/// Which groups have no dot, and why.
fn missing(results: &[&GroupResult], metric: Metric) -> Vec<String> {
    let labels = Labels::of(results.iter().map(|result| &result.group)).labels;
    let lacking: Vec<(&String, &&GroupResult)> = labels
        .iter()
        .zip(results)
        .filter(|(_, result)| last(result, metric).is_none())
        .collect();
    if lacking.len() > NAMED {
        return vec![format!(
            "{} of {} groups have no dot: none of their repetitions has succeeded.",
            lacking.len(),
            results.len()
        )];
    }
    let note = |(label, result): &(&String, &&GroupResult)| {
        let why = words::left_out_of_all(&result.group);
        format!(
            "No dot for {label}: {}.",
            why.as_deref().unwrap_or("it has no epochs")
        )
    };
    lacking.iter().map(note).collect()
}

fn words_below(results: &[&GroupResult], setting: Setting, metric: Metric, form: Form) -> String {
    let mut lengths: Vec<usize> = results
        .iter()
        .filter(|result| last(result, metric).is_some())
        .map(|result| result.epochs.len())
        .collect();
    lengths.sort_unstable();
    lengths.dedup();
    let when = match lengths.as_slice() {
        [epoch] => format!("after epoch {epoch}"),
        _ => "after the last epoch of each group".to_owned(),
    };
    let what = words::setting(setting);
    let mut text = format!(
        "{} {when} against the {what}. {}",
        words::sentence(&words::metric(metric)),
        caption(results.iter().copied()).replace("band:", "whiskers:")
    );
    text += " A ring marks the lowest mean of each line among groups without missing repetitions.";
    let hollow = |result: &&&GroupResult| last(result, metric).is_some() && !whole(result);
    if results.iter().any(|result| hollow(&result)) {
        text += " Hollow dots: some repetitions diverged, failed or are unfinished, and are left out.";
    }
    if form == Form::Dots {
        text += " Other settings vary along with it, so no line joins the dots.";
    }
    text
}
