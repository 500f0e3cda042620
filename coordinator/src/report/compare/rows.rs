//! A comparison as a row of the table for terminals, and as JSON.

use serde_json::{Map, Value as Json, json};
use tenfold_core::compare::Difference;
use tenfold_types::{Setting, Value};

use super::super::document::differences::{probability, signed_rank};
use super::super::document::family;
use super::super::words;
use super::{Line, Row};

/// A row of the table for terminals, without the columns that not every table has.
pub(super) fn cells(row: &Row, line: &Line, scale: f64, corrected: bool) -> Vec<String> {
    let number = |value: f64| words::fixed(value * scale, 3);
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    let effect = |of: fn(&Difference) -> Option<f64>| {
        or_none(line.difference.as_ref().and_then(of).map(|d| format!("{d:.2}")))
    };
    let [this, than] = match &row.sides {
        Some([this, than]) => [words::terse(this), words::terse(than)],
        None => ["interaction".to_owned(), String::new()],
    };
    let mean = |mean: Option<f64>| match row.sides {
        Some(_) => or_none(mean.map(number)),
        None => String::new(),
    };
    let at = match row.stratum.as_slice() {
        [] => String::new(),
        stratum => words::terse(stratum),
    };
    let statistics = line.statistics();
    let interval = statistics.and_then(|of| of.ci95);
    let mut cells = vec![
        at,
        this,
        than,
        mean(line.means.map(|means| means.0)),
        mean(line.means.map(|means| means.1)),
        or_none(statistics.map(|of| number(of.mean))),
        or_none(interval.map(|(low, high)| format!("[{}, {}]", number(low), number(high)))),
        line.pairs(),
        probability(line.p()[0]),
        probability(line.holm[0]),
        signed_rank(line),
    ];
    cells.extend(corrected.then(|| probability(line.holm[1])));
    cells.extend([effect(|of| of.d_z), effect(|of| of.g_z)]);
    cells
}

/// A row as JSON, without what the whole family has in common.
pub(super) fn json(row: &Row, line: &Line) -> Json {
    let axes = |values: &[(Setting, Value)]| -> Json {
        let one = |(setting, value): &(Setting, Value)| (setting.name().to_owned(), json!(value));
        Json::Object(values.iter().map(one).collect::<Map<_, _>>())
    };
    let of = line.difference.as_ref();
    let interval = of.and_then(|of| of.statistics.ci95);
    let sides = row.sides.as_ref();
    let [t, wilcoxon] = line.p();
    json!({
        "kind": if sides.is_some() { "comparison" } else { "interaction" },
        "at": axes(&row.stratum),
        "this": sides.map(|sides| axes(&sides[0])),
        "than": sides.map(|sides| axes(&sides[1])),
        "difference_is": match line.is_interaction {
            true => family::INTERACTION,
            false => family::DIFFERENCE,
        },
        "this_mean": line.means.map(|means| means.0),
        "than_mean": line.means.map(|means| means.1),
        "n": line.n(),
        "planned": line.planned,
        "difference": of.map(|of| of.statistics.mean),
        "ci95_low": interval.map(|interval| interval.0),
        "ci95_high": interval.map(|interval| interval.1),
        "t": of.and_then(|of| of.t_test),
        "p_t": t,
        "t_holm": line.holm[0],
        "wilcoxon": of.and_then(|of| of.wilcoxon),
        "p_wilcoxon": wilcoxon,
        "wilcoxon_null": line.null(),
        "wilcoxon_holm": line.holm[1],
        "d_z": of.and_then(|of| of.d_z),
        "g_z": of.and_then(|of| of.g_z),
        "left_out": line.left_out(),
        "missing": words::missing(&line.missing),
        "missing_trials": {
            "diverged": line.missing.diverged,
            "failed": line.missing.failed,
            "cancelled": line.missing.cancelled,
            "unfinished": line.missing.open(),
        },
        "this_diverged": line.diverged.map(|of| of.this),
        "than_diverged": line.diverged.map(|of| of.than),
        "divergence_n": line.diverged.map(|of| of.n),
        "divergence_p": line.diverged.map(|of| of.p),
    })
}
