//! A store in a PostgreSQL database, for when one machine is not enough: a second coordinator stands by, and takes over
//! when the first one's connection ends.
//!
//! Who writes holds an advisory lock as long as its connection lives, and an epoch that every transaction of its checks
//! on the one row of `meta`: whoever lost the lock without noticing cannot commit any more, because its epoch is over.

mod columns;
mod connection;
mod load;
mod meta;
mod read;
mod requests;
mod schema;
mod summing;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use postgres::{Config, GenericClient, IsolationLevel, Transaction};
use tenfold_core::record::Record;
use tenfold_types::SweepId;

use self::connection::{Writer, config, holder, place};
use self::meta::Meta;
use self::read::PostgresReader;
use self::write::Batch;
use super::checks::Checks;
use super::{Cursor, Reader, Store, StoreError, rows};

/// Rows removed at once when a sweep was deleted.
const ROWS: i64 = 2_000;
const TABLES: [&str; 7] = [
    "epochs",
    "change",
    "trial",
    "attempt",
    "lease",
    "choice",
    "extension",
];

/// The store, and the right to write it while it lives.
pub struct PostgresStore {
    config: Config,
    writer: Writer,
    checks: Checks,
    numbers: Numbers,
}

/// The numbers by which rows name their sweeps.
#[derive(Default)]
pub(super) struct Numbers(BTreeMap<SweepId, i64>);

impl Numbers {
    fn of(&mut self, sweep: SweepId, client: &mut impl GenericClient) -> Result<i64, StoreError> {
        if let Some(number) = self.0.get(&sweep) {
            return Ok(*number);
        }
        let number = number_of(client, sweep)?
            .ok_or_else(|| StoreError::Corrupt(format!("sweep {sweep} has trials but no row")))?;
        self.0.insert(sweep, number);
        Ok(number)
    }

    fn insert(&mut self, sweep: SweepId, number: i64) {
        self.0.insert(sweep, number);
    }

    fn remove(&mut self, sweep: SweepId) {
        self.0.remove(&sweep);
    }
}

fn number_of(client: &mut impl GenericClient, sweep: SweepId) -> Result<Option<i64>, StoreError> {
    let row = client.query_opt("SELECT number FROM sweep WHERE id = $1", &[&sweep.0.as_slice()])?;
    Ok(row.map(|row| row.get(0)))
}

/// Where the database of a specification is, without its password.
pub(super) fn describe(specification: &str) -> String {
    config(specification).map_or_else(|_| "a PostgreSQL database".to_owned(), |config| place(&config))
}

impl PostgresStore {
    /// Connects, takes the lock, and brings the schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Held`] when another coordinator has it, [`StoreError::Version`] when it is too new,
    /// [`StoreError::Unsupported`] for an address or a server that will not do, and those of the connection.
    pub fn open(specification: &str) -> Result<Self, StoreError> {
        let config = config(specification)?;
        let mut writer = Writer::take(&config, None)?;
        let checks = Checks::default();
        let client = writer.connection.client()?;
        if summing::is_complete(client)? {
            checks.complete();
        }
        Meta::read(client)?;
        Ok(Self {
            config,
            writer,
            checks,
            numbers: Numbers::default(),
        })
    }
}

/// Returns the counters, and has a transaction go on only if the epoch it is of is the newest, and makes it so until the transaction ends.
fn fence(transaction: &mut Transaction<'_>, epoch: i64, config: &Config) -> Result<Meta, StoreError> {
    let sql = format!("SELECT {} FROM meta WHERE epoch = $1 FOR UPDATE", rows::META);
    if let Some(row) = transaction.query_opt(&sql, &[&epoch])? {
        return Meta::checked(&row);
    }
    let (_, holder) = holder(transaction)?;
    Err(StoreError::TakenOver {
        place: place(config),
        holder,
    })
}

impl Store for PostgresStore {
    fn load(&mut self, visit: &mut dyn FnMut(Record)) -> Result<Cursor, StoreError> {
        if self.writer.connection.is_closed() {
            self.writer = Writer::take(&self.config, Some(&self.writer))?;
        }
        let client = self.writer.connection.client()?;
        // All of it is of one moment.
        let mut transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .start()?;
        fence(&mut transaction, self.writer.epoch, &self.config)?;
        let loaded = load::load(&mut transaction, &self.checks, visit)?;
        transaction.commit()?;
        self.numbers = Numbers(loaded.numbers);
        Ok(loaded.meta.seq as Cursor)
    }

    fn commit(&mut self, records: &[Record]) -> Result<Cursor, StoreError> {
        let mut transaction = self.writer.connection.client()?.transaction()?;
        let mut meta = fence(&mut transaction, self.writer.epoch, &self.config)?;
        meta.seq += 1;
        let mut batch = Batch::default();
        for record in records {
            batch.add(record, &mut self.numbers, &mut transaction)?;
        }
        batch.write(&mut transaction, &mut meta, &self.checks)?;
        transaction.commit()?;
        Ok(meta.seq as Cursor)
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        let mut transaction = self.writer.connection.client()?.transaction()?;
        let gone = transaction.query_opt("SELECT sweep FROM gone LIMIT 1", &[])?;
        let Some(gone) = gone.map(|row| row.get::<_, i64>(0)) else {
            if self.checks.is_complete() {
                return Ok(false);
            }
            fence(&mut transaction, self.writer.epoch, &self.config)?;
            let complete = summing::some(&mut transaction)?;
            transaction.commit()?;
            if complete {
                self.checks.complete();
            }
            return Ok(!complete);
        };
        fence(&mut transaction, self.writer.epoch, &self.config)?;
        // A number that is not what was written would have the rows of another sweep removed.
        let living = "SELECT 1 FROM sweep WHERE number = $1";
        if transaction.query_opt(living, &[&gone])?.is_some() {
            return Err(StoreError::Corrupt(format!(
                "sweep number {gone} is said to be deleted, and it is there"
            )));
        }
        let mut room = ROWS;
        for table in TABLES {
            let sql = format!(
                "DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE sweep = $1 LIMIT $2))"
            );
            room -= transaction.execute(&sql, &[&gone, &room])? as i64;
            if room == 0 {
                break;
            }
        }
        if room > 0 {
            transaction.execute("DELETE FROM gone WHERE sweep = $1", &[&gone])?;
        }
        transaction.commit()?;
        Ok(true)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(PostgresReader::open(
            self.config.clone(),
            self.checks.clone(),
        )?))
    }
}
