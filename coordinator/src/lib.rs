//! The Tenfold server: the turn that owns the state, its store, and the services over gRPC.

pub mod choose;
pub mod groups;
pub mod grpc;
pub mod readers;
pub mod report;
pub mod results;
pub mod server;
pub mod shutdown;
pub mod store;
pub mod turn;
pub mod watch;
