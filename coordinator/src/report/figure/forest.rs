//! Intervals below one another, against a line at zero: differences, each with its interval.

use super::draw::{GREY, HEAD, INK, INNER, LABEL, MARGIN, TICK, WIDTH};
use super::palette::style;
use super::scale::{Scale, value_ticks};
use super::svg::{Anchor, Svg, number};
use super::text::Face;
use super::words::Unit;

/// The height of a row whose name takes one line.
const HEIGHT: f64 = 24.0;
/// The height of each further line of a name.
const LINE: f64 = 15.0;
const NAME: Face = Face {
    colour: INK,
    size: 12.5,
    ..TICK
};

/// Differences with their intervals.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    /// What screen readers call it.
    pub title: String,
    /// What the axis shows.
    pub label: String,
    /// What differences are measured in; shares in percentage points.
    pub unit: Unit,
    /// What values left of zero mean, and right of it.
    pub sides: Option<(String, String)>,
    /// From top to bottom.
    pub rows: Vec<Row>,
}

/// A row of a [`Forest`].
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What stands above this row and those behind it, where that begins here.
    pub head: Option<String>,
    /// Its name.
    pub name: String,
    /// The mean; none where there is no value.
    pub mean: Option<f64>,
    /// The interval around it; none for a single value.
    pub interval: Option<(f64, f64)>,
    /// Where a margin lies that the interval is held against.
    pub margins: Vec<f64>,
    /// What stands at its right, such as numbers.
    pub text: String,
}

impl Forest {
    /// As SVG, with its font.
    pub fn svg(&self) -> String {
        self.draw(true)
    }

    /// As SVG without its font, for a page that has it.
    pub fn inline_svg(&self) -> String {
        self.draw(false)
    }

    fn draw(&self, font: bool) -> String {
        let widest = |face: Face, texts: Vec<&str>| face.widths(texts).into_iter().fold(0.0, f64::max);
        let names = widest(NAME, self.rows.iter().map(|row| row.name.as_str()).collect()).min(0.42 * INNER);
        let texts = widest(TICK, self.rows.iter().map(|row| row.text.as_str()).collect()).min(0.3 * INNER);
        let heads = self.rows.iter().filter(|row| row.head.is_some()).count() as f64;
        let lines: Vec<Vec<String>> = (self.rows.iter())
            .map(|row| NAME.wrap(&row.name, names + 1.0))
            .collect();
        let heights: Vec<f64> = lines
            .iter()
            .map(|lines| HEIGHT + LINE * lines.len().saturating_sub(1) as f64)
            .collect();
        let sides = if self.sides.is_some() { 20.0 } else { 0.0 };
        let top = 6.0 + sides;
        let bottom = top + heights.iter().sum::<f64>() + HEIGHT * heads + 6.0;
        let (low, high) = self.range();
        let scale = Scale {
            low,
            high,
            from: MARGIN + names + 16.0,
            to: WIDTH - MARGIN - texts - 18.0,
        };
        let mut svg = Svg::new(WIDTH, bottom + 50.0, &self.title, font);
        let most = ((scale.to - scale.from) / 60.0).clamp(2.0, 9.0);
        for tick in value_ticks(low, high, Unit::Plain, most) {
            let at = scale.at(tick.value);
            svg.line((at, top), (at, bottom), "stroke=\"#e4e4e4\" stroke-width=\"0.8\"");
            svg.line(
                (at, bottom),
                (at, bottom + 4.0),
                "stroke=\"#555\" stroke-width=\"0.9\"",
            );
            svg.text(at, bottom + 18.0, Anchor::Middle, TICK, &tick.label);
        }
        let zero = scale.at(0.0);
        svg.line(
            (zero, top),
            (zero, bottom),
            "stroke=\"#555\" stroke-width=\"1.2\"",
        );
        let (from, to) = (scale.from, scale.to);
        svg.line(
            (from, bottom),
            (to, bottom),
            "stroke=\"#555\" stroke-width=\"0.9\"",
        );
        svg.text(
            f64::midpoint(from, to),
            bottom + 38.0,
            Anchor::Middle,
            LABEL,
            &self.label,
        );
        if let Some((left, right)) = &self.sides {
            svg.text(zero - 10.0, top - 6.0, Anchor::End, TICK, &format!("← {left}"));
            svg.text(zero + 10.0, top - 6.0, Anchor::Start, TICK, &format!("{right} →"));
        }
        let mut y = top;
        for ((row, lines), height) in self.rows.iter().zip(&lines).zip(heights) {
            if let Some(head) = &row.head {
                y += HEIGHT;
                svg.text(
                    MARGIN,
                    y - 7.0,
                    Anchor::Start,
                    HEAD,
                    &HEAD.clip(head, from - MARGIN),
                );
            }
            y += height;
            row.draw(&mut svg, y - 0.5 * height, scale, self.factor(), lines);
        }
        svg.finish()
    }

    /// Shares are shown in percentage points.
    fn factor(&self) -> f64 {
        if self.unit == Unit::Percent { 100.0 } else { 1.0 }
    }

    /// Around zero, all means and all intervals.
    fn range(&self) -> (f64, f64) {
        let values = self.rows.iter().flat_map(|row| {
            let ends = row.interval.into_iter().flat_map(|(low, high)| [low, high]);
            row.mean
                .into_iter()
                .chain(ends)
                .chain(row.margins.iter().copied())
        });
        let (low, high) = values.fold((0.0, 0.0), |(low, high): (f64, f64), value| {
            (low.min(value), high.max(value))
        });
        let (low, high) = (low * self.factor(), high * self.factor());
        let room = 0.05 * (high - low);
        if room > 0.0 {
            (low - room, high + room)
        } else {
            (-1.0, 1.0)
        }
    }
}

impl Row {
    /// Draws the row around `y`, with its name in these lines.
    fn draw(&self, svg: &mut Svg, y: f64, scale: Scale, factor: f64, lines: &[String]) {
        let colour = style(0).colour;
        let first = y + 4.2 - 0.5 * LINE * lines.len().saturating_sub(1) as f64;
        for (line, text) in lines.iter().enumerate() {
            svg.text(MARGIN, first + LINE * line as f64, Anchor::Start, NAME, text);
        }
        svg.text(WIDTH - MARGIN, y + 4.2, Anchor::End, TICK, &self.text);
        for margin in &self.margins {
            let at = scale.at(margin * factor);
            svg.line(
                (at, y - 9.0),
                (at, y + 9.0),
                "stroke=\"#D55E00\" stroke-width=\"1.6\" stroke-dasharray=\"3 2\"",
            );
        }
        if let Some((low, high)) = self.interval {
            let (low, high) = (scale.at(low * factor), scale.at(high * factor));
            let attributes = format!("stroke=\"{colour}\" stroke-width=\"1.6\"");
            svg.line((low, y), (high, y), &attributes);
            for x in [low, high] {
                svg.line((x, y - 5.0), (x, y + 5.0), &attributes);
            }
        }
        match self.mean {
            Some(mean) => {
                let (cx, cy) = (number(scale.at(mean * factor)), number(y));
                svg.raw(&format!(
                    "<circle class=\"difference\" cx=\"{cx}\" cy=\"{cy}\" r=\"3\" fill=\"{colour}\"/>"
                ));
            }
            None => {
                let face = Face { colour: GREY, ..TICK };
                svg.text(scale.at(0.0) + 8.0, y + 4.2, Anchor::Start, face, "no pairs");
            }
        }
    }
}
