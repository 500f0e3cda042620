//! Sweeps of several stages: what each has, and what overrides make of them.

use tenfold_core::sweep::Sweep;
use tenfold_types::Join;

fn parse(text: &str) -> Sweep {
    set(text, &[])
}

fn set(text: &str, overrides: &[&str]) -> Sweep {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    Sweep::parse(text, "stages.toml", &overrides, None).unwrap_or_else(|error| panic!("{error}"))
}

const STAGES: &str = r#"
name = "study"
repetitions = 3
epochs = 20

[settings]
learning_rate = 0.01
join = "relu"

[axes]
architecture = ["perceptron-5", "perceptron-7"]

[[stage]]
name = "rates"
repetitions = 2
[stage.axes]
learning_rate = [0.1, 0.01, 0.001]

[[stage]]
name = "modes"
epochs = 30
[stage.settings]
join = "softmax"
architecture = "perceptron-5"
[stage.axes]
weight_sharing = [false, true]

[[stage]]
name = "more"
enabled = false
[stage.axes]
batch_size = [50]
"#;

#[test]
fn a_stage_has_what_is_common_and_its_own_on_top() {
    let sweep = parse(STAGES);
    let names: Vec<&str> = sweep.stages().iter().map(|stage| stage.name()).collect();
    assert_eq!(names, ["rates", "modes"], "the third is not enabled");
    let [rates, modes] = sweep.stages() else { panic!() };
    assert_eq!((rates.repetitions(), rates.epochs(), rates.points()), (2, 20, 6));
    assert_eq!((modes.repetitions(), modes.epochs(), modes.points()), (3, 30, 2));
    assert_eq!(
        (sweep.points(), sweep.trials(), sweep.most_epochs()),
        (8, 18, 12 * 20 + 6 * 30)
    );
    let first = rates.spec(5, 1).unwrap();
    assert_eq!(first.architecture.name, "perceptron-7");
    assert_eq!(
        (first.learning_rate, first.join, first.epochs),
        (0.001, Join::Relu, 20)
    );
    let second = modes.spec(1, 2).unwrap();
    assert_eq!(second.architecture.name, "perceptron-5");
    assert_eq!(
        (second.learning_rate, second.join, second.epochs),
        (0.01, Join::Softmax, 30)
    );
    assert!(second.weight_sharing);
    let again = Sweep::from_normalised("study", sweep.normalised()).unwrap();
    assert_eq!(again, sweep);
    assert_eq!(again.id(), sweep.id());
    let text = sweep.describe();
    assert!(
        text.contains("stage rates\n") && text.contains("stage modes\n"),
        "{text}"
    );
}

#[test]
fn overrides_concern_all_stages_or_one() {
    let all = set(STAGES, &["epochs=5", "learning_rate=0.5"]);
    for stage in all.stages() {
        assert_eq!(
            (stage.epochs(), stage.spec(0, 0).unwrap().learning_rate),
            (5, 0.5)
        );
    }
    let one = set(
        STAGES,
        &[
            "modes.epochs=5",
            "rates.learning_rate=0.2,0.3",
            "more.enabled=true",
            "more.join=as-is",
        ],
    );
    let epochs: Vec<u32> = one.stages().iter().map(|stage| stage.epochs()).collect();
    assert_eq!(epochs, [20, 5, 20]);
    assert_eq!(one.stages()[0].points(), 4);
    let both = set(
        STAGES,
        &[
            "learning_rate=0.5",
            "rates.learning_rate=0.2,0.3",
            "modes.epochs=5",
            "epochs=7",
        ],
    );
    let [rates, modes] = both.stages() else { panic!() };
    assert_eq!(
        (rates.points(), rates.epochs()),
        (4, 7),
        "what is said of one stage counts there"
    );
    assert_eq!(
        (modes.spec(0, 0).unwrap().learning_rate, modes.epochs()),
        (0.5, 5)
    );
    let repeated = Sweep::parse(STAGES, "f.toml", &[], Some(7)).unwrap();
    assert!(repeated.stages().iter().all(|stage| stage.repetitions() == 7));
}

#[test]
fn a_search_is_a_stage_for_each_rung_and_the_same_sweep_however_it_is_written() {
    let file = |stop: &str| {
        format!(
            "epochs = 20\nrepetitions = 2\n[settings]\narchitecture = \"perceptron-5\"\n[[stage]]\nname = \"scan\"\nstop = {stop}\n\
             [stage.axes]\nlearning_rate = [0.1, 0.01, 0.001, 0.0001]\nbatch_size = [10, 20]\n"
        )
    };
    let parse = |stop: &str| Sweep::parse(&file(stop), "search.toml", &[], None).unwrap();
    let sweep = parse(r#"{ rule = "successive-halving", from = 2, per = ["batch_size"] }"#);
    let all = r#"{ rule = "successive-halving", from = 2, factor = 3, metric = "test_error", per = ["batch_size"] }"#;
    assert_eq!(sweep.id(), parse(all).id(), "defaults are no other sweep");
    assert_ne!(sweep.id(), parse(&all.replace("factor = 3", "factor = 2")).id());
    assert_ne!(sweep.id(), parse(&all.replace("successive-halving", "asha")).id());
    let stages: Vec<(&str, u32, u64)> = sweep
        .stages()
        .iter()
        .map(|stage| (stage.name(), stage.epochs(), stage.most_points()))
        .collect();
    // Of four rates with each size of batches one goes on.
    assert_eq!(
        stages,
        [
            ("scan-at-2", 2, 8),
            ("scan-at-6", 6, 2),
            ("scan-at-18", 18, 2),
            ("scan", 20, 2)
        ]
    );
    assert_eq!(sweep.most_trials(), (8 + 2 + 2 + 2) * 2);
    let again = Sweep::from_normalised(sweep.name(), sweep.normalised()).unwrap();
    assert_eq!(again, sweep);
    assert_eq!(again.stages()[3].gate(), sweep.stages()[3].gate());
    assert!((0..3).all(|stage| sweep.is_continued(stage)) && !sweep.is_continued(3));
    let plan = sweep.describe();
    for said in [
        "at most 28 trials, 208 epochs",
        "at most 2 of 8 points × 2 repetitions = at most 4, of 20 epochs each",
        "those that go on from stage scan-at-2: successive-halving of test_error at epoch 2, factor 3, for each batch_size",
    ] {
        assert!(plan.contains(said), "{said} in {plan}");
    }
    // An override reaches into the table, and a number displaces it.
    let set = |set: &str| Sweep::parse(&file(all), "search.toml", &[set.to_owned()], None);
    assert_eq!(set("scan.stop.factor=2").unwrap().stages().len(), 5);
    assert_eq!(set("stop.from=7").unwrap().stages().len(), 2);
    // Keys of one rule go when another takes its place; one of a list needs no brackets.
    let sets = ["scan.stop.rule=median", "stop.at=5", "stop.per=learning_rate"].map(str::to_owned);
    let median = Sweep::parse(&file(all), "search.toml", &sets, None).unwrap();
    assert_eq!(median.stages()[0].name(), "scan-at-5");
    // What all stages have in common is a stage's own where one key of it is.
    let common = r#"
epochs = 20
stop = { rule = "asha", from = 2 }
[settings]
architecture = "perceptron-5"
[axes]
learning_rate = [0.1, 0.01, 0.001]
[[stage]]
name = "a"
[[stage]]
name = "b"
stop = "none"
"#;
    let sweep = Sweep::parse(common, "common.toml", &["a.stop.from=7".to_owned()], None).unwrap();
    let names: Vec<&str> = sweep.stages().iter().map(|stage| stage.name()).collect();
    assert_eq!(names, ["a-at-7", "a", "b"]);
}

#[test]
fn repetitions_by_need_are_the_same_sweep_however_they_are_written() {
    let file = |repetitions: &str| {
        format!("epochs = 20\nrepetitions = {repetitions}\n[settings]\narchitecture = \"perceptron-5\"\n")
    };
    let parse = |repetitions: &str| Sweep::parse(&file(repetitions), "need.toml", &[], None).unwrap();
    let sweep = parse("{ min = 5, max = 30, until = { ci95_half_width = 0.005 } }");
    let all = r#"{ min = 5, max = 30, step = 1, until = { ci95_half_width = 5e-3, metric = "test_error", at = 20 } }"#;
    assert_eq!(sweep.id(), parse(all).id());
    assert_ne!(sweep.id(), parse(&all.replace("step = 1", "step = 5")).id());
    assert_ne!(sweep.id(), parse("30").id());
    assert_eq!(
        Sweep::from_normalised("need", sweep.normalised())
            .unwrap()
            .stages()[0]
            .gate(),
        sweep.stages()[0].gate()
    );
    assert_eq!(
        (sweep.trials(), sweep.stages()[0].min_repetitions()),
        (30, Some(5))
    );
    assert!(
        sweep
            .describe()
            .contains("1 point × 5 to 30 repetitions = at most 30"),
        "{}",
        sweep.describe()
    );
    let seven = Sweep::parse(&file(all), "need.toml", &[], Some(7)).unwrap();
    assert_eq!((seven.trials(), seven.stages()[0].min_repetitions()), (7, None));
}

const CONFIRM: &str = r#"
epochs = 2
repetitions = 3
[axes]
architecture = ["perceptron-5", "perceptron-7"]
[[stage]]
name = "rates"
[stage.axes]
learning_rate = [0.1, 0.01]
[[stage]]
name = "modes"
confirm = 4
[stage.axes]
learning_rate = { best_of = "rates" }
"#;

#[test]
fn repetitions_that_confirm_are_trained_as_none_that_another_stage_can_have() {
    let sweep = parse(CONFIRM);
    assert_eq!(sweep.stages()[1].repetitions(), 4);
    let plan = sweep.describe();
    assert!(
        plan.contains("2 points × 4 repetitions that no earlier choice has seen = 8"),
        "{plan}"
    );
    let choice = sweep.choices().next().unwrap().0;
    let chosen = sweep.with(choice, vec![tenfold_types::Value::Float(0.1)]);
    let [rates, modes] = chosen.stages() else {
        panic!("two stages")
    };
    let trained = |repetition| modes.spec(0, repetition).unwrap().repetition;
    assert_eq!([trained(0), trained(3)], [10_000, 10_003]);
    assert_eq!(rates.spec(0, 2).unwrap().repetition, 2);
    // Extended, they go on, and those of the other stage never reach them.
    let all = sweep.more_repetitions(None, 10_000).unwrap();
    let extended = all
        .iter()
        .fold(chosen, |sweep, more| sweep.extended(more).unwrap());
    let last = |stage: usize| extended.stages()[stage].spec(0, 9_999).unwrap().repetition;
    assert_eq!([last(0), last(1)], [9_999, 19_999]);
    assert!(sweep.more_repetitions(None, 10_001).is_err());
    // Its text reads to the same, and one without the key is what it was.
    let read = Sweep::from_normalised("stages", sweep.normalised()).unwrap();
    assert_eq!(read.describe(), sweep.describe());
    assert!(sweep.normalised().contains(r#""confirm":true"#));
    let without = parse(&CONFIRM.replace("confirm = 4", "repetitions = 4"));
    assert!(!without.normalised().contains("confirm"));
    assert_ne!(without.id(), sweep.id());
}

#[test]
fn overrides_say_how_many_repetitions_confirm_or_that_none_do() {
    let of = |overrides: &[&str], all: Option<u32>| {
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        let sweep = Sweep::parse(CONFIRM, "stages.toml", &overrides, all).unwrap();
        let stage = |at: usize| (sweep.stages()[at].repetitions(), sweep.stages()[at].confirms());
        (stage(0), stage(1))
    };
    assert_eq!(of(&[], None), ((3, false), (4, true)));
    assert_eq!(of(&[], Some(1)), ((1, false), (1, true)));
    assert_eq!(of(&["repetitions=2"], None), ((2, false), (2, true)));
    assert_eq!(of(&["modes.repetitions=2"], None), ((3, false), (2, false)));
    assert_eq!(of(&["modes.confirm=2"], None), ((3, false), (2, true)));
    assert_eq!(of(&["modes.confirm=2"], Some(1)), ((1, false), (2, true)));
    assert_eq!(
        of(&["modes.repetitions=2", "modes.confirm=5"], None),
        ((3, false), (5, true))
    );
}

#[test]
fn what_is_refined_after_it_was_confirmed_is_a_stage_like_any_other() {
    let around = tenfold_core::sweep::Around {
        axis: "learning_rate".to_owned(),
        points: 3,
        span: 1.0,
        stage: Some("modes".to_owned()),
        metric: tenfold_types::Metric::TestError,
    };
    let sweep = parse(CONFIRM);
    let extended = sweep.extended(&sweep.refined(&around).unwrap()).unwrap();
    let added = extended.stages().last().unwrap();
    assert_eq!((added.confirms(), added.repetitions()), (false, 4));
}
