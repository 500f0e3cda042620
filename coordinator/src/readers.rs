//! A few readers of the store, lent to whoever asks: reads never wait for the turn, and cannot pile up.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tenfold_core::Input;
use tokio::sync::Semaphore;

use crate::store::{Reader, Store, StoreError};
use crate::turn::Handle;

/// How many reads may go on at once.
const READERS: usize = 4;
/// How often damaged trials may be found before whoever reads is told: each time those of a point are.
const TIMES: usize = 100;

/// The readers. Cheap to clone.
#[derive(Clone)]
pub struct Readers {
    free: Arc<Mutex<Vec<Box<dyn Reader>>>>,
    permits: Arc<Semaphore>,
    /// Who is told of damage that a reader finds.
    turn: Arc<OnceLock<Handle>>,
}

impl Readers {
    /// Opens them.
    ///
    /// # Errors
    /// The store's.
    pub fn open(store: &dyn Store) -> Result<Self, StoreError> {
        let free = (0..READERS)
            .map(|_| store.reader())
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            free: Arc::new(Mutex::new(free)),
            permits: Arc::new(Semaphore::new(READERS)),
            turn: Arc::default(),
        })
    }

    /// Has this turn told of damage.
    pub fn report_to(&self, turn: Handle) {
        _ = self.turn.set(turn);
    }

    /// Reads, and reads again as long as it finds damaged trials, which are FAILED then.
    ///
    /// # Errors
    /// See [`with`](Self::with).
    pub async fn with_whole<R, F>(&self, read: impl Fn() -> F) -> Result<R, StoreError>
    where
        R: Send + 'static,
        F: FnOnce(&mut dyn Reader) -> Result<R, StoreError> + Send + 'static,
    {
        for _ in 1..TIMES {
            match self.with(read()).await {
                Err(StoreError::Damaged { trials, .. }) if !trials.is_empty() => {}
                other => return other,
            }
        }
        self.with(read()).await
    }

    /// Reads on a thread that may block. Trials that it finds damaged are recorded as FAILED when it returns; a store whose
    /// structure is damaged ends the coordinator.
    ///
    /// # Errors
    /// What `read` returns, or [`StoreError::Io`] when it did not come to an end.
    pub async fn with<R: Send + 'static>(
        &self,
        read: impl FnOnce(&mut dyn Reader) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let gone = || StoreError::Io(std::io::Error::other("the store's readers are closed"));
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| gone())?;
        let free = Arc::clone(&self.free);
        let result = tokio::task::spawn_blocking(move || {
            let lock = || free.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(mut reader) = lock().pop() else {
                return Err(gone());
            };
            let result = read(reader.as_mut());
            lock().push(reader);
            drop(permit);
            result
        })
        .await
        .unwrap_or_else(|error| Err(StoreError::Io(std::io::Error::other(error))));
        match (&result, self.turn.get()) {
            (Err(StoreError::Damaged { what, trials }), Some(turn)) => {
                tracing::error!(what, "a reader finds damage");
                if !trials.is_empty() {
                    // If that fails the next reader finds the same.
                    _ = turn.decide(Input::Damaged(trials.clone())).await;
                }
            }
            (Err(StoreError::Corrupt(what)), Some(turn)) => turn.fail(StoreError::Corrupt(what.clone())),
            _ => {}
        }
        result
    }
}
