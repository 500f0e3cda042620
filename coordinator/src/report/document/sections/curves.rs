//! Curves: the metric and its counterpart in training against epochs.

use tenfold_core::aggregate::GroupResult;
use tenfold_types::{Metric, Setting};

use super::super::super::facet::{MAX_LINES, layout, numeric, split, varying};
use super::super::super::figure::{CurvesOptions, curves_figure, multiples};
use super::super::super::last::{best, last};
use super::super::super::words::{self, sentence};
use super::super::{Block, Picture, paragraph};
use super::{StageOf, Study};

/// Lines of one setting alone in one figure: they are read in order, as rates are.
const MAX_OF_ONE: usize = 12;

pub(super) fn blocks(study: &Study, stage: &StageOf, results: &[&GroupResult]) -> Vec<Block> {
    let mut blocks = vec![Block::Heading(3, "Curves".to_owned())];
    let settings = varying(results);
    let numbers = numeric(results);
    let most = if settings.len() == 1 {
        MAX_OF_ONE
    } else {
        MAX_LINES
    };
    let panels = |results: &[&GroupResult], settings: &[Setting]| {
        let layout = layout(results, settings);
        let lines = split(results, &layout.lines).labels.len();
        !layout.panels.is_empty() && (2..=MAX_LINES).contains(&lines)
    };
    // Of many groups those at the best of each setting with numbers, which has a figure of its own.
    let many = results.len() > most && !panels(results, &settings);
    let (shown, settings) = if many && !numbers.is_empty() {
        let others: Vec<Setting> = settings
            .into_iter()
            .filter(|setting| !numbers.contains(setting))
            .collect();
        let shown = best_of_each(results, &others, study);
        let names: Vec<&str> = numbers.iter().map(|&setting| words::setting(setting)).collect();
        blocks.push(paragraph(format!(
            "Shown are {} of {} groups: for each combination of the other axes the one whose {} is lowest after the last epoch, over \
             every {}.",
            shown.len(),
            results.len(),
            words::metric(study.metric()),
            names.join(" and ")
        )));
        (shown, others)
    } else {
        (results.to_vec(), settings)
    };
    let title = |what: &str| match stage.name.as_str() {
        "" => what.to_owned(),
        name => format!("{what}, stage {name}"),
    };
    let metrics = metrics(study.metric());
    if shown.len() <= most && !panels(&shown, &settings) {
        let options = CurvesOptions {
            title: title(&format!("{} against epochs", sentence(&both(&metrics)))),
            metrics,
        };
        let shown: Vec<GroupResult> = shown.into_iter().cloned().collect();
        let name = format!("{}curves", stage.prefix());
        blocks.push(Block::Figure(Picture::of(name, curves_figure(&shown, &options))));
        return blocks;
    }
    for metric in metrics.into_iter().rev() {
        let title = title(&format!("{} against epochs", sentence(&words::metric(metric))));
        let figures = multiples(&shown, &settings, metric, &title);
        if figures.is_empty() {
            blocks.push(paragraph(format!(
                "There is no figure of the {}: {} groups would be more than anybody can read.",
                words::metric(metric),
                shown.len()
            )));
        }
        let count = figures.len();
        for (at, figure) in figures.into_iter().enumerate() {
            let mut name = format!("{}curves-{}", stage.prefix(), words::plain(&metric.to_string()));
            if count > 1 {
                name += &format!("-{}", at + 1);
            }
            blocks.push(Block::Figure(Picture::of(name, figure)));
        }
    }
    blocks
}

/// A metric of testing comes beside the same of training.
fn metrics(metric: Metric) -> Vec<Metric> {
    match metric {
        Metric::TrainError | Metric::TestError => vec![Metric::TrainError, Metric::TestError],
        Metric::TrainLoss | Metric::TestLoss => vec![Metric::TrainLoss, Metric::TestLoss],
        Metric::TestDigitError(_) => vec![metric],
    }
}

fn both(metrics: &[Metric]) -> String {
    let names: Vec<String> = metrics.iter().map(|&metric| words::metric(metric)).collect();
    names.join(" and ")
}

/// Of the groups that are alike in some settings the best; in the order of the first of each.
fn best_of_each<'a>(
    results: &[&'a GroupResult],
    settings: &[Setting],
    study: &Study,
) -> Vec<&'a GroupResult> {
    let metric = study.metric();
    let parts = split(results, settings);
    let of = |part: usize| {
        let here: Vec<&GroupResult> = results
            .iter()
            .zip(&parts.part)
            .filter(|&(result, &of)| of == part && last(result, metric).is_some())
            .map(|(result, _)| *result)
            .collect();
        let at = best(here.iter().copied(), metric, study.answers())?;
        here.get(at).copied()
    };
    (0..parts.labels.len()).filter_map(of).collect()
}
