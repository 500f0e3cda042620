//! The schema, as the steps that led to it. A released step never changes; a new one is added at the end.
//!
//! The tables and columns are those of the SQLite store, whose comments hold here too. All numbers are signed 64 bits.

use postgres::Transaction;

use crate::store::StoreError;

const MIGRATIONS: &[&str] = &[FIRST, CHOICES, EXTENSIONS, REQUESTS];

const FIRST: &str = "
    CREATE TABLE sweep (
        number BIGINT PRIMARY KEY,
        id BYTEA NOT NULL UNIQUE,
        seq BIGINT NOT NULL,
        name TEXT NOT NULL,
        normalised TEXT NOT NULL,
        submitted_at BIGINT NOT NULL,
        finished_at BIGINT,
        control BIGINT NOT NULL
    );
    CREATE TABLE worker (id BYTEA PRIMARY KEY, row TEXT NOT NULL);
    CREATE TABLE lease (
        fence BIGINT PRIMARY KEY,
        sweep BIGINT NOT NULL,
        worker BYTEA NOT NULL,
        request BYTEA NOT NULL,
        slot BIGINT NOT NULL,
        given_at BIGINT NOT NULL,
        host TEXT NOT NULL,
        device TEXT NOT NULL,
        threads BIGINT NOT NULL,
        version TEXT NOT NULL,
        libtorch TEXT NOT NULL,
        trials BYTEA
    );
    CREATE INDEX lease_living ON lease (fence) WHERE trials IS NOT NULL;
    CREATE INDEX lease_sweep ON lease (sweep);
    CREATE TABLE trial (
        sweep BIGINT NOT NULL,
        stage BIGINT NOT NULL,
        point BIGINT NOT NULL,
        repetition BIGINT NOT NULL,
        seq BIGINT NOT NULL,
        state BIGINT NOT NULL,
        fence BIGINT,
        worker BYTEA,
        number BIGINT,
        attempts BIGINT NOT NULL,
        failures BIGINT NOT NULL,
        error TEXT,
        pack_limit BIGINT NOT NULL,
        accepted_at BIGINT,
        PRIMARY KEY (sweep, stage, point, repetition)
    );
    CREATE TABLE epochs (
        sweep BIGINT NOT NULL,
        stage BIGINT NOT NULL,
        point BIGINT NOT NULL,
        repetition BIGINT NOT NULL,
        fence BIGINT NOT NULL,
        first BIGINT NOT NULL,
        seq BIGINT NOT NULL,
        attempt BIGINT NOT NULL,
        epochs BIGINT NOT NULL,
        columns BYTEA NOT NULL,
        seconds BYTEA NOT NULL,
        PRIMARY KEY (sweep, stage, point, repetition, fence, first)
    );
    CREATE TABLE attempt (
        sweep BIGINT NOT NULL,
        stage BIGINT NOT NULL,
        point BIGINT NOT NULL,
        repetition BIGINT NOT NULL,
        number BIGINT NOT NULL,
        fence BIGINT NOT NULL,
        worker BYTEA NOT NULL,
        host TEXT NOT NULL,
        device TEXT NOT NULL,
        threads BIGINT NOT NULL,
        version TEXT NOT NULL,
        libtorch TEXT NOT NULL,
        started_at BIGINT NOT NULL,
        ended_at BIGINT,
        ended TEXT NOT NULL,
        error TEXT NOT NULL,
        stderr TEXT NOT NULL,
        PRIMARY KEY (sweep, stage, point, repetition, number)
    );
    CREATE TABLE change (
        sweep BIGINT NOT NULL,
        seq BIGINT NOT NULL,
        itself BOOLEAN NOT NULL,
        trials BYTEA NOT NULL,
        PRIMARY KEY (sweep, seq)
    );
    CREATE TABLE gone (sweep BIGINT PRIMARY KEY);
";

const CHOICES: &str = "
    CREATE TABLE choice (
        sweep BIGINT NOT NULL,
        stage BIGINT NOT NULL,
        rule BIGINT NOT NULL,
        cell BIGINT NOT NULL,
        seq BIGINT NOT NULL,
        row TEXT NOT NULL,
        PRIMARY KEY (sweep, stage, rule, cell)
    );
";

const EXTENSIONS: &str = "
    CREATE TABLE extension (
        sweep BIGINT NOT NULL,
        number BIGINT NOT NULL,
        seq BIGINT NOT NULL,
        extended_at BIGINT NOT NULL,
        row TEXT NOT NULL,
        PRIMARY KEY (sweep, number)
    );
";

const REQUESTS: &str = "
    CREATE TABLE request (
        number BIGINT PRIMARY KEY,
        id TEXT NOT NULL,
        method TEXT NOT NULL,
        digest BYTEA NOT NULL,
        decided_at BIGINT NOT NULL,
        code BIGINT NOT NULL,
        answer BYTEA NOT NULL
    );
";

/// The newest version.
const VERSION: i64 = MIGRATIONS.len() as i64;

/// Takes the steps that the database has not taken yet. Whoever calls this holds the lock.
pub(super) fn migrate(transaction: &mut Transaction<'_>, place: &str) -> Result<(), StoreError> {
    transaction.batch_execute(
        "CREATE TABLE IF NOT EXISTS meta (
            one BIGINT PRIMARY KEY CHECK (one = 1),
            version BIGINT NOT NULL,
            epoch BIGINT NOT NULL,
            holder TEXT NOT NULL,
            seq BIGINT NOT NULL,
            fence BIGINT NOT NULL,
            sweeps BIGINT NOT NULL
        );
        INSERT INTO meta VALUES (1, 0, 0, '', 0, 0, 0) ON CONFLICT DO NOTHING;",
    )?;
    let found: i64 = transaction.query_one("SELECT version FROM meta", &[])?.get(0);
    if found > VERSION {
        return Err(StoreError::Version {
            path: place.into(),
            found,
            known: VERSION,
        });
    }
    for step in &MIGRATIONS[found as usize..] {
        transaction.batch_execute(step)?;
    }
    transaction.execute("UPDATE meta SET version = $1", &[&VERSION])?;
    Ok(())
}
