//! Other tools at the same work.

use std::process::Command;

use serde_json::Value;

use crate::Arguments;
use crate::table::Table;

/// Runs the peers' script, in the virtual environment that `deploy/setup-peers.sh` makes.
pub(crate) fn measure(arguments: &Arguments, table: &mut Table) {
    let top = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let setup = Command::new(format!("{top}/deploy/setup-peers.sh"))
        .output()
        .unwrap();
    assert!(
        setup.status.success(),
        "deploy/setup-peers.sh failed: {}",
        String::from_utf8_lossy(&setup.stderr)
    );
    let python = String::from_utf8(setup.stdout).unwrap();
    let python = python.lines().last().unwrap();
    let seconds = arguments.sized(20, 6).to_string();
    for peer in ["optuna-sqlite", "optuna-journal", "ray", "ray-reuse"] {
        let output = Command::new(python)
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/benches/coordinator/peers.py"
            ))
            .args([peer, &seconds])
            .current_dir(&arguments.output)
            .output()
            .unwrap();
        let line = String::from_utf8_lossy(&output.stdout);
        let said = line
            .lines()
            .rev()
            .find_map(|line| serde_json::from_str::<Value>(line).ok());
        let Some(said) = said else {
            let why = String::from_utf8_lossy(&output.stderr);
            eprintln!("  {peer} did not run: {}", why.lines().last().unwrap_or_default());
            continue;
        };
        let name = said["name"].as_str().unwrap();
        table.theirs(
            "trials of 100 reports",
            name,
            said["trials"].as_f64().unwrap(),
            "trials/s",
        );
        table.theirs("reports", name, said["reports"].as_f64().unwrap(), "reports/s");
    }
}
