//! Checksums of rows that have none.

use postgres::types::ToSql;
use postgres::{GenericClient, Transaction};

use crate::store::StoreError;
use crate::store::summing::{BYTES, Summed, Table, after, stored};

/// Rows that are fetched at once.
const PIECE: i32 = 50;

/// Whether every row has its checksum.
pub(super) fn is_complete(client: &mut impl GenericClient) -> Result<bool, StoreError> {
    let left: i64 = client.query_one("SELECT count(*) FROM summing", &[])?.get(0);
    Ok(left == 0)
}

/// Gives some rows their checksums. Whether every row has one now.
pub(super) fn some(transaction: &mut Transaction<'_>) -> Result<bool, StoreError> {
    let next = "SELECT place, name, after FROM summing ORDER BY place LIMIT 1";
    let Some(next) = transaction.query_opt(next, &[])? else {
        return Ok(true);
    };
    let (place, name, at): (i64, String, Option<String>) = (next.get(0), next.get(1), next.get(2));
    match step(transaction, Table::named(&name)?, &after(at.as_deref())?)? {
        Some(last) => {
            let sql = "UPDATE summing SET after = $2 WHERE place = $1";
            transaction.execute(sql, &[&place, &stored(&last)?])?;
        }
        None => _ = transaction.execute("DELETE FROM summing WHERE place = $1", &[&place])?,
    }
    is_complete(transaction)
}

/// The key of the last row that was looked at; none when there are no more.
fn step(
    transaction: &mut Transaction<'_>,
    table: &'static Table,
    after: &[i64],
) -> Result<Option<Vec<i64>>, StoreError> {
    let parameters: Vec<&(dyn ToSql + Sync)> = after.iter().map(|value| value as _).collect();
    let select = transaction.prepare(&table.select(after, '$'))?;
    let portal = transaction.bind(&select, &parameters)?;
    let (mut found, mut bytes): (Vec<Summed>, usize) = (Vec::new(), 0);
    while bytes < BYTES {
        let rows = transaction.query_portal(&portal, PIECE)?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            let row = table.read(row)?;
            bytes += row.bytes;
            found.push(row);
        }
    }
    let update = transaction.prepare(&table.update('$'))?;
    for row in &found {
        if let Some(sum) = &row.sum {
            let mut values: Vec<&(dyn ToSql + Sync)> = vec![sum];
            values.extend(row.key.iter().map(|value| value as &(dyn ToSql + Sync)));
            transaction.execute(&update, &values)?;
        }
        if let Some(trials) = &row.trials {
            let sql = "UPDATE lease SET trials_sum = $1 WHERE fence = $2";
            transaction.execute(sql, &[trials, &row.key[0]])?;
        }
    }
    Ok(found.into_iter().next_back().map(|row| row.key))
}
