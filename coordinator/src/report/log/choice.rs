//! Choices between stages, and decisions about points and repetitions.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use serde_json::{Map, Value};
use tenfold_core::rounding::significant;
use tenfold_proto::v1;
use tenfold_proto::v1::choice::Kind;
use tenfold_types::printable;

use crate::report::JSON_VERSION;

/// A choice as JSON.
#[derive(Serialize)]
pub(super) struct ChoiceLine<'a> {
    v: u32,
    kind: &'static str,
    stage: u32,
    stage_name: &'a str,
    /// `values`, `points` or `repetitions`.
    decides: &'static str,
    /// The point, where it is decided about one.
    point: Option<u64>,
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
    /// The number of the rules by which it was made.
    rules: u32,
    /// What was as good and came behind in the order that decided.
    ties: Vec<Value>,
    /// `order of the axis` or `order of the points`; none without ties.
    ties_decided_by: Option<&'static str>,
    /// The significant digits by which ties are equal; 0 where they are exactly.
    tie_digits: u32,
}

#[derive(Serialize)]
struct CandidateLine {
    value: Value,
    n: u32,
    missing: u32,
    mean: Option<f64>,
    standard_error: Option<f64>,
    trials: u32,
    points_left_out: u32,
    repetitions_left_out: u32,
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
            trials: candidate.trials.unwrap_or(candidate.n),
            points_left_out: candidate.points_left_out,
            repetitions_left_out: candidate.repetitions_left_out,
        };
        Self {
            v: JSON_VERSION,
            kind: "choice",
            stage: choice.stage,
            stage_name: &choice.stage_name,
            decides: decides(choice.kind()),
            point: choice.point,
            setting: &choice.setting,
            per: choice.per.iter().map(per).collect(),
            source: &choice.source,
            metric: &choice.metric,
            epoch: choice.epoch,
            criterion: &choice.criterion,
            candidates: choice.candidates.iter().map(candidate).collect(),
            values: choice.values.iter().map(|value| json(Some(value))).collect(),
            reason: choice.reason.as_deref(),
            rules: choice.rules,
            ties: choice.ties.iter().map(|value| json(Some(value))).collect(),
            ties_decided_by: (!choice.ties.is_empty()).then(|| order(choice)),
            tie_digits: choice.tie_digits,
        }
    }
}

/// The order that decides between equal means.
fn order(choice: &v1::Choice) -> &'static str {
    match choice.kind() {
        Kind::Axis => "order of the axis",
        Kind::Points | Kind::Repetitions => "order of the points",
    }
}

/// `; 0.01 is exactly as good, and comes later in the order of the axis`: a tie, and how it was decided.
fn tie(choice: &v1::Choice) -> String {
    let ties: Vec<String> = choice.ties.iter().map(|value| text(Some(value))).collect();
    let (named, more) = ties.split_at(ties.len().min(LISTED));
    let more = match more.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let point = match (choice.kind(), ties.len()) {
        (Kind::Axis, _) => "",
        (_, 1) => "point ",
        _ => "points ",
    };
    let (is, comes) = match ties.len() {
        0 => return String::new(),
        1 => ("is", "comes"),
        _ => ("are", "come"),
    };
    let exactly = match choice.tie_digits {
        0 => "exactly as good".to_owned(),
        digits => format!("as good to {digits} digits"),
    };
    format!(
        "; {point}{}{more} {is} {exactly}, and {comes} later in the {}",
        named.join(", "),
        order(choice)
    )
}

/// What is chosen or decided, in a word.
pub fn decides(kind: Kind) -> &'static str {
    match kind {
        Kind::Axis => "values",
        Kind::Points => "points",
        Kind::Repetitions => "repetitions",
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
        Some(Ok(value)) => printable::line(&value.to_string()).into_owned(),
        Some(Err(_)) | None => String::new(),
    }
}

/// A choice for people, in a line:
/// `chosen for modes: learning_rate 0.001 where architecture perceptron-100 (min-mean of test_error at epoch 50 of coarse)`.
pub fn choice_text(choice: &v1::Choice) -> String {
    let values: Vec<String> = choice.values.iter().map(|value| text(Some(value))).collect();
    let made = match choice.kind() {
        Kind::Axis if choice.reason.is_some() => format!("nothing chosen for {}: no ", choice.stage_name),
        Kind::Axis => format!("chosen for {}: ", choice.stage_name),
        Kind::Points | Kind::Repetitions => String::new(),
    };
    let what = match (choice.kind(), choice.point) {
        (Kind::Axis, _) => format!("{} {}", choice.setting, values.join(", "))
            .trim_end()
            .to_owned(),
        (Kind::Points, Some(point)) if values.is_empty() => {
            let none = match nothing(choice) {
                true => ", as no repetition of it has succeeded,",
                false => "",
            };
            format!("point {point} stops{none} before {}", choice.stage_name)
        }
        (Kind::Points, Some(point)) => format!("point {point} goes on to {}", choice.stage_name),
        (Kind::Points, None) => {
            let all = choice.candidates.len();
            let of = if all > 0 {
                format!(" of {all}")
            } else {
                String::new()
            };
            let listed = match values.as_slice() {
                [] if nothing(choice) => ", as no repetition of any has succeeded".to_owned(),
                [] => String::new(),
                [one] => format!(" (point {one})"),
                few if few.len() <= LISTED => format!(" (points {})", few.join(", ")),
                many => format!(" (points {}, …)", many[..LISTED].join(", ")),
            };
            // Points that are the same network as one that was compared go on with it.
            let goes_on = |of: &&v1::Candidate| {
                of.value
                    .as_ref()
                    .is_some_and(|value| choice.values.contains(value))
            };
            let compared = choice.candidates.iter().filter(goes_on);
            let on = if all > 0 { compared.count() } else { values.len() };
            let with_them = match values.len() - on.min(values.len()) {
                0 => String::new(),
                1 => ", and 1 that is the same network as one of them".to_owned(),
                more => format!(", and {more} that are the same networks as some of them"),
            };
            let go = if on == 1 { "goes" } else { "go" };
            let points = if all == 1 { "point" } else { "points" };
            format!(
                "{on}{of} {points} {go} on to {}{with_them}{listed}",
                choice.stage_name
            )
        }
        (Kind::Repetitions, _) => repetitions(choice, &values),
    };
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
        return format!("{made}{what}{cell}: {reason}");
    }
    let of = match choice.source.as_str() {
        "" => String::new(),
        source => format!(" of {source}"),
    };
    format!(
        "{made}{what}{cell} ({} of {} at epoch {}{of}{})",
        choice.criterion,
        choice.metric,
        choice.epoch,
        tie(choice)
    )
}

/// Points that go on are named up to so many.
const LISTED: usize = 12;

/// `point 3 of fine is repeated again, 7 times in all`.
fn repetitions(choice: &v1::Choice, values: &[String]) -> String {
    let point = choice.point.unwrap_or_default();
    let of = match choice.stage_name.as_str() {
        "" => String::new(),
        stage => format!(" of {stage}"),
    };
    let then = values.first().map_or("no", String::as_str);
    match is_enough(choice) {
        true if nothing(choice) => {
            format!("point {point}{of} is run no more often: none of its {then} repetitions has succeeded")
        }
        true => format!("point {point}{of} has enough with {then} repetitions"),
        false => format!("point {point}{of} gets {then} repetitions"),
    }
}

/// Choices for people, a line each, but for decisions that later ones have overtaken; and of many decisions about single points of
/// a stage only what came of them.
pub fn choice_lines<'a>(choices: impl Iterator<Item = &'a v1::Choice>) -> Vec<String> {
    let (told, of_points) = sorted(choices);
    let told = told.into_iter().map(choice_text);
    told.chain(of_points.iter().filter_map(|choices| summary(choices)))
        .collect()
}

/// The same, each with the numbers that it was made from.
pub fn choice_tables(choices: &[v1::Choice]) -> String {
    let (told, of_points) = sorted(choices.iter());
    let told = told.into_iter().map(choice_table);
    let summaries = of_points.iter().filter_map(|choices| summary(choices));
    told.chain(summaries.map(|line| format!("  {line}\n"))).collect()
}

/// Decisions about single points of a stage are shown one by one up to so many.
const TABLES: usize = 20;

/// Those that are shown one by one; and those about single points of which there are many, by stage.
fn sorted<'a>(
    choices: impl Iterator<Item = &'a v1::Choice>,
) -> (Vec<&'a v1::Choice>, Vec<Vec<&'a v1::Choice>>) {
    let mut told = Vec::new();
    // Of a point the last decision says it all.
    let mut of_points: BTreeMap<u32, BTreeMap<u64, &v1::Choice>> = BTreeMap::new();
    for choice in choices {
        match choice.point {
            Some(point) => _ = of_points.entry(choice.stage).or_default().insert(point, choice),
            None => told.push(choice),
        }
    }
    let mut many = Vec::new();
    for choices in of_points.into_values() {
        match choices.len() > TABLES {
            true => many.push(choices.into_values().collect()),
            false => told.extend(choices.into_values()),
        }
    }
    // As they follow from one another.
    told.sort_by_key(|choice| (choice.stage, choice.rule, choice.cell));
    (told, many)
}

/// What came of the decisions about the points of a stage.
fn summary(choices: &[&v1::Choice]) -> Option<String> {
    let first = choices.first()?;
    let points = choices.len();
    let what = match first.kind() {
        Kind::Repetitions => {
            let enough = choices.iter().filter(|choice| is_enough(choice)).count();
            format!(
                "{enough} of {points} points of {} have enough repetitions",
                first.stage_name
            )
        }
        Kind::Axis | Kind::Points => {
            let on = choices.iter().filter(|choice| !choice.values.is_empty()).count();
            format!("{on} of {points} points go on to {}", first.stage_name)
        }
    };
    Some(format!(
        "{what} ({} of {} at epoch {} of {}); show --json has each",
        first.criterion, first.metric, first.epoch, first.source
    ))
}

/// Whether nothing that it was made from has succeeded.
fn nothing(choice: &v1::Choice) -> bool {
    !choice.candidates.is_empty()
        && choice
            .candidates
            .iter()
            .all(|candidate| candidate.trials.unwrap_or(candidate.n) == 0)
}

fn is_enough(choice: &v1::Choice) -> bool {
    let had = choice
        .candidates
        .first()
        .map(|candidate| candidate.n + candidate.missing);
    let then = choice.values.first().map(|value| text(Some(value)));
    had.is_some_and(|had| then == Some(had.to_string()))
}

/// A choice for people, with the numbers that it was made from.
fn choice_table(choice: &v1::Choice) -> String {
    let mut out = format!("  {}\n", choice_text(choice));
    for candidate in &choice.candidates {
        let spread = candidate.standard_error.map_or_else(String::new, |error| {
            format!(" ± {} (standard error)", significant(error))
        });
        let mean = match candidate.n {
            0 if candidate.trials.unwrap_or_default() > 0 => {
                "no repetition in which all of its points have succeeded".to_owned()
            }
            0 => "no trial has succeeded".to_owned(),
            n => format!("{}{spread}, n = {n}", significant(candidate.mean)),
        };
        let missing = match candidate.missing {
            0 => String::new(),
            missing => format!(", {missing} diverged or failed"),
        };
        let left_out = |count: u32, what: &str| match count {
            0 => String::new(),
            1 => format!(", 1 {what} left out"),
            count => format!(", {count} {what}s left out"),
        };
        let missing = missing
            + &left_out(candidate.points_left_out, "point")
            + &left_out(candidate.repetitions_left_out, "repetition");
        // Writing to a string cannot fail.
        _ = writeln!(out, "    {:<12} {mean}{missing}", text(candidate.value.as_ref()));
    }
    out
}
