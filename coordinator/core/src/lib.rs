//! Tenfold's decisions, pure: no clock, no files, no network, no tokio.
//!
//! [`decide`] looks at the state, one input and the time, and returns the records that make it so and the effects that
//! follow; [`State::evolve`] is the only thing that changes the state. Imports run one way: lib → schedule, lease,
//! aggregate, record → trial → sweep.

pub mod aggregate;
pub mod record;
pub mod sweep;
pub mod trial;

/// Milliseconds since 1970, as the caller's clock has it.
pub type Millis = u64;
