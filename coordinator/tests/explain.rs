//! `tenfold explain`: a trial from where it waits to where it ended, against a real coordinator. The worker is part of the
//! test.

mod common;

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, json, text};

const SWEEP: &str = r#"
name = "why"
repetitions = 1
epochs = 3

[settings]
architecture = "perceptron-5"

[[stage]]
name = "coarse"
[stage.axes]
learning_rate = [0.1, 0.01]

[[stage]]
name = "fine"
[stage.axes]
learning_rate = { best_of = "coarse" }
"#;

fn says(cluster: &Cluster, trial: &str, what: &[&str]) {
    let said = cluster.command(&["explain", trial]);
    for what in what {
        assert!(said.contains(what), "{what:?} is missing:\n{said}");
    }
}

#[test]
fn a_trial_is_explained_from_its_place_in_line_to_its_result() {
    let mut cluster = Cluster::patient();
    let file = cluster.write("why.toml", SWEEP);
    cluster.command(&["submit", &file]);
    says(
        &cluster,
        "why/0.1.0",
        &[
            "why             no worker is connected",
            "1 trial of its sweep stands before it",
        ],
    );
    says(
        &cluster,
        "why/1.0.0",
        &[
            "stage           fine",
            "its learning_rate is still to be chosen from stage coarse: 2 trials that it is chosen from are not over",
        ],
    );
    let mut worker = FakeWorker::register(&cluster, "w");
    says(
        &cluster,
        "why/0.0.0",
        &["it is next in line for a free slot; 0 of 1 slot is busy"],
    );
    let lease = worker.lease().unwrap();
    worker.append(&lease, 1..=2);
    says(
        &cluster,
        "why/0.0.0",
        &[
            "slot 0 of w has had it for",
            "by itself",
            "2 of 3 epochs",
            "attempt 1: runs",
        ],
    );
    worker.finish(&lease, 2, Fate::Fails("it burst"));
    says(
        &cluster,
        "why/0.0.0",
        &[
            "leased by itself, as it has failed before (1 of 3 failures)",
            "attempts        1 (1 charged to the trial)",
            "attempt 1: failed: trained alone, it is charged",
            "ran on        w, an abacus, 1 thread",
            "error         it burst",
        ],
    );
    cluster.command(&["pause", "why"]);
    says(&cluster, "why/0.1.0", &["why             its sweep is paused"]);
    cluster.command(&["resume", "why"]);
    // What is stored tells the same after the coordinator was killed.
    cluster.kill();
    cluster.serve();
    let mut worker = FakeWorker::register(&cluster, "w");
    worker.train(2, |key| match key.index {
        0 => Fate::Succeeds,
        _ => Fate::DivergesIn(2),
    });
    says(
        &cluster,
        "why/0.1.0",
        &[
            "infinite or no number in epoch 2",
            "result          train_error 0.375, test_error 0.40625",
            "at epoch 1",
        ],
    );
    let said = json(&cluster.command(&["explain", "why/0.0.0", "--json"]));
    assert_eq!(said[0]["kind"], "explanation");
    assert_eq!(said[0]["state"], "succeeded");
    assert_eq!(said[0]["reasons"][0]["reason"], "succeeded");
    assert_eq!(said[0]["result"].as_object().unwrap().len(), 4);
    let ended: Vec<_> = said[1..].iter().map(|attempt| &attempt["ended"]).collect();
    assert_eq!(ended, ["succeeded", "failed"]);
    let output = cluster.try_command(&["explain", "why/0.2.0"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output.stderr).contains("has no trial 0.2.0"));
    let output = cluster.try_command(&["explain", "why"]);
    assert_eq!(output.status.code(), Some(2));
}
