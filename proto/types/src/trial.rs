//! A trial as a trainer needs it: every setting resolved, nothing of the sweep around it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::curve::Metric;
use crate::network::Architecture;

macro_rules! choices {
    ($(#[$docs:meta])* $name:ident, $what:literal { $($(#[$variant_docs:meta])* $variant:ident $text:literal,)* }) => {
        $(#[$docs])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_docs])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// The names in sweep files and on the wire.
            pub const NAMES: &[&'static str] = &[$($text,)*];

            /// Its name in sweep files and on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $name {
            type Err = UnknownChoice;
            fn from_str(text: &str) -> Result<Self, UnknownChoice> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(UnknownChoice { text: text.to_owned(), what: $what, names: Self::NAMES }),
                }
            }
        }
    };
}

/// A name that is none of those possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}; choose one of {}", names.join(", "))]
pub struct UnknownChoice {
    /// What was given.
    pub text: String,
    /// What it should have been.
    pub what: &'static str,
    /// All names possible.
    pub names: &'static [&'static str],
}

choices! {
    /// The question that a pair of digits (first, second) asks.
    Target, "target" {
        /// Is the first digit less than the second? As the 2019 report words it.
        Less "less",
        /// Is the first digit less than or equal to the second? As the data of the report's course has it.
        LessOrEqual "less-or-equal",
    }
}

choices! {
    /// What the join sees of the sub-networks' last hidden layers.
    Join, "join" {
        /// The layer as it is.
        AsIs "as-is",
        /// Its positive part.
        Relu "relu",
        /// Its softmax.
        Softmax "softmax",
    }
}

choices! {
    /// The optimizer.
    Optimizer, "optimizer" {
        /// Adam, with the decay rates 0.9 and 0.999 and ε = 1e-8 of its paper (Kingma and Ba, 2015).
        Adam "adam",
    }
}

choices! {
    /// The loss of the answer.
    Loss, "loss" {
        /// Cross entropy of the softmax of the two outputs, mean over the batch.
        CrossEntropy "cross-entropy",
    }
}

choices! {
    /// A kind of device that trainers run on.
    DeviceKind, "kind of device" {
        /// CPU threads.
        Cpu "cpu",
        /// An NVIDIA GPU.
        Cuda "cuda",
    }
}

/// The pairs that a trial trains and is tested on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Data {
    /// Pairs to train on, drawn from MNIST's training images.
    pub train: u32,
    /// Pairs to test on, drawn from MNIST's test images.
    pub test: u32,
    /// The question asked of a pair.
    pub target: Target,
}

/// Everything that decides a trial's curve, bar the device it runs on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialSpec {
    /// The sub-networks' layers.
    pub architecture: Architecture,
    /// Whether all sub-networks are one.
    pub weight_sharing: bool,
    /// Whether each sub-network is also trained to name its digit.
    pub auxiliary_loss: bool,
    /// The weight of the sum of the auxiliary losses, against 1 for the loss of the answer.
    pub aux_weight: f64,
    /// What the join sees.
    pub join: Join,
    /// The optimizer's step size.
    pub learning_rate: f64,
    /// Pairs a step; the last batch of an epoch may be smaller.
    pub batch_size: u32,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The loss of the answer.
    pub loss: Loss,
    /// The rate of dropout layers that name none.
    pub dropout: f64,
    /// Epochs to train.
    pub epochs: u32,
    /// The data.
    pub data: Data,
    /// The sweep's seed.
    pub seed: u64,
    /// Which repetition; see [`crate::seed::key`].
    pub repetition: u32,
}

impl TrialSpec {
    /// The columns of the trial's curve, in order.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut metrics = vec![
            Metric::TrainError,
            Metric::TestError,
            Metric::TrainLoss,
            Metric::TestLoss,
        ];
        if self.auxiliary_loss {
            metrics.extend((0..self.architecture.sub_networks).map(Metric::TestDigitError));
        }
        metrics
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// All epochs were trained.
    Succeeded,
    /// A loss became infinite or no number in this epoch, which is not in the curve. A result, not an error.
    Diverged {
        /// The epoch, from 1.
        epoch: u32,
    },
    /// The trainer refused the trial, or crashed or hung on it. Charged to the trial.
    Failed {
        /// What went wrong, in words for the person who submitted.
        error: String,
    },
    /// Given back unfinished: the worker stops, or lost its trainer for no fault of the trial. Charged to nobody.
    Released,
}
