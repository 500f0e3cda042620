//! Reading a sweep beside the writer.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use tenfold_core::record::{AttemptRow, ChoiceRow, EpochsRow, ExtensionRow, SweepRow, TrialRow};
use tenfold_types::{Block, Fence, SweepId, TrialId, TrialKey};

use super::guard::Guard;
use super::{cursor, number_of};
use crate::store::changes::{self, Commit, Commits};
use crate::store::{
    Change, Changes, Cursor, Page, Reader, StoreError, Touched, TrialRows, attempts,
    checks::Checks,
    rows::{self, Found},
};

/// The epochs of one attempt, in order.
pub(super) fn of_attempt() -> String {
    format!(
        "SELECT {} FROM epochs WHERE sweep = ?1 AND stage = ?2 AND point = ?3 AND repetition = ?4 AND fence = ?5 \
         ORDER BY first",
        rows::EPOCHS
    )
}

/// The epochs that one commit wrote of a trial, in order.
pub(super) fn of_commit() -> String {
    format!(
        "SELECT {} FROM epochs WHERE sweep = ?1 AND stage = ?2 AND point = ?3 AND repetition = ?4 AND seq = ?5 \
         ORDER BY fence, first",
        rows::EPOCHS
    )
}

/// The trials of a point.
fn of_point() -> String {
    format!(
        "SELECT {} FROM trial WHERE sweep = ?1 AND stage = ?2 AND point = ?3 ORDER BY repetition",
        rows::TRIAL
    )
}

/// A trial, if this commit was the last to change it.
pub(super) fn trial_of_commit() -> String {
    format!(
        "SELECT {} FROM trial WHERE sweep = ?1 AND stage = ?2 AND point = ?3 AND repetition = ?4 AND seq = ?5",
        rows::TRIAL
    )
}

pub(super) struct SqliteReader {
    pub(super) connection: Connection,
    pub(super) checks: Checks,
    /// Behind the connection: it is closed last.
    pub(super) _guard: Arc<Guard>,
}

impl Reader for SqliteReader {
    fn changes(&mut self, sweep: SweepId, since: Cursor, page: Page) -> Result<Changes, StoreError> {
        let transaction = self.connection.transaction()?;
        let head = cursor(&transaction)?;
        let Some(number) = number_of(&transaction, sweep)? else {
            return Ok(Changes {
                cursor: head,
                rows: Vec::new(),
                end: true,
            });
        };
        let checks = &self.checks;
        let (commits, end) = behind(&transaction, checks, number, since.min(head) as i64, page.rows)?;
        let mut trials = transaction.prepare_cached(&trial_of_commit())?;
        let mut epochs = transaction.prepare_cached(&of_commit())?;
        let mut answer = Changes {
            cursor: if end { head } else { commits.last(since) },
            rows: Vec::new(),
            end,
        };
        let mut bytes = 0;
        for commit in &commits.commits {
            let before = answer.rows.len();
            if commit.itself {
                let row = sweep_of_commit(&transaction, checks, number, commit.seq)?;
                answer.rows.extend(row.map(Change::Sweep));
            }
            let of = |key| params_of(number, key, commit.seq);
            for key in commit.which(changes::EPOCHS) {
                let read = |row: &Row<'_>| epochs_of(checks, sweep, number, row);
                for row in epochs.query_and_then(of(key), read)? {
                    answer.rows.push(Change::Epochs(row?));
                }
            }
            for key in commit.which(changes::TRIAL) {
                let read = |row: &Row<'_>| trial_of(checks, sweep, number, row);
                for row in trials.query_and_then(of(key), read)? {
                    answer.rows.push(Change::Trial(row?));
                }
            }
            bytes += answer.rows[before..].iter().map(Change::bytes).sum::<usize>();
            if bytes >= page.bytes && !commits.ends_with(commit.seq) {
                (answer.cursor, answer.end) = (commit.seq as Cursor, false);
                break;
            }
        }
        Ok(answer)
    }

    fn touched(&mut self, sweep: SweepId, since: Cursor, limit: usize) -> Result<Touched, StoreError> {
        let transaction = self.connection.transaction()?;
        let head = cursor(&transaction)?;
        let Some(number) = number_of(&transaction, sweep)? else {
            return Ok(Touched {
                cursor: head,
                end: true,
                ..Touched::default()
            });
        };
        let checks = &self.checks;
        let (commits, end) = behind(&transaction, checks, number, since.min(head) as i64, limit)?;
        let mut touched = Touched {
            cursor: if end { head } else { commits.last(since) },
            end,
            ..Touched::default()
        };
        for commit in commits.commits {
            let trials = commit.trials.into_iter();
            touched
                .trials
                .extend(trials.map(|(key, flags)| (key, changes::what(flags))));
            if commit.itself
                && let Some(row) = sweep_of_commit(&transaction, checks, number, commit.seq)?
            {
                touched.sweep = Some(row);
            }
        }
        Ok(touched)
    }

    fn extensions(
        &mut self,
        sweep: SweepId,
        since: Cursor,
    ) -> Result<Vec<(Cursor, ExtensionRow)>, StoreError> {
        let Some(number) = number_of(&self.connection, sweep)? else {
            return Ok(Vec::new());
        };
        let sql = format!(
            "SELECT {} FROM extension WHERE sweep = ?1 AND seq > ?2 ORDER BY seq, number",
            rows::EXTENSION
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let behind = since.min(i64::MAX as Cursor) as i64;
        let found = statement.query_and_then([number, behind], |row| {
            self.checks.row("extension", number, row, rows::EXTENSION_SUM)?;
            Ok((rows::seq_of_extension(row)?, rows::extension(sweep, row)?))
        })?;
        found.collect()
    }

    fn choices(&mut self, sweep: SweepId, since: Cursor) -> Result<Vec<(Cursor, ChoiceRow)>, StoreError> {
        let Some(number) = number_of(&self.connection, sweep)? else {
            return Ok(Vec::new());
        };
        let sql = format!(
            "SELECT {} FROM choice WHERE sweep = ?1 AND seq > ?2 ORDER BY seq, stage, rule, cell",
            rows::CHOICE
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let behind = since.min(i64::MAX as Cursor) as i64;
        let found = statement.query_and_then([number, behind], |row| {
            self.checks.row("choice", number, row, rows::CHOICE_SUM)?;
            Ok((rows::seq_of_choice(row)?, rows::choice(sweep, row)?))
        })?;
        found.collect()
    }

    fn blocks(
        &mut self,
        sweep: SweepId,
        stage: u32,
        index: u64,
        attempts: &[(u32, Fence)],
    ) -> Result<Vec<Vec<Block>>, StoreError> {
        let transaction = self.connection.transaction()?;
        let mut found = Found::of(attempts);
        let Some(number) = number_of(&transaction, sweep)? else {
            return Ok(found.blocks);
        };
        // All repetitions at once: they lie side by side, in this order.
        let sql = format!(
            "SELECT {} FROM epochs WHERE sweep = ?1 AND stage = ?2 AND point = ?3 ORDER BY repetition, fence, first",
            rows::EPOCHS
        );
        let mut statement = transaction.prepare_cached(&sql)?;
        let mut epochs = statement.query(params![number, stage, index as i64])?;
        while let Some(row) = epochs.next()? {
            // A damaged one is missed by whoever knows how many epochs there are.
            if self.checks.holds("epochs", number, row, rows::EPOCHS_SUM)? {
                found.take(row)?;
            }
        }
        Ok(found.blocks)
    }

    fn trials(&mut self, sweep: SweepId, stage: u32, index: u64) -> Result<TrialRows, StoreError> {
        let transaction = self.connection.transaction()?;
        let Some(number) = number_of(&transaction, sweep)? else {
            return Ok(TrialRows::default());
        };
        let mut statement = transaction.prepare_cached(&of_point())?;
        let trials = statement.query_and_then(params![number, stage, index as i64], |row| {
            let trial = trial_of(&self.checks, sweep, number, row)?;
            Ok::<_, StoreError>((trial, rows::seq_of_trial(row)?))
        })?;
        let mut found = TrialRows::default();
        for row in trials {
            let (row, seq) = row?;
            found.rows.push(row);
            found.newest = found.newest.max(seq);
        }
        Ok(found)
    }

    fn lengths(&mut self, sweep: SweepId, attempts: &[(TrialKey, Fence)]) -> Result<Vec<u32>, StoreError> {
        let transaction = self.connection.transaction()?;
        let Some(number) = number_of(&transaction, sweep)? else {
            return Ok(vec![0; attempts.len()]);
        };
        let mut last = transaction.prepare_cached(
            "SELECT first + epochs - 1 FROM epochs \
             WHERE sweep = ?1 AND stage = ?2 AND point = ?3 AND repetition = ?4 AND fence = ?5 \
             ORDER BY first DESC LIMIT 1",
        )?;
        let mut length = |(key, fence): &(TrialKey, Fence)| {
            let of = params_of(number, *key, fence.0 as i64);
            Ok(last.query_row(of, |row| row.get(0)).optional()?.unwrap_or(0))
        };
        attempts.iter().map(&mut length).collect()
    }

    fn values(
        &mut self,
        sweep: SweepId,
        attempts: &[(TrialKey, Fence)],
        epoch: u32,
    ) -> Result<Vec<Option<Vec<f32>>>, StoreError> {
        let transaction = self.connection.transaction()?;
        let Some(number) = number_of(&transaction, sweep)? else {
            return Ok(vec![None; attempts.len()]);
        };
        let sql = format!(
            "SELECT {} FROM epochs \
             WHERE sweep = ?1 AND stage = ?2 AND point = ?3 AND repetition = ?4 AND fence = ?5 AND first <= ?6 \
             ORDER BY first DESC LIMIT 1",
            rows::EPOCHS
        );
        let values = |(key, fence): &(TrialKey, Fence)| {
            let [number, stage, point, repetition, fence] = params_of(number, *key, fence.0 as i64);
            let of = [number, stage, point, repetition, fence, epoch.into()];
            let read = |row: &Row<'_>| epochs_of(&self.checks, sweep, of[0], row);
            let row = first(&transaction, &sql, of, read)?;
            Ok(row.and_then(|row| row.block.values(epoch)))
        };
        attempts.iter().map(values).collect()
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
        let transaction = self.connection.transaction()?;
        let of = params![number, stage, index as i64, repetition];
        let trial_row = format!(
            "SELECT {} FROM trial WHERE sweep = ?1 AND stage = ?2 AND point = ?3 AND repetition = ?4",
            rows::TRIAL
        );
        let read = |row: &Row<'_>| trial_of(&self.checks, trial.sweep, number, row);
        let row = first(&transaction, &trial_row, of, read)?;
        let ended = format!(
            "SELECT {} FROM attempt WHERE sweep = ?1 AND stage = ?2 AND point = ?3 AND repetition = ?4 \
             ORDER BY number DESC",
            rows::ATTEMPT
        );
        let mut statement = transaction.prepare_cached(&ended)?;
        let ended = statement.query_and_then(of, |row| rows::attempt(trial.sweep, row))?;
        let mut all: Vec<AttemptRow> = ended.collect::<Result<_, _>>()?;
        if let Some(row) = row
            && let Some(fence) = row.state.current()
            // A store of the first schema has a row of it.
            && all.iter().all(|attempt| attempt.fence != fence)
        {
            let lease = format!("SELECT {} FROM lease WHERE fence = ?1", rows::LEASE);
            let lease = first(&transaction, &lease, [fence.0 as i64], |row| {
                self.checks.row("lease", number, row, rows::LEASE_SUM)?;
                rows::lease(trial.sweep, row)
            })?;
            let newest = lease.map(|lease| attempts::of_lease(&row, &lease));
            all.splice(0..0, newest);
        }
        Ok(all)
    }

    fn backup(&mut self, file: &Path) -> Result<(), StoreError> {
        let Some(name) = file.to_str() else {
            let what = format!(
                "{} is no text that a store can take as a file's name",
                file.display()
            );
            return Err(StoreError::Unsupported(what));
        };
        // Reads in one transaction, and leaves the copy without a log and without free pages.
        self.connection.pragma_update(None, "query_only", false)?;
        let copied = self.connection.execute("VACUUM INTO ?1", [name]);
        self.connection.pragma_update(None, "query_only", true)?;
        copied?;
        Ok(())
    }
}

/// The commits that changed a sweep behind one, oldest first, until they name so many trials; and whether those are all.
fn behind(
    connection: &Connection,
    checks: &Checks,
    sweep: i64,
    since: i64,
    limit: usize,
) -> Result<(Commits, bool), StoreError> {
    let sql = format!(
        "SELECT {} FROM change WHERE sweep = ?1 AND seq > ?2 ORDER BY seq",
        rows::CHANGE
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([sweep, since])?;
    let mut commits = Commits::default();
    while let Some(row) = rows.next()? {
        if commits.fill(limit) {
            return Ok((commits, false));
        }
        commits.push(Commit::read(checks, sweep, row, row.get(1)?)?);
    }
    Ok((commits, true))
}

/// Reads a trial's row that is what was written.
fn trial_of(checks: &Checks, sweep: SweepId, number: i64, row: &Row<'_>) -> Result<TrialRow, StoreError> {
    if checks.holds("trial", number, row, rows::TRIAL_SUM)? {
        return rows::trial(sweep, row);
    }
    let key = rows::key(row, 0)?;
    Err(StoreError::damaged_trial(TrialId { sweep, key }))
}

/// Reads epochs that are what was written.
fn epochs_of(checks: &Checks, sweep: SweepId, number: i64, row: &Row<'_>) -> Result<EpochsRow, StoreError> {
    if checks.holds("epochs", number, row, rows::EPOCHS_SUM)? {
        return rows::epochs(sweep, row);
    }
    let (key, fence) = (rows::key(row, 0)?, Fence(row.get::<_, i64>(3)? as u64));
    Err(StoreError::damaged_epochs(TrialId { sweep, key }, fence))
}

/// The first row of an answer.
fn first<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_and_then(parameters, read)?.next().transpose()
}

fn params_of(sweep: i64, key: TrialKey, last: i64) -> [i64; 5] {
    [
        sweep,
        key.stage.into(),
        key.index as i64,
        key.repetition.into(),
        last,
    ]
}

/// The sweep, if this commit was the last to change it.
fn sweep_of_commit(
    connection: &Connection,
    checks: &Checks,
    number: i64,
    seq: i64,
) -> Result<Option<SweepRow>, StoreError> {
    let sql = format!("SELECT {} FROM sweep WHERE number = ?1 AND seq = ?2", rows::SWEEP);
    first(connection, &sql, [number, seq], |row| {
        checks.row("sweep", 0, row, rows::SWEEP_SUM)?;
        rows::sweep(row)
    })
}
