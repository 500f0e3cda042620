//! A store that has bad luck.

use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard};

use tenfold::store::{Cursor, MemoryStore, Reader, Store, StoreError};
use tenfold_core::record::Record;

/// What goes wrong next.
#[derive(Default)]
pub(crate) struct BadLuck {
    /// A commit is not written, and its caller told that this is not known.
    pub(crate) unwritten: bool,
    /// A commit is written, and its caller told that this is not known.
    pub(crate) unknown: bool,
    /// There is no room: nothing is written until there is.
    pub(crate) full: bool,
    /// So many attempts to load fail.
    pub(crate) unreadable: u32,
    /// Commits that are on the disk.
    pub(crate) written: u64,
}

/// What is on the disk stays when the store is opened anew.
#[derive(Clone, Default)]
pub(crate) struct Unlucky {
    disk: MemoryStore,
    luck: Arc<Mutex<BadLuck>>,
}

impl Unlucky {
    pub(crate) fn luck(&self) -> MutexGuard<'_, BadLuck> {
        self.luck.lock().unwrap()
    }

    /// What is on the disk, whatever the luck.
    pub(crate) fn disk(&self) -> MemoryStore {
        self.disk.clone()
    }
}

impl Store for Unlucky {
    fn load(&mut self, visit: &mut dyn FnMut(Record)) -> Result<Cursor, StoreError> {
        let mut luck = self.luck();
        if luck.unreadable > 0 {
            luck.unreadable -= 1;
            return Err(StoreError::Unknown("the disk does not answer".to_owned()));
        }
        drop(luck);
        self.disk.load(visit)
    }

    fn commit(&mut self, records: &[Record]) -> Result<Cursor, StoreError> {
        if self.luck().full {
            return Err(StoreError::Full("not a byte".to_owned()));
        }
        if take(&mut self.luck().unwritten) {
            return Err(StoreError::Unknown("the disk is having a bad day".to_owned()));
        }
        let cursor = self.disk.commit(records)?;
        self.luck().written += 1;
        if take(&mut self.luck().unknown) {
            return Err(StoreError::Unknown("the disk did not say".to_owned()));
        }
        Ok(cursor)
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        self.disk.tidy()
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        self.disk.reader()
    }
}
