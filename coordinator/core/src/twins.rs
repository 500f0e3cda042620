//! Trials that follow another one: their points come to the same network, which is trained once.
//!
//! Of [twins](crate::sweep::Stage::representative) only one is ever leased. The others get its curve as soon as it is accepted,
//! and fail where it fails. A store of a version that trained all of them may hold any mixture: what has a result or is being
//! trained stays as it is, and what waits follows, a part at each tick after loading.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use tenfold_types::{SweepId, TrialKey};

use crate::Millis;
use crate::change;
use crate::record::{Record, TrialRow};
use crate::state::{State, SweepState};
use crate::sweep::{Passage, Sweep};
use crate::trial::TrialState;

/// The most trials that follow in one transition; the rest follow in the next ticks.
const AT_ONCE: usize = 10_000;
/// The most places in line that are looked at in one tick after loading.
const LOOKS: usize = 50_000;

/// A sweep as it is after the records of a transition.
struct After<'a> {
    before: &'a SweepState,
    sweep: Sweep,
    rows: BTreeMap<TrialKey, TrialRow>,
}

impl After<'_> {
    fn row(&self, key: TrialKey) -> TrialRow {
        match self.rows.get(&key) {
            Some(row) => row.clone(),
            None => self.before.row_of(key),
        }
    }

    /// Has a trial follow the one that is trained for it; false when it has nothing to follow in.
    fn follow(&self, of: &TrialRow, key: TrialKey, now: Millis, records: &mut Vec<Record>) -> bool {
        let row = self.row(key);
        let waits = matches!(row.state, TrialState::Pending | TrialState::Backoff { .. });
        let runs = self.sweep.passage(key) == Passage::Free;
        match of.state {
            _ if !runs || key == of.id.key => false,
            TrialState::Succeeded { fence, .. } | TrialState::Diverged { fence, .. } if waits => {
                records.push(Record::EpochsCopied {
                    sweep: of.id.sweep,
                    from: of.id.key,
                    to: key,
                    fence,
                });
                records.push(Record::Trial(TrialRow {
                    state: of.state.clone(),
                    // Attempts of its own keep their numbers.
                    attempts: match row.attempts {
                        0 => of.attempts,
                        own => own + 1,
                    },
                    accepted_at: Some(now),
                    ..row
                }));
                true
            }
            TrialState::Failed if waits => {
                records.push(Record::Trial(TrialRow {
                    state: TrialState::Failed,
                    error: of.error.clone(),
                    ..row
                }));
                true
            }
            // Its failure was forgiven, or it is tried again.
            TrialState::Pending | TrialState::Backoff { .. } if row.state == TrialState::Failed => {
                records.push(Record::Trial(TrialRow {
                    state: TrialState::Pending,
                    failures: 0,
                    pack_limit: 0,
                    error: None,
                    ..row
                }));
                true
            }
            _ => false,
        }
    }
}

/// Adds the records of trials that follow others by these records: one place for all the ways in which that comes about.
pub(crate) fn follow(state: &State, records: &mut Vec<Record>, now: Millis) {
    for (id, after) in changed(state, records) {
        let mut room = AT_ONCE;
        'sweep: for key in after.trained(records) {
            let of = after.row(key);
            let follows = match of.state {
                TrialState::Succeeded { .. } | TrialState::Diverged { .. } | TrialState::Failed => true,
                _ => after.before.row_of(key).state == TrialState::Failed,
            };
            let stage = after.sweep.stage(key.stage).filter(|_| follows);
            let twins = stage
                .into_iter()
                .flat_map(|stage| stage.alike_at(key.index, key.repetition));
            for index in twins {
                if room == 0 {
                    let place = Some(0);
                    records.push(Record::Followed { sweep: id, place });
                    break 'sweep;
                }
                room -= usize::from(after.follow(&of, TrialKey { index, ..key }, now, records));
            }
        }
    }
}

/// The sweeps with twins that these records are about.
fn changed<'a>(state: &'a State, records: &[Record]) -> BTreeMap<SweepId, After<'a>> {
    let mut found: BTreeMap<SweepId, After<'a>> = BTreeMap::new();
    let mut plain: BTreeSet<SweepId> = BTreeSet::new();
    let mut changing = BTreeMap::new();
    for record in records {
        let id = match record {
            Record::Trial(row) => row.id.sweep,
            Record::Choice(row) => row.sweep,
            Record::Extension(row) => row.sweep,
            _ => continue,
        };
        if plain.contains(&id) {
            continue;
        }
        let after = match found.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => match state.sweep(id).filter(|sweep| sweep.sweep().has_twins()) {
                Some(before) => place.insert(After {
                    before,
                    sweep: before.sweep().clone(),
                    rows: BTreeMap::new(),
                }),
                None => {
                    plain.insert(id);
                    continue;
                }
            },
        };
        match record {
            Record::Trial(row) => _ = after.rows.insert(row.id.key, row.clone()),
            Record::Extension(row) => {
                change(state, id, &mut changing, |sweep| {
                    sweep.extended(&row.extension).ok()
                });
            }
            Record::Choice(row) => change(state, id, &mut changing, |sweep| row.applied(sweep)),
            _ => {}
        }
    }
    for (id, sweep) in changing {
        if let Some(after) = found.get_mut(&id) {
            after.sweep = sweep;
        }
    }
    found
}

impl After<'_> {
    /// The trials that others may follow by these records.
    fn trained(&self, records: &[Record]) -> BTreeSet<TrialKey> {
        let mut keys = BTreeSet::new();
        for (key, row) in &self.rows {
            let held = row.state.holder().is_some() || row.state == TrialState::Cancelled;
            if !held && self.has_twins(*key) {
                keys.insert(self.sweep.representative(*key));
            }
        }
        let id = self.before.row().id;
        for record in records {
            let Record::Choice(row) = record else { continue };
            if row.sweep != id {
                continue;
            }
            for key in self.sweep.governed(row.choice) {
                if self.has_twins(key) && self.sweep.passage(key) != Passage::Waits {
                    let stage = self.sweep.stage(key.stage);
                    let first = stage.and_then(|stage| stage.alike_at(key.index, key.repetition).next());
                    keys.extend(first.map(|index| TrialKey { index, ..key }));
                }
            }
        }
        keys
    }

    fn has_twins(&self, key: TrialKey) -> bool {
        self.sweep.stage(key.stage).is_some_and(|stage| stage.has_twins())
    }
}

/// Has a part of the trials follow that a store holds as waiting, though what is trained for them is over.
pub(crate) fn catch_up(state: &State, records: &mut Vec<Record>, now: Millis) {
    let Some((id, mut place)) = state.to_follow() else {
        return;
    };
    // What these records say of a trial has been followed already.
    let mut named = BTreeSet::new();
    for record in records.iter() {
        match record {
            Record::Trial(row) if row.id.sweep == id => _ = named.insert(row.id.key),
            Record::Followed { sweep, .. } if *sweep == id => return,
            _ => {}
        }
    }
    let mut next = None;
    if let Some(before) = state.sweep(id) {
        let after = After {
            before,
            sweep: before.sweep().clone(),
            rows: BTreeMap::new(),
        };
        let mut room = AT_ONCE;
        for _ in 0..LOOKS {
            next = None;
            let Some(key) = before.key_at(place) else { break };
            let Some(end) = before.end_of_stage(key.stage) else {
                break;
            };
            let twins = after.has_twins(key);
            place = if twins { place + 1 } else { end };
            next = Some(place);
            if !twins || !before.has(key) {
                continue;
            }
            let of = before.sweep().representative(key);
            let is_named = named.contains(&of) || named.contains(&key);
            if of == key || is_named || before.is_open(of) != Some(false) {
                continue;
            }
            room -= usize::from(after.follow(&before.row_of(of), key, now, records));
            if room == 0 {
                break;
            }
        }
    }
    records.push(Record::Followed {
        sweep: id,
        place: next,
    });
}
