//! Axes: ranges and round ticks.

use super::{Axis, AxisKind, Panel, Unit};

/// A range of values laid along a stretch of the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    /// The least value.
    pub(super) low: f64,
    /// The greatest.
    pub(super) high: f64,
    /// Where on the page the least lies.
    pub(super) from: f64,
    /// Where the greatest.
    pub(super) to: f64,
}

impl Scale {
    /// Where a value lies on the page.
    pub(super) fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }
}

/// A tick with its label.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
}

/// Round steps, 1, 2 or 5 times a power of ten, the smallest that gives at most `most` ticks over the range.
fn step(range: f64, most: f64) -> f64 {
    let rough = range / most;
    let power = 10f64.powi(rough.log10().floor() as i32);
    let factors = [1.0, 2.0, 5.0, 10.0];
    let factor = factors
        .iter()
        .find(|&&factor| factor * power >= rough * (1.0 - 1e-9));
    power * factor.unwrap_or(&10.0)
}

/// Multiples of a round step within [low, high], as pairs of the multiple's value and the step's decimals.
fn multiples(low: f64, high: f64, step: f64) -> (Vec<f64>, usize) {
    let decimals = (-step.log10()).ceil().clamp(0.0, 12.0) as usize;
    let slack = step * 1e-6;
    let (first, last) = (
        ((low - slack) / step).ceil() as i64,
        ((high + slack) / step).floor() as i64,
    );
    let values = (first..=last).map(|multiple| multiple as f64 * step);
    (values.collect(), decimals)
}

/// At most so many ticks and one of the axis of values, in percent or plain.
pub(super) fn value_ticks(low: f64, high: f64, unit: Unit, most: f64) -> Vec<Tick> {
    let factor = if unit == Unit::Percent { 100.0 } else { 1.0 };
    let (values, decimals) = multiples(low * factor, high * factor, step((high - low) * factor, most));
    let label = |value: f64| match unit {
        Unit::Percent => format!("{value:.decimals$}\u{a0}%"),
        Unit::Plain => format!("{value:.decimals$}"),
    };
    let tick = |&value: &f64| Tick {
        value: value / factor,
        label: label(value).replace('-', "\u{2212}"),
    };
    values.iter().map(tick).collect()
}

/// The horizontal axis as it is laid along the page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Along<'a> {
    pub(super) axis: &'a Axis,
    /// In logarithms where the axis has them.
    pub(super) scale: Scale,
}

impl Along<'_> {
    /// Where a value lies on the page.
    pub(super) fn at(&self, value: f64) -> f64 {
        self.scale.at(position(&self.axis.kind, value))
    }

    /// Ticks with the places where they lie; those without a label are minor.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let Scale { low, high, from, to } = self.scale;
        let most = ((to - from) / 42.0).clamp(2.0, 8.0);
        match &self.axis.kind {
            AxisKind::Epochs => epoch_ticks(low, high, most),
            AxisKind::Linear => value_ticks(low, high, Unit::Plain, most),
            AxisKind::Log => log_ticks(low, high, most),
            AxisKind::Places(names) => (0..)
                .zip(names)
                .map(|(place, name)| Tick {
                    value: f64::from(place),
                    label: name.clone(),
                })
                .collect(),
        }
    }
}

/// A value as scales have it.
fn position(kind: &AxisKind, value: f64) -> f64 {
    match kind {
        AxisKind::Log => value.max(f64::MIN_POSITIVE).log10(),
        _ => value,
    }
}

/// The range of an axis over all panels, with a little room where values are not epochs.
pub(super) fn range(axis: &Axis, panels: &[Panel]) -> (f64, f64) {
    if let AxisKind::Places(names) = &axis.kind {
        return (-0.5, names.len().max(1) as f64 - 0.5);
    }
    if axis.kind == AxisKind::Epochs {
        return epoch_range(panels);
    }
    let points = panels
        .iter()
        .flat_map(|panel| &panel.series)
        .flat_map(|s| &s.points);
    let (low, high) = points
        .map(|point| position(&axis.kind, point.x))
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
            (low.min(x), high.max(x))
        });
    match () {
        () if !low.is_finite() || !high.is_finite() => (0.0, 1.0),
        () if low == high => (low - 0.5, high + 0.5),
        () => (low - 0.05 * (high - low), high + 0.05 * (high - low)),
    }
}

/// Ticks of a logarithmic axis, at the values themselves: powers of ten with labels, as many as fit, and all multiples of
/// them without; twos and fives have labels too where there would else be less than two.
fn log_ticks(low: f64, high: f64, most: f64) -> Vec<Tick> {
    // A range of numbers that are far apart has no room for more than decades.
    let every = ((high - low) / most).ceil().max(1.0) as i32;
    let few = high.floor() - low.ceil() < 1.0;
    let mut ticks = Vec::new();
    for decade in low.floor() as i32..=high.ceil() as i32 {
        for digit in 1..10_u32 {
            let at = f64::from(decade) + f64::from(digit).log10();
            let labelled = digit == 1 && decade.rem_euclid(every) == 0 || few && matches!(digit, 2 | 5);
            if at < low - 1e-9 || at > high + 1e-9 || (every > 1 && digit > 1) {
                continue;
            }
            let label = match decade {
                _ if !labelled => String::new(),
                // Where rates go below hundredths all are powers of ten, as they are elsewhere.
                0..=3 => format!("{}", tidy(f64::from(digit) * 10f64.powi(decade))),
                -2..=-1 if low > -2.5 => format!("{}", tidy(f64::from(digit) * 10f64.powi(decade))),
                _ => format!("{digit}e{decade}").replace('-', "\u{2212}"),
            };
            ticks.push(Tick {
                // The inverse of `position`, exactly enough for a page.
                value: 10f64.powf(at),
                label,
            });
        }
    }
    ticks
}

/// Without what binary fractions add to a decimal one.
fn tidy(value: f64) -> f64 {
    format!("{value:.6}").parse().unwrap_or(value)
}

/// Ticks of the axis of epochs: whole numbers, and the first epoch where it has room.
fn epoch_ticks(low: f64, high: f64, most: f64) -> Vec<Tick> {
    let step = step(high - low, most).max(1.0);
    let (mut values, _) = multiples(low, high, step);
    if values.first().is_none_or(|first| first - low >= 0.6 * step) {
        values.insert(0, low);
    }
    values
        .iter()
        .map(|&value| Tick {
            value,
            label: format!("{value:.0}"),
        })
        .collect()
}

/// The range of epochs over all panels; a single epoch gets some room around it.
fn epoch_range(panels: &[Panel]) -> (f64, f64) {
    let xs = || {
        panels
            .iter()
            .flat_map(|p| &p.series)
            .flat_map(|s| &s.points)
            .map(|point| point.x)
    };
    let (low, high) = (
        xs().fold(f64::INFINITY, f64::min),
        xs().fold(f64::NEG_INFINITY, f64::max),
    );
    match () {
        () if !low.is_finite() => (0.0, 1.0),
        () if low == high => (low - 0.5, high + 0.5),
        () => (low, high),
    }
}

/// The range of values over some panels: from zero, since neither errors nor losses are negative, to a little above the
/// greatest mean. Bands are shown whole unless they reach far beyond all means, as those of two or three repetitions can.
/// The second answer is whether some band is cut off so.
pub(super) fn value_range(panels: &[&Panel]) -> ((f64, f64), bool) {
    let points = || panels.iter().flat_map(|p| &p.series).flat_map(|s| &s.points);
    let mean = points().map(|point| point.mean).fold(0.0, f64::max);
    let least = points().map(|point| point.mean).fold(0.0, f64::min);
    let band = points()
        .filter_map(|point| point.band)
        .map(|(_, high)| high)
        .fold(mean, f64::max);
    let percent = panels.iter().all(|panel| panel.unit == Unit::Percent);
    let band = if percent { band.min(1.0) } else { band };
    let room = 1.35 * mean;
    let high = 1.04 * band.min(room);
    let high = if percent { high.min(1.0) } else { high };
    let low = if least < 0.0 { 1.04 * least } else { 0.0 };
    if high > low {
        ((low, high), band > high)
    } else {
        // No means, or all of them are zero.
        let high = if percent && points().next().is_some() {
            0.01
        } else {
            1.0
        };
        ((0.0, high), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            labels(&value_ticks(0.0, 0.52, Unit::Percent, 7.0)),
            [
                "0\u{a0}%",
                "10\u{a0}%",
                "20\u{a0}%",
                "30\u{a0}%",
                "40\u{a0}%",
                "50\u{a0}%"
            ]
        );
        assert_eq!(
            labels(&value_ticks(0.0, 0.021, Unit::Percent, 7.0)).last(),
            Some(&"2.0\u{a0}%")
        );
        assert_eq!(
            labels(&value_ticks(0.0, 0.7, Unit::Plain, 7.0)),
            ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"]
        );
        assert_eq!(
            labels(&value_ticks(-1.0, 1.0, Unit::Plain, 7.0))[0],
            "\u{2212}1.0"
        );
    }

    #[test]
    fn epochs_are_whole_and_begin_with_the_first() {
        assert_eq!(
            labels(&epoch_ticks(1.0, 25.0, 8.0)),
            ["1", "5", "10", "15", "20", "25"]
        );
        assert_eq!(labels(&epoch_ticks(1.0, 3.0, 8.0)), ["1", "2", "3"]);
        assert_eq!(
            labels(&epoch_ticks(0.5, 1.5, 8.0)),
            ["1"],
            "a single epoch with room around it"
        );
        assert_eq!(
            labels(&epoch_ticks(1.0, 100.0, 8.0)),
            ["1", "20", "40", "60", "80", "100"]
        );
    }

    #[test]
    fn powers_of_ten_are_evenly_spaced() {
        let labelled = |low, high, most| -> Vec<String> {
            let ticks = log_ticks(low, high, most).into_iter();
            ticks
                .map(|tick| tick.label)
                .filter(|label| !label.is_empty())
                .collect()
        };
        assert_eq!(
            labelled(-5.2, -0.9, 8.0),
            [
                "1e\u{2212}5",
                "1e\u{2212}4",
                "1e\u{2212}3",
                "1e\u{2212}2",
                "1e\u{2212}1"
            ]
        );
        assert_eq!(labelled(-2.1, 0.1, 8.0), ["0.01", "0.1", "1"]);
        assert_eq!(labelled(1.0, 2.3, 8.0), ["10", "100"]);
        assert_eq!(labelled(1.1, 1.9, 8.0), ["20", "50"]);
        assert_eq!(labelled(-12.0, 0.0, 4.0).len(), 5);
        let axis = Axis {
            label: String::new(),
            kind: AxisKind::Log,
        };
        let scale = Scale {
            low: -4.0,
            high: 0.0,
            from: 0.0,
            to: 400.0,
        };
        let along = Along { axis: &axis, scale };
        assert!((along.at(0.01) - 200.0).abs() < 1e-9);
    }

    #[test]
    fn values_lie_along_the_page() {
        let scale = Scale {
            low: 0.0,
            high: 0.5,
            from: 300.0,
            to: 100.0,
        };
        assert_eq!(
            (scale.at(0.0), scale.at(0.25), scale.at(0.5)),
            (300.0, 200.0, 100.0)
        );
    }
}
