//! Sweeps of several stages, against a real coordinator. The worker is part of the test.

mod common;

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, json, text};

const STAGES: &str = r#"
name = "study"
repetitions = 2
epochs = 3

[settings]
architecture = "perceptron-5"

[[stage]]
name = "rates"
[stage.axes]
learning_rate = [0.1, 0.01, 0.001]

[[stage]]
name = "modes"
epochs = 2
repetitions = 3
[stage.axes]
weight_sharing = [false, true]
"#;

#[test]
fn every_stage_has_its_own_trials_and_results() {
    let mut cluster = Cluster::patient();
    let file = cluster.write("study.toml", STAGES);
    let said = cluster.command(&["submit", &file]);
    assert!(said.contains("rates 3 × 2, modes 2 × 3 = 12 trials"), "{said}");
    let mut worker = FakeWorker::register(&cluster, "w");
    worker.train(7, |_| Fate::Succeeds);
    cluster.kill();
    cluster.serve();
    let mut worker = FakeWorker::register(&cluster, "w");
    worker.train(5, |_| Fate::Succeeds);
    let sweep = cluster.until_over();
    assert_eq!(sweep["epochs"], 6 * 3 + 6 * 2);
    assert_eq!(sweep["total_epochs"], 30);
    let table = cluster.command(&["results", "study"]);
    assert!(
        table.contains("Stage rates\n") && table.contains("Stage modes\n"),
        "{table}"
    );
    let modes = json(&cluster.command(&["results", "study", "--stage", "modes", "--json"]));
    assert!(modes.iter().all(|row| row["stage"] == 1), "{modes:?}");
    assert_eq!(
        modes.iter().filter(|row| row["metric"] == "test_error").count(),
        2 * 2
    );
    let curves = json(&cluster.command(&["results", "study", "--raw", "--json"]));
    assert_eq!(curves.len(), 30, "a line an epoch");
    let shown = cluster.command(&["show", "study/1.1.2"]);
    assert!(shown.contains("succeeded"), "{shown}");
    let output = cluster.try_command(&["plot", "study", "-o", "figure.svg"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("--stage: rates, modes"),
        "{}",
        text(&output.stderr)
    );
    let output = cluster.try_command(&["results", "study", "--stage", "mode"]);
    assert!(
        text(&output.stderr).contains("the sweep's are rates, modes"),
        "{}",
        text(&output.stderr)
    );
    let tail = cluster.command(&["tail", "study"]);
    assert!(
        tail.contains("rates: lr=1e-2  epoch 3/3") && tail.contains("modes: sharing=on  epoch 2/2"),
        "{tail}"
    );
}
