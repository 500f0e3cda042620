//! Repetitions that are added by need: `repetitions = { min = 5, max = 30, until = { ci95_half_width = 0.005 } }`.

use tenfold_types::Metric;

use super::definition::MAX_REPETITIONS;
use super::document::{Entry, Node, unknown_key};
use super::error::{Origin, Problem};
use super::gate::Until;
use super::rule;

const KEYS: &[&str] = &["min", "max", "step", "until"];
const UNTIL: &[&str] = &["ci95_half_width", "metric", "at"];
const FORM: &str = "a number of repetitions, or { min = 5, max = 30, until = { ci95_half_width = 0.005 } }";

/// Reads the table.
pub(super) fn read(node: &Node, epochs: u32) -> Result<(Until, Origin), Problem> {
    let entries = node.table(FORM)?;
    if let Some(unknown) = entries.iter().find(|entry| !KEYS.contains(&entry.key.as_str())) {
        return Err(unknown_key(unknown, KEYS));
    }
    let get = |key: &str| entries.iter().find(|entry| entry.key == key);
    let need = |key: &str| {
        get(key).ok_or_else(|| Problem::new(&node.at, format!("{key} is missing; expected {FORM}")))
    };
    // An interval needs two.
    let min = need("min")?
        .value
        .count("the fewest repetitions", 2, MAX_REPETITIONS)?;
    let most = need("max")?;
    let max = most.value.count("the most repetitions", 2, MAX_REPETITIONS)?;
    if max <= min {
        let message =
            format!("max is {max} and min is {min}; max is more, or else write repetitions = {min}");
        return Err(Problem::new(&most.value.at, message));
    }
    let step = get("step").map(|entry| {
        entry
            .value
            .count("repetitions that are added at once", 1, MAX_REPETITIONS)
    });
    let until = &need("until")?.value;
    let inner = until.table("until = { ci95_half_width = 0.005 }")?;
    if let Some(unknown) = inner.iter().find(|entry| !UNTIL.contains(&entry.key.as_str())) {
        return Err(unknown_key(unknown, UNTIL));
    }
    let get = |key: &str| inner.iter().find(|entry: &&Entry| entry.key == key);
    let width = get("ci95_half_width").ok_or_else(|| {
        let message =
            "ci95_half_width is missing: half the width of the interval that is narrow enough, such as 0.005";
        Problem::new(&until.at, message)
    })?;
    let half_width = width.value.number()?;
    if half_width <= 0.0 {
        return Err(width.value.expected("half a width above 0, such as 0.005"));
    }
    let metric = rule::metric(get("metric"))?.map_or(Metric::TestError, |(metric, _)| metric);
    let epoch = get("at").map(|entry| Ok((rule::epoch(&entry.value)?, &entry.value)));
    let epoch = match epoch.transpose()? {
        Some((Some((epoch, _)), value)) if epoch > epochs => {
            return Err(Problem::new(
                &value.at,
                format!("there are {epochs} epochs, and no epoch {epoch}"),
            ));
        }
        Some((Some((epoch, _)), _)) => epoch,
        _ => epochs,
    };
    let until = Until {
        min: min as u32,
        max: max as u32,
        step: step.transpose()?.unwrap_or(1) as u32,
        half_width,
        metric,
        epoch,
    };
    Ok((until, node.at.clone()))
}
