//! The vocabulary that Tenfold's coordinator, worker and trainer share.
//!
//! Plain data and pure functions: no clock, no files, no network, no tonic, no libtorch.

pub mod curve;
pub mod floats;
pub mod frame;
pub mod hyperparameter;
pub mod id;
pub mod network;
pub mod printable;
pub mod seed;
pub mod trial;

pub use curve::{Block, Curve, Metric};
pub use hyperparameter::{Setting, Value};
pub use id::{AttemptId, Fence, RequestId, SweepId, TrialId, TrialKey, WorkerId};
pub use trial::{
    Data, DeviceKind, Head, Join, Loss, Optimizer, Outcome, Schedule, ShapeKey, SpecError, Target, TrialSpec,
};
