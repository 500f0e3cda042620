//! Sweeps of several stages, against a real coordinator. The worker is part of the test.

mod common;

use common::fleet::{FakeWorker, Fate};
use common::{Cluster, json, text};

const STAGES: &str = r#"
name = "study"
repetitions = 2
epochs = 3

[settings]
architecture = "perceptron-5"

[[stage]]
name = "rates"
[stage.axes]
learning_rate = [0.1, 0.01, 0.001]

[[stage]]
name = "modes"
epochs = 2
repetitions = 3
[stage.axes]
weight_sharing = [false, true]
"#;

#[test]
fn every_stage_has_its_own_trials_and_results() {
    let mut cluster = Cluster::patient();
    let file = cluster.write("study.toml", STAGES);
    let said = cluster.command(&["submit", &file]);
    assert!(said.contains("rates 3 × 2, modes 2 × 3 = 12 trials"), "{said}");
    let mut worker = FakeWorker::register(&cluster, "w");
    worker.train(7, |_| Fate::Succeeds);
    cluster.kill();
    cluster.serve();
    let mut worker = FakeWorker::register(&cluster, "w");
    worker.train(5, |_| Fate::Succeeds);
    let sweep = cluster.until_over();
    assert_eq!(sweep["epochs"], 6 * 3 + 6 * 2);
    assert_eq!(sweep["total_epochs"], 30);
    let table = cluster.command(&["results", "study"]);
    assert!(
        table.contains("Stage rates\n") && table.contains("Stage modes\n"),
        "{table}"
    );
    let modes = json(&cluster.command(&["results", "study", "--stage", "modes", "--json"]));
    assert!(modes.iter().all(|row| row["stage"] == 1), "{modes:?}");
    assert_eq!(
        modes.iter().filter(|row| row["metric"] == "test_error").count(),
        2 * 2
    );
    let all = json(&cluster.command(&["results", "study", "--json"]));
    let of_modes: Vec<_> = all.into_iter().filter(|row| row["stage"] == 1).collect();
    assert_eq!(modes, of_modes);
    let curves = json(&cluster.command(&["results", "study", "--raw", "--json"]));
    assert_eq!(curves.len(), 30, "a line an epoch");
    let shown = cluster.command(&["show", "study/1.1.2"]);
    assert!(shown.contains("succeeded"), "{shown}");
    let output = cluster.try_command(&["plot", "study", "-o", "figure.svg"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("--stage: rates, modes"),
        "{}",
        text(&output.stderr)
    );
    let output = cluster.try_command(&["results", "study", "--stage", "mode"]);
    assert!(
        text(&output.stderr).contains("the sweep's are rates, modes"),
        "{}",
        text(&output.stderr)
    );
    let tail = cluster.command(&["tail", "study"]);
    assert!(
        tail.contains("rates: lr=1e-2  epoch 3/3") && tail.contains("modes: sharing=on  epoch 2/2"),
        "{tail}"
    );
}

const RULES: &str = r#"
name = "rules"
repetitions = 2
epochs = 3

[axes]
architecture = ["perceptron-5", "perceptron-7"]

[[stage]]
name = "coarse"
[stage.axes]
learning_rate = [0.1, 0.01]

[[stage]]
name = "fine"
repetitions = 1
[stage.axes]
learning_rate = { refine = "coarse", points = 3, span = 1.0 }

[[stage]]
name = "modes"
[stage.axes]
weight_sharing = [false, true]
learning_rate = { best_of = "fine" }
"#;

#[test]
fn a_stage_takes_what_was_best_before_it_whenever_the_coordinator_is_killed() {
    let mut cluster = Cluster::patient();
    let file = cluster.write("rules.toml", RULES);
    cluster.command(&["submit", &file]);
    // The first of the first network diverges once, so its other rate is chosen.
    let fate = |key: tenfold_proto::v1::TrialKey| match (key.stage, key.index, key.repetition) {
        (0, 0, 1) => Fate::DivergesIn(2),
        _ => Fate::Succeeds,
    };
    // Killed within stages and between them: after each few trials.
    let all = 2 * 2 * 2 + 2 * 3 + 2 * 2 * 2;
    // Two of each three were trained before, and so was a repetition at what is best among them.
    let trained = all - 2 * 2 - 2;
    let parts = [3, 1, 4, 1, 2, 1, 2, 1, 1];
    assert_eq!(parts.iter().sum::<usize>(), trained);
    for trials in parts {
        let mut worker = FakeWorker::register(&cluster, "w");
        worker.train(trials, fate);
        cluster.kill();
        cluster.serve();
    }
    let sweep = cluster.until_over();
    assert_eq!(
        (&sweep["state"], &sweep["trials"]["succeeded"]),
        (&"complete".into(), &(all - 1).into())
    );
    let shown = json(&cluster.command(&["show", "rules", "--json"]));
    let choices: Vec<_> = shown.iter().filter(|line| line["kind"] == "choice").collect();
    let values: Vec<_> = choices
        .iter()
        .map(|choice| (&choice["stage_name"], choice["values"].to_string()))
        .collect();
    let (fine, modes) = (&"fine".into(), &"modes".into());
    let expected = [
        (fine, "[0.001,0.01,0.1]"),
        (fine, "[0.01,0.1,1.0]"),
        (modes, "[0.001]"),
        (modes, "[0.1]"),
    ];
    assert_eq!(values, expected.map(|(stage, values)| (stage, values.to_owned())));
    assert_eq!(choices[0]["candidates"][0]["missing"], 1);
    assert_eq!(choices[0]["per"]["architecture"], "perceptron-5");
    let curves = json(&cluster.command(&["results", "rules", "--raw", "--json"]));
    let curve = |stage: u64, point: u64| -> Vec<String> {
        let of_trial = curves.iter().filter(|row| {
            (&row["stage"], &row["point"], &row["repetition"]) == (&stage.into(), &point.into(), &0.into())
        });
        of_trial.map(|row| row["metrics"].to_string()).collect()
    };
    assert_eq!((curve(1, 1).len(), curve(1, 1)), (3, curve(0, 1)), "trained once");
    let tail = cluster.command(&["tail", "rules"]);
    assert!(
        tail.contains(
            "chosen for modes: learning_rate 0.001 where architecture perceptron-5 (min-mean of test_error at epoch 3 of fine; 0.1 is as \
             good to 7 digits, and comes later in the order of the axis)"
        ),
        "{tail}"
    );
    assert!(
        tail.contains("modes: perceptron-7 sharing=on lr=1e-1  epoch 3/3"),
        "{tail}"
    );
    let raw = cluster.command(&["tail", "rules", "--raw"]);
    assert!(raw.contains("weight_sharing=true learning_rate=0.1"), "{raw}");
    let by_rate = json(&cluster.command(&[
        "results",
        "rules",
        "--stage",
        "modes",
        "--by",
        "learning_rate",
        "--json",
    ]));
    let rates: std::collections::BTreeSet<String> = by_rate
        .iter()
        .map(|row| row["axes"]["learning_rate"].to_string())
        .collect();
    assert_eq!(rates.into_iter().collect::<Vec<_>>(), ["0.001", "0.1"]);
    let plan = cluster.command(&["show", "rules"]);
    assert!(plan.contains("n = 1, 1 diverged or failed"), "{plan}");
}

#[test]
fn a_sweep_in_which_nothing_can_be_chosen_fails_with_that_reason() {
    let cluster = Cluster::patient();
    let file = cluster.write("rules.toml", RULES);
    cluster.command(&["submit", &file]);
    let mut worker = FakeWorker::register(&cluster, "w");
    // All of the second network diverge; the first goes on as if nothing were.
    // Trained before are two of the three, and a repetition at what is best among them.
    worker.train(8 + (3 - 2) + (4 - 1), |key| match (key.stage, key.index) {
        (0, 2 | 3) => Fate::DivergesIn(1),
        _ => Fate::Succeeds,
    });
    let sweep = cluster.until_over();
    assert_eq!(sweep["state"], "failed");
    let shown = cluster.command(&["show", "rules"]);
    assert!(
        shown.contains("nothing chosen for modes: no learning_rate where architecture perceptron-7: nothing to choose from"),
        "{shown}"
    );
    let last = cluster.try_command(&["tail", "rules", "--follow"]);
    assert_ne!(last.status.code(), Some(0));
}

const CONFIRM: &str = r#"
name = "confirmed"
repetitions = 2
epochs = 2

[settings]
architecture = "perceptron-5"

[[stage]]
name = "rates"
[stage.axes]
learning_rate = [0.1, 0.01]

[[stage]]
name = "modes"
confirm = 3
[stage.axes]
weight_sharing = [false, true]
learning_rate = { best_of = "rates", per = [] }
"#;

#[test]
fn what_was_chosen_is_trained_on_repetitions_that_no_choice_has_seen() {
    let mut cluster = Cluster::patient();
    let file = cluster.write("confirmed.toml", CONFIRM);
    let said = cluster.command(&["submit", &file]);
    assert!(
        said.contains("rates 2 × 2, modes 2 × 3 (confirm) = 10 trials"),
        "{said}"
    );
    let mut worker = FakeWorker::register(&cluster, "w");
    let trained = |trials: usize, worker: &mut FakeWorker| -> Vec<(u32, u32, u32)> {
        let one = |_| {
            let lease = worker.lease().unwrap();
            let (key, spec) = (
                lease.trials[0].trial.unwrap(),
                lease.trials[0].spec.clone().unwrap(),
            );
            worker.append(&lease, 1..=spec.epochs);
            worker.finish(&lease, spec.epochs, Fate::Succeeds);
            (key.stage, key.repetition, spec.repetition)
        };
        (0..trials).map(one).collect()
    };
    let first = trained(4, &mut worker);
    assert!(
        first.iter().all(|(stage, key, spec)| *stage == 0 && key == spec),
        "{first:?}"
    );
    // Nothing is used again: all six are trained, as none of the first.
    let second = trained(6, &mut worker);
    assert!(
        second
            .iter()
            .all(|(stage, key, spec)| *stage == 1 && *spec == 10_000 + key),
        "{second:?}"
    );
    let sweep = cluster.until_over();
    assert_eq!(sweep["trials"]["succeeded"], 10);
    cluster.command(&["extend", "confirmed", "--stage", "modes", "--repetitions", "4"]);
    cluster.kill();
    cluster.serve();
    let mut worker = FakeWorker::register(&cluster, "w");
    assert_eq!(trained(2, &mut worker), [(1, 3, 10_003), (1, 3, 10_003)]);
    cluster.until_over();
    // Pairs are told by the numbers that they have in their stage.
    let compared = cluster.command(&[
        "compare",
        "confirmed",
        "--stage",
        "modes",
        "--by",
        "weight_sharing",
        "--json",
    ]);
    assert_eq!(json(&compared)[0]["n"], 4, "{compared}");
    let shown = cluster.command(&["show", "confirmed"]);
    assert!(
        shown.contains("× 4 repetitions that no earlier choice has seen"),
        "{shown}"
    );
    cluster.command(&["report", "confirmed", "-o", "report"]);
    let report = std::fs::read_to_string(cluster.folder.path().join("report/report.md")).unwrap();
    for said in [
        "Its 4 repetitions are ones that no earlier choice has seen.",
        "In these stages the chosen values were trained on repetitions that no earlier choice has seen (from 10000 on), with other pairs, though \
         of the same 10000 test images: modes.",
        "test images are drawn from 10000, 2000 for each repetition, so about 20 % of the test images",
    ] {
        assert!(report.contains(said), "{said} in {report}");
    }
    let refused = cluster.try_command(&["refine", "confirmed", "--axis", "weight_sharing", "--points", "3"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
}
