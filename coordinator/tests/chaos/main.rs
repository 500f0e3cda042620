//! Real processes, and everything that can happen to them: after each fault the results are byte for byte those of a run
//! that nothing disturbed. Trainers make their curves up; everything else is what users start.
//!
//! `make test` runs a short form, `make chaos` the long one. `TENFOLD_CHAOS_SEED=N` repeats the choices of an earlier
//! run: which fault when. What the machine makes of them differs.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

#[path = "../common/mod.rs"]
mod common;

mod clients;
mod clock;
mod commits;
mod database;
mod disk;
mod form;
mod kills;
mod messages;
mod network;
mod proxy;
mod stale;
mod world;
