//! A real coordinator, and what it costs.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tenfold_proto::v1;
use tenfold_proto::v1::control_client::ControlClient;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use crate::fleet::{Said, Work};

/// A running coordinator; killed when it goes.
pub(crate) struct Server {
    pub(crate) address: String,
    child: Child,
    folder: PathBuf,
    runtime: Runtime,
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
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            address,
            child,
            folder,
            runtime,
            started_in,
        }
    }

    /// `kill -9`, and the same again on the same store and port.
    pub(crate) fn restart(mut self) -> Self {
        _ = self.child.kill();
        _ = self.child.wait();
        let listen = self.address.trim_start_matches("http://").to_owned();
        let folder = std::mem::take(&mut self.folder);
        Self::start(folder, &listen)
    }

    pub(crate) fn kill(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }

    /// Starts again after `kill`.
    pub(crate) fn again(mut self) -> Self {
        let listen = self.address.trim_start_matches("http://").to_owned();
        let folder = std::mem::take(&mut self.folder);
        Self::start(folder, &listen)
    }

    fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.address.clone())
            .unwrap()
            .tcp_nodelay(true);
        let _inside = self.runtime.enter();
        endpoint.connect_lazy()
    }

    /// Asks something of it.
    pub(crate) fn ask<T>(&self, ask: impl AsyncFnOnce(ControlClient<Channel>) -> T) -> T {
        let control = ControlClient::new(self.channel()).max_decoding_message_size(1 << 30);
        self.runtime.block_on(ask(control))
    }

    /// Submits a sweep of so many trials, ten for each point.
    pub(crate) fn submit(&self, name: &str, trials: u64, epochs: u32) -> Duration {
        let text = format!(
            "name = \"{name}\"\nrepetitions = 10\nepochs = {epochs}\n[settings]\narchitecture = \"perceptron-100\"\n\
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
                .submit(v1::SubmitRequest { source: Some(source) })
                .await
                .unwrap();
        });
        began.elapsed()
    }

    /// Fetches all aggregated curves of a sweep; how many groups.
    pub(crate) fn results(&self, name: &str) -> u64 {
        let request = v1::ResultsRequest {
            selector: name.to_owned(),
            by: Vec::new(),
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

    pub(crate) fn show(&self, name: &str) -> v1::ShowResponse {
        let request = v1::ShowRequest {
            selector: name.to_owned(),
        };
        self.ask(async |mut control| control.show(request).await.unwrap().into_inner())
    }

    /// Seconds of processor time so far.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        ticks / 100.0
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

    /// Starts workers in a process of their own.
    pub(crate) fn fleet(&self, work: Work) -> Fleet {
        let work = Work {
            address: self.address.clone(),
            ..work
        };
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--fleet", &serde_json::to_string(&work).unwrap()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Fleet(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if !self.folder.as_os_str().is_empty() {
            _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// The process of the workers.
pub(crate) struct Fleet(Child);

impl Fleet {
    /// What it says when its work is done.
    pub(crate) fn said(mut self) -> Said {
        let mut text = String::new();
        std::io::Read::read_to_string(self.0.stdout.as_mut().unwrap(), &mut text).unwrap();
        assert!(self.0.wait().unwrap().success(), "the workers failed");
        serde_json::from_str(&text).unwrap()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
