//! Tables of paired differences: those of a report's stages, and what `tenfold compare` gives as CSV and LaTeX.

use tenfold_core::compare::Null;
use tenfold_core::rounding::significant;
use tenfold_types::{Metric, Setting};

use super::super::export;
use super::super::words::{self, Unit};
use super::family::{self, Compared, Corrected};
use super::{Column, Table};

/// How points are paired, as captions begin.
pub(in super::super) const PAIRS: &str = "Paired by repetition: points of a stage share its seed, and so data, first weights and order of \
                                          batches, repetition by repetition";

/// What an interaction of two settings is called.
pub(in super::super) fn interaction([one, other]: [Setting; 2]) -> String {
    format!(
        "interaction of {} and {}",
        words::setting(one),
        words::setting(other)
    )
}

/// An interaction as a formula of what its points are called: with both, the first alone, the second alone, and neither.
pub(in super::super) fn contrast([both, first, second, neither]: [&str; 4]) -> String {
    format!("({both} − {first}) − ({second} − {neither})")
}

/// The header of the CSV file.
const HEADER: [&str; 25] = [
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
    "difference_is",
    "planned",
    "missing",
    "wilcoxon_null",
    "first_diverged",
    "second_diverged",
    "divergence_n",
    "divergence_p",
];

/// A family of comparisons as a table of at most so many rows for people; its CSV file has all. `what` is the metric in
/// words, with its epoch where that goes without saying nowhere else.
pub(in super::super) fn table(
    name: String,
    metric: Metric,
    what: &str,
    family: &Corrected,
    most: usize,
) -> Table {
    let unit = words::unit(metric);
    let all = family.rows.as_slice();
    let shown = &all[..all.len().min(most)];
    let strata = shown.iter().any(|compared| !compared.stratum.is_empty());
    let left_out = shown.iter().any(|compared| compared.left_out() > 0);
    let diverged = family.has_diverged();
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
    ];
    // A column of ones says less than the sentence that stands in its place.
    let corrected = family.impossible().is_none();
    columns.extend(corrected.then(|| Column::number("Holm")));
    columns.push(Column::number("g_z"));
    if strata {
        columns.insert(0, Column::words("of"));
    }
    columns.extend(left_out.then(|| Column::words("missing")));
    if diverged {
        columns.extend([Column::number("diverged"), Column::number("p (diverged)")]);
    }
    let row = |compared: &Compared| {
        let mut row = cells(compared, unit, corrected);
        if strata {
            row.insert(0, compared.stratum.clone());
        }
        row.extend(left_out.then(|| words::missing(&compared.missing)));
        if diverged {
            row.extend(rates(compared));
        }
        row
    };
    let rows: Vec<Vec<String>> = shown.iter().map(row).collect();
    let mut caption = format!(
        "{PAIRS}. Means of the {what} over the pairs, and the mean of the differences with its 95 % t interval{}; p-values of the paired t \
         test and of Wilcoxon's signed-rank test. {}",
        if unit == Unit::Percent {
            ", in percentage points"
        } else {
            ""
        },
        family.notes().join(" ")
    );
    if left_out {
        caption += " Where n is less than the repetitions planned, missing are trials that did not succeed: the difference is \
                    of the repetitions that succeeded at all of the points, and may be biased.";
    }
    if all.len() > shown.len() {
        caption += &format!(
            " These are the first {most} of {}; the CSV file has all.",
            all.len()
        );
    }
    if let Some(dashes) = dashes(&rows, shown) {
        caption += " ";
        caption += &dashes;
    }
    Table {
        name,
        caption,
        columns,
        rows,
        strong: Vec::new(),
        header: HEADER.map(str::to_owned).to_vec(),
        values: all.iter().map(values).collect(),
    }
}

/// What – means in these rows; none where there is none.
pub(in super::super) fn dashes(cells: &[Vec<String>], rows: &[Compared]) -> Option<String> {
    cells.iter().flatten().any(|cell| cell == "–").then(|| {
        let mut says = vec!["–: too few pairs (an interval and a t test need 2, g_z 3)"];
        if rows.iter().any(|row| row.is_interaction) {
            says.push("no means or rates of an interaction");
        }
        let is_constant = |row: &Compared| {
            row.statistics()
                .is_some_and(|s| s.standard_deviation == Some(0.0))
        };
        if rows.iter().any(is_constant) {
            says.push("no d_z or g_z where all differences are equal");
        }
        format!("{}.", says.join("; "))
    })
}

/// How often two points diverged, and the test of it.
pub(in super::super) fn rates(compared: &Compared) -> [String; 2] {
    match compared.diverged {
        Some(of) => [
            format!("{} and {} of {}", of.this, of.than, of.n),
            probability(Some(of.p)),
        ],
        None => ["–".to_owned(), "–".to_owned()],
    }
}

/// Wilcoxon's p-value, marked where it is not exact.
pub(in super::super) fn signed_rank(compared: &Compared) -> String {
    let p = probability(compared.p()[1]);
    match compared.null() {
        Some(Null::Normal) => format!("{p} (normal)"),
        _ => p,
    }
}

/// As people read it, without what it has in common with another and what is left out.
fn cells(compared: &Compared, unit: Unit, corrected: bool) -> Vec<String> {
    let mean = |mean: Option<f64>| mean.map_or("–".to_owned(), |mean| words::quantity(mean, unit, 2));
    let differences = compared.statistics();
    let [t_holm, wilcoxon_holm] = compared.holm;
    let effect = compared.difference.as_ref().and_then(|of| of.g_z);
    let mut cells = vec![
        compared.name.clone(),
        mean(compared.means.map(|(first, _)| first)),
        mean(compared.means.map(|(_, second)| second)),
        differences.map_or("–".to_owned(), |s| signed(s.mean, unit)),
        differences.map_or("–".to_owned(), |s| words::interval(s, unit, 2)),
        compared.pairs(),
        probability(compared.p()[0]),
        probability(t_holm),
        signed_rank(compared),
    ];
    cells.extend(corrected.then(|| probability(wilcoxon_holm)));
    cells.push(effect.map_or("–".to_owned(), |g| format!("{g:.2}").replace('-', "−")));
    cells
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
    let count =
        |of: fn(family::Diverged) -> u32| compared.diverged.map_or_else(String::new, |d| of(d).to_string());
    vec![
        compared.stratum.clone(),
        compared.name.clone(),
        of.map_or(0, |s| s.n).to_string(),
        compared.left_out().to_string(),
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
        match compared.is_interaction {
            true => family::INTERACTION.to_owned(),
            false => family::DIFFERENCE.to_owned(),
        },
        compared.planned.to_string(),
        words::missing(&compared.missing),
        compared
            .null()
            .map_or_else(String::new, |null| null.name().to_owned()),
        count(|of| of.this),
        count(|of| of.than),
        count(|of| of.n),
        number(compared.diverged.map(|of| of.p)),
    ]
}

/// A p-value: `0.032`, `1.2e−5`.
pub(in super::super) fn probability(p: Option<f64>) -> String {
    match p {
        None => "–".to_owned(),
        Some(p) if p < 1e-3 => format!("{p:.1e}").replace('-', "−"),
        Some(p) => format!("{p:.3}"),
    }
}
