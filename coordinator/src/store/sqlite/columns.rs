//! Columns of SQLite's rows.

use rusqlite::Row;
use rusqlite::types::FromSqlError;

use rusqlite::types::ValueRef;

use crate::store::StoreError;
use crate::store::columns::Columns;
use crate::store::sum::Sum;

fn wrong(column: usize, error: FromSqlError) -> StoreError {
    StoreError::Corrupt(format!("column {column} of a row: {error}"))
}

impl Columns for Row<'_> {
    fn integer(&self, column: usize) -> Result<i64, StoreError> {
        Ok(self.get(column)?)
    }

    fn integer_or_null(&self, column: usize) -> Result<Option<i64>, StoreError> {
        Ok(self.get(column)?)
    }

    fn text(&self, column: usize) -> Result<String, StoreError> {
        Ok(self.get(column)?)
    }

    fn text_or_null(&self, column: usize) -> Result<Option<String>, StoreError> {
        Ok(self.get(column)?)
    }

    fn bytes(&self, column: usize) -> Result<&[u8], StoreError> {
        self.get_ref(column)?
            .as_blob()
            .map_err(|error| wrong(column, error))
    }

    fn feed(&self, column: usize, sum: Sum) -> Result<Sum, StoreError> {
        Ok(match self.get_ref(column)? {
            ValueRef::Null => sum.null(),
            ValueRef::Integer(value) => sum.integer(value),
            ValueRef::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => sum.text(text),
                Err(_) => sum.odd(),
            },
            ValueRef::Blob(bytes) => sum.bytes(bytes),
            ValueRef::Real(_) => sum.odd(),
        })
    }

    fn bytes_or_null(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        self.get_ref(column)?
            .as_blob_or_null()
            .map_err(|error| wrong(column, error))
    }
}
