//! Tables of paired differences: those of a report's stages, and what `tenfold compare` gives as CSV and LaTeX.

use tenfold_core::aggregate::Statistics;
use tenfold_core::compare::{Difference, holm};
use tenfold_core::rounding::significant;
use tenfold_types::{Metric, Setting};

use super::super::export;
use super::super::words::{self, Unit};
use super::{Column, Table};

/// How points are paired, as captions begin.
pub(in super::super) const PAIRS: &str =
    "Paired by repetition, which has the same data and order of batches at every point";

/// Two points, compared by the repetitions that both have; or an interaction of four.
#[derive(Debug, Clone)]
pub(in super::super) struct Compared {
    /// What both have in common that other comparisons do not.
    pub(in super::super) stratum: String,
    /// What is compared: `sharing on − sharing off`.
    pub(in super::super) name: String,
    /// Means over the pairs; none of an interaction.
    pub(in super::super) means: Option<(f64, f64)>,
    /// The differences, one for each pair, and their tests.
    pub(in super::super) difference: Option<Difference>,
    /// Repetitions that not all of the points have.
    pub(in super::super) left_out: u32,
    /// p-values of the t test and Wilcoxon's, corrected for all comparisons of the family.
    pub(in super::super) holm: [Option<f64>; 2],
}

impl Compared {
    pub(in super::super) fn statistics(&self) -> Option<&Statistics> {
        self.difference.as_ref().map(|difference| &difference.statistics)
    }

    /// p-values of the t test and Wilcoxon's.
    pub(in super::super) fn p(&self) -> [Option<f64>; 2] {
        let of = self.difference.as_ref();
        [
            of.and_then(|of| of.t_test).map(|test| test.p),
            of.and_then(|of| of.wilcoxon.as_ref()).map(|test| test.p),
        ]
    }
}

/// Corrects the p-values of a family. Rows without one are no part of it.
pub(in super::super) fn correct<T>(rows: &mut [T], p: impl Fn(&T) -> Option<f64>, put: impl Fn(&mut T, f64)) {
    let (places, values): (Vec<usize>, Vec<f64>) = rows
        .iter()
        .enumerate()
        .filter_map(|(place, row)| Some((place, p(row)?)))
        .unzip();
    for (place, corrected) in places.into_iter().zip(holm(&values)) {
        put(&mut rows[place], corrected);
    }
}

/// What an interaction of two settings is called.
pub(in super::super) fn interaction([one, other]: [Setting; 2]) -> String {
    format!(
        "interaction of {} and {}",
        words::setting(one),
        words::setting(other)
    )
}

/// The header of the CSV file.
const HEADER: [&str; 17] = [
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

/// A family of comparisons as a table of at most so many rows for people; its CSV file has all. `what` is the metric in
/// words, with its epoch where that goes without saying nowhere else.
pub(in super::super) fn table(
    name: String,
    metric: Metric,
    what: &str,
    all: &[Compared],
    most: usize,
) -> Table {
    let unit = words::unit(metric);
    let shown = &all[..all.len().min(most)];
    let strata = shown.iter().any(|compared| !compared.stratum.is_empty());
    let left_out = shown.iter().any(|compared| compared.left_out > 0);
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
        let mut row = cells(compared, unit);
        if strata {
            row.insert(0, compared.stratum.clone());
        }
        row.extend(left_out.then(|| compared.left_out.to_string()));
        row
    };
    let mut caption = format!(
        "{PAIRS}: means of the {what} over the pairs, and the mean of the differences with its 95 % t interval{}.",
        if unit == Unit::Percent {
            ", in percentage points"
        } else {
            ""
        }
    );
    caption += &format!(
        " p-values are two-sided, of the paired t test and of Wilcoxon's signed-rank test, each beside its correction by Holm for all {} \
         of these comparisons; g is the mean difference in units of the deviation of differences, corrected for few pairs (Hedges).",
        all.len()
    );
    if left_out {
        caption += " Left out are repetitions that did not succeed at both points.";
    }
    if all.len() > shown.len() {
        caption += &format!(
            " These are the first {most} of {}; the CSV file has all.",
            all.len()
        );
    }
    Table {
        name,
        caption,
        columns,
        rows: shown.iter().map(row).collect(),
        strong: Vec::new(),
        header: HEADER.map(str::to_owned).to_vec(),
        values: all.iter().map(values).collect(),
    }
}

/// As people read it, without what it has in common with another and what is left out.
fn cells(compared: &Compared, unit: Unit) -> Vec<String> {
    let mean = |mean: Option<f64>| mean.map_or("–".to_owned(), |mean| words::quantity(mean, unit, 2));
    let differences = compared.statistics();
    let [t, wilcoxon] = compared.p();
    let [t_holm, wilcoxon_holm] = compared.holm;
    let effect = compared.difference.as_ref().and_then(|of| of.g_z);
    vec![
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
    ]
}

/// A difference as a number of the unit, shares in percentage points.
pub(in super::super) fn signed(difference: f64, unit: Unit) -> String {
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
