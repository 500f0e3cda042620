//! How fast groups get to where they end: epochs to a threshold, and the error over all epochs.

use tenfold_core::aggregate::{GroupResult, Statistics};
use tenfold_core::compare::{Reach, area, epochs_to, reach};
use tenfold_core::rank::Rank;
use tenfold_core::rounding::significant;
use tenfold_types::Metric;

use super::super::super::last::{last, rank};
use super::super::super::words::{self, Labels, Unit};
use super::super::{Block, Column, Table};
use super::{StageOf, Study};

/// Groups on the page: of more a table is no help.
const MAX_ROWS: usize = 60;
/// Epochs from which on a course can be spoken of.
const EPOCHS: u32 = 10;
/// How near to its last mean a group has to come, in thousandths: a point of a hundred.
const NEAR: u32 = 10;

/// A table of groups, where the metric is an error, there are several repetitions, and not too many groups. Groups of several
/// points have no row: a report is by point, and an epoch at which a mean over networks passes a threshold is no epoch of any.
pub(super) fn blocks(study: &Study, stage: &StageOf, results: &[&GroupResult]) -> Vec<Block> {
    let metric = study.metric();
    let told = matches!(words::unit(metric), Unit::Percent)
        && stage.epochs >= EPOCHS
        && stage.repetitions >= 2
        && results.len() <= MAX_ROWS;
    if !told {
        return Vec::new();
    }
    let labels = Labels::of(results.iter().map(|result| &result.group));
    let mut columns: Vec<Column> = labels
        .varying
        .iter()
        .map(|&setting| Column::words(words::setting(setting)))
        .collect();
    columns.extend([
        Column::number("epochs, median"),
        Column::number("interval"),
        Column::number("least"),
        Column::number("most"),
    ]);
    let common = common_threshold(results, metric, study.answers());
    columns.extend(common.map(|common| {
        Column::number(format!(
            "epochs to {}, median",
            words::quantity(common.value(), Unit::Percent, 2)
        ))
    }));
    columns.extend([
        Column::number("mean over all epochs"),
        Column::number("95 % interval"),
    ]);
    let header = [
        "point",
        "n",
        "threshold",
        "median_epochs",
        "interval_low",
        "interval_high",
        "coverage",
        "least_epochs",
        "most_epochs",
        "never",
        "mean_over_epochs",
        "ci95_low",
        "ci95_high",
        "learned",
        "common_threshold",
        "common_median_epochs",
        "common_interval_low",
        "common_interval_high",
        "common_coverage",
        "common_never",
    ];
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for (result, cells) in results.iter().zip(&labels.cells) {
        let Some(course) = Course::of(study, result, common) else {
            continue;
        };
        let mut row = cells.clone();
        row.extend(course.cells());
        rows.push(row);
        values.push(course.values(result.group.index));
    }
    if rows.is_empty() {
        return Vec::new();
    }
    vec![
        Block::Heading(3, "How fast".to_owned()),
        Block::Table(Table {
            name: format!("{}speed", stage.prefix()),
            caption: caption(&words::metric(metric), common.map(|common| common.value())) + &explained(&rows),
            columns,
            strong: Vec::new(),
            rows,
            header: header.map(str::to_owned).to_vec(),
            values,
        }),
    ]
}

fn caption(metric: &str, common: Option<f64>) -> String {
    let mut caption = format!(
        "Epochs until the {metric} of a repetition is first within a point of a hundred of the group's own mean after the last \
         epoch: the median over the repetitions, with an interval that holds it with 95 % chance at least, whatever the \
         distribution, and the extremes. Each group has a threshold of its own there, so these numbers do not compare groups."
    );
    if let Some(common) = common {
        caption += &format!(
            " What does is the median of the epochs to {}, the same for all: a point above the median of the last means of the \
             groups that learned (of an even number the higher of the middle two).",
            words::quantity(common, Unit::Percent, 2)
        );
    }
    caption
        + &format!(
            " Beside them the {metric} as a mean over all epochs (the area under its curve by trapezoids, over the epochs between \
             the first and the last), a single number for the whole course."
        )
}

/// What the signs in the cells mean, as far as there are any.
fn explained(rows: &[Vec<String>]) -> String {
    let has = |is: fn(&String) -> bool| rows.iter().flatten().any(is);
    let mut text = String::new();
    if has(|cell| cell == "–") {
        text += " –: a group whose mean after the last epoch is not more than a point below that after the first has no epochs to \
                 speak of, as it has either not learned or learned in its first epoch; elsewhere half of the repetitions or more \
                 never reach the threshold, or there are fewer than six for an interval.";
    }
    if has(|cell| cell.ends_with(words::CUT)) {
        text.push(' ');
        text += words::CUT_INTERVAL;
    }
    text
}

/// Whether a group's mean after the last epoch is more than a point below that after the first. Else it is within a point of its
/// end from the beginning, and the first epoch at which it is says nothing.
fn has_learned(result: &GroupResult, metric: Metric, answers: Option<u32>) -> bool {
    let first = || {
        let column = result.metrics.iter().position(|&of| of == metric)?;
        result.epochs.first()?.get(column)
    };
    let ends = first().zip(last(result, metric));
    ends.is_some_and(|(first, last)| rank(first, answers) > rank(last, answers).plus_thousandths(NEAR))
}

/// A threshold for all groups: a point above the median of the last means of those that learned, of two medians the higher, so
/// that half of these groups reach it or more. None where fewer than two have learned.
fn common_threshold(results: &[&GroupResult], metric: Metric, answers: Option<u32>) -> Option<Rank> {
    let learned = results
        .iter()
        .filter(|result| has_learned(result, metric, answers));
    let mut means: Vec<Rank> = learned
        .filter_map(|result| Some(rank(last(result, metric)?, answers)))
        .collect();
    means.sort_unstable();
    let median = means.get(means.len() / 2).filter(|_| means.len() >= 2);
    median.map(|median| median.plus_thousandths(NEAR))
}

/// The course of a group's repetitions.
struct Course {
    threshold: f64,
    /// None for a group that has not learned.
    own: Option<Reach>,
    /// Epochs of those that reach the threshold.
    epochs: Vec<u32>,
    /// A threshold for all groups, with what becomes of this one.
    common: Option<(f64, Option<Reach>)>,
    level: Statistics,
}

impl Course {
    /// None for a group without a succeeded trial, and for one of several points.
    fn of(study: &Study, result: &GroupResult, common: Option<Rank>) -> Option<Self> {
        if result.group.sample.is_pooled() {
            return None;
        }
        let metric = study.metric();
        let answers = study.answers();
        let threshold = rank(last(result, metric)?, answers).plus_thousandths(NEAR);
        let here = study.trials.iter().filter(|trial| {
            (trial.key.stage, trial.key.index) == (result.group.stage, result.group.index)
                && trial.state == "succeeded"
        });
        let (mut epochs, mut to_common, mut levels) = (Vec::new(), Vec::new(), Vec::new());
        for trial in here {
            let column: Vec<f64> = trial
                .curve
                .column(metric)?
                .iter()
                .copied()
                .map(f64::from)
                .collect();
            epochs.push(epochs_to(&column, threshold, answers));
            to_common.extend(common.map(|common| epochs_to(&column, common, answers)));
            let between = column.len().saturating_sub(1).max(1);
            levels.push(area(&column)? / between as f64);
        }
        let learned = has_learned(result, metric, answers);
        let reach = |epochs: &[Option<u32>]| reach(epochs).filter(|_| learned);
        Some(Self {
            threshold: threshold.value(),
            own: reach(&epochs),
            epochs: epochs.into_iter().flatten().filter(|_| learned).collect(),
            common: common.map(|common| (common.value(), reach(&to_common))),
            level: Statistics::of(&levels)?,
        })
    }

    fn cells(&self) -> Vec<String> {
        let none = || "–".to_owned();
        let own = self.own.as_ref();
        let interval = own.and_then(|own| own.interval).map_or_else(none, |interval| {
            let high = interval
                .high
                .map_or_else(|| "never".to_owned(), |high| high.to_string());
            format!("[{}, {high}]", interval.low)
        });
        let most = match own {
            Some(own) if own.censored > 0 => format!("never ({} of {})", own.censored, own.n),
            _ => self.epochs.iter().max().map_or_else(none, u32::to_string),
        };
        let mut cells = vec![
            own.and_then(|own| own.median)
                .map_or_else(none, |median| median.to_string()),
            interval,
            self.epochs.iter().min().map_or_else(none, u32::to_string),
            most,
        ];
        cells.extend(self.common.as_ref().map(|(_, reach)| {
            let Some(reach) = reach else { return none() };
            let never = match reach.censored {
                0 => String::new(),
                censored => format!("never ({censored} of {})", reach.n),
            };
            match (reach.median, never.as_str()) {
                (Some(median), "") => median.to_string(),
                (Some(median), never) => format!("{median}; {never}"),
                (None, _) => never,
            }
        }));
        cells.extend([
            words::quantity(self.level.mean, Unit::Percent, 2),
            words::mean_interval(&self.level, Unit::Percent, 2),
        ]);
        cells
    }

    fn values(&self, point: u64) -> Vec<String> {
        let or_nothing = |value: Option<f64>| {
            value
                .map(|value| significant(value).to_string())
                .unwrap_or_default()
        };
        let own = self.own.as_ref();
        let interval = own.and_then(|own| own.interval);
        let ci95 = self.level.ci95;
        let common = self.common.as_ref();
        let reached = common.and_then(|(_, reach)| reach.as_ref());
        let between = reached.and_then(|reach| reach.interval);
        vec![
            point.to_string(),
            self.level.n.to_string(),
            significant(self.threshold).to_string(),
            or_nothing(own.and_then(|own| own.median)),
            or_nothing(interval.map(|interval| interval.low)),
            or_nothing(interval.and_then(|interval| interval.high)),
            or_nothing(interval.map(|interval| interval.coverage)),
            self.epochs.iter().min().map(u32::to_string).unwrap_or_default(),
            self.epochs.iter().max().map(u32::to_string).unwrap_or_default(),
            own.map(|own| own.censored.to_string()).unwrap_or_default(),
            significant(self.level.mean).to_string(),
            or_nothing(ci95.map(|(low, _)| low)),
            or_nothing(ci95.map(|(_, high)| high)),
            own.is_some().to_string(),
            or_nothing(common.map(|(threshold, _)| *threshold)),
            or_nothing(reached.and_then(|reach| reach.median)),
            or_nothing(between.map(|interval| interval.low)),
            or_nothing(between.and_then(|interval| interval.high)),
            or_nothing(between.map(|interval| interval.coverage)),
            reached
                .map(|reach| reach.censored.to_string())
                .unwrap_or_default(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use tenfold_types::{Curve, Setting, TrialKey, Value};

    use super::super::super::super::raw::TrialCurveRow;
    use super::super::super::super::samples::{curve, group, result};
    use super::*;

    /// A table of groups with these test errors, the same in six repetitions but for a little.
    fn table(errors: &[fn(u16) -> f32]) -> Table {
        let stage = StageOf {
            points: errors.len() as u64,
            repetitions: 6,
            epochs: 12,
            ..StageOf::default()
        };
        let mut study = Study::default();
        for (index, error) in (0..).zip(errors) {
            let values = vec![(Setting::LearningRate, Value::Float(0.1 / (index + 1) as f64))];
            let column =
                |repetition: u16| (1..=12).map(move |epoch| error(epoch) + f32::from(repetition) / 1e4);
            let curves: Vec<Curve> = (0..6)
                .map(|repetition| column(repetition).collect::<Vec<f32>>())
                .map(|column| curve(&column, &column))
                .collect();
            for (repetition, curve) in (0..).zip(&curves) {
                study.trials.push(TrialCurveRow {
                    key: TrialKey {
                        stage: 0,
                        index,
                        repetition,
                    },
                    values: values.clone(),
                    state: "succeeded".to_owned(),
                    curve: curve.clone(),
                    provenance: None,
                });
            }
            study.results.push(result(group(index, values, 6), &curves));
        }
        let results = study.of_stage(&stage);
        let mut blocks = blocks(&study, &stage, &results);
        match blocks.pop() {
            Some(Block::Table(table)) => table,
            other => panic!("no table: {other:?}"),
        }
    }

    fn cell<'a>(table: &'a Table, row: usize, column: &str) -> &'a str {
        let at = table
            .columns
            .iter()
            .position(|of| of.title.starts_with(column))
            .unwrap();
        &table.rows[row][at]
    }

    #[test]
    fn a_group_that_has_not_learned_has_no_epochs_to_reach() {
        let table = table(&[|_| 0.48, |epoch| 0.5 / f32::from(epoch)]);
        for column in ["epochs, median", "interval", "least", "most"] {
            assert_eq!(cell(&table, 0, column), "–", "{column}");
            assert_ne!(cell(&table, 1, column), "–", "{column}");
        }
        assert!(cell(&table, 0, "mean over").starts_with("48."));
        assert!(
            table.caption.contains("–: a group whose mean"),
            "{}",
            table.caption
        );
        let learned = table.header.iter().position(|name| name == "learned").unwrap();
        assert_eq!(
            (
                table.values[0][learned].as_str(),
                table.values[1][learned].as_str()
            ),
            ("false", "true")
        );
    }

    #[test]
    fn a_common_threshold_tells_a_slow_group_from_a_fast_one() {
        // Both reach a point above their own ends late, but one is at the other's end in epoch 3.
        let fast: fn(u16) -> f32 = |epoch| 0.6 / f32::from(epoch);
        let slow: fn(u16) -> f32 = |epoch| 0.5 - f32::from(epoch) / 40.0;
        let table = table(&[fast, slow, slow]);
        assert_eq!(cell(&table, 0, "epochs to 21"), "3");
        assert_eq!(cell(&table, 1, "epochs to 21"), "12");
        assert_eq!(cell(&table, 1, "epochs, median"), "12");
        assert!(table.caption.contains("the same for all"), "{}", table.caption);
        assert!(!table.caption.contains("–:"), "{}", table.caption);
    }
}
