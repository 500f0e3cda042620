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
        table.contains("1 diverged") && table.contains("2 of 3") && table.contains("after epoch 1"),
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
        "corrected for all 7 rows (Holm)",
        "(both $-$ first alone) $-$ (second alone $-$ neither), here (learning rate 1e-2 $\\cdot$ sharing on $-$",
        "every Wilcoxon p is 1 after",
        r"\begin{tabular}{lrrrrrrrrrlrr}",
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

/// Five rates, of which one with the auxiliary loss off is the same network at both of its weights.
const RATES: &str = r#"
name = "rates"
repetitions = 5
epochs = 1
[settings]
architecture = "perceptron-5"
[axes]
auxiliary_loss = [false, true]
aux_weight = [0.1, 0.2]
learning_rate = [0.5, 0.1, 0.01]
"#;

#[test]
fn each_value_is_compared_with_one_reference_and_the_same_network_once() {
    let cluster = Cluster::patient();
    cluster.command(&["submit", &cluster.write("rates.toml", RATES)]);
    // At the greatest rate with the auxiliary loss, all but one repetition diverge.
    let mut worker = FakeWorker::register(&cluster, "abacus");
    while cluster.sweep().unwrap()["state"] == "active" {
        worker.train(1, |trial| match (trial.index, trial.repetition) {
            (6 | 9, 0..4) => Fate::DivergesIn(1),
            _ => Fate::Succeeds,
        });
    }

    let by_rate = ["compare", "last", "--by", "learning_rate"];
    let all = json(&cluster.command(&[&by_rate[..], &["--json"]].concat()));
    let one = json(&cluster.command(&[&by_rate[..], &["--against", "1e-1", "--json"]].concat()));
    // Three strata of different networks: without the loss, with it at either weight.
    assert_eq!((all.len(), one.len()), (9, 6));
    for line in &one {
        assert_eq!(
            (&line["family_rows"], &line["same_network_left_out"]),
            (&6.into(), &2.into())
        );
        assert_eq!(line["than"]["learning_rate"], 0.1);
        assert_eq!(line["planned"], 5);
        // Of 5 pairs no p is below 1/16, and six times that is above 1/20.
        assert_eq!(line["wilcoxon_holm_least"], 0.375);
    }
    let diverged = one.iter().find(|line| line["this_diverged"] == 4).unwrap();
    assert_eq!(
        (&diverged["n"], &diverged["left_out"], &diverged["than_diverged"]),
        (&1.into(), &4.into(), &0.into())
    );
    assert_eq!(
        (&diverged["divergence_n"], &diverged["divergence_p"]),
        (&5.into(), &0.125.into())
    );
    assert_eq!(diverged["missing_trials"]["diverged"], 4);
    assert_eq!(
        diverged["t_holm"],
        serde_json::Value::Null,
        "one pair has no t test"
    );

    let table = cluster.command(&[&by_rate[..], &["--against", "learning_rate=0.1"]].concat());
    for part in [
        "1 of 5",
        "4 and 0 of 5",
        "With n = 5 and 6 rows no Wilcoxon p can be below 0.3750 after Holm's correction",
        "corrected for all 6 rows (Holm)",
        "p (Wilcoxon) is exact",
        "2 comparisons are left out, since their points are the same networks",
        "Where all differences are equal",
        "–: too few pairs",
    ] {
        assert!(table.contains(part), "{part} in\n{table}");
    }
    assert_eq!(
        table.matches(" Holm ").count(),
        1,
        "of the t test alone:\n{table}"
    );

    // Both axes: one point is the reference, and interactions are of all pairs alone.
    let both = [
        "compare",
        "last",
        "--by",
        "auxiliary_loss,aux_weight",
        "--format",
        "csv",
    ];
    let csv = cluster.command(&[&both[..], &["--against", "auxiliary_loss=on,aux_weight=0.2"]].concat());
    assert_eq!(csv.lines().count(), 1 + 3 * 2, "{csv}");
    let csv = cluster.command(&both);
    // Of two by two points three are different networks: their three pairs, of which one is the interaction too.
    assert_eq!(csv.lines().count(), 1 + 3 * 3, "{csv}");
    let header = csv.lines().next().unwrap();
    assert!(header.ends_with(
        "g_z,difference_is,planned,missing,wilcoxon_null,first_diverged,second_diverged,divergence_n,divergence_p"
    ));
    assert!(
        csv.lines()
            .nth(4)
            .unwrap()
            .contains("first - second,5,,exact,0,0,5,1"),
        "{csv}"
    );
    // The weight alone without the loss: the same network.
    let weights = json(&cluster.command(&["compare", "last", "--by", "aux_weight", "--json"]));
    assert_eq!(
        (weights.len(), &weights[0]["same_network_left_out"]),
        (3, &3.into())
    );

    for (arguments, says) in [
        (
            vec!["--by", "learning_rate", "--against", "0.3"],
            "no point has that learning_rate; there are",
        ),
        (
            vec!["--by", "learning_rate", "--against", "dropout=0.1"],
            "is none of the axes that are compared",
        ),
        (vec!["--by", "learning_rate", "--against", "0.1,0.5"], "twice"),
        (
            vec!["--by", "learning_rate,aux_weight", "--against", "0.1"],
            "of which axis?",
        ),
        (
            vec!["--by", "learning_rate,aux_weight", "--against", "aux_weight=0.1"],
            "learning_rate has none",
        ),
    ] {
        let output = cluster.try_command(&[&["compare", "last"], arguments.as_slice()].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
}

#[test]
fn many_rows_suggest_one_reference() {
    let cluster = Cluster::patient();
    let rates: Vec<String> = (1..=11)
        .map(|rate| format!("{}", f64::from(rate) / 100.0))
        .collect();
    let sweep = format!(
        "name = \"many\"\nrepetitions = 2\nepochs = 1\n[settings]\narchitecture = \"perceptron-5\"\n[axes]\nlearning_rate = [{}]\n",
        rates.join(", ")
    );
    cluster.command(&["submit", &cluster.write("many.toml", &sweep)]);
    let by_rate = ["compare", "last", "--by", "learning_rate"];
    let table = cluster.command(&by_rate);
    assert!(
        table.contains("--against VALUE compares with one reference alone, 10 rows at most"),
        "{table}"
    );
    assert!(table.contains("corrected for all 55 rows"), "{table}");
    let table = cluster.command(&[&by_rate[..], &["--against", "0.05"]].concat());
    assert!(
        !table.contains("--against") && table.contains("all 10 rows"),
        "{table}"
    );
}
