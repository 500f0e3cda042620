//! The services over gRPC: thin handlers that convert, enqueue and await.

mod backup;
mod control;
mod fleet;
pub mod messages;
mod selector;
mod status;

use std::path::Path;
use std::sync::Arc;

use tenfold_core::{Answer, Input};
use tonic::Status;

use crate::readers::Readers;
use crate::shutdown::Shutdown;
use crate::turn::Handle;

/// The longest message that is taken, in bytes.
pub(crate) const MAX_MESSAGE: usize = 1 << 20;

/// What every handler needs. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    pub(crate) turn: Handle,
    pub(crate) readers: Readers,
    /// A folder for files that are not kept.
    pub(crate) scratch: Arc<Path>,
    /// Becomes true when the coordinator shuts down: whoever waits is answered at once.
    pub(crate) shutdown: Shutdown,
}

impl Service {
    async fn decide(&self, input: Input) -> Result<Answer, Status> {
        self.turn.decide(input).await.map_err(status::of_turn)
    }
}

fn unexpected(answer: &Answer) -> Status {
    Status::internal(format!(
        "the coordinator gave an answer of another kind: {answer:?}"
    ))
}
