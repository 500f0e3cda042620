//! Checksums of rows that have none, and of the counters.

use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use crate::store::columns::Columns;
use crate::store::rows;
use crate::store::summing::{BYTES, Summed, Table, after, stored};
use crate::store::{StoreError, census};

/// Whether every row has its checksum.
pub(super) fn is_complete(connection: &Connection) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached("SELECT count(*) FROM summing")?;
    Ok(statement.query_row([], |row| row.get::<_, i64>(0))? == 0)
}

/// Gives some rows their checksums. Whether every row has one now.
pub(super) fn some(connection: &mut Connection) -> Result<bool, StoreError> {
    let next = "SELECT place, name, after FROM summing ORDER BY place LIMIT 1";
    let next = connection
        .prepare_cached(next)?
        .query_row([], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, Option<String>>(2)?,
            ))
        })
        .optional()?;
    let Some((place, name, at)) = next else {
        return Ok(true);
    };
    let transaction = connection.transaction()?;
    match step(&transaction, Table::named(&name)?, &after(at.as_deref())?)? {
        Some(last) => transaction.execute(
            "UPDATE summing SET after = ?2 WHERE place = ?1",
            params![place, stored(&last)?],
        )?,
        None => transaction.execute("DELETE FROM summing WHERE place = ?1", [place])?,
    };
    let complete = is_complete(&transaction)?;
    transaction.commit()?;
    Ok(complete)
}

/// The key of the last row that was looked at; none when there are no more.
fn step(
    connection: &Connection,
    table: &'static Table,
    after: &[i64],
) -> Result<Option<Vec<i64>>, StoreError> {
    let mut select = connection.prepare_cached(&table.select(after, '?'))?;
    let mut rows = select.query(params_from_iter(after))?;
    let (mut found, mut bytes): (Vec<Summed>, usize) = (Vec::new(), 0);
    while bytes < BYTES
        && let Some(row) = rows.next()?
    {
        let row = table.read(row)?;
        bytes += row.bytes;
        found.push(row);
    }
    drop(rows);
    let mut update = connection.prepare_cached(&table.update('?'))?;
    for row in &found {
        if let Some(sum) = row.sum {
            update.execute(params_from_iter([sum].iter().chain(&row.key)))?;
        }
        if let Some(trials) = row.trials {
            let sql = "UPDATE lease SET trials_sum = ?1 WHERE fence = ?2";
            connection.prepare_cached(sql)?.execute([trials, row.key[0]])?;
        }
    }
    Ok(found.into_iter().next_back().map(|row| row.key))
}

/// Gives the counters the checksum of what they are.
pub(super) fn write_meta_sum(connection: &Connection) -> Result<(), StoreError> {
    let select = format!("SELECT {} FROM meta", rows::META);
    let mut select = connection.prepare_cached(&select)?;
    let mut found = select.query([])?;
    let row = found.next()?.ok_or_else(census::counters)?;
    let number = |column| row.integer(column);
    let sum = rows::meta_sum(number(0)?, number(1)?, number(2)?, number(3)?);
    drop(found);
    let mut update = connection.prepare_cached("UPDATE meta SET sum = ?1")?;
    update.execute([sum])?;
    Ok(())
}
