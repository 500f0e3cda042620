//! Groups of several points, through every command that shows them. The worker is part of the test.

mod common;

use std::fs;

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, json};

const SWEEP: &str = r#"
name = "pooled"
repetitions = 3
epochs = 2
[settings]
architecture = "perceptron-5"
[axes]
learning_rate = [0.1, 0.01]
weight_sharing = [false, true]
"#;

/// Without sharing one point lacks repetition 1; with sharing one point has nothing.
fn fate(index: u64, repetition: u32) -> Fate {
    match (index, repetition) {
        (1, _) | (2, 1) => Fate::DivergesIn(2),
        _ => Fate::Succeeds,
    }
}

/// The test error after epoch 2 as the made-up worker has it.
fn value(index: f64, repetition: f64) -> f64 {
    0.125 + index / 8.0 + repetition / 16.0 + 1.0 / 32.0
}

#[test]
fn every_command_counts_repetitions_and_says_what_is_left_out() {
    let cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("pooled.toml", SWEEP)]);
    let mut worker = FakeWorker::register(&cluster, "abacus");
    worker.train(12, |trial| fate(trial.index, trial.repetition));
    let by = ["--by", "weight_sharing"];
    let command = |arguments: &[&str]| cluster.command(&[arguments, &by[..]].concat());

    let table = command(&["results", "last"]);
    for text in [
        " 2/3 ",
        "1 trial diverged; 1 of 3 repetitions left out",
        " 3/3 ",
        "3 trials diverged; 1 of 2 points left out",
        "n counts repetitions: within each the mean over the points of a group is taken first.",
        // The interval of two repetitions is wider than shares are.
        "34.38 % [0.00, 100.00]†",
        "†: the 95 % t interval, cut at 0 or 100 %",
    ] {
        assert!(table.contains(text), "{text} in\n{table}");
    }

    let tail = command(&["tail", "last"]);
    for text in [
        " cut at 0 or 100 %  (n = 2 of 3 repetitions of 2 points, 1 repetition left out; trials: 1 diverged)",
        "(n = 3 of 3 repetitions of 1 point, 1 point left out; trials: 3 diverged)",
    ] {
        assert!(tail.contains(text), "{text} in\n{tail}");
    }

    let logged = json(&command(&["tail", "last", "--json"]));
    let exported = json(&command(&["results", "last", "--json"]));
    let off = |line: &&serde_json::Value| line["axes"]["weight_sharing"] == false && line["epoch"] == 2;
    let logged = logged.iter().find(off).unwrap();
    let exported = exported
        .iter()
        .filter(off)
        .find(|line| line["metric"] == "test_error")
        .unwrap();
    for line in [logged, exported] {
        let number = |key: &str| line[key].as_u64().unwrap();
        assert_eq!(
            (number("v"), number("n"), number("repetitions")),
            (2, 2, 3),
            "{line}"
        );
        assert_eq!(
            (number("trials"), number("points"), number("points_left_out")),
            (6, 2, 0)
        );
        assert_eq!((number("twins"), number("repetitions_left_out")), (0, 1));
    }
    let within = |repetition| (value(0.0, repetition) + value(2.0, repetition)) / 2.0;
    let mean = (within(0.0) + within(2.0)) / 2.0;
    assert!(
        (exported["mean"].as_f64().unwrap() - mean).abs() < 1e-7,
        "{exported}"
    );
    assert_eq!(logged["metrics"]["test_error"]["mean"], exported["mean"]);
    let low = exported["ci95_low"].as_f64().unwrap();
    assert!(low < -0.4, "exports have the whole interval: {low}");
    let binomial = (mean * (1.0 - mean) / 1000.0).sqrt();
    assert!((exported["binomial_error"].as_f64().unwrap() - binomial).abs() < 1e-7);

    let csv = command(&["results", "last", "--format", "csv"]);
    let header: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    let at = |name: &str| header.iter().position(|column| *column == name).unwrap();
    let mut rows = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let on = rows
        .find(|row| {
            row[at("weight_sharing")] == "true"
                && row[at("epoch")] == "2"
                && row[at("metric")] == "test_error"
        })
        .unwrap();
    let cells = [
        "n",
        "repetitions",
        "diverged",
        "trials",
        "points",
        "points_left_out",
        "repetitions_left_out",
    ];
    assert_eq!(
        cells.map(|name| on[at(name)]),
        ["3", "3", "3", "6", "1", "1", "0"]
    );
    assert_eq!(on[at("mean")].parse::<f64>().unwrap(), value(3.0, 1.0));

    let figure = cluster.folder.path().join("figure.svg");
    command(&["plot", "last", "-o", &figure.display().to_string()]);
    let figure = fs::read_to_string(figure).unwrap();
    for text in ["Mean of 2 to 3 repetitions", "1 of 6 trials diverged"] {
        assert!(figure.contains(text), "{text} is not in the figure");
    }

    // Points by themselves have what they had.
    let by_point = json(&cluster.command(&["results", "last", "--json"]));
    let of_point = by_point.iter().find(|line| line["point"] == 2).unwrap();
    assert_eq!((&of_point["n"], &of_point["repetitions"]), (&2.into(), &3.into()));
    assert_eq!((&of_point["points"], &of_point["trials"]), (&1.into(), &3.into()));
}
