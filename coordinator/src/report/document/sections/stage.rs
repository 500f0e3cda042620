//! A stage: what it is of, then its figures and its tables.

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
        blocks.push(paragraph(format!(
            "Each point was repeated {min} times, and then again until its interval was narrow enough. Such an interval holds the \
             mean somewhat less often than 95 times in 100, as repetitions end sooner where they happen to lie close together."
        )));
    }
    if study.confirms(stage) {
        blocks.push(paragraph(format!(
            "Its {} repetitions are ones that no choice has seen.",
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
