//! Rows of a database, whatever kind it is.

use super::StoreError;
use super::sum::Sum;

type Result<T> = std::result::Result<T, StoreError>;

/// A row of a database, read by the places of its columns.
pub(super) trait Columns {
    /// A number. They are stored as signed 64 bits; counters never come near the limit.
    fn integer(&self, column: usize) -> Result<i64>;
    fn integer_or_null(&self, column: usize) -> Result<Option<i64>>;
    fn text(&self, column: usize) -> Result<String>;
    fn text_or_null(&self, column: usize) -> Result<Option<String>>;
    fn bytes(&self, column: usize) -> Result<&[u8]>;
    fn bytes_or_null(&self, column: usize) -> Result<Option<&[u8]>>;
    /// Takes a column into a checksum, whatever is in it.
    fn feed(&self, column: usize, sum: Sum) -> Result<Sum>;
}
