//! Requests that may come again, with their answers.

use std::collections::BTreeMap;

use postgres::Transaction;
use tenfold_core::record::RequestRow;

use crate::store::StoreError;

/// A statement each: people ask for few things at once.
pub(super) fn write_requests(
    transaction: &mut Transaction<'_>,
    forgotten: Option<u64>,
    requests: &BTreeMap<u64, &RequestRow>,
) -> Result<(), StoreError> {
    if let Some(through) = forgotten {
        transaction.execute("DELETE FROM request WHERE number <= $1", &[&(through as i64)])?;
    }
    let sql = "INSERT INTO request (number, id, method, digest, decided_at, code, answer) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (number) DO UPDATE SET id = excluded.id, \
               method = excluded.method, digest = excluded.digest, decided_at = excluded.decided_at, \
               code = excluded.code, answer = excluded.answer";
    for row in requests.values() {
        transaction.execute(
            sql,
            &[
                &(row.number as i64),
                &row.key.id,
                &row.key.method,
                &row.key.digest.as_slice(),
                &(row.at as i64),
                &i64::from(row.code),
                &row.answer,
            ],
        )?;
    }
    Ok(())
}
