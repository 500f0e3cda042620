//! Trials that need no training: an earlier stage has trained the same.

use std::collections::BTreeMap;

use tenfold_types::{SweepId, TrialKey, TrialSpec};

use crate::Millis;
use crate::record::{Record, TrialRow};
use crate::state::SweepState;
use crate::sweep::{ChoiceId, Passage, Sweep};

/// Trials of the later stage that were trained in the earlier one already have their results: what they train from, and for
/// how long, is the same, so they would come to the same.
pub(crate) fn reuse(
    sweep: &SweepState,
    resolved: &Sweep,
    choice: ChoiceId,
    now: Millis,
    records: &mut Vec<Record>,
) {
    let source = resolved.rule(choice).map(|taken| taken.rule.source);
    let Some((number, source)) = source.and_then(|source| Some((source, resolved.stage(source)?))) else {
        return;
    };
    if source.epochs() != resolved.epochs(choice.stage) {
        return;
    }
    let mut trained: BTreeMap<SweepId, u64> = BTreeMap::new();
    for index in resolved.source_points(choice) {
        if let Some(spec) = source.spec(index, 0) {
            trained.entry(same(&spec)).or_insert(index);
        }
    }
    let mut known: BTreeMap<u64, Option<u64>> = BTreeMap::new();
    for to in resolved.waits_for(choice) {
        let twin = known.entry(to.index).or_insert_with(|| {
            let first = TrialKey { repetition: 0, ..to };
            trained.get(&same(&resolved.spec(first)?)).copied()
        });
        let Some(index) = *twin else { continue };
        let from = TrialKey {
            stage: number,
            index,
            ..to
        };
        let accepted = sweep
            .trial(from)
            .and_then(|row| Some((row.state.accepted()?, row)));
        if let Some((fence, row)) = accepted
            && sweep.is_open(to).is_none()
            && resolved.passage(to) == Passage::Free
        {
            records.push(Record::EpochsCopied {
                sweep: sweep.row().id,
                from,
                to,
                fence,
            });
            records.push(Record::Trial(TrialRow {
                state: row.state,
                attempts: row.attempts,
                accepted_at: Some(now),
                ..sweep.row_of(to)
            }));
        }
    }
}

/// Trials with the same text come to the same curve.
fn same(spec: &TrialSpec) -> SweepId {
    // Plain data with finite numbers: there is nothing that JSON could refuse. The hash of a text, as of any other.
    SweepId::of(&serde_json::to_string(spec).unwrap_or_default())
}
