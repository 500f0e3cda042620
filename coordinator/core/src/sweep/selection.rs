//! `zip`, `[[include]]` and `[[exclude]]`: what names axes and their values.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_types::{Setting, Value};

use super::axis::{self, Axis};
use super::definition::Reader;
use super::document::{Node, Tree};
use super::error::{Origin, Problem, quoted, suggestion};
use super::sample::Sample;

/// For some axes, by their places, the values meant.
pub(super) type Selection = BTreeMap<usize, Vec<Value>>;

impl Reader {
    /// Reads `zip`; axes that are sampled cannot be in it.
    pub(super) fn zip(&mut self, node: &Node, axes: &[Axis], sampled: &[usize]) -> Vec<Vec<usize>> {
        let mut zip: Vec<Vec<usize>> = Vec::new();
        for group in self.note(
            node.list("lists of axes, such as [[\"learning_rate\", \"batch_size\"]]")
                .map(<[Node]>::to_vec),
        ) {
            let places = group
                .list("axes, such as [\"learning_rate\", \"batch_size\"]")
                .and_then(|names| {
                    let mut places = Vec::new();
                    for name in names {
                        let place = self.place(axes, name.text()?, &name.at)?;
                        if sampled.contains(&place) {
                            return Err(Problem::new(
                                &name.at,
                                format!(
                                    "axis {} is sampled, together with all others that are, and cannot be zipped; give \
                                     its range points = n, or leave it out here",
                                    axes[place].setting
                                ),
                            ));
                        }
                        if places.contains(&place) || zip.iter().any(|group| group.contains(&place)) {
                            return Err(Problem::new(
                                &name.at,
                                format!("axis {} is zipped twice", axes[place].setting),
                            ));
                        }
                        places.push(place);
                    }
                    if places.len() < 2 {
                        return Err(Problem::new(&group.at, "two axes at least can be zipped"));
                    }
                    let lengths: Vec<usize> = places.iter().map(|&place| axes[place].values.len()).collect();
                    if lengths.iter().any(|&length| length != lengths[0]) {
                        let list: Vec<String> = places
                            .iter()
                            .map(|&place| format!("{} has {}", axes[place].setting, axes[place].values.len()))
                            .collect();
                        let message = format!(
                            "zipped axes have as many values as one another, but {}",
                            list.join(", ")
                        );
                        return Err(Problem::new(&group.at, message));
                    }
                    places.sort_unstable();
                    if let Some([first, second]) = repeated(axes, &places) {
                        let message = format!(
                            "zipped axes have {} as values {} and {}; name each combination once",
                            combination(axes, &places, first),
                            first + 1,
                            second + 1
                        );
                        return Err(Problem::new(&group.at, message));
                    }
                    Ok(places)
                });
            match places {
                Ok(places) => {
                    self.places.zip.push(group.at.clone());
                    zip.push(places);
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        zip.sort_unstable();
        zip
    }

    /// Notes it where axes that are sampled together, by their places, have the same values at two points.
    pub(super) fn differ(&mut self, sample: &Sample, axes: &[Axis], places: &[usize]) {
        if let Some([first, second]) = repeated(axes, places) {
            let message = format!(
                "points {} and {} of the sample would both have {}; take fewer points, or a wider range",
                first + 1,
                second + 1,
                combination(axes, places, first)
            );
            self.problems.push(Problem::new(&sample.at, message));
        }
    }

    pub(super) fn selections(
        &mut self,
        node: &Node,
        key: &str,
        axes: &[Axis],
        architectures: &BTreeSet<String>,
    ) -> Vec<Selection> {
        let mut selections = Vec::new();
        for node in self.note(node.list(&format!("tables: [[{key}]]")).map(<[Node]>::to_vec)) {
            match self.selection(&node, key, axes, architectures) {
                Ok(selection) => {
                    let places = if key == "include" {
                        &mut self.places.include
                    } else {
                        &mut self.places.exclude
                    };
                    places.push(node.at.clone());
                    selections.push(selection);
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        selections
    }

    fn selection(
        &self,
        node: &Node,
        key: &str,
        axes: &[Axis],
        architectures: &BTreeSet<String>,
    ) -> Result<Selection, Problem> {
        let mut selection = Selection::new();
        for entry in node.table(&format!("a table: [[{key}]] with values of axes"))? {
            let place = self.place(axes, &entry.key, &entry.at)?;
            let setting = axes[place].setting;
            let values = match &entry.value.tree {
                Tree::List(_) => axis::values(setting, &entry.value, architectures)?,
                _ => vec![axis::value(setting, &entry.value, architectures)?],
            };
            selection.insert(place, values);
        }
        if selection.is_empty() {
            return Err(Problem::new(
                &node.at,
                format!("[[{key}]] names no axis; give at least one with its value"),
            ));
        }
        Ok(selection)
    }

    fn place(&self, axes: &[Axis], name: &str, at: &Origin) -> Result<usize, Problem> {
        if let Some(setting) = self.rules.keys().find(|setting| setting.name() == name) {
            let message = format!(
                "{setting} takes its values from another stage: they are not known here, and cannot be zipped, included or \
                 excluded"
            );
            return Err(Problem::new(at, message));
        }
        place(axes, name).map_err(|message| {
            let fixed = name
                .parse::<Setting>()
                .ok()
                .and_then(|setting| self.places.settings.get(&setting));
            let message = match fixed {
                Some(Origin::Override(_)) => {
                    format!("{name} is no axis of this sweep any more: --set fixes it at one value")
                }
                Some(_) => format!("{name} is no axis of this sweep: it is fixed under [settings]"),
                None => message,
            };
            Problem::new(at, message)
        })
    }
}

/// Two positions at which these axes, all as long as one another, have the same values; the first such.
fn repeated(axes: &[Axis], places: &[usize]) -> Option<[usize; 2]> {
    let length = places.first().map_or(0, |&place| axes[place].values.len());
    let mut seen = BTreeMap::new();
    (0..length).find_map(|at| {
        let values: Vec<&Value> = places.iter().map(|&place| &axes[place].values[at]).collect();
        seen.insert(values, at).map(|earlier| [earlier, at])
    })
}

/// The values of these axes at a position, in words.
fn combination(axes: &[Axis], places: &[usize], at: usize) -> String {
    let values = places.iter().map(|&place| &axes[place]);
    let values: Vec<String> = values
        .map(|axis| format!("{} {}", axis.setting, axis.values[at]))
        .collect();
    values.join(", ")
}

/// The place of an axis by its name.
pub(super) fn place(axes: &[Axis], name: &str) -> Result<usize, String> {
    axes.iter()
        .position(|axis| axis.setting.name() == name)
        .ok_or_else(|| {
            let names: Vec<&str> = axes.iter().map(|axis| axis.setting.name()).collect();
            let near = suggestion(name, names.iter().copied());
            let list = if names.is_empty() {
                "there are none".to_owned()
            } else {
                format!("the axes are {}", names.join(", "))
            };
            format!("{} is no axis of this sweep; {list}{near}", quoted(name))
        })
}
