//! Real processes are killed in the middle of real training, and what comes out is to the byte what an undisturbed
//! run gives.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::{Cluster, children, kill};

const SWEEP: &str = r#"
name = "kills"
seed = 559
repetitions = 3
epochs = 40
data = { train = 300, test = 200 }
[settings]
architecture = "perceptron-30"
[axes]
weight_sharing = [false, true]
auxiliary_loss = [false, true]
"#;

/// Everything that is exported, bar timing and provenance.
fn exports(cluster: &Cluster) -> [String; 3] {
    [
        cluster.command(&["results", "last", "--format", "csv"]),
        cluster.command(&["results", "last", "--format", "jsonl"]),
        cluster.command(&["results", "last", "--raw", "--format", "csv"]),
    ]
}

/// Of each accepted epoch, the how-manieth attempt at its trial it is from.
fn attempts(cluster: &Cluster) -> Vec<u32> {
    let table = cluster.command(&["results", "last", "--raw", "--provenance", "--format", "csv"]);
    let mut rows = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let column = rows
        .next()
        .unwrap()
        .iter()
        .position(|name| *name == "attempt")
        .unwrap();
    rows.map(|row| row[column].parse().unwrap()).collect()
}

fn undisturbed() -> [String; 3] {
    let cluster = Cluster::start();
    let _worker = cluster.worker("one");
    cluster.command(&["submit", &cluster.write("kills.toml", SWEEP)]);
    let sweep = cluster.until_over();
    assert_eq!(sweep["trials"]["succeeded"], 12);
    exports(&cluster)
}

#[test]
fn kills_leave_no_trace_in_the_results() {
    let reference = undisturbed();
    let mut cluster = Cluster::start();
    let (mut first, second) = (cluster.worker("first"), cluster.worker("second"));
    cluster.command(&["submit", &cluster.write("kills.toml", SWEEP)]);

    // A trainer, in the middle of its epochs.
    cluster.until("training has begun", || (cluster.epochs() > 10).then_some(()));
    let trainer = cluster.until("there is a trainer", || children(second.0.id()).first().copied());
    kill(trainer);

    // The coordinator: workers train on, and hand over what they have when it is back.
    cluster.until("more is trained", || (cluster.epochs() > 60).then_some(()));
    cluster.coordinator.take().unwrap().kill();
    assert_eq!(
        cluster.try_command(&["list"]).status.code(),
        Some(3),
        "nobody answers any more"
    );
    cluster.serve();

    // A worker, for good: its trials are given to the others when its leases expire.
    cluster.until("more is trained", || (cluster.epochs() > 150).then_some(()));
    first.kill();

    // The coordinator again.
    cluster.until("more is trained", || (cluster.epochs() > 250).then_some(()));
    cluster.coordinator.take().unwrap().kill();
    cluster.serve();

    let sweep = cluster.until_over();
    assert_eq!(sweep["trials"]["succeeded"], 12, "{sweep}");
    assert!(
        attempts(&cluster).iter().any(|attempts| *attempts > 1),
        "no kill has cost a trial its attempt: nothing was shown"
    );
    assert!(
        exports(&cluster) == reference,
        "the results differ from those of an undisturbed run"
    );
}
