//! What the results say of hypotheses.

use serde::Serialize;
use tenfold_core::compare::{Comparison, Verdict, judge};
use tenfold_core::sweep::{Claim, Hypothesis, Sweep};

use super::JSON_VERSION;
use super::raw::TrialCurveRow;
use super::values::Values;
use super::words::{self, Unit};

/// A hypothesis with what the results say of it.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The hypothesis.
    pub hypothesis: Hypothesis,
    /// It was added later: it is no part of the sweep.
    pub post_hoc: bool,
    /// What it says of the stage: its name, empty where the sweep has none.
    pub stage: String,
    /// Both sides, over the repetitions that both have at all points.
    pub comparison: Comparison,
    /// What became of trials that have no value; empty when all have one.
    pub missing: String,
    /// The verdict.
    pub verdict: Verdict,
}

/// Judges a hypothesis by the curves of the sweep's trials.
pub fn judged(sweep: &Sweep, hypothesis: &Hypothesis, post_hoc: bool, rows: &[TrialCurveRow]) -> Judged {
    let stage = sweep.stage(hypothesis.stage);
    let repetitions = stage.map_or(0, tenfold_core::sweep::Stage::repetitions);
    let values = Values::of(
        rows,
        hypothesis.stage,
        hypothesis.metric,
        hypothesis.at,
        repetitions,
    );
    let values = match stage {
        Some(stage) => values.run_as(stage),
        None => values,
    };
    let (this, than): (Vec<u64>, Vec<u64>) = hypothesis.pairs(sweep).into_iter().unzip();
    let comparison = Comparison::of(&values.mean(&this), &values.mean(&than));
    let difference = comparison.difference.as_ref();
    let interval = difference.and_then(|difference| difference.statistics.ci95);
    Judged {
        hypothesis: hypothesis.clone(),
        post_hoc,
        stage: stage.map_or_else(String::new, |stage| stage.name().to_owned()),
        missing: words::missing(&values.missing(&[this, than].concat())),
        verdict: judge(hypothesis.expected, interval),
        comparison,
    }
}

/// As text for people.
pub fn text(judged: &[Judged]) -> String {
    if judged.is_empty() {
        return "The sweep has no hypotheses.\n".to_owned();
    }
    judged.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn one(judged: &Judged) -> String {
    let Judged {
        hypothesis,
        comparison,
        ..
    } = judged;
    let added = if judged.post_hoc { " (added later)" } else { "" };
    let (scale, unit) = match words::unit(hypothesis.metric) {
        Unit::Percent => (100.0, " points"),
        Unit::Plain => (1.0, ""),
    };
    let number = |value: f64| format!("{:.4}", value * scale);
    let expected = match hypothesis.expected {
        Claim::Lower(margin) => format!("below {}{unit}", number(-margin + 0.0)),
        Claim::Higher(margin) => format!("above {}{unit}", number(margin)),
        Claim::Within(margin) => format!("within ±{}{unit}", number(margin)),
    };
    let side = |side: &std::collections::BTreeMap<_, _>| {
        let values: Vec<_> = side
            .iter()
            .map(|(setting, value)| (*setting, Clone::clone(value)))
            .collect();
        words::terse(&values)
    };
    let mean = |mean: Option<f64>| mean.map_or_else(|| "–".to_owned(), number);
    let stage = match judged.stage.as_str() {
        "" => String::new(),
        name => format!("stage {name}, "),
    };
    let difference = match comparison
        .difference
        .as_ref()
        .map(|difference| difference.statistics)
    {
        None => "no repetition has both".to_owned(),
        Some(statistics) => match statistics.ci95 {
            Some((low, high)) => format!(
                "{} [{}, {}]{unit}, 95 % interval over {} pairs",
                number(statistics.mean),
                number(low),
                number(high),
                statistics.n
            ),
            None => format!("{}{unit}, one pair and so no interval", number(statistics.mean)),
        },
    };
    let missing = match judged.missing.as_str() {
        "" => String::new(),
        missing => format!(
            "  left out     {} of the repetitions ({missing})\n",
            comparison.left_out + comparison.missing
        ),
    };
    format!(
        "{}{added}: {}\n  compares     {} with {}: {stage}{} after epoch {}\n  means        {} and {}\n  expected     \
         {expected}\n  difference   {difference}\n{missing}",
        judged.verdict.name(),
        hypothesis.claim,
        side(&hypothesis.this),
        side(&hypothesis.than),
        words::metric(hypothesis.metric),
        hypothesis.at,
        mean(comparison.this_mean),
        mean(comparison.than_mean),
    )
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
}

/// As JSON Lines, `"kind": "hypothesis"`; differences are in the unit of the metric.
///
/// # Errors
/// None that a finite number has.
pub fn jsonl(judged: &[Judged]) -> serde_json::Result<String> {
    let mut out = String::new();
    for judged in judged {
        let Judged {
            hypothesis,
            comparison,
            ..
        } = judged;
        let statistics = comparison
            .difference
            .as_ref()
            .map(|difference| difference.statistics);
        let interval = statistics.and_then(|statistics| statistics.ci95);
        out += &serde_json::to_string(&Line {
            v: JSON_VERSION,
            kind: "hypothesis",
            verdict: judged.verdict,
            claim: &hypothesis.claim,
            post_hoc: judged.post_hoc,
            stage: &judged.stage,
            metric: hypothesis.metric.to_string(),
            epoch: hypothesis.at,
            expected: hypothesis.expected,
            this_mean: comparison.this_mean,
            than_mean: comparison.than_mean,
            n: comparison.pairs(),
            difference: statistics.map(|statistics| statistics.mean),
            ci95_low: interval.map(|interval| interval.0),
            ci95_high: interval.map(|interval| interval.1),
            left_out: comparison.left_out + comparison.missing,
        })?;
        out.push('\n');
    }
    Ok(out)
}
