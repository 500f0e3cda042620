//! From the document to a definition: every key read, checked and given its default.

use std::collections::BTreeMap;

use tenfold_types::network::{Architecture, Layer};
use tenfold_types::{Data, DeviceKind, Setting, Target, Value};

use super::axis::{self, Axis};
use super::document::{Entry, Node, Tree, unknown_key};
use super::error::{Origin, Problem, suggestion};

/// Bounds on what a file may ask for.
const MAX_REPETITIONS: u64 = 10_000;
const MAX_EPOCHS: u64 = 1_000_000;
/// Pairs are drawn without replacement from MNIST's 60,000 training and 10,000 test images, two a pair.
const MAX_TRAIN: u64 = 30_000;
const MAX_TEST: u64 = 5_000;
const MAX_NAME: usize = 100;

const KEYS: &[&str] = &[
    "name",
    "description",
    "seed",
    "repetitions",
    "epochs",
    "device",
    "data",
    "settings",
    "axes",
    "zip",
    "include",
    "exclude",
    "architecture",
];

/// A sweep file, understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) seed: u64,
    pub(super) repetitions: u32,
    pub(super) epochs: u32,
    pub(super) device: Option<DeviceKind>,
    pub(super) data: Data,
    /// Settings that are no axis and not at their default.
    pub(super) settings: BTreeMap<Setting, Value>,
    pub(super) axes: Vec<Axis>,
    /// Axes that go together, by their places in `axes`.
    pub(super) zip: Vec<Vec<usize>>,
    pub(super) include: Vec<Selection>,
    pub(super) exclude: Vec<Selection>,
    /// The architectures that the file defines.
    pub(super) architectures: Vec<Architecture>,
}

/// For some axes, by their places, the values meant.
pub(super) type Selection = BTreeMap<usize, Vec<Value>>;

/// Where the parts of a definition stand, for what is found out later.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) axes: Vec<Origin>,
    pub(super) zip: Vec<Origin>,
    pub(super) include: Vec<Origin>,
    pub(super) exclude: Vec<Origin>,
    pub(super) architectures: BTreeMap<String, Origin>,
    pub(super) settings: BTreeMap<Setting, Origin>,
}

/// The value of a setting that a file does not name. The network has none: it must be named.
pub(super) fn default(setting: Setting) -> Option<Value> {
    Some(match setting {
        Setting::Architecture => return None,
        Setting::WeightSharing | Setting::AuxiliaryLoss => Value::Bool(false),
        Setting::AuxWeight => Value::Float(1.0),
        Setting::Join => Value::Text("softmax".to_owned()),
        // The rate that the 2019 report found.
        Setting::LearningRate => Value::Float(1e-3),
        Setting::BatchSize => Value::Int(100),
        Setting::Optimizer => Value::Text("adam".to_owned()),
        Setting::Loss => Value::Text("cross-entropy".to_owned()),
        Setting::Dropout => Value::Float(0.5),
    })
}

/// Reads the whole document; all problems are found that can be found at once.
pub(super) fn read(document: &[Entry]) -> Result<(Definition, Places), Vec<Problem>> {
    let mut reader = Reader::default();
    let definition = reader.read(document);
    if reader.problems.is_empty() {
        Ok((definition, reader.places))
    } else {
        Err(reader.problems)
    }
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
    places: Places,
}

impl Reader {
    /// The value, or its default with the problem noted.
    fn note<T: Default>(&mut self, read: Result<T, Problem>) -> T {
        self.note_or(read, T::default())
    }

    fn note_or<T>(&mut self, read: Result<T, Problem>, default: T) -> T {
        read.unwrap_or_else(|problem| {
            self.problems.push(problem);
            default
        })
    }

    fn read(&mut self, document: &[Entry]) -> Definition {
        for entry in document
            .iter()
            .filter(|entry| !KEYS.contains(&entry.key.as_str()))
        {
            // A setting at the top is a setting out of place, not a misspelt key.
            self.problems.push(match entry.key.parse::<Setting>() {
                Ok(setting) => Problem::new(
                    &entry.at,
                    format!("{setting} is a setting: put it under [settings], or under [axes] to vary it"),
                ),
                Err(_) => unknown_key(entry, KEYS),
            });
        }
        let get = |key: &str| {
            document
                .iter()
                .find(|entry| entry.key == key)
                .map(|entry| &entry.value)
        };
        let mut definition = Definition {
            name: get("name").map(|node| self.name(node)).unwrap_or_default(),
            description: get("description")
                .map(|n| self.note(n.text().map(str::to_owned)))
                .unwrap_or_default(),
            seed: get("seed").map_or(0, |n| self.note(n.count("the seed", 0, i64::MAX as u64))),
            repetitions: get("repetitions").map_or(10, |n| self.count(n, "the repetitions", MAX_REPETITIONS)),
            epochs: get("epochs").map_or(100, |n| self.count(n, "the epochs", MAX_EPOCHS)),
            device: get("device").and_then(|node| self.device(node)),
            data: self.data(get("data")),
            settings: BTreeMap::new(),
            axes: Vec::new(),
            zip: Vec::new(),
            include: Vec::new(),
            exclude: Vec::new(),
            architectures: get("architecture")
                .map(|node| self.architectures(node))
                .unwrap_or_default(),
        };
        let names: Vec<String> = definition.architectures.iter().map(|a| a.name.clone()).collect();
        if let Some(node) = get("settings") {
            definition.settings = self.settings(node, &names);
        }
        if let Some(node) = get("axes") {
            definition.axes = self.axes(node, &names, &definition.settings);
        }
        let axes = definition.axes.as_slice();
        let named = definition.settings.contains_key(&Setting::Architecture)
            || get("axes").is_some_and(
                |n| matches!(&n.tree, Tree::Table(t) if t.iter().any(|e| e.key == "architecture")),
            );
        if !named {
            let message = "no architecture is named; write architecture = \"perceptron-100\" under [settings], or \
                           architecture = [\"perceptron-100\", …] under [axes]";
            self.problems.push(Problem::new(&Origin::Whole, message));
        }
        if self.problems.is_empty() {
            if let Some(node) = get("zip") {
                definition.zip = self.zip(node, axes);
            }
            definition.include = get("include")
                .map(|n| self.selections(n, "include", axes, &names))
                .unwrap_or_default();
            definition.exclude = get("exclude")
                .map(|n| self.selections(n, "exclude", axes, &names))
                .unwrap_or_default();
        }
        definition
            .settings
            .retain(|setting, value| default(*setting).as_ref() != Some(value));
        definition
    }

    fn name(&mut self, node: &Node) -> String {
        let name = node.text().and_then(|name| {
            let fits = !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control);
            if !fits {
                return Err(node.expected(&format!(
                    "a name of 1 to {MAX_NAME} bytes without control characters"
                )));
            }
            if name == "last" || name.contains('/') {
                return Err(Problem::new(
                    &node.at,
                    format!("a sweep cannot be named {name:?}: `last` and `/` have a meaning in selectors"),
                ));
            }
            Ok(name.to_owned())
        });
        self.note(name)
    }

    fn count(&mut self, node: &Node, what: &str, most: u64) -> u32 {
        self.note_or(node.count(what, 1, most), 1) as u32
    }

    fn device(&mut self, node: &Node) -> Option<DeviceKind> {
        let device = node.text().and_then(|text| match text {
            "any" => Ok(None),
            "cpu" => Ok(Some(DeviceKind::Cpu)),
            "cuda" => Ok(Some(DeviceKind::Cuda)),
            _ => Err(node.expected("the kind of device that the sweep requires: any, cpu or cuda")),
        });
        self.note(device)
    }

    fn data(&mut self, node: Option<&Node>) -> Data {
        let mut data = Data {
            train: 1000,
            test: 1000,
            target: Target::Less,
        };
        let Some(node) = node else { return data };
        let table = node
            .table("a table: [data] with train, test, target")
            .map(<[Entry]>::to_vec);
        for entry in self.note(table) {
            match entry.key.as_str() {
                "train" => data.train = self.count(&entry.value, "pairs to train on", MAX_TRAIN),
                "test" => data.test = self.count(&entry.value, "pairs to test on", MAX_TEST),
                "target" => {
                    let target = entry.value.text().and_then(|text| {
                        text.parse()
                            .map_err(|error: tenfold_types::trial::UnknownChoice| {
                                Problem::new(&entry.value.at, error.to_string())
                            })
                    });
                    data.target = self.note_or(target, Target::Less);
                }
                _ => self
                    .problems
                    .push(unknown_key(&entry, &["train", "test", "target"])),
            }
        }
        data
    }

    fn setting(&mut self, entry: &Entry) -> Option<Setting> {
        let setting = entry.key.parse();
        if setting.is_err() {
            let names: Vec<&str> = Setting::ALL.iter().map(|setting| setting.name()).collect();
            self.problems.push(match entry.key.as_str() {
                "repetitions" | "seed" | "epochs" | "device" | "train" | "test" | "target" => Problem::new(
                    &entry.at,
                    format!(
                        "{} cannot vary within a sweep: it stands at the top of the file or under [data]",
                        entry.key
                    ),
                ),
                _ => unknown_key(entry, &names),
            });
        }
        setting.ok()
    }

    fn settings(&mut self, node: &Node, architectures: &[String]) -> BTreeMap<Setting, Value> {
        let mut settings = BTreeMap::new();
        for entry in self.note(node.table("a table: [settings]").map(<[Entry]>::to_vec)) {
            let Some(setting) = self.setting(&entry) else {
                continue;
            };
            if matches!(entry.value.tree, Tree::List(_) | Tree::Table(_)) {
                let message = format!("{setting} has several values here; put it under [axes] to vary it");
                self.problems.push(Problem::new(&entry.value.at, message));
                continue;
            }
            match axis::value(setting, &entry.value, architectures) {
                Ok(value) => {
                    self.places.settings.insert(setting, entry.at.clone());
                    settings.insert(setting, value);
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        settings
    }

    fn axes(&mut self, node: &Node, architectures: &[String], fixed: &BTreeMap<Setting, Value>) -> Vec<Axis> {
        let mut axes = Vec::new();
        for entry in self.note(node.table("a table: [axes]").map(<[Entry]>::to_vec)) {
            let Some(setting) = self.setting(&entry) else {
                continue;
            };
            if fixed.contains_key(&setting) {
                let message =
                    format!("{setting} is an axis here and fixed under [settings]; keep one of the two");
                self.problems.push(Problem::new(&entry.at, message));
            }
            match axis::values(setting, &entry.value, architectures) {
                Ok(values) => {
                    self.places.axes.push(entry.at.clone());
                    axes.push(Axis { setting, values });
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        axes
    }

    fn architectures(&mut self, node: &Node) -> Vec<Architecture> {
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

    fn zip(&mut self, node: &Node, axes: &[Axis]) -> Vec<Vec<usize>> {
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
                        let place =
                            place(axes, name.text()?).map_err(|message| Problem::new(&name.at, message))?;
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

    fn selections(
        &mut self,
        node: &Node,
        key: &str,
        axes: &[Axis],
        architectures: &[String],
    ) -> Vec<Selection> {
        let mut selections = Vec::new();
        for node in self.note(node.list(&format!("tables: [[{key}]]")).map(<[Node]>::to_vec)) {
            match selection(&node, key, axes, architectures) {
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
}

fn selection(node: &Node, key: &str, axes: &[Axis], architectures: &[String]) -> Result<Selection, Problem> {
    let mut selection = Selection::new();
    for entry in node.table(&format!("a table: [[{key}]] with values of axes"))? {
        let place = place(axes, &entry.key).map_err(|message| Problem::new(&entry.at, message))?;
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
            format!("{name:?} is no axis of this sweep; {list}{near}")
        })
}

fn architecture(node: &Node) -> Result<(Architecture, Origin), Problem> {
    let (mut name, mut sub_networks, mut layers) = (None, 2, None);
    for entry in node.table("a table: [[architecture]] with name and layers")? {
        match entry.key.as_str() {
            "name" => name = Some((entry.value.text()?.to_owned(), entry.value.at.clone())),
            "sub_networks" => sub_networks = entry.value.count("the number of sub-networks", 1, 1000)? as u32,
            "layers" => {
                let list = entry
                    .value
                    .list("layers, such as { linear = { units = 100 } } and \"relu\"")?;
                layers = Some(list.iter().map(layer).collect::<Result<Vec<_>, _>>()?);
            }
            _ => return Err(unknown_key(entry, &["name", "sub_networks", "layers"])),
        }
    }
    let (name, at) = name.ok_or_else(|| Problem::new(&node.at, "the architecture has no name"))?;
    if name.is_empty() || name.len() > MAX_NAME || name.contains([',', '\n']) {
        return Err(Problem::new(
            &at,
            format!("expected a name of 1 to {MAX_NAME} bytes without commas, found {name:?}"),
        ));
    }
    let layers = layers.ok_or_else(|| Problem::new(&at, format!("architecture {name:?} has no layers")))?;
    Ok((
        Architecture {
            name,
            sub_networks,
            layers,
        },
        at,
    ))
}

fn layer(node: &Node) -> Result<Layer, Problem> {
    Layer::deserialize(node.json()).map_err(|error| Problem::new(&node.at, error.to_string()))
}
