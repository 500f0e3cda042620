//! The schema, as the steps that led to it. A released step never changes; a new one is added at the end.
//!
//! The tables and columns are those of the SQLite store, whose comments hold here too. All numbers are signed 64 bits.

use postgres::Transaction;

use super::meta::Meta;
use crate::store::summing::TABLES;
use crate::store::{StoreError, changes};

/// A step: statements, then what statements cannot say.
type Step = (&'static str, fn(&mut Transaction<'_>) -> Result<(), StoreError>);

const MIGRATIONS: &[Step] = &[
    (FIRST, |_| Ok(())),
    (CHOICES, |_| Ok(())),
    (EXTENSIONS, |_| Ok(())),
    (REQUESTS, |_| Ok(())),
    (CHECKSUMS, checksums),
];

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

/// Rows that are there get their checksums afterwards, a part at a time: `summing` says how far that has come.
const CHECKSUMS: &str = "
    ALTER TABLE meta ADD COLUMN there BIGINT NOT NULL DEFAULT 0, ADD COLUMN sum BIGINT NOT NULL DEFAULT 0;
    ALTER TABLE sweep ADD COLUMN sum BIGINT;
    ALTER TABLE extension ADD COLUMN sum BIGINT;
    ALTER TABLE choice ADD COLUMN sum BIGINT;
    ALTER TABLE lease ADD COLUMN sum BIGINT, ADD COLUMN trials_sum BIGINT;
    ALTER TABLE trial ADD COLUMN sum BIGINT;
    ALTER TABLE epochs ADD COLUMN sum BIGINT;
    ALTER TABLE change ADD COLUMN counted BYTEA, ADD COLUMN sum BIGINT;
    CREATE TABLE summing (
        place BIGINT PRIMARY KEY,
        name TEXT NOT NULL,
        after TEXT
    );
";

/// How many rows there are is written down at once.
fn checksums(transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
    for (place, table) in (0i64..).zip(&TABLES) {
        // A new store has nothing to go through.
        let sql = format!(
            "INSERT INTO summing (place, name) SELECT $1::BIGINT, $2::TEXT WHERE EXISTS (SELECT 1 FROM {})",
            table.name
        );
        transaction.execute(&sql, &[&place, &table.name])?;
    }
    let sweeps = "SELECT number, (SELECT max(seq) FROM change WHERE change.sweep = sweep.number), \
                  (SELECT count(*) FROM trial WHERE trial.sweep = sweep.number), \
                  (SELECT count(*) FROM choice WHERE choice.sweep = sweep.number), \
                  (SELECT count(*) FROM extension WHERE extension.sweep = sweep.number) FROM sweep";
    for row in transaction.query(sweeps, &[])? {
        let count = |column| row.get::<_, i64>(column) as u64;
        let counts: changes::Counts = (count(2), count(3), count(4));
        let counted =
            postcard::to_allocvec(&counts).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let (number, newest): (i64, Option<i64>) = (row.get(0), row.get(1));
        let sql = "UPDATE change SET counted = $3 WHERE sweep = $1 AND seq = $2";
        transaction.execute(sql, &[&number, &newest, &counted])?;
    }
    transaction.execute("UPDATE meta SET there = (SELECT count(*) FROM sweep)", &[])?;
    Meta::unchecked(transaction)?.write(transaction)
}

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
    for (statements, rest) in &MIGRATIONS[found as usize..] {
        transaction.batch_execute(statements)?;
        rest(transaction)?;
    }
    transaction.execute("UPDATE meta SET version = $1", &[&VERSION])?;
    Ok(())
}
