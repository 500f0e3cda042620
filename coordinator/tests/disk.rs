//! The files of a store, done to while nobody expects it: deleted, cut, replaced, copied, locked, left behind.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, Process, SWEEP, json, signal, text};

fn export(cluster: &Cluster, selector: &str) -> String {
    cluster.command(&["results", selector, "--raw", "--format", "csv"])
}

fn store(cluster: &Cluster) -> PathBuf {
    cluster.folder.path().join("runs/tenfold.sqlite")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// A coordinator with some results, and what it exports.
fn with_results(trials: usize) -> (Cluster, FakeWorker, String) {
    let cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let mut worker = FakeWorker::register(&cluster, "abacus");
    worker.train(trials, |_| Fate::Succeeds);
    let exported = export(&cluster, "small");
    (cluster, worker, exported)
}

/// Waits until the coordinator ends by itself: its exit code, and what it said.
fn ended(cluster: &mut Cluster) -> (Option<i32>, String) {
    let mut coordinator = cluster.coordinator.take().unwrap();
    let status = cluster.until("the coordinator ends", || coordinator.0.try_wait().unwrap());
    let said = fs::read_to_string(cluster.folder.path().join("serve.log")).unwrap();
    (status.code(), said)
}

/// Starts a coordinator that does not come up: what it says.
fn refused(cluster: &mut Cluster, arguments: &[&str]) -> String {
    _ = fs::remove_file(cluster.folder.path().join("serve.log"));
    cluster.launch(arguments);
    let (code, said) = ended(cluster);
    assert_eq!(code, Some(4), "{said}");
    said
}

/// Has the coordinator commit something, whatever comes of it.
fn commit(cluster: &Cluster) {
    cluster.try_command(&["pause", "small"]);
}

#[test]
fn a_store_that_is_deleted_while_it_is_served_is_noticed_and_kept() {
    let rooms: [fn(&Path); 3] = [
        |store| fs::remove_file(store).unwrap(),
        |store| fs::remove_dir_all(store.parent().unwrap()).unwrap(),
        |store| fs::remove_file(beside(store, "-wal")).unwrap(),
    ];
    for (number, room) in rooms.into_iter().enumerate() {
        let (mut cluster, _worker, exported) = with_results(3);
        room(&store(&cluster));
        let paused = cluster.try_command(&["pause", "small"]);
        assert!(
            !paused.status.success(),
            "what is not kept is not acknowledged: {number}"
        );
        let (code, said) = ended(&mut cluster);
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains("deleted or moved away"), "{said}");
        let copy = said.split("all that was in it is in ").nth(1).unwrap();
        let copy = copy.split(',').next().unwrap().to_owned();
        let place = "sqlite:runs/again.sqlite";
        cluster.command(&["restore", &copy, "--store", place]);
        cluster.start.store = Some(place.to_owned());
        cluster.serve();
        assert_eq!(export(&cluster, "small"), exported, "{number}");
    }
}

#[test]
fn a_store_that_is_cut_or_replaced_while_it_is_served_is_noticed() {
    let (mut cluster, _worker, _) = with_results(3);
    let path = store(&cluster);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(8192).unwrap();
    commit(&cluster);
    let (code, said) = ended(&mut cluster);
    // Whoever looks first says so: the commit at the file, or the results log at what is in it.
    let noticed = ["was cut to 8192 bytes", "can no longer be trusted"];
    assert!(
        code == Some(4) && noticed.iter().any(|how| said.contains(how)),
        "{said}"
    );

    let (mut cluster, _worker, _) = with_results(3);
    let path = store(&cluster);
    fs::copy(&path, beside(&path, ".other")).unwrap();
    fs::rename(beside(&path, ".other"), &path).unwrap();
    commit(&cluster);
    let (code, said) = ended(&mut cluster);
    assert!(code == Some(4) && said.contains("is another file"), "{said}");
}

#[test]
fn a_store_without_its_log_opens_only_when_that_is_accepted() {
    let (mut cluster, _worker, exported) = with_results(3);
    let path = store(&cluster);
    // A plain copy of the file, while it is served.
    let copy = beside(&path, ".copy");
    fs::copy(&path, &copy).unwrap();
    cluster.kill();
    let log = beside(&path, "-wal");
    let whole_log = fs::read(&log).unwrap();
    let whole_file = fs::read(&path).unwrap();
    assert!(whole_log.len() > 32);

    cluster.start.store = Some(format!("sqlite:{}", copy.display()));
    let said = refused(&mut cluster, &[]);
    assert!(said.contains("-wal") && said.contains("--accept-loss"), "{said}");

    cluster.start.store = None;
    fs::remove_file(&log).unwrap();
    let said = refused(&mut cluster, &[]);
    assert!(said.contains("-wal") && said.contains("--accept-loss"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), whole_file, "it is left as it was");

    // The log of another store.
    let (other, _worker, _) = with_results(1);
    fs::copy(beside(&store(&other), "-wal"), &log).unwrap();
    let said = refused(&mut cluster, &[]);
    assert!(said.contains("the log of another store"), "{said}");

    // With its own it is whole.
    fs::write(&log, &whole_log).unwrap();
    _ = fs::remove_file(beside(&path, "-shm"));
    cluster.serve();
    assert_eq!(export(&cluster, "small"), exported);
    cluster.kill();

    fs::remove_file(&log).unwrap();
    fs::write(&path, &whole_file).unwrap();
    cluster.serve_with(&["--accept-loss"]);
    let sweeps = json(&cluster.command(&["list", "--json"]));
    assert!(sweeps.len() <= 1, "an older store, which was accepted");
    cluster.kill();
    cluster.serve();
}

#[test]
fn an_older_copy_of_a_store_says_what_is_missing() {
    let (mut cluster, mut worker, before) = with_results(3);
    let stop = |cluster: &mut Cluster| {
        let coordinator = cluster.coordinator.as_mut().unwrap();
        signal(coordinator.0.id(), "-TERM");
        coordinator.0.wait().unwrap();
    };
    stop(&mut cluster);
    let path = store(&cluster);
    let older = fs::read(&path).unwrap();
    cluster.serve();
    worker.register_again("abacus");
    worker.train(2, |_| Fate::Succeeds);
    stop(&mut cluster);
    fs::write(&path, &older).unwrap();
    _ = fs::remove_file(beside(&path, "-wal"));
    let said = refused(&mut cluster, &[]);
    assert!(said.contains("commits are missing"), "{said}");
    cluster.serve_with(&["--accept-loss"]);
    assert_eq!(export(&cluster, "small"), before);
    cluster.kill();
    cluster.serve();
}

#[test]
fn another_name_or_no_lock_file_lets_no_second_coordinator_in() {
    let (cluster, _worker, _) = with_results(1);
    let path = store(&cluster);
    let second = |store: &Path| {
        let mut second = Cluster::stopped(tempfile::tempdir().unwrap(), cluster.start.clone());
        second.start.store = Some(format!("sqlite:{}", store.display()));
        refused(&mut second, &[])
    };
    fs::remove_file(beside(&path, ".lock")).unwrap();
    let said = second(&path);
    assert!(said.contains("in use by another coordinator"), "{said}");
    let link = cluster.folder.path().join("another name");
    fs::hard_link(&path, &link).unwrap();
    let said = second(&link);
    assert!(said.contains("in use by another coordinator"), "{said}");
    // Readers come and go, and the lock stays.
    export(&cluster, "small");
    cluster.command(&[
        "backup",
        &cluster.folder.path().join("copy").display().to_string(),
    ]);
    let said = second(&link);
    assert!(said.contains("in use by another coordinator"), "{said}");
}

#[test]
fn what_a_killed_backup_leaves_is_cleared_at_the_next_start() {
    let (mut cluster, _worker, exported) = with_results(8);
    let left = cluster.folder.path().join("runs/.backup-killed");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("store.sqlite"), "half of it").unwrap();
    // One that is being made is locked.
    let made = cluster.folder.path().join("runs/.backup-made");
    fs::create_dir(&made).unwrap();
    let lock = fs::File::open(&made).unwrap();
    lock.lock().unwrap();
    cluster.kill();
    cluster.serve();
    assert!(!left.exists() && made.exists());
    let file = cluster.folder.path().join("a backup");
    let file = file.to_str().unwrap();
    cluster.command(&["backup", file]);
    let whole = fs::read(file).unwrap();
    // One number of one curve.
    let damaged = |what: &str| {
        let connection = rusqlite::Connection::open(file).unwrap();
        connection.execute(what, []).unwrap();
    };
    damaged("UPDATE epochs SET columns = zeroblob(length(columns)) WHERE point = 1 AND repetition = 0");
    let restore = |store: &str, more: &[&str]| {
        let place = format!("sqlite:{store}");
        let arguments = [&["restore", file, "--store", &place], more].concat();
        cluster.try_command(&arguments)
    };
    let said = restore("damaged.sqlite", &[]);
    assert_eq!(said.status.code(), Some(4));
    let said = text(&said.stderr);
    assert!(said.contains("0.1.0") && said.contains("--accept-loss"), "{said}");
    assert!(!cluster.folder.path().join("damaged.sqlite").exists());
    assert!(restore("damaged.sqlite", &["--accept-loss"]).status.success());
    // A page of it.
    let mut torn = whole.clone();
    torn[8192..16384].fill(0xff);
    fs::write(file, torn).unwrap();
    let said = restore("torn.sqlite", &["--accept-loss"]);
    assert_eq!(said.status.code(), Some(4), "{}", text(&said.stderr));
    fs::write(file, whole).unwrap();
    assert!(restore("whole.sqlite", &[]).status.success());

    // The damaged trial is FAILED and says so; everything else is shown, and it can be trained again.
    cluster.kill();
    cluster.start.store = Some("sqlite:damaged.sqlite".to_owned());
    cluster.serve();
    let rest = export(&cluster, "small");
    assert!(rest.lines().count() < exported.lines().count());
    assert!(rest.lines().all(|line| exported.contains(line)), "{rest}");
    let shown = cluster.command(&["show", "small"]);
    assert!(shown.contains("damaged on disk"), "{shown}");
    cluster.command(&["retry", "small", "--failed"]);
    let mut worker = FakeWorker::register(&cluster, "abacus");
    worker.train(1, |_| Fate::Succeeds);
    assert_eq!(export(&cluster, "small"), exported);
}

#[test]
fn a_results_log_that_is_removed_is_written_again() {
    let (mut cluster, mut worker, _) = with_results(3);
    let runs = cluster.folder.path().join("runs");
    let log = |runs: &Path| {
        let folders = fs::read_dir(runs).unwrap().flatten().map(|entry| entry.path());
        let mut logs = folders.map(|folder| folder.join("aggregate.jsonl"));
        logs.find(|log| log.exists())
    };
    let there = cluster.until("there is a log", || log(&runs));
    fs::remove_dir_all(there.parent().unwrap()).unwrap();
    worker.train(5, |_| Fate::Succeeds);
    // The lines of complete groups; how many lines of progress there are between them depends on when it was written.
    let is_over = |path: &Path| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let last = text.lines().last().unwrap_or_default();
        let curves = text.lines().filter(|line| line.contains("\"kind\":\"epoch\""));
        let mut curves: Vec<String> = curves.map(str::to_owned).collect();
        curves.sort();
        last.contains("\"succeeded\":8").then_some(curves)
    };
    let whole = cluster.until("the log is written again", || is_over(&there));
    assert_eq!(whole.len(), 4 * 3, "three epochs of four points");
    fs::remove_file(&there).unwrap();
    cluster.kill();
    cluster.serve();
    let again = cluster.until("the log is written again", || is_over(&there));
    assert_eq!(again, whole);
    // A new folder gets it too.
    cluster.kill();
    cluster.serve_with(&["--results", "elsewhere"]);
    let elsewhere = cluster.folder.path().join("elsewhere");
    let found = cluster.until("there is a log", || {
        elsewhere.exists().then(|| log(&elsewhere)).flatten()
    });
    assert_eq!(cluster.until("it is whole", || is_over(&found)), whole);
}

#[test]
fn a_coordinator_ends_in_order_and_its_store_is_whole_by_itself() {
    let (mut cluster, _worker, exported) = with_results(3);
    let mut coordinator = cluster.coordinator.take().unwrap();
    signal(coordinator.0.id(), "-TERM");
    assert!(coordinator.0.wait().unwrap().success());
    let copy = cluster.folder.path().join("copy.sqlite");
    fs::copy(store(&cluster), &copy).unwrap();
    cluster.start.store = Some(format!("sqlite:{}", copy.display()));
    cluster.serve();
    assert_eq!(export(&cluster, "small"), exported);
    drop::<Process>(cluster.coordinator.take().unwrap());
}

#[test]
fn damaged_structure_that_a_reader_finds_ends_the_coordinator() {
    let (mut cluster, _worker, _) = with_results(3);
    let mut coordinator = cluster.coordinator.take().unwrap();
    signal(coordinator.0.id(), "-TERM");
    coordinator.0.wait().unwrap();
    let path = store(&cluster);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'epochs'";
    let root: i64 = connection.query_row(root, [], |row| row.get(0)).unwrap();
    let root = root as usize;
    drop(connection);
    let mut bytes = fs::read(&path).unwrap();
    bytes[(root - 1) * 8192..root * 8192].fill(0xff);
    fs::write(&path, bytes).unwrap();
    // No trial is held, so that it starts without reading epochs; the results log is the first that does.
    cluster.launch(&[]);
    let (code, said) = ended(&mut cluster);
    assert!(
        code == Some(4) && said.contains("can no longer be trusted"),
        "{said}"
    );
}

/// A sweep of a single trial, so that its first commit says the same number of rows as its last.
const SINGLE: &str = r#"
name = "single"
epochs = 2
repetitions = 1
[settings]
architecture = "perceptron-5"
[axes]
learning_rate = [0.1]
"#;

#[test]
fn a_lost_trial_of_a_sweep_that_was_deleted_and_submitted_again_is_missed() {
    let mut cluster = Cluster::patient();
    let file = cluster.write("single.toml", SINGLE);
    let mut worker = FakeWorker::register(&cluster, "abacus");
    for time in 0..2 {
        if time > 0 {
            cluster.command(&["delete", "single"]);
        }
        cluster.command(&["submit", &file]);
        worker.train(1, |_| Fate::Succeeds);
        cluster.until_over();
    }
    cluster.stop();
    let connection = rusqlite::Connection::open(store(&cluster)).unwrap();
    // Of the sweep that is there; rows of the deleted one may still be.
    let lost = "DELETE FROM trial WHERE sweep = (SELECT max(number) FROM sweep)";
    assert_eq!(connection.execute(lost, []).unwrap(), 1);
    drop(connection);
    cluster.serve();
    // Damage that loading finds is recorded in the first turn.
    cluster.until("the trial is missed", || {
        let shown = cluster.command(&["show", "single"]);
        shown.contains("its row is lost").then_some(())
    });
}
