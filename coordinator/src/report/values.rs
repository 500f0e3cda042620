//! A metric's values at one epoch, by point and repetition: what comparisons are made of.

use std::collections::BTreeMap;

use tenfold_core::aggregate::Counts;
use tenfold_core::compare::as_written;
use tenfold_core::sweep::Stage;
use tenfold_types::Metric;

use super::raw::TrialCurveRow;

/// The values of a stage's succeeded trials, and what became of the others.
#[derive(Debug, Clone, Default)]
pub struct Values {
    repetitions: u32,
    /// Nothing of the sweep waits or runs.
    finished: bool,
    /// Points that are run less often.
    fewer: BTreeMap<u64, u32>,
    values: BTreeMap<(u64, u32), f64>,
    /// The states of trials without a value; of a trial that is not here nothing is known, as it has not begun.
    states: BTreeMap<(u64, u32), String>,
}

impl Values {
    /// Of the trials of a stage, at an epoch from 1.
    pub fn of(rows: &[TrialCurveRow], stage: u32, metric: Metric, epoch: u32, repetitions: u32) -> Self {
        let mut of = Self {
            repetitions,
            ..Self::default()
        };
        for row in rows.iter().filter(|row| row.key.stage == stage) {
            let place = (row.key.index, row.key.repetition);
            let value = || {
                let at = (epoch as usize).checked_sub(1)?;
                row.curve.column(metric)?.get(at).copied()
            };
            match value().filter(|_| row.state == "succeeded") {
                Some(value) => _ = of.values.insert(place, as_written(value)),
                None => _ = of.states.insert(place, row.state.clone()),
            }
        }
        of
    }

    /// The same of a stage in which some points may have had enough with fewer repetitions.
    #[must_use]
    pub fn run_as(mut self, stage: &Stage) -> Self {
        let points = self
            .values
            .keys()
            .chain(self.states.keys())
            .map(|(index, _)| *index);
        let run = points.map(|index| (index, stage.repetitions_of(index)));
        self.fewer = run.filter(|(_, run)| *run < self.repetitions).collect();
        self
    }

    /// The same of a sweep of which nothing waits or runs, or not.
    #[must_use]
    pub fn of_finished(mut self, finished: bool) -> Self {
        self.finished = finished;
        self
    }

    /// How often a point is run.
    fn repetitions(&self, index: u64) -> u32 {
        self.fewer.get(&index).copied().unwrap_or(self.repetitions)
    }

    /// The values of a point, by repetition.
    pub fn point(&self, index: u64) -> Vec<Option<f64>> {
        let repetitions = 0..self.repetitions(index);
        repetitions
            .map(|repetition| self.values.get(&(index, repetition)).copied())
            .collect()
    }

    /// Returns whether each repetition of a point diverged; `None` for one that neither succeeded nor diverged.
    pub fn diverged(&self, index: u64) -> Vec<Option<bool>> {
        let fate = |repetition| {
            let place = (index, repetition);
            let diverged = self.states.get(&place).is_some_and(|state| state == "diverged");
            (diverged || self.values.contains_key(&place)).then_some(diverged)
        };
        (0..self.repetitions(index)).map(fate).collect()
    }

    /// Returns the number of repetitions that all of these points were to have.
    pub fn planned(&self, points: &[u64]) -> u32 {
        let planned = points.iter().map(|point| self.repetitions(*point));
        planned.min().unwrap_or_default()
    }

    /// The value of a trial; none where it has not succeeded.
    pub fn value(&self, index: u64, repetition: u32) -> Option<f64> {
        self.values.get(&(index, repetition)).copied()
    }

    /// The state of a trial without a value; none where nothing is known of it.
    pub fn state(&self, index: u64, repetition: u32) -> Option<&str> {
        self.states.get(&(index, repetition)).map(String::as_str)
    }

    /// The mean over some points, for each repetition that all of them have.
    pub fn mean(&self, points: &[u64]) -> Vec<Option<f64>> {
        let mean = |repetition| {
            let values = points
                .iter()
                .map(|point| self.values.get(&(*point, repetition)).copied());
            let values: Vec<f64> = values.collect::<Option<_>>()?;
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let fewest = points.iter().map(|point| self.repetitions(*point)).min();
        (0..fewest.unwrap_or_default()).map(mean).collect()
    }

    /// What became of the trials of these points that have no value, among the repetitions that all of these points were to have.
    pub fn missing(&self, points: &[u64]) -> Counts {
        let mut counts = Counts::default();
        for &index in points {
            for place in (0..self.planned(points)).map(|repetition| (index, repetition)) {
                if self.values.contains_key(&place) {
                    continue;
                }
                match self.states.get(&place).map(String::as_str) {
                    Some("diverged") => counts.diverged += 1,
                    Some("failed") => counts.failed += 1,
                    Some("cancelled") => counts.cancelled += 1,
                    // Trials of a stopped sweep that never began.
                    None if self.finished => counts.cancelled += 1,
                    _ => counts.pending += 1,
                }
            }
        }
        counts
    }
}
