//! The reference that all other values are compared with: `--against` of `tenfold compare`.

use tenfold_core::sweep::Stage;
use tenfold_types::{Metric, Setting, Value};

use super::compare::strata;

/// The most values that an error names.
const NAMED: usize = 12;

/// Reads a reference, one value for each of the axes that are compared: `AXIS=VALUE`, or a bare value where there is one axis. Gives
/// the values in the order in which points have them.
///
/// # Errors
/// What is wrong with it, with the values that there are.
pub fn reference(
    stage: &Stage,
    by: &[Setting],
    metric: Metric,
    given: &[String],
) -> Result<Vec<(Setting, Value)>, String> {
    let names: Vec<&str> = by.iter().map(|setting| setting.name()).collect();
    let names = names.join(", ");
    let mut texts: Vec<(Setting, &str)> = Vec::new();
    for text in given {
        let (setting, value) = match (text.split_once('='), by) {
            (Some((name, value)), _) => {
                let setting = by.iter().find(|setting| setting.name() == name.trim());
                let setting = setting.ok_or_else(|| {
                    format!("--against {text}: {name:?} is none of the axes that are compared: {names}")
                })?;
                (*setting, value.trim())
            }
            (None, &[setting]) => (setting, text.trim()),
            (None, _) => {
                return Err(format!(
                    "--against {text}: of which axis? several are compared, so say AXIS=VALUE for each of them: {names}"
                ));
            }
        };
        if texts.iter().any(|(of, _)| *of == setting) {
            return Err(format!(
                "--against gives {} twice; there is one reference",
                setting.name()
            ));
        }
        texts.push((setting, value));
    }
    let (strata, _) = strata(stage, by, metric);
    let points = || strata.iter().flat_map(|(_, points)| points);
    let mut wanted = Vec::new();
    for &setting in by {
        let (_, text) = texts.iter().find(|(of, _)| *of == setting).ok_or_else(|| {
            format!(
                "--against needs a value for each of the axes that are compared; {} has none",
                setting.name()
            )
        })?;
        let of_setting = points()
            .flat_map(|(_, values)| values)
            .filter(|(of, _)| *of == setting);
        let mut there: Vec<&Value> = of_setting.map(|(_, value)| value).collect();
        there.sort();
        there.dedup();
        let found = there.iter().find(|value| is_written(value, text));
        let found = found.ok_or_else(|| {
            format!(
                "--against {text}: no point has that {}; there are {}",
                setting.name(),
                listed(&there)
            )
        })?;
        wanted.push((setting, (*found).clone()));
    }
    let is_wanted = |values: &&Vec<(Setting, Value)>| wanted.iter().all(|value| values.contains(value));
    let found = points().map(|(_, values)| values).find(is_wanted);
    found.cloned().ok_or_else(|| {
        let wanted: Vec<String> = wanted
            .iter()
            .map(|(setting, value)| format!("{setting}={value}"))
            .collect();
        format!(
            "--against {}: no point has these values together",
            wanted.join(",")
        )
    })
}

/// Whether a value is written so, in a file or in a table.
fn is_written(value: &Value, text: &str) -> bool {
    match value {
        Value::Bool(true) => matches!(text, "true" | "on"),
        Value::Bool(false) => matches!(text, "false" | "off"),
        Value::Float(number) => text.parse::<f64>().is_ok_and(|text| text == *number),
        Value::Int(number) => text.parse::<i64>().is_ok_and(|text| text == *number),
        Value::Text(name) => name == text,
    }
}

fn listed(values: &[&Value]) -> String {
    let mut names: Vec<String> = values.iter().take(NAMED).map(|value| value.to_string()).collect();
    if values.len() > NAMED {
        names.push(format!("… ({} values)", values.len()));
    }
    names.join(", ")
}
