//! The Tenfold server: the turn that owns the state, its store, and the services over gRPC.

pub mod report;
pub mod store;
