//! Small multiples: curves of many groups, a panel for each value of some axes, with shared scales.

use tenfold_core::aggregate::GroupResult;
use tenfold_types::{Metric, Setting};

use super::super::facet::{MAX_LINES, layout, split};
use super::super::words::{self, unit};
use super::{Axis, AxisKind, Figure, Panel, caption, series};

/// Panels of one figure; more go into further ones.
pub const MAX_PANELS: usize = 24;

/// Figures of one metric of one stage, at most.
pub(super) const MAX_FIGURES: usize = 4;

/// A metric against epochs: panels and lines for the values of some settings, which together tell the groups apart.
/// Figures of at most [`MAX_PANELS`] panels each; none when there are so many that nobody could read them.
pub fn multiples(results: &[&GroupResult], settings: &[Setting], metric: Metric, title: &str) -> Vec<Figure> {
    let layout = layout(results, settings);
    let panels = split(results, &layout.panels);
    let lines = split(results, &layout.lines);
    if lines.labels.len() > MAX_LINES || panels.labels.len() > MAX_FIGURES * MAX_PANELS {
        return Vec::new();
    }
    // Panels are narrow: of several settings the short names stand above them.
    let titles: Vec<String> = match layout.panels.len() {
        0 | 1 => panels.labels.clone(),
        _ => panels.values.iter().map(|values| words::terse(values)).collect(),
    };
    let panel = |(number, label): (usize, &String)| {
        let here =
            (results.iter().zip(&panels.part).zip(&lines.part)).filter(|((_, part), _)| **part == number);
        Panel {
            title: label.clone(),
            unit: unit(metric),
            series: here
                .filter_map(|((result, _), &line)| {
                    let mut series = series(line, result, &lines.labels[line], metric)?;
                    // What is missing differs from panel to panel, and the legend is of all.
                    series.note = None;
                    Some(series)
                })
                .collect(),
        }
    };
    let all: Vec<Panel> = titles.iter().enumerate().map(panel).collect();
    let figures = all.chunks(MAX_PANELS);
    let count = figures.len();
    figures
        .enumerate()
        .map(|(number, panels)| Figure {
            title: match count {
                1 => title.to_owned(),
                _ => format!("{title}, {} of {count}", number + 1),
            },
            subtitle: None,
            x: Axis {
                label: "epoch".to_owned(),
                kind: AxisKind::Epochs,
            },
            panels: panels.to_vec(),
            notes: missing(results),
            caption: format!(
                "{}. {}",
                words::sentence(&words::metric(metric)),
                caption(results.iter().copied())
            ),
        })
        .collect()
}

/// How many groups have diverged, failed or unfinished repetitions, and how many have no line.
fn missing(results: &[&GroupResult]) -> Vec<String> {
    let count = |what: &dyn Fn(&GroupResult) -> bool| results.iter().filter(|result| what(result)).count();
    let part = count(&|result| !words::left_out(&result.group).is_empty() && !result.epochs.is_empty());
    let none = count(&|result| result.epochs.is_empty());
    let note = |count: usize, what: &str| {
        let groups = if count == 1 { "group" } else { "groups" };
        (count > 0).then(|| format!("{count} {groups} {what}"))
    };
    [
        note(
            part,
            "with diverged, failed or unfinished repetitions: the lines are of those that succeeded.",
        ),
        note(none, "without a line: no repetition has succeeded."),
    ]
    .into_iter()
    .flatten()
    .collect()
}
