//! `--set KEY=VALUE`: changes to the document before it is read.

use tenfold_types::Setting;

use super::document::{self, Entry, Node, Tree};
use super::error::{Origin, Problem, quoted, suggestion};
use super::sample;
use super::stop;

/// Keys at the top that take one value.
const TOP: &[&str] = &[
    "name",
    "description",
    "seed",
    "repetitions",
    "confirm",
    "epochs",
    "device",
];
/// Keys of a stage that take one value.
const STAGE: &[&str] = &["enabled", "repetitions", "confirm", "epochs"];
/// Keys of a stage of which one stands in the place of the other.
const REPETITIONS: [&str; 2] = ["repetitions", "confirm"];
/// Keys under `[data]`.
const DATA: &[&str] = &["train", "test", "target"];

/// Applies one override: to the whole sweep, or to one stage as `NAME.KEY=VALUE`. A setting with one value is fixed, with
/// several an axis.
pub(super) fn apply(document: &mut Vec<Entry>, number: usize, text: &str) -> Result<(), Problem> {
    if let Some((stage, rest)) = text.split_once('.')
        && let common = document.iter().find(|entry| entry.key == "stop").cloned()
        && let Some(own) = stage_called(document, stage.trim())
    {
        // A key of a search is one of that which the stage has, also where all have it in common.
        if rest.trim_start().starts_with("stop.")
            && let Some(common) = common
            && !own.iter().any(|entry| entry.key == "stop")
        {
            own.push(common);
        }
        return apply_to(own, number, rest, true);
    }
    // What all stages have in common is theirs where they say nothing of it; a search is a table of each.
    let mut searches = searches(document).peekable();
    if text.starts_with("stop.") && searches.peek().is_some() {
        return searches.try_for_each(|own| apply_to(own, number, text, true));
    }
    drop(searches);
    apply_to(document, number, text, false)
}

/// The tables of the stages that have a search of their own.
fn searches(document: &mut [Entry]) -> impl Iterator<Item = &mut Vec<Entry>> {
    let stages = document.iter_mut().find(|entry| entry.key == "stage");
    let stages = stages.map(|entry| match &mut entry.value.tree {
        Tree::List(stages) => stages.as_mut_slice(),
        _ => &mut [],
    });
    let tables = stages
        .unwrap_or_default()
        .iter_mut()
        .filter_map(|stage| match &mut stage.tree {
            Tree::Table(own) => Some(own),
            _ => None,
        });
    tables.filter(|own| own.iter().any(|entry| entry.key == "stop"))
}

/// The table of a stage.
fn stage_called<'a>(document: &'a mut [Entry], name: &str) -> Option<&'a mut Vec<Entry>> {
    let stages = document.iter_mut().find(|entry| entry.key == "stage")?;
    let Tree::List(stages) = &mut stages.value.tree else {
        return None;
    };
    stages.iter_mut().find_map(|stage| match &mut stage.tree {
        Tree::Table(own) => own
            .iter()
            .any(|entry| entry.key == "name" && matches!(&entry.value.tree, Tree::Text(text) if text == name))
            .then_some(own),
        _ => None,
    })
}

fn apply_to(document: &mut Vec<Entry>, number: usize, text: &str, of_stage: bool) -> Result<(), Problem> {
    let at = Origin::Override(number);
    let refused = |message: String| Problem::new(&at, message);
    let (key, value) = text
        .split_once('=')
        .map(|(key, value)| (key.trim(), value.trim()))
        .ok_or_else(|| refused("write KEY=VALUE, such as learning_rate=0.01".to_owned()))?;
    if value.is_empty() {
        return Err(refused(format!(
            "{key} has no value; write KEY=VALUE, such as learning_rate=0.01"
        )));
    }
    // Words with commas, and names that look like numbers, are texts here.
    let label = matches!(key, "name" | "description") && !value.starts_with(['"', '\'']);
    let value = if label {
        Node {
            tree: Tree::Text(value.to_owned()),
            at: at.clone(),
        }
    } else {
        read(value, &at)?
    };
    let bare = key
        .strip_prefix("data.")
        .or_else(|| key.strip_prefix("settings."))
        .unwrap_or(key);
    if (if of_stage { STAGE } else { TOP }).contains(&key) {
        if of_stage && REPETITIONS.contains(&key) {
            document.retain(|entry| entry.key == key || !REPETITIONS.contains(&entry.key.as_str()));
        }
        set(document, key, value);
    } else if !of_stage && DATA.contains(&bare) && !key.starts_with("settings.") {
        set(table(document, "data", &at)?, bare, value);
    } else if let Some(key) = key
        .strip_prefix("sample.")
        .filter(|key| sample::KEYS.contains(key))
    {
        set(table(document, "sample", &at)?, key, value);
    } else if let Some(key) = key.strip_prefix("stop.").filter(|key| stop::KEYS.contains(key)) {
        let value = match (key, &value.tree) {
            // One of a list needs no brackets.
            ("per" | "at", tree) if !matches!(tree, Tree::List(_)) => Node {
                at: at.clone(),
                tree: Tree::List(vec![value]),
            },
            _ => value,
        };
        let table = table(document, "stop", &at)?;
        if let ("rule", Tree::Text(rule)) = (key, &value.tree)
            && let Some(keys) = stop::keys(rule)
        {
            // What belongs to another rule goes with it.
            table.retain(|entry| keys.contains(&entry.key.as_str()));
        }
        set(table, key, value);
    } else if let Ok(setting) = bare.parse::<Setting>() {
        let several = matches!(value.tree, Tree::List(_) | Tree::Table(_));
        let (into, from) = if several {
            ("axes", "settings")
        } else {
            ("settings", "axes")
        };
        table(document, from, &at)?.retain(|entry| entry.key != setting.name());
        set(table(document, into, &at)?, setting.name(), value);
    } else {
        let (top, data) = if of_stage { (STAGE, &[][..]) } else { (TOP, DATA) };
        let names = top
            .iter()
            .chain(data)
            .chain(&["sample.method", "sample.points", "sample.seed"])
            .chain(&["stop.rule", "stop.from", "stop.factor", "stop.at", "stop.startup"])
            .chain(&["stop.patience", "stop.tolerance", "stop.metric", "stop.per"])
            .copied()
            .chain(Setting::ALL.iter().map(|setting| setting.name()));
        let near = suggestion(key, names);
        return Err(refused(format!(
            "{} cannot be set{near}{}",
            quoted(key),
            match (near.is_empty(), of_stage) {
                (false, _) => "",
                (true, true) =>
                    "; settings, repetitions, confirm, epochs, sample, stop and enabled of a stage can",
                (true, false) => "; settings, data sizes, sample, stop, seed, epochs, device and name can",
            }
        )));
    }
    Ok(())
}

/// Sets `repetitions` from its own flag.
pub(super) fn repetitions(document: &mut Vec<Entry>, repetitions: u32) {
    let node = Node {
        tree: Tree::Int(i64::from(repetitions)),
        at: Origin::Repetitions,
    };
    set(document, "repetitions", node);
}

/// In place, so that an axis keeps its place among the axes; at the end when it is new.
fn set(table: &mut Vec<Entry>, key: &str, value: Node) {
    match table.iter_mut().find(|entry| entry.key == key) {
        Some(entry) => {
            entry.at = value.at.clone();
            entry.value = value;
        }
        None => table.push(Entry {
            key: key.to_owned(),
            at: value.at.clone(),
            value,
        }),
    }
}

fn table<'a>(document: &'a mut Vec<Entry>, key: &str, at: &Origin) -> Result<&'a mut Vec<Entry>, Problem> {
    if !document.iter().any(|entry| entry.key == key) {
        set(
            document,
            key,
            Node {
                tree: Tree::Table(Vec::new()),
                at: at.clone(),
            },
        );
    }
    match document.iter_mut().find(|entry| entry.key == key) {
        Some(Entry {
            value: Node {
                tree: Tree::Table(table),
                ..
            },
            ..
        }) => Ok(table),
        Some(entry) => Err(entry.value.expected(&format!("a table: [{key}]"))),
        None => Err(Problem::new(at, format!("there is no table [{key}]"))),
    }
}

/// `log(a,b,n)`, `linear(a,b,n)`, the same without `n`, a list with commas, or one value.
fn read(text: &str, at: &Origin) -> Result<Node, Problem> {
    for scale in ["log", "linear"] {
        if let Some(inner) = text
            .strip_prefix(scale)
            .and_then(|rest| rest.trim().strip_prefix('('))
        {
            let parts: Vec<&str> = inner
                .strip_suffix(')')
                .map(|inner| inner.split(',').collect())
                .unwrap_or_default();
            let (from, to, points) = match parts.as_slice() {
                [from, to, points] => (from, to, Some(points)),
                [from, to] => (from, to, None),
                _ => {
                    return Err(Problem::new(
                        at,
                        format!(
                            "write {scale}(FROM,TO,POINTS), such as {scale}(0.001,0.1,3), or {scale}(FROM,TO) for an axis \
                             that is sampled"
                        ),
                    ));
                }
            };
            let ends = Tree::List(vec![scalar(from, at), scalar(to, at)]);
            let entry = |key: &str, value| Entry {
                key: key.to_owned(),
                at: at.clone(),
                value,
            };
            let ends = Node {
                tree: ends,
                at: at.clone(),
            };
            let points = points.map(|points| entry("points", scalar(points, at)));
            return Ok(Node {
                tree: Tree::Table([entry(scale, ends)].into_iter().chain(points).collect()),
                at: at.clone(),
            });
        }
    }
    if let Some((function, _)) = text.split_once('(')
        && !function.is_empty()
        && function.chars().all(|c| c.is_ascii_alphanumeric())
    {
        let near = suggestion(function, ["log", "linear"]);
        return Err(Problem::new(
            at,
            format!(
                "{} is no range; write log(FROM,TO,POINTS) or linear(FROM,TO,POINTS){near}",
                quoted(function)
            ),
        ));
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return list(inner.trim().trim_end_matches(','), at);
    }
    if text.contains(',') {
        return list(text, at);
    }
    Ok(scalar(text, at))
}

fn list(text: &str, at: &Origin) -> Result<Node, Problem> {
    let parts = text.split(',').map(str::trim);
    if text.trim().is_empty() {
        return Err(Problem::new(at, "the list is empty; give at least one value"));
    }
    if parts.clone().any(str::is_empty) {
        return Err(Problem::new(
            at,
            "a value of the list is empty; write VALUE,VALUE without a comma too many",
        ));
    }
    Ok(Node {
        tree: Tree::List(parts.map(|part| scalar(part, at)).collect()),
        at: at.clone(),
    })
}

/// As TOML has it where it is TOML; any other word is a text, so that shells need no quotes within quotes.
fn scalar(text: &str, at: &Origin) -> Node {
    let text = text.trim();
    let parsed = document::parse(&format!("v = {text}")).ok();
    let tree = match parsed.as_deref() {
        Some([entry]) if !matches!(entry.value.tree, Tree::List(_) | Tree::Table(_)) => {
            entry.value.tree.clone()
        }
        _ => Tree::Text(text.to_owned()),
    };
    Node { tree, at: at.clone() }
}
