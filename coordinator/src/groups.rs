//! Groups: their curves are read and aggregated when they are asked for; what complete groups came to is kept for whoever
//! asks next, within a bound.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tenfold_core::aggregate::{self, Counts, Group, GroupResult, Statistics};
use tenfold_core::record::{Control, TrialRow};
use tenfold_core::sweep::{GroupId, Grouping, Sweep};
use tenfold_core::trial::TrialState;
use tenfold_types::{Curve, Metric, Setting, SweepId, TrialKey};

use crate::store::{Cursor, Reader, StoreError};

/// Statistics that are told at once, of some hundred bytes each here and 70 on the wire: a longer group comes in parts.
pub(crate) const PART: usize = 4096;
/// Bytes of a group that is kept beside its statistics: its values, its key and what the cache needs, generously.
const ENTRY: usize = 1 << 10;
/// Bytes of aggregated curves that are kept.
const KEPT: u64 = 32 << 20;

/// A group's newest epoch, over trials that are still running too: provisional.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupProgress {
    /// The group.
    pub group: Group,
    /// The epoch.
    pub epoch: u32,
    /// The metrics.
    pub metrics: Vec<Metric>,
    /// For each metric, over the trials that have reached the epoch.
    pub statistics: Vec<Statistics>,
}

/// The aggregated curve of a group, or a part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupPart {
    /// The group, and the statistics of some of its epochs.
    pub result: GroupResult,
    /// The first of these epochs.
    pub first: u32,
    /// The next part follows.
    pub more: bool,
}

impl GroupPart {
    /// The first epoch of the next part.
    pub fn next(&self) -> Option<u32> {
        self.more.then(|| self.first + self.result.epochs.len() as u32)
    }
}

/// Statistics of a group of this sweep, at most: its metrics are those that all its points have.
pub(crate) fn statistics(sweep: &Sweep, group: GroupId) -> usize {
    sweep.epochs(group.stage) as usize * sweep.metrics(first_trial(group)).len()
}

/// The first repetition of a group's first point.
fn first_trial(group: GroupId) -> TrialKey {
    TrialKey {
        stage: group.stage,
        repetition: 0,
        index: group.index,
    }
}

/// Aggregated curves of complete groups. Clones share them.
#[derive(Clone)]
pub struct Kept(Arc<Cache<Key, Aggregated, Bytes>>);

/// Tells rows of trials from what they were: how many there are, and the newest commit that changed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Version {
    rows: usize,
    pub(crate) newest: Cursor,
}

/// A group of a sweep, by these axes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    sweep: SweepId,
    by: Vec<Setting>,
    group: GroupId,
}

/// What a group came to, when it had these rows.
#[derive(Clone)]
struct Aggregated {
    version: Version,
    part: Arc<GroupPart>,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Aggregated> for Bytes {
    fn weight(&self, _: &Key, aggregated: &Aggregated) -> u64 {
        let result = &aggregated.part.result;
        let statistics = result.epochs.len() * (result.metrics.len() * size_of::<Statistics>() + 24);
        (ENTRY + statistics) as u64
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self(Arc::new(Cache::with_weighter(1024, KEPT, Bytes)))
    }
}

/// A group that was asked for.
pub(crate) enum Found {
    /// It is complete, not long, and each of its trials has a row.
    Whole(Arc<GroupPart>),
    /// Any other.
    Curves(GroupCurves),
}

/// Where groups are read from.
pub(crate) struct Groups {
    pub(crate) sweep: Sweep,
    pub(crate) control: Control,
    pub(crate) grouping: Arc<Grouping>,
    pub(crate) kept: Kept,
}

impl Groups {
    /// Where the trials of a group stand, without reading their curves.
    pub(crate) fn standing(&self, reader: &mut dyn Reader, group: GroupId) -> Result<Standing, StoreError> {
        let (mut trials, mut newest) = (Vec::new(), 0);
        for index in self.grouping.members(group) {
            let of_point = reader.trials(self.sweep.id(), group.stage, index)?;
            trials.extend(of_point.rows);
            newest = newest.max(of_point.newest);
        }
        let (group, untouched) = self.group(group, trials.iter());
        let version = Version {
            rows: trials.len(),
            newest,
        };
        Ok(Standing {
            group,
            untouched,
            trials,
            version,
        })
    }

    /// The newest epoch that every begun trial has reached, over all of them; so a line of progress speaks of each trial that
    /// has begun. None before the first epoch, or when an attempt was given up meanwhile.
    pub(crate) fn progress(
        &self,
        reader: &mut dyn Reader,
        standing: &Standing,
    ) -> Result<Option<GroupProgress>, StoreError> {
        let begun = standing.trials.iter().filter_map(|row| match row.state {
            TrialState::Succeeded { fence, .. }
            | TrialState::Leased { fence, .. }
            | TrialState::Running { fence, .. } => Some((row.id.key, fence)),
            _ => None,
        });
        let mut begun: Vec<_> = begun.collect();
        let lengths = reader.lengths(self.sweep.id(), &begun)?;
        let mut reached = lengths.iter();
        begun.retain(|_| reached.next().is_some_and(|epochs| *epochs > 0));
        let Some(epoch) = lengths.into_iter().filter(|epochs| *epochs > 0).min() else {
            return Ok(None);
        };
        let mut curves = Vec::with_capacity(begun.len());
        for ((key, _), values) in begun.iter().zip(reader.values(self.sweep.id(), &begun, epoch)?) {
            let Some(values) = values else {
                return Ok(None);
            };
            curves.push((self.sweep.metrics(*key), values));
        }
        let (metrics, statistics) = aggregate::one_epoch(&curves);
        Ok(Some(GroupProgress {
            group: standing.group.clone(),
            epoch,
            metrics,
            statistics,
        }))
    }

    /// The aggregated curve of a group: what is kept of it if its trials are still what they were; else it is read, and
    /// aggregated and kept if it is complete. None if the sweep has been deleted since.
    pub(crate) fn result(
        &self,
        reader: &mut dyn Reader,
        standing: &Standing,
    ) -> Result<Option<Found>, StoreError> {
        let group = standing.id();
        // Of trials without rows only the sweep says whether they are still to come.
        if statistics(&self.sweep, group) > PART || !standing.is_complete() || standing.untouched > 0 {
            return Ok(self.curves(reader, standing)?.map(Found::Curves));
        }
        let key = Key {
            sweep: self.sweep.id(),
            by: self.grouping.axes().to_vec(),
            group,
        };
        if let Some(kept) = self.kept.0.get(&key)
            && kept.version == standing.version
            && kept.part.result.group == standing.group
        {
            return Ok(Some(Found::Whole(kept.part)));
        }
        let Some(curves) = self.curves(reader, standing)? else {
            return Ok(None);
        };
        let part = Arc::new(curves.part(1));
        if part.more {
            return Ok(Some(Found::Curves(curves)));
        }
        let aggregated = Aggregated {
            version: standing.version,
            part: Arc::clone(&part),
        };
        self.kept.0.insert(key, aggregated);
        Ok(Some(Found::Whole(part)))
    }

    /// The curves of a group, read. What is accepted never changes, so they go with where its trials stood. None if the sweep
    /// has been deleted since.
    pub(crate) fn curves(
        &self,
        reader: &mut dyn Reader,
        standing: &Standing,
    ) -> Result<Option<GroupCurves>, StoreError> {
        let mut curves = Vec::new();
        for of_point in standing.trials.chunk_by(|a, b| a.id.key.index == b.id.key.index) {
            let accepted = of_point.iter().filter_map(|row| match row.state {
                TrialState::Succeeded { fence, epochs } => Some((row.id, fence, epochs)),
                _ => None,
            });
            let accepted: Vec<_> = accepted.collect();
            let attempts: Vec<_> = accepted
                .iter()
                .map(|(id, fence, _)| (id.key.repetition, *fence))
                .collect();
            let key = of_point[0].id.key;
            let blocks = reader.blocks(self.sweep.id(), key.stage, key.index, &attempts)?;
            if !attempts.is_empty() && blocks.iter().all(Vec::is_empty) {
                return Ok(None);
            }
            let metrics = self.sweep.metrics(key);
            for ((id, _, epochs), blocks) in accepted.into_iter().zip(blocks) {
                let mut curve = Curve::new(metrics.clone());
                let whole = blocks.iter().all(|block| curve.push(block));
                if !whole || curve.epochs() != epochs {
                    return Err(StoreError::Corrupt(format!(
                        "the epochs of trial {id} are not the {epochs} that were accepted"
                    )));
                }
                curves.push(curve);
            }
        }
        Ok(Some(GroupCurves {
            group: standing.group.clone(),
            curves,
        }))
    }

    /// A group whose trials have these rows, and how many have none.
    fn group<'a>(&self, group: GroupId, rows: impl Iterator<Item = &'a TrialRow>) -> (Group, u64) {
        let mut counts = Counts::default();
        for row in rows {
            *row.state.counter(&mut counts) += 1;
        }
        let stage = self.sweep.stage(group.stage);
        let points = self.grouping.members(group).into_iter();
        let trials: u64 = points
            .map(|index| stage.map_or(0, |stage| u64::from(stage.repetitions_of(index))))
            .sum();
        let untouched = trials.saturating_sub(counts.total());
        match self.control {
            Control::Stopped => counts.cancelled += untouched,
            Control::Active | Control::Paused => counts.pending += untouched,
        }
        let group = Group {
            stage: group.stage,
            stage_name: stage.map_or_else(String::new, |stage| stage.name().to_owned()),
            index: group.index,
            values: self.grouping.values(group),
            counts,
        };
        (group, untouched)
    }
}

/// The curves of a group's succeeded trials, in order of points and repetitions.
pub(crate) struct GroupCurves {
    /// The group with its counts.
    pub(crate) group: Group,
    curves: Vec<Curve>,
}

/// Where the trials of a group stand.
pub(crate) struct Standing {
    pub(crate) group: Group,
    /// Trials that no worker has touched, and that therefore have no rows.
    pub(crate) untouched: u64,
    /// The others.
    trials: Vec<TrialRow>,
    pub(crate) version: Version,
}

impl Standing {
    fn id(&self) -> GroupId {
        GroupId {
            stage: self.group.stage,
            index: self.group.index,
        }
    }

    /// All its trials are over.
    pub(crate) fn is_complete(&self) -> bool {
        self.group.counts.open() == 0
    }
}

impl GroupCurves {
    /// The aggregated curve over the succeeded trials, or a part of it, from this epoch on.
    pub(crate) fn part(&self, first: u32) -> GroupPart {
        let curves: Vec<&Curve> = self.curves.iter().collect();
        let part = aggregate::part(&curves, first, PART);
        let result = GroupResult {
            group: self.group.clone(),
            metrics: part.metrics,
            epochs: part.epochs,
        };
        GroupPart {
            result,
            first,
            more: part.more,
        }
    }
}

#[cfg(test)]
mod tests {
    use tenfold_core::record::{EpochsRow, Record, SweepRow};
    use tenfold_types::{Block, Fence, TrialId, TrialKey};

    use super::*;
    use crate::store::{MemoryStore, Store};

    const SWEEP: &str = "epochs = 2\nrepetitions = 2\n[settings]\narchitecture = \"perceptron-5\"\n\
                         [axes]\nlearning_rate = [0.1, 0.01]\n";

    fn trial(sweep: SweepId, repetition: u32, state: TrialState) -> TrialRow {
        let key = TrialKey {
            stage: 0,
            repetition,
            index: 0,
        };
        let accepted_at = state.accepted().map(|_| 1);
        TrialRow {
            id: TrialId { sweep, key },
            state,
            attempts: 1,
            failures: 0,
            error: None,
            pack_limit: 0,
            accepted_at,
        }
    }

    fn succeeded(sweep: SweepId, repetition: u32) -> [Record; 2] {
        let fence = Fence(1);
        let row = trial(sweep, repetition, TrialState::Succeeded { fence, epochs: 2 });
        let epochs = EpochsRow {
            trial: row.id,
            fence,
            attempt: 1,
            block: Block {
                first: 1,
                epochs: 2,
                columns: vec![0.5; 8],
                seconds: vec![1.0; 2],
            },
        };
        [Record::Epochs(epochs), Record::Trial(row)]
    }

    #[test]
    fn what_a_complete_group_came_to_is_kept_until_one_of_its_trials_changes() {
        let sweep = Sweep::parse(SWEEP, "sweep.toml", &[], None).unwrap();
        let id = sweep.id();
        let mut store = MemoryStore::default();
        let row = SweepRow {
            id,
            number: 1,
            name: "kept".to_owned(),
            normalised: String::new(),
            submitted_at: 0,
            finished_at: None,
            control: Control::Active,
        };
        store.commit(&[Record::Sweep(row)]).unwrap();
        store.commit(&succeeded(id, 0)).unwrap();
        store
            .commit(&[Record::Trial(trial(id, 1, TrialState::Failed))])
            .unwrap();
        let mut reader = store.reader().unwrap();
        let groups = Groups {
            grouping: Arc::new(sweep.grouping(&[]).unwrap()),
            sweep,
            control: Control::Active,
            kept: Kept::default(),
        };
        let mut whole = |index| {
            let group = GroupId { stage: 0, index };
            let standing = groups.standing(reader.as_mut(), group).unwrap();
            match groups.result(reader.as_mut(), &standing).unwrap() {
                Some(Found::Whole(part)) => Some(part),
                Some(Found::Curves(_)) | None => None,
            }
        };
        let first = whole(0).unwrap();
        assert_eq!(first.result.group.counts.failed, 1);
        assert!(Arc::ptr_eq(&first, &whole(0).unwrap()), "kept");
        assert!(whole(1).is_none(), "nobody has touched its trials");
        store
            .commit(&[Record::Trial(trial(id, 1, TrialState::Pending))])
            .unwrap();
        assert!(whole(0).is_none(), "it is not complete any more");
        store.commit(&succeeded(id, 1)).unwrap();
        let second = whole(0).unwrap();
        assert_eq!(second.result.group.counts.succeeded, 2);
        assert_eq!(second.result.epochs[1][0].n, 2);
        let group = GroupId { stage: 0, index: 0 };
        let standing = groups.standing(reader.as_mut(), group).unwrap();
        store.commit(&[Record::SweepGone(id)]).unwrap();
        assert!(
            groups.curves(reader.as_mut(), &standing).unwrap().is_none(),
            "deleted"
        );
    }

    #[test]
    fn so_many_bytes_are_kept_and_no_more() {
        let kept = Kept::default();
        let sweep = Sweep::parse(SWEEP, "sweep.toml", &[], None).unwrap();
        let curve = Curve {
            metrics: sweep.metrics(TrialKey::FIRST),
            columns: vec![vec![0.5; 1000]; 4],
        };
        let (metrics, epochs) = aggregate::aggregate(&[&curve]);
        for group in 0..1_000 {
            let part = GroupPart {
                result: GroupResult {
                    group: Group {
                        stage: 0,
                        stage_name: String::new(),
                        index: group,
                        values: Vec::new(),
                        counts: Counts::default(),
                    },
                    metrics: metrics.clone(),
                    epochs: epochs.clone(),
                },
                first: 1,
                more: false,
            };
            let key = Key {
                sweep: sweep.id(),
                by: Vec::new(),
                group: GroupId {
                    stage: 0,
                    index: group,
                },
            };
            let aggregated = Aggregated {
                version: Version::default(),
                part: Arc::new(part),
            };
            assert!(Bytes.weight(&key, &aggregated) > 4_000 * size_of::<Statistics>() as u64);
            kept.0.insert(key, aggregated);
            assert!(kept.0.weight() <= KEPT, "{}", kept.0.weight());
        }
        assert!(kept.0.weight() > KEPT / 2, "{}", kept.0.weight());
    }
}
