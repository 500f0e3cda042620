//! Comparisons of the points of a stage, in pairs.

mod rows;

use comfy_table::{Table, presets};
use serde_json::{Value as Json, json};
use tenfold_core::compare::{Comparison, Difference};
use tenfold_core::sweep::Stage;
use tenfold_types::{Metric, Setting, Value};

use super::JSON_VERSION;
use super::document::differences::{self, dashes, rates};
use super::document::family::{Compared as Line, Corrected, Distinct, Diverged, counted};
use super::document::{self, Table as Document};
use super::raw::TrialCurveRow;
use super::values::Values;
use super::words::{self, Unit};

/// The most comparisons of one family.
const MAX_COMPARISONS: usize = 10_000;
/// From more rows on, comparing with one reference alone is suggested: all pairs of 10 values.
const MANY_ROWS: usize = 45;

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
    /// The values of these axes that all others are compared with; all are compared with one another where there are none.
    pub against: Option<Vec<(Setting, Value)>>,
}

/// A family of comparisons.
#[derive(Debug, Clone)]
pub struct Family {
    wanted: Wanted,
    stage_name: String,
    /// What each row of `corrected` is of.
    rows: Vec<Row>,
    corrected: Corrected,
    /// Points that do not record the metric.
    unrecorded: u64,
    /// Sets of points, equal in all that is not compared, without the point that others are compared with.
    without_reference: u64,
    /// How many rows a comparison with one reference would have at most.
    with_one_reference: usize,
}

/// Two points that differ in nothing but the axes that are compared; or an interaction at equal other values.
#[derive(Debug, Clone)]
struct Row {
    stratum: Vec<(Setting, Value)>,
    /// None for both in an interaction.
    sides: Option<[Vec<(Setting, Value)>; 2]>,
}

/// A point: its index, the values compared.
pub(super) type Compared = (u64, Vec<(Setting, Value)>);
/// The values that points have in common, and the points.
type Stratum = (Vec<(Setting, Value)>, Vec<Compared>);

/// Compares all pairs of values of some axes where all other values are equal, the later with the earlier, or all values with one of
/// them; and where all pairs of two axes of two values each are compared, how one depends on the other. Of points that are the same
/// network the first is compared. The Holm corrections are over all rows.
///
/// # Errors
/// What is wrong with the request, in words.
pub fn family(
    stage: &Stage,
    wanted: Wanted,
    rows: &[TrialCurveRow],
    finished: bool,
) -> Result<Family, String> {
    let values = Values::of(
        rows,
        wanted.stage,
        wanted.metric,
        wanted.epoch,
        stage.repetitions(),
    )
    .run_as(stage)
    .of_finished(finished);
    let (strata, unrecorded) = strata(stage, &wanted.by, wanted.metric);
    let points = strata
        .iter()
        .flat_map(|(_, points)| points)
        .map(|(index, _)| *index);
    let mut family = Builder {
        values: &values,
        distinct: Distinct::of(Some(stage), points),
        rows: Vec::new(),
        lines: Vec::new(),
    };
    let (mut without_reference, mut contrast) = (0, None);
    for (stratum, points) in &strata {
        let pairs = match wanted.against {
            Some(_) => points.len(),
            None => points.len() * points.len().saturating_sub(1) / 2,
        };
        if family.rows.len() + pairs > MAX_COMPARISONS {
            return Err(format!(
                "these are more than {MAX_COMPARISONS} comparisons; compare axes with fewer values, or each value with one alone: \
                 --against"
            ));
        }
        if let Some(against) = &wanted.against {
            match points.iter().find(|(_, values)| values == against) {
                Some(than) => points.iter().for_each(|this| family.pair(stratum, this, than)),
                None => without_reference += 1,
            }
            continue;
        }
        for (at, than) in points.iter().enumerate() {
            points[at + 1..]
                .iter()
                .for_each(|this| family.pair(stratum, this, than));
        }
        if let Some([neither, second, first, both]) = square(stage, &wanted.by, points) {
            let sides = [both, first, second, neither];
            let names = words::labels(&sides.map(|(_, values)| values.as_slice()));
            if let Ok(names) = <[String; 4]>::try_from(names) {
                let names = names.each_ref().map(String::as_str);
                contrast.get_or_insert_with(|| differences::contrast(names));
            }
            family.interaction(stratum, sides.map(|(index, _)| *index));
        }
    }
    Ok(Family {
        stage_name: stage.name().to_owned(),
        unrecorded,
        without_reference,
        with_one_reference: strata
            .iter()
            .map(|(_, points)| points.len().saturating_sub(1))
            .sum(),
        corrected: Corrected::of(family.lines, family.distinct.left_out, contrast)
            .named(&family.rows, &wanted.by),
        rows: family.rows,
        wanted,
    })
}

/// Collects the rows of a family.
struct Builder<'a> {
    values: &'a Values,
    distinct: Distinct,
    rows: Vec<Row>,
    lines: Vec<Line>,
}

impl Builder<'_> {
    /// Appends the comparison of two points, unless it is the same as one before or of a point with itself.
    fn pair(&mut self, stratum: &[(Setting, Value)], this: &Compared, than: &Compared) {
        let points = [this.0, than.0];
        if this.0 == than.0 || !self.distinct.is_new(&[(this.0, 1), (than.0, -1)]) {
            return;
        }
        let [of_this, of_than] = points.map(|point| self.values.point(point));
        let comparison = Comparison::of(&of_this, &of_than);
        let [this_diverged, than_diverged] = points.map(|point| self.values.diverged(point));
        self.lines.push(Line {
            means: comparison.this_mean.zip(comparison.than_mean),
            diverged: Some(Diverged::of(&this_diverged, &than_diverged)),
            ..self.line(&points, comparison.difference)
        });
        self.rows.push(Row {
            stratum: stratum.to_vec(),
            sides: Some([this.1.clone(), than.1.clone()]),
        });
    }

    /// Appends the interaction of four points: with both, with the first alone, with the second alone, with neither.
    fn interaction(&mut self, stratum: &[(Setting, Value)], points: [u64; 4]) {
        let [both, first, second, neither] = points;
        let terms = [(both, 1), (first, -1), (second, -1), (neither, 1)];
        if !self.distinct.is_new(&terms) {
            return;
        }
        let [both, first, second, neither] = points.map(|point| self.values.point(point));
        let (difference, _) = Difference::interaction(&both, &first, &second, &neither);
        self.lines.push(Line {
            is_interaction: true,
            ..self.line(&points, difference)
        });
        self.rows.push(Row {
            stratum: stratum.to_vec(),
            sides: None,
        });
    }

    fn line(&self, points: &[u64], difference: Option<Difference>) -> Line {
        Line {
            stratum: String::new(),
            name: String::new(),
            is_interaction: false,
            means: None,
            difference,
            planned: self.values.planned(points),
            missing: self.values.missing(points),
            diverged: None,
            holm: [None, None],
        }
    }
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

/// The points that record a metric, by their values of the other axes that vary, in the order of the points; and how many do not
/// record it.
pub(super) fn strata(stage: &Stage, by: &[Setting], metric: Metric) -> (Vec<Stratum>, u64) {
    let mut strata: indexed::Strata = indexed::Strata::default();
    let mut unrecorded = 0;
    for point in stage.indexes().filter_map(|index| stage.point(index)) {
        if !stage.metrics(point.index).contains(&metric) {
            unrecorded += 1;
            continue;
        }
        let (by, others): (Vec<_>, Vec<_>) = point
            .values
            .into_iter()
            .partition(|(setting, _)| by.contains(setting));
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
    (strata.all, unrecorded)
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

impl Corrected {
    /// The same with names of rows and of what each has in common with others.
    fn named(mut self, rows: &[Row], by: &[Setting]) -> Self {
        let strata: Vec<_> = rows.iter().map(|row| row.stratum.as_slice()).collect();
        let sides = rows.iter().flat_map(|row| row.sides.iter().flatten());
        let sides: Vec<_> = sides.map(Vec::as_slice).collect();
        let mut sides = words::labels(&sides).into_iter();
        let mut name = |row: &Row| match (&row.sides, by) {
            (None, &[one, other]) => differences::interaction([one, other]),
            _ => {
                let (this, than) = (sides.next(), sides.next());
                format!("{} − {}", this.unwrap_or_default(), than.unwrap_or_default())
            }
        };
        for ((line, row), stratum) in self.rows.iter_mut().zip(rows).zip(words::labels(&strata)) {
            line.name = name(row);
            line.stratum = stratum;
        }
        self
    }
}

impl Family {
    /// As a table for terminals, with what the numbers are below it.
    pub fn table(&self) -> String {
        if self.rows.is_empty() {
            let notes = match self.corrected.same {
                0 => self.asides(),
                _ => [
                    vec!["All points that would be compared are the same network.".to_owned()],
                    self.asides(),
                ]
                .concat(),
            };
            return format!("There is nothing to compare. {}", notes.join(" "))
                .trim_end()
                .to_owned()
                + "\n";
        }
        let (scale, unit) = match words::unit(self.wanted.metric) {
            Unit::Percent => (100.0, ", in percentage points"),
            Unit::Plain => (1.0, ""),
        };
        let corrected = self.corrected.impossible().is_none();
        let missing = self.corrected.rows.iter().any(|line| line.left_out() > 0);
        let diverged = self.corrected.has_diverged();
        let mut header = vec![
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
        ];
        header.push("p (Wilcoxon)");
        header.extend(corrected.then_some("Holm"));
        header.extend(["d_z", "g_z"]);
        header.extend(missing.then_some("missing"));
        header.extend(
            diverged
                .then_some(["diverged", "p (diverged)"])
                .into_iter()
                .flatten(),
        );
        let all = self.rows.iter().zip(&self.corrected.rows);
        let cells = |(row, line): (&Row, &Line)| {
            let mut cells = rows::cells(row, line, scale, corrected);
            cells.extend(missing.then(|| words::missing(&line.missing)));
            cells.extend(diverged.then(|| rates(line)).into_iter().flatten());
            cells
        };
        let cells: Vec<Vec<String>> = all.map(cells).collect();
        let mut notes = vec![format!(
            "{} after epoch {}{unit}: this less than, paired by repetition.",
            words::sentence(&words::metric(self.wanted.metric)),
            self.wanted.epoch
        )];
        notes.extend(self.corrected.notes());
        if missing {
            notes.push("Missing are trials that did not succeed; the difference is of the other pairs, and may be biased.".to_owned());
        }
        notes.extend(self.asides());
        notes.extend(dashes(&cells, &self.corrected.rows));
        let mut table = Table::new();
        table.load_preset(presets::UTF8_BORDERS_ONLY);
        table.set_header(header);
        table.add_rows(cells);
        format!("{}\n{}\n", table.trim_fmt(), notes.join("\n"))
    }

    /// What is to be said of points that are in no row, and of too many rows.
    fn asides(&self) -> Vec<String> {
        let mut asides = Vec::new();
        match self.unrecorded {
            0 => {}
            1 => asides.push(format!(
                "1 point does not record {}, and is not compared.",
                self.wanted.metric
            )),
            n => asides.push(format!(
                "{n} points do not record {}, and are not compared.",
                self.wanted.metric
            )),
        }
        if let (1.., Some(against)) = (self.without_reference, &self.wanted.against) {
            asides.push(format!(
                "Nothing is compared with {} at {} that do not have it.",
                words::terse(against),
                match self.without_reference {
                    1 => "1 combination of the other values".to_owned(),
                    n => format!("{n} combinations of the other values"),
                }
            ));
        }
        if self.wanted.against.is_none() && self.rows.len() > MANY_ROWS {
            let values: Vec<String> = match self.wanted.by.as_slice() {
                [_] => vec!["VALUE".to_owned()],
                by => by
                    .iter()
                    .map(|setting| format!("{}=VALUE", setting.name()))
                    .collect(),
            };
            asides.push(format!(
                "The more rows, the more is taken off each: --against {} compares with one reference alone, {} at most.",
                values.join(","),
                counted(self.with_one_reference)
            ));
        }
        asides
    }

    /// As a table of CSV and LaTeX, with the columns and the rounding of a report's comparisons.
    pub fn document(&self) -> Document {
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
        let mut table = differences::table(label, self.wanted.metric, &what, &self.corrected, usize::MAX);
        for aside in self.asides() {
            table.caption += " ";
            table.caption += &aside;
        }
        table
    }

    /// As JSON Lines, `"kind": "comparison"` or `"interaction"`, and `"comparison_family"` where there is no row; differences are in
    /// the unit of the metric.
    pub fn jsonl(&self) -> String {
        let least = self.corrected.least().map(|least| least.p);
        if self.rows.is_empty() {
            let line = json!({
                "v": JSON_VERSION,
                "kind": "comparison_family",
                "stage": self.wanted.stage,
                "metric": self.wanted.metric.to_string(),
                "epoch": self.wanted.epoch,
                "family_rows": 0,
                "same_network_left_out": self.corrected.same,
                "points_without_the_metric": self.unrecorded,
            });
            return format!("{line}\n");
        }
        let line = |(row, line): (&Row, &Line)| {
            let mut json = rows::json(row, line);
            let of_family = json!({
                "v": JSON_VERSION,
                "stage": self.wanted.stage,
                "metric": self.wanted.metric.to_string(),
                "epoch": self.wanted.epoch,
                "family_rows": self.rows.len(),
                "wilcoxon_holm_least": least,
                "same_network_left_out": self.corrected.same,
                "points_without_the_metric": self.unrecorded,
            });
            if let (Json::Object(json), Json::Object(of_family)) = (&mut json, of_family) {
                json.extend(of_family);
            }
            format!("{json}\n")
        };
        self.rows.iter().zip(&self.corrected.rows).map(line).collect()
    }
}
