//! Trials that count nowhere, and why.

use super::super::super::raw::TrialCurveRow;
use super::super::super::words::terse;
use super::super::{Block, Column, Table, paragraph};
use super::Study;

/// Rows on the page; the CSV file has all.
const MAX_ROWS: usize = 40;

pub(super) fn blocks(study: &Study) -> Vec<Block> {
    let lost: Vec<&TrialCurveRow> = study
        .trials
        .iter()
        .filter(|row| row.state != "succeeded")
        .collect();
    let over = |row: &&&TrialCurveRow| matches!(row.state.as_str(), "diverged" | "failed" | "cancelled");
    let lost: Vec<&TrialCurveRow> = lost.iter().filter(over).copied().collect();
    let mut blocks = vec![Block::Heading(2, "Trials that did not succeed".to_owned())];
    if lost.is_empty() {
        blocks.push(paragraph(
            "There are none: no trial has diverged, failed or been cancelled.",
        ));
        return blocks;
    }
    let row = |row: &&TrialCurveRow| {
        let why = match row.state.as_str() {
            // What is no number is no part of the curve.
            "diverged" => format!(
                "a loss was infinite or no number in epoch {}",
                row.curve.epochs() + 1
            ),
            "failed" => study
                .failed
                .iter()
                .find(|failed| failed.key == row.key)
                .map_or_else(String::new, |failed| failed.error.clone()),
            _ => String::new(),
        };
        let stage = study.stages.iter().map(|stage| stage.name.as_str());
        let point = terse(&row.values);
        let point = match stage.clone().filter(|name| !name.is_empty()).count() {
            0 => point,
            _ => format!("{}: {point}", study.stage_name(row.key.stage)),
        };
        vec![row.key.to_string(), point, row.state.clone(), why]
    };
    let all: Vec<Vec<String>> = lost.iter().map(row).collect();
    let mut caption = "Trials that diverged, failed or were cancelled; no mean contains them.".to_owned();
    if all.len() > MAX_ROWS {
        caption += &format!(
            " These are the first {MAX_ROWS} of {}; the CSV file has all.",
            all.len()
        );
    }
    let columns = ["trial", "point", "state", "why"].map(Column::words).to_vec();
    let mut table = Table::plain("not-succeeded", caption, columns, all);
    table.rows.truncate(MAX_ROWS);
    blocks.push(Block::Table(table));
    blocks
}
