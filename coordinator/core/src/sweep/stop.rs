//! Searches that stop early: `stop = { rule = "successive-halving", from = 5, factor = 3 }`. Such a stage becomes several, its
//! rungs: each trains for more epochs than the one before, and only the points that this one lets go on.

use tenfold_types::{Metric, Setting};

use super::definition::Definition;
use super::document::{Entry, Node, unknown_key};
use super::error::{Origin, Problem, quoted, suggestion};
use super::extension::ONLY;
use super::gate::{RungDraft, StopRule};
use super::rule;
use super::stages::MAX_STAGES;

const RULES: [&str; 4] = ["successive-halving", "asha", "median", "patience"];
/// All keys of the table.
pub(super) const KEYS: [&str; 9] = [
    "rule",
    "metric",
    "from",
    "factor",
    "at",
    "startup",
    "patience",
    "tolerance",
    "per",
];
/// Keys of all rules.
const COMMON: [&str; 2] = ["rule", "metric"];
/// As many as Li et al. use in their experiments at most, and Optuna and Syne Tune take by default.
const FACTOR: u32 = 3;
const MAX_FACTOR: u64 = 1_000;
/// As many as Optuna's median rule waits for.
const STARTUP: u32 = 5;

/// A search that stops early, as a file has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stop {
    at: Origin,
    rule: StopRule,
    /// The epochs of the rungs before the last, which trains for all.
    rungs: Vec<u32>,
    metric: Metric,
    per: Vec<Setting>,
}

/// The keys of a rule; none when there is no such rule.
pub(super) fn keys(rule: &str) -> Option<Vec<&'static str>> {
    let own: &[&str] = match rule {
        "successive-halving" | "asha" => &["from", "factor", "per"],
        "median" => &["at", "startup", "per"],
        "patience" => &["at", "patience", "tolerance"],
        _ => return None,
    };
    Some(COMMON.iter().chain(own).copied().collect())
}

/// Reads the table of a stage with so many epochs; none where it says that there is none.
pub(super) fn read(node: &Node, epochs: u32) -> Result<Option<Stop>, Problem> {
    if node.text().is_ok_and(|text| text == "none") {
        return Ok(None);
    }
    let entries =
        node.table("\"none\", or a table: stop = { rule = \"successive-halving\", from = 5, factor = 3 }")?;
    let get = |key: &str| entries.iter().find(|entry| entry.key == key);
    let Some(rule) = get("rule") else {
        let message = format!("rule is missing; the rules are {}", RULES.join(", "));
        return Err(Problem::new(&node.at, message));
    };
    let name = rule.value.text()?;
    let keys = match keys(name) {
        Some(keys) => keys,
        None => {
            let near = suggestion(name, RULES);
            let message = format!(
                "{} is no rule; the rules are {}{near}",
                quoted(name),
                RULES.join(", ")
            );
            return Err(Problem::new(&rule.value.at, message));
        }
    };
    if let Some(unknown) = entries.iter().find(|entry| !keys.contains(&entry.key.as_str())) {
        return Err(unknown_key(unknown, &keys));
    }
    let count = |key: &str, what: &str, least: u64, most: u64| {
        let count = get(key).map(|entry| entry.value.count(what, least, most));
        count.transpose().map(|count| count.map(|count| count as u32))
    };
    let factor = || {
        let factor = count("factor", "a factor: one point in so many goes on", 2, MAX_FACTOR);
        factor.map(|factor| factor.unwrap_or(FACTOR))
    };
    let patience = || {
        count("patience", "epochs of being worse", 1, u32::MAX.into())?.ok_or_else(|| {
            let message = "patience is missing: for how many epochs a point may be worse than it was, such as patience = 20";
            Problem::new(&node.at, message)
        })
    };
    let rule = match name {
        "successive-halving" => StopRule::SuccessiveHalving { factor: factor()? },
        "asha" => StopRule::Asha { factor: factor()? },
        "median" => StopRule::Median {
            startup: count("startup", "points that are not compared", 0, u32::MAX.into())?.unwrap_or(STARTUP),
        },
        _ => StopRule::Patience {
            patience: patience()?,
            tolerance: tolerance(get("tolerance"))?,
        },
    };
    let rungs = match rule {
        StopRule::SuccessiveHalving { factor } | StopRule::Asha { factor } => {
            powers(node, get("from"), factor, epochs)?
        }
        StopRule::Median { .. } | StopRule::Patience { .. } => listed(node, get("at"), epochs)?,
    };
    Ok(Some(Stop {
        at: node.at.clone(),
        rule,
        rungs,
        metric: rule::metric(get("metric"))?.map_or(Metric::TestError, |(metric, _)| metric),
        per: match get("per") {
            Some(entry) => rule::settings(&entry.value)?.0,
            None => Vec::new(),
        },
    }))
}

fn tolerance(entry: Option<&Entry>) -> Result<f64, Problem> {
    let Some(Entry { value, .. }) = entry else {
        return Ok(0.0);
    };
    let number = value.number()?;
    match number >= 0.0 {
        true => Ok(number),
        false => Err(value.expected("a difference of 0 or more, in the metric's unit")),
    }
}

/// The first rung and its multiples by powers of the factor.
fn powers(node: &Node, from: Option<&Entry>, factor: u32, epochs: u32) -> Result<Vec<u32>, Problem> {
    let Some(Entry { value, .. }) = from else {
        let message = "from is missing: the epochs of the first rung, such as from = 5";
        return Err(Problem::new(&node.at, message));
    };
    if epochs < 2 {
        let message = "there is one epoch, and none to stop before";
        return Err(Problem::new(&node.at, message));
    }
    let first = value.count(
        "the epochs of the first rung, fewer than all",
        1,
        u64::from(epochs) - 1,
    )?;
    let next = |rung: &u64| Some(rung * u64::from(factor));
    let rungs = std::iter::successors(Some(first), next).take_while(|rung| *rung < u64::from(epochs));
    let rungs: Vec<u32> = rungs.map(|rung| rung as u32).collect();
    Ok(rungs)
}

fn listed(node: &Node, at: Option<&Entry>, epochs: u32) -> Result<Vec<u32>, Problem> {
    let Some(Entry { value, .. }) = at else {
        let message = "at is missing: the epochs at which points are looked at, such as at = [25, 50, 100]";
        return Err(Problem::new(&node.at, message));
    };
    if epochs < 2 {
        let message = "there is one epoch, and none to stop before";
        return Err(Problem::new(&node.at, message));
    }
    let mut rungs = Vec::new();
    for rung in value.list("epochs, such as [25, 50, 100]")? {
        let epoch = rung.count("an epoch before the last", 1, u64::from(epochs) - 1)? as u32;
        if let Some(last) = rungs.last().filter(|last| **last >= epoch) {
            let message = format!("epoch {epoch} comes behind {last}; they ascend, and none comes twice");
            return Err(Problem::new(&rung.at, message));
        }
        rungs.push(epoch);
    }
    match rungs.len() {
        0 => Err(Problem::new(&value.at, "at is empty; name an epoch at least")),
        1..MAX_STAGES => Ok(rungs),
        many => Err(Problem::new(
            &value.at,
            format!(
                "there are {many} epochs; a sweep has {MAX_STAGES} stages at most, a rung is one of them"
            ),
        )),
    }
}

impl Stop {
    /// The stages that a stage of this name and definition becomes, in order: the last of them has its name.
    pub(super) fn rungs(
        &self,
        name: &str,
        definition: &Definition,
        all: &[String],
    ) -> Result<Vec<(String, Definition)>, Problem> {
        let name = match name {
            "" => ONLY,
            name => name,
        };
        let called = |epochs: &u32| format!("{name}-at-{epochs}");
        let names: Vec<String> = self.rungs.iter().map(called).chain([name.to_owned()]).collect();
        if let Some(taken) = names[..self.rungs.len()].iter().find(|name| all.contains(name)) {
            let message = format!(
                "a rung of this search is called {}, as another stage is",
                quoted(taken)
            );
            return Err(Problem::new(&self.at, message));
        }
        let epochs = self.rungs.iter().copied().chain([definition.epochs]);
        let mut before: Option<&String> = None;
        let mut stages = Vec::new();
        for (name, epochs) in names.iter().zip(epochs) {
            let rung = before.replace(name).map(|source| RungDraft {
                source: source.clone(),
                rule: self.rule,
                metric: self.metric,
                per: self.per.clone(),
            });
            let definition = Definition {
                epochs,
                rung: rung.map(|rung| (rung, self.at.clone())),
                ..definition.clone()
            };
            stages.push((name.clone(), definition));
        }
        Ok(stages)
    }
}
