//! The schema, as the steps that led to it. A released step never changes; a new one is added at the end.
//!
//! Rows name their sweep by its number, which is shorter than its id. `seq` is the number of the commit that last
//! changed the row. Epochs are column blocks, a row an append and trial. What a commit changed of a sweep is one row of
//! `change`: an index on `seq` would cost more than the rows themselves.

mod checksums;
mod leases_and_changes;

use rusqlite::{Connection, Transaction};

use crate::store::StoreError;

/// Marks a file as ours: "TenF".
pub(super) const APPLICATION: i64 = 0x5465_6e46;

/// Bytes of a page: a hundred epochs of four metrics fit in a row without a page of their own.
const PAGE: i64 = 8192;

/// A step: statements, then what statements cannot say.
type Step = (&'static str, fn(&Transaction<'_>) -> Result<(), StoreError>);

const MIGRATIONS: &[Step] = &[
    (FIRST, |_| Ok(())),
    (LEASES_AND_CHANGES, leases_and_changes::fill),
    (CHOICES, |_| Ok(())),
    (EXTENSIONS, |_| Ok(())),
    (REQUESTS, |_| Ok(())),
    (CHECKSUMS, checksums::fill),
];

const FIRST: &str = "
    CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        seq INTEGER NOT NULL,
        fence INTEGER NOT NULL,
        sweeps INTEGER NOT NULL
    );
    INSERT INTO meta VALUES (1, 0, 0, 0);
    CREATE TABLE sweep (
        number INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        seq INTEGER NOT NULL,
        name TEXT NOT NULL,
        normalised TEXT NOT NULL,
        submitted_at INTEGER NOT NULL,
        finished_at INTEGER,
        control INTEGER NOT NULL
    );
    CREATE TABLE worker (id BLOB PRIMARY KEY, row TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE lease (fence INTEGER PRIMARY KEY, row TEXT NOT NULL);
    CREATE TABLE trial (
        sweep INTEGER NOT NULL,
        stage INTEGER NOT NULL,
        point INTEGER NOT NULL,
        repetition INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        state INTEGER NOT NULL,
        fence INTEGER,
        worker BLOB,
        number INTEGER,
        attempts INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        error TEXT,
        PRIMARY KEY (sweep, stage, point, repetition)
    ) WITHOUT ROWID;
    CREATE INDEX trial_seq ON trial (sweep, seq);
    CREATE TABLE epochs (
        sweep INTEGER NOT NULL,
        stage INTEGER NOT NULL,
        point INTEGER NOT NULL,
        repetition INTEGER NOT NULL,
        fence INTEGER NOT NULL,
        first INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        epochs INTEGER NOT NULL,
        columns BLOB NOT NULL,
        seconds BLOB NOT NULL,
        PRIMARY KEY (sweep, stage, point, repetition, fence, first)
    ) WITHOUT ROWID;
    CREATE INDEX epochs_seq ON epochs (sweep, seq);
    CREATE TABLE attempt (
        sweep INTEGER NOT NULL,
        stage INTEGER NOT NULL,
        point INTEGER NOT NULL,
        repetition INTEGER NOT NULL,
        number INTEGER NOT NULL,
        fence INTEGER NOT NULL,
        worker BLOB NOT NULL,
        host TEXT NOT NULL,
        device TEXT NOT NULL,
        threads INTEGER NOT NULL,
        version TEXT NOT NULL,
        libtorch TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        ended_at INTEGER,
        ended TEXT NOT NULL,
        error TEXT NOT NULL,
        stderr TEXT NOT NULL,
        PRIMARY KEY (sweep, stage, point, repetition, number)
    ) WITHOUT ROWID;
";

const LEASES_AND_CHANGES: &str = "
    ALTER TABLE trial ADD COLUMN pack_limit INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE trial ADD COLUMN accepted_at INTEGER;
    UPDATE trial SET accepted_at = (
        SELECT ended_at FROM attempt WHERE attempt.sweep = trial.sweep AND attempt.stage = trial.stage
            AND attempt.point = trial.point AND attempt.repetition = trial.repetition
            AND attempt.fence = trial.fence
        ) WHERE state IN (4, 5);
    ALTER TABLE lease RENAME TO old_lease;
    CREATE TABLE lease (
        fence INTEGER PRIMARY KEY,
        sweep INTEGER NOT NULL,
        worker BLOB NOT NULL,
        request BLOB NOT NULL,
        slot INTEGER NOT NULL,
        given_at INTEGER NOT NULL,
        host TEXT NOT NULL,
        device TEXT NOT NULL,
        threads INTEGER NOT NULL,
        version TEXT NOT NULL,
        libtorch TEXT NOT NULL,
        trials BLOB
    );
    CREATE INDEX lease_living ON lease (fence) WHERE trials IS NOT NULL;
    CREATE TABLE change (
        sweep INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        itself INTEGER NOT NULL,
        trials BLOB NOT NULL,
        PRIMARY KEY (sweep, seq)
    ) WITHOUT ROWID;
    CREATE TABLE gone (sweep INTEGER PRIMARY KEY);
    DROP INDEX trial_seq;
    DROP INDEX epochs_seq;
";

const CHOICES: &str = "
    CREATE TABLE choice (
        sweep INTEGER NOT NULL,
        stage INTEGER NOT NULL,
        rule INTEGER NOT NULL,
        cell INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        row TEXT NOT NULL,
        PRIMARY KEY (sweep, stage, rule, cell)
    ) WITHOUT ROWID;
";

const EXTENSIONS: &str = "
    CREATE TABLE extension (
        sweep INTEGER NOT NULL,
        number INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        extended_at INTEGER NOT NULL,
        row TEXT NOT NULL,
        PRIMARY KEY (sweep, number)
    ) WITHOUT ROWID;
";

const REQUESTS: &str = "
    CREATE TABLE request (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        method TEXT NOT NULL,
        digest BLOB NOT NULL,
        decided_at INTEGER NOT NULL,
        code INTEGER NOT NULL,
        answer BLOB NOT NULL
    );
";

/// Rows that are there get their checksums afterwards, a part at a time: `summing` says how far that has come.
const CHECKSUMS: &str = "
    ALTER TABLE meta ADD COLUMN there INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE meta ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE meta ADD COLUMN store BLOB NOT NULL DEFAULT x'';
    ALTER TABLE meta ADD COLUMN in_use INTEGER NOT NULL DEFAULT 0;
    UPDATE meta SET store = randomblob(16);
    ALTER TABLE sweep ADD COLUMN sum INTEGER;
    ALTER TABLE extension ADD COLUMN sum INTEGER;
    ALTER TABLE choice ADD COLUMN sum INTEGER;
    ALTER TABLE lease ADD COLUMN sum INTEGER;
    ALTER TABLE lease ADD COLUMN trials_sum INTEGER;
    ALTER TABLE trial ADD COLUMN sum INTEGER;
    ALTER TABLE epochs ADD COLUMN sum INTEGER;
    ALTER TABLE change ADD COLUMN counted BLOB;
    ALTER TABLE change ADD COLUMN sum INTEGER;
    CREATE TABLE summing (
        place INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        after TEXT
    );
";

/// The newest version.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Sets what must be set before there is a table. A store of an older form is written anew for it.
fn lay_out(connection: &Connection, from: i64) -> Result<(), StoreError> {
    if from >= 2 {
        return Ok(());
    }
    // Neither can be changed beside a write-ahead log.
    connection.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    connection.pragma_update(None, "page_size", PAGE)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    if from > 0 {
        connection.execute_batch("VACUUM")?;
    }
    Ok(())
}

/// Takes the steps that the file has not taken yet, each in a transaction with its number.
pub(super) fn migrate(connection: &mut Connection, from: i64) -> Result<(), StoreError> {
    lay_out(connection, from)?;
    for (number, (statements, rest)) in MIGRATIONS.iter().enumerate().skip(from as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(statements)?;
        rest(&transaction)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", number as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}
