//! Checksums of rows: CRC-32 over the table's name, the key and the columns.
//!
//! A row whose checksum is wrong counts as absent. What is absent is missed by other rows: an accepted trial's row says how
//! many epochs it has, a sweep's last change how many trials, choices and extensions, and the counters how many sweeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::StoreError;
use super::rows::{self, Columns};

/// A checksum on its way through the columns of a row.
pub(super) struct Sum {
    hasher: crc32fast::Hasher,
    /// Short columns, which are cheaper to hash together.
    short: Vec<u8>,
}

/// Columns up to this length are collected before they are hashed.
const SHORT: usize = 64;

impl Sum {
    /// Begins with the table's name and the number of the sweep that the row belongs to; 0 where there is none.
    pub(super) fn of(table: &str, sweep: i64) -> Self {
        let sum = Self {
            hasher: crc32fast::Hasher::new(),
            short: Vec::with_capacity(192),
        };
        sum.text(table).integer(sweep)
    }

    /// Takes in a number.
    pub(super) fn integer(mut self, value: i64) -> Self {
        self.short.push(1);
        self.short.extend(value.to_le_bytes());
        self
    }

    /// Takes in a number or NULL.
    pub(super) fn integer_or_null(self, value: Option<i64>) -> Self {
        match value {
            Some(value) => self.integer(value),
            None => self.null(),
        }
    }

    /// Takes in NULL.
    pub(super) fn null(mut self) -> Self {
        self.short.push(0);
        self
    }

    /// Takes in a text.
    pub(super) fn text(self, value: &str) -> Self {
        self.long(2, value.as_bytes())
    }

    /// Takes in a text or NULL.
    pub(super) fn text_or_null(self, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    /// Takes in bytes.
    pub(super) fn bytes(self, value: &[u8]) -> Self {
        self.long(3, value)
    }

    /// Takes in bytes or NULL.
    pub(super) fn bytes_or_null(self, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.bytes(value),
            None => self.null(),
        }
    }

    /// Takes in a value of a type that no column is declared with.
    pub(super) fn odd(mut self) -> Self {
        self.short.push(4);
        self
    }

    fn long(mut self, kind: u8, value: &[u8]) -> Self {
        self.short.push(kind);
        self.short.extend((value.len() as u64).to_le_bytes());
        if value.len() <= SHORT {
            self.short.extend(value);
        } else {
            self.hasher.update(&self.short);
            self.short.clear();
            self.hasher.update(value);
        }
        self
    }

    /// Returns the checksum as a column holds it: a signed number of 32 bits, which takes four bytes.
    pub(super) fn end(mut self) -> i64 {
        self.hasher.update(&self.short);
        i64::from(self.hasher.finalize().cast_signed())
    }
}

/// Returns the checksum of the first `columns` columns of a row.
pub(super) fn of_row(table: &str, sweep: i64, row: &impl Columns, columns: usize) -> Result<i64, StoreError> {
    let mut sum = Sum::of(table, sweep);
    for column in 0..columns {
        sum = row.feed(column, sum)?;
    }
    Ok(sum.end())
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

    /// Returns whether the trials of a living lease, a row of [`rows::LEASE`], are those that were written.
    pub(super) fn lease_trials_hold(&self, sweep: i64, row: &impl Columns) -> Result<bool, StoreError> {
        let place = rows::LEASE_TRIALS_SUM;
        let Ok(Some(trials)) = row.bytes_or_null(place - 1) else {
            return Ok(false);
        };
        match row.integer_or_null(place) {
            Ok(Some(sum)) => Ok(sum == rows::lease_trials_sum(sweep, row.integer(0)?, trials)),
            Ok(None) => Ok(!self.is_complete()),
            Err(_) => Ok(false),
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
