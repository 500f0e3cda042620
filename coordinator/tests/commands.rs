//! Every command against a real coordinator. The worker is part of the test, so that each trial has the fate that the
//! test wants for it.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::fs;

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, SWEEP, golden, json, tenfold, text};
use serde_json::Value;

/// A command that fails: its exit code, and what it says.
fn refused(cluster: &Cluster, arguments: &[&str]) -> (i32, String) {
    let output = cluster.try_command(arguments);
    assert_eq!(text(&output.stdout), "", "tenfold {arguments:?}");
    (output.status.code().unwrap(), text(&output.stderr))
}

#[test]
fn a_sweep_is_submitted_once_and_found_by_any_of_its_names() {
    let cluster = Cluster::patient();
    assert!(cluster.command(&["list"]).contains("tenfold submit FILE"));
    assert!(
        cluster
            .command(&["workers"])
            .contains(&format!("tenfold worker --coordinator {}", cluster.address()))
    );
    assert_eq!(refused(&cluster, &["show", "last"]).0, 4, "there is none yet");

    let file = cluster.write("small.toml", SWEEP);
    let said = cluster.command(&["submit", &file]);
    let id = cluster.sweep().unwrap()["sweep"].as_str().unwrap().to_owned();
    let short = &id[..8];
    assert!(
        said.starts_with(&format!(
            "submitted small ({short}): 4 points × 2 repetitions = 8 trials\n"
        )),
        "{said}"
    );
    for next in ["tail", "show", "results", "plot"] {
        assert!(said.contains(&format!("  tenfold {next} {short}")), "{said}");
    }
    // They are typed as they are printed.
    let show = said.lines().find(|line| line.contains("tenfold show")).unwrap();
    let words: Vec<&str> = show.split("  ").nth(1).unwrap().split(' ').skip(1).collect();
    let typed = tenfold().args(&words).output().unwrap();
    assert_eq!(typed.status.code(), Some(0), "{words:?}");
    assert!(
        cluster
            .command(&["submit", &file])
            .starts_with(&format!("small ({short}) is there already: active, 0 of 8"))
    );
    assert!(
        cluster
            .command(&["plan", &file])
            .ends_with("this sweep has been submitted already\n")
    );

    // Another one whose name begins as the first one's does.
    cluster.command(&[
        "submit",
        &cluster.write(
            "other.toml",
            &SWEEP
                .replace("small", "smaller")
                .replace("epochs = 3", "epochs = 4"),
        ),
    ]);
    let again = cluster.write("renamed.toml", &SWEEP.replace("small", "tiny"));
    assert!(
        cluster.command(&["submit", &again]).starts_with("small ("),
        "a name is a label, the same sweep is the same"
    );
    let name_of = |selector: &str| json(&cluster.command(&["show", selector, "--json"]))[0]["name"].clone();
    for selector in ["small", short, &id, &id.to_uppercase()] {
        assert_eq!(name_of(selector), "small", "{selector}");
    }
    for selector in ["last", "smaller", "smalle"] {
        assert_eq!(name_of(selector), "smaller", "{selector}");
    }
    let (code, complaint) = refused(&cluster, &["show", "smal"]);
    assert!(
        code == 2 && complaint.contains("fits 2 sweeps") && complaint.contains(short),
        "{code} {complaint}"
    );
    let (code, complaint) = refused(&cluster, &["results", "large"]);
    assert!(
        code == 4 && complaint.contains("no sweep fits \"large\""),
        "{code} {complaint}"
    );
    assert_eq!(refused(&cluster, &["pause", ""]).0, 2);
    assert_eq!(
        refused(&cluster, &["show", "last/0.4.0"]).0,
        4,
        "points are numbered 0 to 3"
    );
    assert_eq!(
        refused(&cluster, &["show", "last/0.0.2"]).0,
        4,
        "repetitions are numbered 0 and 1"
    );
    assert_eq!(refused(&cluster, &["show", "last/first"]).0, 2);
    assert_eq!(
        refused(&cluster, &["results", "last", "--by", "dropout"]).0,
        2,
        "no axis of it"
    );

    let names: Vec<Value> = json(&cluster.command(&["list", "--json"]))
        .iter()
        .map(|sweep| sweep["name"].clone())
        .collect();
    assert_eq!(names, ["smaller", "small"], "the newest first");
    assert!(
        cluster
            .command(&["list", "--limit", "1"])
            .contains("there are more")
    );
}

#[test]
fn bad_sweeps_are_refused_where_they_are_wrong_and_nothing_is_submitted() {
    let cluster = Cluster::patient();
    let cases = [
        (format!("epoks = 3\n{SWEEP}"), "epochs"),
        (SWEEP.replace("1e-3", "nan"), "nan"),
        (
            SWEEP.replace("[1e-3, 1e-2]", "{ log = [1e-6, 1e-1], points = 1000000000000 }"),
            "at most 10000000",
        ),
        (SWEEP.replace("repetitions = 2", "repetitions = 0"), "repetitions"),
    ];
    for (sweep, says) in cases {
        let file = cluster.write("wrong.toml", &sweep);
        for command in ["submit", "plan"] {
            let (code, complaint) = refused(&cluster, &[command, &file]);
            assert!(
                code == 2 && complaint.contains("wrong.toml:") && complaint.contains(says),
                "{code} {complaint}"
            );
        }
    }
    assert!(cluster.sweep().is_none());
}

#[test]
fn divergence_is_a_result_and_failures_are_told_and_retried() {
    let cluster = Cluster::patient();
    let file = cluster.write("small.toml", SWEEP);
    let waiting = cluster.spawn(&["submit", &file, "--wait"]);
    cluster.until("it is submitted", || cluster.sweep());
    let mut worker = FakeWorker::register(&cluster, "abacus");
    let workers = json(&cluster.command(&["workers", "--json"]));
    assert_eq!(
        (&workers[0]["host"], &workers[0]["connected"]),
        (&"abacus".into(), &true.into())
    );
    assert!(cluster.command(&["workers"]).contains("an abacus"));

    // 8 trials; one of point 1 diverges at once, one of point 2 in its third epoch; one of point 3 fails three times.
    worker.train(10, |trial| match (trial.index, trial.repetition) {
        (1, 1) => Fate::DivergesIn(1),
        (2, 0) => Fate::DivergesIn(3),
        (3, 1) => Fate::Fails("it fell over"),
        _ => Fate::Succeeds,
    });
    let (code, _, complained) = waiting.end();
    assert_eq!(code, Some(1), "a trial failed: {complained}");
    assert!(
        complained.contains("/8 trials"),
        "plain lines where there is no terminal: {complained}"
    );
    let sweep = cluster.until_over();
    assert_eq!(
        (
            &sweep["state"],
            &sweep["trials"]["diverged"],
            &sweep["trials"]["failed"]
        ),
        (&"failed".into(), &2.into(), &1.into())
    );

    golden("table.txt", &cluster.command(&["results", "last"]));
    golden(
        "results.csv",
        &cluster.command(&["results", "last", "--format", "csv"]),
    );
    golden("results.jsonl", &cluster.command(&["results", "last", "--json"]));
    golden(
        "by-axis.csv",
        &cluster.command(&["results", "last", "--by", "weight_sharing", "--format", "csv"]),
    );
    golden(
        "curves.csv",
        &cluster.command(&["results", "last", "--raw", "--format", "csv"]),
    );
    golden(
        "curves.jsonl",
        &cluster.command(&["results", "last", "--raw", "--format", "jsonl"]),
    );
    golden("tail.txt", &cluster.command(&["tail", "last"]));
    let provenance = cluster.command(&["results", "last", "--raw", "--provenance", "--format", "csv"]);
    assert!(
        provenance.contains("an abacus") && provenance.contains("0.25"),
        "{provenance}"
    );
    assert_eq!(
        refused(&cluster, &["results", "last", "--raw"]).0,
        2,
        "there is no table of single curves"
    );

    let out = cluster.folder.path().join("deep/results.csv");
    assert_eq!(
        cluster.command(&["results", "last", "--format", "csv", "-o", out.to_str().unwrap()]),
        ""
    );
    assert_eq!(
        fs::read_to_string(&out).unwrap(),
        cluster.command(&["results", "last", "--format", "csv"])
    );
    let link = cluster.folder.path().join("link.txt");
    std::os::unix::fs::symlink(&out, &link).unwrap();
    cluster.command(&["results", "last", "-o", link.to_str().unwrap()]);
    assert!(link.is_symlink(), "what a link names is written, not the link");
    assert_eq!(
        fs::read_to_string(&out).unwrap(),
        cluster.command(&["results", "last"])
    );
    for (file, begins) in [
        ("figure.svg", b"<svg".as_slice()),
        ("figure.png", b"\x89PNG\r\n\x1a\n"),
    ] {
        cluster.command(&[
            "plot",
            "last",
            "-o",
            file,
            "--by",
            "weight_sharing",
            "--title",
            "a title",
        ]);
        let figure = fs::read(cluster.folder.path().join(file)).unwrap();
        assert!(
            figure
                .windows(begins.len())
                .take(200)
                .any(|window| window == begins),
            "{file}"
        );
    }

    let shown = cluster.command(&["show", "last"]);
    assert!(
        shown.contains("failed: 8 of 8 trials over (2 diverged, 1 failed)"),
        "{shown}"
    );
    assert!(
        shown.contains("0.3.1") && shown.contains("it fell over"),
        "{shown}"
    );
    let trial = cluster.command(&["show", "last/0.3.1"]);
    for line in [
        "attempts        3 (3 charged to the trial)",
        "it fell over",
        "    it fell over, said the trainer",
        "attempt 3: failed",
    ] {
        assert!(trial.contains(line), "{line} is not in\n{trial}");
    }
    let objects = json(&cluster.command(&["show", "last/0.3.1", "--json"]));
    assert_eq!(
        objects
            .iter()
            .map(|object| object["kind"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["trial", "attempt", "attempt", "attempt"]
    );

    assert!(
        cluster
            .command(&["retry", "last", "--cancelled"])
            .starts_with("0 trials"),
        "none was cancelled"
    );
    let retried = cluster.command(&["retry", "small", "--failed"]);
    assert!(retried.starts_with("1 trial"), "{retried}");
    assert_eq!(cluster.sweep().unwrap()["state"], "active");
    worker.train(1, |_| Fate::Succeeds);
    let sweep = cluster.until_over();
    assert_eq!(
        (&sweep["state"], &sweep["trials"]["failed"]),
        (&"complete".into(), &0.into())
    );
    assert_eq!(
        cluster.try_command(&["submit", &file, "--wait"]).status.code(),
        Some(0),
        "divergence alone is no failure"
    );
    assert_eq!(
        cluster.try_command(&["tail", "last", "--follow"]).status.code(),
        Some(0)
    );
}

#[test]
fn a_figure_with_too_many_lines_is_refused() {
    let cluster = Cluster::patient();
    let many = SWEEP.replace("[1e-3, 1e-2]", "{ log = [1e-6, 1e-1], points = 300 }");
    cluster.command(&["submit", &cluster.write("many.toml", &many)]);
    let (code, complaint) = refused(&cluster, &["plot", "last", "-o", "figure.svg"]);
    assert_eq!(code, 4, "{complaint}");
    assert!(complaint.contains("600 lines are too many"), "{complaint}");
    cluster.command(&["plot", "last", "-o", "figure.svg", "--by", "weight_sharing"]);
}

#[test]
fn orders_are_followed() {
    let cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let mut worker = FakeWorker::register(&cluster, "abacus");
    let state = || cluster.sweep().unwrap()["state"].clone();

    assert!(cluster.command(&["pause", "last"]).starts_with("small ("));
    assert_eq!(state(), "paused");
    assert!(worker.lease().is_none(), "nothing is handed out");
    assert_eq!(
        json(&cluster.command(&["resume", "last", "--json"]))[0]["state"],
        "active"
    );

    let lease = worker.lease().unwrap();
    worker.append(&lease, 1..=2);
    assert!(cluster.command(&["stop", "last"]).contains("stopping"));
    assert_eq!(
        json(&cluster.command(&["show", "last/0.0.0", "--json"]))[0]["epochs"],
        2
    );
    worker.append(&lease, 3..=3);
    worker.finish(&lease, 3, Fate::Succeeds);
    let sweep = cluster.until_over();
    assert_eq!(
        (&sweep["state"], &sweep["trials"]["succeeded"]),
        (&"cancelled".into(), &1.into())
    );
    assert_eq!(
        cluster.try_command(&["tail", "last", "--follow"]).status.code(),
        Some(1)
    );

    // Resumed and cancelled: what runs is not finished either.
    cluster.command(&["resume", "last"]);
    let lease = worker.lease().unwrap();
    worker.append(&lease, 1..=1);
    cluster.command(&["cancel", "last"]);
    assert_eq!(cluster.until_over()["trials"]["succeeded"], 1);
    assert!(
        cluster
            .command(&["retry", "last", "--cancelled"])
            .starts_with("7 trials")
    );
    worker.train(7, |_| Fate::Succeeds);
    assert_eq!(cluster.until_over()["state"], "complete");
}

#[test]
fn every_line_of_json_has_its_version_and_kind() {
    let cluster = Cluster::patient();
    let file = cluster.write("small.toml", SWEEP);
    let kinds = |arguments: &[&str]| -> Vec<String> {
        let lines = json(&cluster.command(&[arguments, &["--json"]].concat()));
        assert!(lines.iter().all(|line| line["v"] == 2), "{lines:?}");
        let mut kinds: Vec<String> = lines
            .iter()
            .map(|line| line["kind"].as_str().unwrap().to_owned())
            .collect();
        kinds.dedup();
        kinds
    };
    assert_eq!(kinds(&["plan", &file]), ["plan"]);
    assert_eq!(kinds(&["submit", &file]), ["sweep"]);
    FakeWorker::register(&cluster, "abacus").train(4, |_| Fate::Succeeds);
    for (command, expected) in [
        (&["list"] as &[&str], &["sweep"] as &[&str]),
        (&["show", "last"], &["sweep"]),
        (&["show", "last/0.0.0"], &["trial", "attempt"]),
        (&["workers"], &["worker"]),
        (&["results", "last"], &["group"]),
        (&["results", "last", "--raw"], &["trial_epoch"]),
        (&["tail", "last"], &["progress", "sweep"]),
        (&["plot", "last", "-o", "figure.svg"], &["file"]),
        (&["pause", "last"], &["sweep"]),
        (&["resume", "last"], &["sweep"]),
        (&["stop", "last"], &["sweep"]),
        (&["retry", "last", "--cancelled"], &["sweep"]),
        (&["cancel", "last"], &["sweep"]),
    ] {
        assert_eq!(kinds(command), expected, "{command:?}");
    }
    let again = json(&cluster.command(&["submit", &file, "--json"]));
    assert_eq!(again[0]["existing"], true);
    let retried = json(&cluster.command(&["retry", "last", "--cancelled", "--json"]));
    assert_eq!(retried[0]["retried"], 4);
}
