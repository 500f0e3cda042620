//! What only a file can do: be locked, be foreign, be too new, fill a disk, outlive a kill.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tenfold_core::record::Record;
use tenfold_core::trial::TrialState;
use tenfold_types::TrialId;

use super::read::{of_attempt, of_commit, trial_of_commit};
use super::*;
use crate::store::Page;
use crate::store::suite::{Place, epochs, loaded, store_suite, sweep, trial};

struct InFile(tempfile::TempDir);

impl Place for InFile {
    fn open(&mut self) -> Box<dyn Store> {
        // A process that another test starts holds every lock of this one from its fork to its exec.
        for _ in 0..500 {
            match SqliteStore::open(&path(&self.0), false) {
                Err(StoreError::Locked { .. }) => std::thread::sleep(std::time::Duration::from_millis(10)),
                opened => return Box::new(opened.unwrap()),
            }
        }
        panic!("the store stays locked");
    }
}

fn path(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("a folder/tenfold.sqlite")
}

store_suite!(InFile(tempfile::tempdir().unwrap()));

#[test]
fn a_second_coordinator_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let first = SqliteStore::open(&path(&folder), false).unwrap();
    let Err(error) = SqliteStore::open(&path(&folder), false) else {
        panic!("two have it")
    };
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(
        error.to_string().contains(&std::process::id().to_string()),
        "it names the first: {error}"
    );
    drop(first);
    SqliteStore::open(&path(&folder), false).unwrap();
}

#[test]
fn another_name_of_the_file_is_the_same_store() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("a link");
    let first = SqliteStore::open(&path(&folder), false).unwrap();
    std::os::unix::fs::symlink(path(&folder), &link).unwrap();
    assert!(matches!(
        SqliteStore::open(&link, false),
        Err(StoreError::Locked { .. })
    ));
    drop(first);
    SqliteStore::open(&link, false).unwrap();
    // Names that mean something to SQLite are names of files like any other.
    for name in [":memory:", "file:x?mode=memory"] {
        let store = SqliteStore::open(&folder.path().join(name), false).unwrap();
        store.reader().unwrap();
        assert!(folder.path().join(name).exists());
    }
}

#[test]
fn an_empty_file_becomes_a_store_that_syncs_every_commit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("empty");
    std::fs::write(&file, "").unwrap();
    let store = SqliteStore::open(&file, false).unwrap();
    let pragma = |name: &str| -> String {
        let value = store
            .connection
            .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
        format!("{:?}", value.unwrap())
    };
    assert_eq!(pragma("journal_mode"), r#"Text("wal")"#);
    assert_eq!(pragma("synchronous"), "Integer(2)");
    assert_eq!(pragma("user_version"), format!("Integer({})", schema::VERSION));
    assert_eq!(
        pragma("application_id"),
        format!("Integer({})", schema::APPLICATION)
    );
}

/// A sweep with a trial that has succeeded, whose epochs are in two blocks.
fn with_a_result(store: &mut SqliteStore) -> tenfold_core::record::TrialRow {
    let state = TrialState::Succeeded {
        fence: tenfold_types::Fence(3),
        epochs: 4,
    };
    let row = trial(1, 0, 0, state);
    let counted = tenfold_core::record::CountedRow {
        sweep: row.id.sweep,
        trials: 1,
        choices: 0,
        extensions: 0,
    };
    let records = [
        Record::Sweep(sweep(1)),
        Record::Trial(row.clone()),
        Record::Epochs(epochs(&row, 3, 1)),
        Record::Epochs(epochs(&row, 3, 3)),
        Record::Counted(counted),
    ];
    store.commit(&records).unwrap();
    row
}

#[test]
fn a_row_that_is_not_what_was_written_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(&path(&folder), false).unwrap();
    let row = with_a_result(&mut store);
    while store.tidy().unwrap() {}
    let (sweep, mut reader) = (row.id.sweep, store.reader().unwrap());
    let attempts = [(0, tenfold_types::Fence(3))];
    assert_eq!(reader.blocks(sweep, 0, 0, &attempts).unwrap()[0].len(), 2);
    let change =
        |store: &SqliteStore, sql: &str| assert_eq!(store.connection.execute(sql, []).unwrap(), 1, "{sql}");
    change(
        &store,
        "UPDATE epochs SET columns = zeroblob(length(columns)) WHERE first = 1",
    );
    assert_eq!(
        reader.blocks(sweep, 0, 0, &attempts).unwrap()[0].len(),
        1,
        "the block is as good as gone"
    );
    let error = reader.changes(sweep, 0, Page::rows(10)).unwrap_err();
    assert!(
        matches!(&error, StoreError::Damaged { trials, .. } if trials[0].trial == row.id),
        "{error:?}"
    );
    change(&store, "UPDATE trial SET number = 5");
    let error = reader.trials(sweep, 0, 0).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    let damaged = |records: &[Record]| {
        let of = |record: &&Record| matches!(record, Record::Damaged(damage) if damage.trial == row.id);
        records.iter().filter(of).count()
    };
    let (records, _) = loaded(&mut store);
    assert_eq!(damaged(&records), 1, "{records:?}");
    let (records, _) = loaded(&mut store);
    assert_eq!(
        damaged(&records),
        1,
        "and as long as nothing is done about it: {records:?}"
    );
    // A row that is gone without a trace is missed as well.
    store.commit(&[Record::Trial(row.clone())]).unwrap();
    let (records, _) = loaded(&mut store);
    assert_eq!(damaged(&records), 0, "{records:?}");
    change(&store, "DELETE FROM trial");
    let (records, _) = loaded(&mut store);
    assert_eq!(damaged(&records), 1, "{records:?}");
    // Without a checksum it was written by an earlier version; but none is left of these.
    change(&store, "UPDATE sweep SET sum = NULL, finished_at = 5");
    let (records, _) = loaded(&mut store);
    assert!(
        records
            .iter()
            .any(|record| matches!(record, Record::Refused(sweep) if sweep.number == 1)),
        "{records:?}"
    );
    change(&store, "DELETE FROM sweep");
    let (records, _) = loaded(&mut store);
    assert!(
        records.iter().any(
            |record| matches!(record, Record::Refused(sweep) if sweep.number == 1 && sweep.id.is_none())
        ),
        "{records:?}"
    );
    change(&store, "UPDATE meta SET fence = fence + 1");
    let error = store.load(&mut |_| {}).unwrap_err();
    assert!(
        error.is_fatal() && error.to_string().contains("counters"),
        "{error:?}"
    );
}

#[test]
fn rows_without_checksums_get_them_a_part_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(&path(&folder), false).unwrap();
    let first = with_a_result(&mut store);
    let many = 2 * crate::store::summing::ROWS as u64 + 10;
    let mut records: Vec<Record> = (1..many)
        .map(|index| Record::Trial(trial(1, index, 0, TrialState::Failed)))
        .collect();
    records.push(Record::Counted(tenfold_core::record::CountedRow {
        sweep: first.id.sweep,
        trials: many,
        choices: 0,
        extensions: 0,
    }));
    store.commit(&records).unwrap();
    // As an earlier version left it.
    for table in &crate::store::summing::TABLES {
        let sql = format!("UPDATE {} SET sum = NULL", table.name);
        store.connection.execute(&sql, []).unwrap();
    }
    let tables = crate::store::summing::TABLES.iter().enumerate();
    store.connection.execute("DELETE FROM summing", []).unwrap();
    for (place, table) in tables {
        let sql = "INSERT INTO summing (place, name) VALUES (?1, ?2)";
        store
            .connection
            .execute(sql, rusqlite::params![place as i64, table.name])
            .unwrap();
    }
    drop(store);
    let without = |store: &SqliteStore| -> i64 {
        let count = |table: &crate::store::summing::Table| -> i64 {
            let sql = format!("SELECT count(*) FROM {} WHERE sum IS NULL", table.name);
            store.connection.query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        crate::store::summing::TABLES.iter().map(count).sum()
    };
    let mut steps = 0;
    loop {
        // Each step is taken by another process, as if the one before had been killed.
        let mut store = SqliteStore::open(&path(&folder), false).unwrap();
        let before = without(&store);
        loaded(&mut store);
        let more = store.tidy().unwrap();
        assert!(before - without(&store) <= crate::store::summing::ROWS as i64);
        steps += 1;
        assert!(steps < 40, "it never ends");
        if !more {
            assert_eq!(without(&store), 0);
            let sql = "UPDATE trial SET attempts = attempts + 1, sum = NULL WHERE point = 0";
            store.connection.execute(sql, []).unwrap();
            let (records, _) = loaded(&mut store);
            assert!(
                records
                    .iter()
                    .any(|record| matches!(record, Record::Damaged(damage) if damage.trial == first.id))
            );
            break;
        }
    }
    assert!(steps > 3);
}

#[test]
fn a_page_costs_what_it_returns() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&path(&folder), false).unwrap();
    let plan = |sql: &str| -> String {
        let mut statement = store
            .connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let lines = statement.raw_query().mapped(|row| row.get::<_, String>("detail"));
        lines.map(|line| line.unwrap() + "\n").collect()
    };
    for sql in [of_commit(), trial_of_commit()] {
        let plan = plan(&sql);
        assert!(
            plan.contains("PRIMARY KEY (sweep=? AND stage=? AND point=? AND repetition=?)"),
            "{plan}"
        );
        assert!(!plan.contains("SCAN") && !plan.contains("B-TREE"), "{plan}");
    }
    let plan = plan(&of_attempt());
    assert!(
        plan.contains("(sweep=? AND stage=? AND point=? AND repetition=? AND fence=?)"),
        "{plan}"
    );
    assert!(!plan.contains("B-TREE"), "{plan}");
}

#[test]
fn what_is_no_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(
        &text,
        "these are my notes, and they are long enough to be no empty file",
    )
    .unwrap();
    assert!(matches!(
        SqliteStore::open(&text, false),
        Err(StoreError::Foreign { .. })
    ));
    assert!(
        std::fs::read_to_string(&text)
            .unwrap()
            .starts_with("these are my notes")
    );
    let other = folder.path().join("other.sqlite");
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE mine (a)")
        .unwrap();
    assert!(matches!(
        SqliteStore::open(&other, false),
        Err(StoreError::Foreign { .. })
    ));
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(&path(&folder), false).unwrap());
    let connection = Connection::open(path(&folder)).unwrap();
    connection
        .pragma_update(None, "user_version", schema::VERSION + 1)
        .unwrap();
    drop(connection);
    assert!(matches!(
        SqliteStore::open(&path(&folder), false),
        Err(StoreError::Version { .. })
    ));
}

/// Commits until the store is full; what was acknowledged is there, and it goes on when there is room.
fn fill(store: &mut SqliteStore, make_room: impl FnOnce(&mut SqliteStore)) {
    store.commit(&[Record::Sweep(sweep(1))]).unwrap();
    let mut acknowledged = 0;
    let error = loop {
        let row = trial(1, acknowledged, 0, TrialState::Failed);
        let mut records = vec![Record::Trial(row.clone())];
        records.extend((0..20).map(|at| Record::Epochs(epochs(&row, 3, 1 + 2 * at))));
        match store.commit(&records) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 100_000, "it never fills");
    };
    assert!(error.is_full(), "{error:?}");
    let trials = |store: &mut SqliteStore| {
        loaded(store)
            .0
            .iter()
            .filter(|record| matches!(record, Record::Trial(_)))
            .count() as u64
    };
    assert_eq!(
        trials(store),
        acknowledged,
        "reads go on, and nothing of the failed commit is there"
    );
    make_room(store);
    store
        .commit(&[Record::Trial(trial(1, acknowledged, 0, TrialState::Failed))])
        .unwrap();
    assert_eq!(trials(store), acknowledged + 1);
    let check: String = store
        .connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn a_full_store_refuses_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(&path(&folder), false).unwrap();
    store
        .connection
        .pragma_update(None, "max_page_count", 100)
        .unwrap();
    fill(&mut store, |store| {
        store
            .connection
            .pragma_update(None, "max_page_count", 10_000)
            .unwrap()
    });
}

/// A folder that is a file system of its own, of so many kilobytes. Needs root; elsewhere the test says so and ends.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(kilobytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"])
            .arg(folder.path())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount(1500) else {
        eprintln!("not run: mounting a tmpfs needs root");
        return;
    };
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![0; 600 * 1024]).unwrap();
    let mut store = SqliteStore::open(&path(&disk.0), false).unwrap();
    fill(&mut store, |_| std::fs::remove_file(&ballast).unwrap());
}

const CHILD: &str = "TENFOLD_TEST_COMMITS";

/// Run by the tests below as a process of its own: commits until one fails, and says each one that is acknowledged.
#[test]
fn child_that_commits() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let mut store = SqliteStore::open(Path::new(&path), false).unwrap();
    store.commit(&[Record::Sweep(sweep(1))]).unwrap();
    // Bounded: a store that never syncs never sees a sync fail.
    for index in 0..1_000 {
        match store.commit(&[Record::Trial(trial(1, index, 0, TrialState::Failed))]) {
            Ok(_) => println!("acknowledged {index}"),
            Err(error) => {
                println!("refused, fatal: {}", error.is_fatal());
                return;
            }
        }
    }
}

/// Starts it on this store, by way of another program if one is given.
fn committing(by: &[&str], path: &Path) -> Child {
    let binary = std::env::current_exe().unwrap();
    let line: Vec<&OsStr> = by
        .iter()
        .map(OsStr::new)
        .chain([binary.as_os_str()])
        .chain(
            [
                "--exact",
                "store::sqlite::tests::child_that_commits",
                "--nocapture",
            ]
            .map(OsStr::new),
        )
        .collect();
    Command::new(line[0])
        .args(&line[1..])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
}

/// Trials in the store of a process that is gone.
fn trials_left(path: &Path) -> usize {
    let (records, _) = loaded(&mut SqliteStore::open(path, false).unwrap());
    records
        .iter()
        .filter(|record| matches!(record, Record::Trial(_)))
        .count()
}

#[test]
fn what_is_acknowledged_outlives_a_kill() {
    for commits in [1, 7, 40] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = committing(&[], &path(&folder));
        let said = lines(&mut child)
            .filter(|line| line.contains("acknowledged "))
            .take(commits)
            .count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(said, commits);
        let there = trials_left(&path(&folder));
        assert!(
            there >= commits,
            "{commits} commits were acknowledged, {there} are there"
        );
    }
}

#[test]
fn a_sync_that_fails_is_fatal() {
    let traces = Command::new("strace").args(["-o", "/dev/null", "true"]).status();
    if !traces.is_ok_and(|status| status.success()) {
        eprintln!("not run: strace, which makes a sync fail, is missing or may not trace");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Far behind those of a new store, whose schema takes some for each of its steps.
    let inject = "inject=fsync,fdatasync:error=EIO:when=100";
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject];
    let mut child = committing(&strace, &path(&folder));
    let said: Vec<String> = lines(&mut child).collect();
    child.wait().unwrap();
    let acknowledged = said.iter().filter(|line| line.contains("acknowledged ")).count();
    assert!((1..100).contains(&acknowledged), "every commit syncs: {said:?}");
    assert!(
        said.iter().any(|line| line.contains("refused, fatal: true")),
        "{said:?}"
    );
    assert!(trials_left(&path(&folder)) >= acknowledged);
}

/// Every schema that was ever released, as a coordinator of that time left it when it was killed: one sweep that is
/// over, one in the middle of its second trial.
const RELEASED: [&str; 5] = [
    include_str!("schema/released/1.sql"),
    include_str!("schema/released/2.sql"),
    include_str!("schema/released/3.sql"),
    include_str!("schema/released/4.sql"),
    include_str!("schema/released/5.sql"),
];

#[test]
fn stores_of_every_released_schema_are_brought_up_to_date() {
    for (at, dump) in RELEASED.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("old.sqlite");
        let old = Connection::open(&file).unwrap();
        if at > 0 {
            // Since the second a store is laid out so; what rows say does not tell.
            old.execute_batch("PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL")
                .unwrap();
        }
        old.execute_batch(dump).unwrap();
        old.pragma_update(None, "user_version", at as i64 + 1).unwrap();
        old.pragma_update(None, "application_id", schema::APPLICATION)
            .unwrap();
        drop(old);
        let mut store = SqliteStore::open(&file, false).unwrap();
        let pragma = |store: &SqliteStore, name: &str| -> i64 {
            store
                .connection
                .pragma_query_value(None, name, |row| row.get(0))
                .unwrap()
        };
        assert_eq!(pragma(&store, "user_version"), schema::VERSION);
        assert_eq!(
            (pragma(&store, "page_size"), pragma(&store, "auto_vacuum")),
            (8192, 2)
        );
        let (records, cursor) = loaded(&mut store);
        let mut state = tenfold_core::State::new(tenfold_core::Settings::default());
        records.iter().for_each(|record| state.evolve(record));
        state.check_invariants();
        assert_eq!(state.leases().count(), 1);
        let lease = state.leases().next().unwrap().row.clone();
        assert_eq!(lease.provenance.host, "one");
        assert!(!lease.provenance.device.is_empty() && lease.provenance.threads == 1);
        let mut reader = store.reader().unwrap();
        let done = state
            .newest_sweeps()
            .find(|sweep| sweep.row().name == "schema")
            .unwrap();
        assert_eq!(done.counts().succeeded + done.counts().diverged, 8);
        let mut seen = 0;
        for index in 0..4 {
            for trial in reader.point(done.row().id, 0, index).unwrap() {
                let epochs: u32 = trial.blocks.iter().map(|block| block.epochs).sum();
                assert_eq!(epochs, trial.row.state.accepted_epochs());
                assert!(trial.row.accepted_at.is_some());
                let attempts = reader.attempts(trial.row.id).unwrap();
                assert_eq!(attempts.len(), 1, "{attempts:?}");
                assert_eq!(attempts[0].ended_at, trial.row.accepted_at);
                assert_eq!(attempts[0].provenance.host, "one");
                seen += 1;
            }
        }
        assert_eq!(seen, 8);
        let changes = reader.changes(done.row().id, 0, Page::rows(1000)).unwrap();
        assert!(changes.end && changes.cursor == cursor);
        assert_eq!(
            changes
                .rows
                .iter()
                .filter(|change| matches!(change, crate::store::Change::Trial(_)))
                .count(),
            8,
            "a watcher of all history sees each trial"
        );
        let (running, attempt) = lease.trials[0];
        let attempts = reader
            .attempts(TrialId {
                sweep: lease.sweep,
                key: running,
            })
            .unwrap();
        assert_eq!((attempts.len(), attempts[0].number), (1, attempt));
        assert_eq!((attempts[0].ended_at, attempts[0].fence), (None, lease.fence));
        drop(reader);
        drop(store);
        // Once it is up to date it is opened as it is.
        assert_eq!(
            loaded(&mut SqliteStore::open(&file, false).unwrap()),
            (records, cursor)
        );
    }
}

#[test]
fn a_backup_is_a_store_and_commits_go_on_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(&path(&folder), false).unwrap();
    let row = trial(1, 0, 0, TrialState::Failed);
    store
        .commit(&[Record::Sweep(sweep(1)), Record::Trial(row.clone())])
        .unwrap();
    let copy = folder.path().join("it's a copy.sqlite");
    let mut reader = store.reader().unwrap();
    reader.backup(&copy).unwrap();
    assert!(reader.backup(&copy).is_err(), "nothing is overwritten");
    store.commit(&[Record::Epochs(epochs(&row, 3, 1))]).unwrap();
    let mut second = SqliteStore::open(&copy, false).unwrap();
    let (records, cursor) = loaded(&mut second);
    assert_eq!((records.len(), cursor), (3, 1));
    second.commit(&[Record::Trial(row)]).unwrap();
}

#[test]
fn a_deleted_sweep_gives_its_room_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(&path(&folder), false).unwrap();
    store.commit(&[Record::Sweep(sweep(1))]).unwrap();
    for index in 0..40 {
        let row = trial(1, index, 0, TrialState::Failed);
        let records: Vec<Record> = (0..1_000)
            .map(|at| Record::Epochs(epochs(&row, 3, 1 + 2 * at)))
            .collect();
        store.commit(&records).unwrap();
    }
    let pages = |store: &SqliteStore| -> i64 {
        store
            .connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap()
    };
    let before = pages(&store);
    store.commit(&[Record::SweepGone(sweep(1).id)]).unwrap();
    while store.tidy().unwrap() {}
    let after = pages(&store);
    assert!(
        before > 250 && after < before / 2 + 500,
        "{before} pages became {after}"
    );
    let rows: i64 = store
        .connection
        .query_row(
            "SELECT (SELECT count(*) FROM epochs) + (SELECT count(*) FROM change)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(rows, 0);
}
