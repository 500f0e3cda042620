//! Figures: aggregated curves as SVG, and as PNG from that SVG.

mod draw;
mod palette;
mod png;
mod scale;
mod svg;
mod text;

use std::fmt::Write;

use tenfold_core::aggregate::GroupResult;
use tenfold_types::Metric;

use super::words::{self, Labels, Unit};
pub use png::{MAX_WIDTH, PngError, png};

/// What a figure shows, before it is laid out.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its title.
    pub title: String,
    /// What all lines have in common.
    pub subtitle: Option<String>,
    /// What the horizontal axis shows.
    pub x_label: String,
    /// Its panels, side by side. Those of one unit share their vertical axis.
    pub panels: Vec<Panel>,
    /// What could not be drawn, and why: a line each.
    pub notes: Vec<String>,
    /// What the lines and bands are.
    pub caption: String,
}

/// One pair of axes with its lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What it shows.
    pub title: String,
    /// What values are measured in.
    pub unit: Unit,
    /// Its lines.
    pub series: Vec<Series>,
}

/// One line with its band.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The number of its colour; lines of one group have the same in every panel.
    pub style: usize,
    /// Its name in the legend.
    pub label: String,
    /// What the legend adds to the name.
    pub note: Option<String>,
    /// Its points, from left to right.
    pub points: Vec<Point>,
}

/// A point of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The epoch.
    pub x: f64,
    /// The mean.
    pub mean: f64,
    /// The interval around the mean; none for a single value.
    pub band: Option<(f64, f64)>,
}

/// What to draw of some results.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CurvesOptions {
    /// The title, such as the sweep's name.
    pub title: String,
    /// The metrics, a panel each. None: train and test error.
    pub metrics: Vec<Metric>,
}

/// Metrics against epochs, a line per group with its 95 % band.
///
/// Every group has a line or a note that says why it has none. A group of which some repetitions diverged, failed, were
/// cancelled or are unfinished says so in the legend.
pub fn curves_figure(results: &[GroupResult], options: &CurvesOptions) -> Figure {
    let metrics = match options.metrics.as_slice() {
        [] => &[Metric::TrainError, Metric::TestError],
        some => some,
    };
    let labels = Labels::of(results.iter().map(|result| &result.group));
    let panel = |&metric: &Metric| Panel {
        title: sentence(&words::metric(metric)),
        unit: words::unit(metric),
        series: (results.iter().zip(&labels.labels).enumerate())
            .filter_map(|(style, (result, label))| series(style, result, label, metric))
            .collect(),
    };
    Figure {
        title: options.title.clone(),
        subtitle: (!labels.common.is_empty()).then(|| labels.common.clone()),
        x_label: "epoch".to_owned(),
        panels: metrics.iter().map(panel).collect(),
        notes: notes(results, &labels, metrics),
        caption: caption(results),
    }
}

impl Figure {
    /// The figure as SVG. It embeds its font and depends on nothing else.
    pub fn svg(&self) -> String {
        draw::draw(self)
    }
}

fn series(style: usize, result: &GroupResult, label: &str, metric: Metric) -> Option<Series> {
    let column = result.metrics.iter().position(|&m| m == metric)?;
    let point = |(at, row): (usize, &Vec<_>)| {
        let statistics: &tenfold_core::aggregate::Statistics = row.get(column)?;
        Some(Point {
            x: (at + 1) as f64,
            mean: statistics.mean,
            band: statistics.ci95,
        })
    };
    let points: Vec<Point> = result.epochs.iter().enumerate().filter_map(point).collect();
    (!points.is_empty()).then(|| Series {
        style,
        label: label.to_owned(),
        note: words::missing_of_all(&result.group.counts),
        points,
    })
}

/// A note for each group that lacks a line, or lines of some metrics.
fn notes(results: &[GroupResult], labels: &Labels, metrics: &[Metric]) -> Vec<String> {
    let mut notes = Vec::new();
    for (result, label) in results.iter().zip(&labels.labels) {
        if result.epochs.is_empty() {
            let why = words::missing_of_all(&result.group.counts);
            notes.push(format!(
                "No line for {label}: {}",
                why.as_deref().unwrap_or("it has no epochs")
            ));
            continue;
        }
        let lacks = metrics.iter().filter(|metric| !result.metrics.contains(metric));
        let lacks: Vec<String> = lacks.map(|&metric| words::metric(metric)).collect();
        if !lacks.is_empty() {
            notes.push(format!("{label} has no {}", lacks.join(", no ")));
        }
    }
    notes
}

/// What lines and bands are: `Mean of 10 repetitions; band: 95 % t interval.`
fn caption(results: &[GroupResult]) -> String {
    let counts = || {
        results
            .iter()
            .filter_map(|result| result.epochs.first()?.first().map(|s| s.n))
    };
    let (Some(least), Some(most)) = (counts().min(), counts().max()) else {
        return "No repetition has succeeded.".to_owned();
    };
    let mut caption = match (least, most) {
        (1, 1) => return "One repetition each.".to_owned(),
        _ if least == most => format!("Mean of {most} repetitions"),
        _ => format!("Mean of {least} to {most} repetitions"),
    };
    _ = write!(caption, "; band: 95\u{a0}% t interval");
    if least == 1 {
        caption += ", where there are at least two";
    }
    caption + "."
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
