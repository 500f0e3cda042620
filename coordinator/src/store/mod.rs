//! Stores: what the coordinator has written down.
//!
//! A store takes the records of a turn in one transaction and gives them back as rows. One behaviour suite (`suite`)
//! says what that means, and every store passes it.

mod attempts;
mod census;
mod changes;
mod checks;
mod columns;
mod error;
mod memory;
mod postgres;
mod rows;
mod sqlite;
#[cfg(test)]
mod suite;
mod sum;
mod summing;

use std::path::{Path, PathBuf};
use tenfold_core::record::{AttemptRow, ChoiceRow, EpochsRow, ExtensionRow, Record, SweepRow, TrialRow};

use tenfold_types::{Block, Fence, SweepId, TrialId, TrialKey};

pub use self::postgres::PostgresStore;
pub use error::StoreError;
pub use memory::MemoryStore;
pub use sqlite::SqliteStore;

/// The number of a commit, from 1; 0 is before the first. A watcher's place in history.
pub type Cursor = u64;

/// What the turn needs of a store. Synchronous: the turn has a thread of its own.
pub trait Store: Send {
    /// Gives every row that the state is made of, in an order in which it can be evolved: counters, sweeps, workers,
    /// leases, extensions, choices, trials, and the epochs of trials that are leased or running. Returns the number of the last commit.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn load(&mut self, visit: &mut dyn FnMut(Record)) -> Result<Cursor, StoreError>;

    /// Writes all durable ones of these records in one transaction, in order. When it returns they are on disk, and
    /// stay there through a crash of the machine. An error means that nothing of it is there, or, for any kind but
    /// [`StoreError::Full`], that this is not known: load again.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn commit(&mut self, records: &[Record]) -> Result<Cursor, StoreError>;

    /// Removes some more of what deleted sweeps have left behind, so little that nobody waits for it. Whether there is
    /// more.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn tidy(&mut self) -> Result<bool, StoreError>;

    /// A reader that sees every commit, and never waits for one.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError>;
}

/// What watchers and exports need of a store.
pub trait Reader: Send {
    /// Changes of one sweep behind a cursor, in the order of their commits: a page of them, and always whole commits. A
    /// row that changed several times comes once, as it is now, at the place of its last change.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn changes(&mut self, sweep: SweepId, since: Cursor, page: Page) -> Result<Changes, StoreError>;

    /// The trials that changed behind a cursor, one way or another: about `limit` of them, of whole commits. One that
    /// changed in several commits may come several times.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn touched(&mut self, sweep: SweepId, since: Cursor, limit: usize) -> Result<Touched, StoreError>;

    /// The extensions that a sweep got behind a cursor, with their commits and in the order of these. Each comes with a change of
    /// its sweep's row.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn extensions(
        &mut self,
        sweep: SweepId,
        since: Cursor,
    ) -> Result<Vec<(Cursor, ExtensionRow)>, StoreError>;

    /// The choices between stages that were made or taken back behind a cursor, with their commits and in the order of these.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn choices(&mut self, sweep: SweepId, since: Cursor) -> Result<Vec<(Cursor, ChoiceRow)>, StoreError>;

    /// The epochs of some attempts at trials of one point, by their repetitions, which come in order.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn blocks(
        &mut self,
        sweep: SweepId,
        stage: u32,
        index: u64,
        attempts: &[(u32, Fence)],
    ) -> Result<Vec<Vec<Block>>, StoreError>;

    /// The touched trials of one point, in repetition order, without their epochs.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn trials(&mut self, sweep: SweepId, stage: u32, index: u64) -> Result<TrialRows, StoreError>;

    /// How many epochs of each of these attempts are there.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn lengths(&mut self, sweep: SweepId, attempts: &[(TrialKey, Fence)]) -> Result<Vec<u32>, StoreError>;

    /// The metrics of one epoch of each of these attempts; none where it is not there.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn values(
        &mut self,
        sweep: SweepId,
        attempts: &[(TrialKey, Fence)],
        epoch: u32,
    ) -> Result<Vec<Option<Vec<f32>>>, StoreError>;

    /// The touched trials of one point with the epochs of their current or accepted attempt, in repetition order. Trials are
    /// looked at before epochs: of an attempt that is given up in between there may be none, of an accepted one there are all.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn point(&mut self, sweep: SweepId, stage: u32, index: u64) -> Result<Vec<StoredTrial>, StoreError> {
        let trials = self.trials(sweep, stage, index)?.rows;
        let attempt = |row: &TrialRow| Some((row.id.key.repetition, row.state.current()?));
        let attempts: Vec<_> = trials.iter().filter_map(attempt).collect();
        let mut blocks = self.blocks(sweep, stage, index, &attempts)?.into_iter();
        let stored = trials.into_iter().map(|row| {
            let of = row.state.current().and_then(|_| blocks.next());
            StoredTrial {
                row,
                blocks: of.unwrap_or_default(),
            }
        });
        Ok(stored.collect())
    }

    /// All attempts at a trial, the newest first: those that ended without a result, and the one that runs or whose
    /// curve is the result.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn attempts(&mut self, trial: TrialId) -> Result<Vec<AttemptRow>, StoreError>;

    /// Writes a copy of the whole store, as of one commit, to a file that is not there yet: an SQLite store. Commits go
    /// on meanwhile.
    ///
    /// # Errors
    /// See [`StoreError`]; [`StoreError::Unsupported`] where the store's own tools do it.
    fn backup(&mut self, file: &Path) -> Result<(), StoreError>;
}

/// Rows of trials.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrialRows {
    /// The rows.
    pub rows: Vec<TrialRow>,
    /// The newest commit that changed one of them: with their number it tells them from what they were.
    pub newest: Cursor,
}

/// How much is read at once: whole commits, until one of these is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// So many rows.
    pub rows: usize,
    /// So many bytes of epochs.
    pub bytes: usize,
}

impl Page {
    /// Rows of whatever length.
    pub const fn rows(rows: usize) -> Self {
        Self {
            rows,
            bytes: usize::MAX,
        }
    }
}

/// A page of trials that changed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Touched {
    /// The commit up to which these are all.
    pub cursor: Cursor,
    /// The trials.
    pub trials: Vec<(TrialKey, What)>,
    /// The sweep itself, if it changed.
    pub sweep: Option<SweepRow>,
    /// There are no more for now.
    pub end: bool,
}

/// What changed of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct What {
    /// Its row: it was leased, runs, waits again, or is over.
    pub row: bool,
    /// It has new epochs.
    pub epochs: bool,
    /// It is over.
    pub over: bool,
}

/// A page of changes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// The commit up to which these are all changes.
    pub cursor: Cursor,
    /// The rows.
    pub rows: Vec<Change>,
    /// There are no more for now.
    pub end: bool,
}

/// A row that changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The sweep itself.
    Sweep(SweepRow),
    /// A trial.
    Trial(TrialRow),
    /// New epochs.
    Epochs(EpochsRow),
}

impl Change {
    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let epochs = match self {
            Self::Epochs(row) => (row.block.columns.len() + row.block.seconds.len()) * size_of::<f32>(),
            Self::Trial(_) | Self::Sweep(_) => 0,
        };
        epochs + size_of::<Self>()
    }
}

/// A trial as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTrial {
    /// Its row.
    pub row: TrialRow,
    /// Its epochs, in order.
    pub blocks: Vec<Block>,
}

/// Where the store of a specification is, if it is a file.
fn file(specification: &str) -> Option<&Path> {
    let path = specification.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    (!path.is_empty()).then(|| Path::new(path))
}

/// Makes the store that a specification names of a backup; its place.
///
/// # Errors
/// [`StoreError::Unsupported`] unless it is `sqlite:PATH`, and what is wrong with the backup or the place.
pub fn restore(backup: &Path, specification: &str, accept_loss: bool) -> Result<PathBuf, StoreError> {
    let path = file(specification).ok_or_else(|| {
        StoreError::Unsupported(format!(
            "a backup is restored to an SQLite store, which {:?} is not; write sqlite:PATH",
            place(specification)
        ))
    })?;
    sqlite::restore(backup, path, accept_loss)
}

fn is_postgres(specification: &str) -> bool {
    specification.starts_with("postgres://") || specification.starts_with("postgresql://")
}

/// Where the store of a specification is, for people: without a password.
pub fn place(specification: &str) -> String {
    if is_postgres(specification) {
        postgres::describe(specification)
    } else {
        specification.to_owned()
    }
}

/// Opens the whole store that a specification names, as [`open_with`] does.
///
/// # Errors
/// See [`open_with`].
pub fn open(specification: &str) -> Result<Box<dyn Store>, StoreError> {
    open_with(specification, false)
}

/// Opens the store that a specification names: `sqlite:PATH`, `postgres://…` or `memory:`. Blocks, and must not be called
/// on an asynchronous task.
///
/// # Errors
/// [`StoreError::Scheme`] for any other, [`StoreError::Held`] when another coordinator has a database for which this one
/// can stand by, [`StoreError::Missing`] when some of it is missing and that is not accepted, and what opening gives.
pub fn open_with(specification: &str, accept_loss: bool) -> Result<Box<dyn Store>, StoreError> {
    if is_postgres(specification) {
        return Ok(Box::new(PostgresStore::open(specification)?));
    }
    match file(specification) {
        Some(path) => Ok(Box::new(SqliteStore::open(path, accept_loss)?)),
        None if specification == "memory:" => Ok(Box::new(MemoryStore::default())),
        None => Err(StoreError::Scheme(specification.to_owned())),
    }
}
