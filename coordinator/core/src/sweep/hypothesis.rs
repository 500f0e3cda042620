//! `[[hypothesis]]`: what a sweep is expected to show, written down before it runs. Part of the normalised text and so of the
//! sweep's id: nobody can write them afterwards and keep the id.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tenfold_types::{Metric, Setting, Value};

use super::axis;
use super::document::{self, Entry, Node, Tree, unknown_key};
use super::error::{Origin, Problem, SweepError, quoted, suggestion};
use super::judging::{Family, Missing};
use super::stage::Stage;
use super::{MAX_TEXT, Sweep, judging, stages};

/// The most hypotheses, and the most points that are looked through for all of them together.
const MAX_HYPOTHESES: usize = 200;
const MAX_LOOKED_AT: u64 = 20_000_000;
const MAX_CLAIM: usize = 1000;
const KEYS: &[&str] = &[
    "claim",
    "stage",
    "metric",
    "at",
    "this",
    "than",
    "lower_by",
    "higher_by",
    "within",
    "missing",
    "family",
];
/// Exactly one of these says what is expected.
const EXPECTATIONS: [&str; 3] = ["lower_by", "higher_by", "within"];

/// Something that a sweep is expected to show of two groups.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// What it says, for people.
    pub claim: String,
    /// Its stage.
    pub stage: u32,
    /// What is compared.
    pub metric: Metric,
    /// The epoch at which it is, from 1.
    pub at: u32,
    /// The group that it speaks of: all points with these values.
    pub this: BTreeMap<Setting, Value>,
    /// The group that this one is compared with; it names the same settings.
    pub than: BTreeMap<Setting, Value>,
    /// What is expected.
    pub expected: Claim,
    /// What becomes of it where planned pairs are missing.
    pub missing: Missing,
    /// The hypotheses that it shares its error rate with.
    pub family: Family,
}

/// What is expected of `this` − `than`. Margins are in the unit of the metric, and at least 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// It is below −margin.
    Lower(f64),
    /// It is above the margin.
    Higher(f64),
    /// It is between −margin and the margin.
    Within(f64),
}

/// A hypothesis in the normalised text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    claim: String,
    stage: u32,
    metric: String,
    at: u32,
    this: BTreeMap<String, Value>,
    than: BTreeMap<String, Value>,
    expected: Claim,
    // Left out at their defaults: texts that were written before there were such keys keep their ids.
    #[serde(default, skip_serializing_if = "is_default")]
    missing: Missing,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    family: Option<String>,
}

fn is_default(missing: &Missing) -> bool {
    *missing == Missing::default()
}

impl From<&Hypothesis> for Written {
    fn from(of: &Hypothesis) -> Self {
        let side = |side: &BTreeMap<Setting, Value>| {
            let named = side
                .iter()
                .map(|(setting, value)| (setting.name().to_owned(), value.clone()));
            named.collect()
        };
        Self {
            claim: of.claim.clone(),
            stage: of.stage,
            metric: of.metric.to_string(),
            at: of.at,
            this: side(&of.this),
            than: side(&of.than),
            expected: of.expected,
            missing: of.missing,
            family: of.family.name().map(str::to_owned),
        }
    }
}

impl Written {
    /// As it was read from a sweep file.
    pub(super) fn read(self) -> Result<Hypothesis, String> {
        let side = |side: BTreeMap<String, Value>| {
            let named = side.into_iter().map(|(name, value)| {
                let setting: Setting = name
                    .parse()
                    .map_err(|_| format!("{} is no setting", quoted(&name)))?;
                // A whole number is written without a fraction where its setting takes any number.
                let known = BTreeSet::from([value.to_string()]);
                Ok((setting, axis::check(setting, value, &known)?))
            });
            named.collect::<Result<_, String>>()
        };
        Ok(Hypothesis {
            claim: self.claim,
            stage: self.stage,
            metric: self
                .metric
                .parse()
                .map_err(|error: tenfold_types::curve::UnknownMetric| error.to_string())?,
            at: self.at,
            this: side(self.this)?,
            than: side(self.than)?,
            expected: self.expected,
            missing: self.missing,
            family: self.family.map_or(Ok(Family::Common), |name| name.parse())?,
        })
    }
}

impl Hypothesis {
    /// The points that are compared: each of `this` with the one of `than` that has the same values of all axes which are not
    /// named. Points without a partner are left out; those that a search has left out are not: their trials are missing.
    pub fn pairs(&self, sweep: &Sweep) -> Vec<(u64, u64)> {
        let stage = sweep.stage(self.stage);
        stage.map_or_else(Vec::new, |stage| pairs(stage, &self.this, &self.than))
    }

    /// Returns those of [`pairs`](Self::pairs) that differ in what is trained: pairs of the same two networks with the same
    /// settings count once, the first of them, and a network is not compared with itself.
    pub fn distinct_pairs(&self, sweep: &Sweep) -> Vec<(u64, u64)> {
        let Some(stage) = sweep.stage(self.stage) else {
            return Vec::new();
        };
        // Plain data with finite numbers: there is nothing that JSON could refuse.
        let trained = |index| {
            let spec = stage.spec(index, 0)?;
            Some(serde_json::to_string(&spec).unwrap_or_default())
        };
        let mut seen = BTreeSet::new();
        let mut pairs = self.pairs(sweep);
        if !stage.has_twins() {
            return pairs;
        }
        pairs.retain(|(this, than)| match trained(*this).zip(trained(*than)) {
            Some((this, than)) => this != than && seen.insert((this, than)),
            None => true,
        });
        pairs
    }
}

fn pairs(stage: &Stage, this: &BTreeMap<Setting, Value>, than: &BTreeMap<Setting, Value>) -> Vec<(u64, u64)> {
    // Settings that are no axis are the same everywhere.
    let fixed = |side: &BTreeMap<Setting, Value>| {
        let mut fixed = side
            .iter()
            .filter(|(setting, _)| stage.axes().iter().all(|axis| axis.setting != **setting));
        fixed.all(|(setting, value)| stage.values_of(*setting).contains(value))
    };
    if !fixed(this) || !fixed(than) {
        return Vec::new();
    }
    let mut partners: BTreeMap<Vec<Value>, (Option<u64>, Option<u64>)> = BTreeMap::new();
    let indexes = std::iter::successors(stage.first_in_grid(0), |index| stage.first_in_grid(index + 1));
    for point in indexes.filter_map(|index| stage.point(index)) {
        let is = |side: &BTreeMap<Setting, Value>| {
            let differs =
                |(setting, value): &(Setting, Value)| side.get(setting).is_some_and(|of| of != value);
            !point.values.iter().any(differs)
        };
        let (is_this, is_than) = (is(this), is(than));
        if !is_this && !is_than {
            continue;
        }
        // What is taken from another stage goes with the rest: it is no other network or mode by itself.
        let others = stage.paired_by(point.index).into_iter();
        let others = others.filter(|(setting, _)| !this.contains_key(setting));
        let others = others.map(|(_, value)| value).collect();
        let pair = partners.entry(others).or_default();
        if is_this {
            pair.0 = Some(point.index);
        }
        if is_than {
            pair.1 = Some(point.index);
        }
    }
    let mut pairs: Vec<(u64, u64)> = partners
        .into_values()
        .filter_map(|(this, than)| this.zip(than))
        .collect();
    pairs.sort_unstable();
    pairs
}

/// The hypotheses of a sweep file with these stages; those of stages that are not enabled are left out with them.
pub(super) fn read(document: &[Entry], stages: &[Stage]) -> Result<Vec<Hypothesis>, Vec<Problem>> {
    let Some(entry) = document.iter().find(|entry| entry.key == "hypothesis") else {
        return Ok(Vec::new());
    };
    let tables = entry
        .value
        .list("tables: [[hypothesis]]")
        .map_err(|problem| vec![problem])?;
    if tables.len() > MAX_HYPOTHESES {
        let message = format!(
            "there are {} hypotheses; at most {MAX_HYPOTHESES} are possible",
            tables.len()
        );
        return Err(vec![Problem::new(&entry.at, message)]);
    }
    let mut reader = Reader {
        stages,
        disabled: disabled(document, stages),
        looked_at: 0,
    };
    let (mut hypotheses, mut problems) = (Vec::new(), Vec::new());
    for table in tables {
        match reader.hypothesis(table) {
            Ok(hypothesis) => hypotheses.extend(hypothesis),
            Err(found) => problems.extend(found),
        }
    }
    match problems.is_empty() {
        true => Ok(hypotheses),
        false => Err(problems),
    }
}

/// Hypotheses of a file of their own about a sweep that is there.
pub(super) fn added(sweep: &Sweep, text: &str, file: &str) -> Result<Vec<Hypothesis>, SweepError> {
    let refuse = |problems| SweepError::new(file, text, &[], problems);
    if text.len() > MAX_TEXT {
        let message = format!("the file has {} bytes; it has at most {MAX_TEXT}", text.len());
        return Err(refuse(vec![Problem::new(&Origin::Whole, message)]));
    }
    let document = document::parse(text).map_err(|problem| refuse(vec![problem]))?;
    let others = document.iter().filter(|entry| entry.key != "hypothesis");
    let unknown: Vec<Problem> = others.map(|entry| unknown_key(entry, &["hypothesis"])).collect();
    if !unknown.is_empty() {
        return Err(refuse(unknown));
    }
    let hypotheses = read(&document, sweep.stages()).map_err(&refuse)?;
    if hypotheses.is_empty() {
        let message = "there is no [[hypothesis]] in the file; write one at least";
        return Err(refuse(vec![Problem::new(&Origin::Whole, message)]));
    }
    Ok(hypotheses)
}

/// The names of stages that the file has and that are not enabled.
fn disabled(document: &[Entry], stages: &[Stage]) -> BTreeSet<String> {
    let names = stages::names(document).into_iter();
    names
        .filter(|name| stages.iter().all(|stage| stage.name() != name))
        .collect()
}

fn find<'a>(table: &'a [Entry], key: &str) -> Option<&'a Entry> {
    table.iter().find(|entry| entry.key == key)
}

struct Reader<'a> {
    stages: &'a [Stage],
    disabled: BTreeSet<String>,
    /// Points that the hypotheses so far have been looked for among.
    looked_at: u64,
}

impl<'a> Reader<'a> {
    /// None where its stage is not enabled.
    fn hypothesis(&mut self, node: &Node) -> Result<Option<Hypothesis>, Vec<Problem>> {
        let table = node
            .table("a table: [[hypothesis]]")
            .map_err(|problem| vec![problem])?;
        let unknown = table.iter().filter(|entry| !KEYS.contains(&entry.key.as_str()));
        let mut problems: Vec<Problem> = unknown.map(|entry| unknown_key(entry, KEYS)).collect();
        let stage = match self.stage(node, table) {
            Ok(Some(stage)) => stage,
            Ok(None) if problems.is_empty() => return Ok(None),
            Ok(None) => return Err(problems),
            Err(problem) => {
                problems.push(problem);
                return Err(problems);
            }
        };
        let number = self.stages.iter().position(|other| std::ptr::eq(other, stage));
        let claim = note(&mut problems, claim(node, table));
        let metric = note(&mut problems, metric(table));
        let at = note(&mut problems, epoch(table, stage));
        let expected = note(&mut problems, expected(node, table));
        let this = note(&mut problems, side(node, table, "this", stage));
        let than = note(&mut problems, side(node, table, "than", stage));
        let missing = note(&mut problems, judging::missing(find(table, "missing")));
        let family = note(&mut problems, judging::family(find(table, "family")));
        if stage.repetitions() < 2 {
            problems.push(Problem::new(
                &node.at,
                format!(
                    "a hypothesis needs 2 repetitions at least, as it is judged by an interval; {} has one",
                    called(stage)
                ),
            ));
        }
        let (Some(claim), Some(metric), Some(at), Some(expected), Some(this), Some(than)) =
            (claim, metric, at, expected, this, than)
        else {
            return Err(problems);
        };
        let (Some(missing), Some(family)) = (missing, family) else {
            return Err(problems);
        };
        let hypothesis = Hypothesis {
            claim,
            stage: number.unwrap_or(0) as u32,
            metric,
            at,
            this,
            than,
            expected,
            missing,
            family,
        };
        if let Err(problem) = self.groups(node, table, stage, &hypothesis) {
            problems.push(problem);
        }
        match problems.is_empty() {
            true => Ok(Some(hypothesis)),
            false => Err(problems),
        }
    }

    /// None where it is not enabled.
    fn stage(&self, node: &Node, table: &[Entry]) -> Result<Option<&'a Stage>, Problem> {
        let names: Vec<&str> = self.stages.iter().map(Stage::name).collect();
        let named = names.iter().any(|name| !name.is_empty()) || !self.disabled.is_empty();
        let Some(entry) = find(table, "stage") else {
            return match self.stages {
                [stage] if !named => Ok(Some(stage)),
                _ => Err(Problem::new(
                    &node.at,
                    format!(
                        "this hypothesis names no stage; write stage = NAME, one of {}",
                        names.join(", ")
                    ),
                )),
            };
        };
        let name = entry.value.text()?;
        if let Some(stage) = self
            .stages
            .iter()
            .find(|stage| stage.name() == name && !name.is_empty())
        {
            return Ok(Some(stage));
        }
        if self.disabled.contains(name) {
            return Ok(None);
        }
        let message = match named {
            true => format!(
                "no stage is called {}; the stages are {}{}",
                quoted(name),
                names.join(", "),
                suggestion(name, names.iter().copied())
            ),
            false => "this sweep has no stages; leave stage out".to_owned(),
        };
        Err(Problem::new(&entry.value.at, message))
    }

    /// Checks that both sides are groups that differ, can be paired, and record the metric.
    fn groups(
        &mut self,
        node: &Node,
        table: &[Entry],
        stage: &Stage,
        hypothesis: &Hypothesis,
    ) -> Result<(), Problem> {
        let at = |key: &str| find(table, key).map_or(&node.at, |entry| &entry.at);
        let Hypothesis {
            this, than, metric, ..
        } = hypothesis;
        for (side, other, (key, other_key)) in
            [(this, than, ("this", "than")), (than, this, ("than", "this"))]
        {
            if let Some(setting) = side.keys().find(|setting| !other.contains_key(setting)) {
                let message = format!(
                    "{key} names {setting} and {other_key} does not; both name the same settings, and what \
                     neither names is paired value by value"
                );
                return Err(Problem::new(at(other_key), message));
            }
        }
        if this == than {
            let message = "this and than are the same; give than at least one other value";
            return Err(Problem::new(at("than"), message));
        }
        if let Some(setting) = this.keys().find(|setting| stage.is_taken(**setting)) {
            let message = format!(
                "{setting} is taken from another stage here: its value is not known before, and cannot be named"
            );
            return Err(Problem::new(at("this"), message));
        }
        self.looked_at = self.looked_at.saturating_add(stage.raw_points());
        if self.looked_at > MAX_LOOKED_AT {
            let message = format!(
                "points × hypotheses are more than {MAX_LOOKED_AT}; write fewer hypotheses about stages of so many points"
            );
            return Err(Problem::new(&node.at, message));
        }
        let (Claim::Lower(margin) | Claim::Higher(margin) | Claim::Within(margin)) = hypothesis.expected;
        if stage.data().answers(*metric).is_some() && margin >= 1.0 {
            let message = format!(
                "{metric} is a share, and no two shares differ by {margin} or more; margins are shares too: 2 percentage points are 0.02"
            );
            let named = EXPECTATIONS.iter().find_map(|key| find(table, key));
            return Err(Problem::new(
                named.map_or(&node.at, |entry| &entry.value.at),
                message,
            ));
        }
        let pairs = pairs(stage, this, than);
        let same =
            |(this, than): &(u64, u64)| stage.representative(*this, 0) == stage.representative(*than, 0);
        if stage.has_twins() && !pairs.is_empty() && pairs.iter().all(same) {
            let named: Vec<&str> = this.keys().map(|setting| setting.name()).collect();
            let message = format!(
                "this and than are the same network at every point: {} cannot matter there, and there is nothing to compare",
                named.join(" and ")
            );
            return Err(Problem::new(at("this"), message));
        }
        if pairs.is_empty() {
            let message = "no two points with these values have all other values in common; name the settings that \
                           differ as well";
            return Err(Problem::new(at("this"), message));
        }
        let mut points = pairs.iter().flat_map(|&(this, than)| [this, than]);
        if let Some(point) = points.find(|point| !stage.metrics(*point).contains(metric)) {
            let recorded: Vec<String> = stage.metrics(point).iter().map(Metric::to_string).collect();
            let message = format!(
                "{metric} is not recorded at point {point}, which has {}",
                recorded.join(", ")
            );
            let metric = find(table, "metric").map_or(&node.at, |entry| &entry.value.at);
            return Err(Problem::new(metric, message));
        }
        Ok(())
    }
}

/// What was read, or none with the problem noted.
fn note<T>(problems: &mut Vec<Problem>, read: Result<T, Problem>) -> Option<T> {
    read.map_err(|problem| problems.push(problem)).ok()
}

fn called(stage: &Stage) -> String {
    match stage.name() {
        "" => "this sweep".to_owned(),
        name => format!("stage {name}"),
    }
}

fn claim(node: &Node, table: &[Entry]) -> Result<String, Problem> {
    let entry = find(table, "claim")
        .ok_or_else(|| Problem::new(&node.at, "a hypothesis needs a claim: what it says, for people"))?;
    let text = entry.value.text()?;
    let plain = !text.trim().is_empty() && text.len() <= MAX_CLAIM && !text.chars().any(char::is_control);
    match plain {
        true => Ok(text.to_owned()),
        false => Err(entry.value.expected(&format!(
            "a claim of 1 to {MAX_CLAIM} bytes on one line, without control characters"
        ))),
    }
}

fn metric(table: &[Entry]) -> Result<Metric, Problem> {
    let Some(entry) = find(table, "metric") else {
        return Ok(Metric::TestError);
    };
    let parsed = entry.value.text()?.parse();
    parsed.map_err(|error: tenfold_types::curve::UnknownMetric| {
        Problem::new(&entry.value.at, error.to_string())
    })
}

fn epoch(table: &[Entry], stage: &Stage) -> Result<u32, Problem> {
    let last = stage.epochs();
    match find(table, "at").map(|entry| &entry.value) {
        None => Ok(last),
        Some(Node {
            tree: Tree::Text(text),
            ..
        }) if text == "last" => Ok(last),
        Some(Node {
            tree: Tree::Int(epoch),
            ..
        }) if (1..=i64::from(last)).contains(epoch) => Ok(*epoch as u32),
        Some(node) => Err(node.expected(&format!(
            "an epoch of {}, from 1 to {last}, or \"last\"",
            called(stage)
        ))),
    }
}

fn expected(node: &Node, table: &[Entry]) -> Result<Claim, Problem> {
    let given: Vec<&Entry> = table
        .iter()
        .filter(|entry| EXPECTATIONS.contains(&entry.key.as_str()))
        .collect();
    let (entry, others) = given.split_first().ok_or_else(|| {
        let message = "a hypothesis says what it expects: lower_by = 0, higher_by = 0 or within = MARGIN";
        Problem::new(&node.at, message)
    })?;
    if let Some(other) = others.first() {
        let message = format!("{} and {} are both here; keep one of them", entry.key, other.key);
        return Err(Problem::new(&other.at, message));
    }
    let margin = entry.value.number()?;
    match entry.key.as_str() {
        "within" if margin > 0.0 => Ok(Claim::Within(margin)),
        "within" => Err(entry.value.expected("a margin in the metric's unit, above 0")),
        _ if margin < 0.0 => Err(entry.value.expected("a margin in the metric's unit, at least 0")),
        // -0 is 0, and has one spelling.
        "lower_by" => Ok(Claim::Lower(margin + 0.0)),
        _ => Ok(Claim::Higher(margin + 0.0)),
    }
}

fn side(node: &Node, table: &[Entry], key: &str, stage: &Stage) -> Result<BTreeMap<Setting, Value>, Problem> {
    let entry = find(table, key).ok_or_else(|| {
        let message =
            format!("a hypothesis needs {key} = {{ SETTING = VALUE, … }}, a group that it compares");
        Problem::new(&node.at, message)
    })?;
    let mut side = BTreeMap::new();
    for named in entry.value.table("a table of settings with a value each")? {
        let setting: Setting = named.key.parse().map_err(|_| {
            let names: Vec<&str> = stage.axes().iter().map(|axis| axis.setting.name()).collect();
            unknown_key(named, &names)
        })?;
        let occurring = stage.values_of(setting);
        let architectures = occurring.iter().filter_map(|value| match value {
            Value::Text(name) => Some(name.clone()),
            _ => None,
        });
        let value = axis::value(setting, &named.value, &architectures.collect())?;
        if !occurring.contains(&value) {
            let shown: Vec<String> = occurring.iter().take(8).map(Value::to_string).collect();
            let more = if occurring.len() > shown.len() {
                ", …"
            } else {
                ""
            };
            let message = format!(
                "no point of {} has {setting} {value}; there is {}{more}",
                called(stage),
                shown.join(", ")
            );
            return Err(Problem::new(&named.value.at, message));
        }
        side.insert(setting, value);
    }
    if side.is_empty() {
        let message = format!("{key} names no setting; name one at least with its value");
        return Err(Problem::new(&entry.value.at, message));
    }
    Ok(side)
}
