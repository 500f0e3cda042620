//! Packs, from their specs to the ends of their curves.
//!
//! On a GPU a pack is one [`FusedArray`](crate::fused::FusedArray). On the processor it is as many
//! [`HostArray`](crate::host::HostArray)s as it has trials, each trained to its end by one of the threads: what a thread
//! works on stays in its core's caches, and no curve depends on how many there are.

mod apart;
mod fused;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tch::{Device, TchError};
use tenfold_types::frame::Trial;
use tenfold_types::network::Outline;
use tenfold_types::{SpecError, TrialSpec};

use crate::array::{Learned, Row};
use crate::checkpoint::{Checkpoint, Checkpoints};
use crate::data::{Mnist, PairsError};

/// Who follows the training of a pack; trials by their places in it. Several threads may call at once, but never for
/// the same trial.
pub trait Follower: Sync {
    /// A batch was trained or evaluated.
    fn batch(&self);

    /// Whether the trial is still wanted; asked after every batch, or every epoch of an array.
    fn wants(&self, trial: usize) -> bool;

    /// An epoch is over, and took so many seconds, 0 if it comes from a checkpoint; the values are in the order of
    /// [`TrialSpec::metrics`].
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

/// A pack to train.
#[derive(Clone, Copy)]
pub struct Pack<'a> {
    /// Its trials, of one shape.
    pub trials: &'a [Trial],
    /// The data.
    pub mnist: &'a Mnist,
    /// Where to train.
    pub place: Place,
    /// Where trials go on from, and are kept for others to go on from.
    pub checkpoints: Option<&'a Checkpoints>,
    /// Who is told.
    pub follower: &'a dyn Follower,
}

impl Pack<'_> {
    /// Trains it and tells the follower. The epochs that a checkpoint has are told too, with 0 seconds each.
    pub fn train(&self) -> Trained {
        if self.place.fuse {
            return self.train_fused();
        }
        self.train_apart();
        Trained {
            largest: self.trials.len(),
            lost: None,
        }
    }

    /// Whether a trial's checkpoint is to be kept.
    fn is_kept(&self, trial: usize) -> bool {
        self.trials[trial].continued && self.checkpoints.is_some()
    }

    /// The checkpoint that a trial can go on from; `outline` is its own.
    fn find(&self, trial: usize, outline: &Outline) -> Option<Checkpoint> {
        self.checkpoints?.find(&self.trials[trial].spec, outline)
    }

    /// Keeps what a trial has learned by its end, with its whole curve, values epoch by epoch.
    fn keep(&self, trial: usize, curve: Vec<f32>, learned: Result<Learned, TrainError>) {
        let (Some(checkpoints), spec) = (self.checkpoints, &self.trials[trial].spec) else {
            return;
        };
        match learned {
            Ok(learned) => checkpoints.keep(
                spec,
                &Checkpoint {
                    epochs: spec.epochs,
                    metrics: spec.metrics().len(),
                    curve,
                    learned,
                },
            ),
            Err(error) => tracing::warn!("what a trial has learned cannot be kept: {error}"),
        }
    }
}

/// Trains trials without checkpoints, and tells the follower.
pub fn train_pack(specs: &[TrialSpec], mnist: &Mnist, place: Place, follower: &dyn Follower) -> Trained {
    let trials: Vec<Trial> = specs.iter().cloned().map(Trial::from).collect();
    let pack = Pack {
        trials: &trials,
        mnist,
        place,
        checkpoints: None,
        follower,
    };
    pack.train()
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
