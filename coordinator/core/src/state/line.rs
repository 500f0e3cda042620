//! The line in which the trials of a sweep wait, by stage, repetition and point: each has a place, those excluded too.

use tenfold_types::TrialKey;

use crate::sweep::{Stage, Sweep};

/// Where the trials of a sweep stand in line.
#[derive(Debug, Clone)]
pub(super) struct Line {
    stages: Vec<Part>,
}

/// The places of a stage: the raw grid once for each repetition.
#[derive(Debug, Clone)]
struct Part {
    start: u64,
    raw: u64,
    repetitions: u32,
}

impl Line {
    pub(super) fn of(sweep: &Sweep) -> Self {
        let mut start = 0;
        let part = |stage: &Stage| {
            let part = Part {
                start,
                raw: stage.raw_points(),
                repetitions: stage.repetitions(),
            };
            start = part.end();
            part
        };
        Self {
            stages: sweep.stages().iter().map(part).collect(),
        }
    }

    /// The place of a key, which a peer may have named: none when no raw grid has such a trial.
    pub(super) fn place(&self, key: TrialKey) -> Option<u64> {
        let part = self.stages.get(key.stage as usize)?;
        let known = key.index < part.raw && key.repetition < part.repetitions;
        known.then(|| part.start + u64::from(key.repetition) * part.raw + key.index)
    }

    /// The key at a place; none behind the last.
    pub(super) fn key(&self, place: u64) -> Option<TrialKey> {
        let stage = self.stages.partition_point(|part| part.end() <= place);
        let part = self.stages.get(stage)?;
        Some(TrialKey {
            stage: stage as u32,
            repetition: ((place - part.start) / part.raw) as u32,
            index: (place - part.start) % part.raw,
        })
    }

    /// The places of a stage: from the first to the one behind the last.
    pub(super) fn places(&self, stage: u32) -> Option<(u64, u64)> {
        let part = self.stages.get(stage as usize)?;
        Some((part.start, part.end()))
    }

    /// The place behind the last.
    pub(super) fn end(&self) -> u64 {
        self.stages.last().map_or(0, Part::end)
    }
}

impl Part {
    fn end(&self) -> u64 {
        self.start + u64::from(self.repetitions) * self.raw
    }
}
