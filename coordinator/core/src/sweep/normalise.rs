//! The canonical text of a sweep: what its id is the hash of, and what the store keeps.
//!
//! JSON of a fixed shape. Left out: name and description (labels), settings at their defaults, architectures that
//! nothing uses. Spelled out: the values of every axis, and the layers of every network, named ones too, so that no
//! later version can mean another network by the same text.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tenfold_types::network::Architecture;
use tenfold_types::{Data, DeviceKind, Setting, Value};

use super::axis::{Axis, Written, check};
use super::definition::Definition;
use super::error::Origin;
use super::gate::{Gate, WrittenRung, WrittenUntil};
use super::hypothesis::{self, Hypothesis};
use super::rule;
use super::selection::{Selection, place};
use super::stage::Stage;

/// The version of the form.
const FORM: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Normalised {
    tenfold: u32,
    seed: u64,
    repetitions: u32,
    epochs: u32,
    device: Option<DeviceKind>,
    data: Data,
    settings: BTreeMap<String, Value>,
    axes: Vec<Written>,
    zip: Vec<Vec<String>>,
    include: Vec<BTreeMap<String, Vec<Value>>>,
    exclude: Vec<BTreeMap<String, Vec<Value>>>,
    architectures: Vec<Architecture>,
    /// True where `repetitions` are ones that no choice has seen; else absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confirm: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<WrittenUntil>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rung: Option<WrittenRung>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hypotheses: Vec<hypothesis::Written>,
}

/// The text of a sweep with stages.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Staged {
    tenfold: u32,
    stages: Vec<NamedStage>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hypotheses: Vec<hypothesis::Written>,
}

/// A stage as if it were a sweep by itself.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedStage {
    name: String,
    sweep: Normalised,
}

/// The text of a sweep of these stages. Hypotheses are in it where there are any.
pub(super) fn write(stages: &[Stage], hypotheses: &[Hypothesis]) -> String {
    let hypotheses = hypotheses.iter().map(hypothesis::Written::from).collect();
    let text = match stages {
        [stage] if stage.name().is_empty() => serde_json::to_string(&Normalised {
            hypotheses,
            ..normalised(stage)
        }),
        stages => serde_json::to_string(&Staged {
            tenfold: FORM,
            stages: stages
                .iter()
                .map(|stage| NamedStage {
                    name: stage.name().to_owned(),
                    sweep: normalised(stage),
                })
                .collect(),
            hypotheses,
        }),
    };
    // Plain data with string keys and finite numbers: there is nothing that JSON could refuse.
    text.unwrap_or_default()
}

/// The text of one stage, without its name.
pub(super) fn write_stage(stage: &Stage) -> String {
    serde_json::to_string(&normalised(stage)).unwrap_or_default()
}

/// The definition of one stage, as [`write_stage`] has written it.
pub(super) fn read_stage(name: &str, text: &str) -> Result<Definition, String> {
    definition(
        name,
        serde_json::from_str(text).map_err(|error| error.to_string())?,
    )
}

fn normalised(stage: &Stage) -> Normalised {
    let (definition, grid) = (stage.definition(), stage.grid());
    let name = |axis: &usize| definition.axes[*axis].setting.name().to_owned();
    let selections = |list: &[Selection]| -> Vec<BTreeMap<String, Vec<Value>>> {
        list.iter()
            .map(|s| {
                s.iter()
                    .map(|(axis, values)| (name(axis), values.clone()))
                    .collect()
            })
            .collect()
    };
    let mut used = grid.values_of(Setting::Architecture);
    used.extend(definition.settings.get(&Setting::Architecture).cloned());
    let mut architectures: Vec<Architecture> = used
        .iter()
        .filter_map(|value| match value {
            Value::Text(name) => Some(name),
            _ => None,
        })
        .filter_map(|name| {
            let defined = definition
                .architectures
                .iter()
                .find(|architecture| architecture.name == *name);
            defined.cloned().or_else(|| Architecture::named(name))
        })
        .collect();
    architectures.sort_by(|a, b| a.name.cmp(&b.name));
    let mut exclude = selections(&definition.exclude);
    // Neither the order of exclusions nor that of their values means anything.
    for values in exclude.iter_mut().flat_map(BTreeMap::values_mut) {
        values.sort_unstable();
        values.dedup();
    }
    exclude.sort_by_key(|selection| format!("{selection:?}"));
    exclude.dedup();
    Normalised {
        tenfold: FORM,
        seed: definition.seed,
        repetitions: definition.repetitions,
        epochs: definition.epochs,
        device: definition.device,
        data: definition.data,
        settings: definition
            .settings
            .iter()
            .map(|(s, value)| (s.name().to_owned(), value.clone()))
            .collect(),
        axes: definition
            .axes
            .iter()
            .map(|axis| {
                let taken = stage.rules().iter().find(|taken| taken.setting == axis.setting);
                Written {
                    setting: axis.setting.name().to_owned(),
                    values: taken.map_or_else(|| axis.values.clone(), |_| Vec::new()),
                    rule: taken.map(|taken| rule::Written::of(&taken.rule)),
                }
            })
            .collect(),
        zip: definition
            .zip
            .iter()
            .map(|group| group.iter().map(name).collect())
            .collect(),
        include: selections(&definition.include),
        exclude,
        architectures,
        confirm: definition.confirm.is_some().then_some(true),
        until: match stage.gate() {
            Some(Gate::Repetitions(until)) => Some(WrittenUntil::of(until)),
            _ => None,
        },
        rung: match stage.gate() {
            Some(Gate::Points(rung)) => Some(WrittenRung::of(rung)),
            _ => None,
        },
        hypotheses: Vec::new(),
    }
}

/// Stages with their names.
type Stages = Vec<(String, Definition)>;

/// The names and definitions of the stages, and the hypotheses.
pub(super) fn read(name: &str, text: &str) -> Result<(Stages, Vec<Hypothesis>), String> {
    let wrong = |error: serde_json::Error| error.to_string();
    let read = |written: Vec<hypothesis::Written>| {
        let written = written.into_iter();
        written
            .map(hypothesis::Written::read)
            .collect::<Result<_, String>>()
    };
    if !text.starts_with(&format!("{{\"tenfold\":{FORM},\"stages\":")) {
        let mut one: Normalised = serde_json::from_str(text).map_err(wrong)?;
        let hypotheses = read(std::mem::take(&mut one.hypotheses))?;
        return Ok((vec![(String::new(), definition(name, one)?)], hypotheses));
    }
    let staged: Staged = serde_json::from_str(text).map_err(wrong)?;
    let stages = staged.stages.into_iter();
    let stages = stages.map(|stage| Ok((stage.name, definition(name, stage.sweep)?)));
    Ok((stages.collect::<Result<_, String>>()?, read(staged.hypotheses)?))
}

fn definition(name: &str, read: Normalised) -> Result<Definition, String> {
    if read.tenfold != FORM {
        return Err(format!(
            "it is of form {}; this version reads form {FORM}",
            read.tenfold
        ));
    }
    let known: BTreeSet<String> = read.architectures.iter().map(|a| a.name.clone()).collect();
    let setting = |name: &str| name.parse::<Setting>().map_err(|error| error.to_string());
    let value = |setting, value: Value| check(setting, value, &known);
    let (mut axes, mut rules) = (Vec::new(), BTreeMap::new());
    for axis in read.axes {
        let setting = setting(&axis.setting)?;
        if let Some(rule) = axis.rule {
            let draft = rule.read()?;
            let values = (0..i64::from(draft.len())).map(Value::Int).collect();
            rules.insert(setting, draft);
            axes.push(Axis { setting, values });
            continue;
        }
        let values = axis
            .values
            .into_iter()
            .map(|v| value(setting, v))
            .collect::<Result<Vec<_>, _>>()?;
        axes.push(Axis { setting, values });
    }
    let selections = |list: Vec<BTreeMap<String, Vec<Value>>>| {
        let selection = |selection: BTreeMap<String, Vec<Value>>| {
            selection
                .into_iter()
                .map(|(name, values)| {
                    let axis = place(&axes, &name)?;
                    let values = values.into_iter().map(|v| value(axes[axis].setting, v));
                    Ok((axis, values.collect::<Result<Vec<_>, _>>()?))
                })
                .collect::<Result<Selection, String>>()
        };
        list.into_iter().map(selection).collect::<Result<Vec<_>, _>>()
    };
    let group = |names: Vec<String>| {
        names
            .iter()
            .map(|name| place(&axes, name))
            .collect::<Result<Vec<_>, _>>()
    };
    let (until, rung) = (read.until, read.rung);
    let until = until.map(|until| until.read(read.repetitions)).transpose()?;
    Ok(Definition {
        name: name.to_owned(),
        description: String::new(),
        seed: read.seed,
        repetitions: read.repetitions,
        confirm: read.confirm.unwrap_or_default().then_some(Origin::Whole),
        until: until.map(|until| (until, Origin::Whole)),
        epochs: read.epochs,
        stop: None,
        rung: rung
            .map(|rung| Ok::<_, String>((rung.read()?, Origin::Whole)))
            .transpose()?,
        device: read.device,
        data: read.data,
        settings: read
            .settings
            .into_iter()
            .map(|(name, v)| {
                let setting = setting(&name)?;
                Ok((setting, value(setting, v)?))
            })
            .collect::<Result<_, String>>()?,
        zip: read.zip.into_iter().map(group).collect::<Result<_, _>>()?,
        sample: None,
        include: selections(read.include)?,
        exclude: selections(read.exclude)?,
        axes,
        rules,
        architectures: read.architectures,
    })
}
