//! Choices between stages.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Map, Value};
use tenfold_core::rounding::significant;
use tenfold_proto::v1;

use crate::report::JSON_VERSION;

/// A choice as JSON.
#[derive(Serialize)]
pub(super) struct ChoiceLine<'a> {
    v: u32,
    kind: &'static str,
    stage: u32,
    stage_name: &'a str,
    setting: &'a str,
    /// What the points that it is made for have in common.
    per: Map<String, Value>,
    source: &'a str,
    metric: &'a str,
    epoch: u32,
    criterion: &'a str,
    candidates: Vec<CandidateLine>,
    values: Vec<Value>,
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct CandidateLine {
    value: Value,
    n: u32,
    missing: u32,
    mean: Option<f64>,
    standard_error: Option<f64>,
}

impl<'a> ChoiceLine<'a> {
    pub(super) fn of(choice: &'a v1::Choice) -> Self {
        let per = |of: &v1::Assignment| (of.setting.clone(), json(of.value.as_ref()));
        let candidate = |candidate: &v1::Candidate| CandidateLine {
            value: json(candidate.value.as_ref()),
            n: candidate.n,
            missing: candidate.missing,
            mean: (candidate.n > 0).then(|| significant(candidate.mean)),
            standard_error: candidate.standard_error.map(significant),
        };
        Self {
            v: JSON_VERSION,
            kind: "choice",
            stage: choice.stage,
            stage_name: &choice.stage_name,
            setting: &choice.setting,
            per: choice.per.iter().map(per).collect(),
            source: &choice.source,
            metric: &choice.metric,
            epoch: choice.epoch,
            criterion: &choice.criterion,
            candidates: choice.candidates.iter().map(candidate).collect(),
            values: choice.values.iter().map(|value| json(Some(value))).collect(),
            reason: choice.reason.as_deref(),
        }
    }
}

fn json(value: Option<&v1::Value>) -> Value {
    use v1::value::Kind;
    match value.and_then(|value| value.kind.as_ref()) {
        Some(Kind::Boolean(value)) => Value::from(*value),
        Some(Kind::Integer(value)) => Value::from(*value),
        Some(Kind::Number(value)) => Value::from(*value),
        Some(Kind::Text(value)) => Value::from(value.as_str()),
        None => Value::Null,
    }
}

/// As sweep files have it.
fn text(value: Option<&v1::Value>) -> String {
    let value = value.cloned().map(tenfold_types::Value::try_from);
    match value {
        Some(Ok(value)) => value.to_string(),
        Some(Err(_)) | None => String::new(),
    }
}

/// A choice for people, in a line:
/// `chosen for modes: learning_rate 0.001 where architecture perceptron-100 (min-mean of test_error at epoch 50 of coarse)`.
pub fn choice_text(choice: &v1::Choice) -> String {
    let per: Vec<String> = choice
        .per
        .iter()
        .map(|of| format!("{} {}", of.setting, text(of.value.as_ref())))
        .collect();
    let cell = match per.is_empty() {
        true => String::new(),
        false => format!(" where {}", per.join(", ")),
    };
    if let Some(reason) = &choice.reason {
        return format!(
            "nothing chosen for {}: no {}{cell}: {reason}",
            choice.stage_name, choice.setting
        );
    }
    let values: Vec<String> = choice.values.iter().map(|value| text(Some(value))).collect();
    format!(
        "chosen for {}: {} {}{cell} ({} of {} at epoch {} of {})",
        choice.stage_name,
        choice.setting,
        values.join(", "),
        choice.criterion,
        choice.metric,
        choice.epoch,
        choice.source
    )
}

/// A choice for people, with the numbers that it was made from.
pub fn choice_table(choice: &v1::Choice) -> String {
    let mut out = format!("  {}\n", choice_text(choice));
    for candidate in &choice.candidates {
        let spread = candidate.standard_error.map_or_else(String::new, |error| {
            format!(" ± {} (standard error)", significant(error))
        });
        let mean = match candidate.n {
            0 => "no trial has succeeded".to_owned(),
            n => format!("{}{spread}, n = {n}", significant(candidate.mean)),
        };
        let missing = match candidate.missing {
            0 => String::new(),
            missing => format!(", {missing} diverged or failed"),
        };
        // Writing to a string cannot fail.
        _ = writeln!(out, "    {:<12} {mean}{missing}", text(candidate.value.as_ref()));
    }
    out
}
