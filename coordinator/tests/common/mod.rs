//! Real processes for tests: coordinators, workers, and the commands that talk to them.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "a test may unwrap, and each test file uses a part of this"
)]

pub mod fleet;
pub mod postgres;
pub mod tails;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything is waited for before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The `tenfold` program, with nothing of the environment that could change what it does.
pub fn tenfold() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenfold"));
    command
        .env_remove("TENFOLD_COORDINATOR")
        .env_remove("TENFOLD_DATA")
        .env_remove("TENFOLD_STORE")
        .env_remove("TENFOLD_LOG");
    command
}

/// MNIST, which `make setup` fetches.
pub fn data() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/mnist");
    let data = std::env::var_os("TENFOLD_DATA").map_or(here, PathBuf::from);
    assert!(
        data.join("train-images-idx3-ubyte").exists(),
        "MNIST is not in {}: run `make setup`",
        data.display()
    );
    data
}

/// The worker program, which lies beside `tenfold`.
pub fn worker_program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_tenfold")).with_file_name("tenfold-worker");
    assert!(
        program.exists(),
        "{} is not built: run `cargo build --workspace`",
        program.display()
    );
    program
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A process that does not outlive its test.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// A file system in memory, unmounted when it goes.
pub struct SmallDisk(pub PathBuf);

impl SmallDisk {
    /// Of so many KiB, at this folder. None, and a word about it, where that is not allowed.
    pub fn mount(folder: &Path, kilobytes: u32) -> Option<Self> {
        let size = format!("size={kilobytes}k");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder)
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        eprintln!("skipped: only root may mount a small file system");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A folder, and a coordinator in it that can be killed and started again.
pub struct Cluster {
    pub folder: tempfile::TempDir,
    pub port: u16,
    pub coordinator: Option<Process>,
    /// How it is started the next time.
    pub start: Start,
    /// How long anything is waited for.
    pub patience: Duration,
}

/// How a coordinator is started.
#[derive(Clone)]
pub struct Start {
    /// In seconds.
    pub lease_term: u32,
    /// In seconds.
    pub grace: u32,
    /// Another store than a file in its folder.
    pub store: Option<String>,
    /// A program, with its arguments, that starts it.
    pub through: Vec<String>,
    pub environment: Vec<(&'static str, String)>,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            lease_term: 2,
            grace: 0,
            store: None,
            through: Vec::new(),
            environment: Vec::new(),
        }
    }
}

impl Cluster {
    pub fn start() -> Self {
        Self::with(tempfile::tempdir().unwrap(), Start::default())
    }

    /// For workers that send no heartbeats: no lease expires while a test runs.
    pub fn patient() -> Self {
        Self::patient_in(tempfile::tempdir().unwrap())
    }

    pub fn patient_in(folder: tempfile::TempDir) -> Self {
        let start = Start {
            lease_term: 3600,
            ..Start::default()
        };
        Self::with(folder, start)
    }

    pub fn with(folder: tempfile::TempDir, start: Start) -> Self {
        let mut cluster = Self::stopped(folder, start);
        cluster.serve();
        cluster
    }

    /// One whose coordinator is still to be started.
    pub fn stopped(folder: tempfile::TempDir, start: Start) -> Self {
        Self {
            folder,
            port: free_port(),
            coordinator: None,
            start,
            patience: PATIENCE,
        }
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts the coordinator, instead of one that runs, and waits until it serves.
    pub fn serve(&mut self) {
        self.serve_with(&[]);
    }

    /// With further arguments.
    pub fn serve_with(&mut self, arguments: &[&str]) {
        self.launch(arguments);
        self.until_serving();
    }

    /// Starts the coordinator, instead of one that runs.
    pub fn launch(&mut self, arguments: &[&str]) {
        self.coordinator = None;
        let log = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.folder.path().join("serve.log"))
            .unwrap();
        let start = &self.start;
        let mut command = tenfold();
        if let Some((program, before)) = start.through.split_first() {
            let coordinator = command;
            command = Command::new(program);
            command.args(before).arg(coordinator.get_program());
        }
        for (variable, value) in &start.environment {
            command.env(variable, value);
        }
        if let Some(store) = &start.store {
            command.env("TENFOLD_STORE", store);
        }
        let child = command
            .current_dir(self.folder.path())
            .arg("serve")
            .args(["--lease-term", &start.lease_term.to_string()])
            .args(["--grace", &start.grace.to_string()])
            .args(["--backoff", "0"])
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.coordinator = Some(Process(child));
    }

    pub fn until_serving(&self) {
        self.until("the coordinator serves", || {
            self.try_command(&["list"]).status.success().then_some(())
        });
    }

    /// `kill -9` of the coordinator.
    pub fn kill(&mut self) {
        self.coordinator.take().unwrap().kill();
    }

    /// Has the coordinator end in order, so that its store is whole in one file and may be changed by hand.
    pub fn stop(&mut self) {
        let mut coordinator = self.coordinator.take().unwrap();
        signal(coordinator.0.id(), "-TERM");
        coordinator.0.wait().unwrap();
    }

    /// A worker with one slot.
    pub fn worker(&self, name: &str) -> Process {
        let log = fs::File::create(self.folder.path().join(format!("{name}.log"))).unwrap();
        let child = Command::new(worker_program())
            .args([
                "--device",
                "cpu",
                "--slots",
                "1",
                "--name",
                name,
                "--coordinator",
                &self.address(),
            ])
            .env("TENFOLD_DATA", data())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Process(child)
    }

    /// A real worker whose trainer makes its curves up, at this address of a coordinator.
    pub fn fake_worker(&self, name: &str, coordinator: &str, slots: u32, epoch_ms: u32) -> Process {
        fake_worker_in(self.folder.path(), name, coordinator, slots, epoch_ms)
    }

    pub fn try_command(&self, arguments: &[&str]) -> Output {
        tenfold()
            .current_dir(self.folder.path())
            .args(["--coordinator", &self.address()])
            .args(arguments)
            .output()
            .unwrap()
    }

    /// What a command prints, which must go well.
    pub fn command(&self, arguments: &[&str]) -> String {
        let output = self.try_command(arguments);
        let (said, complained) = (text(&output.stdout), text(&output.stderr));
        assert!(
            output.status.success(),
            "tenfold {arguments:?}: {}\n{said}\n{complained}",
            output.status
        );
        said
    }

    /// The newest sweep; none while there is no coordinator.
    pub fn sweep(&self) -> Option<Value> {
        let output = self.try_command(&["list", "--json"]);
        text(&output.stdout)
            .lines()
            .next()
            .map(|line| serde_json::from_str(line).unwrap())
    }

    pub fn epochs(&self) -> u64 {
        self.sweep().map_or(0, |sweep| sweep["epochs"].as_u64().unwrap())
    }

    /// Waits for something, with the logs at hand should it not come.
    pub fn until<T>(&self, what: &str, mut happened: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(value) = happened() {
                return value;
            }
            if began.elapsed() > self.patience {
                let mut logs = String::new();
                for entry in fs::read_dir(self.folder.path()).unwrap().flatten() {
                    if entry
                        .path()
                        .extension()
                        .is_some_and(|extension| extension == "log")
                    {
                        let log = fs::read_to_string(entry.path()).unwrap_or_default();
                        let tail: Vec<&str> = log.lines().rev().take(30).collect();
                        logs += &format!("\n== {}\n", entry.path().display());
                        tail.iter().rev().for_each(|line| logs += &format!("{line}\n"));
                    }
                }
                panic!(
                    "waited too long until {what}; the sweep is {:?}{logs}",
                    self.sweep()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Starts a command that goes on for a while.
    pub fn spawn(&self, arguments: &[&str]) -> Running {
        let mut command = tenfold();
        command
            .current_dir(self.folder.path())
            .args(["--coordinator", &self.address()])
            .args(arguments);
        Running::start(command)
    }

    pub fn until_over(&self) -> Value {
        self.until("the sweep is over", || {
            self.sweep().filter(|sweep| !sweep["finished_at"].is_null())
        })
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

/// A worker whose trainer makes its curves up, which writes to this folder.
pub fn fake_worker_in(folder: &Path, name: &str, coordinator: &str, slots: u32, epoch_ms: u32) -> Process {
    let trainer = worker_program().with_file_name("examples/fake-trainer");
    assert!(
        trainer.exists(),
        "{} is not built: run `cargo build --workspace --all-targets`",
        trainer.display()
    );
    let log = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.join(format!("{name}.log")))
        .unwrap();
    let child = Command::new(worker_program())
        .args(["--device", "cpu", "--name", name, "--coordinator", coordinator])
        .args(["--slots", &slots.to_string()])
        .arg("--trainer")
        .arg(trainer)
        .arg("--cache")
        .arg(folder)
        .env("FAKE_EPOCH_MS", epoch_ms.to_string())
        .env("FAKE_JOURNAL", folder.join("trained"))
        .env("TENFOLD_LOG", "debug")
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    Process(child)
}

/// A command whose lines are read as it prints them.
pub struct Running {
    pub process: Process,
    lines: Receiver<String>,
    complaints: JoinHandle<String>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let complaints = thread::spawn(move || {
            let mut text = String::new();
            _ = stderr.read_to_string(&mut text);
            text
        });
        Self {
            process: Process(child),
            lines,
            complaints,
        }
    }

    /// The lines up to the first that fits.
    pub fn lines_until(&self, what: &str, fits: impl Fn(&str) -> bool) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => seen.push(line),
                Err(error) => panic!("no line {what} ({error}) among {seen:#?}"),
            }
            if seen.last().is_some_and(|line| fits(line)) {
                return seen;
            }
        }
    }

    /// Waits until it ends: its exit code, the lines not read yet, and what it printed to its standard error.
    pub fn end(mut self) -> (Option<i32>, Vec<String>, String) {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.process.0.try_wait().unwrap() {
                break status;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "the command does not end; it printed {:#?}",
                self.lines.try_iter().collect::<Vec<_>>()
            );
            thread::sleep(Duration::from_millis(20));
        };
        (
            status.code(),
            self.lines.iter().collect(),
            self.complaints.join().unwrap(),
        )
    }
}

/// Compares with `tests/goldens/NAME`. `BLESS=1` writes it anew: look at what changed before you commit it.
pub fn golden(name: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/goldens")
        .join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, got).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        got == expected,
        "{name} is not what it was; BLESS=1 takes the new one\nexpected\n{expected}\nbut got\n{got}"
    );
}

/// Processes that this one started.
pub fn children(of: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{of}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// `kill -9` by number.
pub fn kill(process: u32) {
    signal(process, "-KILL");
}

/// `kill SIGNAL` by number.
pub fn signal(process: u32, signal: &str) {
    let status = Command::new("kill")
        .args([signal, &process.to_string()])
        .status()
        .unwrap();
    assert!(status.success(), "process {process} is not there to be killed");
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A sweep of four points and two repetitions: eight trials.
pub const SWEEP: &str = r#"
name = "small"
epochs = 3
repetitions = 2
[settings]
architecture = "perceptron-10"
[axes]
learning_rate = [1e-3, 1e-2]
weight_sharing = [false, true]
"#;

/// The objects of some lines of JSON.
pub fn json(lines: &str) -> Vec<Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
