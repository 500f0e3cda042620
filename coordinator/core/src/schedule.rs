//! Which trials a worker gets.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_types::frame::MAX_PACK;
use tenfold_types::{DeviceKind, Fence, RequestId, ShapeKey, SweepId, TrialKey, Value, WorkerId};

use crate::Millis;
use crate::input::{Answer, Grant, Refusal, Transition};
use crate::record::{Control, Counters, LeaseRow, Provenance, Record};
use crate::state::{Lease, State, SweepState};
use crate::trial::TrialState;

/// Places in line that are looked at to fill a pack: so many, and so many more for each trial that it may have. Shapes
/// that alternate along the fastest axis, up to as many of them, still fill packs.
const LOOKS: usize = 1024;
const LOOKS_PER_TRIAL: usize = 64;
const MAX_LOOKS: usize = 1 << 16;
/// The layers of all networks of a pack: what a message holds.
const MAX_LAYERS: usize = 1 << 16;

/// How large a pack a worker asks for.
pub(crate) struct Wanted {
    /// Of a shape that it does not know: as many as its slot trains at once.
    pub(crate) max_trials: u32,
    /// Of shapes that it knows.
    pub(crate) sizes: BTreeMap<ShapeKey, u32>,
}

impl Wanted {
    fn of(&self, shape: ShapeKey) -> u32 {
        self.sizes.get(&shape).copied().unwrap_or(self.max_trials)
    }
}

/// Idempotent while the lease lives: the same request finds the lease it got, so a lost answer leaks nothing.
pub(crate) fn acquire(
    state: &State,
    worker: WorkerId,
    request: RequestId,
    slot: u32,
    wanted: &Wanted,
    now: Millis,
) -> Transition {
    // One that an older coordinator took in has to register again, which says to it what to install. Until then it may hand
    // over what it has trained.
    let known = state.worker(worker);
    let Some(known) = known.filter(|known| known.row.protocol == state.settings().protocol) else {
        return Transition::refuse(Refusal::UnknownWorker(worker));
    };
    let Some(device) = known.row.slots.get(slot as usize) else {
        return Transition::refuse(Refusal::UnknownSlot {
            worker,
            slot,
            slots: known.row.slots.len(),
        });
    };
    if wanted.max_trials == 0 || wanted.sizes.values().any(|trials| *trials == 0) {
        return Transition::refuse(Refusal::EmptyPack);
    }
    let seen = Record::Seen { worker, at: now };
    let expires = now + state.settings().lease_term;
    if let Some(lease) = state.lease_of_request(worker, request) {
        let renewed = Record::Renewed {
            fence: lease.row.fence,
            expires,
        };
        return Transition::answer(regrant(state, lease)).with(vec![seen, renewed]);
    }
    let willing = !known.row.draining && !known.is_quarantined(now);
    let Some(sweep) = fairest(state, device.kind).filter(|_| willing) else {
        return Transition::answer(Answer::Idle).with(vec![seen]);
    };
    let keys = pack(state, sweep, device.kind, wanted, now);
    let id = sweep.row().id;
    let fence = Fence(state.counters().fence + 1);
    let mut records = vec![
        seen,
        Record::Counters(Counters {
            fence: fence.0,
            ..state.counters()
        }),
    ];
    let mut granted = Vec::with_capacity(keys.len());
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(spec) = sweep.sweep().spec(key) else {
            continue;
        };
        let mut row = sweep.row_of(key);
        row.state = TrialState::Leased { fence, worker };
        row.attempts += 1;
        granted.push((key, row.attempts, spec, is_continued(sweep, key)));
        rows.push(Record::Trial(row));
    }
    // The lease first: its trials are counted as they come.
    records.push(Record::Lease(LeaseRow {
        fence,
        worker,
        request,
        slot,
        given_at: now,
        provenance: Provenance {
            host: known.row.host.clone(),
            device: device.device.clone(),
            threads: device.threads,
            version: known.row.version.clone(),
            libtorch: known.row.libtorch.clone(),
        },
        sweep: id,
        trials: granted
            .iter()
            .map(|(key, attempt, ..)| (*key, *attempt))
            .collect(),
    }));
    records.extend(rows);
    records.push(Record::Renewed { fence, expires });
    Transition::answer(Answer::Leased(Grant {
        fence,
        sweep: id,
        trials: granted,
        sweep_trials: sweep.sweep().trials(),
    }))
    .with(records)
}

/// The sweep whose turn it is: of those with work for such a device, the one with the fewest trials held, and of
/// several such the one submitted first. So sweeps that run at once share the slots, and none starves.
fn fairest(state: &State, kind: DeviceKind) -> Option<&SweepState> {
    state
        .unfinished_sweeps()
        .filter(|sweep| sweep.row().control == Control::Active)
        .filter(|sweep| {
            sweep
                .sweep()
                .required_device()
                .is_none_or(|required| required == kind)
        })
        .filter(|sweep| sweep.next_trial().is_some())
        .min_by_key(|sweep| (sweep.held(), sweep.row().number))
}

/// The trials of the next pack: the first that waits, in order of work, then the other repetitions of its point that
/// wait, then those of the next points of its shape, until the pack is full.
///
/// So the first in line is always in the next pack, which lets none starve and shows the whole grid early; and the
/// repetitions of a point come together, so that its group is complete early. A trial that has failed before is leased
/// by itself: what it does to its trainer then harms no other. Those whose trainer died while it trained several are
/// leased in packs of their own, half as large each time, until the one that does it is found by itself.
fn pack(state: &State, sweep: &SweepState, kind: DeviceKind, wanted: &Wanted, now: Millis) -> Vec<TrialKey> {
    let Some(first) = sweep.next_trial() else {
        return Vec::new();
    };
    let spec = sweep.sweep().spec(first);
    let Some(spec) = spec.filter(|_| !has_failed(sweep, first)) else {
        return vec![first];
    };
    let asked = wanted.of(spec.shape()).min(MAX_PACK);
    let size = match u64::from(asked) <= u64::from(wanted.max_trials) {
        true => u64::from(asked),
        false => fair_size(state, sweep, kind, wanted, now).min(asked.into()),
    };
    let layers: usize = spec.architecture.stacks.iter().map(Vec::len).sum();
    let size = (size as usize).min(MAX_LAYERS / layers.max(1)).max(1);
    alike(sweep, first, spec.shape(), size)
}

fn has_failed(sweep: &SweepState, key: TrialKey) -> bool {
    sweep.touched_trial(key).is_some_and(|trial| trial.failures > 0)
}

/// The most trials that packs with this one may have; 0 when nothing limits them.
fn pack_limit(sweep: &SweepState, key: TrialKey) -> usize {
    sweep
        .touched_trial(key)
        .map_or(0, |trial| trial.pack_limit as usize)
}

/// A share of what waits: one part of as many as there are living slots of this kind, but at least what a slot trains
/// at once.
///
/// While much waits this is more than anybody asks for. Towards the end packs become smaller, each in proportion to
/// what is left (guided self-scheduling: Polychronopoulos and Kuck, 1987), so that no slot has forty trials to go
/// while the others have none. A slot lives while its worker has been heard of within the term of a lease; busy ones
/// count, for they will ask before a larger pack would be done.
fn fair_size(state: &State, sweep: &SweepState, kind: DeviceKind, wanted: &Wanted, now: Millis) -> u64 {
    let heard = |seen: Millis| now.saturating_sub(seen) <= state.settings().lease_term;
    let slots = state
        .workers()
        .filter(|worker| worker.seen.is_some_and(heard))
        .flat_map(|worker| &worker.row.slots)
        .filter(|slot| slot.kind == kind)
        .count() as u64;
    let share = sweep.available().div_ceil(slots.max(1));
    share.max(wanted.max_trials.into())
}

/// At most so many trials of this shape that wait, from `first` on; the work is bounded whatever the grid.
fn alike(sweep: &SweepState, first: TrialKey, shape: ShapeKey, size: usize) -> Vec<TrialKey> {
    let mut known: BTreeMap<(u32, Vec<&Value>), ShapeKey> = BTreeMap::new();
    let mut is_alike = |key: TrialKey| {
        let Some(values) = sweep
            .sweep()
            .stage(key.stage)
            .and_then(|stage| stage.shaping(key.index))
        else {
            return false;
        };
        let of_point = known
            .entry((key.stage, values))
            .or_insert_with(|| match sweep.sweep().spec(key) {
                Some(spec) => spec.shape(),
                None => ShapeKey(!shape.0),
            });
        *of_point == shape
    };
    let limited = pack_limit(sweep, first) > 0;
    // What a trial with this limit leaves of the size; none when it does not belong in this pack.
    let fits = |key: TrialKey, size: usize| match pack_limit(sweep, key) {
        0 => (!limited).then_some(size),
        limit => limited.then_some(size.min(limit)),
    };
    let mut size = fits(first, size).unwrap_or(size);
    let (mut keys, mut taken) = (Vec::new(), BTreeSet::new());
    let mut looks = (LOOKS + LOOKS_PER_TRIAL * size).min(MAX_LOOKS);
    let mut place = sweep.place(first);
    while let Some((at, key)) = sweep.waits_from(place)
        && keys.len() < size
        && looks > 0
    {
        looks -= 1;
        place = at + 1;
        if taken.contains(&key) || has_failed(sweep, key) || !is_alike(key) {
            continue;
        }
        let repetitions = sweep
            .sweep()
            .stage(key.stage)
            .map_or(0, |stage| stage.repetitions());
        for repetition in key.repetition..repetitions {
            if keys.len() >= size || looks == 0 {
                break;
            }
            looks -= 1;
            let key = TrialKey { repetition, ..key };
            if !sweep.waits(key) || has_failed(sweep, key) {
                continue;
            }
            if let Some(left) = fits(key, size).filter(|left| *left > keys.len())
                && taken.insert(key)
            {
                size = left;
                keys.push(key);
            }
        }
    }
    keys
}

/// Whether a later rung goes on from a trial.
fn is_continued(sweep: &SweepState, key: TrialKey) -> bool {
    sweep.sweep().is_continued(key.stage)
}

fn regrant(state: &State, lease: &Lease) -> Answer {
    let id: SweepId = lease.row.sweep;
    let trials = state.sweep(id).map_or_else(Vec::new, |sweep| {
        sweep
            .held_by(lease.row.fence, &lease.row)
            .filter_map(|key| {
                let attempt = lease.row.trials.iter().find(|(held, _)| *held == key)?.1;
                Some((key, attempt, sweep.sweep().spec(key)?, is_continued(sweep, key)))
            })
            .collect()
    });
    Answer::Leased(Grant {
        fence: lease.row.fence,
        sweep: id,
        trials,
        sweep_trials: state.sweep(id).map_or(0, |sweep| sweep.sweep().trials()),
    })
}
