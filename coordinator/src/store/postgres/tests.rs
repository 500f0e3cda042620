use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tenfold_core::record::{Control, SweepRow};
use tenfold_core::trial::TrialState;

use super::*;
use crate::store::suite::{Place, store_suite};

#[path = "../../../tests/common/postgres.rs"]
#[expect(dead_code, unreachable_pub, reason = "the tests of processes use all of it")]
mod server;

use server::Postgres;

/// A database of its own, on a server that the tests running at the moment share.
struct Database {
    address: String,
    _server: Arc<Postgres>,
}

impl Database {
    fn new() -> Self {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let server = shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Postgres::start());
            *shared = Arc::downgrade(&server);
            server
        });
        let name = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        Self {
            address: server.database(&name),
            _server: server,
        }
    }

    fn store(&self) -> PostgresStore {
        PostgresStore::open(&self.address).unwrap()
    }

    fn client(&self) -> postgres::Client {
        postgres::Client::connect(&self.address, postgres::NoTls).unwrap()
    }
}

impl Place for Database {
    fn open(&mut self) -> Box<dyn Store> {
        Box::new(self.store())
    }
}

store_suite!(Database::new());

fn sweep(number: u64) -> Record {
    Record::Sweep(suite::sweep(number))
}

#[test]
fn a_second_coordinator_is_told_who_has_it_and_gets_it_afterwards() {
    let database = Database::new();
    let first = database.store();
    match PostgresStore::open(&database.address) {
        Err(StoreError::Held { holder, .. }) => {
            assert!(holder.contains(&std::process::id().to_string()), "{holder}");
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("two have it"),
    }
    drop(first);
    database.store();
}

#[test]
fn who_has_lost_the_lock_commits_nothing_more() {
    let database = Database::new();
    let mut old = database.store();
    old.commit(&[sweep(1)]).unwrap();
    // As when a network lets nothing through: the server has given up the connection, the old one does not know.
    database
        .client()
        .batch_execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        .unwrap();
    let mut new = loop {
        match PostgresStore::open(&database.address) {
            Ok(store) => break store,
            Err(StoreError::Held { .. }) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    assert!(old.commit(&[sweep(2)]).is_err());
    assert!(matches!(old.load(&mut |_| {}), Err(StoreError::TakenOver { .. })));
    let (rows, cursor) = suite::loaded(&mut new);
    assert_eq!(cursor, 1, "{rows:?}");
    assert_eq!(new.commit(&[sweep(2)]).unwrap(), 2);
}

#[test]
fn an_epoch_that_is_over_is_refused_on_a_connection_that_lives() {
    let database = Database::new();
    let mut old = database.store();
    old.commit(&[sweep(1)]).unwrap();
    let took = "UPDATE meta SET epoch = epoch + 1, holder = 'somebody'";
    database.client().batch_execute(took).unwrap();
    for refused in [old.commit(&[sweep(2)]).err(), old.load(&mut |_| {}).err()] {
        let refused = refused.unwrap();
        assert!(refused.is_fatal());
        assert!(refused.to_string().contains("somebody"), "{refused}");
    }
    let count = database
        .client()
        .query_one("SELECT count(*) FROM sweep", &[])
        .unwrap();
    assert_eq!(count.get::<_, i64>(0), 1);
}

#[test]
fn a_connection_that_breaks_is_made_again() {
    let database = Database::new();
    let mut store = database.store();
    let mut reader = store.reader().unwrap();
    store.commit(&[sweep(1)]).unwrap();
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database.client().batch_execute(others).unwrap();
    let error = store.commit(&[sweep(2)]).unwrap_err();
    assert!(!error.is_fatal() && !error.is_full(), "{error}");
    let began = std::time::Instant::now();
    while let Err(error) = store.load(&mut |_| {}) {
        assert!(!error.is_fatal(), "{error}");
        assert!(began.elapsed().as_secs() < 60, "{error}");
    }
    assert_eq!(store.commit(&[sweep(2)]).unwrap(), 2);
    // Its first call finds the connection broken.
    _ = reader.touched(suite::sweep(2).id, 0, 10);
    assert!(reader.touched(suite::sweep(2).id, 0, 10).unwrap().sweep.is_some());
}

#[test]
fn text_with_a_zero_character_is_kept_without_it() {
    let database = Database::new();
    let mut store = database.store();
    let mut row = suite::trial(1, 0, 0, TrialState::Failed);
    row.error = Some("a\0b".to_owned());
    let named = SweepRow {
        name: "c\0d".to_owned(),
        control: Control::Paused,
        ..suite::sweep(1)
    };
    store.commit(&[Record::Sweep(named), Record::Trial(row)]).unwrap();
    let stored = store.reader().unwrap().point(suite::sweep(1).id, 0, 0).unwrap();
    assert_eq!(stored[0].row.error.as_deref(), Some("a\u{2400}b"));
}

#[test]
fn a_newer_schema_is_refused() {
    let database = Database::new();
    drop(database.store());
    database
        .client()
        .batch_execute("UPDATE meta SET version = 99")
        .unwrap();
    let refused = PostgresStore::open(&database.address).err().unwrap();
    assert!(
        matches!(refused, StoreError::Version { found: 99, .. }),
        "{refused}"
    );
}

#[test]
fn an_address_that_will_not_do_says_why_and_no_password() {
    for (address, says) in [
        ("postgres://u:secret@127.0.0.1:1/d", "cannot be reached"),
        ("postgres://u:secret@127.0.0.1/d?sslmode=require", "TLS"),
        ("postgres://u:secret@127.0.0.1:port/d", "write postgres://"),
    ] {
        let refused = PostgresStore::open(address).err().unwrap().to_string();
        assert!(refused.contains(says), "{refused}");
        assert!(!refused.contains("secret"), "{refused}");
    }
}

#[test]
fn a_row_that_is_not_what_was_written_is_missed() {
    let database = Database::new();
    drop(database.store());
    let mut client = database.client();
    // A store that an earlier version began: its rows are still to be gone through.
    for (place, table) in (0i64..).zip(&crate::store::summing::TABLES) {
        let sql = "INSERT INTO summing (place, name) VALUES ($1, $2)";
        client.execute(sql, &[&place, &table.name]).unwrap();
    }
    let mut store = database.store();
    let fence = tenfold_types::Fence(3);
    let row = suite::trial(1, 0, 0, TrialState::Succeeded { fence, epochs: 4 });
    let counted = tenfold_core::record::CountedRow {
        sweep: row.id.sweep,
        trials: 1,
        choices: 0,
        extensions: 0,
    };
    // As an earlier version left it, at first.
    let records = [
        sweep(1),
        Record::Trial(row.clone()),
        Record::Epochs(suite::epochs(&row, 3, 1)),
        Record::Epochs(suite::epochs(&row, 3, 3)),
        Record::Counted(counted),
    ];
    store.commit(&records).unwrap();
    for table in &crate::store::summing::TABLES {
        let sql = format!("UPDATE {} SET sum = NULL", table.name);
        client.batch_execute(&sql).unwrap();
    }
    let (mut steps, mut reader) = (1, store.reader().unwrap());
    while store.tidy().unwrap() {
        steps += 1;
    }
    assert!(
        steps > crate::store::summing::TABLES.len(),
        "a part at a time: {steps}"
    );
    for table in &crate::store::summing::TABLES {
        let sql = format!("SELECT count(*) FROM {} WHERE sum IS NULL", table.name);
        assert_eq!(client.query_one(&sql, &[]).unwrap().get::<_, i64>(0), 0, "{sql}");
    }
    let blocks = |reader: &mut dyn Reader| {
        let found = reader.blocks(row.id.sweep, 0, 0, &[(0, fence)]).unwrap();
        found[0].len()
    };
    assert_eq!(blocks(reader.as_mut()), 2);
    client
        .batch_execute("UPDATE epochs SET columns = seconds WHERE first = 1")
        .unwrap();
    assert_eq!(blocks(reader.as_mut()), 1, "the block is as good as gone");
    client.batch_execute("UPDATE trial SET number = 5").unwrap();
    let error = reader.trials(row.id.sweep, 0, 0).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    let damaged = |store: &mut PostgresStore| {
        let (records, _) = suite::loaded(store);
        let of = |record: &&Record| matches!(record, Record::Damaged(damage) if damage.trial == row.id);
        records.iter().filter(of).count()
    };
    assert_eq!(damaged(&mut store), 1);
    store.commit(&[Record::Trial(row.clone())]).unwrap();
    assert_eq!(damaged(&mut store), 0);
    client.batch_execute("DELETE FROM trial").unwrap();
    assert_eq!(damaged(&mut store), 1, "one that is gone without a trace");
    client.batch_execute("DELETE FROM sweep").unwrap();
    let (records, _) = suite::loaded(&mut store);
    assert!(
        records
            .iter()
            .any(|record| matches!(record, Record::Refused(sweep) if sweep.number == 1)),
        "{records:?}"
    );
    client.batch_execute("UPDATE meta SET fence = fence + 1").unwrap();
    let error = store.load(&mut |_| {}).unwrap_err();
    assert!(
        error.is_fatal() && error.to_string().contains("counters"),
        "{error:?}"
    );
}
