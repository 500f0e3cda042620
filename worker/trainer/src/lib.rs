//! Tenfold's trainer: trains the networks of trials with libtorch and hands their epochs to the worker that started it.
//!
//! Each building block has a file: [`network`] the layers, beside their siblings in `tenfold-types`, [`loss`],
//! [`optimizer`], [`data`]. [`train`] puts them together for one trial, [`session`] talks with the worker.

pub mod array;
pub mod cuda;
pub mod data;
pub mod host;
pub mod device;
pub mod loss;
pub mod network;
pub mod optimizer;
pub mod probe;
pub mod random;
pub mod session;
pub mod socket;
pub mod train;

/// The version of libtorch that this trainer was built against, and needs.
pub const LIBTORCH_VERSION: &str = env!("TENFOLD_LIBTORCH_VERSION");
