//! Searches that stop early and repetitions by need, against a real coordinator. The worker is part of the test.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, json, text};
use tenfold_proto::v1::TrialKey;

/// What is made up is the lower the lower the index is, and the higher the repetition is the more it is.
const SEARCH: &str = r#"
name = "search"
epochs = 4
repetitions = 2

[axes]
architecture = ["perceptron-5", "perceptron-6"]

[[stage]]
name = "scan"
stop = { rule = "successive-halving", from = 1, factor = 2, per = ["architecture"] }
[stage.axes]
learning_rate = [0.4, 0.3, 0.2, 0.1]

[[stage]]
name = "one-by-one"
stop = { rule = "asha", from = 2, factor = 2 }
repetitions = 1
[stage.axes]
batch_size = [20, 50]

[[stage]]
name = "best"
repetitions = { min = 2, max = 6, until = { ci95_half_width = 0.13 } }
[stage.axes]
learning_rate = { best_of = "scan" }
"#;

/// The best of the second network diverges at the first rung; a repetition by need does, too.
fn fate(key: TrialKey) -> Fate {
    match (key.stage, key.index, key.repetition) {
        (0, 4, 1) | (5, 1, 2) => Fate::DivergesIn(1),
        _ => Fate::Succeeds,
    }
}

/// 16, 8 and 4 of the rungs, 4 and 1 one by one, four repetitions of one point and six of the other.
const TRIALS: usize = 16 + 8 + 4 + 4 + 1 + 4 + 6;
/// What is best was trained twice at the last rung already.
const TRAINED: usize = TRIALS - 2 * 2;

/// Their bytes, by their names.
type Files = BTreeMap<String, Vec<u8>>;

fn files(folder: &Path) -> Files {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap().display().to_string();
                    files.insert(name, fs::read(&path).unwrap());
                }
            }
        }
    }
    files
}

/// Trains all of it; kills the coordinator after each so many trials. A report and all results, and the complete groups that a
/// follower was told of.
fn run(parts: &[usize]) -> (Cluster, Files, Vec<(u64, u64)>) {
    let mut cluster = Cluster::patient();
    let file = cluster.write("search.toml", SEARCH);
    let said = cluster.command(&["submit", &file]);
    assert!(
        said.contains("scan-at-1 8 × 2, scan-at-2 4 × 2, scan 2 × 2, one-by-one-at-2 4 × 1, one-by-one 4 × 1, best 2 × 2 to 6 = at most"),
        "{said}"
    );
    let follower = cluster.spawn(&["tail", "search", "--follow", "--json"]);
    assert_eq!(parts.iter().sum::<usize>(), TRAINED);
    for (part, trials) in parts.iter().enumerate() {
        let mut worker = FakeWorker::register(&cluster, "w");
        worker.train(*trials, fate);
        if part == 0 {
            follower.lines_until("at all", |_| true);
        }
        if part + 1 < parts.len() {
            cluster.kill();
            cluster.serve();
        }
    }
    let sweep = cluster.until_over();
    assert_eq!(sweep["state"], "complete");
    assert_eq!(
        (&sweep["trials"]["succeeded"], &sweep["trials"]["diverged"]),
        (&(TRIALS - 2).into(), &2.into())
    );
    let (code, lines, complained) = follower.end();
    assert_eq!(code, Some(0), "{complained}");
    let last_epochs = json(&lines.join("\n")).into_iter().filter(|line| {
        let epochs = [1, 2, 4, 2, 4, 4][line["stage"].as_u64().unwrap_or_default() as usize];
        line["kind"] == "epoch" && line["epoch"] == epochs
    });
    let mut groups: Vec<(u64, u64)> = last_epochs
        .map(|line| (line["stage"].as_u64().unwrap(), line["point"].as_u64().unwrap()))
        .collect();
    groups.sort_unstable();
    cluster.command(&["report", "search", "--stage", "best", "-o", "report"]);
    let results = cluster.command(&["results", "search", "--format", "csv"]);
    let mut report = files(&cluster.folder.path().join("report"));
    report.retain(|name, _| !name.starts_with("provenance."));
    report.insert("results.csv".to_owned(), results.into_bytes());
    (cluster, report, groups)
}

#[test]
fn a_search_comes_to_the_same_whenever_the_coordinator_is_killed() {
    let (cluster, report, groups) = run(&[TRAINED]);
    let (_, again, told_again) = run(&[3, 12, 1, 1, 6, 4, 1, 2, 3, 2, 1, 2, 1]);
    assert_eq!(
        report.keys().collect::<Vec<_>>(),
        again.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &report {
        assert!(again[name] == *bytes, "{name} differs");
    }
    // Each group once, those too that were complete by a decision. Where the coordinator was killed some may come again.
    let left = [
        (0, vec![0, 1, 2, 3, 4, 5, 6, 7]),
        (1, vec![0, 1, 5, 6]),
        (2, vec![0, 5]),
        (3, vec![0, 1, 2, 3]),
        (4, vec![0]),
        (5, vec![0, 1]),
    ];
    let all: Vec<(u64, u64)> = left
        .iter()
        .flat_map(|(stage, points)| points.iter().map(move |point| (*stage, *point)))
        .collect();
    let is_first = |groups: &[(u64, u64)]| {
        let mut groups = groups.to_vec();
        groups.dedup();
        groups
    };
    assert!(
        is_first(&groups).iter().all(|group| all.contains(group)),
        "{groups:?}"
    );
    assert!(all[8..].iter().all(|group| groups.contains(group)), "{groups:?}");
    assert!(
        all[8..].iter().all(|group| told_again.contains(group)),
        "{told_again:?}"
    );
    assert_eq!(groups, is_first(&groups), "none twice");

    let shown = cluster.command(&["show", "search"]);
    for said in [
        "2 of 4 points go on to scan-at-2 (points 0, 1) where architecture perceptron-5 (successive-halving of test_error at epoch 1 of scan-at-1)",
        "2 of 4 points go on to scan-at-2 (points 5, 6) where architecture perceptron-6",
        "1 of 2 points goes on to scan (point 5)",
        "point 0 goes on to one-by-one where architecture perceptron-5, batch_size 20 (asha of test_error at epoch 2 of one-by-one-at-2)",
        "point 2 stops before one-by-one",
        "point 0 of best has enough with 4 repetitions where architecture perceptron-5, learning_rate 0.4 (ci95-half-width",
        "point 1 of best gets 6 repetitions",
        "all else      as in stage scan-at-1",
    ] {
        assert!(shown.contains(said), "{said} in {shown}");
    }
    let left_out = cluster.command(&["explain", "search/1.2.0"]);
    assert!(
        left_out.contains("left out")
            && left_out.contains("it is not run: 2 of 4 points go on to scan-at-2 (points 0, 1)"),
        "{left_out}"
    );
    let enough = cluster.command(&["explain", "search/5.0.4"]);
    assert!(
        enough.contains("it is not run: point 0 of best has enough with 4 repetitions"),
        "{enough}"
    );
    let table = cluster.command(&["results", "search", "--stage", "best"]);
    assert!(table.contains("4/4") && table.contains("5/6"), "{table}");
    let scan = json(&cluster.command(&["results", "search", "--stage", "scan", "--json"]));
    assert!(
        scan.iter().all(|row| row["point"] == 0 || row["point"] == 5),
        "{scan:?}"
    );
    let log = fs::read_dir(cluster.folder.path().join("runs"))
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path().join("aggregate.jsonl")).ok())
        .collect::<String>();
    let decided = log
        .lines()
        .filter(|line| line.contains("\"kind\":\"choice\""))
        .count();
    assert_eq!(decided, 2 + 2 + 4 + 2 + 3 + 4, "each choice once");
}

#[test]
fn a_search_is_extended_stopped_and_resumed() {
    let mut cluster = Cluster::patient();
    let file = cluster.write("search.toml", SEARCH);
    cluster.command(&["submit", &file]);
    let mut worker = FakeWorker::register(&cluster, "w");
    worker.train(5, fate);
    cluster.command(&["stop", "search"]);
    cluster.kill();
    cluster.serve();
    cluster.command(&["resume", "search"]);
    let mut worker = FakeWorker::register(&cluster, "w");
    worker.train(TRAINED - 5, fate);
    cluster.until_over();
    let said = cluster.command(&["extend", "search", "--repetitions", "3", "--stage", "scan-at-2"]);
    assert!(said.contains("scan-at-2 4 × 3"), "{said}");
    worker.train(4, fate);
    let sweep = cluster.until_over();
    assert_eq!(sweep["trials"]["succeeded"], TRIALS - 2 + 4);
    let refused = cluster.try_command(&["extend", "search", "--repetitions", "9", "--stage", "best"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("added by need"),
        "{}",
        text(&refused.stderr)
    );
    cluster.command(&[
        "refine",
        "search",
        "--axis",
        "learning_rate",
        "--points",
        "3",
        "--stage",
        "scan",
    ]);
    worker.train(2 * 3 * 2 - 2 * 2, fate);
    cluster.until_over();
    let compared = cluster.command(&[
        "compare",
        "search",
        "--by",
        "architecture",
        "--stage",
        "best",
        "--json",
    ]);
    let compared = json(&compared);
    assert_eq!(
        compared[0]["n"], 3,
        "the repetitions that both have: {compared:?}"
    );
}
