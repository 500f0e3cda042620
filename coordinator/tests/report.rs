//! Reports of real coordinators' sweeps. The worker is part of the test.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, text};

const SWEEP: &str = r#"
name = "study"
description = "a <b> & c"
epochs = 3

[[stage]]
name = "rates"
repetitions = 2
[stage.axes]
architecture = ["perceptron-5", "perceptron-6"]
learning_rate = { log = [1e-3, 1e-1], points = 3 }

[[stage]]
name = "modes"
repetitions = 3
[stage.settings]
architecture = "perceptron-5"
[stage.axes]
weight_sharing = [false, true]
auxiliary_loss = [false, true]

[[hypothesis]]
claim = "weight <sharing> raises the error, by a tenth"
stage = "modes"
metric = "test_error"
this = { weight_sharing = true, auxiliary_loss = false }
than = { weight_sharing = false, auxiliary_loss = false }
higher_by = 0.1
"#;

/// All files under a folder, by their place in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    files
}

/// The rows of a CSV file, by the names of its columns.
fn rows(csv: &[u8]) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(csv);
    reader.deserialize().map(Result::unwrap).collect()
}

#[test]
fn a_report_is_the_same_bytes_each_time_and_its_numbers_are_those_of_the_results() {
    let mut cluster = Cluster::patient();
    let file = cluster.write("study.toml", SWEEP);
    cluster.command(&["submit", &file]);
    let refused = cluster.try_command(&["report", "study", "-o", "early"]);
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("no trial of the sweep has succeeded"));

    let mut worker = FakeWorker::register(&cluster, "first");
    worker.train(5, |_| Fate::Succeeds);
    cluster.command(&["report", "study", "-o", "provisional"]);
    let folder = cluster.folder.path().to_owned();
    let page = fs::read_to_string(folder.join("provisional/report.md")).unwrap();
    assert!(
        page.contains("**Provisional.** The sweep is active: 19 of 24"),
        "{page}"
    );

    // One trial diverges and one fails, three times over.
    worker.train(19 + 2, |key| match (key.stage, key.index, key.repetition) {
        (1, 3, 2) => Fate::DivergesIn(2),
        (1, 1, 0) => Fate::Fails("the <abacus> broke"),
        _ => Fate::Succeeds,
    });
    cluster.until_over();
    cluster.command(&["report", "study", "-o", "first"]);
    cluster.kill();
    cluster.serve();
    cluster.command(&["report", "study", "-o", "deep/second"]);
    let (first, second) = (files(&folder.join("first")), files(&folder.join("deep/second")));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&first), names(&second));
    for (name, bytes) in &first {
        let same = second[name] == *bytes;
        assert!(same || name.starts_with("provenance."), "{name} differs");
    }

    let results = cluster.command(&["results", "study", "--format", "csv"]);
    let results = rows(results.as_bytes());
    let mut compared = 0;
    for stage in ["rates", "modes"] {
        for row in rows(&first[&format!("tables/{stage}-groups.csv")]) {
            let of = results
                .iter()
                .find(|of| {
                    let same = |name: &str, value: &str| of[name] == value;
                    same("stage", &row["stage"])
                        && same("point", &row["point"])
                        && same("epoch", "3")
                        && same("metric", "test_error")
                })
                .unwrap();
            for (column, name) in [
                ("mean", "test_error_mean"),
                ("standard_deviation", "test_error_standard_deviation"),
                ("ci95_low", "test_error_ci95_low"),
                ("ci95_high", "test_error_ci95_high"),
                ("median", "test_error_median"),
                ("diverged", "diverged"),
                ("failed", "failed"),
            ] {
                assert_eq!(of[column], row[name], "{column} of {row:?}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 7 * (6 + 4));

    // The same comparisons, asked for by themselves, are the same rows.
    let compare = |format: &str| {
        let by = "weight_sharing,auxiliary_loss";
        cluster.command(&[
            "compare", "study", "--stage", "modes", "--by", by, "--format", format,
        ])
    };
    assert_eq!(compare("csv"), text(&first["tables/modes-comparisons.csv"]));
    let rows_of = |latex: &str| -> Vec<String> {
        let rows = latex.lines().skip_while(|line| !line.contains("tabular"));
        rows.map(str::to_owned).collect()
    };
    let latex = rows_of(&compare("latex"));
    assert_eq!(latex.iter().filter(|line| line.ends_with("\\\\")).count(), 1 + 7);
    assert_eq!(latex, rows_of(&text(&first["tables/modes-comparisons.tex"])));

    let page = text(&first["report.md"]);
    assert!(
        !page.contains("Provisional") && page.contains("## Stage modes"),
        "{page}"
    );
    let lost = text(&first["tables/not-succeeded.csv"]);
    assert!(
        lost.contains("1.3.2,") && lost.contains("no number in epoch 2"),
        "{lost}"
    );
    assert!(
        lost.contains("1.1.0,") && lost.contains("the <abacus> broke"),
        "{lost}"
    );
    assert!(text(&first["index.html"]).contains("the &lt;abacus&gt; broke"));
    for figure in [
        "rates-test-error-learning-rate",
        "rates-curves-test-error",
        "modes-curves",
        "modes-comparisons",
    ] {
        assert!(first.contains_key(&format!("figures/{figure}.svg")), "{figure}");
        assert!(
            first[&format!("figures/{figure}.png")].starts_with(b"\x89PNG"),
            "{figure}"
        );
    }
    let verdict = &common::json(&cluster.command(&["hypotheses", "study", "--json"]))[0];
    let row = &rows(&first["tables/hypotheses.csv"])[0];
    assert_eq!(verdict["verdict"], row["verdict"].as_str());
    let number = |text: &str| text.parse::<f64>().unwrap();
    assert!((verdict["ci95_low"].as_f64().unwrap() - number(&row["ci95_low"])).abs() < 1e-6);
    let claim = page.find("weight \\<sharing\\> raises").unwrap();
    assert!(claim < page.find("## In short").unwrap(), "verdicts come first");

    let provenance: serde_json::Value = serde_json::from_slice(&first["provenance.json"]).unwrap();
    assert_eq!(provenance["places"][0]["host"], "first");
    assert!(!page.contains("an abacus"), "where it ran is provenance alone");

    let refuses = |arguments: &[&str], what: &str| {
        let output = cluster.try_command(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(what), "{}", text(&output.stderr));
    };
    refuses(&["report", "study", "-o", "study.toml"], "study.toml is a file");
    refuses(
        &["report", "study", "-o", "x", "--stage", "mode"],
        "the sweep's are rates, modes",
    );
    refuses(&["report", "study", "-o", "x", "--metric", "error"], "error");
    cluster.command(&[
        "report",
        "study",
        "-o",
        "one",
        "--stage",
        "modes",
        "--metric",
        "test_loss",
    ]);
    let one = files(&folder.join("one"));
    assert!(one.contains_key("tables/modes-groups.csv") && !one.contains_key("tables/rates-groups.csv"));
}

#[test]
fn a_report_in_the_folder_of_an_older_one_removes_what_is_no_longer_part_of_it_and_nothing_else() {
    let cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("study.toml", SWEEP)]);
    let mut worker = FakeWorker::register(&cluster, "w");
    worker.train(24, |key| match (key.stage, key.index) {
        (0, 0) => Fate::DivergesIn(2),
        _ => Fate::Succeeds,
    });
    cluster.until_over();
    let folder = cluster.folder.path().join("report");
    let report = |more: &[&str]| {
        cluster.command(&[&["report", "study", "-o", "report"], more].concat());
        files(&folder)
    };
    let whole = report(&[]);
    let own = [
        ("README.md", "mine"),
        ("tables/mine.csv", "mine"),
        ("figures/rates-mine.svg", "mine"),
    ];
    for (name, text) in own {
        fs::write(folder.join(name), text).unwrap();
    }
    let (changed, replaced) = ("tables/rates-groups.csv", "tables/rates-groups.tex");
    assert!(whole.contains_key(changed) && whole.contains_key(replaced));
    fs::write(folder.join(changed), "corrected by hand").unwrap();
    fs::remove_file(folder.join(replaced)).unwrap();
    std::os::unix::fs::symlink(folder.join("README.md"), folder.join(replaced)).unwrap();

    let of_modes = report(&["--stage", "modes"]);
    cluster.command(&["report", "study", "-o", "alone", "--stage", "modes"]);
    let alone = files(&cluster.folder.path().join("alone"));
    let stays: Vec<&str> = own
        .iter()
        .map(|(name, _)| *name)
        .chain([changed, replaced])
        .collect();
    let names = |of: &BTreeMap<String, Vec<u8>>| -> Vec<String> {
        let names = of.keys().filter(|name| !stays.contains(&name.as_str()));
        names.cloned().collect()
    };
    assert_eq!(names(&of_modes), names(&alone));
    assert!(whole.len() > alone.len(), "there was something to remove");
    for (name, text) in own
        .into_iter()
        .chain([(changed, "corrected by hand"), (replaced, "mine")])
    {
        assert_eq!(of_modes[name], text.as_bytes(), "{name}");
    }
    for (name, bytes) in &alone {
        assert!(
            name.starts_with("provenance.") || of_modes[name] == *bytes,
            "{name} differs"
        );
    }
    // Back again; a list that leads elsewhere removes nothing there.
    let outside = cluster.folder.path().join("outside");
    fs::write(&outside, "").unwrap();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let list = serde_json::json!({ "kind": "provenance", "files": { "../outside": empty } });
    fs::write(folder.join("provenance.json"), list.to_string()).unwrap();
    let again = report(&[]);
    assert!(outside.exists());
    assert_eq!(names(&again), names(&whole));
    for (name, bytes) in &whole {
        let written = again[name] == *bytes || name.starts_with("provenance.");
        assert!(written, "{name} differs");
    }
}

/// A choice and verdicts between stages; trials are trained in parts, and the coordinator is killed after each.
const RULES: &str = r#"
name = "rules"
repetitions = 3
epochs = 12

[axes]
architecture = ["perceptron-5", "perceptron-7"]

[[stage]]
name = "coarse"
[stage.axes]
learning_rate = [0.1, 0.01, 0.001]

[[stage]]
name = "modes"
epochs = 11
[stage.axes]
weight_sharing = [false, true]
auxiliary_loss = [false, true]
learning_rate = { best_of = "coarse" }

[[hypothesis]]
claim = "the auxiliary loss changes little"
stage = "modes"
this = { weight_sharing = false, auxiliary_loss = true }
than = { weight_sharing = false, auxiliary_loss = false }
within = 0.2
"#;

fn report_after(parts: &[usize]) -> BTreeMap<String, Vec<u8>> {
    let mut cluster = Cluster::patient();
    let file = cluster.write("rules.toml", RULES);
    cluster.command(&["submit", &file]);
    for trials in parts {
        let mut worker = FakeWorker::register(&cluster, "w");
        worker.train(*trials, |key| match (key.stage, key.index, key.repetition) {
            (0, 1, 2) => Fate::DivergesIn(4),
            (1, 3, 0) => Fate::DivergesIn(2),
            _ => Fate::Succeeds,
        });
        cluster.kill();
        cluster.serve();
    }
    cluster.until_over();
    cluster.command(&["report", "rules", "-o", "report"]);
    files(&cluster.folder.path().join("report"))
}

#[test]
fn kills_between_and_inside_stages_change_no_byte_of_a_report() {
    let all = 2 * 3 * 3 + 2 * 4 * 3;
    let undisturbed = report_after(&[all]);
    let parts = [5, 8, 4, 1, 1, 3, 7, 12, 1];
    assert_eq!(parts.iter().sum::<usize>(), all);
    let killed = report_after(&parts);
    for (name, bytes) in &undisturbed {
        if !name.starts_with("provenance") {
            assert!(killed.get(name) == Some(bytes), "{name} differs");
        }
    }
    assert_eq!(undisturbed.len(), killed.len());
    let page = text(&undisturbed["report.md"]);
    assert!(
        page.contains("chosen for modes") && page.contains("the auxiliary loss changes little"),
        "{page}"
    );
}
