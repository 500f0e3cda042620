//! Tenfold's worker: the agent process on a node. It owns slots, in each of which a trainer process lives, leases
//! packs from the coordinator, and hands epochs over until they are acknowledged. It does not link libtorch.

pub mod agent;
pub mod doctor;
pub mod node;
pub mod outbox;
pub mod session;
pub mod slot;
pub mod throughput;
