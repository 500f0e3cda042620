//! Reading a sweep beside the writer, on a connection of its own that is made again when it breaks.

use std::path::Path;

use postgres::{Config, GenericClient, IsolationLevel, Row, Transaction};
use tenfold_core::record::{AttemptRow, ChoiceRow, EpochsRow, ExtensionRow, SweepRow, TrialRow};
use tenfold_types::{Block, Fence, SweepId, TrialId, TrialKey};

use super::connection::Connection;
use super::number_of;
use crate::store::changes::{self, Commit, Commits};
use crate::store::checks::Checks;
use crate::store::columns::Columns;
use crate::store::rows::{self, Found};
use crate::store::{Change, Changes, Cursor, Page, Reader, StoreError, Touched, TrialRows, attempts};

const OF_TRIAL: &str = "sweep = $1 AND stage = $2 AND point = $3 AND repetition = $4";

/// Attempts as four arrays of parameters, numbered from 1 on.
const ATTEMPTS: &str = "unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) \
                        WITH ORDINALITY AS a(stage, point, repetition, fence, place)";
/// The epochs of one of them.
const OF_ATTEMPT: &str = "epochs.sweep = $1 AND epochs.stage = a.stage AND epochs.point = a.point \
                          AND epochs.repetition = a.repetition AND epochs.fence = a.fence";
/// The column of its number, behind those of [`rows::EPOCHS`].
const PLACE: usize = 11;

fn arrays(attempts: &[(TrialKey, Fence)]) -> [Vec<i64>; 4] {
    [
        attempts.iter().map(|(key, _)| key.stage.into()).collect(),
        attempts.iter().map(|(key, _)| key.index as i64).collect(),
        attempts.iter().map(|(key, _)| key.repetition.into()).collect(),
        attempts.iter().map(|(_, fence)| fence.0 as i64).collect(),
    ]
}

/// The trials of a point.
fn of_point() -> String {
    format!(
        "SELECT {} FROM trial WHERE sweep = $1 AND stage = $2 AND point = $3 ORDER BY repetition",
        rows::TRIAL
    )
}

/// The epochs of one attempt, in order.
pub(super) fn epochs_of_attempt() -> String {
    format!(
        "SELECT {} FROM epochs WHERE {OF_TRIAL} AND fence = $5 ORDER BY first",
        rows::EPOCHS
    )
}

/// A trial as parameters.
pub(super) fn parameters(sweep: i64, key: TrialKey) -> [i64; 4] {
    [sweep, key.stage.into(), key.index as i64, key.repetition.into()]
}

pub(super) struct PostgresReader {
    config: Config,
    connection: Connection,
    checks: Checks,
}

impl PostgresReader {
    pub(super) fn open(config: Config, checks: Checks) -> Result<Self, StoreError> {
        let connection = Connection::open(&config)?;
        Ok(Self {
            config,
            connection,
            checks,
        })
    }

    /// Reads all of one moment. A connection that has been idle may have been ended by the server, which shows when it is
    /// used: then all is read again on a new one.
    fn read<T>(
        &mut self,
        read: impl Fn(&mut Transaction<'_>, &Checks) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let checks = self.checks.clone();
        let read = |transaction: &mut Transaction<'_>| read(transaction, &checks);
        if !self.connection.is_closed() {
            let result = within(&mut self.connection, read);
            if result.is_ok() || !self.connection.is_closed() {
                return result;
            }
        }
        self.connection = Connection::open(&self.config)?;
        within(&mut self.connection, read)
    }
}

fn within<T>(
    connection: &mut Connection,
    read: impl Fn(&mut Transaction<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut transaction = connection
        .client()?
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()?;
    let result = read(&mut transaction)?;
    transaction.commit()?;
    Ok(result)
}

/// Commits behind a cursor, and what a page is made of.
struct Behind {
    head: Cursor,
    number: i64,
    commits: Commits,
    end: bool,
}

/// None when there is no such sweep; then only the newest commit's number.
fn behind(
    transaction: &mut Transaction<'_>,
    checks: &Checks,
    sweep: SweepId,
    since: Cursor,
    limit: usize,
) -> Result<Result<Behind, Cursor>, StoreError> {
    let head: i64 = transaction.query_one("SELECT seq FROM meta", &[])?.get(0);
    let Some(number) = number_of(transaction, sweep)? else {
        return Ok(Err(head as Cursor));
    };
    // A commit names one trial, or has made a choice: more than so many are not read at once.
    let most = i64::try_from(limit.max(1)).unwrap_or(i64::MAX - 1) + 1;
    let sql = format!(
        "SELECT {} FROM change WHERE sweep = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        rows::CHANGE
    );
    let since = since.min(head as Cursor) as i64;
    let (mut commits, mut end) = (Commits::default(), true);
    let found = transaction.query(&sql, &[&number, &since, &most])?;
    for row in &found {
        if commits.fill(limit) {
            end = false;
            break;
        }
        commits.push(Commit::read(checks, number, row, row.get(1))?);
    }
    end &= (found.len() as i64) < most;
    Ok(Ok(Behind {
        head: head as Cursor,
        number,
        commits,
        end,
    }))
}

impl Behind {
    fn cursor(&self, since: Cursor) -> Cursor {
        if self.end {
            self.head
        } else {
            self.commits.last(since)
        }
    }
}

impl Reader for PostgresReader {
    fn changes(&mut self, sweep: SweepId, since: Cursor, page: Page) -> Result<Changes, StoreError> {
        self.read(|transaction, checks| {
            let found = match behind(transaction, checks, sweep, since, page.rows)? {
                Ok(found) => found,
                Err(cursor) => {
                    return Ok(Changes {
                        cursor,
                        rows: Vec::new(),
                        end: true,
                    });
                }
            };
            let mut answer = Changes {
                cursor: found.cursor(since),
                rows: Vec::new(),
                end: found.end,
            };
            let epochs = transaction.prepare(&format!(
                "SELECT {} FROM epochs WHERE {OF_TRIAL} AND seq = $5 ORDER BY fence, first",
                rows::EPOCHS
            ))?;
            let trials = transaction.prepare(&format!(
                "SELECT {} FROM trial WHERE {OF_TRIAL} AND seq = $5",
                rows::TRIAL
            ))?;
            let mut bytes = 0;
            for commit in &found.commits.commits {
                let before = answer.rows.len();
                if commit.itself {
                    let row = sweep_of_commit(transaction, checks, found.number, commit.seq)?;
                    answer.rows.extend(row.map(Change::Sweep));
                }
                for key in commit.which(changes::EPOCHS) {
                    let [sweep_number, stage, point, repetition] = parameters(found.number, key);
                    let of: [&(dyn postgres::types::ToSql + Sync); 5] =
                        [&sweep_number, &stage, &point, &repetition, &commit.seq];
                    for row in transaction.query(&epochs, &of)? {
                        let row = epochs_of(checks, sweep, found.number, &row)?;
                        answer.rows.push(Change::Epochs(row));
                    }
                }
                for key in commit.which(changes::TRIAL) {
                    let [sweep_number, stage, point, repetition] = parameters(found.number, key);
                    let of: [&(dyn postgres::types::ToSql + Sync); 5] =
                        [&sweep_number, &stage, &point, &repetition, &commit.seq];
                    for row in transaction.query(&trials, &of)? {
                        let row = trial_of(checks, sweep, found.number, &row)?;
                        answer.rows.push(Change::Trial(row));
                    }
                }
                bytes += answer.rows[before..].iter().map(Change::bytes).sum::<usize>();
                if bytes >= page.bytes && !found.commits.ends_with(commit.seq) {
                    (answer.cursor, answer.end) = (commit.seq as Cursor, false);
                    break;
                }
            }
            Ok(answer)
        })
    }

    fn touched(&mut self, sweep: SweepId, since: Cursor, limit: usize) -> Result<Touched, StoreError> {
        self.read(|transaction, checks| {
            let found = match behind(transaction, checks, sweep, since, limit)? {
                Ok(found) => found,
                Err(cursor) => {
                    return Ok(Touched {
                        cursor,
                        end: true,
                        ..Touched::default()
                    });
                }
            };
            let mut touched = Touched {
                cursor: found.cursor(since),
                end: found.end,
                ..Touched::default()
            };
            for commit in found.commits.commits {
                if commit.itself
                    && let Some(row) = sweep_of_commit(transaction, checks, found.number, commit.seq)?
                {
                    touched.sweep = Some(row);
                }
                let trials = commit.trials.into_iter();
                touched
                    .trials
                    .extend(trials.map(|(key, flags)| (key, changes::what(flags))));
            }
            Ok(touched)
        })
    }

    fn extensions(
        &mut self,
        sweep: SweepId,
        since: Cursor,
    ) -> Result<Vec<(Cursor, ExtensionRow)>, StoreError> {
        self.read(|transaction, checks| {
            let Some(number) = number_of(transaction, sweep)? else {
                return Ok(Vec::new());
            };
            let sql = format!(
                "SELECT {} FROM extension WHERE sweep = $1 AND seq > $2 ORDER BY seq, number",
                rows::EXTENSION
            );
            let behind = since.min(i64::MAX as Cursor) as i64;
            let found = transaction.query(&sql, &[&number, &behind])?;
            let extension = |row| {
                checks.row("extension", number, row, rows::EXTENSION_SUM)?;
                Ok((rows::seq_of_extension(row)?, rows::extension(sweep, row)?))
            };
            found.iter().map(extension).collect()
        })
    }

    fn choices(&mut self, sweep: SweepId, since: Cursor) -> Result<Vec<(Cursor, ChoiceRow)>, StoreError> {
        self.read(|transaction, checks| {
            let Some(number) = number_of(transaction, sweep)? else {
                return Ok(Vec::new());
            };
            let sql = format!(
                "SELECT {} FROM choice WHERE sweep = $1 AND seq > $2 ORDER BY seq, stage, rule, cell",
                rows::CHOICE
            );
            let behind = since.min(i64::MAX as Cursor) as i64;
            let found = transaction.query(&sql, &[&number, &behind])?;
            let choice = |row| {
                checks.row("choice", number, row, rows::CHOICE_SUM)?;
                Ok((rows::seq_of_choice(row)?, rows::choice(sweep, row)?))
            };
            found.iter().map(choice).collect()
        })
    }

    fn blocks(
        &mut self,
        sweep: SweepId,
        stage: u32,
        index: u64,
        attempts: &[(u32, Fence)],
    ) -> Result<Vec<Vec<Block>>, StoreError> {
        self.read(|transaction, checks| {
            let mut found = Found::of(attempts);
            let Some(number) = number_of(transaction, sweep)? else {
                return Ok(found.blocks);
            };
            // All repetitions at once: they lie side by side, in this order.
            let sql = format!(
                "SELECT {} FROM epochs WHERE sweep = $1 AND stage = $2 AND point = $3 ORDER BY repetition, fence, first",
                rows::EPOCHS
            );
            for row in transaction.query(&sql, &[&number, &i64::from(stage), &(index as i64)])? {
                // A damaged one is missed by whoever knows how many epochs there are.
                if checks.holds("epochs", number, &row, rows::EPOCHS_SUM)? {
                    found.take(&row)?;
                }
            }
            Ok(found.blocks)
        })
    }

    fn trials(&mut self, sweep: SweepId, stage: u32, index: u64) -> Result<TrialRows, StoreError> {
        self.read(|transaction, checks| {
            let mut found = TrialRows::default();
            let Some(number) = number_of(transaction, sweep)? else {
                return Ok(found);
            };
            for row in transaction.query(&of_point(), &[&number, &i64::from(stage), &(index as i64)])? {
                found.rows.push(trial_of(checks, sweep, number, &row)?);
                found.newest = found.newest.max(rows::seq_of_trial(&row)?);
            }
            Ok(found)
        })
    }

    fn lengths(&mut self, sweep: SweepId, attempts: &[(TrialKey, Fence)]) -> Result<Vec<u32>, StoreError> {
        let [stages, points, repetitions, fences] = arrays(attempts);
        let sql = format!(
            "SELECT coalesce(last.epoch, 0) FROM {ATTEMPTS} \
             LEFT JOIN LATERAL (SELECT first + epochs - 1 AS epoch FROM epochs WHERE {OF_ATTEMPT} \
                                ORDER BY first DESC LIMIT 1) last ON true \
             ORDER BY a.place"
        );
        self.read(|transaction, _| {
            let Some(number) = number_of(transaction, sweep)? else {
                return Ok(vec![0; attempts.len()]);
            };
            let rows = transaction.query(&sql, &[&number, &stages, &points, &repetitions, &fences])?;
            Ok(rows.iter().map(|row| row.get::<_, i64>(0) as u32).collect())
        })
    }

    fn values(
        &mut self,
        sweep: SweepId,
        attempts: &[(TrialKey, Fence)],
        epoch: u32,
    ) -> Result<Vec<Option<Vec<f32>>>, StoreError> {
        let [stages, points, repetitions, fences] = arrays(attempts);
        let sql = format!(
            "SELECT found.*, a.place FROM {ATTEMPTS} \
             JOIN LATERAL (SELECT {} FROM epochs WHERE {OF_ATTEMPT} AND first <= $6 \
                           ORDER BY first DESC LIMIT 1) found ON true",
            rows::EPOCHS
        );
        self.read(|transaction, checks| {
            let mut values = vec![None; attempts.len()];
            let Some(number) = number_of(transaction, sweep)? else {
                return Ok(values);
            };
            let epoch_number = i64::from(epoch);
            let of: [&(dyn postgres::types::ToSql + Sync); 6] =
                [&number, &stages, &points, &repetitions, &fences, &epoch_number];
            for row in transaction.query(&sql, &of)? {
                let place = row.get::<_, i64>(PLACE) as usize - 1;
                let block = epochs_of(checks, sweep, number, &row)?.block;
                if let Some(values) = values.get_mut(place) {
                    *values = block.values(epoch);
                }
            }
            Ok(values)
        })
    }

    fn attempts(&mut self, trial: TrialId) -> Result<Vec<AttemptRow>, StoreError> {
        self.read(|transaction, checks| {
            let Some(number) = number_of(transaction, trial.sweep)? else {
                return Ok(Vec::new());
            };
            let [sweep, stage, point, repetition] = parameters(number, trial.key);
            let of: [&(dyn postgres::types::ToSql + Sync); 4] = [&sweep, &stage, &point, &repetition];
            let row = transaction.query_opt(
                &format!("SELECT {} FROM trial WHERE {OF_TRIAL}", rows::TRIAL),
                &of,
            )?;
            let read = |row| trial_of(checks, trial.sweep, number, &row);
            let row = row.map(read).transpose()?;
            let ended = format!(
                "SELECT {} FROM attempt WHERE {OF_TRIAL} ORDER BY number DESC",
                rows::ATTEMPT
            );
            let ended = transaction.query(&ended, &of)?;
            let ended = ended.iter().map(|row| rows::attempt(trial.sweep, row));
            let mut all: Vec<AttemptRow> = ended.collect::<Result<_, _>>()?;
            if let Some(row) = row
                && let Some(fence) = row.state.current()
            {
                let lease = format!("SELECT {} FROM lease WHERE fence = $1", rows::LEASE);
                let lease = transaction.query_opt(&lease, &[&(fence.0 as i64)])?;
                let read = |row| {
                    checks.row("lease", number, &row, rows::LEASE_SUM)?;
                    rows::lease(trial.sweep, &row)
                };
                let lease = lease.map(read).transpose()?;
                all.splice(0..0, lease.map(|lease| attempts::of_lease(&row, &lease)));
            }
            Ok(all)
        })
    }

    fn backup(&mut self, _: &Path) -> Result<(), StoreError> {
        let what = "a store in PostgreSQL is copied by PostgreSQL's own tools; run pg_dump on its database";
        Err(StoreError::Unsupported(what.to_owned()))
    }
}

/// Reads a trial's row that is what was written.
fn trial_of(checks: &Checks, sweep: SweepId, number: i64, row: &Row) -> Result<TrialRow, StoreError> {
    if checks.holds("trial", number, row, rows::TRIAL_SUM)? {
        return rows::trial(sweep, row);
    }
    let key = rows::key(row, 0)?;
    Err(StoreError::damaged_trial(TrialId { sweep, key }))
}

/// Reads epochs that are what was written.
fn epochs_of(checks: &Checks, sweep: SweepId, number: i64, row: &Row) -> Result<EpochsRow, StoreError> {
    if checks.holds("epochs", number, row, rows::EPOCHS_SUM)? {
        return rows::epochs(sweep, row);
    }
    let (key, fence) = (rows::key(row, 0)?, Fence(row.integer(3)? as u64));
    Err(StoreError::damaged_epochs(TrialId { sweep, key }, fence))
}

/// The sweep, if this commit was the last to change it.
fn sweep_of_commit(
    client: &mut impl GenericClient,
    checks: &Checks,
    number: i64,
    seq: i64,
) -> Result<Option<SweepRow>, StoreError> {
    let sql = format!("SELECT {} FROM sweep WHERE number = $1 AND seq = $2", rows::SWEEP);
    client
        .query_opt(&sql, &[&number, &seq])?
        .map(|row| {
            checks.row("sweep", 0, &row, rows::SWEEP_SUM)?;
            rows::sweep(&row)
        })
        .transpose()
}
