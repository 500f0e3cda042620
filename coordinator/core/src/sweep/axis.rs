//! Axes and the values of settings.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tenfold_types::hyperparameter::Kind;
use tenfold_types::network::Architecture;
use tenfold_types::{Setting, Value};

use super::document::{Node, Tree, unknown_key};
use super::error::{Origin, Problem, quoted, suggestion};
use crate::rounding::rounded;

/// The most values that one axis may have.
pub(super) const MAX_VALUES: u64 = 100_000;

/// One varied setting and its values. They differ from one another, unless the axis is zipped: then the combinations do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// The setting.
    pub setting: Setting,
    /// Its values, in the order of the file; at least one. Where they are taken from another stage (see
    /// [`Stage::rules`](super::Stage::rules)), their places, from 0.
    pub values: Vec<Value>,
}

/// An axis in the normalised text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub(super) setting: String,
    pub(super) values: Vec<Value>,
    /// Where they are taken from another stage; then no values are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rule: Option<super::rule::Written>,
}

/// The values of an axis: a list, `{ log = [a, b], points = n }` or `{ linear = [a, b], points = n }`.
pub(super) fn values(
    setting: Setting,
    node: &Node,
    architectures: &BTreeSet<String>,
) -> Result<Vec<Value>, Problem> {
    let values = zipped_values(setting, node, architectures)?;
    if let Tree::List(list) = &node.tree {
        let mut seen = BTreeSet::new();
        for (at, value) in values.iter().enumerate() {
            if !seen.insert(value) {
                let message = format!("{value} is already a value of axis {setting}; name each value once");
                return Err(Problem::new(&list[at].at, message));
            }
        }
    }
    Ok(values)
}

/// The same of an axis that is zipped: a list may have a value again.
pub(super) fn zipped_values(
    setting: Setting,
    node: &Node,
    architectures: &BTreeSet<String>,
) -> Result<Vec<Value>, Problem> {
    let values = match &node.tree {
        Tree::List(list) => {
            let values = list
                .iter()
                .map(|value| self::value(setting, value, architectures));
            values.collect::<Result<Vec<_>, _>>()?
        }
        Tree::Table(_) => range(setting, node)?,
        _ => {
            return Err(node.expected(&format!(
                "the values of axis {setting}: a list, {{ log = [from, to], points = n }} or {{ linear = [from, to], \
                 points = n }} (a single value belongs in [settings])"
            )));
        }
    };
    if values.is_empty() {
        return Err(Problem::new(
            &node.at,
            format!("axis {setting} has no values; give at least one or remove it"),
        ));
    }
    Ok(values)
}

/// Whether a setting takes whole numbers; none where it takes no numbers.
fn whole(setting: Setting) -> Option<bool> {
    match setting.kind() {
        Kind::Count | Kind::Whole => Some(true),
        Kind::Positive | Kind::NonNegative | Kind::Share | Kind::Factor => Some(false),
        Kind::Bool | Kind::Architecture | Kind::Choice(_) => None,
    }
}

/// Whether an axis of a setting may have a range.
#[cfg(test)]
pub(super) fn takes_a_range(setting: Setting) -> bool {
    whole(setting).is_some()
}

/// A range as it is written, of numbers that rise.
#[derive(Debug, Clone)]
pub(super) struct Range {
    /// Whether it is even in its logarithms; then it begins above 0.
    pub(super) log: bool,
    /// Whether its setting takes whole numbers.
    pub(super) whole: bool,
    /// The first is less than the second.
    pub(super) ends: [f64; 2],
    /// How many points it has itself.
    pub(super) points: Option<u64>,
    /// Where its ends stand.
    pub(super) at: Origin,
}

impl Range {
    pub(super) fn read(setting: Setting, node: &Node) -> Result<Self, Problem> {
        let Some(whole) = whole(setting) else {
            return Err(node.expected(&format!(
                "a list of values for axis {setting}, which takes no range of numbers"
            )));
        };
        let (mut scale, mut points) = (None, None);
        for entry in node.table("a range")? {
            match entry.key.as_str() {
                "log" | "linear" if scale.is_some() => {
                    return Err(Problem::new(
                        &entry.at,
                        "a range is either log or linear, not both",
                    ));
                }
                "log" | "linear" => scale = Some(entry),
                "points" => points = Some(entry.value.count("points", 1, MAX_VALUES)?),
                _ => return Err(unknown_key(entry, &["log", "linear", "points"])),
            }
        }
        let scale = scale
            .ok_or_else(|| Problem::new(&node.at, "a range needs log = [from, to] or linear = [from, to]"))?;
        let [from, to] = scale.value.list("two numbers, [from, to]")? else {
            return Err(scale.value.expected("two numbers, [from, to]"));
        };
        let (low, high) = (from.number()?, to.number()?);
        if low >= high {
            let message =
                format!("the range goes from {low} to {high}; the first must be less than the second");
            return Err(Problem::new(&scale.value.at, message));
        }
        let log = scale.key == "log";
        if log && low <= 0.0 {
            return Err(Problem::new(
                &from.at,
                format!("a log range begins above 0, not at {low}"),
            ));
        }
        Ok(Self {
            log,
            whole,
            ends: [low, high],
            points,
            at: scale.value.at.clone(),
        })
    }
}

/// A number of a range as the value of its setting, or what is wrong with it.
pub(super) fn number(setting: Setting, number: f64) -> Result<Value, String> {
    let value = match number {
        // Counts have 32 bits; beyond them the kind refuses the number as it stands.
        _ if whole(setting) == Some(true) && number.fract() == 0.0 && number.abs() < 1e15 => {
            Value::Int(number as i64)
        }
        _ => Value::Float(number),
    };
    check(setting, value, &BTreeSet::new())
}

fn range(setting: Setting, node: &Node) -> Result<Vec<Value>, Problem> {
    let range = Range::read(setting, node)?;
    let [low, high] = range.ends;
    let points = range.points.ok_or_else(|| {
        let message = "a range needs points = n, or a [sample] table that says how it is sampled";
        Problem::new(&node.at, message)
    })?;
    if points < 2 {
        return Err(Problem::new(&node.at, "a range has at least 2 points, its ends"));
    }
    let values = spaced(low, high, points, range.log);
    let checked = values
        .iter()
        .map(|&at| number(setting, at).map_err(|message| Problem::new(&range.at, message)));
    let checked = checked.collect::<Result<Vec<_>, _>>()?;
    if checked.windows(2).any(|pair| pair[0] >= pair[1]) {
        let message = format!("{points} points do not fit between {low} and {high} as numbers that differ");
        return Err(Problem::new(&node.at, message));
    }
    Ok(checked)
}

/// Evenly spaced numbers, on a log scale in their logarithms. The ends are exact; what lies between is rounded to 12
/// significant digits, so that a decade is `1e-5` and not `9.999999999999999e-6`.
pub(super) fn spaced(low: f64, high: f64, points: u64, log: bool) -> Vec<f64> {
    // By logarithms: the quotient of the ends may be beyond what a number can be.
    let (from, to) = if log {
        (low.log10(), high.log10())
    } else {
        (low, high)
    };
    let at = |share: f64| {
        let at = from + (to - from) * share;
        if log { 10f64.powf(at) } else { at }
    };
    (0..points)
        .map(|point| match point {
            0 => low,
            last if last == points - 1 => high,
            _ => rounded::<12>(at(point as f64 / (points - 1) as f64)),
        })
        .collect()
}

/// The value of a setting.
pub(super) fn value(
    setting: Setting,
    node: &Node,
    architectures: &BTreeSet<String>,
) -> Result<Value, Problem> {
    let value = match &node.tree {
        Tree::Bool(value) => Value::Bool(*value),
        Tree::Int(value) => Value::Int(*value),
        Tree::Float(value) => Value::Float(*value),
        Tree::Text(value) => Value::Text(value.clone()),
        Tree::List(_) | Tree::Table(_) | Tree::Other(_) => return Err(node.expected(&wanted(setting))),
    };
    check(setting, value, architectures).map_err(|message| Problem::new(&node.at, message))
}

fn wanted(setting: Setting) -> String {
    match setting.kind() {
        Kind::Bool => format!("{setting}: true or false"),
        Kind::Count => format!("{setting}: a whole number, at least 1"),
        Kind::Positive => format!("{setting}: a finite number above 0"),
        Kind::NonNegative => format!("{setting}: a finite number, at least 0"),
        Kind::Share => format!("{setting}: a number from 0 to below 1"),
        Kind::Factor => format!("{setting}: a number above 0, at most 1"),
        Kind::Whole => format!("{setting}: a whole number, at least 0"),
        Kind::Architecture => format!("{setting}: the name of an architecture"),
        Kind::Choice(names) => format!("{setting}: one of {}", names.join(", ")),
    }
}

/// The value as its setting has it, or what is wrong with it. `architectures` are those that the file defines.
pub(super) fn check(
    setting: Setting,
    value: Value,
    architectures: &BTreeSet<String>,
) -> Result<Value, String> {
    let refused = |value: &Value| {
        let found = match value {
            Value::Text(text) => format!("the text {}", quoted(text)),
            Value::Float(number) => format!("{number:?}"),
            other => other.to_string(),
        };
        format!("expected {}, found {found}", wanted(setting))
    };
    match (setting.kind(), value) {
        (Kind::Bool, Value::Bool(value)) => Ok(Value::Bool(value)),
        (Kind::Count, Value::Int(value)) if (1..=i64::from(u32::MAX)).contains(&value) => {
            Ok(Value::Int(value))
        }
        (Kind::Whole, Value::Int(value)) if (0..=i64::from(u32::MAX)).contains(&value) => {
            Ok(Value::Int(value))
        }
        (Kind::Positive | Kind::NonNegative | Kind::Share | Kind::Factor, Value::Int(value)) => {
            check(setting, Value::Float(value as f64), architectures).map_err(|_| refused(&Value::Int(value)))
        }
        (Kind::Positive, Value::Float(value)) if value.is_finite() && value > 0.0 => Ok(Value::Float(value)),
        // -0 is 0, and has one spelling.
        (Kind::NonNegative, Value::Float(value)) if value.is_finite() && value >= 0.0 => {
            Ok(Value::Float(value + 0.0))
        }
        (Kind::Share, Value::Float(value)) if (0.0..1.0).contains(&value) => Ok(Value::Float(value + 0.0)),
        (Kind::Factor, Value::Float(value)) if value > 0.0 && value <= 1.0 => Ok(Value::Float(value)),
        (Kind::Architecture, Value::Text(name)) => {
            let known = architectures.contains(&name) || Architecture::named(&name).is_some();
            if known {
                return Ok(Value::Text(name));
            }
            // A named network misspelt: compare the families, with its own width.
            let digits = name.rsplit_once('-').map_or("", |(_, digits)| digits);
            let families = ["perceptron", "conv", "conv1"].map(|family| format!("{family}-{digits}"));
            let named = families.iter().filter(|name| Architecture::named(name).is_some());
            let near = suggestion(&name, architectures.iter().chain(named).map(String::as_str));
            Err(format!(
                "there is no architecture {}{near}{}",
                quoted(&name),
                if near.is_empty() {
                    "; define it with [[architecture]], or use perceptron-H, conv-C or conv1-C with a width"
                } else {
                    ""
                }
            ))
        }
        (Kind::Choice(names), Value::Text(name)) => {
            if names.contains(&name.as_str()) {
                return Ok(Value::Text(name));
            }
            let near = suggestion(&name, names.iter().copied());
            Err(format!(
                "{} is no {setting}; choose one of {}{near}",
                quoted(&name),
                names.join(", ")
            ))
        }
        (_, value) => Err(refused(&value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_are_clean_and_ends_exact() {
        assert_eq!(spaced(1e-6, 1e-1, 6, true), [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]);
        assert_eq!(spaced(0.1, 1.0, 4, false), [0.1, 0.4, 0.7, 1.0]);
        assert_eq!(spaced(1e-300, 1e300, 3, true), [1e-300, 1.0, 1e300]);
        let odd = spaced(3e-5, 0.07, 5, true);
        assert_eq!((odd[0], odd[4]), (3e-5, 0.07));
    }

    #[test]
    fn values_are_taken_by_kind() {
        let check = |setting, value| check(setting, value, &BTreeSet::from(["mine".to_owned()]));
        assert_eq!(check(Setting::LearningRate, Value::Int(1)), Ok(Value::Float(1.0)));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(check(Setting::LearningRate, Value::Float(bad)).is_err(), "{bad}");
        }
        assert!(check(Setting::BatchSize, Value::Float(10.0)).is_err());
        assert!(check(Setting::BatchSize, Value::Int(0)).is_err());
        assert!(check(Setting::WeightSharing, Value::Int(1)).is_err());
        assert!(check(Setting::Dropout, Value::Float(1.0)).is_err());
        assert!(check(Setting::Architecture, Value::Text("mine".into())).is_ok());
        assert!(check(Setting::Architecture, Value::Text("perceptron-7".into())).is_ok());
        assert!(check(Setting::Architecture, Value::Text("perceptron".into())).is_err());
    }
}
