//! Comparisons of the points of a stage, in pairs.

use comfy_table::{Table, presets};
use serde_json::{Map, Value as Json, json};
use tenfold_core::compare::{Comparison, Difference};
use tenfold_core::sweep::Stage;
use tenfold_types::{Metric, Setting, Value};

use super::JSON_VERSION;
use super::document::differences::{self, Compared as Line, correct};
use super::document::{self, Table as Document};
use super::raw::TrialCurveRow;
use super::values::Values;
use super::words::{self, Unit};

/// The most comparisons of one family.
const MAX_COMPARISONS: usize = 10_000;

/// What is compared.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The number of the stage.
    pub stage: u32,
    /// The axes whose values are compared.
    pub by: Vec<Setting>,
    /// The metric.
    pub metric: Metric,
    /// The epoch, from 1.
    pub epoch: u32,
}

/// A family of comparisons.
#[derive(Debug, Clone)]
pub struct Family {
    wanted: Wanted,
    stage_name: String,
    rows: Vec<Row>,
}

/// Two points that differ in nothing but the axes that are compared; or an interaction at equal other values.
#[derive(Debug, Clone)]
struct Row {
    stratum: Vec<(Setting, Value)>,
    /// None for both in an interaction.
    sides: Option<[Vec<(Setting, Value)>; 2]>,
    means: [Option<f64>; 2],
    difference: Option<Difference>,
    left_out: u32,
    missing: String,
    t_holm: Option<f64>,
    wilcoxon_holm: Option<f64>,
}

/// A point: its index, the values compared.
type Compared = (u64, Vec<(Setting, Value)>);
/// The values that points have in common, and the points.
type Stratum = (Vec<(Setting, Value)>, Vec<Compared>);

/// Compares all pairs of values of some axes where all other values are equal, the later with the earlier; and where they are two
/// axes of two values each, how one depends on the other. The Holm corrections are over all of them.
///
/// # Errors
/// What is wrong with the request, in words.
pub fn family(stage: &Stage, wanted: Wanted, rows: &[TrialCurveRow]) -> Result<Family, String> {
    let values = Values::of(
        rows,
        wanted.stage,
        wanted.metric,
        wanted.epoch,
        stage.repetitions(),
    )
    .run_as(stage);
    let mut family = Vec::new();
    for (stratum, points) in strata(stage, &wanted) {
        if family.len() + points.len() * points.len().saturating_sub(1) / 2 > MAX_COMPARISONS {
            return Err(format!(
                "these are more than {MAX_COMPARISONS} comparisons; compare axes with fewer values"
            ));
        }
        for (at, (than, than_values)) in points.iter().enumerate() {
            for (this, this_values) in &points[at + 1..] {
                let comparison = Comparison::of(&values.point(*this), &values.point(*than));
                family.push(Row {
                    stratum: stratum.clone(),
                    sides: Some([this_values.clone(), than_values.clone()]),
                    means: [comparison.this_mean, comparison.than_mean],
                    left_out: comparison.left_out + comparison.missing,
                    difference: comparison.difference,
                    missing: words::missing(&values.missing(&[*this, *than])),
                    t_holm: None,
                    wilcoxon_holm: None,
                });
            }
        }
        if let Some([neither, second, first, both]) = square(stage, &wanted.by, &points) {
            let of = |point: &Compared| values.point(point.0);
            let (difference, left_out) =
                Difference::interaction(&of(both), &of(first), &of(second), &of(neither));
            let indexes = [both.0, first.0, second.0, neither.0];
            family.push(Row {
                stratum,
                sides: None,
                means: [None, None],
                difference,
                left_out,
                missing: words::missing(&values.missing(&indexes)),
                t_holm: None,
                wilcoxon_holm: None,
            });
        }
    }
    let t = |row: &Row| Some(row.difference.as_ref()?.t_test?.p);
    let wilcoxon = |row: &Row| Some(row.difference.as_ref()?.wilcoxon?.p);
    correct(&mut family, t, |row, p| row.t_holm = Some(p));
    correct(&mut family, wilcoxon, |row, p| row.wilcoxon_holm = Some(p));
    Ok(Family {
        wanted,
        stage_name: stage.name().to_owned(),
        rows: family,
    })
}

/// The four points of two axes of two values each: with the first value of both, the second of the second axis, the second of the
/// first, the second of both. None where there are other axes, or one of the points is not there.
fn square<'a>(stage: &Stage, by: &[Setting], points: &'a [Compared]) -> Option<[&'a Compared; 4]> {
    let [first, second] = by else { return None };
    let two = |setting: &Setting| {
        let axis = stage.axes().iter().find(|axis| axis.setting == *setting)?;
        <&[Value; 2]>::try_from(axis.values.as_slice()).ok()
    };
    let ([a0, a1], [b0, b1]) = (two(first)?, two(second)?);
    let point = |a: &Value, b: &Value| {
        points.iter().find(|(_, values)| {
            let has = |setting: &Setting, value: &Value| {
                let found = values.iter().find(|(of, _)| of == setting);
                found.is_some_and(|(_, found)| found == value)
            };
            has(first, a) && has(second, b)
        })
    };
    Some([point(a0, b0)?, point(a0, b1)?, point(a1, b0)?, point(a1, b1)?])
}

/// The points that record the metric, by their values of the other axes that vary, in the order of the points.
fn strata(stage: &Stage, wanted: &Wanted) -> Vec<Stratum> {
    let mut strata: indexed::Strata = indexed::Strata::default();
    for point in stage.indexes().filter_map(|index| stage.point(index)) {
        if !stage.metrics(point.index).contains(&wanted.metric) {
            continue;
        }
        let (by, others): (Vec<_>, Vec<_>) = point
            .values
            .into_iter()
            .partition(|(setting, _)| wanted.by.contains(setting));
        let varies = |setting: &Setting| {
            let axis = stage.axes().iter().find(|axis| axis.setting == *setting);
            axis.is_some_and(|axis| axis.values.len() > 1) && !stage.is_one_taken(*setting)
        };
        let others = others
            .into_iter()
            .filter(|(setting, _)| varies(setting))
            .collect();
        strata.add(others, (point.index, by));
    }
    strata.all
}

/// Strata in the order in which they first occur.
mod indexed {
    use std::collections::BTreeMap;

    use super::{Compared, Setting, Stratum, Value};

    #[derive(Default)]
    pub(super) struct Strata {
        pub(super) all: Vec<Stratum>,
        places: BTreeMap<Vec<(Setting, Value)>, usize>,
    }

    impl Strata {
        pub(super) fn add(&mut self, stratum: Vec<(Setting, Value)>, point: Compared) {
            let next = self.all.len();
            let place = *self.places.entry(stratum.clone()).or_insert(next);
            if place == next {
                self.all.push((stratum, Vec::new()));
            }
            self.all[place].1.push(point);
        }
    }
}

impl Family {
    /// As a table for terminals, with a caption that says what the numbers are.
    pub fn table(&self) -> String {
        if self.rows.is_empty() {
            return "There is nothing to compare.\n".to_owned();
        }
        let (scale, unit) = match words::unit(self.wanted.metric) {
            Unit::Percent => (100.0, ", in points of a hundred"),
            Unit::Plain => (1.0, ""),
        };
        let number = |value: f64| format!("{:.3}", value * scale);
        let or_none = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        let p = |value: Option<f64>| {
            or_none(value.map(|p| {
                if p < 1e-3 {
                    format!("{p:.1e}")
                } else {
                    format!("{p:.3}")
                }
            }))
        };
        let mut table = Table::new();
        table.load_preset(presets::UTF8_BORDERS_ONLY);
        table.set_header([
            "at",
            "this",
            "than",
            "mean",
            "mean",
            "difference",
            "95 % interval",
            "n",
            "p (t)",
            "Holm",
            "p (Wilcoxon)",
            "Holm",
            "d_z",
            "g_z",
            "left out",
        ]);
        for row in &self.rows {
            let statistics = row.difference.as_ref().map(|difference| difference.statistics);
            let effect = |of: fn(&Difference) -> Option<f64>| {
                or_none(row.difference.as_ref().and_then(of).map(|d| format!("{d:.2}")))
            };
            let [this, than] = match &row.sides {
                Some([this, than]) => [words::terse(this), words::terse(than)],
                None => ["interaction".to_owned(), String::new()],
            };
            let at = if row.stratum.is_empty() {
                String::new()
            } else {
                words::terse(&row.stratum)
            };
            let mean = |mean: Option<f64>| match row.sides {
                Some(_) => or_none(mean.map(number)),
                None => String::new(),
            };
            table.add_row([
                at,
                this,
                than,
                mean(row.means[0]),
                mean(row.means[1]),
                or_none(statistics.map(|of| number(of.mean))),
                or_none(
                    statistics
                        .and_then(|of| of.ci95)
                        .map(|(low, high)| format!("[{}, {}]", number(low), number(high))),
                ),
                statistics.map_or(0, |of| of.n).to_string(),
                p(row
                    .difference
                    .as_ref()
                    .and_then(|of| of.t_test)
                    .map(|test| test.p)),
                p(row.t_holm),
                p(row
                    .difference
                    .as_ref()
                    .and_then(|of| of.wilcoxon)
                    .map(|test| test.p)),
                p(row.wilcoxon_holm),
                effect(|of| of.d_z),
                effect(|of| of.g_z),
                match row.left_out {
                    0 => String::new(),
                    left_out => format!("{left_out} ({})", row.missing),
                },
            ]);
        }
        format!(
            "{}\n{} after epoch {}{unit}: this less than, paired by repetition. p-values are two-sided, beside them corrected \
             for all {} rows (Holm).\n",
            table.trim_fmt(),
            words::metric(self.wanted.metric),
            self.wanted.epoch,
            self.rows.len()
        )
    }

    /// As a table of CSV and LaTeX, with the columns and the rounding of a report's comparisons.
    pub fn document(&self) -> Document {
        let strata: Vec<_> = self.rows.iter().map(|row| row.stratum.as_slice()).collect();
        let sides = self.rows.iter().flat_map(|row| row.sides.iter().flatten());
        let sides: Vec<_> = sides.map(Vec::as_slice).collect();
        let mut sides = words::labels(&sides).into_iter();
        let mut name = |row: &Row| match (&row.sides, self.wanted.by.as_slice()) {
            (None, &[one, other]) => differences::interaction([one, other]),
            _ => {
                let (this, than) = (sides.next(), sides.next());
                format!("{} − {}", this.unwrap_or_default(), than.unwrap_or_default())
            }
        };
        let line = |(row, stratum): (&Row, String)| Line {
            stratum,
            name: name(row),
            means: row.means[0].zip(row.means[1]),
            difference: row.difference.clone(),
            left_out: row.left_out,
            holm: [row.t_holm, row.wilcoxon_holm],
        };
        let strata = words::labels(&strata);
        let lines: Vec<Line> = self.rows.iter().zip(strata).map(line).collect();
        let metric = words::metric(self.wanted.metric);
        let by: Vec<String> = (self.wanted.by.iter())
            .map(|setting| words::plain(setting.name()))
            .collect();
        let label = format!(
            "{}{}-by-{}",
            document::stage_prefix(&self.stage_name),
            words::plain(&metric),
            by.join("-")
        );
        let what = format!("{metric} after epoch {}", self.wanted.epoch);
        differences::table(label, self.wanted.metric, &what, &lines, usize::MAX)
    }

    /// As JSON Lines, `"kind": "comparison"` or `"interaction"`; differences are in the unit of the metric.
    pub fn jsonl(&self) -> String {
        let axes = |values: &[(Setting, Value)]| -> Json {
            let one = |(setting, value): &(Setting, Value)| (setting.name().to_owned(), json!(value));
            Json::Object(values.iter().map(one).collect::<Map<_, _>>())
        };
        let line = |row: &Row| {
            let of = row.difference.as_ref();
            let interval = of.and_then(|of| of.statistics.ci95);
            let sides = row.sides.as_ref();
            let line = json!({
                "v": JSON_VERSION,
                "kind": if sides.is_some() { "comparison" } else { "interaction" },
                "stage": self.wanted.stage,
                "metric": self.wanted.metric.to_string(),
                "epoch": self.wanted.epoch,
                "at": axes(&row.stratum),
                "this": sides.map(|sides| axes(&sides[0])),
                "than": sides.map(|sides| axes(&sides[1])),
                "this_mean": row.means[0],
                "than_mean": row.means[1],
                "n": of.map_or(0, |of| of.statistics.n),
                "difference": of.map(|of| of.statistics.mean),
                "ci95_low": interval.map(|interval| interval.0),
                "ci95_high": interval.map(|interval| interval.1),
                "t": of.and_then(|of| of.t_test),
                "t_holm": row.t_holm,
                "wilcoxon": of.and_then(|of| of.wilcoxon),
                "wilcoxon_holm": row.wilcoxon_holm,
                "d_z": of.and_then(|of| of.d_z),
                "g_z": of.and_then(|of| of.g_z),
                "left_out": row.left_out,
                "missing": row.missing,
            });
            format!("{line}\n")
        };
        self.rows.iter().map(line).collect()
    }
}
