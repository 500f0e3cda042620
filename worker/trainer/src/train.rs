//! Packs, from their specs to the ends of their curves.
//!
//! On a GPU a pack is one [`FusedArray`]. On the processor it is as many [`HostArray`]s as it has trials, each trained to its
//! end by one of the threads: what a thread works on stays in its core's caches, and no curve depends on how many there
//! are.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tch::{Device, Kind, TchError};
use tenfold_types::{SpecError, TrialSpec};

use crate::array::{Array, Row, Tick};
use crate::data::{Mnist, PairsError};
use crate::fused::FusedArray;
use crate::host::HostArray;

/// A device looks up from its work about so often.
const BLOCK_TIME: Duration = Duration::from_millis(200);

/// An array is compacted when so many of its trials have left: one of this.
const COMPACT_AT: usize = 4;

/// Who follows the training of a pack; trials by their places in it. Several threads may call at once, but never for
/// the same trial.
pub trait Follower: Sync {
    /// A batch was trained or evaluated.
    fn batch(&self);

    /// Whether the trial is still wanted; asked after every batch, or every epoch of an array.
    fn wants(&self, trial: usize) -> bool;

    /// An epoch is over; the values are in the order of [`TrialSpec::metrics`].
    fn epoch(&self, trial: usize, values: &[f32], seconds: f32);

    /// The trial is over. Not said of one that was no longer wanted.
    fn ended(&self, trial: usize, end: Result<End, Arc<TrainError>>);
}

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All epochs were trained.
    Succeeded,
    /// A loss became infinite or no number in this epoch, from 1, which was not handed over.
    Diverged(u32),
    /// Memory ran out when epochs had been handed over, or the device was lost; the trial can be trained again.
    Released,
}

/// Why a trial cannot be trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// It makes no sense.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Too many pairs.
    #[error(transparent)]
    Pairs(#[from] PairsError),
    /// Trials of an array that are not of one shape, or none.
    #[error("the trials of an array need to be of one shape, and at least one")]
    Mixed,
    /// More memory than there is, for one trial alone.
    #[error(
        "one trial of this network needs about {} MiB, {} MiB are free; use a smaller network or batch_size",
        needs.div_ceil(1 << 20),
        free >> 20
    )]
    TooLarge {
        /// Bytes that it needs.
        needs: u64,
        /// Bytes that there are.
        free: u64,
    },
    /// Libtorch's.
    #[error("libtorch: {}", first_words(.0))]
    Torch(#[from] TchError),
    /// A bug.
    #[error("the trainer panicked: {0}")]
    Panicked(String),
}

impl TrainError {
    /// Whether memory ran out.
    pub fn is_out_of_memory(&self) -> bool {
        match self {
            Self::Torch(error) => {
                let text = error.to_string();
                ["out of memory", "not enough memory", "can't allocate"]
                    .iter()
                    .any(|words| text.contains(words))
            }
            _ => false,
        }
    }
}

impl TrainError {
    /// Whether the device is of no use any more: after such an error CUDA answers everything with it.
    pub fn is_device_lost(&self) -> bool {
        match self {
            Self::Torch(error) => !self.is_out_of_memory() && error.to_string().contains("CUDA error"),
            _ => false,
        }
    }
}

/// Libtorch's messages end in a list of stack frames, which says nothing to the person who submitted.
fn first_words(error: &TchError) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("Internal torch error: ").unwrap_or(&text);
    let end = ["\nException raised from", "\nframe #"]
        .iter()
        .filter_map(|end| text.find(end))
        .min();
    text[..end.unwrap_or(text.len())].trim().to_owned()
}

/// What packs are trained on.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The device.
    pub device: Device,
    /// Threads of the processor, each with a trial of its own.
    pub threads: usize,
    /// Bytes of memory that may be used.
    pub memory: u64,
    /// Whether a pack is one network, as on GPUs, or each trial one by itself.
    pub fuse: bool,
}

/// How the training of a pack went, beside its trials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trained {
    /// The largest array that fitted memory: as large as the pack, or smaller.
    pub largest: usize,
    /// Why the device is of no use any more, if it is not. Its trials were released.
    pub lost: Option<String>,
}

/// Trains a pack and tells the follower.
pub fn train_pack(specs: &[TrialSpec], mnist: &Mnist, place: Place, follower: &dyn Follower) -> Trained {
    if place.fuse {
        return train_fused(specs, mnist, place, follower);
    }
    train_apart(specs, mnist, place, follower);
    Trained {
        largest: specs.len(),
        lost: None,
    }
}

/// The trials one by one, as many at once as there are threads.
fn train_apart(specs: &[TrialSpec], mnist: &Mnist, place: Place, follower: &dyn Follower) {
    let next = AtomicUsize::new(0);
    let work = || {
        // A curve's bits must not depend on how libtorch would share an operation among threads.
        tch::set_num_threads(1);
        loop {
            let trial = next.fetch_add(1, Ordering::Relaxed);
            let Some(spec) = specs.get(trial) else { return };
            if !follower.wants(trial) {
                continue;
            }
            let trained = guarded(|| {
                // Whatever an earlier trial that panicked has left behind.
                tch::with_grad(|| train_alone(spec, trial, mnist, place, follower))
            });
            if let Some(end) = trained.transpose() {
                follower.ended(trial, end.map_err(Arc::new));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..place.threads.min(specs.len()) {
            scope.spawn(work);
        }
        work();
    });
}

/// A trial to its end; none when it is no longer wanted.
fn train_alone(
    spec: &TrialSpec,
    trial: usize,
    mnist: &Mnist,
    place: Place,
    follower: &dyn Follower,
) -> Result<Option<End>, TrainError> {
    struct Wanted<'a>(&'a dyn Follower, usize);
    impl Tick for Wanted<'_> {
        fn tick(&self) -> bool {
            self.0.batch();
            self.0.wants(self.1)
        }
    }
    let outline = spec.check()?;
    fits(
        crate::host::bytes(spec, &outline),
        place.memory / place.threads.max(1) as u64,
    )?;
    let mut array = HostArray::<f32>::new(std::slice::from_ref(spec), mnist)?;
    for epoch in 1..=spec.epochs {
        let start = Instant::now();
        let Some(rows) = array.epochs(1, &Wanted(follower, trial))? else {
            return Ok(None);
        };
        let seconds = start.elapsed().as_secs_f32();
        for row in rows.iter().flatten() {
            if diverged(row) {
                return Ok(Some(End::Diverged(epoch)));
            }
            follower.epoch(trial, &row.values, seconds);
        }
    }
    Ok(Some(End::Succeeded))
}

fn fits(needs: u64, free: u64) -> Result<(), TrainError> {
    if needs > free {
        return Err(TrainError::TooLarge { needs, free });
    }
    Ok(())
}

fn diverged(row: &Row) -> bool {
    !row.finite || !row.values.iter().all(|value| value.is_finite())
}

/// Calls it; a panic is an error like any other.
fn guarded<T>(train: impl FnOnce() -> Result<T, TrainError>) -> Result<T, TrainError> {
    catch_unwind(AssertUnwindSafe(train)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(TrainError::Panicked(text.unwrap_or("no message").to_owned()))
    })
}

/// All trials as one array, or as several where memory is short.
fn train_fused(specs: &[TrialSpec], mnist: &Mnist, place: Place, follower: &dyn Follower) -> Trained {
    let all: Vec<usize> = (0..specs.len()).collect();
    let mut waiting = vec![all];
    let mut trained = Trained {
        largest: specs.len(),
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
            specs,
            epochs: vec![0; specs.len()],
            over: vec![false; specs.len()],
        };
        let error = guarded(|| tch::with_grad(|| training.train(&trials, mnist, place, follower)));
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

/// The training of an array.
struct Training<'a> {
    specs: &'a [TrialSpec],
    /// Epochs handed over, by trial.
    epochs: Vec<u32>,
    /// Trials that are over or no longer wanted.
    over: Vec<bool>,
}

impl Training<'_> {
    fn train(
        &mut self,
        trials: &[usize],
        mnist: &Mnist,
        place: Place,
        follower: &dyn Follower,
    ) -> Result<(), TrainError> {
        struct All<'a>(&'a dyn Follower);
        impl Tick for All<'_> {
            fn tick(&self) -> bool {
                self.0.batch();
                true
            }
        }
        // A spec that makes no sense must not take its neighbours along.
        for &trial in trials {
            if let Err(error) = self.specs[trial].check() {
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
        let outline = self.specs[first].check()?;
        let count = trials.len() as u64;
        fits(
            crate::fused::bytes(&self.specs[first], &outline, count, count),
            place.memory,
        )?;
        let specs: Vec<TrialSpec> = trials.iter().map(|&trial| self.specs[trial].clone()).collect();
        let mut array = FusedArray::new(&specs, mnist, place.device, Kind::Float)?;
        let mut at_once = 1;
        while trials.iter().any(|&trial| !self.over[trial]) {
            let left = |trial: &&usize| !self.over[**trial];
            let left = trials
                .iter()
                .filter(left)
                .map(|&trial| self.specs[trial].epochs - self.epochs[trial]);
            let count = at_once.min(left.min().unwrap_or(1)).max(1);
            let start = Instant::now();
            let Some(rows) = array.epochs(count, &All(follower))? else {
                return Ok(());
            };
            let took = start.elapsed();
            let seconds = took.as_secs_f32() / count as f32;
            for (&trial, rows) in trials.iter().zip(&rows) {
                self.hand_over(trial, rows, seconds, follower);
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

    fn hand_over(&mut self, trial: usize, rows: &[Row], seconds: f32, follower: &dyn Follower) {
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
            if self.epochs[trial] == self.specs[trial].epochs {
                self.over[trial] = true;
                follower.ended(trial, Ok(End::Succeeded));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libtorch_says_of_memory_and_devices_is_understood() {
        let said = |text: &str| TrainError::Torch(TchError::Torch(text.to_owned()));
        let full = said("CUDA out of memory. Tried to allocate 20.00 GiB\nException raised from malloc");
        assert!(full.is_out_of_memory() && !full.is_device_lost());
        assert!(
            said("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes").is_out_of_memory()
        );
        let lost = said("CUDA error: unspecified launch failure\nframe #0: c10::Error");
        assert!(lost.is_device_lost() && !lost.is_out_of_memory());
        assert_eq!(
            lost.to_string(),
            "libtorch: CUDA error: unspecified launch failure"
        );
        let other = said("mat1 and mat2 shapes cannot be multiplied");
        assert!(
            !other.is_device_lost() && !other.is_out_of_memory() && !TrainError::Mixed.is_out_of_memory()
        );
    }
}
