//! `[[architecture]]`: the networks that a file defines.

use std::collections::BTreeSet;

use tenfold_types::network::{Architecture, Layer};

use super::definition::{NAME_RULE, Reader, is_name};
use super::document::{Node, Tree, unknown_key};
use super::error::{Origin, Problem, quoted};

/// The names that architectures have.
pub(super) fn named(node: &Node) -> BTreeSet<String> {
    let Tree::List(list) = &node.tree else {
        return BTreeSet::new();
    };
    let entries = list.iter().filter_map(|node| match &node.tree {
        Tree::Table(entries) => entries.iter().find(|entry| entry.key == "name"),
        _ => None,
    });
    entries
        .filter_map(|entry| entry.value.text().ok().map(str::to_owned))
        .collect()
}

impl Reader {
    pub(super) fn architectures(&mut self, node: &Node) -> Vec<Architecture> {
        let mut architectures: Vec<Architecture> = Vec::new();
        let list = node
            .list("tables: [[architecture]] with name and layers")
            .map(<[Node]>::to_vec);
        for node in self.note(list) {
            match architecture(&node) {
                Ok((architecture, at)) => {
                    let name = architecture.name.clone();
                    if architectures.iter().any(|other| other.name == name) {
                        self.problems.push(Problem::new(
                            &at,
                            format!("there are two architectures named {name:?}; rename one"),
                        ));
                    } else if Architecture::named(&name).is_some() {
                        let message =
                            format!("{name:?} is the name of a network that is always there; choose another");
                        self.problems.push(Problem::new(&at, message));
                    }
                    self.places.architectures.insert(name, at);
                    architectures.push(architecture);
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        architectures
    }
}

fn architecture(node: &Node) -> Result<(Architecture, Origin), Problem> {
    let (mut name, mut sub_networks, mut stacks) = (None, None, None);
    for entry in node.table("a table: [[architecture]] with name and layers")? {
        match entry.key.as_str() {
            "name" => name = Some((entry.value.text()?.to_owned(), entry.value.at.clone())),
            "sub_networks" => {
                let count = entry.value.count("the number of sub-networks", 1, 1000)?;
                sub_networks = Some((count as u32, entry.value.at.clone()));
            }
            "layers" => stacks = Some(self::stacks(&entry.value)?),
            _ => return Err(unknown_key(entry, &["name", "sub_networks", "layers"])),
        }
    }
    let (name, at) = name.ok_or_else(|| Problem::new(&node.at, "the architecture has no name"))?;
    if !is_name(&name) || name.contains(',') {
        return Err(Problem::new(
            &at,
            format!("expected {NAME_RULE} or commas, found {}", quoted(&name)),
        ));
    }
    let mut stacks =
        stacks.ok_or_else(|| Problem::new(&at, format!("architecture {name:?} has no layers")))?;
    let lists = stacks.len() as u32;
    let count = match sub_networks {
        None if lists > 1 => lists,
        None => 2,
        Some((count, at)) if lists > 1 && count != lists => {
            let message = format!(
                "{count} sub-networks, but {lists} lists of layers; give one list for all, one for each, or leave \
                 sub_networks out"
            );
            return Err(Problem::new(&at, message));
        }
        Some((count, _)) => count,
    };
    // Lists that are the same say what one would, and a sweep has one spelling.
    if stacks.iter().all(|stack| *stack == stacks[0]) {
        stacks.truncate(1);
    }
    Ok((
        Architecture {
            name,
            sub_networks: count,
            stacks,
        },
        at,
    ))
}

/// The layers of all sub-networks, or a list of layers for each.
fn stacks(node: &Node) -> Result<Vec<Vec<Layer>>, Problem> {
    let what =
        "layers, such as { linear = { units = 100 } } and \"relu\", or a list of them for each sub-network";
    let list = node.list(what)?;
    let stack = |list: &[Node]| list.iter().map(layer).collect::<Result<Vec<_>, _>>();
    let is_list = |node: &Node| matches!(node.tree, Tree::List(_));
    if list.is_empty() || !list.iter().all(is_list) {
        return Ok(vec![stack(list)?]);
    }
    list.iter().map(|node| stack(node.list(what)?)).collect()
}

fn layer(node: &Node) -> Result<Layer, Problem> {
    if let Some(odd) = node.beyond_json() {
        return Err(odd.expected("a finite number, a whole number of 64 bits, a text, true or false"));
    }
    // Not `Layer::deserialize`, which is what serde derives for frames: the trait reads layers as files write them.
    serde_json::from_value(node.json()).map_err(|error| Problem::new(&node.at, error.to_string()))
}
