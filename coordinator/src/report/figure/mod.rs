//! Figures: aggregated curves as SVG, and as PNG from that SVG.

mod draw;
mod forest;
mod marks;
mod multiples;
mod palette;
mod png;
mod scale;
mod sensitivity;
mod svg;
mod text;

use std::fmt::Write;

use tenfold_core::aggregate::GroupResult;
use tenfold_types::Metric;

use super::words::{self, Labels, Unit, sentence};
pub use forest::{Forest, Row};
pub use multiples::{MAX_PANELS, multiples};
pub use png::{MAX_WIDTH, PngError, png};
pub use sensitivity::{Optimum, Sensitivity, sensitivity};
pub(super) use svg::escape;

/// What a figure shows, before it is laid out.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its title.
    pub title: String,
    /// What all lines have in common.
    pub subtitle: Option<String>,
    /// The horizontal axis, which all panels share.
    pub x: Axis,
    /// Its panels, side by side, then below one another. Those of one unit share their vertical axis.
    pub panels: Vec<Panel>,
    /// What could not be drawn, and why: a line each.
    pub notes: Vec<String>,
    /// What the lines and bands are.
    pub caption: String,
}

/// A horizontal axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What it shows.
    pub label: String,
    /// How values lie along it.
    pub kind: AxisKind,
}

/// How values lie along an axis.
#[derive(Debug, Clone, PartialEq)]
pub enum AxisKind {
    /// Whole numbers, from the first to the last.
    Epochs,
    /// Numbers.
    Linear,
    /// Numbers above zero, by their logarithms.
    Log,
    /// Side by side, with these names: a point's x is its place, 0 first.
    Places(Vec<String>),
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
    /// How it is drawn.
    pub form: Form,
    /// The point that stands out, if one does.
    pub mark: Option<Mark>,
    /// Its points, from left to right.
    pub points: Vec<Point>,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A line within a band.
    Band,
    /// A line through dots, each with a whisker for its interval.
    Intervals,
    /// Dots with whiskers alone.
    Dots,
}

/// A ring around a point of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The point's place in the line.
    pub at: usize,
    /// What stands beside it.
    pub label: Option<String>,
}

/// A point of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Where along the axis, such as the epoch.
    pub x: f64,
    /// The mean.
    pub mean: f64,
    /// The interval around the mean; none for a single value.
    pub band: Option<(f64, f64)>,
    /// Whether its dot is hollow: something is missing of the group.
    pub hollow: bool,
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
        x: Axis {
            label: "epoch".to_owned(),
            kind: AxisKind::Epochs,
        },
        panels: metrics.iter().map(panel).collect(),
        notes: notes(results, &labels, metrics),
        caption: caption(results),
    }
}

/// A style sheet that brings the font of all figures along, for a page that shows them inline.
pub const FONT_STYLE: &str = text::FONT_FACES;

impl Figure {
    /// The figure as SVG. It embeds its font and depends on nothing else.
    pub fn svg(&self) -> String {
        draw::draw(self, Dress::ALONE)
    }

    /// The figure without its words: for a document, which has them as text.
    pub fn bare_svg(&self) -> String {
        draw::draw(self, Dress::FIGURE)
    }

    /// The figure without its words and without its font, for a page that has both and shows several figures: all names of
    /// elements begin with a prefix.
    pub fn inline_svg(&self, prefix: &str) -> String {
        draw::draw(self, Dress::inline(prefix))
    }

    /// What [`Figure::svg`] writes below the panels: notes, then the caption.
    pub fn words(&self) -> Vec<String> {
        draw::words(self)
    }
}

/// What is drawn beside the panels and the legend.
#[derive(Debug, Clone, Copy)]
struct Dress<'a> {
    /// Title, notes and caption.
    words: bool,
    /// The font, embedded.
    font: bool,
    /// What names of elements begin with.
    prefix: &'a str,
}

impl<'a> Dress<'a> {
    const ALONE: Self = Self {
        words: true,
        font: true,
        prefix: "",
    };
    const FIGURE: Self = Self {
        words: false,
        ..Self::ALONE
    };

    fn inline(prefix: &'a str) -> Self {
        Self {
            words: false,
            font: false,
            prefix,
        }
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
            hollow: false,
        })
    };
    let points: Vec<Point> = result.epochs.iter().enumerate().filter_map(point).collect();
    (!points.is_empty()).then(|| Series {
        style,
        label: label.to_owned(),
        note: words::left_out_of_all(&result.group),
        form: Form::Band,
        mark: None,
        points,
    })
}

/// A note for each group that lacks a line, or lines of some metrics.
fn notes(results: &[GroupResult], labels: &Labels, metrics: &[Metric]) -> Vec<String> {
    let mut notes = Vec::new();
    for (result, label) in results.iter().zip(&labels.labels) {
        if result.epochs.is_empty() {
            let why = words::left_out_of_all(&result.group);
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
fn caption<'a>(results: impl IntoIterator<Item = &'a GroupResult>) -> String {
    let drawn = results
        .into_iter()
        .filter_map(|result| Some((result.epochs.first()?.first()?.n, result.group.sample.is_pooled())));
    let (counts, pooled): (Vec<u32>, Vec<bool>) = drawn.unzip();
    let within = match pooled.contains(&true) {
        true => ", in each the mean over the points of a group",
        false => "",
    };
    let (Some(&least), Some(&most)) = (counts.iter().min(), counts.iter().max()) else {
        return "No repetition has succeeded.".to_owned();
    };
    let mut caption = match (least, most) {
        (1, 1) => return format!("One repetition each{within}."),
        _ if least == most => format!("Mean of {most} repetitions{within}"),
        _ => format!("Mean of {least} to {most} repetitions{within}"),
    };
    _ = write!(caption, "; band: 95\u{a0}% t interval");
    if least == 1 {
        caption += ", where there are at least two";
    }
    caption + "."
}

#[cfg(test)]
mod tests;
