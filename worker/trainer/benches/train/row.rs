//! What is measured: rows, and the processes that they run in.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::network::Network;

/// A way to train.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Way {
    /// Our arrays by hand, a trial a thread.
    Host,
    /// Our arrays by libtorch.
    Fused,
    /// PyTorch, in this variant and layout.
    PyTorch((String, String)),
    /// Nothing is trained: the best of several products of matrices that fit the caches.
    Peak(Vec<[usize; 3]>),
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) network: String,
    pub(crate) way: Way,
    pub(crate) device: String,
    pub(crate) processes: usize,
    pub(crate) threads: usize,
    pub(crate) trials: usize,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::Host => f.write_str("tenfold")?,
            Way::Fused => f.write_str("tenfold, fused")?,
            Way::PyTorch((variant, layout)) if layout == "default" => write!(f, "PyTorch, {variant}")?,
            Way::PyTorch((variant, layout)) => write!(f, "PyTorch, {variant}, {layout}")?,
            Way::Peak(_) => f.write_str("peak")?,
        }
        write!(f, " (K {}, {} × {})", self.trials, self.processes, self.threads)
    }
}

impl Row {
    pub(crate) fn peak(network: &Network, processes: usize, device: &str) -> Self {
        Self {
            network: network.name.clone(),
            way: Way::Peak(network.products.clone()),
            device: device.to_owned(),
            processes,
            threads: 1,
            trials: 1,
        }
    }
}

/// All rows of a network on a device.
pub(crate) fn rows(network: &Network, device: &str, peer: bool) -> Vec<Row> {
    let row = |way: Way, processes, threads, trials| Row {
        network: network.name.clone(),
        way,
        device: device.to_owned(),
        processes,
        threads,
        trials,
    };
    let pytorch = |variant: &str, layout: &str| Way::PyTorch((variant.to_owned(), layout.to_owned()));
    let convolutional = network.name.starts_with("conv");
    // Some 200 GFLOP an epoch: arrays of many such networks take minutes a round on a processor.
    let large = network.operations > 5e10;
    let mut rows = Vec::new();
    if device == "cpu" {
        rows.push(row(Way::Host, 1, 1, 1));
        rows.push(row(Way::Host, 2, 1, 1));
        rows.extend([1, 4, 10, 40, 160].map(|trials| row(Way::Host, 1, 2, trials)));
        let fused: &[usize] = if large { &[1] } else { &[1, 4, 10] };
        rows.extend(fused.iter().map(|&trials| row(Way::Fused, 1, 1, trials)));
    } else {
        rows.extend([1, 4, 10, 40, 160].map(|trials| row(Way::Fused, 1, 1, trials)));
    }
    if !peer {
        return rows;
    }
    let layouts: &[&str] = if convolutional {
        &["default", "channels-last"]
    } else {
        &["default"]
    };
    // Each row of PyTorch keeps some 750 MiB, and a compiled one takes up to a minute to start: no more of them than could
    // be the best.
    for layout in layouts {
        if device == "cpu" {
            rows.push(row(pytorch("eager", layout), 1, 1, 1));
            for variant in ["eager", "compiled"] {
                rows.push(row(pytorch(variant, layout), 1, 2, 1));
                rows.push(row(pytorch(variant, layout), 2, 1, 1));
            }
        } else {
            rows.push(row(pytorch("eager", layout), 1, 1, 1));
            rows.push(row(pytorch("eager", layout), 10, 1, 1));
            rows.push(row(pytorch("compiled", layout), 1, 1, 1));
        }
    }
    let stacked: &[usize] = match (device, large, convolutional) {
        ("cpu", true, _) => &[],
        ("cpu", false, true) => &[4],
        ("cpu", false, false) => &[4, 10, 40],
        _ => &[10, 40, 160],
    };
    rows.extend(
        stacked
            .iter()
            .map(|&trials| row(pytorch("stacked", "default"), 1, 2, trials)),
    );
    if !large || device != "cpu" {
        let trials = if convolutional { 4 } else { 10 };
        rows.push(row(pytorch("stacked", "default"), 2, 1, trials));
        rows.push(row(pytorch("torch.func", "default"), 1, 2, trials));
        rows.push(row(pytorch("stacked, compiled", "default"), 1, 2, trials));
    }
    rows
}

/// PyTorch: a Python that has it, and the program.
pub(crate) struct Peer {
    python: PathBuf,
    program: PathBuf,
}

impl Peer {
    /// The program is written into this folder: the benchmark can then run where its sources are not.
    pub(crate) fn new(python: PathBuf, folder: &Path) -> Self {
        let program = folder.join("pytorch.py");
        std::fs::write(&program, include_str!("pytorch.py")).unwrap();
        Self { python, program }
    }
}

/// A process that measures a row, or one of several.
pub(crate) struct Child {
    process: std::process::Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(crate) error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    error: Option<String>,
    #[serde(default)]
    rate: f64,
    #[serde(default)]
    memory: u64,
}

impl Child {
    /// Starts the processes of a row, and waits until they are ready.
    pub(crate) fn start(row: &Row, peer: Option<&Peer>, data: &Path) -> Vec<Self> {
        let mut children: Vec<Self> = (0..row.processes).map(|_| Self::spawn(row, peer, data)).collect();
        for child in &mut children {
            child.error = child.answer().error;
        }
        children
    }

    fn spawn(row: &Row, peer: Option<&Peer>, data: &Path) -> Self {
        let mut command = match (&row.way, peer) {
            (Way::PyTorch((variant, layout)), Some(peer)) => {
                let mut command = Command::new(&peer.python);
                // It has a libtorch of its own.
                command.env_remove("LD_LIBRARY_PATH");
                let row = serde_json::json!({
                    "network": row.network, "variant": variant, "layout": layout,
                    "threads": row.threads, "k": row.trials,
                    "device": if row.device == "cpu" { "cpu" } else { "cuda" },
                });
                command.arg(&peer.program).arg(row.to_string());
                command
            }
            _ => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                let row = serde_json::to_string(row).unwrap();
                command.arg("--data").arg(data).arg("--child").arg(row);
                command
            }
        };
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            input: process.stdin.take().unwrap(),
            output: BufReader::new(process.stdout.take().unwrap()),
            process,
            error: None,
        }
    }

    fn answer(&mut self) -> Answer {
        let mut line = String::new();
        let died = |error: String| Answer {
            error: Some(error),
            rate: 0.0,
            memory: 0,
        };
        match self.output.read_line(&mut line) {
            Ok(0) => died("it ended".to_owned()),
            Ok(_) => serde_json::from_str(&line).unwrap_or_else(|error| died(error.to_string())),
            Err(error) => died(error.to_string()),
        }
    }

    /// Lets all processes of a row work for so long: their rates and memory together.
    pub(crate) fn go(children: &mut [Self], seconds: f64) -> (f64, u64) {
        for child in &mut *children {
            writeln!(child.input, "go {seconds}").unwrap();
        }
        let answers = children.iter_mut().map(Self::answer);
        answers.fold((0.0, 0), |(rate, memory), answer| {
            (rate + answer.rate, memory + answer.memory)
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
