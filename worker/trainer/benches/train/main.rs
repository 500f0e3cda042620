//! How fast networks train, beside PyTorch on the same machine in the same run: `make bench-train`.
//!
//! Every row is a process of its own (two where it says so) that trains when it is told to; rows of one network take
//! turns, several rounds of them, and each figure is the median of its rounds. See `--help`.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

mod checkpoints;
mod child;
mod network;
mod row;
mod table;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::Parser;

use network::Network;
use row::{Child, Peer, Row};
use table::Figure;

/// Measures training and PyTorch's training of the same networks.
#[derive(Debug, Parser)]
struct Arguments {
    /// Networks, separated by commas
    #[arg(long, value_delimiter = ',', default_values_t = ["perceptron-100", "perceptron-600", "conv-20", "conv-100"].map(str::to_owned))]
    network: Vec<String>,
    /// What to train on: cpu or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Fewer and shorter rounds
    #[arg(long)]
    quick: bool,
    /// Only ours
    #[arg(long)]
    no_peer: bool,
    /// The Python that has PyTorch [default: what deploy/setup-pytorch.sh installs]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// The folder with MNIST's four IDX files
    #[arg(long, env = "TENFOLD_DATA", value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/mnist"))]
    data: PathBuf,
    /// Where train.json goes
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/bench"))]
    output: PathBuf,
    /// Also write the table in Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Also time the training of the 2019 report's networks
    #[arg(long)]
    report: bool,
    /// Also time what checkpoints cost beside an epoch
    #[arg(long)]
    checkpoints: bool,
    #[arg(long, hide = true)]
    child: Option<String>,
    /// Cargo passes it
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(row) = &arguments.child {
        child::run(&serde_json::from_str(row).unwrap(), &arguments.data);
        return;
    }
    let python = match (&arguments.python, arguments.no_peer) {
        (_, true) => None,
        (Some(python), _) => Some(python.clone()),
        (None, _) => Some(setup()),
    };
    std::fs::create_dir_all(&arguments.output).unwrap();
    let peer = python.map(|python| Peer::new(python, &arguments.output));
    let (rounds, seconds) = if arguments.quick { (1, 1.0) } else { (5, 2.0) };
    let mut figures = Vec::new();
    for name in &arguments.network {
        let network = Network::named(name).unwrap_or_else(|| panic!("{name:?} is no network with a name"));
        let rows = row::rows(&network, &arguments.device, peer.is_some());
        eprintln!("{name}: {} rows, {rounds} rounds of {seconds} s", rows.len());
        figures.extend(measure(
            &network,
            rows,
            peer.as_ref(),
            &arguments,
            rounds,
            seconds,
        ));
    }
    let figures = table::with_ratios(figures);
    print!("{}", table::text(&figures));
    std::fs::write(arguments.output.join("train.json"), table::json(&figures)).unwrap();
    if let Some(path) = &arguments.markdown {
        std::fs::write(path, table::markdown(&figures)).unwrap();
    }
    if arguments.checkpoints {
        for name in &arguments.network {
            checkpoints::time(name, &arguments.data);
        }
    }
    if arguments.report {
        child::report(&arguments.device, &arguments.data);
    }
}

/// The rows of a network, taking turns.
fn measure(
    network: &Network,
    rows: Vec<Row>,
    peer: Option<&Peer>,
    arguments: &Arguments,
    rounds: usize,
    seconds: f64,
) -> Vec<Figure> {
    // The arithmetic peak is a row like the others: it is taken in every round.
    let mut peaks = [1, 2].map(|processes| {
        let row = Row::peak(network, processes, &arguments.device);
        (Child::start(&row, peer, &arguments.data), Vec::new())
    });
    let mut running: Vec<(Row, Vec<Child>, Vec<f64>, u64)> = Vec::new();
    for row in rows {
        let children = Child::start(&row, peer, &arguments.data);
        match children.iter().find_map(|child| child.error.clone()) {
            Some(error) => eprintln!("  left out: {row}: {error}"),
            None => running.push((row, children, Vec::new(), 0)),
        }
    }
    for _ in 0..rounds {
        for (children, rates) in &mut peaks {
            rates.push(Child::go(children, seconds / 4.0).0);
        }
        for (_, children, rates, memory) in &mut running {
            let (rate, bytes) = Child::go(children, seconds);
            rates.push(rate);
            *memory = (*memory).max(bytes);
        }
    }
    let peak = peaks.map(|(_, rates)| rates.into_iter().fold(0.0, f64::max));
    running
        .into_iter()
        .map(|(row, _, mut rates, memory)| {
            rates.sort_by(f64::total_cmp);
            let cores = row.threads * row.processes;
            Figure {
                rate: rates[rates.len() / 2],
                share: match row.device.as_str() {
                    "cpu" => Some(rates[rates.len() / 2] * network.operations / peak[usize::from(cores > 1)]),
                    _ => None,
                },
                memory,
                row,
                ratio: None,
                ratio_default: None,
                peer: String::new(),
            }
        })
        .collect()
}

/// PyTorch, installed if it is not.
fn setup() -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/setup-pytorch.sh");
    let output = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(
        output.status.success(),
        "PyTorch cannot be had; --no-peer measures without it"
    );
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}
