//! How often statements are true: curves of known distributions go through a real coordinator, and what its commands say of them
//! is counted.
//!
//! Trials are cheap here, as epochs and metrics of one trial are independent of each other: a sweep of 20 trials holds hundreds of
//! simulations. Every value is a pure function of the trial's settings, so the short form, which `make test` runs, gives the same
//! figures each time. `make calibrate` runs the long form, and writes `docs/calibration.md`.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

#[path = "../common/mod.rs"]
mod common;

mod best;
mod counts;
mod coverage;
mod draws;
mod extension;
mod families;
mod figures;
mod fleet;
mod missing;
mod own;
mod ties;
mod until;
mod wilcoxon;
mod world;
