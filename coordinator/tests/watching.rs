//! Watching a sweep: `tail` and the results log say everything once, whatever is killed meanwhile.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use std::fs;

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, SWEEP, json, tenfold, text};
use serde_json::Value;

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
        lines.iter().all(|line| line["v"] == 2),
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
    // A coordinator that is killed may leave a log behind that lacks its end, though the sweep is over.
    let whole = fs::read_to_string(&path).unwrap();
    cluster.coordinator.take().unwrap().kill();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    cluster.serve();
    cluster.until("the log is whole again", || {
        let text = fs::read_to_string(&path).unwrap();
        let last = text.lines().last().filter(|_| text.ends_with('\n'))?;
        (last == whole.lines().last().unwrap()).then_some(())
    });
    assert_eq!(
        sorted(complete(&json(&fs::read_to_string(&path).unwrap()))),
        sorted(complete(&lines))
    );
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
        (Some(141), "")
    );
}

#[test]
fn long_groups_are_told_in_parts_and_come_out_whole() {
    let sweep = SWEEP.replace("epochs = 3", "epochs = 3000");
    told_whole(&sweep, 4, 3_000, 4);
}

/// With more metrics than usual, parts have fewer epochs.
#[test]
fn groups_with_many_metrics_come_out_whole() {
    let sweep = r#"
name = "wide"
epochs = 450
repetitions = 2
[settings]
architecture = "three"
auxiliary_loss = true
[axes]
learning_rate = [1e-3, 1e-2]
[[architecture]]
name = "three"
sub_networks = 6
layers = ["flatten", { linear = { units = 5 } }, "relu", { linear = { units = 10 } }]
"#;
    told_whole(sweep, 2, 450, 10);
}

fn told_whole(sweep: &str, points: u64, epochs: u64, metrics: u64) {
    let cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("long.toml", sweep)]);
    FakeWorker::register(&cluster, "abacus").train(2 * points as usize, |_| Fate::Succeeds);
    cluster.until_over();
    let of = |lines: &str| -> Vec<(u64, Option<u64>)> {
        let lines = json(lines).into_iter().filter(|line| line["kind"] == "epoch");
        lines
            .map(|line| (line["point"].as_u64().unwrap(), line["epoch"].as_u64()))
            .collect()
    };
    let point = |point: u64| (1..=epochs).map(move |epoch| (point, Some(epoch)));
    let all: Vec<_> = (0..points).flat_map(point).collect();

    let mut tailed = of(&cluster.command(&["tail", "last", "--json"]));
    tailed.sort_unstable();
    assert!(tailed == all, "{} lines", tailed.len());
    let mut logged = Vec::new();
    cluster.until("the results log is whole", || {
        let folder = fs::read_dir(cluster.folder.path().join("runs"))
            .unwrap()
            .flatten();
        let mut logs = folder.map(|entry| entry.path().join("aggregate.jsonl"));
        let log = fs::read_to_string(logs.find(|log| log.exists())?).unwrap();
        log.lines().last()?.contains("\"kind\":\"sweep\"").then_some(())?;
        logged = of(&log);
        (logged.len() == all.len()).then_some(())
    });
    logged.sort_unstable();
    assert!(logged == all);
    // Twice: the second time from what is kept, where it is.
    for _ in 0..2 {
        let results = cluster.command(&["results", "last", "--format", "jsonl"]);
        let lines = points * epochs * metrics;
        assert_eq!(
            results.lines().count() as u64,
            lines,
            "a line a group, epoch and metric"
        );
    }
}

/// What is told while a group is held back is behind no cursor yet.
const CHOOSES: &str = r#"
name = "chooses"
repetitions = 1
epochs = 3
[axes]
architecture = ["perceptron-5", "perceptron-7"]
[[stage]]
name = "coarse"
[stage.axes]
learning_rate = [0.1, 0.01]
[[stage]]
name = "modes"
[stage.settings]
auxiliary_loss = true
[stage.axes]
weight_sharing = [false, true]
learning_rate = { best_of = "coarse" }
"#;

#[test]
fn a_follower_that_is_cut_off_while_a_group_is_held_back_is_told_nothing_twice() {
    let mut cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("chooses.toml", CHOOSES)]);
    let tail = cluster.spawn(&["tail", "last", "--follow", "--json"]);
    let mut quick = FakeWorker::register(&cluster, "quick");
    let mut slow = FakeWorker::register(&cluster, "slow");
    quick.train(1, |_| Fate::Succeeds);
    let (next, held) = (quick.lease().unwrap(), slow.lease().unwrap());
    assert_eq!(held.trials[0].trial.unwrap().index, 2, "of the other network");
    slow.append(&held, 1..=1);
    let mut seen = tail.lines_until("of progress", |line| line.contains("\"progress\""));
    // Within a second of the line before, so it is held back.
    slow.append(&held, 2..=2);
    quick.append(&next, 1..=3);
    quick.finish(&next, 3, Fate::Succeeds);
    seen.extend(tail.lines_until("of the choice", |line| line.contains("\"choice\"")));
    cluster.kill();
    cluster.serve();
    quick.register_again("quick");
    slow.register_again("slow");
    slow.append(&held, 3..=3);
    slow.finish(&held, 3, Fate::Succeeds);
    quick.train(1 + 4, |_| Fate::Succeeds);

    let (code, rest, complained) = tail.end();
    assert_eq!(code, Some(0), "{complained}");
    seen.extend(rest);
    let lines = json(&seen.join("\n"));
    let of = |kind: &str| {
        lines
            .iter()
            .filter(|line| line["kind"] == kind)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("choice").len(), 2, "one for each network: {:#?}", of("choice"));
    assert_eq!(of("epoch").len(), (4 + 4) * 3, "each curve once");
    let cursors: Vec<u64> = lines
        .iter()
        .map(|line| line["cursor"].as_u64().unwrap())
        .collect();
    assert!(cursors.is_sorted(), "{cursors:?}");
}
