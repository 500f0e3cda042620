//! The layout of a figure on its page.
//!
//! From top to bottom: title and subtitle; panels side by side; the legend in columns below them, where it covers no
//! line; notes; caption. The page grows with its legend.

use super::palette::{Style, style};
use super::scale::{Scale, epoch_range, epoch_ticks, value_range, value_ticks};
use super::svg::{Anchor, Svg, number, path};
use super::text::Face;
use super::{Figure, Panel, Series, Unit};

/// The page's width; all lengths are in its units. At 1,200 pixels the smallest text is 16 pixels high.
const WIDTH: f64 = 900.0;
const MARGIN: f64 = 20.0;
const INNER: f64 = WIDTH - 2.0 * MARGIN;
/// Between panels.
const GAP: f64 = 26.0;
/// Of a panel's axes.
const PANEL_HEIGHT: f64 = 300.0;
/// Of a line in the legend.
const SAMPLE: f64 = 30.0;

const INK: &str = "#1a1a1a";
const GREY: &str = "#555";
const TITLE: Face = Face {
    size: 18.0,
    weight: 600,
    colour: INK,
};
const SUBTITLE: Face = Face {
    size: 13.5,
    weight: 400,
    colour: GREY,
};
const HEAD: Face = Face {
    size: 14.0,
    weight: 600,
    colour: INK,
};
const LABEL: Face = Face {
    size: 13.0,
    weight: 400,
    colour: INK,
};
const TICK: Face = Face {
    size: 12.0,
    weight: 400,
    colour: GREY,
};
const LEGEND: Face = Face {
    size: 12.5,
    weight: 400,
    colour: INK,
};
const NOTE: Face = Face {
    size: 12.0,
    weight: 400,
    colour: GREY,
};

/// Lines of text below one another are this far apart, in sizes of their face.
const LEADING: f64 = 1.4;

/// A piece of the page below the panels: lines of text, and where each stands.
struct Block {
    lines: Vec<(f64, f64, Face, String)>,
    samples: Vec<(f64, f64, Style)>,
    bottom: f64,
}

pub(super) fn draw(figure: &Figure) -> String {
    let mut top = MARGIN;
    let mut heading: Vec<(f64, Face, String)> = Vec::new();
    for (face, text) in [(TITLE, Some(&figure.title)), (SUBTITLE, figure.subtitle.as_ref())] {
        for line in face.wrap(text.map_or("", String::as_str), INNER) {
            top += face.size * LEADING;
            heading.push((top - 0.3 * face.size, face, line));
        }
    }
    let frames = frames(figure, top + 14.0);
    let bottom = frames.iter().map(|frame| frame.y.from).fold(top, f64::max);
    let cut = frames.iter().any(|frame| frame.cut);
    let legend = legend(figure, bottom + 54.0);
    let notes = notes(figure, cut, legend.bottom + 8.0);

    let mut svg = Svg::new(WIDTH, notes.bottom + MARGIN - 4.0, &figure.title);
    for (y, face, line) in heading {
        svg.text(MARGIN, y, Anchor::Start, face, &line);
    }
    for (number, frame) in frames.iter().enumerate() {
        frame.draw(&mut svg, number, &figure.x_label);
    }
    for block in [legend, notes] {
        for (x, y, style) in block.samples {
            svg.line((x, y), (x + SAMPLE, y), &stroke(style, 2.4));
        }
        for (x, y, face, line) in block.lines {
            svg.text(x, y, Anchor::Start, face, &line);
        }
    }
    svg.finish()
}

fn stroke(style: Style, width: f64) -> String {
    let dashes = match style.dashes {
        "" => String::new(),
        dashes => format!(" stroke-dasharray=\"{dashes}\""),
    };
    format!(
        "fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\"{dashes}",
        style.colour
    )
}

/// A panel with its place on the page.
struct Frame<'a> {
    panel: &'a Panel,
    x: Scale,
    y: Scale,
    /// Whether the vertical axis has labels here, or shares those of its neighbour.
    labelled: bool,
    /// Whether a band leaves the panel.
    cut: bool,
}

/// Places the panels: up to three in a row.
fn frames(figure: &Figure, top: f64) -> Vec<Frame<'_>> {
    let panels = &figure.panels;
    let columns = if panels.len() == 4 {
        2
    } else {
        panels.len().clamp(1, 3)
    };
    let unit = panels.first().map(|panel| panel.unit);
    let shared = panels.iter().all(|panel| Some(panel.unit) == unit);
    let range = |panel| {
        value_range(&if shared {
            panels.iter().collect()
        } else {
            vec![panel]
        })
    };
    let widest = |panel: &Panel, (low, high)| {
        let ticks = value_ticks(low, high, panel.unit);
        TICK.widths(ticks.iter().map(|tick| tick.label.as_str()))
            .into_iter()
            .fold(0.0, f64::max)
    };
    // Room for the tick labels and, where values have no unit, nothing more: the panel's title names them.
    let axis = panels
        .iter()
        .map(|panel| widest(panel, range(panel).0))
        .fold(0.0, f64::max)
        + 34.0;
    let axes = if shared { 1 } else { columns };
    let free = INNER - axis * axes as f64 - GAP * (columns - 1) as f64;
    // A single panel needs not be as wide as the page.
    let width = if columns == 1 {
        free.min(620.0)
    } else {
        free / columns as f64
    };
    let (first, last) = epoch_range(panels);
    let place = |(number, panel)| {
        let (row, column) = (number / columns, number % columns);
        let labels = if shared { 1 } else { column + 1 };
        let left = MARGIN + axis * labels as f64 + (width + GAP) * column as f64;
        let upper = top + 24.0 + (PANEL_HEIGHT + 84.0) * row as f64;
        let ((low, high), cut) = range(panel);
        Frame {
            panel,
            x: Scale {
                low: first,
                high: last,
                from: left,
                to: left + width,
            },
            y: Scale {
                low,
                high,
                from: upper + PANEL_HEIGHT,
                to: upper,
            },
            labelled: !shared || column == 0,
            cut,
        }
    };
    panels.iter().enumerate().map(place).collect()
}

impl Frame<'_> {
    fn draw(&self, svg: &mut Svg, number: usize, x_label: &str) {
        let (x, y) = (self.x, self.y);
        svg.raw(&format!("<g id=\"panel-{number}\">"));
        svg.text(x.from, y.to - 11.0, Anchor::Start, HEAD, &self.panel.title);
        self.axes(svg, x_label);
        self.lines(svg, number);
        if self.panel.series.is_empty() {
            let middle = (f64::midpoint(x.from, x.to), f64::midpoint(y.from, y.to));
            svg.text(middle.0, middle.1, Anchor::Middle, NOTE, "no values");
        }
        svg.raw("</g>");
    }

    fn axes(&self, svg: &mut Svg, x_label: &str) {
        let (x, y) = (self.x, self.y);
        for tick in value_ticks(y.low, y.high, self.panel.unit) {
            let at = y.at(tick.value);
            if tick.value != y.low {
                svg.line(
                    (x.from, at),
                    (x.to, at),
                    "stroke=\"#e4e4e4\" stroke-width=\"0.8\"",
                );
            }
            if self.labelled {
                svg.line(
                    (x.from - 4.0, at),
                    (x.from, at),
                    "stroke=\"#555\" stroke-width=\"0.9\"",
                );
                svg.text(x.from - 8.0, at + 4.2, Anchor::End, TICK, &tick.label);
            }
        }
        for tick in epoch_ticks(x.low, x.high) {
            let at = x.at(tick.value);
            svg.line(
                (at, y.from),
                (at, y.from + 4.0),
                "stroke=\"#555\" stroke-width=\"0.9\"",
            );
            svg.text(at, y.from + 18.0, Anchor::Middle, TICK, &tick.label);
        }
        let corner = path([(x.from, y.to), (x.from, y.from), (x.to, y.from)]);
        svg.raw(&format!(
            "<path d=\"{corner}\" fill=\"none\" stroke=\"#555\" stroke-width=\"0.9\"/>"
        ));
        svg.text(
            f64::midpoint(x.from, x.to),
            y.from + 37.0,
            Anchor::Middle,
            LABEL,
            x_label,
        );
        if self.labelled {
            let label = match self.panel.unit {
                Unit::Percent => "share of wrong answers",
                Unit::Plain => "loss",
            };
            let ticks = value_ticks(y.low, y.high, self.panel.unit);
            let wide = TICK
                .widths(ticks.iter().map(|tick| tick.label.as_str()))
                .into_iter()
                .fold(0.0, f64::max);
            svg.upwards(x.from - wide - 19.0, f64::midpoint(y.from, y.to), LABEL, label);
        }
    }

    /// Bands first, so that no band covers a line.
    fn lines(&self, svg: &mut Svg, number_of_panel: usize) {
        let (x, y) = (self.x, self.y);
        let [left, upper, width, height] =
            [x.from, y.to - 2.0, x.to - x.from, y.from - y.to + 2.0].map(number);
        svg.raw(&format!(
            "<clipPath id=\"clip-{number_of_panel}\"><rect x=\"{left}\" y=\"{upper}\" width=\"{width}\" \
             height=\"{height}\"/></clipPath>"
        ));
        let opacity = if self.panel.series.len() > 6 { 0.1 } else { 0.17 };
        svg.raw(&format!(
            "<g clip-path=\"url(#clip-{number_of_panel})\" fill-opacity=\"{opacity}\">"
        ));
        for series in &self.panel.series {
            let band = self.band(series);
            if !band.is_empty() {
                let colour = style(series.style).colour;
                svg.raw(&format!(
                    "<path class=\"band-{}\" d=\"{band}\" fill=\"{colour}\"/>",
                    series.style
                ));
            }
        }
        svg.raw("</g>");
        for series in &self.panel.series {
            let style = style(series.style);
            let points = series
                .points
                .iter()
                .map(|point| (x.at(point.x), y.at(point.mean)));
            if let [point] = series.points.as_slice() {
                let (cx, cy) = (number(x.at(point.x)), number(y.at(point.mean)));
                let (class, colour) = (series.style, style.colour);
                svg.raw(&format!(
                    "<circle class=\"line-{class}\" cx=\"{cx}\" cy=\"{cy}\" r=\"3.5\" fill=\"{colour}\"/>"
                ));
                continue;
            }
            svg.raw(&format!(
                "<path class=\"line-{}\" d=\"{}\" {} stroke-linejoin=\"round\"/>",
                series.style,
                path(points),
                stroke(style, 1.8)
            ));
        }
    }

    /// There along the upper ends, back along the lower; empty without intervals.
    fn band(&self, series: &Series) -> String {
        let of = |point: &super::Point| point.band.map(|(low, high)| (self.x.at(point.x), low, high));
        let banded: Vec<(f64, f64, f64)> = series.points.iter().filter_map(of).collect();
        let spread = if banded.len() == 1 { 4.0 } else { 0.0 };
        let there = banded.iter().map(|&(x, _, high)| (x + spread, self.y.at(high)));
        let back = banded
            .iter()
            .rev()
            .map(|&(x, low, _)| (x - spread, self.y.at(low)));
        match banded.as_slice() {
            [] => String::new(),
            // A single epoch: a thin box.
            &[(x, low, high)] => {
                let (low, high) = (self.y.at(low), self.y.at(high));
                path([
                    (x - spread, high),
                    (x + spread, high),
                    (x + spread, low),
                    (x - spread, low),
                ]) + "Z"
            }
            _ => path(there.chain(back)) + "Z",
        }
    }
}

/// The legend: a sample of each line with its name, in as many columns as fit, read down and then to the right.
fn legend(figure: &Figure, top: f64) -> Block {
    let mut entries: Vec<(usize, String)> = Vec::new();
    for series in figure.panels.iter().flat_map(|panel| &panel.series) {
        if entries.iter().all(|(style, _)| *style != series.style) {
            let note = series
                .note
                .as_ref()
                .map_or(String::new(), |note| format!(" ({note})"));
            entries.push((series.style, format!("{}{note}", series.label)));
        }
    }
    entries.sort_by_key(|(style, _)| *style);
    let lead = SAMPLE + 9.0;
    let widths = LEGEND.widths(entries.iter().map(|(_, text)| text.as_str()));
    let widest = widths.into_iter().fold(1.0, f64::max) + lead + 22.0;
    let columns = ((INNER + 22.0) / widest).floor().clamp(1.0, 4.0) as usize;
    let rows = entries.len().div_ceil(columns).max(1);
    let height = LEGEND.size * LEADING;
    let mut block = Block {
        lines: Vec::new(),
        samples: Vec::new(),
        bottom: top,
    };
    let mut y = top;
    for (number, (of, text)) in entries.iter().enumerate() {
        if number % rows == 0 {
            y = top;
        }
        let x = MARGIN + widest.min(INNER) * (number / rows) as f64;
        block.samples.push((x, y + 0.5 * height, style(*of)));
        for line in LEGEND.wrap(text, INNER - lead) {
            y += height;
            block.lines.push((x + lead, y - 0.24 * height, LEGEND, line));
        }
        y += 3.0;
        block.bottom = block.bottom.max(y);
    }
    block
}

/// Notes, then the caption.
fn notes(figure: &Figure, cut: bool, top: f64) -> Block {
    let mut block = Block {
        lines: Vec::new(),
        samples: Vec::new(),
        bottom: top,
    };
    let mut caption = figure.caption.clone();
    if cut {
        caption += " Bands that reach far beyond all means are cut off at the top.";
    }
    for text in figure.notes.iter().chain([&caption]) {
        for line in NOTE.wrap(text, INNER) {
            block.bottom += NOTE.size * LEADING;
            block
                .lines
                .push((MARGIN, block.bottom - 0.3 * NOTE.size, NOTE, line));
        }
    }
    block
}
