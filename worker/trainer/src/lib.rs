//! Tenfold's trainer: trains the networks of trials with libtorch and hands their epochs to the worker that started it.
//!
//! Each building block has a file: [`network`] the layers, beside their siblings in `tenfold-types`, [`loss`],
//! [`optimizer`], [`data`]. Two kinds of [array](mod@array) put them together: [`fused`] for GPUs, [`host`] for CPUs. [`train`] trains
//! packs with either, [`checkpoint`] keeps what trials have learned for others, [`measure`] finds out how fast, [`session`] talks
//! with the worker.

pub mod array;
pub mod checkpoint;
pub mod cuda;
pub mod data;
pub mod device;
pub mod fused;
pub mod host;
pub mod loss;
pub mod measure;
pub mod network;
pub mod optimizer;
pub mod probe;
pub mod random;
mod report;
pub mod session;
pub mod socket;
pub mod train;

/// The version of libtorch that this trainer was built against, and needs.
pub const LIBTORCH_VERSION: &str = env!("TENFOLD_LIBTORCH_VERSION");
