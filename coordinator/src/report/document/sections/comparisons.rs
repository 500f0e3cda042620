//! Comparisons of the modes of a stage, such as weight sharing on and off, paired by repetition.

use tenfold_core::aggregate::{GroupResult, Statistics};
use tenfold_core::compare::{Comparison, Difference, holm};
use tenfold_core::rounding::significant;
use tenfold_types::Setting;
use tenfold_types::hyperparameter::Kind;

use super::super::super::export;
use super::super::super::facet::{numeric, split, varying};
use super::super::super::figure::{Forest, Row};
use super::super::super::values::Values;
use super::super::super::words::{self, Unit, sentence};
use super::super::{Block, Column, Drawing, Picture, Table, paragraph};
use super::{StageOf, Study};

/// Combinations of values that are compared with one another.
const MAX_COMBINATIONS: usize = 4;
/// Rows of a figure, and of the table on the page; the CSV file has all.
const MAX_ROWS: usize = 48;

/// Two points, compared by the repetitions that both have; or an interaction of four.
#[derive(Debug, Clone)]
struct Compared {
    /// What both have in common that other comparisons do not.
    stratum: String,
    /// What is compared: `sharing on − sharing off`.
    name: String,
    /// Means over the pairs; none of an interaction.
    means: Option<(f64, f64)>,
    /// The differences, one for each pair, and their tests.
    difference: Option<Difference>,
    /// Repetitions that not all of the points have.
    left_out: u32,
    /// p-values of the t test and Wilcoxon's, corrected for all comparisons of the stage.
    holm: [Option<f64>; 2],
}

impl Compared {
    fn statistics(&self) -> Option<&Statistics> {
        self.difference.as_ref().map(|difference| &difference.statistics)
    }

    /// p-values of the t test and Wilcoxon's.
    fn p(&self) -> [Option<f64>; 2] {
        let of = self.difference.as_ref();
        [
            of.and_then(|of| of.t_test).map(|test| test.p),
            of.and_then(|of| of.wilcoxon.as_ref()).map(|test| test.p),
        ]
    }
}

pub(super) fn blocks(study: &Study, stage: &StageOf, results: &[&GroupResult]) -> Vec<Block> {
    let by = compared_by(results);
    if by.is_empty() {
        return Vec::new();
    }
    let mut all = compare(study, stage, results, &by);
    if all.iter().all(|compared| compared.difference.is_none()) {
        return Vec::new();
    }
    let names: Vec<&str> = by.iter().map(|&setting| words::setting(setting)).collect();
    let (metric, unit) = (study.metric(), words::unit(study.metric()));
    let mut blocks = vec![Block::Heading(
        3,
        format!("Comparisons by {}", names.join(" and ")),
    )];
    let name = format!("{}comparisons", stage.prefix());
    let pairs = "Paired by repetition, which has the same data and order of batches at every point";
    if all.len() <= MAX_ROWS {
        let forest = forest(study, &all);
        blocks.push(Block::Figure(Picture {
            name: name.clone(),
            title: format!("Differences of the {}", words::metric(metric)),
            caption: format!(
                "{pairs}: the mean difference of the {} after the last epoch with its 95 % t interval; n is the number of pairs. Where an \
                 interval does not hold zero the two differ at the 5 % level, taken by itself.",
                words::metric(metric)
            ),
            drawing: Drawing::Intervals(forest),
        }));
    } else {
        blocks.push(paragraph(format!(
            "There is no figure of them: {} comparisons would be more than anybody can read.",
            all.len()
        )));
    }
    let values = all.iter().map(values).collect();
    let total = all.len();
    all.truncate(MAX_ROWS);
    let strata = all.iter().any(|compared| !compared.stratum.is_empty());
    let left_out = all.iter().any(|compared| compared.left_out > 0);
    let mut columns = vec![
        Column::words("comparison"),
        Column::number("first"),
        Column::number("second"),
        Column::number("difference"),
        Column::number("95 % interval"),
        Column::number("n"),
        Column::number("p (t)"),
        Column::number("Holm"),
        Column::number("p (Wilcoxon)"),
        Column::number("Holm"),
        Column::number("g"),
    ];
    if strata {
        columns.insert(0, Column::words("of"));
    }
    columns.extend(left_out.then(|| Column::number("left out")));
    let row = |compared: &Compared| {
        let mean = |mean: Option<f64>| mean.map_or("–".to_owned(), |mean| words::quantity(mean, unit, 2));
        let differences = compared.statistics();
        let [t, wilcoxon] = compared.p();
        let [t_holm, wilcoxon_holm] = compared.holm;
        let effect = compared.difference.as_ref().and_then(|of| of.g_z);
        let mut row = vec![
            compared.name.clone(),
            mean(compared.means.map(|(first, _)| first)),
            mean(compared.means.map(|(_, second)| second)),
            differences.map_or("–".to_owned(), |s| signed(s.mean, unit)),
            differences.map_or("–".to_owned(), |s| words::interval(s, unit, 2)),
            differences.map_or(0, |s| s.n).to_string(),
            probability(t),
            probability(t_holm),
            probability(wilcoxon),
            probability(wilcoxon_holm),
            effect.map_or("–".to_owned(), |g| format!("{g:.2}").replace('-', "−")),
        ];
        if strata {
            row.insert(0, compared.stratum.clone());
        }
        row.extend(left_out.then(|| compared.left_out.to_string()));
        row
    };
    let mut caption = format!(
        "{pairs}: means of the {} over the pairs, and the mean of the differences with its 95 % t interval{}.",
        words::metric(metric),
        if unit == Unit::Percent {
            ", in percentage points"
        } else {
            ""
        }
    );
    caption += &format!(
        " p-values are two-sided, of the paired t test and of Wilcoxon's signed-rank test, each beside its correction by Holm for all {} \
         of these comparisons; g is the mean difference in units of the deviation of differences, corrected for few pairs (Hedges).",
        total
    );
    if left_out {
        caption += " Left out are repetitions that did not succeed at both points.";
    }
    if total > all.len() {
        caption += &format!(" These are the first {MAX_ROWS} of {total}; the CSV file has all.");
    }
    let header = [
        "of",
        "comparison",
        "n",
        "left_out",
        "first_mean",
        "second_mean",
        "difference_mean",
        "standard_deviation",
        "standard_error",
        "ci95_low",
        "ci95_high",
        "p_t",
        "p_t_holm",
        "p_wilcoxon",
        "p_wilcoxon_holm",
        "d_z",
        "g_z",
    ];
    blocks.push(Block::Table(Table {
        name,
        caption,
        columns,
        rows: all.iter().map(row).collect(),
        strong: Vec::new(),
        header: header.map(str::to_owned).to_vec(),
        values,
    }));
    blocks
}

/// The settings by which groups are compared: switches first, then others of few values, as long as they make few
/// combinations; architectures where nothing else varies.
fn compared_by(results: &[&GroupResult]) -> Vec<Setting> {
    let numbers = numeric(results);
    let combinations = |by: &[Setting]| split(results, by).labels.len();
    let mut candidates: Vec<Setting> = varying(results)
        .into_iter()
        .filter(|setting| !numbers.contains(setting))
        .filter(|&setting| combinations(&[setting]) <= MAX_COMBINATIONS)
        .collect();
    candidates.sort_by_key(|setting| match setting.kind() {
        Kind::Bool => 0,
        Kind::Architecture => 2,
        _ => 1,
    });
    let mut by: Vec<Setting> = Vec::new();
    for setting in candidates {
        // Architectures at each of several rates are no comparison that anybody asked for.
        if setting == Setting::Architecture && !(by.is_empty() && numbers.is_empty()) {
            continue;
        }
        by.push(setting);
        if combinations(&by) > MAX_COMBINATIONS {
            by.pop();
        }
    }
    // As the axes are ordered.
    varying(results)
        .into_iter()
        .filter(|setting| by.contains(setting))
        .collect()
}

/// What tells comparisons apart: the other settings that vary, without those with numbers that follow from all the
/// others, as a learning rate that was chosen for each mode.
fn strata(results: &[&GroupResult], by: &[Setting]) -> Vec<Setting> {
    let mut others: Vec<Setting> = varying(results)
        .into_iter()
        .filter(|setting| !by.contains(setting))
        .collect();
    let parts = |settings: &[Setting]| split(results, settings).labels.len();
    for setting in others.clone() {
        let rest: Vec<Setting> = others.iter().copied().filter(|&of| of != setting).collect();
        let number = !matches!(setting.kind(), Kind::Architecture | Kind::Bool | Kind::Choice(_));
        let with = |settings: &[Setting]| parts(&[settings, by].concat());
        // It tells apart what the others do not, but nothing that they and the modes together do not.
        if number && parts(&rest) < parts(&others) && with(&rest) == with(&others) {
            others = rest;
        }
    }
    others
}

fn compare(study: &Study, stage: &StageOf, results: &[&GroupResult], by: &[Setting]) -> Vec<Compared> {
    let number = results.first().map_or(0, |result| result.group.stage);
    let values = Values::of(
        &study.trials,
        number,
        study.metric(),
        stage.epochs,
        stage.repetitions,
    );
    let values = match study.sweep.as_ref().and_then(|sweep| sweep.stage(number)) {
        Some(stage) => values.run_as(stage),
        None => values,
    };
    let of = |at: usize| values.point(results[at].group.index);
    let (strata, modes) = (split(results, &strata(results, by)), split(results, by));
    let two_by_two = by.len() == 2
        && by
            .iter()
            .all(|&setting| split(results, &[setting]).labels.len() == 2);
    let mut points = vec![vec![None; modes.labels.len()]; strata.labels.len()];
    for (at, (&stratum, &mode)) in strata.part.iter().zip(&modes.part).enumerate() {
        points[stratum][mode].get_or_insert(at);
    }
    let mut all = Vec::new();
    for (stratum, here) in strata.labels.iter().zip(&points) {
        for (second, than) in here.iter().enumerate() {
            for (first, this) in here.iter().enumerate().skip(second + 1) {
                let (&Some(this), &Some(than)) = (this, than) else {
                    continue;
                };
                let compared = Comparison::of(&of(this), &of(than));
                all.push(Compared {
                    stratum: stratum.clone(),
                    name: format!("{} − {}", modes.labels[first], modes.labels[second]),
                    means: compared.this_mean.zip(compared.than_mean),
                    left_out: compared.left_out + compared.missing,
                    difference: compared.difference,
                    holm: [None, None],
                });
            }
        }
        if let ([one, other], [Some(neither), Some(second), Some(first), Some(both)]) = (by, here.as_slice())
            && two_by_two
        {
            let (difference, left_out) =
                Difference::interaction(&of(*both), &of(*first), &of(*second), &of(*neither));
            all.push(Compared {
                stratum: stratum.clone(),
                name: format!(
                    "interaction of {} and {}",
                    words::setting(*one),
                    words::setting(*other)
                ),
                means: None,
                left_out,
                difference,
                holm: [None, None],
            });
        }
    }
    for test in [0, 1] {
        let (places, p): (Vec<usize>, Vec<f64>) = all
            .iter()
            .enumerate()
            .filter_map(|(at, compared)| Some((at, compared.p()[test]?)))
            .unzip();
        for (at, corrected) in places.into_iter().zip(holm(&p)) {
            all[at].holm[test] = Some(corrected);
        }
    }
    all
}

fn forest(study: &Study, all: &[Compared]) -> Forest {
    let metric = study.metric();
    let unit = words::unit(metric);
    // What stands above rows and what in them: where the same is compared everywhere, that stands above all.
    let same = all.windows(2).all(|pair| pair[0].name == pair[1].name);
    let parts = |compared: &Compared| match (compared.stratum.as_str(), same) {
        ("", _) => (String::new(), compared.name.clone()),
        (stratum, true) => (compared.name.clone(), stratum.to_owned()),
        (stratum, false) => (stratum.to_owned(), compared.name.clone()),
    };
    let row = |(at, compared): (usize, &Compared)| Row {
        head: Some(parts(compared).0)
            .filter(|head| !head.is_empty() && (at == 0 || parts(&all[at - 1]).0 != *head)),
        name: parts(compared).1,
        mean: compared.statistics().map(|s| s.mean),
        interval: compared.statistics().and_then(|s| s.ci95),
        margins: Vec::new(),
        text: match compared.statistics() {
            Some(s) => format!(
                "{} {}, n = {}",
                signed(s.mean, unit),
                words::interval(s, unit, 2),
                s.n
            ),
            None => String::new(),
        },
    };
    let points = if unit == Unit::Percent {
        ", percentage points"
    } else {
        ""
    };
    Forest {
        title: format!("differences of the {}", words::metric(metric)),
        label: sentence(&format!("difference of the {}{points}", words::metric(metric))),
        unit,
        sides: Some(("lower with the first".to_owned(), "higher".to_owned())),
        rows: all.iter().enumerate().map(row).collect(),
    }
}

/// A difference as a number of the unit, shares in percentage points.
pub(super) fn signed(difference: f64, unit: Unit) -> String {
    let text = words::quantity(difference, unit, 2);
    text.trim_end_matches(" %").replace('-', "−")
}

fn values(compared: &Compared) -> Vec<String> {
    let number =
        |value: Option<f64>| value.map_or_else(String::new, |value| export::number(significant(value)));
    let of = compared.statistics();
    let [t, wilcoxon] = compared.p();
    let effects = compared.difference.as_ref();
    vec![
        compared.stratum.clone(),
        compared.name.clone(),
        of.map_or(0, |s| s.n).to_string(),
        compared.left_out.to_string(),
        number(compared.means.map(|(first, _)| first)),
        number(compared.means.map(|(_, second)| second)),
        number(of.map(|s| s.mean)),
        number(of.and_then(|s| s.standard_deviation)),
        number(of.and_then(|s| s.standard_error)),
        number(of.and_then(|s| Some(s.ci95?.0))),
        number(of.and_then(|s| Some(s.ci95?.1))),
        number(t),
        number(compared.holm[0]),
        number(wilcoxon),
        number(compared.holm[1]),
        number(effects.and_then(|of| of.d_z)),
        number(effects.and_then(|of| of.g_z)),
    ]
}

/// A p-value: `0.032`, `1.2e−5`.
fn probability(p: Option<f64>) -> String {
    match p {
        None => "–".to_owned(),
        Some(p) if p < 1e-3 => format!("{p:.1e}").replace('-', "−"),
        Some(p) => format!("{p:.3}"),
    }
}
