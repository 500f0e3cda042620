//! Columns of PostgreSQL's rows.

use postgres::Row;
use postgres::types::{FromSql, Type};

use crate::store::StoreError;
use crate::store::columns::Columns;
use crate::store::sum::Sum;

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

    fn feed(&self, column: usize, sum: Sum) -> Result<Sum, StoreError> {
        let kind = self.columns().get(column).map(postgres::Column::type_);
        Ok(match kind {
            Some(kind) if *kind == Type::INT8 => sum.integer_or_null(get(self, column)?),
            Some(kind) if *kind == Type::TEXT => sum.text_or_null(get(self, column)?),
            Some(kind) if *kind == Type::BYTEA => sum.bytes_or_null(get(self, column)?),
            Some(kind) if *kind == Type::BOOL => {
                sum.integer_or_null(get::<Option<bool>>(self, column)?.map(i64::from))
            }
            _ => sum.odd(),
        })
    }

    fn bytes_or_null(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        get(self, column)
    }
}
