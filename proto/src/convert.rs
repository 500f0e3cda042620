//! Wire to types and back, lossless, in one place.
//!
//! What comes from the wire is checked here for form: lengths of ids, known names, fields that must be there. What it
//! means is the receiver's business.

use tenfold_types::network::{Architecture, Layer};
use tenfold_types::{
    Block, Data, DeviceKind, Fence, Outcome, RequestId, SweepId, TrialKey, TrialSpec, Value, WorkerId,
    floats, frame,
};

use crate::v1;

/// A message that is not of the form it should have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// A field that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// An id of the wrong length.
    #[error("{what} has {got} bytes; {wanted} are right")]
    Length {
        /// Which.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The right length.
        wanted: usize,
    },
    /// A value that means nothing.
    #[error("{what}: {error}")]
    Invalid {
        /// Which.
        what: &'static str,
        /// What is wrong, and what would be right.
        error: String,
    },
}

fn invalid<E: ToString>(what: &'static str) -> impl FnOnce(E) -> ConvertError {
    move |error| ConvertError::Invalid {
        what,
        error: error.to_string(),
    }
}

macro_rules! ids {
    ($($function:ident $name:ident $bytes:literal $what:literal;)*) => {$(
        #[doc = concat!("The ", $what, " in these bytes.\n\n# Errors\nWhen they are not ", stringify!($bytes), ".")]
        pub fn $function(bytes: &[u8]) -> Result<$name, ConvertError> {
            $name::from_bytes(bytes).ok_or(ConvertError::Length { what: $what, got: bytes.len(), wanted: $bytes })
        }
    )*};
}

ids! {
    sweep_id SweepId 16 "sweep id";
    worker_id WorkerId 8 "worker id";
    request_id RequestId 16 "request id";
}

impl From<TrialKey> for v1::TrialKey {
    fn from(key: TrialKey) -> Self {
        Self {
            stage: key.stage,
            index: key.index,
            repetition: key.repetition,
        }
    }
}

impl From<v1::TrialKey> for TrialKey {
    fn from(key: v1::TrialKey) -> Self {
        Self {
            stage: key.stage,
            repetition: key.repetition,
            index: key.index,
        }
    }
}

/// The trial key that a message must have.
///
/// # Errors
/// When it has none.
pub fn trial_key(key: Option<v1::TrialKey>) -> Result<TrialKey, ConvertError> {
    key.map(TrialKey::from).ok_or(ConvertError::Missing("trial"))
}

impl From<&Value> for v1::Value {
    fn from(value: &Value) -> Self {
        use v1::value::Kind;
        let kind = match value {
            Value::Bool(value) => Kind::Boolean(*value),
            Value::Int(value) => Kind::Integer(*value),
            Value::Float(value) => Kind::Number(*value),
            Value::Text(value) => Kind::Text(value.clone()),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::Value> for Value {
    type Error = ConvertError;
    fn try_from(value: v1::Value) -> Result<Self, ConvertError> {
        use v1::value::Kind;
        Ok(
            match value.kind.ok_or(ConvertError::Missing("kind of a value"))? {
                Kind::Boolean(value) => Self::Bool(value),
                Kind::Integer(value) => Self::Int(value),
                Kind::Number(value) => Self::Float(value),
                Kind::Text(value) => Self::Text(value),
            },
        )
    }
}

/// A setting with its value, for the wire.
pub fn assignment(setting: &str, value: &Value) -> v1::Assignment {
    v1::Assignment {
        setting: setting.to_owned(),
        value: Some(value.into()),
    }
}

/// The name and the value of an assignment.
///
/// # Errors
/// When it has no value.
pub fn assigned(assignment: v1::Assignment) -> Result<(String, Value), ConvertError> {
    let value = assignment
        .value
        .ok_or(ConvertError::Missing("value of an assignment"))?;
    Ok((assignment.setting, value.try_into()?))
}

impl From<&Block> for v1::Block {
    fn from(block: &Block) -> Self {
        Self {
            first: block.first,
            epochs: block.epochs,
            columns: floats::to_bytes(&block.columns),
            seconds: floats::to_bytes(&block.seconds),
        }
    }
}

/// Takes the lists over as they are; [`Block::is_well_formed`] says whether they fit.
impl TryFrom<v1::Block> for Block {
    type Error = ConvertError;

    fn try_from(block: v1::Block) -> Result<Self, ConvertError> {
        Ok(Self {
            first: block.first,
            epochs: block.epochs,
            columns: numbers("columns of a block", &block.columns)?,
            seconds: numbers("seconds of a block", &block.seconds)?,
        })
    }
}

fn numbers(what: &'static str, bytes: &[u8]) -> Result<Vec<f32>, ConvertError> {
    floats::from_bytes(bytes).ok_or_else(|| ConvertError::Invalid {
        what,
        error: format!("{} bytes are no numbers of four bytes each", bytes.len()),
    })
}

impl From<DeviceKind> for v1::DeviceKind {
    fn from(kind: DeviceKind) -> Self {
        match kind {
            DeviceKind::Cpu => Self::Cpu,
            DeviceKind::Cuda => Self::Cuda,
        }
    }
}

impl TryFrom<v1::DeviceKind> for DeviceKind {
    type Error = ConvertError;
    fn try_from(kind: v1::DeviceKind) -> Result<Self, ConvertError> {
        match kind {
            v1::DeviceKind::Cpu => Ok(Self::Cpu),
            v1::DeviceKind::Cuda => Ok(Self::Cuda),
            v1::DeviceKind::Unspecified => Err(ConvertError::Missing("kind of device")),
        }
    }
}

impl From<&Architecture> for v1::Architecture {
    fn from(architecture: &Architecture) -> Self {
        let layer = |layer: &Layer| v1::Layer {
            name: layer.name().to_owned(),
            settings: layer
                .settings()
                .iter()
                .map(|(name, value)| assignment(name, value))
                .collect(),
        };
        Self {
            name: architecture.name.clone(),
            sub_networks: architecture.sub_networks,
            stacks: architecture
                .stacks
                .iter()
                .map(|stack| v1::Stack {
                    layers: stack.iter().map(layer).collect(),
                })
                .collect(),
        }
    }
}

impl TryFrom<v1::Architecture> for Architecture {
    type Error = ConvertError;
    fn try_from(architecture: v1::Architecture) -> Result<Self, ConvertError> {
        let layer = |layer: v1::Layer| {
            let settings = layer
                .settings
                .into_iter()
                .map(assigned)
                .collect::<Result<Vec<_>, _>>()?;
            Layer::from_settings(&layer.name, &settings).map_err(invalid("layer"))
        };
        Ok(Self {
            name: architecture.name,
            sub_networks: architecture.sub_networks,
            stacks: architecture
                .stacks
                .into_iter()
                .map(|stack| stack.layers.into_iter().map(layer).collect())
                .collect::<Result<_, _>>()?,
        })
    }
}

impl From<&TrialSpec> for v1::TrialSpec {
    fn from(spec: &TrialSpec) -> Self {
        Self {
            architecture: Some((&spec.architecture).into()),
            ..leased(spec)
        }
    }
}

/// A spec as a lease has it: without its architecture, which a pack's trials have in common.
pub fn leased(spec: &TrialSpec) -> v1::TrialSpec {
    v1::TrialSpec {
        architecture: None,
        weight_sharing: spec.weight_sharing,
        auxiliary_loss: spec.auxiliary_loss,
        aux_weight: spec.aux_weight,
        join: spec.join.name().to_owned(),
        learning_rate: spec.learning_rate,
        batch_size: spec.batch_size,
        optimizer: spec.optimizer.name().to_owned(),
        loss: spec.loss.name().to_owned(),
        dropout: spec.dropout,
        head: spec.head.name().to_owned(),
        momentum: spec.momentum,
        nesterov: spec.nesterov,
        weight_decay: spec.weight_decay,
        schedule: spec.schedule.name().to_owned(),
        step_epochs: spec.step_epochs,
        step_factor: spec.step_factor,
        warm_up: spec.warm_up,
        epochs: spec.epochs,
        train_pairs: spec.data.train,
        test_pairs: spec.data.test,
        target: spec.data.target.name().to_owned(),
        seed: spec.seed,
        repetition: spec.repetition,
    }
}

impl TryFrom<v1::TrialSpec> for TrialSpec {
    type Error = ConvertError;
    fn try_from(spec: v1::TrialSpec) -> Result<Self, ConvertError> {
        Ok(Self {
            architecture: spec
                .architecture
                .ok_or(ConvertError::Missing("architecture"))?
                .try_into()?,
            weight_sharing: spec.weight_sharing,
            auxiliary_loss: spec.auxiliary_loss,
            aux_weight: spec.aux_weight,
            join: spec.join.parse().map_err(invalid("join"))?,
            learning_rate: spec.learning_rate,
            batch_size: spec.batch_size,
            optimizer: spec.optimizer.parse().map_err(invalid("optimizer"))?,
            loss: spec.loss.parse().map_err(invalid("loss"))?,
            dropout: spec.dropout,
            head: spec.head.parse().map_err(invalid("head"))?,
            momentum: spec.momentum,
            nesterov: spec.nesterov,
            weight_decay: spec.weight_decay,
            schedule: spec.schedule.parse().map_err(invalid("schedule"))?,
            step_epochs: spec.step_epochs,
            step_factor: spec.step_factor,
            warm_up: spec.warm_up,
            epochs: spec.epochs,
            data: Data {
                train: spec.train_pairs,
                test: spec.test_pairs,
                target: spec.target.parse().map_err(invalid("target"))?,
            },
            seed: spec.seed,
            repetition: spec.repetition,
        })
    }
}

/// A trial of a lease, for the wire; see [`leased`]. `continued` says whether a later trial is to go on from it. Which of the lease's
/// lists of metrics its curve has is left at the first.
pub fn leased_trial(key: TrialKey, attempt: u32, spec: &TrialSpec, continued: bool) -> v1::LeasedTrial {
    v1::LeasedTrial {
        trial: Some(key.into()),
        attempt,
        spec: Some(leased(spec)),
        continued,
        metrics: 0,
    }
}

/// What a lease has its trainer do of a trial; `architecture` is the lease's.
///
/// # Errors
/// Without a spec, or one that is not understood.
pub fn trial(
    trial: v1::LeasedTrial,
    architecture: Option<&v1::Architecture>,
) -> Result<frame::Trial, ConvertError> {
    let spec = trial.spec.ok_or(ConvertError::Missing("spec"))?;
    let spec = v1::TrialSpec {
        architecture: architecture.cloned(),
        ..spec
    };
    Ok(frame::Trial {
        spec: spec.try_into()?,
        continued: trial.continued,
    })
}

/// The end of a trial with so many epochs, for the wire; `stderr` is the end of its trainer's standard error.
pub fn end(epochs: u32, outcome: Outcome, stderr: String) -> v1::End {
    use v1::end::Outcome as Wire;
    let outcome = match outcome {
        Outcome::Succeeded => Wire::Succeeded(v1::Succeeded {}),
        Outcome::Diverged { epoch } => Wire::Diverged(v1::Diverged { epoch }),
        Outcome::Failed { error } => Wire::Failed(v1::Failed { error, stderr }),
        Outcome::Released => Wire::Released(v1::Released {}),
        Outcome::Lost { error, together } => Wire::Lost(v1::Lost {
            error,
            stderr,
            together,
        }),
    };
    v1::End {
        epochs,
        outcome: Some(outcome),
    }
}

/// The outcome that an end must have, and the end of the trainer's standard error (empty unless it failed).
///
/// # Errors
/// When it has none.
pub fn ended(end: v1::End) -> Result<(Outcome, String), ConvertError> {
    use v1::end::Outcome as Wire;
    Ok(match end.outcome.ok_or(ConvertError::Missing("outcome"))? {
        Wire::Succeeded(v1::Succeeded {}) => (Outcome::Succeeded, String::new()),
        Wire::Diverged(v1::Diverged { epoch }) => (Outcome::Diverged { epoch }, String::new()),
        Wire::Failed(v1::Failed { error, stderr }) => (Outcome::Failed { error }, stderr),
        Wire::Released(v1::Released {}) => (Outcome::Released, String::new()),
        Wire::Lost(v1::Lost {
            error,
            stderr,
            together,
        }) => (Outcome::Lost { error, together }, stderr),
    })
}

/// A fence, which is never 0.
///
/// # Errors
/// When it is.
pub fn fence(fence: u64) -> Result<Fence, ConvertError> {
    if fence == 0 {
        Err(ConvertError::Missing("fence"))
    } else {
        Ok(Fence(fence))
    }
}
