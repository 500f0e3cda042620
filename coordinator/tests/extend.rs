//! `tenfold extend`: more repetitions of a sweep that runs or is over, whenever the coordinator is killed. The worker is part
//! of the test.

mod common;

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, json, text};

const SWEEP: &str = r#"
name = "more"
repetitions = 2
epochs = 3

[settings]
architecture = "perceptron-5"

[[stage]]
name = "coarse"
[stage.axes]
learning_rate = [0.1, 0.01]

[[stage]]
name = "fine"
repetitions = 1
epochs = 4
[stage.axes]
learning_rate = { refine = "coarse", points = 3, span = 1.0 }
"#;

fn fate(key: tenfold_proto::v1::TrialKey) -> Fate {
    match (key.stage, key.index, key.repetition) {
        (0, 1, 3) => Fate::DivergesIn(2),
        _ => Fate::Succeeds,
    }
}

fn train(cluster: &Cluster, trials: usize) {
    FakeWorker::register(cluster, "w").train(trials, fate);
}

#[test]
fn an_extended_sweep_ends_as_if_it_had_been_submitted_so() {
    let mut cluster = Cluster::patient();
    let file = cluster.write("more.toml", SWEEP);
    cluster.command(&["submit", &file]);
    let follower = cluster.spawn(&["tail", "more", "--follow", "--json"]);
    train(&cluster, 3);
    // A command that has reached nobody yet waits for nobody.
    let mut lines = follower.lines_until("at all", |_| true);
    let said = cluster.command(&["extend", "more", "--repetitions", "3", "--stage", "coarse"]);
    assert!(
        said.contains("extended to coarse 2 × 3, fine 3 × 1 = 9 trials"),
        "{said}"
    );
    cluster.kill();
    cluster.serve();
    // Both rates have three repetitions before one is chosen.
    train(&cluster, 3 + 3);
    let sweep = cluster.until_over();
    assert_eq!(
        (&sweep["state"], &sweep["trials"]["succeeded"]),
        (&"complete".into(), &9.into())
    );
    let (code, rest, complained) = follower.end();
    assert_eq!(code, Some(0), "{complained}");
    lines.extend(rest);
    let lines = json(&lines.join("\n"));
    let told: Vec<_> = lines.iter().filter(|line| line["kind"] == "extension").collect();
    assert!(!told.is_empty() && told.iter().all(|line| line["repetitions"] == 3));
    for point in 0..2 {
        let mut complete = lines
            .iter()
            .filter(|line| line["kind"] == "epoch" && line["stage"] == 0 && line["point"] == point);
        let last = complete.next_back().unwrap();
        assert_eq!(
            last["repetitions"], 3,
            "what was complete is told again when it is once more: {last}"
        );
    }

    // It is over; with more repetitions it is not. What was chosen stays.
    let said = cluster.command(&["extend", "more", "--repetitions", "4"]);
    assert!(
        said.contains("1 choice that was made from it stays as it is"),
        "{said}"
    );
    assert!(said.contains("is active: 9 of 20 trials over"), "{said}");
    cluster.kill();
    cluster.serve();
    train(&cluster, 4);
    cluster.kill();
    cluster.serve();
    train(&cluster, 7);
    let sweep = cluster.until_over();
    assert_eq!(sweep["trials"]["succeeded"], 19);
    assert_eq!(sweep["trials"]["diverged"], 1);
    let shown = cluster.command(&["show", "more"]);
    assert!(
        shown.contains("extension       stage coarse extended to 3 repetitions at")
            && shown.contains("extension       stage fine extended to 4 repetitions at"),
        "{shown}"
    );

    // The same from the start is another sweep, with the same curves.
    let whole = SWEEP
        .replace("\"more\"", "\"whole\"")
        .replace("repetitions = 2", "repetitions = 4")
        .replace("repetitions = 1\n", "");
    let file = cluster.write("whole.toml", &whole);
    cluster.command(&["submit", &file]);
    train(&cluster, 20);
    cluster.until("the other is over", || {
        let shown = json(&cluster.command(&["show", "whole", "--json"]));
        (!shown[0]["finished_at"].is_null()).then_some(())
    });
    let results = |name: &str| cluster.command(&["results", name, "--format", "csv"]);
    assert_eq!(results("more"), results("whole"));
    let curves = |name: &str| {
        let lines = json(&cluster.command(&["results", name, "--raw", "--json"]));
        lines.into_iter().map(|mut line| {
            line["sweep"] = serde_json::Value::Null;
            line
        })
    };
    assert!(curves("more").eq(curves("whole")));
    let tail = cluster.command(&["tail", "more"]);
    assert!(tail.contains("stage coarse extended to 3 repetitions"), "{tail}");

    for (arguments, why) in [
        (
            &["--repetitions", "4"][..],
            "each point has at least 4 repetitions already",
        ),
        (
            &["--repetitions", "9", "--stage", "corse"],
            "did you mean \"coarse\"?",
        ),
        (&["--repetitions", "10001"], "at most 10000 are possible"),
    ] {
        let output = cluster.try_command(&[&["extend", "more"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
    }
}

const PLAIN: &str = r#"
name = "plain"
repetitions = 2
epochs = 3

[axes]
learning_rate = [0.1, 0.01]
architecture = ["perceptron-5", "perceptron-7"]
"#;

#[test]
fn a_sweep_is_refined_around_its_best_values_whenever_the_coordinator_is_killed() {
    let mut cluster = Cluster::patient();
    let file = cluster.write("plain.toml", PLAIN);
    cluster.command(&["submit", &file]);
    train(&cluster, 7);
    let follower = cluster.spawn(&["tail", "plain", "--follow", "--json"]);
    // A command that has reached nobody yet waits for nobody.
    follower.lines_until("at all", |_| true);
    let said = cluster.command(&["refine", "plain", "--axis", "learning_rate", "--points", "3"]);
    assert!(
        said.contains(
            "stage refine-1 added: learning_rate: 3 values, 1 decade to each side of the best of stage sweep"
        ),
        "{said}"
    );
    cluster.kill();
    cluster.serve();
    // What is made up is best for the first rate; what the first stage has trained of the rates around it is taken over.
    train(&cluster, 1 + 2);
    cluster.kill();
    cluster.serve();
    train(&cluster, 2);
    let sweep = cluster.until_over();
    assert_eq!(
        (&sweep["state"], &sweep["trials"]["succeeded"]),
        (&"complete".into(), &(8 + 12).into())
    );
    let (code, lines, complained) = follower.end();
    assert_eq!(code, Some(0), "{complained}");
    let lines = json(&lines.join("\n"));
    let kinds = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    // Told again where the coordinator was killed before the pass was closed that told it.
    assert!(kinds("extension") >= 1 && kinds("choice") >= 2);
    let refined = lines
        .iter()
        .filter(|line| line["kind"] == "epoch" && line["stage"] == 1);
    let points: std::collections::BTreeSet<_> = refined.map(|line| line["point"].to_string()).collect();
    assert_eq!(points.len(), 6);
    let rows = json(&cluster.command(&["results", "plain", "--stage", "refine-1", "--json"]));
    let rates: std::collections::BTreeSet<String> = rows
        .iter()
        .map(|row| row["axes"]["learning_rate"].to_string())
        .collect();
    assert_eq!(rates.into_iter().collect::<Vec<_>>(), ["0.01", "0.1", "1.0"]);
    let shown = cluster.command(&["show", "plain"]);
    assert!(
        shown.contains("stage sweep\n") && shown.contains("stage refine-1\n"),
        "{shown}"
    );
    let raw = cluster.command(&["tail", "plain", "--raw"]);
    assert!(raw.contains("1.2.1"), "{raw}");
    // Closer still, and more often; a plan knows nothing of it, as the text is what it was.
    cluster.command(&[
        "refine",
        "plain",
        "--axis",
        "learning_rate",
        "--points",
        "2",
        "--span",
        "0.5",
        "--stage",
        "refine-1",
    ]);
    cluster.command(&["extend", "plain", "--repetitions", "3", "--stage", "refine-2"]);
    train(&cluster, 2 * 2 * 3);
    cluster.until_over();
    let folder = cluster.command(&["hypotheses", "plain", "--json"]);
    assert_eq!(folder, "");
    let submitted = json(&cluster.command(&["submit", &file, "--json"]));
    assert_eq!(submitted[0]["existing"], true, "the same text is the same sweep");
}
