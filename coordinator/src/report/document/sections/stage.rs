//! A stage: what it is of, then its figures and its tables.

use tenfold_core::sweep::coverage_at_stop;

use super::super::super::facet::numeric;
use super::super::super::words::Labels;
use super::super::{Block, paragraph};
use super::{StageOf, Study, comparisons, curves, groups, sensitivity, speed};

pub(super) fn blocks(study: &Study, stage: &StageOf) -> Vec<Block> {
    let mut blocks = vec![Block::Heading(2, stage.heading())];
    let results = study.of_stage(stage);
    if results.iter().all(|result| result.epochs.is_empty()) {
        blocks.push(paragraph("No trial of it has succeeded."));
        return blocks;
    }
    let common = Labels::of(results.iter().map(|result| &result.group)).common;
    if !common.is_empty() {
        blocks.push(paragraph(format!("Everywhere: {common}.")));
    }
    if let Some(min) = stage.min_repetitions {
        let coverage = coverage_at_stop(min);
        blocks.push(paragraph(format!(
            "Each point was repeated {min} times, and then again until its interval was narrow enough. Repetitions end sooner where they \
             happen to lie close together, so such an interval holds the mean less often than 95 times in 100: with {min} repetitions \
             at least, {:.0} times in 100 at worst where values are normal, and {:.0} where they are as skewed as exponential ones \
             (simulated; docs/search.md).",
            100.0 * coverage.normal,
            100.0 * coverage.skewed
        )));
    }
    if study.confirms(stage) {
        blocks.push(paragraph(format!(
            "Its {} repetitions are ones that no earlier choice has seen.",
            stage.repetitions
        )));
    }
    for setting in numeric(&results) {
        blocks.extend(sensitivity::blocks(study, stage, &results, setting));
    }
    blocks.extend(curves::blocks(study, stage, &results));
    blocks.extend(comparisons::blocks(study, stage, &results));
    blocks.extend(speed::blocks(study, stage, &results));
    blocks.extend(groups::blocks(study, stage, &results));
    blocks
}
