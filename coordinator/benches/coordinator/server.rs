//! A real coordinator, and what it costs.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tenfold_proto::v1;
use tenfold_proto::v1::control_client::ControlClient;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use crate::fleet::{How, Said, Work};

/// Ticks a second of `/proc/PID/stat`, on Linux whatever the kernel's own.
const TICKS: f64 = 100.0;

/// A running coordinator; killed when it goes.
pub(crate) struct Server {
    pub(crate) address: String,
    child: Child,
    folder: PathBuf,
    runtime: Runtime,
    control: ControlClient<Channel>,
    /// From the start of the process to the word that it serves.
    pub(crate) started_in: Duration,
}

impl Server {
    /// On an empty store in a folder of its own.
    pub(crate) fn fresh(output: &Path, name: &str) -> Self {
        let folder = output.join(format!("coordinator-{name}"));
        _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self::start(folder, "127.0.0.1:0")
    }

    fn start(folder: PathBuf, listen: &str) -> Self {
        let began = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tenfold"))
            .current_dir(&folder)
            .args(["serve", "--json", "--listen", listen])
            .env("TENFOLD_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let started_in = began.elapsed();
        let said: Value = serde_json::from_str(&line).expect("the coordinator says where it serves");
        let address = said["coordinator"].as_str().unwrap().to_owned();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let endpoint = Endpoint::from_shared(address.clone()).unwrap().tcp_nodelay(true);
        let channel = runtime.block_on(endpoint.connect()).unwrap();
        Self {
            address,
            child,
            folder,
            runtime,
            control: ControlClient::new(channel).max_decoding_message_size(1 << 30),
            started_in,
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }

    /// Starts again on the same store and port, killed if it still runs.
    pub(crate) fn again(mut self) -> Self {
        self.kill();
        let listen = self.address.trim_start_matches("http://").to_owned();
        let folder = std::mem::take(&mut self.folder);
        Self::start(folder, &listen)
    }

    /// Asks something of it.
    pub(crate) fn ask<T>(&self, ask: impl AsyncFnOnce(ControlClient<Channel>) -> T) -> T {
        self.runtime.block_on(ask(self.control.clone()))
    }

    /// Submits a sweep of so many trials, ten for each point; what that took.
    pub(crate) fn submit(&self, name: &str, trials: u64, epochs: u32) -> Duration {
        // The same text would be the same sweep, whatever its name.
        let seed = name
            .bytes()
            .fold(0_u32, |seed, byte| seed.wrapping_mul(31) ^ u32::from(byte));
        let text = format!(
            "name = \"{name}\"\nseed = {seed}\nrepetitions = 10\nepochs = {epochs}\n[settings]\narchitecture = \"perceptron-100\"\n\
             [axes]\nlearning_rate = {{ log = [1e-6, 0.1], points = {} }}\n",
            trials / 10
        );
        let source = v1::SweepSource {
            text,
            file: "bench.toml".to_owned(),
            ..v1::SweepSource::default()
        };
        let began = Instant::now();
        self.ask(async |mut control| {
            control
                .submit(v1::SubmitRequest {
                    source: Some(source),
                    ..v1::SubmitRequest::default()
                })
                .await
                .unwrap();
        });
        began.elapsed()
    }

    /// Fetches all aggregated curves of a sweep, as `tenfold results` does; how many groups.
    pub(crate) fn results(&self, name: &str) -> u64 {
        let request = v1::ResultsRequest {
            selector: name.to_owned(),
            by: Vec::new(),
            stage: None,
        };
        self.ask(async |mut control| {
            let mut stream = control.results(request).await.unwrap().into_inner();
            let mut groups = 0;
            while let Some(group) = stream.message().await.unwrap() {
                assert!(!group.statistics.is_empty());
                groups += 1;
            }
            groups
        })
    }

    /// Cheaply: it is asked often.
    pub(crate) fn status(&self, name: &str) -> v1::SweepStatus {
        self.ask(async |mut control| {
            let listed = control
                .list(v1::ListRequest::default())
                .await
                .unwrap()
                .into_inner();
            listed
                .sweeps
                .into_iter()
                .find(|sweep| sweep.name == name)
                .unwrap()
        })
    }

    /// Waits until all trials of a sweep have succeeded, by the work of these workers.
    pub(crate) fn finished(&self, name: &str, fleet: &mut Fleet) {
        loop {
            let status = self.status(name);
            if status.finished_at_ms.is_some() {
                assert_eq!(status.state(), v1::SweepState::Complete);
                assert_eq!(status.epochs, status.total_epochs);
                return;
            }
            fleet.check();
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Seconds of processor time so far.
    pub(crate) fn cpu(&self) -> f64 {
        cpu(self.child.id())
    }

    /// The same, once nothing is left to do.
    pub(crate) fn rested(&self) -> f64 {
        let mut used = self.cpu();
        let mut quiet = 0;
        // A second: it may wait for a disk.
        while quiet < 10 {
            std::thread::sleep(Duration::from_millis(100));
            let now = self.cpu();
            // A tick may be somebody's who only looks.
            quiet = if now - used < 1.5 / TICKS { quiet + 1 } else { 0 };
            used = now;
        }
        used
    }

    /// Bytes of memory it has now, and had at most.
    pub(crate) fn memory(&self) -> (f64, f64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let of = |name: &str| -> f64 {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
        };
        (of("VmRSS:"), of("VmHWM:"))
    }

    /// Starts workers in a process of their own; they are connected and wait for the word to begin.
    pub(crate) fn fleet(&self, workers: u32, pack: u32, how: How) -> Fleet {
        let work = Work {
            address: self.address.clone(),
            workers,
            pack,
            how,
        };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--fleet", &serde_json::to_string(&work).unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut fleet = Fleet {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        let mut line = String::new();
        fleet.output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "the workers failed");
        fleet
    }
}

/// Seconds of processor time of a process so far.
fn cpu(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / TICKS
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if !self.folder.as_os_str().is_empty() {
            _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// The process of the workers; killed when it goes.
pub(crate) struct Fleet {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Fleet {
    /// Gives the word to begin.
    pub(crate) fn begin(&mut self) {
        self.input.write_all(b"go\n").unwrap();
    }

    /// Fails when they have.
    fn check(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            assert!(status.success(), "the workers failed");
        }
    }

    /// Seconds of processor time that they took so far; they must not have ended.
    pub(crate) fn cpu(&self) -> f64 {
        cpu(self.child.id())
    }

    /// What they say when their work is done.
    pub(crate) fn said(mut self) -> Said {
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        assert!(self.child.wait().unwrap().success(), "the workers failed");
        serde_json::from_str(&text).unwrap()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
