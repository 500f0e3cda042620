//! A trial as a trainer needs it: every setting resolved, nothing of the sweep around it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use sha2::{Digest, Sha256};

use crate::curve::Metric;
use crate::network::{Architecture, LayerOutline, Outline, Shape, ShapeError};

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
    /// What the head gives, after its linear layer: two values, for no and for yes.
    Head, "head" {
        /// The values as they are.
        AsIs "as-is",
        /// Their softmax.
        Softmax "softmax",
        /// The logarithms of their softmax.
        LogSoftmax "log-softmax",
        /// The sigmoid of each.
        Sigmoid "sigmoid",
    }
}

choices! {
    /// The optimizer. Constants that are no settings are PyTorch's defaults.
    Optimizer, "optimizer" {
        /// Adam, with the decay rates 0.9 and 0.999 and ε = 1e-8 of its paper (Kingma and Ba, 2015).
        Adam "adam",
        /// Stochastic gradient descent, with momentum (Polyak, 1964) or Nesterov's (Sutskever and others, 2013).
        Sgd "sgd",
        /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019).
        AdamW "adamw",
        /// RMSprop (Hinton, 2012), with the decay rate 0.99 and ε = 1e-8.
        RmsProp "rmsprop",
        /// Adagrad (Duchi and others, 2011), with ε = 1e-10.
        Adagrad "adagrad",
    }
}

impl Optimizer {
    /// Whether it has a momentum.
    pub fn has_momentum(self) -> bool {
        matches!(self, Self::Sgd | Self::RmsProp)
    }
}

choices! {
    /// The loss of the answer, a mean over the batch.
    Loss, "loss" {
        /// Cross entropy of the softmax of the two values.
        CrossEntropy "cross-entropy",
        /// The negative of the right answer's value, which is a logarithm of a probability.
        NegativeLogLikelihood "negative-log-likelihood",
        /// The squared difference from 1 for the right answer and 0 for the other, mean over both.
        MeanSquaredError "mean-squared-error",
        /// Its absolute value.
        L1 "l1",
        /// Half its square where it is below 1, else its absolute value less 1/2 (Girshick, 2015).
        SmoothL1 "smooth-l1",
        /// The hinge: how far the right answer's value is from being 1 above the other's, over the two classes.
        MultiMargin "multi-margin",
        /// Cross entropy of each of the two values, as probabilities.
        BinaryCrossEntropy "binary-cross-entropy",
    }
}

impl Loss {
    /// What the head may give for it.
    pub fn heads(self) -> &'static [Head] {
        match self {
            Self::CrossEntropy | Self::MultiMargin => &[Head::AsIs],
            Self::NegativeLogLikelihood => &[Head::LogSoftmax],
            Self::BinaryCrossEntropy => &[Head::Softmax, Head::Sigmoid],
            Self::MeanSquaredError | Self::L1 | Self::SmoothL1 => &[Head::AsIs, Head::Softmax, Head::Sigmoid],
        }
    }
}

choices! {
    /// How the learning rate changes from epoch to epoch, after the warm-up.
    Schedule, "schedule" {
        /// Not at all.
        Constant "constant",
        /// By the factor `step_factor` every `step_epochs` epochs.
        Step "step",
        /// Down to zero along half a cosine (Loshchilov and Hutter, 2017).
        Cosine "cosine",
    }
}

impl Schedule {
    /// Whether the rate in an epoch depends on how many there are in all: then no longer trial begins like a shorter one.
    pub fn depends_on_epochs(self) -> bool {
        match self {
            Self::Constant | Self::Step => false,
            Self::Cosine => true,
        }
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

impl Data {
    /// Pairs in the smallest batch of an epoch, the last, when others have `batch_size`, which must not be 0.
    pub fn smallest_batch(&self, batch_size: u32) -> u32 {
        match self.train % batch_size {
            0 => batch_size,
            rest => rest,
        }
    }

    /// Returns the number of answers that a metric is a share of: its values are k/N with a whole k. None for losses, which
    /// are no shares.
    pub fn answers(&self, metric: Metric) -> Option<u32> {
        match metric {
            Metric::TrainError => Some(self.train),
            Metric::TestError | Metric::TestDigitError(_) => Some(self.test),
            Metric::TrainLoss | Metric::TestLoss => None,
        }
    }
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
    /// What the head gives.
    pub head: Head,
    /// The optimizer's momentum; 0 for none.
    pub momentum: f64,
    /// Whether it is Nesterov's.
    pub nesterov: bool,
    /// Weight decay: of AdamW decoupled, of the others a part of the gradient.
    pub weight_decay: f64,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Epochs between two steps of [`Schedule::Step`].
    pub step_epochs: u32,
    /// What a step multiplies the rate by.
    pub step_factor: f64,
    /// Epochs in which the rate rises to its full height, before the schedule begins.
    pub warm_up: u32,
    /// Epochs to train.
    pub epochs: u32,
    /// The data.
    pub data: Data,
    /// The sweep's seed.
    pub seed: u64,
    /// Which repetition; see [`crate::seed::key`].
    pub repetition: u32,
}

/// A trial that makes no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// A setting is out of its range.
    #[error("{setting} is {value}, needs to be {needs}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        needs: String,
    },
    /// The network's shapes do not fit.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

/// Defaults of the settings that [`TrialSpec::canonical`] resets.
const DEFAULT_AUX_WEIGHT: f64 = 1.0;
const DEFAULT_DROPOUT: f64 = 0.5;
const DEFAULT_STEP_EPOCHS: u32 = 50;
const DEFAULT_STEP_FACTOR: f64 = 0.1;

impl TrialSpec {
    /// A trial of this network with every setting at its default: 100 epochs, 1,000 pairs each, seed 0, repetition 0.
    pub fn with_defaults(architecture: Architecture) -> Self {
        Self {
            architecture,
            weight_sharing: false,
            auxiliary_loss: false,
            aux_weight: DEFAULT_AUX_WEIGHT,
            join: Join::Softmax,
            learning_rate: 1e-3,
            batch_size: 100,
            optimizer: Optimizer::Adam,
            loss: Loss::CrossEntropy,
            dropout: DEFAULT_DROPOUT,
            head: Head::AsIs,
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            schedule: Schedule::Constant,
            step_epochs: DEFAULT_STEP_EPOCHS,
            step_factor: DEFAULT_STEP_FACTOR,
            warm_up: 0,
            epochs: 100,
            data: Data {
                train: 1000,
                test: 1000,
                target: Target::Less,
            },
            seed: 0,
            repetition: 0,
        }
    }

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

    /// Returns the trial with each setting that cannot matter to it at its default: the weight of an auxiliary loss that is
    /// off, steps under a schedule without them, the rate of dropout layers that all have their own, weight sharing of a single
    /// sub-network. Trials that are equal
    /// afterwards train the same network on the same data, and their curves are the same.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        if !self.auxiliary_loss {
            self.aux_weight = DEFAULT_AUX_WEIGHT;
        }
        if self.schedule != Schedule::Step {
            self.step_epochs = DEFAULT_STEP_EPOCHS;
            self.step_factor = DEFAULT_STEP_FACTOR;
        }
        if !self.architecture.drops_by_setting() {
            self.dropout = DEFAULT_DROPOUT;
        }
        if self.architecture.sub_networks == 1 {
            self.weight_sharing = false;
        }
        self
    }

    /// Checks that it can be trained, and gives its network's shapes.
    ///
    /// # Errors
    /// A setting is out of its range or does not go with another, or the shapes do not fit.
    pub fn check(&self) -> Result<Outline, SpecError> {
        let require = |good: bool, setting, value: &dyn ToString, needs: &str| match good {
            true => Ok(()),
            false => Err(SpecError::Setting {
                setting,
                value: value.to_string(),
                needs: needs.to_owned(),
            }),
        };
        let positive = |number: f64| number.is_finite() && number > 0.0;
        let not_negative = |number: f64| number.is_finite() && number >= 0.0;
        let share = |number: f64| (0.0..1.0).contains(&number);
        let (rate, weight, decay) = (self.learning_rate, self.aux_weight, self.weight_decay);
        require(positive(rate), "learning_rate", &rate, "a finite number above 0")?;
        require(
            not_negative(weight),
            "aux_weight",
            &weight,
            "a finite number of at least 0",
        )?;
        require(
            not_negative(decay),
            "weight_decay",
            &decay,
            "a finite number of at least 0",
        )?;
        require(
            share(self.dropout),
            "dropout",
            &self.dropout,
            "at least 0 and below 1",
        )?;
        require(
            share(self.momentum),
            "momentum",
            &self.momentum,
            "at least 0 and below 1",
        )?;
        require(self.batch_size > 0, "batch_size", &self.batch_size, "at least 1")?;
        require(self.epochs > 0, "epochs", &self.epochs, "at least 1")?;
        require(
            self.step_epochs > 0,
            "step_epochs",
            &self.step_epochs,
            "at least 1",
        )?;
        let factor = self.step_factor > 0.0 && self.step_factor <= 1.0;
        require(factor, "step_factor", &self.step_factor, "above 0 and at most 1")?;
        let epochs = format!("less than the {} epochs", self.epochs);
        require(self.warm_up < self.epochs, "warm_up", &self.warm_up, &epochs)?;
        let optimizer = self.optimizer;
        let momentum = self.momentum == 0.0 || optimizer.has_momentum();
        let none = format!("0 with the optimizer {optimizer}: only sgd and rmsprop have a momentum");
        require(momentum, "momentum", &self.momentum, &none)?;
        let nesterov = !self.nesterov || (optimizer == Optimizer::Sgd && self.momentum > 0.0);
        require(
            nesterov,
            "nesterov",
            &self.nesterov,
            "false, or the optimizer sgd with a momentum above 0",
        )?;
        let heads = self.loss.heads();
        let names: Vec<&str> = heads.iter().map(|head| head.name()).collect();
        let fitting = format!("{} for the loss {}", names.join(" or "), self.loss);
        require(heads.contains(&self.head), "head", &self.head, &fitting)?;
        let outline = self
            .architecture
            .outline(self.weight_sharing, self.auxiliary_loss)?;
        self.check_batches(&outline)?;
        Ok(outline)
    }

    /// Batch normalisation divides by the deviation within a batch, which a single value has none of.
    fn check_batches(&self, outline: &Outline) -> Result<(), SpecError> {
        let single = |at: &LayerOutline| {
            let of_channel = match at.input {
                Shape::Flat(_) => 1,
                Shape::Signal { length, .. } => length,
                Shape::Image { height, width, .. } => height * width,
            };
            at.name.starts_with("batch-norm") && of_channel == 1
        };
        let sharing = self.weight_sharing && self.architecture.sub_networks > 1;
        if self.data.smallest_batch(self.batch_size) == 1
            && !sharing
            && outline.stacks.iter().flatten().any(single)
        {
            return Err(SpecError::Setting {
                setting: "batch_size",
                value: self.batch_size.to_string(),
                needs: format!(
                    "such that no batch of the {} training pairs is a single one, which batch normalisation finds no \
                     deviation in",
                    self.data.train
                ),
            });
        }
        Ok(())
    }

    /// The learning rate in an epoch, from 1.
    ///
    /// It rises evenly over the `warm_up` epochs, whose first has 1/(`warm_up` + 1) of it; then the schedule begins.
    pub fn rate(&self, epoch: u32) -> f64 {
        let epoch = epoch.saturating_sub(1);
        if epoch < self.warm_up {
            return self.learning_rate * f64::from(epoch + 1) / f64::from(self.warm_up + 1);
        }
        let (epoch, epochs) = (epoch - self.warm_up, self.epochs.saturating_sub(self.warm_up));
        let factor = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Step => self.step_factor.powf(f64::from(epoch / self.step_epochs.max(1))),
            Schedule::Cosine => {
                let part = f64::from(epoch) / f64::from(epochs.max(1));
                0.5 * (1.0 + (std::f64::consts::PI * part).cos())
            }
        };
        self.learning_rate * factor
    }

    /// What trials of one pack must agree in: the network, its switches except the auxiliary loss, the sizes of batches
    /// and data, the loss, and the kind of optimizer.
    pub fn shape(&self) -> ShapeKey {
        let shape = (
            (&self.architecture.stacks, self.architecture.sub_networks),
            (self.weight_sharing, self.join, self.head, self.loss),
            (self.batch_size, self.data.train, self.data.test),
            (self.optimizer, self.nesterov),
        );
        // Writing to memory cannot fail.
        let bytes = postcard::to_stdvec(&shape).unwrap_or_default();
        let mut hash = Sha256::new();
        hash.update(b"tenfold shape 1");
        hash.update(&bytes);
        let hash: [u8; 32] = hash.finalize().into();
        let mut key = [0; 8];
        key.copy_from_slice(&hash[..8]);
        ShapeKey(u64::from_le_bytes(key))
    }
}

/// The shape of a trial: a hash of what the trials of one pack agree in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShapeKey(pub u64);

/// 16 hexadecimal digits.
impl fmt::Display for ShapeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
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
    /// The trainer died while it trained several trials, and nobody knows whose doing it was. Charged to nobody; they
    /// run again in smaller packs.
    Lost {
        /// What went wrong.
        error: String,
        /// How many trials it trained, this one included.
        together: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> TrialSpec {
        TrialSpec::with_defaults(Architecture::named("perceptron-20").unwrap())
    }

    #[test]
    fn what_does_not_go_together_is_refused_in_words() {
        assert!(spec().check().is_ok());
        let complaint = |change: &dyn Fn(&mut TrialSpec)| {
            let mut spec = spec();
            change(&mut spec);
            spec.check().unwrap_err().to_string()
        };
        assert_eq!(
            complaint(&|spec| spec.loss = Loss::NegativeLogLikelihood),
            "head is as-is, needs to be log-softmax for the loss negative-log-likelihood"
        );
        assert_eq!(
            complaint(&|spec| spec.head = Head::Softmax),
            "head is softmax, needs to be as-is for the loss cross-entropy"
        );
        assert_eq!(
            complaint(&|spec| spec.momentum = 0.9),
            "momentum is 0.9, needs to be 0 with the optimizer adam: only sgd and rmsprop have a momentum"
        );
        assert!(complaint(&|spec| spec.nesterov = true).contains("nesterov is true"));
        assert!(complaint(&|spec| spec.weight_decay = f64::NAN).contains("weight_decay is NaN"));
        assert!(complaint(&|spec| spec.step_factor = 1.5).contains("step_factor is 1.5"));
        assert_eq!(
            complaint(&|spec| spec.warm_up = 100),
            "warm_up is 100, needs to be less than the 100 epochs"
        );
        let normalised = |spec: &mut TrialSpec| {
            spec.architecture.stacks[0].insert(1, crate::network::BatchNorm1d::default().into());
            spec.batch_size = 37;
        };
        assert!(complaint(&normalised).contains("no batch of the 1000 training pairs is a single one"));
        let mut signal = spec();
        normalised(&mut signal);
        signal.architecture.stacks[0][0] = crate::network::Conv1d {
            channels: std::num::NonZeroU32::MIN,
            kernel: std::num::NonZeroU32::MIN,
            stride: std::num::NonZeroU32::MIN,
            padding: 0,
        }
        .into();
        assert!(signal.check().is_ok(), "a single signal has many values");
    }

    #[test]
    fn rates_rise_and_fall() {
        let rates = |schedule, warm_up| {
            let spec = TrialSpec {
                learning_rate: 1.0,
                epochs: 6,
                schedule,
                step_epochs: 2,
                step_factor: 0.5,
                warm_up,
                ..spec()
            };
            (1..=6).map(|epoch| spec.rate(epoch)).collect::<Vec<_>>()
        };
        assert_eq!(rates(Schedule::Constant, 3), [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
        assert_eq!(rates(Schedule::Step, 0), [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
        assert_eq!(rates(Schedule::Step, 1), [0.5, 1.0, 1.0, 0.5, 0.5, 0.25]);
        let cosine = rates(Schedule::Cosine, 0);
        assert_eq!((cosine[0], (cosine[3] * 1e12).round()), (1.0, 5e11));
        assert!(cosine.is_sorted_by(|a, b| a > b) && cosine[5] > 0.0);
    }

    #[test]
    fn settings_that_cannot_matter_are_reset() {
        let odd = TrialSpec {
            aux_weight: 3.0,
            dropout: 0.1,
            step_epochs: 7,
            step_factor: 0.5,
            ..spec()
        };
        assert_eq!(odd.clone().canonical(), spec());
        let mut single = odd.clone();
        single.architecture.sub_networks = 1;
        single.weight_sharing = true;
        assert!(!single.canonical().weight_sharing);
        let auxiliary = TrialSpec {
            auxiliary_loss: true,
            ..odd.clone()
        };
        assert_eq!(auxiliary.canonical().aux_weight, 3.0);
        let steps = TrialSpec {
            schedule: Schedule::Step,
            ..odd.clone()
        };
        let steps = steps.canonical();
        assert_eq!((steps.step_epochs, steps.step_factor), (7, 0.5));
        let mut dropping = odd;
        dropping.architecture.stacks[0].push(crate::network::Dropout { rate: None }.into());
        assert_eq!(dropping.canonical().dropout, 0.1);
    }

    #[test]
    fn a_schedule_says_whether_a_longer_trial_begins_like_a_shorter_one() {
        for name in Schedule::NAMES {
            let rates = |epochs| {
                let spec = TrialSpec {
                    epochs,
                    schedule: name.parse().unwrap(),
                    step_epochs: 2,
                    warm_up: 1,
                    ..spec()
                };
                (1..=6).map(|epoch| spec.rate(epoch)).collect::<Vec<_>>()
            };
            let schedule: Schedule = name.parse().unwrap();
            assert_eq!(schedule.depends_on_epochs(), rates(6) != rates(9), "{name}");
        }
    }

    #[test]
    fn a_shape_is_what_a_pack_shares() {
        let base = spec().shape();
        let changed = |change: &dyn Fn(&mut TrialSpec)| {
            let mut spec = spec();
            change(&mut spec);
            spec.shape() != base
        };
        assert!(!changed(&|spec| spec.learning_rate = 0.5));
        assert!(!changed(&|spec| spec.auxiliary_loss = true));
        assert!(!changed(&|spec| spec.repetition = 3));
        assert!(!changed(&|spec| spec.architecture.name = "mine".to_owned()));
        assert!(changed(&|spec| spec.weight_sharing = true));
        assert!(changed(&|spec| spec.batch_size = 50));
        assert!(changed(&|spec| spec.optimizer = Optimizer::Sgd));
        assert!(changed(
            &|spec| spec.architecture = Architecture::named("perceptron-21").unwrap()
        ));
        // Workers keep tables by it.
        assert_eq!(base.to_string(), "16f0eab3583589cd");
    }
}
