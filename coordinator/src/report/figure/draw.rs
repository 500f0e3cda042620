//! The layout of a figure on its page.
//!
//! From top to bottom: title and subtitle; panels side by side; the legend in columns below them, where it covers no
//! line; notes; caption. The page grows with its legend.

use super::super::words::possible;
use super::marks;
use super::palette::{Style, style};
use super::scale::{Along, Scale, range, value_range, value_ticks};
use super::svg::{Anchor, Svg, number, path};
use super::text::Face;
use super::{AxisKind, Dress, Figure, Form, Panel, Series, Unit};

/// The page's width; all lengths are in its units. At 1,200 pixels the smallest text is 16 pixels high.
pub(super) const WIDTH: f64 = 900.0;
pub(super) const MARGIN: f64 = 20.0;
pub(super) const INNER: f64 = WIDTH - 2.0 * MARGIN;
/// Between panels.
const GAP: f64 = 26.0;
/// Of a panel's axes; and of one among many.
const PANEL_HEIGHT: f64 = 300.0;
const SMALL_HEIGHT: f64 = 170.0;
/// More panels than these are small.
const LARGE_PANELS: usize = 4;
/// Of a line in the legend.
const SAMPLE: f64 = 30.0;

pub(super) const INK: &str = "#1a1a1a";
pub(super) const GREY: &str = "#555";
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
pub(super) const HEAD: Face = Face {
    size: 14.0,
    weight: 600,
    colour: INK,
};
pub(super) const LABEL: Face = Face {
    size: 13.0,
    weight: 400,
    colour: INK,
};
pub(super) const TICK: Face = Face {
    size: 12.0,
    weight: 400,
    colour: GREY,
};
const LEGEND: Face = Face {
    size: 12.5,
    weight: 400,
    colour: INK,
};
pub(super) const NOTE: Face = Face {
    size: 12.0,
    weight: 400,
    colour: GREY,
};

/// Lines of text below one another are this far apart, in sizes of their face.
const LEADING: f64 = 1.4;

/// A piece of the page below the panels: lines of text, and where each stands.
struct Block {
    lines: Vec<(f64, f64, Face, String)>,
    samples: Vec<(f64, f64, Style, Form)>,
    bottom: f64,
}

pub(super) fn draw(figure: &Figure, dress: Dress<'_>) -> String {
    let mut top = if dress.words { MARGIN } else { 0.0 };
    let mut heading: Vec<(f64, Face, String)> = Vec::new();
    for (face, text) in [(TITLE, Some(&figure.title)), (SUBTITLE, figure.subtitle.as_ref())] {
        let text = text.map_or("", String::as_str);
        for line in face.wrap(if dress.words { text } else { "" }, INNER) {
            top += face.size * LEADING;
            heading.push((top - 0.3 * face.size, face, line));
        }
    }
    let frames = frames(figure, top + if dress.words { 14.0 } else { 4.0 });
    let bottom = frames.iter().map(|frame| frame.y.from).fold(top, f64::max);
    let legend = legend(figure, bottom + 54.0);
    let lines = if dress.words { words(figure) } else { Vec::new() };
    let notes = notes(&lines, legend.bottom + 8.0);

    let mut svg = Svg::new(WIDTH, notes.bottom + MARGIN - 4.0, &figure.title, dress.font);
    for (y, face, line) in heading {
        svg.text(MARGIN, y, Anchor::Start, face, &line);
    }
    for (number, frame) in frames.iter().enumerate() {
        frame.draw(&mut svg, &format!("{}{number}", dress.prefix));
    }
    for block in [legend, notes] {
        for (x, y, style, form) in block.samples {
            marks::sample(&mut svg, (x, y), SAMPLE, style, form);
        }
        for (x, y, face, line) in block.lines {
            svg.text(x, y, Anchor::Start, face, &line);
        }
    }
    svg.finish()
}

/// Notes, then the caption.
pub(super) fn words(figure: &Figure) -> Vec<String> {
    let mut caption = figure.caption.clone();
    if frames(figure, 0.0).iter().any(|frame| frame.cut) {
        caption += " Intervals that reach far beyond all means are cut off at the top.";
    }
    if let Some(note) = cut_note(&figure.panels) {
        caption += note;
    }
    let mut words = figure.notes.clone();
    words.extend((!caption.is_empty()).then_some(caption));
    words
}

/// What a caption says where intervals of shares reach beyond what shares can be.
fn cut_note(panels: &[Panel]) -> Option<&'static str> {
    let is_cut = |panel: &&Panel, form: &dyn Fn(Form) -> bool| {
        let series = panel.series.iter().filter(|series| form(series.form));
        let mut bands = series
            .flat_map(|series| &series.points)
            .filter_map(|point| point.band);
        bands.any(|band| possible(panel.unit, band) != band)
    };
    match () {
        () if panels
            .iter()
            .any(|panel| is_cut(&panel, &|form| form == Form::Band)) =>
        {
            Some(" Bands end at 0 and 100 %, beyond which no share lies; some intervals reach further.")
        }
        () if panels
            .iter()
            .any(|panel| is_cut(&panel, &|form| form != Form::Band)) =>
        {
            Some(
                " Whiskers without a mark at their end reach beyond 0 or 100 %, where no share lies, and are cut there.",
            )
        }
        () => None,
    }
}

pub(super) fn stroke(style: Style, width: f64) -> String {
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
    x: Along<'a>,
    y: Scale,
    /// Whether the vertical axis has labels here, or shares those of its neighbour.
    labelled: bool,
    /// Whether the horizontal axis is named here, or below.
    named: bool,
    /// At most so many ticks of values.
    ticks: f64,
    /// Whether a band leaves the panel.
    cut: bool,
}

/// Places the panels: up to three in a row, or four of many.
fn frames(figure: &Figure, top: f64) -> Vec<Frame<'_>> {
    let panels = &figure.panels;
    let columns = match panels.len() {
        4 => 2,
        count @ 0..=9 => count.clamp(1, 3),
        _ => 4,
    };
    let small = panels.len() > LARGE_PANELS;
    // Where rows are low, only the lowest of a column names the axis.
    let (height, below, most) = if small {
        (SMALL_HEIGHT, 58.0, 4.0)
    } else {
        (PANEL_HEIGHT, 84.0, 7.0)
    };
    let unit = panels.first().map(|panel| panel.unit);
    let shared = panels.iter().all(|panel| Some(panel.unit) == unit);
    let values = |panel| {
        value_range(&if shared {
            panels.iter().collect()
        } else {
            vec![panel]
        })
    };
    let widest = |panel: &Panel, (low, high)| {
        let ticks = value_ticks(low, high, panel.unit, most);
        TICK.widths(ticks.iter().map(|tick| tick.label.as_str()))
            .into_iter()
            .fold(0.0, f64::max)
    };
    // Room for the tick labels and, where values have no unit, nothing more: the panel's title names them.
    let axis = panels
        .iter()
        .map(|panel| widest(panel, values(panel).0))
        .fold(0.0, f64::max)
        + 34.0;
    let axes = if shared { 1 } else { columns };
    let free = INNER - axis * axes as f64 - GAP * (columns - 1) as f64;
    // A single panel needs not be as wide as the page.
    let width = if columns == 1 {
        free.min(760.0)
    } else {
        free / columns as f64
    };
    let (first, last) = range(&figure.x, panels);
    let head = if panels.iter().all(|panel| panel.title.is_empty()) {
        4.0
    } else {
        24.0
    };
    let place = |(number, panel)| {
        let (row, column) = (number / columns, number % columns);
        let labels = if shared { 1 } else { column + 1 };
        let left = MARGIN + axis * labels as f64 + (width + GAP) * column as f64;
        let upper = top + head + (height + below) * row as f64;
        let ((low, high), cut) = values(panel);
        Frame {
            panel,
            x: Along {
                axis: &figure.x,
                scale: Scale {
                    low: first,
                    high: last,
                    from: left,
                    to: left + width,
                },
            },
            y: Scale {
                low,
                high,
                from: upper + height,
                to: upper,
            },
            labelled: !shared || column == 0,
            named: !small || number + columns >= panels.len(),
            ticks: most,
            cut,
        }
    };
    panels.iter().enumerate().map(place).collect()
}

impl Frame<'_> {
    fn draw(&self, svg: &mut Svg, name: &str) {
        let (x, y) = (self.x.scale, self.y);
        svg.raw(&format!("<g id=\"panel-{name}\">"));
        let title = HEAD.clip(&self.panel.title, x.to - x.from + 10.0);
        svg.text(x.from, y.to - 11.0, Anchor::Start, HEAD, &title);
        self.axes(svg);
        self.lines(svg, name);
        if self.panel.series.is_empty() {
            let middle = (f64::midpoint(x.from, x.to), f64::midpoint(y.from, y.to));
            svg.text(middle.0, middle.1, Anchor::Middle, NOTE, "no values");
        }
        svg.raw("</g>");
    }

    fn axes(&self, svg: &mut Svg) {
        let (x, y) = (self.x.scale, self.y);
        let ticks = value_ticks(y.low, y.high, self.panel.unit, self.ticks);
        for tick in &ticks {
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
        let places = matches!(self.x.axis.kind, AxisKind::Places(_));
        let along = self.x.ticks();
        let room = (x.to - x.from) / along.len().max(1) as f64 - 6.0;
        for tick in along {
            let at = self.x.at(tick.value);
            let length = if tick.label.is_empty() { 2.5 } else { 4.0 };
            svg.line(
                (at, y.from),
                (at, y.from + length),
                "stroke=\"#555\" stroke-width=\"0.9\"",
            );
            let label = if places {
                TICK.clip(&tick.label, room)
            } else {
                tick.label
            };
            if !label.is_empty() {
                svg.text(at, y.from + 18.0, Anchor::Middle, TICK, &label);
            }
        }
        let corner = path([(x.from, y.to), (x.from, y.from), (x.to, y.from)]);
        svg.raw(&format!(
            "<path d=\"{corner}\" fill=\"none\" stroke=\"#555\" stroke-width=\"0.9\"/>"
        ));
        if self.named {
            svg.text(
                f64::midpoint(x.from, x.to),
                y.from + 37.0,
                Anchor::Middle,
                LABEL,
                &self.x.axis.label,
            );
        }
        if self.labelled {
            let label = match self.panel.unit {
                Unit::Percent => "share of wrong answers",
                Unit::Plain => "loss",
            };
            let wide = TICK
                .widths(ticks.iter().map(|tick| tick.label.as_str()))
                .into_iter()
                .fold(0.0, f64::max);
            svg.upwards(x.from - wide - 19.0, f64::midpoint(y.from, y.to), LABEL, label);
        }
    }

    /// Bands first, so that no band covers a line; what stands beside a line last.
    fn lines(&self, svg: &mut Svg, name: &str) {
        let (x, y) = (self.x.scale, self.y);
        let [left, upper, width, height] =
            [x.from, y.to - 2.0, x.to - x.from, y.from - y.to + 2.0].map(number);
        svg.raw(&format!(
            "<clipPath id=\"clip-{name}\"><rect x=\"{left}\" y=\"{upper}\" \
             width=\"{width}\" height=\"{height}\"/></clipPath>"
        ));
        let opacity = if self.panel.series.len() > 6 { 0.1 } else { 0.17 };
        svg.raw(&format!(
            "<g clip-path=\"url(#clip-{name})\" fill-opacity=\"{opacity}\">"
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
        let count = self.panel.series.len();
        for (number, series) in self.panel.series.iter().enumerate() {
            let aside = marks::aside(number, count);
            marks::line(svg, series, self.panel.unit, |x| self.x.at(x), y, aside);
        }
        marks::labels(svg, self.panel, |x| self.x.at(x), x, y);
    }

    /// There along the upper ends, back along the lower; empty without intervals.
    fn band(&self, series: &Series) -> String {
        if series.form != Form::Band {
            return String::new();
        }
        let of = |point: &super::Point| {
            let (low, high) = possible(self.panel.unit, point.band?);
            Some((self.x.at(point.x), low, high))
        };
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
    let mut entries: Vec<(usize, Form, String)> = Vec::new();
    for series in figure.panels.iter().flat_map(|panel| &panel.series) {
        if entries.iter().all(|(style, ..)| *style != series.style) {
            let note = series
                .note
                .as_ref()
                .map_or(String::new(), |note| format!(" ({note})"));
            entries.push((series.style, series.form, format!("{}{note}", series.label)));
        }
    }
    // A single line that is called nothing needs no legend.
    entries.retain(|(.., text)| !text.is_empty());
    entries.sort_by_key(|(style, ..)| *style);
    let lead = SAMPLE + 9.0;
    let widths = LEGEND.widths(entries.iter().map(|(.., text)| text.as_str()));
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
    for (number, (of, form, text)) in entries.iter().enumerate() {
        if number % rows == 0 {
            y = top;
        }
        let x = MARGIN + widest.min(INNER) * (number / rows) as f64;
        block.samples.push((x, y + 0.5 * height, style(*of), *form));
        for line in LEGEND.wrap(text, INNER - lead) {
            y += height;
            block.lines.push((x + lead, y - 0.24 * height, LEGEND, line));
        }
        y += 3.0;
        block.bottom = block.bottom.max(y);
    }
    block
}

/// Lines of words.
fn notes(words: &[String], top: f64) -> Block {
    let mut block = Block {
        lines: Vec::new(),
        samples: Vec::new(),
        bottom: top,
    };
    for text in words {
        for line in NOTE.wrap(text, INNER) {
            block.bottom += NOTE.size * LEADING;
            block
                .lines
                .push((MARGIN, block.bottom - 0.3 * NOTE.size, NOTE, line));
        }
    }
    block
}
