//! What the results say of hypotheses, as text and as JSON Lines.

use std::collections::BTreeMap;

use serde::Serialize;
use tenfold_core::aggregate::Statistics;
use tenfold_core::compare::Verdict;
use tenfold_core::sweep::Claim;
use tenfold_types::{Setting, Value};

use super::JSON_VERSION;
pub use super::judge::{Asked, Case, Judged, judge};
use super::judge::{Extended, Present};
use super::verdicts;
use super::words::{self, Unit};

/// As text for people; `selector` is what commands call the sweep.
pub fn text(judged: &[Judged], selector: &str) -> String {
    if judged.is_empty() {
        return "The sweep has no hypotheses.\n".to_owned();
    }
    let several = verdicts::several_families(&judged.iter().collect::<Vec<_>>());
    let each: Vec<String> = judged
        .iter()
        .map(|judged| one(judged, selector, several))
        .collect();
    let rates = verdicts::error_rates(judged).into_iter();
    let rates: Vec<String> = rates.map(|rate| words::sentence(&rate) + ".\n").collect();
    format!(
        "{}\n{}{}\n",
        each.join("\n"),
        rates.concat(),
        verdicts::RATES_HOLD
    )
}

/// Returns the verdict with its marks and the claim, in one line.
pub fn heading(judged: &Judged) -> String {
    let notes = match verdicts::notes(judged).join("; ") {
        notes if notes.is_empty() => notes,
        notes => format!(" ({notes})"),
    };
    format!("{}{notes}: {}\n", judged.verdict.name(), judged.hypothesis.claim)
}

fn one(judged: &Judged, selector: &str, several_families: bool) -> String {
    let hypothesis = &judged.hypothesis;
    let (scale, unit) = match words::unit(hypothesis.metric) {
        Unit::Percent => (100.0, " points"),
        Unit::Plain => (1.0, ""),
    };
    let number = |value: f64| words::fixed(value * scale, 4);
    let expected = match hypothesis.expected {
        Claim::Lower(margin) => format!("below {}{unit}", number(-margin + 0.0)),
        Claim::Higher(margin) => format!("above {}{unit}", number(margin)),
        Claim::Within(margin) => format!("within ±{}{unit}", number(margin)),
    };
    let mean = |mean: Option<f64>| mean.map_or_else(|| "–".to_owned(), number);
    let stage = match judged.stage.as_str() {
        "" => String::new(),
        name => format!("stage {name}, "),
    };
    let difference = match judged.planned.evidence.statistics {
        None => "no repetition has both".to_owned(),
        Some(statistics) => match statistics.ci95 {
            Some((low, high)) => format!(
                "{} [{}, {}]{unit}, 95 % interval over {} pairs",
                number(statistics.mean),
                number(low),
                number(high),
                statistics.n
            ),
            None if statistics.n == 1 => {
                format!("{}{unit}, one pair and so no interval", number(statistics.mean))
            }
            None => format!(
                "{}{unit} in each of {} pairs",
                number(statistics.mean),
                statistics.n
            ),
        },
    };
    let line = |name: &str, text: String| format!("  {name:<12} {text}\n");
    let averages = verdicts::averages(judged).map(|points| line("averages", points));
    let [this, than] = judged.planned.means;
    let mut text = heading(judged);
    text += &line(
        "compares",
        format!(
            "{} with {}: {stage}{} after epoch {}",
            side(&hypothesis.this),
            side(&hypothesis.than),
            words::metric(hypothesis.metric),
            hypothesis.at
        ),
    );
    text += &averages.unwrap_or_default();
    text += &line("means", format!("{} and {}", mean(this), mean(than)));
    text += &line("expected", expected);
    text += &line("difference", difference);
    if several_families {
        text += &line("corrected", verdicts::family(judged));
    }
    for remark in verdicts::remarks(judged, selector) {
        text += &line("note", remark);
    }
    text
}

/// A side of a hypothesis in words.
pub(super) fn side(side: &BTreeMap<Setting, Value>) -> String {
    let values: Vec<(Setting, Value)> = side
        .iter()
        .map(|(setting, value)| (*setting, value.clone()))
        .collect();
    words::terse(&values)
}

#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    kind: &'static str,
    verdict: Verdict,
    claim: &'a str,
    post_hoc: bool,
    stage: &'a str,
    metric: String,
    epoch: u32,
    expected: Claim,
    this_mean: Option<f64>,
    than_mean: Option<f64>,
    n: u32,
    difference: Option<f64>,
    ci95_low: Option<f64>,
    ci95_high: Option<f64>,
    left_out: u32,
    provisional: bool,
    averages_over: &'a [String],
    by_point: Vec<PointLine<'a>>,
    points_without_success: &'a [String],
    twins: u32,
    chosen_apart: &'a [String],
    answers: Option<u32>,
    planned: u32,
    missing: &'static str,
    missing_pairs: u32,
    missing_diverged: u32,
    missing_failed: u32,
    missing_cancelled: u32,
    missing_left_out: u32,
    missing_unfinished: u32,
    left_out_points: &'a [String],
    verdict_of_present: Verdict,
    verdict_by_interval: Verdict,
    family: Option<&'a str>,
    family_size: u32,
    p_support: f64,
    p_support_holm: f64,
    p_refutation: f64,
    p_refutation_holm: f64,
    least_deviation: bool,
    asked_afterwards: bool,
    by_need: bool,
    diverged: Option<Diverged>,
    extended: Option<ExtendedLine>,
}

/// The difference of one pair of points of several.
#[derive(Serialize)]
struct PointLine<'a> {
    point: &'a str,
    n: u32,
    difference: Option<f64>,
    ci95_low: Option<f64>,
    ci95_high: Option<f64>,
}

impl<'a> PointLine<'a> {
    fn of((point, statistics): (&'a String, &Option<Statistics>)) -> Self {
        let (ci95_low, ci95_high) = statistics.and_then(|of| of.ci95).unzip();
        Self {
            point,
            n: statistics.map_or(0, |of| of.n),
            difference: statistics.map(|of| of.mean),
            ci95_low,
            ci95_high,
        }
    }
}

#[derive(Serialize)]
struct Diverged {
    this: u32,
    than: u32,
    of: u32,
    p: f64,
}

/// What all repetitions of a stage say that was extended after a look.
#[derive(Serialize)]
struct ExtendedLine {
    looks: Vec<LookLine>,
    repetitions: u32,
    verdict: Verdict,
    n: u32,
    difference: Option<f64>,
    ci95_low: Option<f64>,
    ci95_high: Option<f64>,
}

#[derive(Serialize)]
struct LookLine {
    before: u32,
    after: u32,
    /// Null where it was not recorded: all may have been.
    seen: Option<u32>,
}

impl ExtendedLine {
    fn of(extended: &Extended) -> Self {
        let [difference, ci95_low, ci95_high] = numbers(&extended.present);
        Self {
            looks: extended
                .looks
                .iter()
                .map(|look| LookLine {
                    before: look.before,
                    after: look.after,
                    seen: look.seen,
                })
                .collect(),
            repetitions: extended.present.repetitions,
            verdict: extended.verdict,
            n: extended.present.evidence.pairs(),
            difference,
            ci95_low,
            ci95_high,
        }
    }
}

/// The mean of the differences and the ends of its interval.
pub(super) fn numbers(present: &Present) -> [Option<f64>; 3] {
    let statistics = present.evidence.statistics;
    let (low, high) = statistics.and_then(|of| of.ci95).unzip();
    [statistics.map(|of| of.mean), low, high]
}

/// As JSON Lines, `"kind": "hypothesis"`; differences are in the unit of the metric. `n`, `difference` and its interval are of the
/// planned pairs that are there; `left_out` is the number of those that are not.
pub fn jsonl(judged: &[Judged]) -> String {
    let lines = judged.iter().map(|judged| super::json(&line(judged)) + "\n");
    lines.collect()
}

fn line(judged: &Judged) -> Line<'_> {
    let (hypothesis, planned, absent) = (&judged.hypothesis, &judged.planned, &judged.absent);
    let evidence = &planned.evidence;
    let [difference, ci95_low, ci95_high] = numbers(planned);
    Line {
        v: JSON_VERSION,
        kind: "hypothesis",
        verdict: judged.verdict,
        claim: &hypothesis.claim,
        post_hoc: judged.post_hoc,
        stage: &judged.stage,
        metric: hypothesis.metric.to_string(),
        epoch: hypothesis.at,
        expected: hypothesis.expected,
        this_mean: planned.means[0],
        than_mean: planned.means[1],
        n: evidence.pairs(),
        difference,
        ci95_low,
        ci95_high,
        left_out: planned.repetitions - evidence.pairs(),
        provisional: judged.provisional,
        averages_over: &judged.averages,
        by_point: judged
            .averages
            .iter()
            .zip(&judged.each)
            .map(PointLine::of)
            .collect(),
        planned: planned.repetitions,
        missing: hypothesis.missing.name(),
        missing_pairs: planned.missing(),
        missing_diverged: absent.diverged,
        missing_failed: absent.failed,
        missing_cancelled: absent.cancelled,
        missing_left_out: absent.left_out,
        missing_unfinished: absent.unfinished,
        left_out_points: &absent.left_out_points,
        points_without_success: &absent.never_succeeded,
        twins: judged.twins,
        chosen_apart: &judged.chosen_apart,
        answers: judged.answers,
        verdict_of_present: judged.of_present,
        verdict_by_interval: evidence.by_interval,
        family: hypothesis.family.name(),
        family_size: judged.corrected.family,
        p_support: evidence.p_support,
        p_support_holm: judged.corrected.p_support,
        p_refutation: evidence.p_refutation,
        p_refutation_holm: judged.corrected.p_refutation,
        least_deviation: evidence.floored,
        asked_afterwards: judged.asked,
        by_need: judged.by_need,
        diverged: judged.divergence.map(|of| Diverged {
            this: of.this,
            than: of.than,
            of: of.of,
            p: of.p,
        }),
        extended: judged.extended.as_ref().map(ExtendedLine::of),
    }
}
