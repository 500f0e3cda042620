//! Whether a row is what was written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::StoreError;
use super::columns::Columns;
use super::sum::Sum;

/// Returns the checksum of the first `columns` columns of a row.
fn of_row(table: &str, sweep: i64, row: &impl Columns, columns: usize) -> Result<i64, StoreError> {
    Ok(taken_in(table, sweep, row, columns)?.end())
}

/// Takes in the first `columns` columns of a row.
pub(super) fn taken_in(
    table: &str,
    sweep: i64,
    row: &impl Columns,
    columns: usize,
) -> Result<Sum, StoreError> {
    let mut sum = Sum::of(table, sweep);
    for column in 0..columns {
        sum = row.feed(column, sum)?;
    }
    Ok(sum)
}

/// Whether rows without a checksum are to be expected. Shared by a store and its readers.
#[derive(Debug, Clone, Default)]
pub(super) struct Checks(Arc<AtomicBool>);

impl Checks {
    /// Every row has its checksum from now on.
    pub(super) fn complete(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether every row has its checksum.
    pub(super) fn is_complete(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Refuses a row that is not what was written, and is none of a trial's.
    pub(super) fn row(
        &self,
        table: &str,
        sweep: i64,
        row: &impl Columns,
        columns: usize,
    ) -> Result<(), StoreError> {
        match self.holds(table, sweep, row, columns)? {
            true => Ok(()),
            false => Err(StoreError::damaged(format!(
                "the store is damaged on disk: a row of {table:?} is not what was written; start the coordinator again to see \
                 what is lost"
            ))),
        }
    }

    /// Returns whether a row is what was written: the checksum in column `columns` is that of the columns before it. A row of an
    /// earlier version that is still to get one is believed.
    pub(super) fn holds(
        &self,
        table: &str,
        sweep: i64,
        row: &impl Columns,
        columns: usize,
    ) -> Result<bool, StoreError> {
        match row.integer_or_null(columns) {
            Ok(Some(sum)) => Ok(sum == of_row(table, sweep, row, columns)?),
            Ok(None) => Ok(!self.is_complete()),
            // The flipped bit has made something else of the checksum itself.
            Err(_) => Ok(false),
        }
    }
}
