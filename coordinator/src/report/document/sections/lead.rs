//! The beginning: what the report is of, what came of it in short, and how much of it there is.

use tenfold_core::aggregate::Counts;

use super::super::super::facet::varying;
use super::super::super::last::{best, last, ties, whole};
use super::super::super::words::{self, Labels};
use super::super::family::Distinct;
use super::super::{Block, Column, Span, Table, paragraph};
use super::{StageOf, Study, best_of};

pub(super) fn blocks(study: &Study) -> Vec<Block> {
    let text = |text: &str| Span::Text(text.to_owned());
    let mut blocks = vec![Block::Paragraph(vec![
        text("Report of the sweep "),
        Span::Strong(study.name.clone()),
        text(", id "),
        Span::Code(study.id.clone()),
        text(&format!(", written by tenfold {}. ", study.version)),
        text("It follows from the sweep's accepted curves alone. Where and when they were trained is in "),
        Span::Link("provenance.md".to_owned(), "provenance.md".to_owned()),
        text(" and "),
        Span::Link("provenance.json".to_owned(), "provenance.json".to_owned()),
        text("."),
    ])];
    if let Some(state) = &study.provisional {
        let open = study.counts.open();
        blocks.push(Block::Notice(vec![
            Span::Strong("Provisional.".to_owned()),
            text(&format!(
                " The sweep is {state}: {open} of {} trials are unfinished. Everything below can still change.",
                study.counts.total()
            )),
        ]));
    }
    blocks
}

/// What came of it in short, then how much of it there is.
pub(super) fn in_short(study: &Study) -> Vec<Block> {
    let mut blocks = Vec::new();
    // What a search comes to is what its last rung does.
    let lowest: Vec<Vec<Span>> = (study.stages.iter())
        .filter(|stage| study.stages.len() == 1 || !study.is_continued(stage))
        .filter_map(|stage| lowest(study, stage))
        .collect();
    if !lowest.is_empty() {
        blocks.push(Block::Heading(2, "In short".to_owned()));
        blocks.push(Block::List(lowest));
    }
    blocks.push(Block::Heading(2, "What was run".to_owned()));
    blocks.push(Block::Table(trials(study)));
    if study.metric().to_string() != "test_error" {
        blocks.push(paragraph(format!(
            "Groups are compared by their {}.",
            words::metric(study.metric())
        )));
    }
    blocks
}

/// `Stage rates: the lowest test error after epoch 200 is 12.30 % (95 % interval …), of perceptron-600.`
fn lowest(study: &Study, stage: &StageOf) -> Option<Vec<Span>> {
    let metric = study.metric();
    let results = study.of_stage(stage);
    let at = best(results.iter().copied(), metric, study.answers())?;
    let ties = ties(results.iter().copied(), metric, study.answers());
    let result = *results.get(at)?;
    let statistics = last(result, metric)?;
    let labels = Labels::of(results.iter().map(|result| &result.group));
    let unit = words::unit(metric);
    let mean = words::quantity(statistics.mean, unit, 2);
    let interval = match statistics.ci95 {
        Some(interval) => {
            let (low, high) = words::possible(unit, interval);
            format!(
                "95 % interval {} to {}{}, ",
                words::quantity(low, unit, 2),
                words::quantity(high, unit, 2),
                if words::is_cut(statistics, unit) {
                    ", cut where shares end"
                } else {
                    ""
                }
            )
        }
        None => String::new(),
    };
    let lead = match stage.name.as_str() {
        "" => String::new(),
        name => format!("Stage {name}: "),
    };
    // The same network under several names is one of those that could have been the lowest.
    let known = study
        .sweep
        .as_ref()
        .and_then(|sweep| sweep.stage(result.group.stage));
    let candidates = results
        .iter()
        .filter(|of| last(of, metric).is_some() && (whole(of) || !whole(result)));
    let candidates: Vec<u64> = candidates.map(|of| of.group.index).collect();
    let count = Distinct::of(known, candidates.iter().copied()).count(candidates);
    let searched = study.searched(stage);
    let among = searched.map_or(count, |points| u32::try_from(points).unwrap_or(u32::MAX));
    let by_chance = match best_of::worst_case(among, statistics.n) {
        Some(worst_case) => format!("by chance too low: {worst_case}"),
        None => "by chance a little too low".to_owned(),
    };
    let of = match (searched, among) {
        (Some(points), _) => {
            format!(" It is what a search among {points} points came to, and so {by_chance}.")
        }
        (None, 0 | 1) => String::new(),
        (None, count) => format!(" It is the lowest of {count} groups, and so {by_chance}."),
    };
    let tie = match ties.as_slice() {
        [] => String::new(),
        [one] => match labels.labels.get(*one) {
            Some(label) => format!(" {label} is as good; named is the first in the order of the points."),
            None => String::new(),
        },
        several => format!(
            " {} others are as good; named is the first in the order of the points.",
            several.len()
        ),
    };
    let odd = if whole(result) {
        ""
    } else {
        " No group is complete; this one lacks repetitions."
    };
    Some(vec![
        Span::Text(format!(
            "{lead}the lowest {} after epoch {} is ",
            words::metric(metric),
            result.epochs.len()
        )),
        Span::Strong(mean),
        Span::Text(format!(" ({interval}n = {}), of ", statistics.n)),
        Span::Strong(labels.labels.get(at)?.clone()),
        Span::Text(format!(".{tie}{of}{odd}")),
    ])
}

/// How many trials each stage has, and what became of them.
fn trials(study: &Study) -> Table {
    let mut columns = vec![
        Column::words("stage"),
        Column::number("points"),
        Column::number("repetitions"),
        Column::number("epochs"),
        Column::number("trials"),
        Column::number("succeeded"),
        Column::number("diverged"),
        Column::number("failed"),
        Column::number("cancelled"),
        Column::number("unfinished"),
        Column::words("varied"),
    ];
    let row = |stage: &StageOf| {
        let results = study.of_stage(stage);
        let counts = results
            .iter()
            .fold(Counts::default(), |sum, result| add(sum, &result.group.counts));
        let axes = varying(&results).into_iter().map(words::setting);
        vec![
            stage.name.clone(),
            stage.points.to_string(),
            match stage.min_repetitions {
                Some(min) => format!("{min} to {}", stage.repetitions),
                None => stage.repetitions.to_string(),
            },
            stage.epochs.to_string(),
            counts.total().to_string(),
            counts.succeeded.to_string(),
            counts.diverged.to_string(),
            counts.failed.to_string(),
            counts.cancelled.to_string(),
            counts.open().to_string(),
            axes.collect::<Vec<_>>().join(", "),
        ]
    };
    let mut rows: Vec<Vec<String>> = study.stages.iter().map(row).collect();
    if let [stage] = study.stages.as_slice()
        && stage.name.is_empty()
    {
        columns.remove(0);
        rows.iter_mut().for_each(|row| _ = row.remove(0));
    }
    Table::plain("trials", "Trials, and what became of them.", columns, rows)
}

fn add(a: Counts, b: &Counts) -> Counts {
    Counts {
        pending: a.pending + b.pending,
        leased: a.leased + b.leased,
        running: a.running + b.running,
        backoff: a.backoff + b.backoff,
        suspect: a.suspect + b.suspect,
        succeeded: a.succeeded + b.succeeded,
        diverged: a.diverged + b.diverged,
        failed: a.failed + b.failed,
        cancelled: a.cancelled + b.cancelled,
    }
}
