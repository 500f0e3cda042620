//! Groups: their curves are read and aggregated when they are asked for; what complete groups came to is kept for whoever
//! asks next, within a bound.

mod sample;

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tenfold_core::aggregate::{self, Counts, Group, GroupResult, Sample, Statistics};
use tenfold_core::record::{Control, TrialRow};
use tenfold_core::sweep::{GroupId, Grouping, Sweep};
use tenfold_core::trial::TrialState;
use tenfold_types::{Curve, Data, Metric, Setting, SweepId, TrialKey};

use crate::store::{Cursor, Reader, StoreError};
use sample::{Chosen, choose};

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
    /// For each metric, over the repetitions that all points that have begun have begun.
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
        let (group, untouched) = self.group(group, &trials);
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

    /// The newest epoch that every trial that counts has reached, over all of them. Those count that have an epoch, at the points
    /// that have such a trial, in the repetitions that all these points have begun: so a line of progress compares like with
    /// like, and a point that is still to begin holds nothing back. None before the first such epoch, or when an attempt was
    /// given up meanwhile.
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
        let mut lengths: Vec<u32> = lengths.into_iter().filter(|epochs| *epochs > 0).collect();

        let points = self.grouping.distinct(standing.id());
        let keys: Vec<TrialKey> = begun.iter().map(|(key, _)| *key).collect();
        let Chosen { sample, places } = choose(&points, &keys, standing.group.sample);
        if sample.has_several_points() {
            begun = places.iter().map(|&place| begun[place]).collect();
            lengths = places.iter().map(|&place| lengths[place]).collect();
        }
        let Some(epoch) = lengths.into_iter().min() else {
            return Ok(None);
        };
        let mut curves = Vec::with_capacity(begun.len());
        for ((key, _), values) in begun.iter().zip(reader.values(self.sweep.id(), &begun, epoch)?) {
            let Some(values) = values else {
                return Ok(None);
            };
            curves.push((self.sweep.metrics(*key), values));
        }
        let (metrics, statistics) = aggregate::one_epoch_within(&curves, sample.points as usize);
        Ok(Some(GroupProgress {
            group: Group {
                sample,
                ..standing.group.clone()
            },
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
        let trials = standing.counted(&self.grouping);
        for of_point in trials.chunk_by(|a, b| a.id.key.index == b.id.key.index) {
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
            if !attempts.is_empty()
                && blocks.iter().all(Vec::is_empty)
                && reader
                    .trials(self.sweep.id(), key.stage, key.index)?
                    .rows
                    .is_empty()
            {
                return Ok(None);
            }
            let metrics = self.sweep.metrics(key);
            for ((id, fence, epochs), blocks) in accepted.into_iter().zip(blocks) {
                let mut curve = Curve::new(metrics.clone());
                let whole = blocks.iter().all(|block| curve.push(block));
                if !whole || curve.epochs() != epochs {
                    return Err(StoreError::damaged_epochs(id, fence));
                }
                curves.push(curve);
            }
        }
        Ok(Some(GroupCurves {
            group: standing.group.clone(),
            data: self.sweep.data(),
            curves,
        }))
    }

    /// A group whose trials have these rows, and how many have none.
    fn group(&self, group: GroupId, rows: &[TrialRow]) -> (Group, u64) {
        let mut counts = Counts::default();
        for row in rows {
            *row.state.counter(&mut counts) += 1;
        }
        let stage = self.sweep.stage(group.stage);
        let members = self.grouping.members(group);
        let repetitions = |&index: &u64| stage.map_or(0, |stage| stage.repetitions_of(index));
        let trials: u64 = members.iter().map(|index| u64::from(repetitions(index))).sum();
        let points = self.grouping.distinct(group);
        let planned = Sample {
            twins: (members.len() - points.len()) as u32,
            repetitions: points.iter().map(repetitions).max().unwrap_or(0),
            ..Sample::default()
        };
        let succeeded: Vec<TrialKey> = rows
            .iter()
            .filter(|row| succeeded(row))
            .map(|row| row.id.key)
            .collect();
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
            sample: choose(&points, &succeeded, planned).sample,
        };
        (group, untouched)
    }
}

fn succeeded(row: &TrialRow) -> bool {
    matches!(row.state, TrialState::Succeeded { .. })
}

/// The curves of a group's trials that count, in order of points and repetitions.
pub(crate) struct GroupCurves {
    /// The group with its counts.
    pub(crate) group: Group,
    data: Data,
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

    /// The rows of the trials that count, in order of points and repetitions.
    fn counted(&self, grouping: &Grouping) -> Vec<&TrialRow> {
        let rows: Vec<&TrialRow> = self.trials.iter().filter(|row| succeeded(row)).collect();
        let keys: Vec<TrialKey> = rows.iter().map(|row| row.id.key).collect();
        let chosen = choose(&grouping.distinct(self.id()), &keys, self.group.sample);
        chosen.places.into_iter().map(|place| rows[place]).collect()
    }

    /// All its trials are over.
    pub(crate) fn is_complete(&self) -> bool {
        self.group.counts.open() == 0
    }
}

impl GroupCurves {
    /// The aggregated curve over the repetitions that count, or a part of it, from this epoch on.
    pub(crate) fn part(&self, first: u32) -> GroupPart {
        let curves: Vec<&Curve> = self.curves.iter().collect();
        let points = self.group.sample.points.max(1) as usize;
        let part = aggregate::part_within(&curves, points, first, PART);
        let answers = part.metrics.iter().map(|&metric| self.data.answers(metric));
        let result = GroupResult {
            group: self.group.clone(),
            answers: answers.collect(),
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
mod tests;
