//! Comparisons and hypotheses, against a real coordinator. The worker is part of the test.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

mod common;

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, json, text};

const SWEEP: &str = r#"
name = "modes"
repetitions = 3
epochs = 2
[settings]
architecture = "perceptron-5"
[axes]
learning_rate = [0.1, 0.01]
weight_sharing = [false, true]
[[hypothesis]]
claim = "sharing costs more than 10 points"
this = { weight_sharing = true }
than = { weight_sharing = false }
higher_by = 0.1
[[hypothesis]]
claim = "sharing helps"
this = { weight_sharing = true }
than = { weight_sharing = false }
lower_by = 0
"#;

/// The test error of a trial after an epoch, from the single curves.
fn value(csv: &str, point: &str, repetition: &str, epoch: &str) -> Option<f64> {
    let header: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    let at = |name: &str| header.iter().position(|column| *column == name).unwrap();
    let mut rows = csv
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect::<Vec<_>>());
    let row = rows.find(|row| {
        row[at("point")] == point
            && row[at("repetition")] == repetition
            && row[at("epoch")] == epoch
            && row[at("state")] == "succeeded"
    })?;
    row[at("test_error")].parse().ok()
}

#[test]
fn points_are_compared_and_hypotheses_judged() {
    let cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("modes.toml", SWEEP)]);
    let mut worker = FakeWorker::register(&cluster, "abacus");
    worker.train(12, |trial| match (trial.index, trial.repetition) {
        (1, 2) => Fate::DivergesIn(2),
        _ => Fate::Succeeds,
    });
    let raw = cluster.command(&["results", "last", "--raw", "--format", "csv"]);
    let mean = |this: &str, than: &str| {
        let pair =
            |repetition| Some(value(&raw, this, repetition, "2")? - value(&raw, than, repetition, "2")?);
        let differences: Vec<f64> = ["0", "1", "2"].into_iter().filter_map(pair).collect();
        (
            differences.len(),
            differences.iter().sum::<f64>() / differences.len() as f64,
        )
    };

    let lines = json(&cluster.command(&["compare", "last", "--by", "weight_sharing", "--json"]));
    assert_eq!(lines.len(), 2, "one at each learning rate");
    for (line, (this, than)) in lines.iter().zip([("1", "0"), ("3", "2")]) {
        let (n, mean) = mean(this, than);
        assert_eq!((&line["kind"], &line["n"]), (&"comparison".into(), &n.into()));
        assert!(
            (line["difference"].as_f64().unwrap() - mean).abs() < 1e-9,
            "{line}"
        );
        assert_eq!(line["this"]["weight_sharing"], true);
    }
    assert_eq!(
        (&lines[0]["left_out"], &lines[0]["missing"]),
        (&1.into(), &"1 diverged".into())
    );
    let both = json(&cluster.command(&[
        "compare",
        "last",
        "--by",
        "learning_rate,weight_sharing",
        "--json",
    ]));
    assert_eq!(both.len(), 7, "six pairs and the interaction");
    assert_eq!(both[6]["kind"], "interaction");
    let contrast = mean("3", "2").1 - mean("1", "0").1;
    assert!((both[6]["difference"].as_f64().unwrap() - contrast).abs() < 1e-9);
    let table = cluster.command(&["compare", "last", "--by", "weight_sharing", "--at", "1"]);
    assert!(
        table.contains("1 (1 diverged)") && table.contains("after epoch 1"),
        "{table}"
    );

    let csv = cluster.command(&["compare", "last", "--by", "weight_sharing", "--format", "csv"]);
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 3, "{csv}");
    assert_eq!(rows[0][..4], ["of", "comparison", "n", "left_out"]);
    assert_eq!(
        rows[1][..4],
        ["learning rate 1e-1", "sharing on − sharing off", "2", "1"]
    );
    for (row, line) in rows[1..].iter().zip(&lines) {
        for (name, key) in [
            ("difference_mean", "difference"),
            ("ci95_low", "ci95_low"),
            ("p_wilcoxon_holm", "wilcoxon_holm"),
        ] {
            let at = rows[0].iter().position(|column| *column == name).unwrap();
            let (there, here) = (line[key].as_f64(), row[at].parse::<f64>().ok());
            let same = match (there, here) {
                (Some(there), Some(here)) => (there - here).abs() <= 1e-6 * there.abs(),
                (there, here) => there == here,
            };
            assert!(same, "{name}: {line} {row:?}");
        }
    }
    let latex = cluster.command(&[
        "compare",
        "last",
        "--by",
        "learning_rate,weight_sharing",
        "--format",
        "latex",
    ]);
    for part in [
        r"\label{tab:test-error-by-learning-rate-weight-sharing}",
        "test error after epoch 2",
        "by Holm for all 7",
        r"\begin{tabular}{lrrrrrrrrrrr}",
        "interaction of learning rate and weight sharing & -- & --",
    ] {
        assert!(latex.contains(part), "{part} in\n{latex}");
    }
    assert_eq!(latex.matches(" \\\\\n").count(), 1 + 7, "{latex}");

    let verdicts = json(&cluster.command(&["hypotheses", "last", "--json"]));
    let of = |at: usize| {
        (
            verdicts[at]["verdict"].as_str().unwrap(),
            verdicts[at]["n"].as_u64().unwrap(),
        )
    };
    assert_eq!((of(0), of(1)), (("undecided", 2), ("undecided", 2)));
    let present = |at: usize| verdicts[at]["verdict_of_present"].as_str().unwrap();
    assert_eq!(
        (present(0), present(1)),
        ("supported", "refuted"),
        "but for a missing pair"
    );
    let more = cluster.write(
        "more.toml",
        "[[hypothesis]]\nclaim = \"later\"\nthis = { learning_rate = 0.1 }\nthan = { learning_rate = 0.01 }\nwithin = 0.001\n",
    );
    let said = cluster.command(&["hypotheses", "last", "--add", &more]);
    assert!(
        said.contains("undecided (1 of 3 pairs is missing; over the other 2: refuted")
            && said.contains("added later): later"),
        "{said}"
    );

    for (arguments, says) in [
        (vec!["--by", "dropout"], "is no axis here"),
        (vec!["--by", "weight_sharing", "--at", "3"], "from 1 to 2"),
        (
            vec!["--by", "weight_sharing", "--metric", "test_digit_error_0"],
            "no point records",
        ),
        (vec!["--by", "weight_sharing", "--stage", "x"], "has no stages"),
    ] {
        let output = cluster.try_command(&[&["compare", "last"], arguments.as_slice()].concat());
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
}
