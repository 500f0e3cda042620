//! How fast groups get to where they end: epochs to a threshold, and the error over all epochs.

use tenfold_core::aggregate::{GroupResult, Statistics};
use tenfold_core::compare::{Reach, area, epochs_to, reach};
use tenfold_core::rounding::significant;

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

/// A table of groups, where the metric is an error, there are several repetitions, and not too many groups.
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
    ];
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for (result, cells) in results.iter().zip(&labels.cells) {
        let Some(course) = Course::of(study, result) else {
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
    let metric = words::metric(metric);
    vec![
        Block::Heading(3, "How fast".to_owned()),
        Block::Table(Table {
            name: format!("{}speed", stage.prefix()),
            caption: format!(
                "Epochs until the {metric} of a repetition is first within a point of a hundred of the group's mean after the last \
                 epoch: the median over the repetitions, with an interval that holds it with 95 % chance at least, whatever the \
                 distribution, and the extremes. Beside them the {metric} as a mean over all epochs (the area under its curve by \
                 trapezoids, over the epochs between the first and the last), a single number for the whole course."
            ),
            columns,
            strong: Vec::new(),
            rows,
            header: header.map(str::to_owned).to_vec(),
            values,
        }),
    ]
}

/// The course of a group's repetitions.
struct Course {
    threshold: f64,
    reach: Reach,
    /// Epochs of those that reach the threshold.
    epochs: Vec<u32>,
    level: Statistics,
}

impl Course {
    /// None for a group without a succeeded trial. Its trials are those of its point.
    fn of(study: &Study, result: &GroupResult) -> Option<Self> {
        let metric = study.metric();
        let answers = study.answers();
        let threshold = rank(last(result, metric)?, answers).plus_thousandths(NEAR);
        let here = study.trials.iter().filter(|trial| {
            (trial.key.stage, trial.key.index) == (result.group.stage, result.group.index)
                && trial.state == "succeeded"
        });
        let (mut epochs, mut levels) = (Vec::new(), Vec::new());
        for trial in here {
            let column: Vec<f64> = trial
                .curve
                .column(metric)?
                .iter()
                .copied()
                .map(f64::from)
                .collect();
            epochs.push(epochs_to(&column, threshold, answers));
            let between = column.len().saturating_sub(1).max(1);
            levels.push(area(&column)? / between as f64);
        }
        Some(Self {
            threshold: threshold.value(),
            reach: reach(&epochs)?,
            epochs: epochs.into_iter().flatten().collect(),
            level: Statistics::of(&levels)?,
        })
    }

    fn cells(&self) -> [String; 6] {
        let none = || "–".to_owned();
        let interval = self.reach.interval.map_or_else(none, |interval| {
            let high = interval
                .high
                .map_or_else(|| "never".to_owned(), |high| high.to_string());
            format!("[{}, {high}]", interval.low)
        });
        let most = match self.reach.censored {
            0 => self.epochs.iter().max().map_or_else(none, u32::to_string),
            censored => format!("never ({censored} of {})", self.reach.n),
        };
        [
            self.reach.median.map_or_else(none, |median| median.to_string()),
            interval,
            self.epochs.iter().min().map_or_else(none, u32::to_string),
            most,
            words::quantity(self.level.mean, Unit::Percent, 2),
            words::interval(&self.level, Unit::Percent, 2),
        ]
    }

    fn values(&self, point: u64) -> Vec<String> {
        let or_nothing = |value: Option<f64>| {
            value
                .map(|value| significant(value).to_string())
                .unwrap_or_default()
        };
        let interval = self.reach.interval;
        let ci95 = self.level.ci95;
        vec![
            point.to_string(),
            self.reach.n.to_string(),
            significant(self.threshold).to_string(),
            or_nothing(self.reach.median),
            or_nothing(interval.map(|interval| interval.low)),
            or_nothing(interval.and_then(|interval| interval.high)),
            or_nothing(interval.map(|interval| interval.coverage)),
            self.epochs.iter().min().map(u32::to_string).unwrap_or_default(),
            self.epochs.iter().max().map(u32::to_string).unwrap_or_default(),
            self.reach.censored.to_string(),
            significant(self.level.mean).to_string(),
            or_nothing(ci95.map(|(low, _)| low)),
            or_nothing(ci95.map(|(_, high)| high)),
        ]
    }
}
