//! Verdicts: pairs that are missing, extensions after a look, several hypotheses. Against a real coordinator; the worker is
//! part of the test.

mod common;

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, json, text};
use serde_json::Value;

/// Point 1 has a test error that is 12.5 points above that of point 0, in each repetition.
fn sweep(repetitions: u32, hypotheses: &str) -> String {
    format!(
        "name = \"modes\"\nrepetitions = {repetitions}\nepochs = 2\n[settings]\narchitecture = \"perceptron-5\"\n[axes]\n\
         weight_sharing = [false, true]\n{hypotheses}"
    )
}

fn hypothesis(claim: &str, rest: &str) -> String {
    format!(
        "[[hypothesis]]\nclaim = \"{claim}\"\nthis = {{ weight_sharing = true }}\nthan = {{ weight_sharing = false }}\n{rest}\n"
    )
}

fn judged(cluster: &Cluster, flags: &[&str]) -> Vec<Value> {
    json(&cluster.command(&[&["hypotheses", "modes", "--json"], flags].concat()))
}

fn train(cluster: &Cluster, trials: usize) {
    FakeWorker::register(cluster, "w").train(trials, |_| Fate::Succeeds);
}

#[test]
fn a_side_that_diverges_leaves_the_claim_undecided() {
    let cluster = Cluster::patient();
    let file = cluster.write(
        "modes.toml",
        &sweep(6, &hypothesis("sharing costs", "higher_by = 0.1")),
    );
    cluster.command(&["submit", &file]);
    let mut worker = FakeWorker::register(&cluster, "w");
    worker.train(10, |trial| match (trial.index, trial.repetition) {
        (1, 1..=3) => Fate::DivergesIn(2),
        _ => Fate::Succeeds,
    });
    let running = &judged(&cluster, &[])[0];
    assert_eq!(
        (
            &running["provisional"],
            &running["verdict"],
            &running["missing_unfinished"]
        ),
        (&true.into(), &"undecided".into(), &2.into())
    );
    cluster.command(&["cancel", "modes"]);
    let of = &judged(&cluster, &[])[0];
    for (field, value) in [
        ("verdict", Value::from("undecided")),
        ("provisional", false.into()),
        ("planned", 6.into()),
        ("n", 2.into()),
        ("left_out", 4.into()),
        ("missing_pairs", 4.into()),
        ("missing_diverged", 3.into()),
        ("missing_cancelled", 2.into()),
        ("verdict_of_present", "supported".into()),
        ("least_deviation", true.into()),
        ("asked_afterwards", false.into()),
        ("extended", Value::Null),
    ] {
        assert_eq!(of[field], value, "{field} of {of}");
    }
    let diverged = &of["diverged"];
    assert_eq!(
        (&diverged["this"], &diverged["than"], &diverged["of"]),
        (&3.into(), &0.into(), &5.into())
    );
    assert!(
        (diverged["p"].as_f64().unwrap() - 0.25).abs() < 1e-12,
        "three heads of three"
    );
    let said = cluster.command(&["hypotheses", "modes"]);
    for part in [
        "undecided (4 of 6 pairs are missing; over the other 2: supported [",
        "may be biased): sharing costs",
        "planned trials without a value: 3 diverged, 2 cancelled; tenfold retry modes --cancelled runs them again",
        "diverged: 3 of 5 repetitions of this, 0 of 5 of than, p = 0.250 (exact McNemar test)",
        "vary by less than one answer of 1000",
        "the chance of a false \"supported\" is at most 2.5 %",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }

    let dropped = &judged(&cluster, &["--missing", "drop"])[0];
    assert_eq!(
        (
            &dropped["verdict"],
            &dropped["missing"],
            &dropped["asked_afterwards"]
        ),
        (&"supported".into(), &"drop".into(), &true.into())
    );
    let said = cluster.command(&["hypotheses", "modes", "--missing", "drop"]);
    assert!(
        said.contains("supported (4 of 6 pairs are missing and dropped; judged over the other 2, may be biased; judged by rules"),
        "{said}"
    );
    for (flags, says) in [
        (
            ["--missing", "no"],
            "\"count\" (a missing pair leaves it undecided) or \"drop\"",
        ),
        (["--family", ""], "a family's name of 1 to 60 bytes"),
    ] {
        let output = cluster.try_command(&[&["hypotheses", "modes"][..], &flags].concat());
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
    cluster.command(&["report", "modes", "-o", "report"]);
    let folder = std::path::Path::new(&file).parent().unwrap().join("report");
    let page = std::fs::read_to_string(folder.join("report.md")).unwrap();
    assert!(
        page.contains("4 of 6 pairs are missing; over the other 2: supported"),
        "{page}"
    );
    let csv = std::fs::read_to_string(folder.join("tables/hypotheses.csv")).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let cell = |name: &str| rows[1][rows[0].iter().position(|of| *of == name).unwrap()];
    assert_eq!(
        (
            cell("verdict"),
            cell("verdict_of_present"),
            cell("missing_pairs"),
            cell("diverged_this")
        ),
        ("undecided", "supported", "4", "3")
    );
}

#[test]
fn the_planned_repetitions_decide_whenever_a_sweep_is_extended() {
    let mut cluster = Cluster::patient();
    let file = cluster.write(
        "modes.toml",
        &sweep(2, &hypothesis("sharing costs", "higher_by = 0.1")),
    );
    cluster.command(&["submit", &file]);
    // Before there is anything to be seen, more repetitions are a part of the plan.
    train(&cluster, 1);
    cluster.command(&["extend", "modes", "--repetitions", "3"]);
    train(&cluster, 5);
    let planned = &judged(&cluster, &[])[0];
    assert_eq!(
        (
            &planned["planned"],
            &planned["n"],
            &planned["extended"],
            &planned["verdict"]
        ),
        (&3.into(), &3.into(), &Value::Null, &"supported".into())
    );
    cluster.command(&["extend", "modes", "--repetitions", "5"]);
    train(&cluster, 4);
    let check = |cluster: &Cluster, seen: Value, said: &str| {
        let of = &judged(cluster, &[])[0];
        assert_eq!(
            (&of["planned"], &of["n"], &of["verdict"]),
            (&3.into(), &3.into(), &"supported".into())
        );
        let extended = &of["extended"];
        assert_eq!(
            (&extended["repetitions"], &extended["n"], &extended["verdict"]),
            (&5.into(), &5.into(), &"supported".into())
        );
        let look = &extended["looks"][0];
        assert_eq!(
            (&look["before"], &look["after"], &look["seen"]),
            (&3.into(), &5.into(), &seen)
        );
        let text = cluster.command(&["hypotheses", "modes"]);
        assert!(text.contains(said), "{said} in\n{text}");
    };
    let seen = "supported (over the 3 planned repetitions; extended to 5 after 3 pairs were seen; over all 5: supported [";
    check(&cluster, 3.into(), seen);
    cluster.command(&["report", "modes", "-o", "report"]);
    let report = std::fs::read_to_string(cluster.folder.path().join("report/report.md")).unwrap();
    let planned = "3 repetitions were planned, and extended to 5 after 3 pairs were seen.";
    assert!(report.contains(planned), "{report}");
    cluster.kill();
    cluster.serve();
    check(&cluster, 3.into(), seen);

    // A store that the version before has written: its rows do not say what was seen.
    cluster.stop();
    let store = std::path::Path::new(&file)
        .parent()
        .unwrap()
        .join("runs/tenfold.sqlite");
    let store = rusqlite::Connection::open(store).unwrap();
    let changed = store
        .execute(
            "UPDATE extension SET row = json_remove(row, '$.repetitions.seen'), sum = NULL",
            [],
        )
        .unwrap();
    assert_eq!(changed, 2);
    // Nor had that version checksums.
    let unsummed = "INSERT INTO summing (place, name) VALUES (1, 'extension')";
    store.execute(unsummed, []).unwrap();
    drop(store);
    cluster.serve();
    let of = &judged(&cluster, &[])[0];
    assert_eq!(
        (&of["planned"], &of["extended"]["looks"][1]["seen"]),
        (&2.into(), &Value::Null)
    );
    let text = cluster.command(&["hypotheses", "modes"]);
    let said = "extended to 3 after up to 2 pairs were seen, then to 5 after up to 3 pairs were seen";
    assert!(text.contains(said), "{text}");
}

#[test]
fn hypotheses_of_a_family_are_corrected_together() {
    // 12.5 points with the deviation of one answer of 1,000 and 2 pairs: t = (125 − margin) √2 with one degree of freedom, and
    // one-sided p = atan(1 / t) / π. At a margin of 11 points p = 0.0150, of 12 points 0.0447.
    let all = [
        hypothesis("clear", "higher_by = 0.1"),
        hypothesis("less clear", "higher_by = 0.11"),
        hypothesis("not clear", "higher_by = 0.12"),
        hypothesis("loss", "metric = \"test_loss\"\nhigher_by = 0"),
        hypothesis("alone", "higher_by = 0.11\nfamily = \"none\""),
        hypothesis("named", "higher_by = 0.11\nfamily = \"two\""),
        hypothesis("named too", "lower_by = 0\nfamily = \"two\""),
    ];
    let cluster = Cluster::patient();
    let file = cluster.write("modes.toml", &sweep(2, &all.concat()));
    cluster.command(&["submit", &file]);
    train(&cluster, 4);
    let lines = judged(&cluster, &[]);
    let of = |lines: &[Value]| -> Vec<(String, String, u64)> {
        lines
            .iter()
            .map(|line| {
                let text = |field: &str| line[field].as_str().unwrap().to_owned();
                (
                    text("verdict"),
                    text("verdict_by_interval"),
                    line["family_size"].as_u64().unwrap(),
                )
            })
            .collect()
    };
    let expected = [
        ("undecided", "supported", 4), // 0.0090 × 4
        ("undecided", "supported", 4), // 0.0150 × 3
        ("undecided", "undecided", 4),
        ("undecided", "undecided", 4), // all differences are equal: p = 1
        ("supported", "supported", 1),
        ("undecided", "supported", 2), // 0.0150 × 2
        ("refuted", "refuted", 2),     // 0.0018 × 2
    ];
    let expected = expected.map(|(verdict, interval, size)| (verdict.to_owned(), interval.to_owned(), size));
    assert_eq!(of(&lines), expected);
    let p = |line: &Value, field: &str| line[field].as_f64().unwrap();
    let t = (125.0f64 - 100.0) * 2f64.sqrt();
    assert!((p(&lines[0], "p_support") - (1.0 / t).atan() / std::f64::consts::PI).abs() < 1e-6);
    assert!((p(&lines[0], "p_support_holm") - 4.0 * p(&lines[0], "p_support")).abs() < 1e-12);
    assert_eq!(
        (p(&lines[3], "p_support"), p(&lines[3], "p_refutation")),
        (1.0, 1.0)
    );

    let alone = judged(&cluster, &["--family", "none"]);
    assert!(
        alone
            .iter()
            .all(|line| line["verdict"] == line["verdict_by_interval"]),
        "{alone:?}"
    );
    assert!(
        alone
            .iter()
            .all(|line| line["asked_afterwards"] == true && line["family_size"] == 1)
    );
    let one = judged(&cluster, &["--family", "all"]);
    assert!(one.iter().all(|line| line["family_size"] == 7), "{one:?}");

    let more = cluster.write("more.toml", &hypothesis("later", "higher_by = 0.1"));
    let with = judged(&cluster, &["--add", &more]);
    assert_eq!(
        of(&with[..7]),
        expected,
        "what is added changes no verdict of the sweep's"
    );
    assert_eq!(
        of(&with[7..]),
        [("supported".to_owned(), "supported".to_owned(), 1)]
    );
    let said = cluster.command(&["hypotheses", "modes", "--add", &more]);
    for part in [
        "undecided: less clear\n",
        "its interval alone would say supported: one-sided p = 0.015, corrected for the 4 hypotheses of its family 0.045 (Holm)",
        "all differences are equal, so nothing is known of how they vary: no interval",
        "Family of 4: the chance of any false \"supported\" is at most 2.5 %",
        "Family two of 2:",
        "supported (added later): later",
        "  corrected    family two of 2\n",
        "  corrected    a hypothesis by itself\n",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
}

#[test]
fn a_verdict_over_several_points_says_what_it_averages() {
    let cluster = Cluster::patient();
    let text = sweep(2, &hypothesis("sharing costs", "higher_by = 0.1"))
        .replace("[settings]\narchitecture = \"perceptron-5\"\n", "")
        .replace(
            "[axes]\n",
            "[axes]\narchitecture = [\"perceptron-5\", \"perceptron-6\", \"perceptron-7\"]\n",
        );
    cluster.command(&["submit", &cluster.write("modes.toml", &text)]);
    // Point 3 is perceptron-6 with sharing: it never succeeds.
    FakeWorker::register(&cluster, "w").train(12, |trial| match trial.index {
        3 => Fate::DivergesIn(1),
        _ => Fate::Succeeds,
    });
    let of = &judged(&cluster, &[])[0];
    assert_eq!(
        of["averages_over"],
        serde_json::json!(["perceptron-5", "perceptron-7"])
    );
    assert_eq!(
        (&of["missing_pairs"], &of["n"], &of["verdict"]),
        (&2.into(), &2.into(), &"undecided".into())
    );
    let said = cluster.command(&["hypotheses", "modes"]);
    for part in [
        "mean over perceptron-5 and perceptron-7",
        "in none of 2 repetitions do all points have both sides; over 2 pairs of the points that have them: supported [",
        "without a single success: perceptron-6 · sharing on",
        "diverged: 2 of 2 repetitions of this, 0 of 2 of than",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
}
