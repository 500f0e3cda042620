//! A few readers of the store, lent to whoever asks: reads never wait for the turn, and cannot pile up.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::store::{Reader, Store, StoreError};

/// How many reads may go on at once.
const READERS: usize = 4;

/// The readers. Cheap to clone.
#[derive(Clone)]
pub struct Readers {
    free: Arc<Mutex<Vec<Box<dyn Reader>>>>,
    permits: Arc<Semaphore>,
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
        })
    }

    /// Reads on a thread that may block.
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
        tokio::task::spawn_blocking(move || {
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
        .unwrap_or_else(|error| Err(StoreError::Io(std::io::Error::other(error))))
    }
}
