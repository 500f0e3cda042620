//! Other tools at the same work.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::Arguments;
use crate::table::Table;

const PEERS: [&str; 5] = [
    "optuna-sqlite",
    "optuna-journal",
    "ray-new",
    "ray-reused",
    "hyperqueue",
];

/// What is left of a peer after so much longer than it was to take is stopped.
const LATE: Duration = Duration::from_secs(60);

/// What a peer says.
#[derive(Debug, Deserialize)]
struct Said {
    name: String,
    figures: Vec<Figure>,
}

#[derive(Debug, Deserialize)]
struct Figure {
    work: String,
    value: f64,
    unit: String,
}

/// Runs the peers' script, in the virtual environment that `deploy/setup-peers.sh` makes.
pub(crate) fn measure(arguments: &Arguments, table: &mut Table) {
    let setup = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/setup-peers.sh"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(
        setup.status.success(),
        "the peers cannot be had; --no-peers measures without them"
    );
    let python = String::from_utf8(setup.stdout).unwrap();
    let seconds = arguments.sized(20, 5);
    for peer in PEERS {
        match run(python.trim(), peer, seconds, arguments) {
            Some(said) => {
                for figure in said.figures {
                    table.theirs(&figure.work, &said.name, figure.value, &figure.unit);
                }
            }
            None => eprintln!("  left out: {peer} did not come to its end"),
        }
    }
}

fn run(python: &str, peer: &str, seconds: u64, arguments: &Arguments) -> Option<Said> {
    let mut child = Command::new(python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/benches/coordinator/peers.py"
        ))
        .args([peer, &seconds.to_string()])
        .current_dir(&arguments.output)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(seconds) + LATE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut text = String::new();
    child.stdout.take()?.read_to_string(&mut text).unwrap();
    serde_json::from_str(text.lines().last()?).ok()
}
