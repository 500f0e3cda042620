//! Real processes for tests: coordinators, workers, and the commands that talk to them.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "a test may unwrap, and each test file uses a part of this"
)]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The `tenfold` program.
pub fn tenfold() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenfold"));
    command
        .env_remove("TENFOLD_COORDINATOR")
        .env("TENFOLD_DATA", data());
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

/// A folder, and a coordinator in it that can be killed and started again.
pub struct Cluster {
    pub folder: tempfile::TempDir,
    pub port: u16,
    pub coordinator: Option<Process>,
}

impl Cluster {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = Self {
            folder,
            port: free_port(),
            coordinator: None,
        };
        cluster.serve();
        cluster
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts the coordinator and waits until it serves.
    pub fn serve(&mut self) {
        let log = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.folder.path().join("serve.log"))
            .unwrap();
        let child = tenfold()
            .current_dir(self.folder.path())
            .args(["serve", "--lease-term", "2", "--backoff", "0", "--listen"])
            .arg(format!("127.0.0.1:{}", self.port))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.coordinator = Some(Process(child));
        self.until("the coordinator serves", || {
            self.try_command(&["list"]).status.success().then_some(())
        });
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
            if began.elapsed() > Duration::from_secs(120) {
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
            std::thread::sleep(Duration::from_millis(50));
        }
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
    let status = Command::new("kill")
        .args(["-9", &process.to_string()])
        .status()
        .unwrap();
    assert!(status.success(), "process {process} is not there to be killed");
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
