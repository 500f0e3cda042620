//! Every command against a real coordinator. The worker is part of the test, so that each trial has the fate that the
//! test wants for it.

mod common;

use std::fs;
use std::net::TcpStream;

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, Running, golden, signal, tenfold, text};
use serde_json::Value;

const SWEEP: &str = r#"
name = "small"
epochs = 3
repetitions = 2
[settings]
architecture = "perceptron-10"
[axes]
learning_rate = [1e-3, 1e-2]
weight_sharing = [false, true]
"#;

fn json(lines: &str) -> Vec<Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

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
        fs::read_to_string(out).unwrap(),
        cluster.command(&["results", "last", "--format", "csv"])
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

/// The (point, repetition, epoch) of each line of `tail --raw --json` that is about an epoch.
fn epochs(lines: &[Value]) -> Vec<(u64, u64, u64)> {
    let number = |line: &Value, key: &str| line[key].as_u64().unwrap();
    let of = |line: &&Value| line["kind"] == "trial_epoch";
    lines
        .iter()
        .filter(of)
        .map(|line| {
            (
                number(line, "point"),
                number(line, "repetition"),
                number(line, "epoch"),
            )
        })
        .collect()
}

#[test]
fn a_tail_survives_the_coordinator_and_neither_repeats_nor_misses() {
    let mut cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let mut worker = FakeWorker::register(&cluster, "abacus");
    let lease = worker.lease().unwrap();
    assert_eq!(worker.append(&lease, 1..=2), 2);
    let is_epoch = |epoch: u32| {
        move |line: &str| line.contains("trial_epoch") && line.contains(&format!("\"epoch\":{epoch},"))
    };

    let raw = cluster.spawn(&["tail", "last", "--raw", "--follow", "--json"]);
    let grouped = cluster.spawn(&["tail", "last", "--follow", "--json"]);
    let waiting = cluster.spawn(&[
        "submit",
        &cluster.folder.path().join("small.toml").display().to_string(),
        "--wait",
    ]);
    waiting.lines_until("that it is there", |line| line.contains("is there already"));
    let mut seen = raw.lines_until("of epoch 2", is_epoch(2));
    let mut groups = grouped.lines_until("of progress", |line| line.contains("\"progress\""));
    for _ in 0..2 {
        cluster.coordinator.take().unwrap().kill();
        cluster.serve();
        // A worker that is not known any more registers again.
        worker.register_again("abacus");
    }
    let trial = json(&cluster.command(&["show", "last/0.0.0", "--json"]));
    assert_eq!(trial[0]["epochs"], 2, "what is acknowledged is durable");
    assert_eq!(
        worker.append(&lease, 2..=3),
        3,
        "the lease lives on, and a repeat is harmless"
    );
    worker.finish(&lease, 3, Fate::Succeeds);
    seen.extend(raw.lines_until("of epoch 3", is_epoch(3)));
    worker.train(7, |_| Fate::Succeeds);

    let (code, rest, complained) = raw.end();
    seen.extend(rest);
    assert_eq!(code, Some(0), "{complained}");
    assert!(complained.contains("waiting for the coordinator"), "{complained}");
    let lines = json(&seen.join("\n"));
    let mut told = epochs(&lines);
    assert_eq!(told.len(), 24, "each epoch once: {told:?}");
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), 24, "each epoch once: {told:?}");
    let cursors: Vec<u64> = lines
        .iter()
        .map(|line| line["cursor"].as_u64().unwrap())
        .collect();
    assert!(cursors.is_sorted(), "{cursors:?}");
    assert!(
        lines.iter().all(|line| line["v"] == 1),
        "every line has its version"
    );
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["state"]),
        (&"sweep".into(), &"complete".into())
    );

    // Groups: each complete curve once, whole.
    let (code, rest, complained) = grouped.end();
    groups.extend(rest);
    assert_eq!(code, Some(0), "{complained}");
    let complete = json(&groups.join("\n"))
        .into_iter()
        .filter(|line| line["kind"] == "epoch");
    let mut complete: Vec<(u64, u64)> = complete
        .map(|line| (line["point"].as_u64().unwrap(), line["epoch"].as_u64().unwrap()))
        .collect();
    complete.sort_unstable();
    let whole: Vec<(u64, u64)> = (0..4)
        .flat_map(|point| (1..=3).map(move |epoch| (point, epoch)))
        .collect();
    assert_eq!(complete, whole);

    let (code, _, complained) = waiting.end();
    assert_eq!(code, Some(0), "{complained}");
}

#[test]
fn a_cursor_goes_on_where_it_was() {
    let cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let mut worker = FakeWorker::register(&cluster, "abacus");
    worker.train(3, |_| Fate::Succeeds);
    let first = json(&cluster.command(&["tail", "last", "--raw", "--json"]));
    let cursor = first.last().unwrap()["cursor"].to_string();
    let since =
        |cursor: &str| json(&cluster.command(&["tail", "last", "--raw", "--json", "--since", cursor]));
    assert!(epochs(&since(&cursor)).is_empty());
    worker.train(5, |_| Fate::Succeeds);
    let second = since(&cursor);
    let mut told = [epochs(&first), epochs(&second)].concat();
    assert_eq!((epochs(&first).len(), epochs(&second).len()), (9, 15));
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), 24);
}

#[test]
fn a_group_that_was_told_is_not_told_again() {
    let cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let mut worker = FakeWorker::register(&cluster, "abacus");
    // Repetition 0 of all four points, and with repetition 1 of point 0 that point is complete.
    worker.train(5, |_| Fate::Succeeds);
    let since = |cursor: &str| json(&cluster.command(&["tail", "last", "--json", "--since", cursor]));
    let complete = |lines: &[Value]| -> Vec<u64> {
        let mut points: Vec<u64> = lines
            .iter()
            .filter(|line| line["kind"] == "epoch")
            .map(|line| line["point"].as_u64().unwrap())
            .collect();
        points.dedup();
        points
    };
    let first = since("0");
    assert_eq!(complete(&first), [0]);
    // Point 1 gets its curve; points 2 and 3 are complete in another way: what waits of them is cancelled.
    worker.train(1, |_| Fate::Succeeds);
    cluster.command(&["stop", "last"]);
    assert_eq!(cluster.until_over()["trials"]["cancelled"], 2);
    let second = since(&first.last().unwrap()["cursor"].to_string());
    assert_eq!(complete(&second), [1, 2, 3]);
    let third = since(&second.last().unwrap()["cursor"].to_string());
    assert!(
        third.len() == 1 && third[0]["kind"] == "sweep",
        "only where it stands: {third:?}"
    );
    assert_eq!(complete(&since("0")), [0, 1, 2, 3]);
}

#[test]
fn the_results_log_is_whole_when_the_sweep_is_over_also_after_a_crash() {
    let mut cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let mut worker = FakeWorker::register(&cluster, "abacus");
    worker.train(4, |_| Fate::Succeeds);
    cluster.coordinator.take().unwrap().kill();
    cluster.serve();
    worker.register_again("abacus");
    worker.train(4, |_| Fate::Succeeds);
    let id = cluster.until_over()["sweep"].as_str().unwrap().to_owned();
    let path = cluster
        .folder
        .path()
        .join(format!("runs/small-{}/aggregate.jsonl", &id[..8]));
    let lines = cluster.until("the log ends", || {
        let lines = json(
            &fs::read_to_string(&path)
                .ok()?
                .lines()
                .filter(|line| line.ends_with('}'))
                .collect::<Vec<_>>()
                .join("\n"),
        );
        lines
            .last()
            .is_some_and(|line| line["state"] == "complete")
            .then_some(lines)
    });
    let complete = |lines: &[Value]| -> Vec<Value> {
        lines
            .iter()
            .filter(|line| line["kind"] == "epoch")
            .cloned()
            .collect()
    };
    let mut told = json(&cluster.command(&["tail", "last", "--json"]));
    told.iter_mut()
        .for_each(|line| _ = line.as_object_mut().unwrap().remove("cursor"));
    assert_eq!(complete(&lines).len(), 12);
    let sorted = |mut lines: Vec<Value>| {
        lines.sort_by_key(ToString::to_string);
        lines
    };
    assert_eq!(
        sorted(complete(&lines)),
        sorted(complete(&told)),
        "the log and a tail say the same"
    );
}

#[test]
fn a_second_coordinator_is_refused_and_the_first_goes_on() {
    let cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let second = |arguments: &[&str]| {
        let output = tenfold()
            .current_dir(cluster.folder.path())
            .args(arguments)
            .output()
            .unwrap();
        (output.status.code(), text(&output.stderr))
    };
    let (code, complaint) = second(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(code, Some(4), "{complaint}");
    assert!(
        complaint.contains("runs/tenfold.sqlite is in use by another coordinator"),
        "{complaint}"
    );
    let (code, complaint) = second(&["run", "small.toml", "--device", "cpu"]);
    assert_eq!(code, Some(4), "{complaint}");
    assert!(
        complaint.contains("is in use by another coordinator"),
        "{complaint}"
    );
    let port = format!("127.0.0.1:{}", cluster.port);
    let (code, complaint) = second(&["serve", "--listen", &port, "--store", "memory:"]);
    assert_eq!(code, Some(4), "{complaint}");
    assert!(
        complaint.contains(&port) && complaint.contains("--listen"),
        "{complaint}"
    );
    FakeWorker::register(&cluster, "abacus").train(8, |_| Fate::Succeeds);
    assert_eq!(cluster.until_over()["state"], "complete");
}

#[test]
fn every_line_of_json_has_its_version_and_kind() {
    let cluster = Cluster::patient();
    let file = cluster.write("small.toml", SWEEP);
    let kinds = |arguments: &[&str]| -> Vec<String> {
        let lines = json(&cluster.command(&[arguments, &["--json"]].concat()));
        assert!(lines.iter().all(|line| line["v"] == 1), "{lines:?}");
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

/// Unmounts when it goes.
struct Mount<'a>(&'a std::path::Path);

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.0)
            .status();
    }
}

#[test]
fn a_full_disk_refuses_what_it_cannot_keep_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mount = ["-t", "tmpfs", "-o", "size=2m", "tmpfs"];
    let mounted = std::process::Command::new("mount")
        .args(mount)
        .arg(folder.path())
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: only root may mount a small file system");
        return;
    }
    let mount = folder.path().to_owned();
    let _mount = Mount(&mount);
    let mut cluster = Cluster::patient_in(folder);
    let submit = |cluster: &Cluster, seed: u32| {
        let sweep = SWEEP.replace("epochs = 3", &format!("epochs = 3\nseed = {seed}"));
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), sweep).unwrap();
        cluster.try_command(&["submit", file.path().to_str().unwrap()])
    };
    assert_eq!(submit(&cluster, 0).status.code(), Some(0));
    let mut worker = FakeWorker::register(&cluster, "abacus");
    let lease = worker.lease().unwrap();
    assert_eq!(worker.append(&lease, 1..=2), 2);

    let ballast = mount.join("ballast");
    let full = std::process::Command::new("dd")
        .arg("if=/dev/zero")
        .arg(format!("of={}", ballast.display()))
        .output();
    assert!(!full.unwrap().status.success(), "the disk is full");
    let (seed, refused) = (1..1000)
        .map(|seed| (seed, submit(&cluster, seed)))
        .find(|(_, output)| !output.status.success())
        .unwrap();
    let complaint = text(&refused.stderr);
    assert!(
        refused.status.code() == Some(4) && complaint.contains("room"),
        "{complaint}"
    );
    assert!(cluster.sweep().is_some(), "it still answers");

    fs::remove_file(&ballast).unwrap();
    let again = submit(&cluster, seed);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    assert_eq!(worker.append(&lease, 3..=3), 3, "nothing acknowledged was lost");
    worker.finish(&lease, 3, Fate::Succeeds);
    cluster.coordinator.take().unwrap().kill();
    cluster.serve();
    let listed = json(&cluster.command(&["list", "--json", "--limit", "1000"]));
    assert_eq!(
        (
            listed.len() as u32,
            &listed.last().unwrap()["trials"]["succeeded"]
        ),
        (seed + 1, &1.into())
    );
}

#[test]
fn a_coordinator_stops_in_order_whoever_is_connected() {
    let mut cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    let _silent = TcpStream::connect(("127.0.0.1", cluster.port)).unwrap();
    let mut tail = cluster.spawn(&["tail", "last", "--follow", "--json"]);
    tail.lines_until("about the sweep", |line| line.contains("\"sweep\""));
    for interrupt in ["-TERM", "-INT"] {
        let mut coordinator = cluster.coordinator.take().unwrap();
        signal(coordinator.0.id(), interrupt);
        let status = cluster.until("the coordinator stops", || coordinator.0.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{interrupt}");
        cluster.serve();
    }
    assert!(
        tail.process.0.try_wait().unwrap().is_none(),
        "the tail waits for the coordinator"
    );
    let mut worker = FakeWorker::register(&cluster, "abacus");
    worker.train(8, |_| Fate::Succeeds);
    assert_eq!(tail.end().0, Some(0));
}

#[test]
fn a_reader_of_a_tail_that_goes_away_is_no_error() {
    let cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("small.toml", SWEEP)]);
    FakeWorker::register(&cluster, "abacus").train(8, |_| Fate::Succeeds);
    let mut command = tenfold();
    command.args([
        "--coordinator",
        &cluster.address(),
        "tail",
        "last",
        "--raw",
        "--json",
    ]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    assert_eq!(
        (output.status.code(), text(&output.stderr).as_str()),
        (Some(0), "")
    );
}

#[test]
fn a_memory_store_serves_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = tenfold();
    command
        .current_dir(folder.path())
        .args(["serve", "--listen", "127.0.0.1:0", "--store", "memory:"]);
    let serving = Running::start(command);
    let said = serving.lines_until("that it serves", |line| {
        line.starts_with("serving on http://127.0.0.1:")
    });
    let address = said
        .last()
        .unwrap()
        .trim_start_matches("serving on http://")
        .to_owned();
    let output = tenfold()
        .args(["list", "--coordinator", &address])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "host:port is an address too");
    signal(serving.process.0.id(), "-TERM");
    assert_eq!(serving.end().0, Some(0));
    assert!(!folder.path().join("runs/tenfold.sqlite").exists());
}
