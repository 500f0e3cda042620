//! The schema, as the steps that led to it. A released step never changes; a new one is added at the end.
//!
//! Rows name their sweep by its number, which is shorter than its id. `seq` is the number of the commit that last
//! changed the row. Epochs are column blocks, a row an append and trial.

use rusqlite::Connection;

use crate::store::StoreError;

/// Marks a file as ours: "TenF".
pub(super) const APPLICATION: i64 = 0x5465_6e46;

const MIGRATIONS: &[&str] = &["
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
"];

/// The newest version.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Takes the steps that the file has not taken yet, each in a transaction with its number.
pub(super) fn migrate(connection: &mut Connection, from: i64) -> Result<(), StoreError> {
    for (number, step) in MIGRATIONS.iter().enumerate().skip(from as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", number as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}
