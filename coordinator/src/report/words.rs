//! What people call settings, values, metrics and the fates of trials.

use std::collections::HashSet;

use tenfold_core::aggregate::{Counts, Group, Statistics};
use tenfold_core::rounding::significant;
use tenfold_types::{Metric, Setting, Value, printable};

pub use super::counted::{left_out, left_out_of_all, repetitions};

/// What a metric is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Shares, shown in percent.
    Percent,
    /// Plain numbers.
    Plain,
}

/// What a metric is measured in.
pub fn unit(metric: Metric) -> Unit {
    match metric {
        Metric::TrainError | Metric::TestError | Metric::TestDigitError(_) => Unit::Percent,
        Metric::TrainLoss | Metric::TestLoss => Unit::Plain,
    }
}

/// A metric in words, such as `test error`.
pub fn metric(metric: Metric) -> String {
    match metric {
        Metric::TrainError => "train error".to_owned(),
        Metric::TestError => "test error".to_owned(),
        Metric::TrainLoss => "train loss".to_owned(),
        Metric::TestLoss => "test loss".to_owned(),
        Metric::TestDigitError(sub_network) => format!("digit error {sub_network}"),
    }
}

/// A setting in words, such as `learning rate`.
pub fn setting(setting: Setting) -> &'static str {
    match setting {
        Setting::Architecture => "architecture",
        Setting::WeightSharing => "weight sharing",
        Setting::AuxiliaryLoss => "auxiliary loss",
        Setting::AuxWeight => "auxiliary weight",
        Setting::Join => "join",
        Setting::LearningRate => "learning rate",
        Setting::BatchSize => "batch size",
        Setting::Optimizer => "optimizer",
        Setting::Loss => "loss",
        Setting::Dropout => "dropout",
        Setting::Head => "head",
        Setting::Momentum => "momentum",
        Setting::Nesterov => "Nesterov momentum",
        Setting::WeightDecay => "weight decay",
        Setting::Schedule => "schedule",
        Setting::StepEpochs => "epochs a step",
        Setting::StepFactor => "step factor",
        Setting::WarmUp => "warm-up epochs",
    }
}

/// A setting in one short word, for lines of a log.
fn short(setting: Setting) -> &'static str {
    match setting {
        Setting::Architecture => "architecture",
        Setting::WeightSharing => "sharing",
        Setting::AuxiliaryLoss => "aux",
        Setting::AuxWeight => "aux-weight",
        Setting::Join => "join",
        Setting::LearningRate => "lr",
        Setting::BatchSize => "batch",
        Setting::Optimizer => "optimizer",
        Setting::Loss => "loss",
        Setting::Dropout => "dropout",
        Setting::Head => "head",
        Setting::Momentum => "momentum",
        Setting::Nesterov => "nesterov",
        Setting::WeightDecay => "decay",
        Setting::Schedule => "schedule",
        Setting::StepEpochs => "step-epochs",
        Setting::StepFactor => "step-factor",
        Setting::WarmUp => "warm-up",
    }
}

/// How exactly numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digits {
    /// Three significant ones.
    Few,
    /// All.
    All,
}

fn value(setting: Setting, value: &Value, digits: Digits) -> String {
    match value {
        Value::Bool(true) => "on".to_owned(),
        Value::Bool(false) => "off".to_owned(),
        Value::Float(number) => {
            let few = format!("{number:.2e}").parse().unwrap_or(*number);
            let number = if digits == Digits::Few { few } else { *number };
            // Rates are thought of in powers of ten.
            if setting == Setting::LearningRate && number.abs() < 1.0 {
                format!("{number:e}")
            } else {
                Value::Float(number).to_string()
            }
        }
        Value::Int(number) => number.to_string(),
        Value::Text(text) => printable::line(text).into_owned(),
    }
}

/// A value of a setting as a table has it, to three significant digits: `on`, `1e-3`, `perceptron-600`.
pub fn cell(of: Setting, to: &Value) -> String {
    value(of, to, Digits::Few)
}

/// A setting with its value, as a legend has it: `sharing on`, `learning rate 1e-3`, `perceptron-600`.
fn phrase(of: Setting, to: &Value, digits: Digits) -> String {
    let text = value(of, to, digits);
    match of {
        Setting::Architecture => text,
        Setting::WeightSharing => format!("sharing {text}"),
        _ => format!("{} {text}", setting(of)),
    }
}

/// The values of a group in a line of a log: `perceptron-100 sharing=on lr=1e-3`.
pub fn terse(values: &[(Setting, Value)]) -> String {
    let word = |(setting, to): &(Setting, Value)| match setting {
        Setting::Architecture => value(*setting, to, Digits::Few),
        _ => format!("{}={}", short(*setting), value(*setting, to, Digits::Few)),
    };
    let words: Vec<String> = values.iter().map(word).collect();
    if words.is_empty() {
        "all trials".to_owned()
    } else {
        words.join(" ")
    }
}

/// A label for each of some lists of values, such as `sharing on · auxiliary loss off`; empty for a list without any.
pub fn labels(of: &[&[(Setting, Value)]]) -> Vec<String> {
    let at = |digits| -> Vec<String> {
        let label = |values: &&[(Setting, Value)]| {
            let words = values.iter().map(|(setting, to)| phrase(*setting, to, digits));
            words.collect::<Vec<_>>().join(" · ")
        };
        of.iter().map(label).collect()
    };
    let (few, all) = (at(Digits::Few), at(Digits::All));
    // Rounding must not make two look like one.
    let different = |labels: &[String]| labels.iter().collect::<HashSet<_>>().len();
    if different(&few) == different(&all) {
        few
    } else {
        all
    }
}

/// What tells some groups apart, and what they have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Labels {
    /// The settings whose values differ between groups, in the order of the axes.
    pub varying: Vec<Setting>,
    /// For each group, the values of those settings as text; empty where a group has none.
    pub cells: Vec<Vec<String>>,
    /// For each group a label of its own, such as `sharing on · auxiliary loss off`.
    pub labels: Vec<String>,
    /// What all groups have in common, such as `perceptron-600 · batch size 100`; empty when there is nothing.
    pub common: String,
}

impl Labels {
    /// Labels of these groups. A single group is told by all its values.
    pub fn of<'a>(groups: impl IntoIterator<Item = &'a Group>) -> Self {
        let groups: Vec<&Group> = groups.into_iter().collect();
        let mut settings: Vec<Setting> = Vec::new();
        for (setting, _) in groups.iter().flat_map(|group| &group.values) {
            if !settings.contains(setting) {
                settings.push(*setting);
            }
        }
        let of = |group: &'a Group, setting| group.values.iter().find(|(s, _)| *s == setting).map(|(_, v)| v);
        let differs = |setting: &Setting| {
            let first = groups.first().and_then(|&group| of(group, *setting));
            groups.len() == 1 || groups.iter().any(|&group| of(group, *setting) != first)
        };
        let (varying, common): (Vec<Setting>, Vec<Setting>) = settings.into_iter().partition(differs);

        let table = |digits, write: fn(Setting, &Value, Digits) -> String| -> Vec<Vec<String>> {
            let cell =
                |group, setting| of(group, setting).map_or(String::new(), |v| write(setting, v, digits));
            let row = |group: &&'a Group| varying.iter().map(|&setting| cell(*group, setting)).collect();
            groups.iter().map(row).collect()
        };
        // Rounding must not make two groups look like one.
        let digits = if unique(&table(Digits::Few, phrase)) {
            Digits::Few
        } else {
            Digits::All
        };
        let mut labels: Vec<String> = table(digits, phrase).iter().map(|row| join(row)).collect();
        if !unique(&labels) || labels.iter().any(String::is_empty) {
            for (label, group) in labels.iter_mut().zip(&groups) {
                let stage = match group.stage_name.as_str() {
                    "" => group.stage.to_string(),
                    name => name.to_owned(),
                };
                let point = format!("stage {stage} · point {}", group.index);
                *label = match (label.is_empty(), groups.len()) {
                    (true, 1) => "all trials".to_owned(),
                    (true, _) => point,
                    (false, _) => format!("{label} · {point}"),
                };
            }
        }
        let cells = table(digits, value);
        let phrases = |&setting: &Setting| {
            let value = groups.first().and_then(|&group| of(group, setting));
            value.map(|value| phrase(setting, value, Digits::Few))
        };
        let common: Vec<String> = common.iter().filter_map(phrases).collect();
        Self {
            varying,
            cells,
            labels,
            common: join(&common),
        }
    }
}

fn unique<T: std::hash::Hash + Eq>(items: &[T]) -> bool {
    let mut seen = HashSet::new();
    items.iter().all(|item| seen.insert(item))
}

fn join(words: &[String]) -> String {
    let words: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" · ")
}

/// What became of the trials that did not succeed, such as `2 diverged, 1 failed`; empty when all did.
pub fn missing(counts: &Counts) -> String {
    let fates = [
        (counts.diverged, "diverged"),
        (counts.failed, "failed"),
        (counts.cancelled, "cancelled"),
        (counts.open(), "unfinished"),
    ];
    let fates = fates.iter().filter(|(count, _)| *count > 0);
    fates
        .map(|(count, fate)| format!("{count} {fate}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A value with its unit, to so many decimals: `14.2 %`, `0.412`.
pub fn quantity(value: f64, unit: Unit, decimals: usize) -> String {
    // As exports have it, so that the same number is rounded to the same text wherever it stands.
    let value = halves_away(significant(value));
    match unit {
        Unit::Percent => format!("{:.decimals$} %", 100.0 * value),
        Unit::Plain => format!("{value:.*}", decimals + 2),
    }
}

/// A number of seven digits, moved away from zero by less than its digits, so that a decimal that ends in 5 is not rounded down
/// because its binary form lies below it.
fn halves_away(value: f64) -> f64 {
    value * (1.0 + 1e-10)
}

/// A number with so many decimals; what rounds to 0 has no sign.
pub fn fixed(value: f64, decimals: usize) -> String {
    let value = halves_away(value);
    let text = format!("{value:.decimals$}");
    let is_zero = text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
    match text.strip_prefix('-') {
        Some(unsigned) if is_zero => unsigned.to_owned(),
        _ => text,
    }
}

/// The sign beside an interval of a share that reaches beyond 0 or 100 %.
pub const CUT: &str = "†";

/// An interval without what no value of the unit can be: shares end at 0 and 1.
pub fn possible(unit: Unit, (low, high): (f64, f64)) -> (f64, f64) {
    match unit {
        Unit::Percent => (low.clamp(0.0, 1.0), high.clamp(0.0, 1.0)),
        Unit::Plain => (low, high),
    }
}

/// Whether the interval of a mean holds what no value of the unit can be.
pub fn is_cut(statistics: &Statistics, unit: Unit) -> bool {
    statistics.ci95.is_some_and(|ci95| possible(unit, ci95) != ci95)
}

/// The 95 % interval of a mean, as [`interval`] has that of a difference: of a share cut at 0 and 100 %, with [`CUT`] behind
/// it then.
pub fn mean_interval(statistics: &Statistics, unit: Unit, decimals: usize) -> String {
    let cut = is_cut(statistics, unit);
    let ci95 = statistics.ci95.map(|ci95| possible(unit, ci95));
    let text = interval(&Statistics { ci95, ..*statistics }, unit, decimals);
    if cut { text + CUT } else { text }
}

/// What [`CUT`] says beside such intervals.
pub const CUT_INTERVAL: &str =
    "†: cut at 0 or 100 %, since no share lies beyond; the CSV file has the whole interval.";

/// What [`CUT`] says behind ±.
pub const CUT_HALF_WIDTH: &str = "†: the 95 % t interval, cut at 0 or 100 %, since no share lies beyond.";

/// The 95 % interval as numbers of the unit: `[13.1, 15.2]`; `–` for a single value.
pub fn interval(statistics: &Statistics, unit: Unit, decimals: usize) -> String {
    let number = |value| {
        let text = quantity(value, unit, decimals);
        text.trim_end_matches(" %").replace('-', "−")
    };
    match statistics.ci95 {
        Some((low, high)) => format!("[{}, {}]", number(low), number(high)),
        None => "–".to_owned(),
    }
}

/// Words with a capital letter at their beginning.
pub fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// A name as names of files have it: letters, digits and `-`.
pub fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    name.chars().map(plain).collect()
}

/// A mean with half the width of its interval: `14.2 % ± 0.8`; without ± for a single value, and with [`CUT`] where the
/// interval of a share reaches beyond 0 or 100 %.
pub fn mean_and_half_width(statistics: &Statistics, unit: Unit, decimals: usize) -> String {
    let mean = quantity(statistics.mean, unit, decimals);
    match statistics.half_width() {
        Some(_) if is_cut(statistics, unit) => {
            format!("{mean} {}", mean_interval(statistics, unit, decimals))
        }
        Some(half) => {
            let half = quantity(half, unit, decimals);
            format!("{mean} ± {}", half.trim_end_matches(" %"))
        }
        None => mean,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::group;
    use super::*;

    #[test]
    fn labels_tell_what_differs_and_the_rest_is_common() {
        let values = |sharing, aux| {
            vec![
                (Setting::Architecture, Value::Text("perceptron-100".to_owned())),
                (Setting::WeightSharing, Value::Bool(sharing)),
                (Setting::AuxiliaryLoss, Value::Bool(aux)),
            ]
        };
        let groups = [
            group(0, values(true, false), 3),
            group(1, values(false, false), 3),
            group(2, values(true, true), 3),
        ];
        let labels = Labels::of(&groups);
        assert_eq!(labels.varying, [Setting::WeightSharing, Setting::AuxiliaryLoss]);
        assert_eq!(
            labels.labels,
            [
                "sharing on · auxiliary loss off",
                "sharing off · auxiliary loss off",
                "sharing on · auxiliary loss on"
            ]
        );
        assert_eq!(labels.cells[2], ["on", "on"]);
        assert_eq!(labels.common, "perceptron-100");
        assert_eq!(terse(&groups[0].values), "perceptron-100 sharing=on aux=off");
    }

    #[test]
    fn rounding_never_makes_two_groups_one() {
        let rate = |index, rate| group(index, vec![(Setting::LearningRate, Value::Float(rate))], 1);
        let labels = |groups: &[Group]| Labels::of(groups).labels;
        assert_eq!(
            labels(&[rate(0, 0.001), rate(1, 10f64.powf(-3.5))]),
            ["learning rate 1e-3", "learning rate 3.16e-4"]
        );
        assert_eq!(
            labels(&[rate(0, 0.001), rate(1, 0.0010001)]),
            ["learning rate 1e-3", "learning rate 1.0001e-3"]
        );
        assert_eq!(
            labels(&[rate(0, 1.0), rate(1, 2.5)]),
            ["learning rate 1", "learning rate 2.5"]
        );
    }

    #[test]
    fn groups_without_axes_have_labels_too() {
        assert_eq!(Labels::of(&[group(0, vec![], 1)]).labels, ["all trials"]);
        assert_eq!(
            Labels::of(&[group(0, vec![], 1), group(4, vec![], 1)]).labels,
            ["stage 0 · point 0", "stage 0 · point 4"]
        );
        assert!(Labels::of(&[]).labels.is_empty());
        assert_eq!(terse(&[]), "all trials");
    }

    #[test]
    fn fates_are_counted() {
        let counts = Counts {
            succeeded: 6,
            diverged: 2,
            failed: 1,
            pending: 1,
            ..Counts::default()
        };
        assert_eq!(missing(&counts), "2 diverged, 1 failed, 1 unfinished");
    }

    #[test]
    fn means_come_with_their_interval() {
        let three = Statistics::of(&[0.14, 0.142, 0.144]).unwrap();
        assert_eq!(mean_and_half_width(&three, Unit::Percent, 1), "14.2 % ± 0.5");
        assert_eq!(mean_and_half_width(&three, Unit::Plain, 1), "0.142 ± 0.005");
        let one = Statistics::of(&[0.142]).unwrap();
        assert_eq!(mean_and_half_width(&one, Unit::Percent, 2), "14.20 %");
    }

    #[test]
    fn intervals_of_shares_end_where_shares_do() {
        let low = Statistics::of(&[0.01, 0.05]).unwrap();
        assert!(low.ci95.unwrap().0 < 0.0);
        assert_eq!(mean_interval(&low, Unit::Percent, 2), "[0.00, 28.41]†");
        assert_eq!(mean_interval(&low, Unit::Plain, 2), "[−0.2241, 0.2841]");
        assert_eq!(
            interval(&low, Unit::Percent, 2),
            "[−22.41, 28.41]",
            "a difference"
        );
        assert_eq!(
            mean_and_half_width(&low, Unit::Percent, 2),
            "3.00 % [0.00, 28.41]†"
        );
        assert_eq!(mean_and_half_width(&low, Unit::Plain, 2), "0.0300 ± 0.2541");
        let high = Statistics::of(&[0.99, 0.95]).unwrap();
        assert_eq!(mean_interval(&high, Unit::Percent, 2), "[71.59, 100.00]†");
        let inside = Statistics::of(&[0.14, 0.142, 0.144]).unwrap();
        assert_eq!(mean_interval(&inside, Unit::Percent, 1), "[13.7, 14.7]");
    }
}
