//! All trials of a pack as one array, or as several: where memory is short, or where they go on from different epochs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tch::Kind;
use tenfold_types::TrialSpec;

use super::{End, Follower, Pack, TrainError, Trained, diverged, fits, guarded};
use crate::array::{Array, Learned, Row, Tick};
use crate::checkpoint::Checkpoint;
use crate::fused::FusedArray;

/// A device looks up from its work about so often.
const BLOCK_TIME: Duration = Duration::from_millis(200);

/// An array is compacted when so many of its trials have left: one of this.
const COMPACT_AT: usize = 4;

impl Pack<'_> {
    pub(super) fn train_fused(&self) -> Trained {
        let follower = self.follower;
        let found = self.find_all();
        let mut waiting = self.by_beginning(&found);
        let mut trained = Trained {
            largest: self.trials.len(),
            lost: None,
        };
        while let Some(trials) = waiting.pop() {
            let mut trials: Vec<usize> = trials
                .into_iter()
                .filter(|&trial| follower.wants(trial))
                .collect();
            if trials.is_empty() {
                continue;
            }
            let mut training = Training {
                pack: self,
                found: &found,
                epochs: vec![0; self.trials.len()],
                over: vec![false; self.trials.len()],
                curves: vec![Vec::new(); self.trials.len()],
            };
            let error = guarded(|| tch::with_grad(|| training.train(&trials)));
            let Err(error) = error else { continue };
            trials.retain(|&trial| !training.over[trial]);
            if error.is_device_lost() {
                for trial in trials.into_iter().chain(waiting.into_iter().flatten()) {
                    follower.ended(trial, Ok(End::Released));
                }
                trained.lost = Some(error.to_string());
                return trained;
            }
            if error.is_out_of_memory() || matches!(error, TrainError::TooLarge { .. }) {
                // What was handed over stays; such a trial begins anew elsewhere.
                let (begun, fresh): (Vec<_>, Vec<_>) =
                    trials.into_iter().partition(|&trial| training.epochs[trial] > 0);
                for trial in begun {
                    follower.ended(trial, Ok(End::Released));
                }
                if fresh.len() > 1 {
                    let (first, second) = fresh.split_at(fresh.len() / 2);
                    tracing::warn!("{error}; going on with {} trials at once", second.len());
                    trained.largest = trained.largest.min(second.len());
                    waiting.extend([second.to_vec(), first.to_vec()]);
                    continue;
                }
                trials = fresh;
            }
            let error = Arc::new(error);
            for trial in trials {
                follower.ended(trial, Err(Arc::clone(&error)));
            }
        }
        trained
    }

    /// The checkpoint of each trial that has one.
    fn find_all(&self) -> Vec<Option<Checkpoint>> {
        let find = |trial: usize| {
            self.checkpoints?;
            self.follower.batch();
            let outline = self.trials[trial].spec.check().ok()?;
            self.find(trial, &outline)
        };
        (0..self.trials.len()).map(find).collect()
    }

    /// Trials that go on from the same epoch, an array each. Those of which there is nothing left to train are over.
    fn by_beginning(&self, found: &[Option<Checkpoint>]) -> Vec<Vec<usize>> {
        let mut arrays: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (trial, found) in found.iter().enumerate() {
            match found {
                Some(found) if found.epochs == self.trials[trial].spec.epochs => {
                    if self.follower.wants(trial) {
                        found.rows().for_each(|row| self.follower.epoch(trial, row, 0.0));
                        self.follower.ended(trial, Ok(End::Succeeded));
                    }
                }
                found => {
                    let begun = found.as_ref().map_or(0, |found| found.epochs);
                    arrays.entry(begun).or_default().push(trial);
                }
            }
        }
        arrays.into_values().collect()
    }
}

/// The training of an array.
struct Training<'a> {
    pack: &'a Pack<'a>,
    /// What each trial goes on from; all of an array from the same epoch.
    found: &'a [Option<Checkpoint>],
    /// Epochs handed over, by trial.
    epochs: Vec<u32>,
    /// Trials that are over or no longer wanted.
    over: Vec<bool>,
    /// The curves of those that are to be kept.
    curves: Vec<Vec<f32>>,
}

impl Training<'_> {
    fn train(&mut self, trials: &[usize]) -> Result<(), TrainError> {
        struct All<'a>(&'a dyn Follower);
        impl Tick for All<'_> {
            fn tick(&self) -> bool {
                self.0.batch();
                true
            }
        }
        let Pack {
            mnist,
            place,
            follower,
            ..
        } = *self.pack;
        // A spec that makes no sense must not take its neighbours along.
        for &trial in trials {
            if let Err(error) = self.spec(trial).check() {
                self.over[trial] = true;
                follower.ended(trial, Err(Arc::new(error.into())));
            }
        }
        let mut trials: Vec<usize> = trials
            .iter()
            .copied()
            .filter(|&trial| !self.over[trial])
            .collect();
        let Some(&first) = trials.first() else {
            return Ok(());
        };
        let outline = self.spec(first).check()?;
        let count = trials.len() as u64;
        fits(
            crate::fused::bytes(self.spec(first), &outline, count, count),
            place.memory,
        )?;
        let specs: Vec<TrialSpec> = trials.iter().map(|&trial| self.spec(trial).clone()).collect();
        let mut array = FusedArray::new(&specs, mnist, place.device, Kind::Float)?;
        let begun = self.begun(first);
        if begun > 0 {
            let found = trials.iter().filter_map(|&trial| self.found[trial].as_ref());
            let learned: Vec<&Learned> = found.map(|found| &found.learned).collect();
            array.resume(begun, &learned)?;
        }
        let mut at_once = 1;
        while trials.iter().any(|&trial| !self.over[trial]) {
            let left = |trial: &&usize| !self.over[**trial];
            let left = trials
                .iter()
                .filter(left)
                .map(|&trial| self.spec(trial).epochs - self.epochs[trial].max(begun));
            let count = at_once.min(left.min().unwrap_or(1)).max(1);
            let start = Instant::now();
            let Some(rows) = array.epochs(count, &All(follower))? else {
                return Ok(());
            };
            let took = start.elapsed();
            let seconds = took.as_secs_f32() / count as f32;
            for (at, (&trial, rows)) in trials.iter().zip(&rows).enumerate() {
                self.hand_over_found(trial);
                self.hand_over(trial, rows, seconds);
                if self.epochs[trial] == self.spec(trial).epochs && !self.over[trial] {
                    self.over[trial] = true;
                    if self.pack.is_kept(trial) {
                        let curve = std::mem::take(&mut self.curves[trial]);
                        self.pack.keep(trial, curve, array.learned(at));
                        follower.batch();
                    }
                    follower.ended(trial, Ok(End::Succeeded));
                }
            }
            let fitting = BLOCK_TIME.as_secs_f64() / took.as_secs_f64().max(1e-6) * f64::from(count);
            at_once = (fitting as u32).clamp(1, 1000);
            let gone = trials.iter().filter(|&&trial| self.over[trial]).count();
            if gone * COMPACT_AT >= trials.len() && gone < trials.len() {
                let places: Vec<usize> = (0..trials.len()).filter(|&at| !self.over[trials[at]]).collect();
                array.keep(&places)?;
                trials = places.iter().map(|&at| trials[at]).collect();
            }
        }
        Ok(())
    }

    fn spec(&self, trial: usize) -> &TrialSpec {
        &self.pack.trials[trial].spec
    }

    /// Epochs that a trial does not train.
    fn begun(&self, trial: usize) -> u32 {
        self.found[trial].as_ref().map_or(0, |found| found.epochs)
    }

    /// The epochs of the checkpoint, once. Not before the array has trained one: where memory is too small for that,
    /// nothing is handed over yet, and the trials can be cut in halves.
    fn hand_over_found(&mut self, trial: usize) {
        let Some(found) = self.found[trial].as_ref().filter(|_| self.epochs[trial] == 0) else {
            return;
        };
        if self.over[trial] || !self.pack.follower.wants(trial) {
            return;
        }
        for row in found.rows() {
            self.pack.follower.epoch(trial, row, 0.0);
        }
        self.epochs[trial] = found.epochs;
        if self.pack.is_kept(trial) {
            self.curves[trial].extend(&found.curve);
        }
    }

    fn hand_over(&mut self, trial: usize, rows: &[Row], seconds: f32) {
        let follower = self.pack.follower;
        if !self.over[trial] && !follower.wants(trial) {
            self.over[trial] = true;
        }
        for row in rows {
            if self.over[trial] {
                return;
            }
            if diverged(row) {
                self.over[trial] = true;
                follower.ended(trial, Ok(End::Diverged(self.epochs[trial] + 1)));
                return;
            }
            self.epochs[trial] += 1;
            follower.epoch(trial, &row.values, seconds);
            if self.pack.is_kept(trial) {
                self.curves[trial].extend(&row.values);
            }
        }
    }
}
