//! Extensions: a sweep gets more than its text says, and goes on.

use std::collections::BTreeSet;

use tenfold_types::{SweepId, TrialKey};

use crate::Millis;
use crate::choice;
use crate::input::{Answer, Refusal, Transition, Wider};
use crate::record::{ChoiceRow, Control, ExtensionRow, Outcome, Record, SweepRow};
use crate::state::{State, SweepState};
use crate::sweep::{ChoiceId, Extension, Passage, Stage};
use crate::trial::TrialState;

/// A sweep that was extended so often is extended no more: whoever looks at it is told all extensions.
const MOST: u32 = 1_000;

/// Extends a sweep, running or over. A choice that was made stays as it is; one that found nothing to choose from is taken
/// back where it concerns an extended stage, so that what is new does not wait for ever.
pub(crate) fn extend(state: &State, id: SweepId, wider: &Wider, now: Millis) -> Transition {
    let Some(sweep) = state.sweep(id) else {
        return Transition::refuse(Refusal::UnknownSweep(id));
    };
    let row = sweep.row();
    if row.control == Control::Stopped {
        return Transition::refuse(Refusal::NotNow {
            sweep: id,
            state: "stopped",
            hint: "resume it first",
        });
    }
    let before = sweep.extensions().last().map_or(0, |row| row.number);
    let extensions = match wider {
        _ if before >= MOST => Err(format!("it was extended {before} times, which is enough")),
        Wider::Repetitions { stage, repetitions } => {
            sweep.sweep().more_repetitions(stage.as_deref(), *repetitions)
        }
        Wider::Around(around) => sweep.sweep().refined(around).map(|extension| vec![extension]),
    };
    let extensions = match extensions {
        Ok(extensions) => extensions,
        Err(why) => return Transition::refuse(Refusal::CannotExtend { sweep: id, why }),
    };
    let stages: Vec<u32> = extensions.iter().filter_map(repeated).collect();
    if let Some(why) = nothing_to_do(sweep, wider, &extensions) {
        return Transition::refuse(Refusal::CannotExtend { sweep: id, why });
    }
    let (kept, withdrawn) = choices(sweep, &stages);
    let numbered = (before + 1..).zip(extensions);
    let mut records: Vec<Record> = numbered
        .map(|(number, extension)| {
            Record::Extension(ExtensionRow {
                sweep: id,
                number,
                at: now,
                extension: after_a_look(sweep, extension),
            })
        })
        .collect();
    records.extend(withdrawn.into_iter().map(Record::Choice));
    take_over(sweep, &stages, now, &mut records);
    // Its row with it, always: watchers look for extensions where that has changed. A pause outlasts an extension, unless
    // there was nothing left to hold back.
    records.push(Record::Sweep(SweepRow {
        control: match row.finished_at {
            Some(_) => Control::Active,
            None => row.control,
        },
        ..row.clone()
    }));
    Transition::answer(Answer::Extended { kept })
        .with(records)
        .and_work(true)
}

/// Why an extension would add trials none of which could ever run; none where some can.
fn nothing_to_do(sweep: &SweepState, wider: &Wider, extensions: &[Extension]) -> Option<String> {
    let stages: Vec<u32> = extensions.iter().filter_map(repeated).collect();
    match wider {
        Wider::Around(_) => {
            let after = sweep.sweep().extended(extensions.first()?).ok()?;
            let added = after.stages().last()?;
            let mut sources = added.rules().iter().map(|taken| taken.rule.source);
            let source = sources.find(|source| is_barren(sweep, *source))?;
            Some(format!(
                "there is nothing to choose from: {} is over, and no trial of it has succeeded; retry what failed, or submit another \
                 sweep",
                called(sweep, source)
            ))
        }
        // More of a stage that takes its values from nothing, and from nothing that is extended with it.
        Wider::Repetitions { .. } => {
            let waits = |number: &u32| {
                let of = sweep.sweep().stage(*number);
                let sources = of
                    .into_iter()
                    .flat_map(|of| of.rules().iter().map(|taken| taken.rule.source));
                let mut sources = sources.filter(|source| !stages.contains(source));
                sources.find(|source| is_barren(sweep, *source))
            };
            let barren = stages.iter().map(waits).collect::<Option<Vec<u32>>>()?;
            Some(format!(
                "what is added would never run: {} is over, and no trial of it has succeeded, so no value is chosen from it; extend that \
                 stage, or retry what failed",
                called(sweep, *barren.first()?)
            ))
        }
    }
}

/// Whether all trials of a stage are over and none has succeeded.
fn is_barren(sweep: &SweepState, number: u32) -> bool {
    let Some(stage) = sweep.sweep().stage(number) else {
        return false;
    };
    let over = |key: TrialKey| {
        if sweep.sweep().passage(key) == Passage::LeftOut {
            return true;
        }
        let row = sweep.trial(key);
        row.is_some_and(|row| !row.state.is_open() && !matches!(row.state, TrialState::Succeeded { .. }))
    };
    let trials = |index: u64| {
        (0..stage.repetitions_of(index)).map(move |repetition| TrialKey {
            stage: number,
            index,
            repetition,
        })
    };
    // Untouched trials are still to be run: the first that is found ends the search.
    stage.points() > 0 && stage.indexes().flat_map(trials).all(over)
}

fn called(sweep: &SweepState, number: u32) -> String {
    match sweep.sweep().stage(number).map(Stage::name) {
        None | Some("") => "the sweep".to_owned(),
        Some(name) => format!("stage {name}"),
    }
}

/// The extension with what may have been seen of the stage before.
fn after_a_look(sweep: &SweepState, extension: Extension) -> Extension {
    match extension {
        Extension::Repetitions {
            stage, repetitions, ..
        } => Extension::Repetitions {
            stage,
            repetitions,
            seen: Some(sweep.complete_pairs(stage)),
        },
        Extension::Stage { .. } => extension,
    }
}

/// The stage that has more repetitions.
fn repeated(extension: &Extension) -> Option<u32> {
    match extension {
        Extension::Repetitions { stage, .. } => Some(*stage),
        Extension::Stage { .. } => None,
    }
}

/// What is new in these stages and was trained in a stage that they have chosen from has its result already.
fn take_over(sweep: &SweepState, stages: &[u32], now: Millis, records: &mut Vec<Record>) {
    let mut extended = sweep.sweep().clone();
    for record in records.iter() {
        if let Record::Extension(row) = record
            && let Ok(next) = extended.extended(&row.extension)
        {
            extended = next;
        }
    }
    let made = sweep
        .choices()
        .filter(|row| matches!(row.outcome, Outcome::Chosen(_)));
    let mut taken = BTreeSet::new();
    for row in made.filter(|row| stages.contains(&row.choice.stage)) {
        let mut copied = Vec::new();
        choice::reuse(sweep, &extended, row.choice, now, &mut copied);
        // Each epochs' copy comes with its trial; a stage may have chosen from two that have trained the same.
        for pair in copied.chunks_exact(2) {
            if let [Record::EpochsCopied { to, .. }, _] = pair
                && taken.insert(*to)
            {
                records.extend_from_slice(pair);
            }
        }
    }
}

/// How many choices were made from these stages, which stay; and those that found nothing, from these stages or for
/// them, taken back.
fn choices(sweep: &SweepState, stages: &[u32]) -> (u64, Vec<ChoiceRow>) {
    let source = |choice: ChoiceId| sweep.sweep().source(choice);
    let from = |row: &ChoiceRow| source(row.choice).is_some_and(|source| stages.contains(&source));
    let (mut kept, mut withdrawn) = (0, Vec::new());
    for row in sweep.choices() {
        match row.outcome {
            Outcome::Chosen(_) => kept += u64::from(from(row)),
            Outcome::Nothing(_) if from(row) || stages.contains(&row.choice.stage) => {
                withdrawn.push(ChoiceRow {
                    outcome: Outcome::Withdrawn,
                    ..row.clone()
                });
            }
            Outcome::Nothing(_) | Outcome::Withdrawn => {}
        }
    }
    (kept, withdrawn)
}
