//! Reading a sweep beside the writer.

use rusqlite::{Connection, params};
use tenfold_core::record::AttemptRow;
use tenfold_types::{SweepId, TrialId, TrialKey};

use super::{cursor, number_of, rows};
use crate::store::{Change, Changes, Cursor, Reader, StoreError, StoredTrial};

/// The epochs of one attempt, in order.
pub(super) fn of_attempt() -> String {
    format!(
        "SELECT {} FROM epochs WHERE sweep = ?1 AND stage = ?2 AND point = ?3 AND repetition = ?4 AND fence = ?5 \
         ORDER BY first",
        rows::EPOCHS
    )
}

/// The first rows of a sweep behind a commit, `?3` of them and those that the last one's commit wrote too.
pub(super) fn page(table: &str, columns: &str) -> String {
    format!(
        "SELECT {columns}, seq FROM {table} WHERE sweep = ?1 AND seq > ?2 AND seq <= coalesce((SELECT seq FROM {table} \
         WHERE sweep = ?1 AND seq > ?2 ORDER BY seq LIMIT 1 OFFSET ?3 - 1), {}) ORDER BY seq",
        i64::MAX
    )
}

pub(super) struct SqliteReader {
    pub(super) connection: Connection,
}

impl Reader for SqliteReader {
    fn changes(&mut self, sweep: SweepId, since: Cursor, limit: usize) -> Result<Changes, StoreError> {
        let transaction = self.connection.transaction()?;
        let head = cursor(&transaction)?;
        let Some(number) = number_of(&transaction, sweep)? else {
            return Ok(Changes {
                cursor: head,
                rows: Vec::new(),
                end: true,
            });
        };
        let (since, limit) = (since.min(head) as i64, limit.max(1));
        let mut changes = Vec::new();
        // The commit that each table's page ends in; what lies behind the nearest of these is left for the next page.
        let mut until = i64::MAX;
        let mut collect =
            |kind: u8, sql: &str, read: &dyn Fn(&rusqlite::Row<'_>) -> rusqlite::Result<(i64, Change)>| {
                let mut statement = transaction.prepare_cached(sql)?;
                let mut rows = statement.query(params![number, since, limit as i64])?;
                let (mut count, mut last) = (0_usize, since);
                while let Some(row) = rows.next()? {
                    let (at, change) = read(row)?;
                    count += 1;
                    last = at;
                    changes.push((at as Cursor, kind, change));
                }
                if count >= limit {
                    until = until.min(last);
                }
                Ok::<(), StoreError>(())
            };
        let seq = |row: &rusqlite::Row<'_>| row.get::<_, i64>("seq");
        collect(1, &page("epochs", rows::EPOCHS), &|row| {
            Ok((seq(row)?, Change::Epochs(rows::epochs(sweep, row)?)))
        })?;
        collect(2, &page("trial", rows::TRIAL), &|row| {
            Ok((seq(row)?, Change::Trial(rows::trial(sweep, row)?)))
        })?;
        collect(
            0,
            &format!(
                "SELECT {}, seq FROM sweep WHERE number = ?1 AND seq > ?2 AND ?3 > 0",
                rows::SWEEP
            ),
            &|row| Ok((seq(row)?, Change::Sweep(rows::sweep(row)?))),
        )?;
        changes.retain(|(at, ..)| *at as i64 <= until);
        changes.sort_by_key(|(at, kind, _)| (*at, *kind));
        let mut page = Changes::page(changes, head, limit);
        if page.end && until != i64::MAX {
            page.end = false;
            page.cursor = until as Cursor;
        }
        Ok(page)
    }

    fn point(&mut self, sweep: SweepId, stage: u32, index: u64) -> Result<Vec<StoredTrial>, StoreError> {
        let transaction = self.connection.transaction()?;
        let Some(number) = number_of(&transaction, sweep)? else {
            return Ok(Vec::new());
        };
        let sql = format!(
            "SELECT {} FROM trial WHERE sweep = ?1 AND stage = ?2 AND point = ?3 ORDER BY repetition",
            rows::TRIAL
        );
        let mut statement = transaction.prepare_cached(&sql)?;
        let trials = statement.query_map(params![number, stage, index as i64], |row| {
            rows::trial(sweep, row)
        })?;
        let mut blocks = transaction.prepare_cached(&of_attempt())?;
        let mut stored = Vec::new();
        for row in trials {
            let row = row?;
            let fence = row
                .state
                .accepted()
                .or_else(|| row.state.holder().map(|(fence, _)| fence));
            let mut own = Vec::new();
            if let Some(fence) = fence {
                let of = params![number, stage, index as i64, row.id.key.repetition, fence.0 as i64];
                for block in blocks.query_map(of, |row| rows::epochs(sweep, row))? {
                    own.push(block?.block);
                }
            }
            stored.push(StoredTrial { row, blocks: own });
        }
        Ok(stored)
    }

    fn attempts(&mut self, trial: TrialId) -> Result<Vec<AttemptRow>, StoreError> {
        let Some(number) = number_of(&self.connection, trial.sweep)? else {
            return Ok(Vec::new());
        };
        let TrialKey {
            stage,
            index,
            repetition,
        } = trial.key;
        let sql = format!(
            "SELECT {} FROM attempt WHERE sweep = ?1 AND stage = ?2 AND point = ?3 AND repetition = ?4 \
             ORDER BY number DESC",
            rows::ATTEMPT
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let attempts = statement.query_map(params![number, stage, index as i64, repetition], |row| {
            rows::attempt(trial.sweep, row)
        })?;
        Ok(attempts.collect::<Result<_, _>>()?)
    }
}
