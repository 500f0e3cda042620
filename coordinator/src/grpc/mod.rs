//! The services over gRPC: thin handlers that convert, enqueue and await.

pub(crate) mod backup;
#[cfg(test)]
mod contract;
mod control;
mod explain;
mod fleet;
pub mod messages;
mod once;
mod parts;
mod selector;
mod status;
mod tail;

use std::path::Path;
use std::sync::Arc;

use tenfold_core::{Answer, Input};
use tokio::sync::Semaphore;
use tonic::Status;

use crate::groups::Kept;
use crate::readers::Readers;
use crate::shutdown::Shutdown;
use crate::turn::Handle;

/// The longest message that is taken, in bytes.
pub(crate) const MAX_MESSAGE: usize = 1 << 20;
/// The longest message that people are sent: what could be longer comes in pages or in parts. Clients take 4 MiB
/// unless they are told otherwise.
pub(crate) const MAX_REPLY: usize = 4 << 20;
/// The longest message that a worker is sent: a lease of a large pack is one.
pub(crate) const MAX_LEASE: usize = 16 << 20;

/// Sweep files that are read at once, and workers that look for work at once.
const PARSING: usize = 2;
const LOOKING: usize = 512;
/// Backups that are made at once; one more is turned away.
const BACKUPS: usize = 2;

/// What every handler needs. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    pub(crate) turn: Handle,
    pub(crate) readers: Readers,
    pub(crate) kept: Kept,
    /// A folder for files that are not kept.
    pub(crate) scratch: Arc<Path>,
    /// Becomes true when the coordinator shuts down: whoever waits is answered at once.
    pub(crate) shutdown: Shutdown,
    pub(crate) gates: Gates,
}

/// What only a few calls do at once; others wait, in order, and their number is bounded by the server's limits.
#[derive(Clone)]
pub(crate) struct Gates {
    /// Reading sweep files.
    pub(crate) parse: Arc<Semaphore>,
    /// Looking for work: all workers that wait are woken when some comes up, and would fill the turn's queue.
    pub(crate) look: Arc<Semaphore>,
    /// Making backups.
    pub(crate) backup: Arc<Semaphore>,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            parse: Arc::new(Semaphore::new(PARSING)),
            look: Arc::new(Semaphore::new(LOOKING)),
            backup: Arc::new(Semaphore::new(BACKUPS)),
        }
    }
}

impl Service {
    async fn decide(&self, input: Input) -> Result<Answer, Status> {
        self.turn.decide(input).await.map_err(status::of_turn)
    }
}

fn unexpected(answer: &(impl std::fmt::Debug + ?Sized)) -> Status {
    Status::internal(format!(
        "the coordinator gave an answer of another kind: {answer:?}"
    ))
}
