//! The counters: one row.

use rusqlite::{Connection, params};
use tenfold_core::record::Counters;

use crate::store::checks::Checks;
use crate::store::columns::Columns;
use crate::store::rows;
use crate::store::{StoreError, census};

/// Numbers that only grow, and the number of sweeps that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) seq: i64,
    fence: i64,
    sweeps: i64,
    pub(super) there: i64,
}

impl Meta {
    /// Reads them.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when they are not what was written.
    pub(super) fn read(connection: &Connection) -> Result<Self, StoreError> {
        let select = format!("SELECT {} FROM meta", rows::META);
        let mut select = connection.prepare_cached(&select)?;
        let mut found = select.query([])?;
        let row = found.next()?.ok_or_else(census::counters)?;
        // The row of a store that was just brought up to date has its checksum too.
        let checks = Checks::default();
        checks.complete();
        if !checks.holds("meta", 0, row, rows::META_SUM)? {
            return Err(census::counters());
        }
        Ok(Self {
            seq: row.integer(0)?,
            fence: row.integer(1)?,
            sweeps: row.integer(2)?,
            there: row.integer(3)?,
        })
    }

    pub(super) fn counters(&self) -> Counters {
        Counters {
            fence: self.fence as u64,
            sweeps: self.sweeps as u64,
        }
    }

    pub(super) fn count(&mut self, counters: Counters) {
        self.fence = counters.fence as i64;
        self.sweeps = counters.sweeps as i64;
    }

    /// Goes on with higher fences.
    pub(super) fn skip_fences(&mut self, by: i64) {
        self.fence += by;
    }

    pub(super) fn write(&self, connection: &Connection) -> Result<(), StoreError> {
        let Self {
            seq,
            fence,
            sweeps,
            there,
        } = *self;
        let sum = rows::meta_sum(seq, fence, sweeps, there);
        let sql = "UPDATE meta SET seq = ?1, fence = ?2, sweeps = ?3, there = ?4, sum = ?5";
        let mut update = connection.prepare_cached(sql)?;
        match update.execute(params![seq, fence, sweeps, there, sum])? {
            1 => Ok(()),
            _ => Err(census::counters()),
        }
    }
}
