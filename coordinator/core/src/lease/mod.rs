//! Workers and their leases: registration, heartbeats, epochs and ends of trials, expiry.

mod append;
mod attempt;
mod end;
mod expiry;
mod quarantine;
mod register;

pub(crate) use append::append;
pub(crate) use attempt::{Ending, ended_attempt};
pub(crate) use expiry::{returns_work, tick};
pub(crate) use register::{drain, heartbeat, register};
