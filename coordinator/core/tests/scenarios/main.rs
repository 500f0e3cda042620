//! Scenarios of `decide` and `evolve`: what goes in, what comes out, and that nothing else does.
//!
//! Each runs in a [`World`], which checks after every step that the state's invariants hold, that every move of a
//! trial is legal and that the rows alone rebuild the state; and at the end that no effect is left unclaimed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod anything;
mod choices;
mod crowd;
mod damage;
mod explain;
mod extensions;
mod failures;
mod leases;
mod orders;
mod packs;
mod requests;
mod restarts;
mod schedule;
mod search;
mod twins;
mod workers;
mod world;

use world::World;
