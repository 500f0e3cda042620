//! Axes that are sampled together: what they are in a sweep, and that their values are always the same.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write;

use tenfold_core::sweep::{Stage, Sweep};
use tenfold_types::{Setting, Value};

fn parse(text: &str, overrides: &[&str]) -> Sweep {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    Sweep::parse(text, "sampled.toml", &overrides, None).unwrap_or_else(|error| panic!("{error}"))
}

const SAMPLED: &str = r#"
seed = 7
repetitions = 2
epochs = 3

[axes]
learning_rate = { log = [1e-6, 1e-1] }
architecture = ["perceptron-10", "perceptron-20"]
momentum = { linear = [0.0, 0.5] }
batch_size = { linear = [10, 13] }

[sample]
method = "sobol"
points = 16

[settings]
optimizer = "sgd"
"#;

const AXES: [Setting; 3] = [Setting::LearningRate, Setting::Momentum, Setting::BatchSize];

fn values(stage: &Stage, setting: Setting) -> Vec<Value> {
    let axis = stage.axes().iter().find(|axis| axis.setting == setting);
    axis.unwrap().values.clone()
}

/// The file that lists what the sampled one says.
fn explicit(sweep: &Sweep) -> String {
    let mut text = String::from(
        "zip = [[\"learning_rate\", \"batch_size\", \"momentum\"]]\nseed = 7\nrepetitions = 2\nepochs = 3\n\
         settings.optimizer = \"sgd\"\n[axes]\n",
    );
    for axis in sweep.stages()[0].axes() {
        let quote = if axis.setting == Setting::Architecture {
            "\""
        } else {
            ""
        };
        let values: Vec<String> = axis
            .values
            .iter()
            .map(|value| format!("{quote}{value}{quote}"))
            .collect();
        writeln!(text, "{} = [{}]", axis.setting, values.join(", ")).unwrap();
    }
    text
}

#[test]
fn a_sampled_sweep_is_the_one_that_lists_its_values() {
    for method in ["sobol", "random"] {
        let sweep = parse(SAMPLED, &[&format!("sample.method={method}")]);
        let listed = parse(&explicit(&sweep), &[]);
        assert_eq!(sweep.normalised(), listed.normalised());
        assert_eq!(sweep.id(), listed.id());
        let again = Sweep::from_normalised(sweep.name(), sweep.normalised()).unwrap();
        assert_eq!(again, sweep);
        assert_eq!((sweep.points(), sweep.trials()), (32, 64));
    }
    let only = "settings.architecture = \"perceptron-10\"\n";
    let sampled = parse(
        &format!("{only}axes.dropout = [0.1]\naxes.learning_rate.log = [1e-6, 1]\nsample = {{ method = \"random\", points = 1 }}\n{DROPOUT}")
            .replace("perceptron-10", "mine"),
        &[],
    );
    let value = &values(&sampled.stages()[0], Setting::LearningRate)[0];
    let listed = format!("{only}axes.dropout = [0.1]\naxes.learning_rate = [{value}]\n{DROPOUT}");
    assert_eq!(
        sampled.id(),
        parse(&listed.replace("perceptron-10", "mine"), &[]).id(),
        "of one axis"
    );
}

const DROPOUT: &str =
    "[[architecture]]\nname = \"mine\"\nlayers = [\"dropout\", { linear = { units = 10 } }]\n";

/// They are part of the id of whatever was sampled. When this fails, the same file has become another sweep.
#[test]
fn the_values_never_change() {
    let first = |overrides: &[&str]| -> Vec<String> {
        let sweep = parse(SAMPLED, overrides);
        AXES.iter()
            .map(|&setting| {
                let values = values(&sweep.stages()[0], setting);
                let values: Vec<String> = values.iter().take(4).map(Value::to_string).collect();
                values.join(" ")
            })
            .collect()
    };
    assert_eq!(
        first(&[]),
        [
            "1.46409850512e-6 4.62988599501e-4 0.00823323093576 2.60357622592e-5",
            "0.268298230629 0.0182982306294 0.393298230629 0.143298230629",
            "12 10 13 11"
        ]
    );
    assert_eq!(
        first(&["sample.method=random"]),
        [
            "1.46409850512e-6 3.50707410203e-4 3.22539498337e-5 1.15745674157e-4",
            "0.268298230629 0.234412095942 0.351824855135 0.484376785226",
            "12 13 10 13"
        ]
    );
}

#[test]
fn the_plan_says_how_axes_are_sampled() {
    let plan = parse(SAMPLED, &["sample.seed=3"]).describe();
    let line = "  sampled         learning_rate with momentum with batch_size: 16 points, sobol, seed 3\n";
    assert!(plan.contains(line), "{plan}");
    assert!(!plan.contains("zipped"), "{plan}");
    let plan = parse(
        SAMPLED,
        &["sample.method=random", "momentum=0.5", "batch_size=10"],
    )
    .describe();
    assert!(
        plan.contains("  sampled         learning_rate: 16 points, random, seed 7\n"),
        "{plan}"
    );
}

#[test]
fn every_value_lies_in_its_range_and_batch_sizes_occur_again() {
    let sweep = parse(SAMPLED, &["sample.points=64"]);
    let stage = &sweep.stages()[0];
    let mut sizes = [0; 4];
    for index in stage.indexes() {
        let spec = stage.spec(index, 0).unwrap();
        assert!((1e-6..=1e-1).contains(&spec.learning_rate));
        assert!((0.0..=0.5).contains(&spec.momentum));
        sizes[spec.batch_size as usize - 10] += 1;
    }
    // 64 points × 2 architectures: a net has as many of each.
    assert_eq!(sizes, [32; 4]);
    // Log-uniform: as many in each decade, to a point.
    let rates = values(stage, Setting::LearningRate);
    for decade in 1..=5 {
        let low = 10f64.powi(-decade - 1);
        let within = rates
            .iter()
            .filter(|rate| **rate >= Value::Float(low) && **rate < Value::Float(low * 10.0));
        assert!((12..=14).contains(&within.count()), "from {low}");
    }
}

#[test]
fn ranges_as_wide_as_numbers_go_are_sampled() {
    let ranges = [
        ("learning_rate", "log", "5e-324", "1.7976931348623157e308"),
        ("weight_decay", "linear", "0", "1.7976931348623157e308"),
        ("batch_size", "log", "1", "4294967295"),
        ("warm_up", "linear", "0", "999999"),
        ("momentum", "linear", "0", "0.9999999999999999"),
    ];
    for method in ["sobol", "random"] {
        for (axis, scale, from, to) in ranges {
            let text = format!(
                "epochs = 1000000\n[settings]\narchitecture = \"perceptron-10\"\noptimizer = \"sgd\"\n[axes]\nweight_sharing = [false, true]\n\
                 {axis} = {{ {scale} = [{from}, {to}] }}\n[sample]\nmethod = \"{method}\"\npoints = 20\n"
            );
            let sweep = parse(&text, &[]);
            let number = |value: &Value| match value {
                Value::Int(value) => *value as f64,
                Value::Float(value) => *value,
                other => panic!("{other}"),
            };
            let numbers: Vec<f64> = sweep.stages()[0].axes()[1].values.iter().map(number).collect();
            let (from, to): (f64, f64) = (from.parse().unwrap(), to.parse().unwrap());
            assert!(
                numbers.iter().all(|number| (from..=to).contains(number)),
                "{axis}: {numbers:?}"
            );
            let above = numbers.iter().filter(|&&number| match scale {
                "log" => number.ln() > f64::midpoint(from.ln(), to.ln()),
                _ => number > from / 2.0 + to / 2.0,
            });
            assert!((5..=15).contains(&above.count()), "{axis}: {numbers:?}");
        }
    }
}

#[test]
fn what_refers_to_values_works_where_they_occur_again() {
    let excluded = format!("{SAMPLED}[[exclude]]\nbatch_size = 12\narchitecture = \"perceptron-20\"\n");
    let sweep = parse(&excluded, &[]);
    let stage = &sweep.stages()[0];
    assert_eq!((stage.raw_points(), stage.points()), (32, 28));
    let twelve = |index: &u64| stage.spec(*index, 0).unwrap().batch_size == 12;
    assert_eq!(stage.indexes().filter(twelve).count(), 4);
    let grouping = sweep.grouping(&["batch_size".to_owned()]).unwrap();
    let sizes: Vec<usize> = grouping
        .groups()
        .map(|group| grouping.members(group).len())
        .collect();
    assert_eq!((sizes.len(), sizes.iter().sum::<usize>()), (4, 28));

    // One that is there already, at its batch size, and one that is not.
    let point = stage.point(0).unwrap();
    let of = |setting| {
        point
            .values
            .iter()
            .find(|(axis, _)| *axis == setting)
            .unwrap()
            .1
            .clone()
    };
    let [rate, momentum, size] = AXES.map(of);
    let other = if size == Value::Int(10) { 11 } else { 10 };
    let included = format!(
        "{SAMPLED}[[include]]\nlearning_rate = {rate}\nmomentum = {momentum}\nbatch_size = [{size}, {other}]\n"
    );
    let sweep = parse(&included, &[]);
    assert_eq!((sweep.stages()[0].raw_points(), sweep.points()), (36, 34));
}

#[test]
fn a_sample_can_be_extended() {
    for method in ["sobol", "random"] {
        let method = format!("sample.method={method}");
        let (few, many) = (
            parse(SAMPLED, &[&method]),
            parse(SAMPLED, &[&method, "sample.points=32"]),
        );
        for setting in AXES {
            let many = values(&many.stages()[0], setting);
            assert_eq!(values(&few.stages()[0], setting), many[..16]);
        }
    }
}

#[test]
fn the_seed_is_that_of_the_sweep_unless_it_has_its_own() {
    let rates = |overrides: &[&str]| values(&parse(SAMPLED, overrides).stages()[0], Setting::LearningRate);
    assert_eq!(rates(&[]), rates(&["sample.seed=7"]));
    assert_eq!(rates(&["seed=8", "sample.seed=7"]), rates(&[]));
    assert_ne!(rates(&["seed=8"]), rates(&[]));
    assert_eq!(rates(&["seed=8"]), rates(&["sample.seed=8"]));
}

#[test]
fn overrides_make_sampled_axes_and_unmake_them() {
    let sweep = parse(SAMPLED, &["momentum=0.25", "weight_decay=log(1e-6,1e-2)"]);
    let stage = &sweep.stages()[0];
    assert_eq!(
        stage
            .axes()
            .iter()
            .map(|axis| axis.values.len())
            .collect::<Vec<_>>(),
        [16, 2, 16, 16]
    );
    assert_eq!(stage.points(), 32);
    let ranged = parse(SAMPLED, &["learning_rate=log(1e-4,1e-2,3)"]);
    assert_eq!(ranged.points(), 3 * 2 * 16, "a range with points is a plain one");
}

#[test]
fn a_stage_samples_as_all_do_but_for_what_it_says() {
    const STAGES: &str = r#"
seed = 7
[settings]
architecture = "perceptron-10"
[sample]
method = "random"
points = 8

[[stage]]
name = "one"
[stage.axes]
learning_rate = { log = [1e-6, 1e-1] }

[[stage]]
name = "two"
[stage.axes]
learning_rate = { log = [1e-6, 1e-1] }
[stage.sample]
points = 4

[[stage]]
name = "three"
[stage.axes]
weight_sharing = [false, true]
"#;
    let points = |overrides: &[&str]| -> Vec<u64> {
        parse(STAGES, overrides)
            .stages()
            .iter()
            .map(Stage::points)
            .collect()
    };
    assert_eq!(points(&[]), [8, 4, 2]);
    assert_eq!(
        points(&["sample.points=16"]),
        [16, 16, 2],
        "an override for all has the last word"
    );
    assert_eq!(points(&["two.sample.points=5"]), [8, 5, 2]);
    assert_eq!(points(&["one.sample.points=5", "sample.points=6"]), [5, 6, 2]);
    assert_eq!(points(&["one.enabled=false", "two.enabled=false"]), [2]);
    let sweep = parse(STAGES, &[]);
    let rates = |stage: usize| values(&sweep.stages()[stage], Setting::LearningRate);
    assert_eq!(rates(0)[..4], rates(1));
    let sobol = parse(STAGES, &["two.sample.method=sobol"]);
    assert_ne!(values(&sobol.stages()[1], Setting::LearningRate), rates(1));
}
