//! A store in a PostgreSQL database, for when one machine is not enough: a second coordinator stands by, and takes over
//! when the first one's connection ends.
//!
//! Who writes holds an advisory lock as long as its connection lives, and an epoch that every transaction of its checks
//! on the one row of `meta`: whoever lost the lock without noticing cannot commit any more, because its epoch is over.

mod columns;
mod connection;
mod read;
mod requests;
mod schema;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use postgres::fallible_iterator::FallibleIterator;
use postgres::{Config, GenericClient, IsolationLevel, Transaction};
use tenfold_core::record::{Counters, Record};
use tenfold_types::SweepId;

use self::connection::{Writer, config, holder, place};
use self::read::{PostgresReader, epochs_of_attempt, parameters};
use self::write::Batch;
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
    cursor: Cursor,
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
        let writer = Writer::take(&config, None)?;
        Ok(Self {
            config,
            writer,
            cursor: 0,
            numbers: Numbers::default(),
        })
    }
}

/// Has a transaction go on only if the epoch it is of is the newest, and makes it so until the transaction ends.
fn fence(transaction: &mut Transaction<'_>, epoch: i64, config: &Config) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM meta WHERE epoch = $1 FOR UPDATE";
    if transaction.query_opt(sql, &[&epoch])?.is_some() {
        return Ok(());
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
        let meta = transaction.query_one("SELECT fence, sweeps, seq FROM meta", &[])?;
        visit(Record::Counters(Counters {
            fence: meta.get::<_, i64>(0) as u64,
            sweeps: meta.get::<_, i64>(1) as u64,
        }));
        let mut sweeps = BTreeMap::new();
        for row in transaction.query(&format!("SELECT {} FROM sweep ORDER BY number", rows::SWEEP), &[])? {
            let row = rows::sweep(&row)?;
            sweeps.insert(row.number as i64, row.id);
            visit(Record::Sweep(row));
        }
        for row in transaction.query("SELECT id, row FROM worker ORDER BY id", &[])? {
            visit(Record::Worker(rows::worker(&row)?));
        }
        let requests = format!("SELECT {} FROM request ORDER BY number", rows::REQUEST);
        for row in transaction.query(&requests, &[])? {
            visit(Record::Request(rows::request(&row)?));
        }
        let living = format!(
            "SELECT {}, sweep FROM lease WHERE trials IS NOT NULL ORDER BY fence",
            rows::LEASE
        );
        for row in transaction.query(&living, &[])? {
            let number: i64 = row.get("sweep");
            let sweep = sweeps
                .get(&number)
                .ok_or_else(|| StoreError::Corrupt(format!("a lease names sweep number {number}")))?;
            visit(Record::Lease(rows::lease(*sweep, &row)?));
        }
        let extensions = format!(
            "SELECT {} FROM extension WHERE sweep = $1 ORDER BY number",
            rows::EXTENSION
        );
        for (number, sweep) in &sweeps {
            for row in transaction.query(&extensions, &[number])? {
                visit(Record::Extension(rows::extension(*sweep, &row)?));
            }
        }
        let choices = format!("SELECT {} FROM choice WHERE sweep = $1", rows::CHOICE);
        for (number, sweep) in &sweeps {
            for row in transaction.query(&choices, &[number])? {
                visit(Record::Choice(rows::choice(*sweep, &row)?));
            }
        }
        let mut held = Vec::new();
        let trials = transaction.prepare(&format!(
            "SELECT {} FROM trial WHERE sweep = $1 ORDER BY stage, point, repetition",
            rows::TRIAL
        ))?;
        for (number, sweep) in &sweeps {
            // One after the other as they arrive: there may be millions.
            let mut found = transaction.query_raw(&trials, [number])?;
            while let Some(row) = found.next()? {
                let row = rows::trial(*sweep, &row)?;
                held.extend(row.state.holder().map(|(fence, _)| (*number, row.id, fence)));
                visit(Record::Trial(row));
            }
        }
        let epochs = transaction.prepare(&epochs_of_attempt())?;
        for (number, id, fence) in held {
            let [sweep, stage, point, repetition] = parameters(number, id.key);
            for row in
                transaction.query(&epochs, &[&sweep, &stage, &point, &repetition, &(fence.0 as i64)])?
            {
                visit(Record::Epochs(rows::epochs(id.sweep, &row)?));
            }
        }
        transaction.commit()?;
        self.numbers = Numbers(sweeps.into_iter().map(|(number, id)| (id, number)).collect());
        self.cursor = meta.get::<_, i64>(2) as Cursor;
        Ok(self.cursor)
    }

    fn commit(&mut self, records: &[Record]) -> Result<Cursor, StoreError> {
        let mut transaction = self.writer.connection.client()?.transaction()?;
        fence(&mut transaction, self.writer.epoch, &self.config)?;
        let at: i64 = transaction
            .query_one("UPDATE meta SET seq = seq + 1 RETURNING seq", &[])?
            .get(0);
        let mut batch = Batch::default();
        for record in records {
            batch.add(record, &mut self.numbers, &mut transaction)?;
        }
        batch.write(&mut transaction, at)?;
        transaction.commit()?;
        self.cursor = at as Cursor;
        Ok(self.cursor)
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        let mut transaction = self.writer.connection.client()?.transaction()?;
        let gone = transaction.query_opt("SELECT sweep FROM gone LIMIT 1", &[])?;
        let Some(gone) = gone.map(|row| row.get::<_, i64>(0)) else {
            return Ok(false);
        };
        fence(&mut transaction, self.writer.epoch, &self.config)?;
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
        Ok(Box::new(PostgresReader::open(self.config.clone())?))
    }
}
