//! From the document to a definition: every key read, checked and given its default.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_types::network::Architecture;
use tenfold_types::{Data, DeviceKind, Setting, Target, Value};

use super::architecture::named;
use super::axis::{self, Axis};
use super::document::{Entry, Node, Tree, unknown_key};
use super::error::{Origin, Problem};
use super::gate::{RungDraft, Until};
use super::grid::{MAX_TRIALS, too_many};
use super::repetitions;
use super::rule;
use super::sample::{self, Sample};
use super::selection::Selection;
use super::stop::{self, Stop};

/// Bounds on what a file may ask for.
pub(super) const MAX_REPETITIONS: u64 = 10_000;
const MAX_EPOCHS: u64 = 1_000_000;
/// Pairs are drawn without replacement from MNIST's 60,000 training and 10,000 test images, two a pair.
const MAX_TRAIN: u64 = 30_000;
const MAX_TEST: u64 = 5_000;
const MAX_NAME: usize = 100;
/// What [`is_name`] wants, in words.
pub(super) const NAME_RULE: &str =
    "a name of 1 to 100 bytes without spaces at its ends or control characters";

const KEYS: &[&str] = &[
    "name",
    "description",
    "seed",
    "repetitions",
    "confirm",
    "epochs",
    "stop",
    "device",
    "data",
    "settings",
    "axes",
    "zip",
    "sample",
    "include",
    "exclude",
    "architecture",
    "stage",
    "hypothesis",
];

/// A sweep file, understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) seed: u64,
    /// The most of each point.
    pub(super) repetitions: u32,
    /// Where `confirm` stands, in the place of `repetitions`: these are ones that no choice has seen.
    pub(super) confirm: Option<Origin>,
    /// Where they are added by need: until when.
    pub(super) until: Option<(Until, Origin)>,
    pub(super) epochs: u32,
    /// The search that stops early, in a file: it becomes a stage for each rung.
    pub(super) stop: Option<Stop>,
    /// The rung that a stage of such a search goes on from.
    pub(super) rung: Option<(RungDraft, Origin)>,
    pub(super) device: Option<DeviceKind>,
    pub(super) data: Data,
    /// Settings that are no axis and not at their default.
    pub(super) settings: BTreeMap<Setting, Value>,
    pub(super) axes: Vec<Axis>,
    /// Axes whose values are taken from earlier stages; above, they have the places of these values.
    pub(super) rules: BTreeMap<Setting, rule::Draft>,
    /// Axes that go together, by their places in `axes`.
    pub(super) zip: Vec<Vec<usize>>,
    /// Axes whose values were sampled together, and how; a normalised text has nothing of it. More than one are zipped.
    pub(super) sample: Option<(Vec<usize>, Sample)>,
    pub(super) include: Vec<Selection>,
    pub(super) exclude: Vec<Selection>,
    /// The architectures that the file defines.
    pub(super) architectures: Vec<Architecture>,
}

/// Where the parts of a definition stand, for what is found out later.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The table `[axes]`.
    pub(super) grid: Origin,
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
        Setting::Head => Value::Text("as-is".to_owned()),
        Setting::Momentum | Setting::WeightDecay => Value::Float(0.0),
        Setting::Nesterov => Value::Bool(false),
        Setting::Schedule => Value::Text("constant".to_owned()),
        Setting::StepEpochs => Value::Int(50),
        Setting::StepFactor => Value::Float(0.1),
        Setting::WarmUp => Value::Int(0),
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
pub(super) struct Reader {
    pub(super) problems: Vec<Problem>,
    pub(super) places: Places,
    /// Axes whose values are taken from earlier stages.
    pub(super) rules: BTreeMap<Setting, rule::Draft>,
}

impl Reader {
    /// The value, or its default with the problem noted.
    pub(super) fn note<T: Default>(&mut self, read: Result<T, Problem>) -> T {
        self.note_or(read, T::default())
    }

    pub(super) fn note_or<T>(&mut self, read: Result<T, Problem>, default: T) -> T {
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
                Ok(setting) => out_of_place(entry, setting),
                Err(_) => unknown_key(entry, KEYS),
            });
        }
        let get = |key: &str| {
            document
                .iter()
                .find(|entry| entry.key == key)
                .map(|entry| &entry.value)
        };
        let epochs = get("epochs").map_or(100, |n| self.count(n, "the epochs", MAX_EPOCHS));
        let until = get("repetitions").and_then(|node| {
            let table = matches!(node.tree, Tree::Table(_)).then(|| repetitions::read(node, epochs))?;
            self.note(table.map(Some))
        });
        let stop = get("stop").and_then(|node| self.note(stop::read(node, epochs)));
        if let (Some(node), true, Some(_)) = (get("stop"), stop.is_some(), &until) {
            let message = "a search that stops early compares points that are run equally often; give repetitions as a number";
            self.problems.push(Problem::new(&node.at, message));
        }
        let confirm = get("confirm").map(|node| self.confirm(node, get("repetitions"), stop.as_ref()));
        let mut definition = Definition {
            name: get("name").map(|node| self.name(node)).unwrap_or_default(),
            description: get("description")
                .map(|n| self.description(n))
                .unwrap_or_default(),
            seed: get("seed").map_or(0, |n| self.note(n.count("the seed", 0, i64::MAX as u64))),
            confirm: get("confirm").map(|node| node.at.clone()),
            repetitions: match (get("repetitions"), &until) {
                _ if confirm.is_some() => confirm.unwrap_or_default(),
                (_, Some((until, _))) => until.max,
                (Some(node), None) if !matches!(node.tree, Tree::Table(_)) => {
                    self.count(node, "the repetitions", MAX_REPETITIONS)
                }
                _ => 10,
            },
            until,
            epochs,
            stop,
            rung: None,
            device: get("device").and_then(|node| self.device(node)),
            data: self.data(get("data")),
            settings: BTreeMap::new(),
            axes: Vec::new(),
            rules: BTreeMap::new(),
            zip: Vec::new(),
            sample: None,
            include: Vec::new(),
            exclude: Vec::new(),
            architectures: Vec::new(),
        };
        // Names count even where the rest of an architecture is wrong: that is said once, and not where it is used.
        let mut names = BTreeSet::new();
        if let Some(entry) = document.iter().find(|entry| entry.key == "architecture") {
            if matches!(entry.value.tree, Tree::Text(_)) {
                self.problems.push(out_of_place(entry, Setting::Architecture));
            } else {
                names = named(&entry.value);
                definition.architectures = self.architectures(&entry.value);
            }
        }
        if let Some(node) = get("settings") {
            definition.settings = self.settings(node, &names);
        }
        let sample = document.iter().find(|entry| entry.key == "sample");
        let sample = sample.map(|entry| self.sample(entry, definition.seed));
        let zipped = zipped(get("zip"));
        // The places of the axes that are sampled together.
        let mut sampled = Vec::new();
        if let Some(node) = get("axes") {
            self.places.grid = node.at.clone();
            // A grid that is far too large is refused before its values are spelled out.
            match size(node, &zipped, sample.as_ref()) {
                size if size.is_some_and(|size| size <= MAX_TRIALS) => {
                    let how = Values {
                        architectures: &names,
                        zipped: &zipped,
                        sample: sample.as_ref(),
                    };
                    (definition.axes, sampled) = self.axes(node, &how, &definition.settings);
                }
                size => {
                    let repetitions = u64::from(definition.repetitions);
                    let trials = size.and_then(|size| size.checked_mul(repetitions));
                    self.problems
                        .push(Problem::new(&self.places.grid, too_many(trials)));
                }
            }
        }
        if let Some(sample) = &sample
            && !matches!(get("axes").map(|node| &node.tree), Some(Tree::Table(axes)) if sample::has_sampled(axes))
        {
            self.problems.push(sample::nothing_to_sample(&sample.at));
        }
        let axes = definition.axes.as_slice();
        let names_one = |entry: &Entry| match &entry.value.tree {
            Tree::Table(table) => table.iter().any(|entry| entry.key == "architecture"),
            _ => entry.key == "architecture",
        };
        let named = document.iter().any(|entry| {
            matches!(entry.key.as_str(), "settings" | "axes" | "architecture") && names_one(entry)
        });
        if !named {
            let message = "no architecture is named; write architecture = \"perceptron-100\" under [settings], or \
                           architecture = [\"perceptron-100\", …] under [axes]";
            self.problems.push(Problem::new(&Origin::Whole, message));
        }
        if self.problems.is_empty() {
            if let Some(node) = get("zip") {
                definition.zip = self.zip(node, axes, &sampled);
            }
            if let Some(sample) = sample {
                self.differ(&sample, axes, &sampled);
                if sampled.len() > 1 {
                    definition.zip.push(sampled.clone());
                    definition.zip.sort_unstable();
                }
                definition.sample = Some((sampled, sample));
            }
            definition.include = get("include")
                .map(|n| self.selections(n, "include", axes, &names))
                .unwrap_or_default();
            definition.exclude = get("exclude")
                .map(|n| self.selections(n, "exclude", axes, &names))
                .unwrap_or_default();
        }
        definition.rules.clone_from(&self.rules);
        if let Some(at) = &definition.confirm
            && (definition.rules.is_empty() || definition.rules.values().any(rule::Draft::refines))
        {
            let message = match definition.rules.is_empty() {
                true => {
                    "confirm trains the values that a [[stage]] takes by best_of on repetitions that no choice has seen, and nothing \
                     is taken here; write repetitions = n"
                }
                false => {
                    "confirm trains values that are chosen, and refine asks for a choice among those around one; take the value \
                     by best_of from a stage that refines it"
                }
            };
            self.problems.push(Problem::new(at, message));
        }
        definition
            .settings
            .retain(|setting, value| default(*setting).as_ref() != Some(value));
        definition
    }

    fn name(&mut self, node: &Node) -> String {
        let name = node.text().and_then(|name| {
            if !is_name(name) {
                return Err(node.expected(&format!("{NAME_RULE}, such as \"figure1\"")));
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

    fn description(&mut self, node: &Node) -> String {
        let description = node.text().and_then(|text| {
            if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
                return Err(node.expected("a description without control characters"));
            }
            Ok(text.to_owned())
        });
        self.note(description)
    }

    fn count(&mut self, node: &Node, what: &str, most: u64) -> u32 {
        self.note_or(node.count(what, 1, most), 1) as u32
    }

    /// The repetitions of a stage that confirms what was chosen.
    fn confirm(&mut self, node: &Node, repetitions: Option<&Node>, stop: Option<&Stop>) -> u32 {
        if repetitions.is_some() {
            let message = "confirm = n stands in the place of repetitions; keep one of the two";
            self.problems.push(Problem::new(&node.at, message));
        }
        if stop.is_some() {
            let message = "confirm trains what was chosen to its end, and a search that stops early chooses once more; leave one of \
                           the two out (stop = \"none\" leaves out what stands above the stages)";
            self.problems.push(Problem::new(&node.at, message));
        }
        self.count(node, "the repetitions that confirm", MAX_REPETITIONS)
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
                _ => self.problems.push(
                    below_a_table(&entry)
                        .unwrap_or_else(|| unknown_key(&entry, &["train", "test", "target"])),
                ),
            }
        }
        data
    }

    fn setting(&mut self, entry: &Entry) -> Option<Setting> {
        let setting = entry.key.parse();
        if setting.is_err() {
            let names: Vec<&str> = Setting::ALL.iter().map(|setting| setting.name()).collect();
            let problem = match entry.key.as_str() {
                "train" | "test" | "target" => Some(Problem::new(
                    &entry.at,
                    format!(
                        "{} is the same for all trials of a sweep: it stands under [data]",
                        entry.key
                    ),
                )),
                _ => below_a_table(entry),
            };
            self.problems
                .push(problem.unwrap_or_else(|| unknown_key(entry, &names)));
        }
        setting.ok()
    }

    fn settings(&mut self, node: &Node, architectures: &BTreeSet<String>) -> BTreeMap<Setting, Value> {
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

    /// The axes, and the places of those that are sampled.
    fn axes(
        &mut self,
        node: &Node,
        how: &Values<'_>,
        fixed: &BTreeMap<Setting, Value>,
    ) -> (Vec<Axis>, Vec<usize>) {
        let (mut axes, mut sampled) = (Vec::new(), Vec::new());
        for entry in self.note(node.table("a table: [axes]").map(<[Entry]>::to_vec)) {
            let Some(setting) = self.setting(&entry) else {
                continue;
            };
            if fixed.contains_key(&setting) {
                let message =
                    format!("{setting} is an axis here and fixed under [settings]; keep one of the two");
                self.problems.push(Problem::new(&entry.at, message));
            }
            let values = match how.sample {
                _ if rule::is_rule(&entry.value) => rule::read(setting, &entry.value).map(|draft| {
                    let places = (0..i64::from(draft.len())).map(Value::Int).collect();
                    self.rules.insert(setting, draft);
                    places
                }),
                Some(sample) if sample::is_sampled(&entry.value) => {
                    sampled.push(axes.len());
                    sample.values(setting, &entry.value, sampled.len() - 1)
                }
                _ if how.zipped.iter().flatten().any(|name| *name == setting.name()) => {
                    axis::zipped_values(setting, &entry.value, how.architectures)
                }
                _ => axis::values(setting, &entry.value, how.architectures),
            };
            match values {
                Ok(values) => {
                    self.places.axes.push(entry.at.clone());
                    axes.push(Axis { setting, values });
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        (axes, sampled)
    }
}

/// What the values of axes depend on beside the axes.
struct Values<'a> {
    /// The names of those that the file defines.
    architectures: &'a BTreeSet<String>,
    zipped: &'a [Vec<&'a str>],
    sample: Option<&'a Sample>,
}

pub(super) fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.trim() == name && !name.chars().any(char::is_control)
}

fn out_of_place(entry: &Entry, setting: Setting) -> Problem {
    Problem::new(
        &entry.at,
        format!("{setting} is a setting: put it under [settings], or under [axes] to vary it"),
    )
}

/// In TOML a key below a `[table]` belongs to the table, also where an empty line or a comment comes between.
fn below_a_table(entry: &Entry) -> Option<Problem> {
    let top = [
        "name",
        "description",
        "seed",
        "repetitions",
        "confirm",
        "epochs",
        "stop",
        "device",
        "zip",
    ];
    top.contains(&entry.key.as_str()).then(|| {
        Problem::new(
            &entry.at,
            format!(
                "{} stands at the top of the file, above the first [table]",
                entry.key
            ),
        )
    })
}

/// The names of axes that go together, as far as they can be read.
fn zipped(zip: Option<&Node>) -> Vec<Vec<&str>> {
    match zip.map(|zip| &zip.tree) {
        Some(Tree::List(groups)) => groups
            .iter()
            .filter_map(|group| group.list("").ok())
            .map(|group| group.iter().filter_map(|name| name.text().ok()).collect())
            .collect(),
        _ => Vec::new(),
    }
}

/// How many points the axes make, by the lengths that the document gives them; none beyond 64 bits. Zipped axes count
/// once, as do sampled ones; whether they fit one another, and all else, is checked later.
fn size(axes: &Node, zipped: &[Vec<&str>], sample: Option<&Sample>) -> Option<u64> {
    let Tree::Table(axes) = &axes.tree else {
        return Some(1);
    };
    let length = |entry: &Entry| match &entry.value.tree {
        Tree::List(list) => list.len() as u64,
        Tree::Table(range) => match range.iter().find(|e| e.key == "points").map(|e| &e.value.tree) {
            Some(Tree::Int(points)) => u64::try_from(*points).unwrap_or(1),
            _ => 1,
        },
        _ => 1,
    };
    let leads = |key: &str| {
        zipped
            .iter()
            .all(|group| !group.contains(&key) || group[0] == key)
    };
    let together = sample
        .filter(|_| sample::has_sampled(axes))
        .map_or(1, Sample::points);
    axes.iter()
        .filter(|entry| leads(&entry.key))
        .try_fold(together, |size, entry| size.checked_mul(length(entry).max(1)))
}
