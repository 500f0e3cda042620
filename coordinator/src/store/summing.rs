//! Checksums for rows that have none yet, a part at a time: those of stores that earlier versions wrote.

use super::columns::Columns;
use super::rows;
use super::{StoreError, checks};

/// Rows that get their checksums in one step, and bytes of them: they are written anew.
pub(super) const ROWS: usize = 2_000;
pub(super) const BYTES: usize = 4 << 20;

/// A table whose rows have checksums.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The columns of its key.
    key: &'static [&'static str],
    /// The number of the sweep that a row belongs to; 0 for a sweep's own.
    sweep: &'static str,
    /// The columns that are read.
    columns: &'static str,
    /// How many of them the checksum is of, which stands behind these.
    summed: usize,
}

const NO_SWEEP: &str = "CAST(0 AS BIGINT)";

/// The large ones last: what is small is safe soon.
pub(super) const TABLES: [Table; 7] = [
    Table {
        name: "sweep",
        key: &["number"],
        sweep: NO_SWEEP,
        columns: rows::SWEEP,
        summed: rows::SWEEP_SUM,
    },
    Table {
        name: "extension",
        key: &["sweep", "number"],
        sweep: "sweep",
        columns: rows::EXTENSION,
        summed: rows::EXTENSION_SUM,
    },
    Table {
        name: "choice",
        key: &["sweep", "stage", "rule", "cell"],
        sweep: "sweep",
        columns: rows::CHOICE,
        summed: rows::CHOICE_SUM,
    },
    Table {
        name: LEASE,
        key: &["fence"],
        sweep: "sweep",
        columns: rows::LEASE,
        summed: rows::LEASE_SUM,
    },
    Table {
        name: "trial",
        key: &["sweep", "stage", "point", "repetition"],
        sweep: "sweep",
        columns: rows::TRIAL,
        summed: rows::TRIAL_SUM,
    },
    Table {
        name: "change",
        key: &["sweep", "seq"],
        sweep: "sweep",
        columns: rows::CHANGE,
        summed: rows::CHANGE_SUM,
    },
    Table {
        name: "epochs",
        key: &["sweep", "stage", "point", "repetition", "fence", "first"],
        sweep: "sweep",
        columns: rows::EPOCHS,
        summed: rows::EPOCHS_SUM,
    },
];

const LEASE: &str = "lease";

/// A row that is looked at.
pub(super) struct Summed {
    pub(super) key: Vec<i64>,
    /// Its checksum, if it had none.
    pub(super) sum: Option<i64>,
    /// That of a living lease's trials.
    pub(super) trials: Option<i64>,
    /// About how long it is.
    pub(super) bytes: usize,
}

impl Table {
    /// The table of this name.
    pub(super) fn named(name: &str) -> Result<&'static Self, StoreError> {
        let unknown = || StoreError::Corrupt(format!("rows of {name:?} have no checksums"));
        TABLES.iter().find(|table| table.name == name).ok_or_else(unknown)
    }

    /// Reads the rows behind a key, which are the parameters if there is one. `mark` begins a parameter.
    pub(super) fn select(&self, after: &[i64], mark: char) -> String {
        let key = self.key.join(", ");
        let behind = match after.len() == self.key.len() {
            true => format!("WHERE ({key}) > ({})", self.parameters(mark, 1)),
            false => String::new(),
        };
        let Self {
            name, columns, sweep, ..
        } = self;
        format!("SELECT {columns}, {sweep}, {key} FROM {name} {behind} ORDER BY {key} LIMIT {ROWS}")
    }

    /// Writes a checksum, the first parameter, into the row of a key.
    pub(super) fn update(&self, mark: char) -> String {
        let (name, key) = (self.name, self.key.join(", "));
        format!(
            "UPDATE {name} SET sum = {mark}1 WHERE ({key}) = ({})",
            self.parameters(mark, 2)
        )
    }

    fn parameters(&self, mark: char, from: usize) -> String {
        let places = from..from + self.key.len();
        let places: Vec<String> = places.map(|at| format!("{mark}{at}")).collect();
        places.join(", ")
    }

    /// Reads a row that was selected.
    pub(super) fn read(&self, row: &impl Columns) -> Result<Summed, StoreError> {
        let at = self.columns.split(',').count();
        let sweep = row.integer(at)?;
        let key = (at + 1..at + 1 + self.key.len()).map(|column| row.integer(column));
        let key = key.collect::<Result<Vec<_>, _>>()?;
        // One that was written since has its own, which says more than what is there now.
        if row.integer_or_null(self.summed)?.is_some() {
            return Ok(Summed {
                key,
                sum: None,
                trials: None,
                bytes: 0,
            });
        }
        let trials = match self.name {
            LEASE => row.bytes_or_null(rows::LEASE_TRIALS_SUM - 1)?,
            _ => None,
        };
        let sum = checks::taken_in(self.name, sweep, row, self.summed)?;
        Ok(Summed {
            bytes: sum.bytes_taken(),
            sum: Some(sum.end()),
            trials: trials.map(|trials| rows::lease_trials_sum(sweep, key[0], trials)),
            key,
        })
    }
}

/// How far a table has come, as it is stored.
pub(super) fn after(stored: Option<&str>) -> Result<Vec<i64>, StoreError> {
    let wrong = |error| StoreError::Corrupt(format!("how far checksums have come: {error}"));
    stored.map_or(Ok(Vec::new()), |stored| {
        serde_json::from_str(stored).map_err(wrong)
    })
}

/// How far a table has come, to be stored.
pub(super) fn stored(last: &[i64]) -> Result<String, StoreError> {
    serde_json::to_string(last).map_err(|error| StoreError::Corrupt(error.to_string()))
}
