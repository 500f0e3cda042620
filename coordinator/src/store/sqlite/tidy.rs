//! Removing what deleted sweeps have left behind, a little at a time.

use rusqlite::{Connection, OptionalExtension};

use crate::store::StoreError;

/// Rows removed at once, and pages given back to the file system.
const ROWS: usize = 2_000;
const PAGES: u32 = 500;

/// Tables with the columns of their keys behind `sweep`, the largest first.
const TABLES: [(&str, &str); 7] = [
    ("epochs", "stage, point, repetition, fence, first"),
    ("change", "seq"),
    ("trial", "stage, point, repetition"),
    ("attempt", "stage, point, repetition, number"),
    ("lease", "fence"),
    ("choice", "stage, rule, cell"),
    ("extension", "number"),
];

/// Removes some rows of a sweep that is gone, or gives some pages back. Whether there is more to do.
pub(super) fn some(connection: &mut Connection) -> Result<bool, StoreError> {
    let gone: Option<i64> = connection
        .prepare_cached("SELECT sweep FROM gone LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(sweep) = gone else {
        let free = |connection: &Connection| {
            connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0))
        };
        if free(connection)? < i64::from(PAGES) {
            return Ok(false);
        }
        let mut statement = connection.prepare_cached(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        drop(rows);
        drop(statement);
        return Ok(free(connection)? >= i64::from(PAGES));
    };
    let transaction = connection.transaction()?;
    // A number that is not what was written would have the rows of another sweep removed.
    let mut living = transaction.prepare_cached("SELECT 1 FROM sweep WHERE number = ?1")?;
    if living.exists([sweep])? {
        return Err(StoreError::Corrupt(format!(
            "sweep number {sweep} is said to be deleted, and it is there"
        )));
    }
    drop(living);
    let mut room = ROWS;
    for (table, key) in TABLES {
        let sql = format!(
            "DELETE FROM {table} WHERE (sweep, {key}) IN (SELECT sweep, {key} FROM {table} WHERE sweep = ?1 LIMIT ?2)"
        );
        room -= transaction.prepare_cached(&sql)?.execute([sweep, room as i64])?;
        if room == 0 {
            break;
        }
    }
    if room > 0 {
        transaction.execute("DELETE FROM gone WHERE sweep = ?1", [sweep])?;
    }
    transaction.commit()?;
    Ok(true)
}
