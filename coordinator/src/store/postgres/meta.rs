//! The counters: one row.

use postgres::{GenericClient, Row};
use tenfold_core::record::Counters;

use crate::store::checks::Checks;
use crate::store::columns::Columns;
use crate::store::rows;
use crate::store::{StoreError, census};

/// Numbers that only grow, and the number of sweeps that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
    pub(super) fn read(client: &mut impl GenericClient) -> Result<Self, StoreError> {
        Self::checked(&select(client)?)
    }

    /// Reads them from a row of [`rows::META`].
    pub(super) fn checked(row: &Row) -> Result<Self, StoreError> {
        // The row of a store that was just brought up to date has its checksum too.
        let checks = Checks::default();
        checks.complete();
        match checks.holds("meta", 0, row, rows::META_SUM)? {
            true => Self::of(row),
            false => Err(census::counters()),
        }
    }

    /// Reads them as they are.
    pub(super) fn unchecked(client: &mut impl GenericClient) -> Result<Self, StoreError> {
        Self::of(&select(client)?)
    }

    fn of(row: &Row) -> Result<Self, StoreError> {
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

    pub(super) fn write(&self, client: &mut impl GenericClient) -> Result<(), StoreError> {
        let Self {
            seq,
            fence,
            sweeps,
            there,
        } = *self;
        let sum = rows::meta_sum(seq, fence, sweeps, there);
        let sql = "UPDATE meta SET seq = $1, fence = $2, sweeps = $3, there = $4, sum = $5";
        match client.execute(sql, &[&seq, &fence, &sweeps, &there, &sum])? {
            1 => Ok(()),
            _ => Err(census::counters()),
        }
    }
}

fn select(client: &mut impl GenericClient) -> Result<Row, StoreError> {
    let row = client.query_opt(&format!("SELECT {} FROM meta", rows::META), &[])?;
    row.ok_or_else(census::counters)
}
