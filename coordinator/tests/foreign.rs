//! A worker and a client in Python that know the protos alone (`tests/foreign/`), beside a real coordinator that is killed in
//! between, on a network that loses answers.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Cluster, Running, Start, json, text};

/// Eight points and two repetitions. The learning rate 1 diverges, and trials with and without auxiliary loss share packs.
const SWEEP: &str = r#"
name = "foreign"
seed = 7
epochs = 40
repetitions = 2
[settings]
architecture = "perceptron-10"
[axes]
learning_rate = [1e-3, 1e-2, 1e-1, 1.0]
auxiliary_loss = [false, true]
"#;

/// The repository.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The Python that has gRPC, as `deploy/setup-foreign.sh` puts it there.
fn python() -> Command {
    let program = top().join(".deps/python/bin/python");
    assert!(
        program.exists(),
        "{} is not there: run `deploy/setup-foreign.sh`, or `make test`, which does",
        program.display()
    );
    let mut command = Command::new(program);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Python programs with what was generated for them from the protos.
struct Foreign {
    coordinator: String,
    generated: tempfile::TempDir,
}

impl Foreign {
    fn generate(cluster: &Cluster) -> Self {
        let generated = tempfile::tempdir().unwrap();
        let output = python()
            .current_dir(top().join("proto"))
            .args(["-m", "grpc_tools.protoc", "-I."])
            .arg(format!("--python_out={}", generated.path().display()))
            .arg(format!("--grpc_python_out={}", generated.path().display()))
            .args(["common", "control", "fleet"].map(|name| format!("tenfold/v1/{name}.proto")))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        Self {
            coordinator: cluster.address(),
            generated,
        }
    }

    fn start(&self, program: &str, arguments: &[&str]) -> Running {
        let mut command = python();
        command
            .arg(top().join("coordinator/tests/foreign").join(program))
            .args(["--coordinator", &self.coordinator])
            .args(arguments)
            .env("PYTHONPATH", self.generated.path());
        Running::start(command)
    }
}

#[test]
fn a_worker_and_a_client_that_know_the_protos_alone_do_a_whole_sweep() {
    let start = Start {
        lease_term: 20,
        ..Start::default()
    };
    let mut cluster = Cluster::with(tempfile::tempdir().unwrap(), start);
    let file = cluster.write("foreign.toml", SWEEP);
    let foreign = Foreign::generate(&cluster);
    let client = foreign.start("client.py", &["--lose-every", "2", &file]);
    let worker = foreign.start("worker.py", &["--name", "abacus", "--lose-every", "3"]);
    cluster.until("some epochs are there", || (cluster.epochs() > 100).then_some(()));
    let finished = &cluster.sweep().unwrap()["finished_at"];
    assert!(finished.is_null(), "the coordinator is killed in between");
    cluster.kill();
    cluster.serve();

    let (code, lines, complaints) = client.end();
    assert_eq!(code, Some(0), "{complaints}");
    let (complete, results): (Vec<_>, Vec<_>) = json(&lines.join("\n"))
        .into_iter()
        .partition(|line| line["complete"].is_u64());
    let mut complete: Vec<u64> = complete
        .iter()
        .map(|line| line["complete"].as_u64().unwrap())
        .collect();
    complete.sort_unstable();
    assert_eq!(complete, (0..8).collect::<Vec<u64>>(), "each group once");
    let diverges = |result: &serde_json::Value| result["values"]["learning_rate"] == 1.0;
    assert_eq!(results.len(), 8);
    for result in &results {
        let (succeeded, epochs) = if diverges(result) { (0, 0) } else { (2, 40) };
        assert_eq!(result["succeeded"], succeeded, "{result}");
        assert_eq!(result["diverged"], 2 - succeeded, "{result}");
        assert_eq!(result["epochs"], epochs, "{result}");
    }

    let sweep = cluster.until_over();
    assert_eq!(sweep["state"], "complete");
    assert_eq!(
        (&sweep["trials"]["succeeded"], &sweep["trials"]["diverged"]),
        (&12.into(), &4.into())
    );
    let failed = cluster.command(&["show", "last/0.1.1"]);
    assert!(
        failed.contains("the abacus has lost a bead"),
        "its first attempt failed: {failed}"
    );

    let (code, lines, complaints) = foreign.start("check.py", &[&file]).end();
    assert_eq!(code, Some(0), "{complaints}");
    assert_eq!(lines, ["all is as the protos say"]);

    cluster.command(&["drain", "abacus"]);
    let (code, lines, complaints) = worker.end();
    assert_eq!(code, Some(0), "{complaints}");
    let packs: Vec<u32> = lines
        .iter()
        .filter_map(|line| line.split_once(": ")?.1.strip_suffix(" trials")?.parse().ok())
        .collect();
    assert!(
        packs.contains(&6),
        "a shape that is known comes in large packs: {lines:?}"
    );
}
