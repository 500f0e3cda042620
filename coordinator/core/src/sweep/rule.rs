//! Values that a stage takes from an earlier one, by a rule written in the file:
//! `{ best_of = "coarse" }`, or `{ refine = "coarse", points = 5, span = 1.0 }`.

use std::fmt;

use serde::{Deserialize, Serialize};
use tenfold_types::hyperparameter::Kind;
use tenfold_types::{Metric, Setting, Value};

use super::document::{Entry, Node, unknown_key};
use super::error::{Origin, Problem, quoted, suggestion};
use super::stage::Stage;
use crate::rounding::rounded;

const KEYS: &[&str] = &[
    "best_of", "refine", "metric", "at", "per", "rule", "points", "span",
];
/// The most values that a refined axis may have.
const MAX_POINTS: u64 = 1_000;
/// The most decades to each side.
const MAX_SPAN: f64 = 12.0;

/// How a stage takes the values of an axis from an earlier stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The number of the earlier stage, and its name.
    pub source: u32,
    /// Its name.
    pub source_name: String,
    /// What is compared; less is better.
    pub metric: Metric,
    /// At this epoch, from 1.
    pub epoch: u32,
    /// A choice for each combination of values of these settings.
    pub per: Vec<Setting>,
    /// Which value is chosen.
    pub criterion: Criterion,
    /// Values around the chosen one, instead of that one alone.
    pub refine: Option<Refine>,
}

/// Which value is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// The one of the least mean.
    #[default]
    MinMean,
    /// The first, in the order of the axis, whose mean is at most a standard error of the least mean above it (Breiman et
    /// al., Classification and Regression Trees, 1984, section 3.4.3).
    OneStandardError,
}

impl Criterion {
    const ALL: [Self; 2] = [Self::MinMean, Self::OneStandardError];

    /// Its name in sweep files.
    pub fn name(self) -> &'static str {
        match self {
            Self::MinMean => "min-mean",
            Self::OneStandardError => "one-standard-error",
        }
    }
}

/// Values around a chosen one, evenly spaced in their logarithms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refine {
    /// How many.
    pub points: u32,
    /// How many decades to each side.
    pub span: f64,
}

/// The least decades between two values: with four digits nearer ones could be the same.
const MIN_STEP: f64 = 5e-4;

impl Refine {
    /// So many values within so many decades to each side.
    ///
    /// # Errors
    /// Words for people: too many, too few, too near to one another.
    pub(super) fn new(points: u64, span: f64) -> Result<Self, String> {
        if !(2..=MAX_POINTS).contains(&points) {
            return Err(format!(
                "{points} points are wanted; 2 to {MAX_POINTS} are possible"
            ));
        }
        if !(span > 0.0 && span <= MAX_SPAN) {
            return Err(format!(
                "a span of {span} decades to each side is wanted; it is above 0 and at most {MAX_SPAN}"
            ));
        }
        if 2.0 * span / (points - 1) as f64 <= MIN_STEP {
            return Err(format!(
                "{points} points within {span} decades to each side are too near to one another to differ in four digits; take \
                 fewer points or a wider span"
            ));
        }
        Ok(Self {
            points: points as u32,
            span,
        })
    }

    /// The values around this one, the least first, rounded to four significant digits: what lies between the digits makes no
    /// difference, and the numbers are read by people.
    pub fn around(&self, chosen: f64) -> Vec<f64> {
        let steps = f64::from(self.points - 1);
        let exponent = |point: u32| self.span * (2.0 * f64::from(point) - steps) / steps;
        (0..self.points)
            .map(|point| match 2 * point + 1 == self.points {
                // The middle one is the chosen one, and not what powers and roundings make of it.
                true => chosen,
                false => rounded::<4>(chosen * 10f64.powf(exponent(point))),
            })
            .collect()
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Refine { points, span }) = self.refine {
            write!(f, "{points} values, {span} decades to each side of the ")?;
        }
        write!(f, "best of stage {}: {}", self.source_name, self.criterion.name())?;
        write!(f, " of {} at epoch {}", self.metric, self.epoch)?;
        if !self.per.is_empty() {
            let per: Vec<&str> = self.per.iter().map(|setting| setting.name()).collect();
            write!(f, ", for each {}", per.join(" × "))?;
        }
        Ok(())
    }
}

/// A rule as it stands in a file or in a normalised text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft {
    at: Origin,
    source: (String, Origin),
    metric: (Metric, Origin),
    /// None: the last.
    epoch: Option<(u32, Origin)>,
    /// None: all else that the earlier stage varies.
    per: Option<(Vec<Setting>, Origin)>,
    criterion: Criterion,
    refine: Option<Refine>,
}

/// A rule in the normalised text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    stage: String,
    metric: String,
    epoch: u32,
    per: Vec<String>,
    rule: Criterion,
    #[serde(skip_serializing_if = "Option::is_none")]
    refine: Option<Refine>,
}

impl Written {
    pub(super) fn of(rule: &Rule) -> Self {
        Self {
            stage: rule.source_name.clone(),
            metric: rule.metric.to_string(),
            epoch: rule.epoch,
            per: rule.per.iter().map(|setting| setting.name().to_owned()).collect(),
            rule: rule.criterion,
            refine: rule.refine,
        }
    }

    pub(super) fn read(self) -> Result<Draft, String> {
        let per = self.per.iter().map(|name| name.parse::<Setting>());
        let per = per
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| error.to_string())?;
        if let Some(Refine { points, span }) = self.refine {
            Refine::new(points.into(), span)?;
        }
        let whole = Origin::Whole;
        Ok(Draft {
            at: whole.clone(),
            source: (self.stage, whole.clone()),
            metric: (
                self.metric
                    .parse()
                    .map_err(|error: tenfold_types::curve::UnknownMetric| error.to_string())?,
                whole.clone(),
            ),
            epoch: Some((self.epoch, whole.clone())),
            per: Some((per, whole)),
            criterion: self.rule,
            refine: self.refine,
        })
    }
}

/// Whether the values of an axis are a rule.
pub(super) fn is_rule(node: &Node) -> bool {
    let names_one = |entries: &[Entry]| {
        let one = |entry: &Entry| matches!(entry.key.as_str(), "best_of" | "refine");
        entries.iter().any(one)
    };
    node.table("").is_ok_and(names_one)
}

/// Reads the rule of an axis.
pub(super) fn read(setting: Setting, node: &Node) -> Result<Draft, Problem> {
    if matches!(
        setting,
        Setting::Architecture | Setting::WeightSharing | Setting::AuxiliaryLoss
    ) {
        let message = format!(
            "{setting} says what is trained and measured, and is never taken from another stage; list its values"
        );
        return Err(Problem::new(&node.at, message));
    }
    let entries = node.table("a rule")?;
    if let Some(unknown) = entries.iter().find(|entry| !KEYS.contains(&entry.key.as_str())) {
        return Err(unknown_key(unknown, KEYS));
    }
    let get = |key: &str| entries.iter().find(|entry| entry.key == key);
    let (source, refines) = match (get("best_of"), get("refine")) {
        (Some(_), Some(entry)) => {
            let message = "a rule is either best_of or refine, not both";
            return Err(Problem::new(&entry.at, message));
        }
        (Some(entry), None) => (entry, false),
        (None, Some(entry)) => (entry, true),
        (None, None) => return Err(node.expected("a rule: best_of or refine, with the name of a stage")),
    };
    let name = source.value.text()?.to_owned();
    let refine = match refines {
        true => Some(refinement(setting, node, get("points"), get("span"))?),
        false => {
            if let Some(entry) = get("points").or_else(|| get("span")) {
                let message = format!("{} belongs to refine; best_of takes one value", entry.key);
                return Err(Problem::new(&entry.at, message));
            }
            None
        }
    };
    let metric = metric(get("metric"))?.unwrap_or_else(|| (Metric::TestError, node.at.clone()));
    Ok(Draft {
        at: node.at.clone(),
        source: (name, source.value.at.clone()),
        metric,
        epoch: get("at").map(|entry| epoch(&entry.value)).transpose()?.flatten(),
        per: get("per").map(|entry| settings(&entry.value)).transpose()?,
        criterion: get("rule")
            .map(|entry| criterion(&entry.value))
            .transpose()?
            .unwrap_or_default(),
        refine,
    })
}

fn refinement(
    setting: Setting,
    node: &Node,
    points: Option<&Entry>,
    span: Option<&Entry>,
) -> Result<Refine, Problem> {
    if !matches!(setting.kind(), Kind::Positive) {
        let message = format!(
            "refine takes decades around a number above 0, which {setting} need not be; list its values"
        );
        return Err(Problem::new(&node.at, message));
    }
    let points = points
        .ok_or_else(|| Problem::new(&node.at, "refine needs points = n, such as points = 5"))?
        .value
        .count("points", 2, MAX_POINTS)?;
    let span = span.ok_or_else(|| {
        Problem::new(
            &node.at,
            "refine needs span = decades to each side, such as span = 1.0",
        )
    })?;
    let decades = span.value.number()?;
    if !(decades > 0.0 && decades <= MAX_SPAN) {
        return Err(span
            .value
            .expected(&format!("decades to each side, above 0 and at most {MAX_SPAN}")));
    }
    Refine::new(points, decades).map_err(|message| Problem::new(&node.at, message))
}

/// A metric, and where it stands.
pub(super) fn metric(entry: Option<&Entry>) -> Result<Option<(Metric, Origin)>, Problem> {
    let Some(Entry { value, .. }) = entry else {
        return Ok(None);
    };
    let metric = value.text()?.parse();
    let metric = metric
        .map_err(|error: tenfold_types::curve::UnknownMetric| Problem::new(&value.at, error.to_string()))?;
    Ok(Some((metric, value.at.clone())))
}

/// An epoch from 1; none for the last.
pub(super) fn epoch(node: &Node) -> Result<Option<(u32, Origin)>, Problem> {
    if node.text().is_ok_and(|text| text == "last") {
        return Ok(None);
    }
    let epoch = node.count("\"last\" or an epoch", 1, u32::MAX.into())?;
    Ok(Some((epoch as u32, node.at.clone())))
}

pub(super) fn settings(node: &Node) -> Result<(Vec<Setting>, Origin), Problem> {
    let mut settings = Vec::new();
    for name in node.list("settings, such as [\"architecture\"]")? {
        let text = name.text()?;
        let setting = text.parse::<Setting>().map_err(|error| {
            let near = suggestion(text, Setting::ALL.iter().map(|setting| setting.name()));
            Problem::new(&name.at, format!("{error}{near}"))
        })?;
        if settings.contains(&setting) {
            return Err(Problem::new(&name.at, format!("{setting} is named twice")));
        }
        settings.push(setting);
    }
    Ok((settings, node.at.clone()))
}

fn criterion(node: &Node) -> Result<Criterion, Problem> {
    let text = node.text()?;
    let found = Criterion::ALL
        .into_iter()
        .find(|criterion| criterion.name() == text);
    found.ok_or_else(|| {
        let names = Criterion::ALL.map(Criterion::name);
        let near = suggestion(text, names);
        let message = format!(
            "{} is no rule; the rules are {}{near}",
            quoted(text),
            names.join(" and ")
        );
        Problem::new(&node.at, message)
    })
}

/// The stages that a rule may speak of.
#[derive(Clone, Copy)]
pub(super) struct Stages<'a> {
    /// Those before this one, in order.
    pub(super) earlier: &'a [Stage],
    /// The names of all, those that are not enabled too.
    pub(super) all: &'a [String],
    /// The name of this one.
    pub(super) this: &'a str,
}

impl Draft {
    /// Values around the best ones of a stage, at its last epoch, for all else that it varies.
    pub(super) fn around(
        setting: Setting,
        source: &str,
        metric: Metric,
        refine: Refine,
    ) -> Result<Self, String> {
        let Refine { points, span } = refine;
        if !matches!(setting.kind(), Kind::Positive) {
            return Err(format!(
                "values around one are decades around a number above 0, which {setting} need not be"
            ));
        }
        let refine = Refine::new(points.into(), span)?;
        let whole = Origin::Whole;
        Ok(Self {
            at: whole.clone(),
            source: (source.to_owned(), whole.clone()),
            metric: (metric, whole),
            epoch: None,
            per: None,
            criterion: Criterion::default(),
            refine: Some(refine),
        })
    }

    /// How many values its axis has at each point.
    pub(super) fn len(&self) -> u32 {
        self.refine.map_or(1, |refine| refine.points)
    }

    /// Whether it takes values around the chosen one.
    pub(super) fn refines(&self) -> bool {
        self.refine.is_some()
    }

    pub(super) fn at(&self) -> &Origin {
        &self.at
    }

    /// The rule for this setting, if there is such a stage and it can be chosen from.
    pub(super) fn resolve(&self, setting: Setting, stages: Stages<'_>) -> Result<Rule, Problem> {
        let (number, source) = self.source(stages)?;
        let name = &self.source.0;
        let refused = |at: &Origin, message: String| Err(Problem::new(at, message));
        let axis = |setting: Setting| source.axes().iter().any(|axis| axis.setting == setting);
        if !axis(setting) {
            return refused(
                &self.source.1,
                format!(
                    "stage {} does not vary {setting}: there is nothing to choose",
                    quoted(name)
                ),
            );
        }
        let taken = |setting: Setting| source.rules().iter().any(|taken| taken.setting == setting);
        let per = match &self.per {
            None => {
                let others = source.axes().iter().map(|axis| axis.setting);
                others
                    .filter(|&other| other != setting && !taken(other))
                    .collect()
            }
            Some((per, at)) => {
                for &other in per {
                    let wrong = match () {
                        () if other == setting => "is what is chosen",
                        () if !axis(other) => "is not varied there",
                        () if taken(other) => "is itself taken from another stage there",
                        () => continue,
                    };
                    return refused(
                        at,
                        format!("per names {other}, which {wrong} (stage {})", quoted(name)),
                    );
                }
                per.clone()
            }
        };
        let epochs = source.epochs();
        let epoch = match &self.epoch {
            None => epochs,
            Some((epoch, _)) if *epoch <= epochs => *epoch,
            Some((epoch, at)) => {
                return refused(
                    at,
                    format!("stage {} has {epochs} epochs, and no epoch {epoch}", quoted(name)),
                );
            }
        };
        let metrics = source.common_metrics();
        if !metrics.contains(&self.metric.0) {
            let known: Vec<String> = metrics.iter().map(Metric::to_string).collect();
            return refused(
                &self.metric.1,
                format!(
                    "{} is not measured at every point of stage {}; what is: {}",
                    self.metric.0,
                    quoted(name),
                    known.join(", ")
                ),
            );
        }
        Ok(Rule {
            source: number,
            source_name: name.clone(),
            metric: self.metric.0,
            epoch,
            per,
            criterion: self.criterion,
            refine: self.refine,
        })
    }

    fn source<'a>(&self, stages: Stages<'a>) -> Result<(u32, &'a Stage), Problem> {
        let (name, at) = &self.source;
        let earlier = (0..).zip(stages.earlier);
        if let Some(found) = earlier.into_iter().find(|(_, stage)| stage.name() == name) {
            return Ok(found);
        }
        let message = match () {
            () if stages.this.is_empty() => {
                "a value is taken from an earlier [[stage]], and this sweep has none".to_owned()
            }
            () if name == stages.this => format!(
                "stage {} would wait for itself; name a stage before it",
                quoted(name)
            ),
            () if stages.all.contains(name) => format!(
                "stage {} is not enabled or does not come before this one; a stage takes values from one that does",
                quoted(name)
            ),
            () => {
                let near = suggestion(name, stages.all.iter().map(String::as_str));
                let before: Vec<&str> = stages.earlier.iter().map(Stage::name).collect();
                let known = match before.as_slice() {
                    [] => "no stage comes before this one".to_owned(),
                    names => format!("before this one come {}", names.join(", ")),
                };
                format!("there is no stage {}; {known}{near}", quoted(name))
            }
        };
        Err(Problem::new(at, message))
    }
}

impl Rule {
    /// The values that a choice gives: around the chosen one, or that one alone.
    pub fn values(&self, chosen: &Value) -> Vec<Value> {
        match (self.refine, chosen) {
            (Some(refine), Value::Float(chosen)) => {
                refine.around(*chosen).into_iter().map(Value::Float).collect()
            }
            _ => vec![chosen.clone()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_around_a_chosen_one_have_it_in_their_middle() {
        let five = Refine { points: 5, span: 1.0 };
        assert_eq!(five.around(1e-3), [1e-4, 3.162e-4, 1e-3, 3.162e-3, 1e-2]);
        let odd = Refine { points: 3, span: 0.5 };
        assert_eq!(odd.around(0.123_456_789_012_345)[1], 0.123_456_789_012_345);
        let even = Refine { points: 2, span: 1.0 };
        assert_eq!(even.around(1.0), [0.1, 10.0]);
    }
}
