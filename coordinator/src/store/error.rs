//! What can go wrong with a store.

use std::io;
use std::path::PathBuf;

use tenfold_core::record::Damage;
use tenfold_types::{Fence, TrialId};

/// What went wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no room; nothing was written.
    #[error("no room is left: {0}")]
    Full(String),
    /// A commit failed, and may or may not have been written.
    #[error("{0}")]
    Unknown(String),
    /// What was written cannot be relied on any more.
    #[error("{0}")]
    Fatal(String),
    /// Another coordinator has it.
    #[error("{path} is in use by another coordinator ({holder}); stop that one, or choose another store")]
    Locked {
        /// The store.
        path: PathBuf,
        /// Who has it, as far as is known.
        holder: String,
    },
    /// Another coordinator has it, and this one may stand by.
    #[error("{place} is in use by another coordinator ({holder})")]
    Held {
        /// The store.
        place: String,
        /// Who has it.
        holder: String,
    },
    /// Another coordinator has taken it over.
    #[error("another coordinator ({holder}) has taken over {place}; start this one again to stand by")]
    TakenOver {
        /// The store.
        place: String,
        /// Who has it.
        holder: String,
    },
    /// Some of it is missing.
    #[error("{path} is not whole: {what}; to go on without what is missing, start with --accept-loss")]
    Missing {
        /// The store.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
    /// It was written by a newer version.
    #[error("{path} has schema version {found}; this tenfold knows up to {known}: use a newer tenfold")]
    Version {
        /// The store.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version known.
        known: i64,
    },
    /// It is no store of ours.
    #[error("{path} is no store of tenfold: {reason}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// Its rows contradict one another.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// Some rows are not what was written; all else can be read.
    #[error("{what}")]
    Damaged {
        /// What is damaged, and what becomes of it.
        what: String,
        /// The trials whose rows these are.
        trials: Vec<Damage>,
    },
    /// The file cannot be reached.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// This kind of store cannot do it.
    #[error("{0}")]
    Unsupported(String),
    /// There is no such kind of store.
    #[error("{0:?} is no store; write sqlite:PATH, postgres://USER@HOST/DATABASE or memory:")]
    Scheme(String),
}

impl StoreError {
    /// Something is damaged that is no part of any trial.
    pub(super) fn damaged(what: String) -> Self {
        Self::Damaged {
            what,
            trials: Vec::new(),
        }
    }

    /// The epochs of an attempt are not those that were accepted.
    pub fn damaged_epochs(trial: TrialId, fence: Fence) -> Self {
        Self::damaged_trials(vec![epochs(trial, fence)])
    }

    /// The row of a trial is not what was written.
    pub(super) fn damaged_trial(trial: TrialId) -> Self {
        Self::damaged_trials(vec![Damage {
            trial,
            fence: None,
            attempts: 0,
            what: "its row is not what was written".to_owned(),
        }])
    }

    fn damaged_trials(trials: Vec<Damage>) -> Self {
        let named: Vec<String> = trials.iter().map(|damage| damage.trial.key.to_string()).collect();
        let what = format!(
            "trial {} is damaged on disk and is FAILED now; ask again for the rest, and train it again with `tenfold retry \
             --failed`",
            named.join(", ")
        );
        Self::Damaged { what, trials }
    }

    /// Whether freeing space mends it.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Whether the coordinator must not go on with this store.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::Fatal(_)
                | Self::Corrupt(_)
                | Self::Version { .. }
                | Self::Foreign { .. }
                | Self::TakenOver { .. }
        )
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::{Error, ffi};
        let text = error.to_string();
        match error.sqlite_error() {
            Some(code) if code.code == ffi::ErrorCode::DiskFull => Self::Full(text),
            // After a failed sync the kernel may have dropped the pages: what is on disk is no longer known.
            Some(code)
                if matches!(
                    code.extended_code,
                    ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC
                ) =>
            {
                Self::Fatal(text)
            }
            Some(code) if code.code == ffi::ErrorCode::DatabaseCorrupt => Self::Corrupt(text),
            Some(_) => Self::Unknown(text),
            // No call of SQLite failed: a row is not as this program writes it.
            None if matches!(
                error,
                Error::FromSqlConversionFailure(..)
                    | Error::IntegralValueOutOfRange(..)
                    | Error::InvalidColumnType(..)
                    | Error::Utf8Error(..)
                    | Error::QueryReturnedNoRows
            ) =>
            {
                Self::Corrupt(text)
            }
            None => Self::Unknown(text),
        }
    }
}

impl From<postgres::Error> for StoreError {
    fn from(error: postgres::Error) -> Self {
        use postgres::error::SqlState;
        let text = match error.as_db_error() {
            Some(said) => said.to_string(),
            None => error.to_string(),
        };
        match error.code() {
            Some(code) if *code == SqlState::DISK_FULL => Self::Full(text),
            Some(code) if [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED].contains(code) => {
                Self::Corrupt(text)
            }
            _ => Self::Unknown(text),
        }
    }
}

/// The epochs of an attempt are not what was written.
pub(super) fn epochs(trial: TrialId, fence: Fence) -> Damage {
    Damage {
        trial,
        fence: Some(fence),
        attempts: 0,
        what: "its epochs are not what was written".to_owned(),
    }
}
