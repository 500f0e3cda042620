//! Lines, dots, whiskers and rings in a panel.

use super::super::words::{Unit, possible};
use super::draw::{INK, TICK, stroke};
use super::palette::{Style, style};
use super::scale::Scale;
use super::svg::{Anchor, Svg, number, path};
use super::text::Face;
use super::{Form, Panel, Series};

/// Half the width of a whisker's ends.
const END: f64 = 3.0;
const LABEL: Face = Face {
    weight: 600,
    colour: INK,
    ..TICK
};

/// How far the dots of one line of several stand aside, so that whiskers at one place do not cover one another.
pub(super) fn aside(number: usize, count: usize) -> f64 {
    let apart = (16.0 / count.max(1) as f64).min(4.0);
    (number as f64 - (count as f64 - 1.0) / 2.0) * apart
}

/// A line with its dots and whiskers; a single point is a dot. Whiskers end where values of the unit do, without an end mark
/// there.
pub(super) fn line(svg: &mut Svg, series: &Series, unit: Unit, x: impl Fn(f64) -> f64, y: Scale, aside: f64) {
    let Style { colour, .. } = style(series.style);
    let class = series.style;
    let aside = if series.form == Form::Band { 0.0 } else { aside };
    let points = || {
        let place = |point: &super::Point| (x(point.x) + aside, y.at(point.mean));
        series.points.iter().map(place)
    };
    if series.points.len() > 1 && series.form != Form::Dots {
        svg.raw(&format!(
            "<path class=\"line-{class}\" d=\"{}\" {} stroke-linejoin=\"round\"/>",
            path(points()),
            stroke(style(series.style), 1.8)
        ));
    }
    let dots = series.points.len() == 1 || series.form != Form::Band;
    let radius = if series.form == Form::Band { 3.5 } else { 3.0 };
    for ((cx, cy), point) in points().zip(&series.points).filter(|_| dots) {
        if let Some(band) = point.band.filter(|_| series.form != Form::Band) {
            let (low, high) = possible(unit, band);
            whisker(
                svg,
                cx,
                (y.at(low).min(y.from), y.at(high).max(y.to - 2.0)),
                (low == band.0, high == band.1),
                colour,
            );
        }
        let (cx, cy) = (number(cx), number(cy));
        let fill = if point.hollow {
            format!("fill=\"#fff\" stroke=\"{colour}\" stroke-width=\"1.4\"")
        } else {
            format!("fill=\"{colour}\"")
        };
        svg.raw(&format!(
            "<circle class=\"line-{class}\" cx=\"{cx}\" cy=\"{cy}\" r=\"{radius}\" {fill}/>"
        ));
    }
    let mark = series.mark.as_ref();
    if let Some((cx, cy)) = mark.and_then(|mark| points().nth(mark.at)) {
        let (cx, cy) = (number(cx), number(cy));
        svg.raw(&format!(
            "<circle class=\"mark-{class}\" cx=\"{cx}\" cy=\"{cy}\" r=\"6.5\" fill=\"none\" stroke=\"{colour}\" \
             stroke-width=\"1.8\"/>"
        ));
    }
}

/// An upright whisker between two places, with a mark at the ends that are those of the interval.
fn whisker(svg: &mut Svg, x: f64, (low, high): (f64, f64), ends: (bool, bool), colour: &str) {
    let attributes = format!("stroke=\"{colour}\" stroke-width=\"1.1\"");
    svg.line((x, low), (x, high), &attributes);
    for (y, is_end) in [(low, ends.0), (high, ends.1)] {
        if is_end {
            svg.line((x - END, y), (x + END, y), &attributes);
        }
    }
}

/// A line as the legend shows it.
pub(super) fn sample(svg: &mut Svg, (x, y): (f64, f64), length: f64, style: Style, form: Form) {
    if form != Form::Dots {
        svg.line((x, y), (x + length, y), &stroke(style, 2.4));
    }
    if form != Form::Band {
        let (cx, cy) = (number(x + length / 2.0), number(y));
        let colour = style.colour;
        svg.raw(&format!(
            "<circle cx=\"{cx}\" cy=\"{cy}\" r=\"3.4\" fill=\"{colour}\"/>"
        ));
    }
}

/// What stands beside the points that stand out: below them, where curves with a lowest point have room; above where the
/// panel ends; never over another.
pub(super) fn labels(svg: &mut Svg, panel: &Panel, x: impl Fn(f64) -> f64, across: Scale, y: Scale) {
    let count = panel.series.len();
    let mut placed: Vec<(f64, f64, f64)> = Vec::new();
    let mut labels: Vec<Label<'_>> = Vec::new();
    for (number, series) in panel.series.iter().enumerate() {
        let Some(mark) = &series.mark else { continue };
        let (Some(text), Some(point)) = (&mark.label, series.points.get(mark.at)) else {
            continue;
        };
        let (low, high) = possible(panel.unit, point.band.unwrap_or((point.mean, point.mean)));
        let half = LABEL.width(text) / 2.0 + 2.0;
        let place = (x(point.x) + aside(number, count)).clamp(across.from + half, across.to - half);
        // The ring itself is to be seen.
        placed.push((place, y.at(point.mean) + 4.0, 9.0));
        let label = Label {
            x: place,
            below: y.at(low).max(y.at(point.mean) + 7.0) + 14.0,
            above: y.at(high).min(y.at(point.mean) - 7.0) - 6.0,
            half,
            text,
            colour: style(series.style).colour,
        };
        // Several lines that are lowest at the same place have one label, at the lowest of them.
        match labels.iter_mut().find(|other| other.text == text) {
            Some(other) if other.below >= label.below => other.colour = INK,
            Some(other) => {
                *other = Label { colour: INK, ..label };
            }
            None => labels.push(label),
        }
    }
    // The lowest on the page first: it moves least.
    labels.sort_by(|a, b| b.below.total_cmp(&a.below));
    for label in labels {
        let free = |at: f64| {
            let clear = |&(x, y, other): &(f64, f64, f64)| {
                (x - label.x).abs() > label.half + other || (y - at).abs() > 13.0
            };
            at < y.from - 4.0 && at > y.to + 10.0 && placed.iter().all(clear)
        };
        let tries = (0..12).flat_map(|step| {
            let step = 13.0 * f64::from(step);
            [label.below + step, label.above - step]
        });
        let at = tries.into_iter().find(|&at| free(at)).unwrap_or(label.above);
        placed.push((label.x, at, label.half));
        let face = Face {
            colour: label.colour,
            ..LABEL
        };
        svg.haloed(label.x, at, Anchor::Middle, face, label.text);
    }
}

/// What stands beside a ring, and where it could.
struct Label<'a> {
    x: f64,
    below: f64,
    above: f64,
    /// Half of its width.
    half: f64,
    text: &'a str,
    colour: &'static str,
}
