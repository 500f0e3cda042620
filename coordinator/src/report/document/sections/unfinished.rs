//! Trials that count nowhere, and why.

use tenfold_core::aggregate::Counts;
use tenfold_types::{Setting, TrialKey, Value};

use super::super::super::words::terse;
use super::super::{Block, Column, Table, paragraph};
use super::Study;

/// Rows on the page; the CSV file has all.
const MAX_ROWS: usize = 40;

pub(super) fn blocks(study: &Study) -> Vec<Block> {
    let mut blocks = vec![Block::Heading(2, "Trials that did not succeed".to_owned())];
    let mut lost: Vec<(TrialKey, Vec<String>)> = Vec::new();
    for row in study.trials.iter().filter(|row| row.state == "diverged") {
        // What is no number is no part of the curve.
        let why = format!(
            "a loss was infinite or no number in epoch {}",
            row.curve.epochs() + 1
        );
        lost.push(line(study, row.key, &row.values, "diverged", why));
    }
    for failed in &study.failed {
        lost.push(line(
            study,
            failed.key,
            &failed.values,
            "failed",
            failed.error.clone(),
        ));
    }
    lost.sort_by_key(|(key, _)| (key.stage, key.index, key.repetition));
    let untold = untold(study);
    if lost.is_empty() && untold.is_none() {
        blocks.push(paragraph(
            "There are none: no trial has diverged, failed or been cancelled.",
        ));
        return blocks;
    }
    if !lost.is_empty() {
        let all: Vec<Vec<String>> = lost.into_iter().map(|(_, row)| row).collect();
        let mut caption = "Trials that diverged or failed; no mean contains them.".to_owned();
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
    }
    blocks.extend(untold.map(paragraph));
    blocks
}

fn line(
    study: &Study,
    key: TrialKey,
    values: &[(Setting, Value)],
    state: &str,
    why: String,
) -> (TrialKey, Vec<String>) {
    let point = match study.stage_name(key.stage) {
        "" => terse(values),
        stage => format!("{stage}: {}", terse(values)),
    };
    (key, vec![key.to_string(), point, state.to_owned(), why])
}

/// How many more failed or were cancelled than the coordinator tells of one by one.
fn untold(study: &Study) -> Option<String> {
    let sum = |of: fn(&Counts) -> u64| -> u64 {
        let groups = study.results.iter();
        groups.map(|result| of(&result.group.counts)).sum()
    };
    let failed = sum(|counts| counts.failed).saturating_sub(study.failed.len() as u64);
    let parts = [(failed, "failed"), (sum(|counts| counts.cancelled), "cancelled")];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    (!parts.is_empty()).then(|| format!("Not listed: {}.", parts.join(", ")))
}
