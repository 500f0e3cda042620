//! To checksums: how many rows there are is written down at once; each row gets its checksum later, a part at a time.

use rusqlite::{Transaction, params};

use crate::store::sqlite::summing::write_meta_sum;
use crate::store::summing::TABLES;
use crate::store::{StoreError, changes};

pub(super) fn fill(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    for (place, table) in TABLES.iter().enumerate() {
        // A new store has nothing to go through.
        transaction.execute(
            &format!(
                "INSERT INTO summing (place, name) SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM {})",
                table.name
            ),
            params![place as i64, table.name],
        )?;
    }
    let sweeps = "SELECT number, (SELECT max(seq) FROM change WHERE change.sweep = sweep.number), \
                  (SELECT count(*) FROM trial WHERE trial.sweep = sweep.number), \
                  (SELECT count(*) FROM choice WHERE choice.sweep = sweep.number), \
                  (SELECT count(*) FROM extension WHERE extension.sweep = sweep.number) FROM sweep";
    let mut statement = transaction.prepare(sweeps)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let counts: changes::Counts = (
            row.get::<_, i64>(2)? as u64,
            row.get::<_, i64>(3)? as u64,
            row.get::<_, i64>(4)? as u64,
        );
        let counted =
            postcard::to_allocvec(&counts).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        transaction.execute(
            "UPDATE change SET counted = ?3 WHERE sweep = ?1 AND seq = ?2",
            params![row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?, counted],
        )?;
    }
    transaction.execute("UPDATE meta SET there = (SELECT count(*) FROM sweep)", [])?;
    write_meta_sum(transaction)
}
