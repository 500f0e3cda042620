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
        (sweep.points(), sweep.trials(), sweep.total_epochs()),
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
