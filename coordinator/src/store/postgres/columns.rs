//! Columns of PostgreSQL's rows.

use postgres::Row;
use postgres::types::FromSql;

use crate::store::StoreError;
use crate::store::rows::Columns;

fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, StoreError> {
    row.try_get(column)
        .map_err(|error| StoreError::Corrupt(format!("column {column} of a row: {error}")))
}

impl Columns for Row {
    fn integer(&self, column: usize) -> Result<i64, StoreError> {
        get(self, column)
    }

    fn integer_or_null(&self, column: usize) -> Result<Option<i64>, StoreError> {
        get(self, column)
    }

    fn text(&self, column: usize) -> Result<String, StoreError> {
        get(self, column)
    }

    fn text_or_null(&self, column: usize) -> Result<Option<String>, StoreError> {
        get(self, column)
    }

    fn bytes(&self, column: usize) -> Result<&[u8], StoreError> {
        get(self, column)
    }

    fn bytes_or_null(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        get(self, column)
    }
}
