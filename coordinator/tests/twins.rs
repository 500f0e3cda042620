//! Points that are the same network, with real processes: one of them is trained, and a coordinator that is killed changes
//! nothing.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::Cluster;

/// Where the auxiliary loss is off, all five weights are one network.
const SWEEP: &str = r#"
name = "twins"
seed = 13
repetitions = 2
epochs = 12
data = { train = 200, test = 200 }
[settings]
architecture = "perceptron-10"
[axes]
auxiliary_loss = [false, true]
aux_weight = [0.1, 0.3, 1.0, 3.0, 10.0]
"#;

/// The values of each trial epoch by epoch, by point and repetition; and where each was trained.
type Curves = BTreeMap<(u64, u32), Vec<String>>;

/// The rows of an export: for each trial what these columns have.
fn rows(cluster: &Cluster, arguments: &[&str], wanted: impl Fn(&str) -> bool) -> Curves {
    let table = cluster.command(arguments);
    let mut lines = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let column = |name: &str| header.iter().position(|of| *of == name).unwrap();
    let (point, repetition) = (column("point"), column("repetition"));
    let mut rows = Curves::new();
    for line in lines {
        let key = (line[point].parse().unwrap(), line[repetition].parse().unwrap());
        let values = header.iter().zip(&line).filter(|(name, _)| wanted(name));
        let values: Vec<&str> = values.map(|(_, value)| *value).collect();
        rows.entry(key).or_default().push(values.join(","));
    }
    rows
}

fn curves(cluster: &Cluster) -> Curves {
    let measured = |name: &str| name == "epoch" || name.ends_with("error") || name.ends_with("_loss");
    let measured = |name: &str| measured(name) && name != "auxiliary_loss";
    rows(
        cluster,
        &["results", "last", "--raw", "--format", "csv"],
        measured,
    )
}

fn run(kill: bool) -> Curves {
    let mut cluster = Cluster::start();
    let _worker = cluster.worker("one");
    let file = cluster.write("twins.toml", SWEEP);
    let plan = cluster.command(&["plan", &file]);
    assert!(plan.contains("= 20, 12 of them trained"), "{plan}");
    assert!(plan.contains("4 of the 10 points are the same network"), "{plan}");
    cluster.command(&["submit", &file]);
    if kill {
        cluster.until("training has begun", || (cluster.epochs() > 5).then_some(()));
        cluster.coordinator.take().unwrap().kill();
        cluster.serve();
    }
    let sweep = cluster.until_over();
    assert_eq!(sweep["trials"]["succeeded"], 20);
    let curves = curves(&cluster);
    assert_eq!(curves.len(), 20);
    for repetition in 0..2 {
        for point in 1..5 {
            assert_eq!(
                curves[&(point, repetition)],
                curves[&(0, repetition)],
                "point {point}"
            );
        }
    }
    let all: BTreeSet<&Vec<String>> = curves.values().collect();
    assert_eq!(all.len(), 12, "as many curves as different trials");
    // No attempt names a twin: whoever explains one says whose result it has.
    let said = cluster.command(&["explain", "last/0.3.1"]);
    assert!(said.contains("it has the result of trial"), "{said}");
    curves
}

#[test]
fn one_network_is_trained_once_and_a_kill_changes_nothing() {
    assert_eq!(run(false), run(true));
}
