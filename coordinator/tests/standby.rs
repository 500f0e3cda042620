//! Two coordinators on one PostgreSQL database, and a database that comes and goes: real processes, real kills, and in the
//! end the results of an undisturbed run.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::postgres::Postgres;
use common::{Cluster, PATIENCE, Process, fake_worker_in, free_port, tenfold, text};

const SWEEP: &str = r#"
name = "standby"
epochs = 10
repetitions = 5
[settings]
architecture = "perceptron-10"
[axes]
learning_rate = [1e-3, 1e-2, 1e-1, 1.0]
weight_sharing = [false, true]
"#;
const TRIALS: u64 = 40;
const EPOCH_MS: u32 = 20;

/// One of the coordinators, in a folder of its own.
struct Coordinator {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Process>,
}

impl Coordinator {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            port: free_port(),
            process: None,
        }
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn start(&mut self, store: &str) {
        let file = |name| {
            fs::File::options()
                .create(true)
                .append(true)
                .open(self.folder.path().join(name))
                .unwrap()
        };
        let child = tenfold()
            .current_dir(self.folder.path())
            .args([
                "serve",
                "--lease-term",
                "2",
                "--grace",
                "2",
                "--backoff",
                "0",
                "--listen",
            ])
            .arg(format!("127.0.0.1:{}", self.port))
            .env("TENFOLD_STORE", store)
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .unwrap();
        self.process = Some(Process(child));
    }

    fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    fn says(&self, what: &str) -> bool {
        fs::read_to_string(self.folder.path().join("out")).is_ok_and(|out| out.contains(what))
    }

    fn serves(&self) -> bool {
        run(&self.address(), &["list"]).is_some()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("err")).unwrap_or_default()
    }
}

fn run(coordinator: &str, arguments: &[&str]) -> Option<String> {
    let output = tenfold()
        .args(["--coordinator", coordinator])
        .args(arguments)
        .output()
        .unwrap();
    output.status.success().then(|| text(&output.stdout))
}

fn until(what: &str, logs: &[&Coordinator], mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        if began.elapsed() > PATIENCE {
            let logs: String = logs.iter().map(|of| of.log()).collect();
            panic!("waited too long until {what}\n{logs}");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn submit(folder: &tempfile::TempDir, coordinator: &str) {
    let file = folder.path().join("sweep.toml");
    fs::write(&file, SWEEP).unwrap();
    run(coordinator, &["submit", file.to_str().unwrap()]).unwrap();
}

/// How many trials have succeeded; none while nobody answers.
fn succeeded(coordinator: &str) -> u64 {
    let listed = run(coordinator, &["list", "--json"]).unwrap_or_default();
    let sweep = listed
        .lines()
        .next()
        .map(|line| serde_json::from_str(line).unwrap());
    sweep.map_or(0, |sweep: serde_json::Value| {
        sweep["trials"]["succeeded"].as_u64().unwrap()
    })
}

fn export(coordinator: &str) -> String {
    run(coordinator, &["results", "last", "--raw", "--format", "csv"]).unwrap()
}

/// The results of a run that nothing disturbs, in an SQLite store.
fn undisturbed() -> String {
    let cluster = Cluster::start();
    submit(&cluster.folder, &cluster.address());
    let _worker = cluster.fake_worker("fake", &cluster.address(), 2, EPOCH_MS);
    cluster.until("the undisturbed sweep is over", || {
        (succeeded(&cluster.address()) == TRIALS).then_some(())
    });
    export(&cluster.address())
}

#[test]
fn the_one_that_stands_by_takes_over_and_everybody_follows() {
    let server = Postgres::start();
    let store = server.database("sweeps");
    let (mut first, mut second) = (Coordinator::new(), Coordinator::new());
    let both = format!("{},{}", first.address(), second.address());
    first.start(&store);
    until("the first serves", &[&first], || first.serves());
    second.start(&store);
    until("the second stands by", &[&second], || second.says("standing by"));
    assert!(second.says("process"), "it says who has the store");
    assert!(!second.serves());
    submit(&first.folder, &both);
    let _worker = fake_worker_in(first.folder.path(), "fake", &both, 2, EPOCH_MS);
    let tail = tenfold()
        .args(["--coordinator", &both, "tail", "last", "--follow"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();

    until("some trials are over", &[&first], || succeeded(&both) > 4);
    first.kill();
    until("the second has taken over", &[&second], || second.serves());
    let before = succeeded(&both);
    until("trials go on", &[&second], || succeeded(&both) > before + 4);

    // Back again, it stands by for the other; which is paused, loses its connection, and wakes up when all is over.
    first.start(&store);
    until("the first stands by", &[&first], || first.says("standing by"));
    let paused = second
        .process
        .as_ref()
        .map(|process| process.0.id().to_string())
        .unwrap();
    assert!(
        Command::new("kill")
            .args(["-STOP", &paused])
            .status()
            .unwrap()
            .success()
    );
    let mut client = postgres::Client::connect(&store, postgres::NoTls).unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    client.batch_execute(cut).unwrap();
    until("the first has taken over", &[&first], || {
        fs::read_to_string(first.folder.path().join("out"))
            .unwrap()
            .matches("serving on")
            .count()
            == 2
    });
    assert!(
        Command::new("kill")
            .args(["-CONT", &paused])
            .status()
            .unwrap()
            .success()
    );
    let ended = second.process.as_mut().unwrap().0.wait().unwrap();
    assert!(!ended.success());
    assert!(second.log().contains("has taken over"), "{}", second.log());

    until("all trials are over", &[&first, &second], || {
        succeeded(&both) == TRIALS
    });
    assert_eq!(export(&both), undisturbed());
    let tailed = tail.wait_with_output().unwrap();
    assert!(tailed.status.success(), "{}", tailed.status);
    let lines = text(&tailed.stdout);
    assert!(
        lines.lines().last().is_some_and(|last| last.contains("40")),
        "{lines}"
    );
}

#[test]
fn a_database_that_is_killed_and_comes_back_loses_nothing() {
    let mut server = Postgres::start();
    let store = server.database("sweeps");
    let mut coordinator = Coordinator::new();
    coordinator.start(&store);
    until("it serves", &[&coordinator], || coordinator.serves());
    submit(&coordinator.folder, &coordinator.address());
    let _worker = fake_worker_in(
        coordinator.folder.path(),
        "fake",
        &coordinator.address(),
        2,
        EPOCH_MS,
    );
    let address = coordinator.address();
    for times in 1..=3 {
        until("trials go on", &[&coordinator], || {
            succeeded(&address) >= times * 6
        });
        server.kill();
        thread::sleep(Duration::from_millis(500));
        let refused = tenfold()
            .args(["--coordinator", &address, "cancel", "last"])
            .output()
            .unwrap();
        assert!(!refused.status.success(), "nothing is promised without a store");
        server.serve();
    }
    until("all trials are over", &[&coordinator], || {
        succeeded(&address) == TRIALS
    });
    let process = &mut coordinator.process.as_mut().unwrap().0;
    assert!(process.try_wait().unwrap().is_none(), "it never ended");
    assert_eq!(export(&address), undisturbed());
}
