//! `[[stage]]`: what stands at the top is common to all stages, and each has its own on top of it. So each is read like a
//! sweep without stages, from a document of its own.

use super::definition::{self, Places, is_name};
use super::document::{Entry, Node, Tree, unknown_key};
use super::error::{Origin, Problem, quoted};
use super::grid::Grid;
use super::rule::Stages;
use super::stage::Stage;
use super::{grid_problem, sample, together};

/// The most stages.
pub(super) const MAX_STAGES: usize = 32;
/// Keys of a stage.
const KEYS: &[&str] = &[
    "name",
    "enabled",
    "repetitions",
    "confirm",
    "epochs",
    "stop",
    "settings",
    "axes",
    "zip",
    "sample",
    "include",
    "exclude",
];
/// Keys that stand in a stage, and not above, where there are stages.
const OF_POINTS: &[&str] = &["zip", "include", "exclude"];
/// Where settings stand.
const TABLES: [&str; 2] = ["settings", "axes"];
/// What `--set` means already.
const TAKEN: [&str; 3] = ["settings", "data", "sample"];
const NAME_RULE: &str = "a name of letters, digits, - and _, such as \"coarse\"";

/// A stage's document.
pub(super) struct Part {
    name: String,
    at: Origin,
    document: Vec<Entry>,
}

/// A document for each stage that is enabled; the whole one where there are none.
pub(super) fn parts(document: &[Entry]) -> Result<Vec<Part>, Vec<Problem>> {
    let Some(stages) = document.iter().find(|entry| entry.key == "stage") else {
        return Ok(vec![Part {
            name: String::new(),
            at: Origin::Whole,
            document: document.to_vec(),
        }]);
    };
    let tables = stages
        .value
        .list("tables: [[stage]]")
        .map_err(|problem| vec![problem])?;
    if tables.len() > MAX_STAGES {
        let message = format!(
            "there are {} stages; at most {MAX_STAGES} are possible",
            tables.len()
        );
        return Err(vec![Problem::new(&stages.at, message)]);
    }
    let mut problems: Vec<Problem> = document
        .iter()
        .filter(|entry| OF_POINTS.contains(&entry.key.as_str()))
        .map(|entry| {
            let message = format!(
                "{0} stands in a [[stage]] here, as its points do: [[stage.{0}]]",
                entry.key
            );
            Problem::new(&entry.at, message)
        })
        .collect();
    problems.extend(document.iter().filter(|entry| entry.key == "confirm").map(|entry| {
        let message = match is_override(&entry.at) {
            true => "confirm belongs to one stage; write NAME.confirm=N with the name of a stage that takes values by best_of",
            false => "confirm belongs to one stage: put it into a [[stage]] that takes values by best_of",
        };
        Problem::new(&entry.at, message)
    }));
    let sampled = |table: &Node| match &table.tree {
        Tree::Table(own) => sample::has_sampled(table_of(own, "axes")),
        _ => false,
    };
    if let Some(entry) = document.iter().find(|entry| entry.key == "sample")
        && !sample::has_sampled(table_of(document, "axes"))
        && !tables.iter().any(sampled)
    {
        problems.push(sample::nothing_to_sample(&entry.at));
    }
    let (mut parts, mut names) = (Vec::new(), Vec::new());
    for table in tables {
        match part(document, table, &mut names) {
            Ok(part) => parts.extend(part),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() && parts.is_empty() {
        let message = "no stage is enabled; enable one with --set NAME.enabled=true";
        problems.push(Problem::new(&stages.at, message));
    }
    match problems.is_empty() {
        true => Ok(parts),
        false => Err(problems),
    }
}

/// The names of all stages, those that are not enabled too, as far as they can be read.
pub(super) fn names(document: &[Entry]) -> Vec<String> {
    let stages = document.iter().find(|entry| entry.key == "stage");
    let tables = stages
        .and_then(|stages| stages.value.list("").ok())
        .unwrap_or_default();
    let name = |table: &Node| {
        let own = table.table("").ok()?;
        let name = own.iter().find(|entry| entry.key == "name")?;
        name.value.text().ok().map(str::to_owned)
    };
    tables.iter().filter_map(name).collect()
}

/// The document of a stage; none when it is not enabled.
fn part(document: &[Entry], table: &Node, names: &mut Vec<String>) -> Result<Option<Part>, Vec<Problem>> {
    let own = table
        .table("a table: [[stage]]")
        .map_err(|problem| vec![problem])?;
    let unknown = own.iter().filter(|entry| !KEYS.contains(&entry.key.as_str()));
    let mut problems: Vec<Problem> = unknown.map(|entry| unknown_key(entry, KEYS)).collect();
    let name = match name(table, own, names) {
        Ok(name) => name,
        Err(problem) => {
            problems.push(problem);
            return Err(problems);
        }
    };
    names.push(name.clone());
    let enabled = match own
        .iter()
        .find(|entry| entry.key == "enabled")
        .map(|entry| &entry.value)
    {
        None => true,
        Some(Node {
            tree: Tree::Bool(enabled),
            ..
        }) => *enabled,
        Some(node) => {
            problems.push(node.expected("whether the stage is run: true or false"));
            true
        }
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    let part = Part {
        name,
        at: table.at.clone(),
        document: overlaid(document, own),
    };
    Ok(enabled.then_some(part))
}

fn name(table: &Node, own: &[Entry], names: &[String]) -> Result<String, Problem> {
    let node = own
        .iter()
        .find(|entry| entry.key == "name")
        .map(|entry| &entry.value);
    let node = node.ok_or_else(|| Problem::new(&table.at, format!("a stage needs a name: {NAME_RULE}")))?;
    let name = node.text()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !is_name(name) || !name.chars().all(plain) {
        return Err(node.expected(NAME_RULE));
    }
    if TAKEN.contains(&name) {
        let message = format!(
            "a stage cannot be called {}: --set {name}.KEY means the table",
            quoted(name)
        );
        return Err(Problem::new(&node.at, message));
    }
    if names.iter().any(|other| other == name) {
        return Err(Problem::new(
            &node.at,
            format!("another stage is called {} already", quoted(name)),
        ));
    }
    Ok(name.to_owned())
}

/// What is common to all stages with what is a stage's own on top of it; but an override that is common to all displaces what
/// a stage has in the file.
fn overlaid(common: &[Entry], own: &[Entry]) -> Vec<Entry> {
    let mut document: Vec<Entry> = common
        .iter()
        .filter(|entry| entry.key != "stage")
        .cloned()
        .collect();
    for entry in own
        .iter()
        .filter(|entry| !matches!(entry.key.as_str(), "name" | "enabled"))
    {
        put(&mut document, entry);
    }
    // A setting is fixed or an axis: what a stage makes of it displaces what it was above, whichever that was.
    for table in TABLES {
        let (above, mine) = (table_of(common, table), table_of(own, table));
        let displaced = |entry: &Entry| {
            let mut others = settings(own).filter(|own| own.key == entry.key);
            others.any(|own| !yields(own, entry)) && !mine.iter().any(|own| own.key == entry.key)
        };
        let mut entries: Vec<Entry> = above.iter().filter(|entry| !displaced(entry)).cloned().collect();
        for entry in mine {
            let mut above = settings(common).filter(|above| above.key == entry.key);
            if !above.any(|above| yields(entry, above)) {
                put(&mut entries, entry);
            }
        }
        if let Some(Entry { value, .. }) = document.iter_mut().find(|entry| entry.key == table)
            && let Tree::Table(of_document) = &mut value.tree
        {
            *of_document = entries;
        }
    }
    sample_of(&mut document, common, own);
    confirm_of(&mut document, own);
    document
}

/// Repetitions that confirm stand in the place of those that all stages have in common; but an override of these says how many.
fn confirm_of(document: &mut Vec<Entry>, own: &[Entry]) {
    let has = |key: &str| own.iter().any(|entry| entry.key == key);
    if !has("confirm") || has("repetitions") {
        return;
    }
    let common = document.iter().position(|entry| entry.key == "repetitions");
    let Some(common) = common.map(|at| document.remove(at)) else {
        return;
    };
    if let Some(confirm) = document.iter_mut().find(|entry| entry.key == "confirm")
        && yields(confirm, &common)
    {
        confirm.at = common.at;
        confirm.value = common.value;
    }
}

/// How a stage samples: as all do, but for what it says itself. What is common to all concerns no stage that samples nothing.
fn sample_of(document: &mut Vec<Entry>, common: &[Entry], own: &[Entry]) {
    let is_own = own.iter().any(|entry| entry.key == "sample");
    if !is_own && !sample::has_sampled(table_of(document, "axes")) {
        document.retain(|entry| entry.key != "sample");
    }
    let mut entries = table_of(common, "sample").to_vec();
    for entry in table_of(own, "sample") {
        put(&mut entries, entry);
    }
    if let Some(entry) = document.iter_mut().find(|entry| entry.key == "sample")
        && let Tree::Table(table) = &mut entry.value.tree
    {
        *table = entries;
    }
}

/// All settings of a table, fixed or varied.
fn settings(table: &[Entry]) -> impl Iterator<Item = &Entry> {
    TABLES.iter().flat_map(|name| table_of(table, name))
}

/// Whether what a stage has yields to what is common to all.
fn yields(own: &Entry, common: &Entry) -> bool {
    is_override(&common.at) && !is_override(&own.at)
}

/// The entries of a table; none where it is not there, or no table.
fn table_of<'a>(document: &'a [Entry], key: &str) -> &'a [Entry] {
    match document
        .iter()
        .find(|entry| entry.key == key)
        .map(|entry| &entry.value.tree)
    {
        Some(Tree::Table(entries)) => entries,
        _ => &[],
    }
}

fn is_override(at: &Origin) -> bool {
    matches!(at, Origin::Override(_) | Origin::Repetitions)
}

/// In the place of what has the same key, unless it yields to that.
fn put(entries: &mut Vec<Entry>, entry: &Entry) {
    match entries.iter_mut().find(|other| other.key == entry.key) {
        Some(other) if yields(entry, other) => {}
        Some(other) => *other = entry.clone(),
        None => entries.push(entry.clone()),
    }
}

impl Part {
    /// The stage, checked, with what it takes from those before it; one for each rung where its search stops early. Where one of
    /// those before is wrong, whether it fits them is not known, and nothing is said of that.
    pub(super) fn read(
        self,
        earlier: &[Stage],
        all: &[String],
        known: bool,
    ) -> Result<Vec<Stage>, Vec<Problem>> {
        // What concerns the whole concerns this stage.
        let at = |mut problem: Problem| {
            if matches!(problem.at, Origin::Whole) {
                problem.at = self.at.clone();
            }
            problem
        };
        let here = |problems: Vec<Problem>| problems.into_iter().map(at).collect::<Vec<_>>();
        let (mut definition, places): (_, Places) = definition::read(&self.document).map_err(here)?;
        let grid = Grid::new(&definition).map_err(|error| here(vec![grid_problem(&error, &places)]))?;
        if !known && !definition.rules.is_empty() {
            return Err(Vec::new());
        }
        let rungs = match definition.stop.take() {
            None => vec![(self.name.clone(), definition)],
            Some(stop) => stop
                .rungs(&self.name, &definition, all)
                .map_err(|problem| here(vec![problem]))?,
        };
        let (mut before, mut problems) = (earlier.to_vec(), Vec::new());
        for (name, definition) in rungs {
            let stages = Stages {
                earlier: &before,
                all,
                this: &name,
            };
            let stage = Stage::new(name.clone(), definition, grid.clone(), stages)
                .map_err(|problem| here(vec![problem]))?;
            problems = together::check(&stage, &places);
            if name != self.name {
                let rung =
                    |problem: &mut Problem| problem.message += &format!(" (of rung {})", quoted(&name));
                problems.iter_mut().for_each(rung);
            }
            if !problems.is_empty() {
                break;
            }
            before.push(stage);
        }
        match problems.is_empty() {
            true => Ok(before.split_off(earlier.len())),
            false => Err(here(problems)),
        }
    }
}
