//! Settings of a trial and the values they take.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

/// The value of a setting. Kinds never mix: `1` is no `1.0` and no `true`.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A switch.
    Bool(bool),
    /// A count.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// A name.
    Text(String),
}

/// By what is there: the derived one tries a kind after the other, and makes an error of each that it is not; an axis may
/// have a hundred thousand values.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Found;

        impl Visitor<'_> for Found {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, a number or a text")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Int(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(Value::Float(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Text(value.to_owned()))
            }
        }

        deserializer.deserialize_any(Found)
    }
}

impl Value {
    fn rank(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::Int(_) => 1,
            Self::Float(_) => 2,
            Self::Text(_) => 3,
        }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

/// Floats in the shortest form that reads back as the same number; small and large ones with an exponent.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) if *value != 0.0 && !(1e-3..1e7).contains(&value.abs()) => {
                write!(f, "{value:e}")
            }
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

/// What kind of value a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number, at least 1.
    Count,
    /// A finite number above 0.
    Positive,
    /// A finite number of at least 0.
    NonNegative,
    /// A number in [0, 1).
    Share,
    /// A number in (0, 1].
    Factor,
    /// A whole number, at least 0.
    Whole,
    /// The name of an architecture.
    Architecture,
    /// One of a few names.
    Choice(&'static [&'static str]),
}

macro_rules! settings {
    ($($(#[$docs:meta])* $variant:ident $name:literal $kind:expr;)*) => {
        /// Everything that can be set for a trial, and so everything that can be an axis.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Setting { $($(#[$docs])* $variant,)* }

        impl Setting {
            /// All settings, in the order in which documents list them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in sweep files.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What kind of value it takes.
            pub fn kind(self) -> Kind {
                match self { $(Self::$variant => $kind,)* }
            }
        }
    };
}

settings! {
    /// The network.
    Architecture "architecture" Kind::Architecture;
    /// Whether all sub-networks are one.
    WeightSharing "weight_sharing" Kind::Bool;
    /// Whether each sub-network is also trained to name its digit.
    AuxiliaryLoss "auxiliary_loss" Kind::Bool;
    /// The weight of the auxiliary loss, against 1 for the loss of the answer.
    AuxWeight "aux_weight" Kind::NonNegative;
    /// What the join sees of the sub-networks' last hidden layers.
    Join "join" Kind::Choice(crate::trial::Join::NAMES);
    /// The optimizer's step size.
    LearningRate "learning_rate" Kind::Positive;
    /// Pairs a step.
    BatchSize "batch_size" Kind::Count;
    /// The optimizer.
    Optimizer "optimizer" Kind::Choice(crate::trial::Optimizer::NAMES);
    /// The loss of the answer.
    Loss "loss" Kind::Choice(crate::trial::Loss::NAMES);
    /// The rate of every dropout layer that names none of its own.
    Dropout "dropout" Kind::Share;
    /// What the head gives.
    Head "head" Kind::Choice(crate::trial::Head::NAMES);
    /// The optimizer's momentum.
    Momentum "momentum" Kind::Share;
    /// Whether it is Nesterov's.
    Nesterov "nesterov" Kind::Bool;
    /// Weight decay.
    WeightDecay "weight_decay" Kind::NonNegative;
    /// How the learning rate changes from epoch to epoch.
    Schedule "schedule" Kind::Choice(crate::trial::Schedule::NAMES);
    /// Epochs between two steps of the schedule.
    StepEpochs "step_epochs" Kind::Count;
    /// What a step multiplies the learning rate by.
    StepFactor "step_factor" Kind::Factor;
    /// Epochs in which the learning rate rises to its full height.
    WarmUp "warm_up" Kind::Whole;
}

/// A name that is no setting's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no setting")]
pub struct UnknownSetting(pub String);

impl FromStr for Setting {
    type Err = UnknownSetting;
    fn from_str(text: &str) -> Result<Self, UnknownSetting> {
        Self::ALL
            .iter()
            .copied()
            .find(|s| s.name() == text)
            .ok_or_else(|| UnknownSetting(text.to_owned()))
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
