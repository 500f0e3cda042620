//! The building blocks of networks: each layer's weights, and what it makes of a batch, in libtorch's operations.
//!
//! One file a kind or family of layers, beside its sibling in `tenfold-types`. This is all that a layer needs: [`crate::fused`]
//! trains many trials with it at once, and [`crate::host`] falls back to it for layers without a kernel by hand.

mod activation;
mod batch_norm;
mod compute;
mod convolution;
mod dropout;
mod flatten;
mod head;
mod join;
mod layout;
mod linear;
mod pool;

pub(crate) use batch_norm::first_state;
pub use compute::{Masks, Pass};
pub(crate) use compute::{compute, state_length};
pub(crate) use head::head;
pub(crate) use join::join;
pub use layout::{Layout, Place};
