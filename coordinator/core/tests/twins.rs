//! Points that come to the same network: which of them is trained, against a comparison of the trials themselves.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fmt::Write;

use proptest::prelude::*;
use tenfold_core::sweep::{ChoiceId, Stage, Sweep};
use tenfold_types::{TrialKey, Value};

fn parse(text: &str) -> Sweep {
    Sweep::parse(text, "twins.toml", &[], None).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// For each point the first of the stage that has the same trial.
fn firsts(stage: &Stage) -> BTreeMap<u64, u64> {
    let mut known: Vec<(tenfold_types::TrialSpec, u64)> = Vec::new();
    let mut firsts = BTreeMap::new();
    for index in stage.indexes() {
        let Some(spec) = stage.spec(index, 0) else {
            firsts.insert(index, index);
            continue;
        };
        let found = known.iter().find(|(other, _)| *other == spec).map(|(_, at)| *at);
        let first = found.unwrap_or(index);
        if first == index {
            known.push((spec, index));
        }
        firsts.insert(index, first);
    }
    firsts
}

fn check(stage: &Stage) -> Result<(), TestCaseError> {
    let firsts = firsts(stage);
    for (&index, &first) in &firsts {
        prop_assert_eq!(stage.representative(index, 0), first, "point {}", index);
        let alike: Vec<u64> = stage.alike_at(index, 0).collect();
        let same = firsts.iter().filter(|(_, of)| **of == first);
        prop_assert_eq!(alike, same.map(|(at, _)| *at).collect::<Vec<u64>>());
    }
    let all: Vec<u64> = stage.indexes().collect();
    prop_assert_eq!(stage.compared(&all), stage.distinct(&all));
    let twins = firsts.iter().any(|(index, first)| index != first);
    prop_assert!(stage.has_twins() || !twins);
    Ok(())
}

/// Axes, each with its values as TOML writes them; the last of each stands in no grid, for includes.
const POOL: &[(&str, &[&str])] = &[
    ("auxiliary_loss", &["true", "false"]),
    ("aux_weight", &["0.1", "0.3", "3.0", "7.0"]),
    ("schedule", &["\"step\"", "\"constant\"", "\"cosine\""]),
    ("step_epochs", &["1", "2", "3"]),
    ("step_factor", &["0.5", "0.25", "0.75"]),
    ("dropout", &["0.1", "0.2", "0.3"]),
    ("architecture", &["\"perceptron-3\"", "\"drops\"", "\"one\""]),
    ("weight_sharing", &["true", "false"]),
    ("learning_rate", &["0.1", "0.01", "1.0"]),
];
const ARCHITECTURES: &str = r#"
[[architecture]]
name = "drops"
layers = ["flatten", { linear = { units = 4 } }, "dropout"]
[[architecture]]
name = "one"
sub_networks = 1
layers = ["flatten", { linear = { units = 3 } }]
"#;

/// For some axes of a case the numbers of values.
type Selection = Vec<(usize, Vec<usize>)>;

/// The text of a sweep with these axes, by place in the pool and with a number of values.
fn text(axes: &[(usize, usize)], zip: bool, include: &[Selection], exclude: &[Selection]) -> String {
    let name = |axis: usize| POOL[axes[axis].0].0;
    let value = |axis: usize, at: usize| POOL[axes[axis].0].1[at % POOL[axes[axis].0].1.len()];
    let mut text = "epochs = 3\nrepetitions = 1\n".to_owned();
    if zip && axes.len() > 1 {
        writeln!(text, "zip = [[\"{}\", \"{}\"]]", name(0), name(1)).unwrap();
    }
    let named = |setting: &str| (0..axes.len()).any(|axis| name(axis) == setting);
    if !named("architecture") {
        writeln!(text, "settings.architecture = \"drops\"").unwrap();
    }
    if !named("auxiliary_loss") {
        writeln!(text, "settings.auxiliary_loss = true").unwrap();
    }
    if !named("schedule") {
        writeln!(text, "settings.schedule = \"step\"").unwrap();
    }
    writeln!(text, "[axes]").unwrap();
    for axis in 0..axes.len() {
        let n = axes[axis].1.max(if zip && axis < 2 { 2 } else { 1 });
        // Zipped axes are as long as one another; the first then has each value twice.
        let values: Vec<&str> = match zip && axis < 2 && axes.len() > 1 {
            true if axis == 0 => (0..4).map(|at| value(0, at / 2)).collect(),
            true => (0..4).map(|at| value(1, at % 2)).collect(),
            false => (0..n).map(|at| value(axis, at)).collect(),
        };
        writeln!(text, "{} = [{}]", name(axis), values.join(", ")).unwrap();
    }
    for (key, selections) in [("include", include), ("exclude", exclude)] {
        for selection in selections {
            writeln!(text, "[[{key}]]").unwrap();
            for (axis, values) in selection.iter().filter(|(axis, _)| *axis < axes.len()) {
                let values: Vec<&str> = values.iter().map(|at| value(*axis, *at)).collect();
                writeln!(text, "{} = [{}]", name(*axis), values.join(", ")).unwrap();
            }
        }
    }
    text + ARCHITECTURES
}

fn cases() -> impl Strategy<Value = String> {
    let order = Just((0..POOL.len()).collect::<Vec<_>>()).prop_shuffle();
    let selection = || {
        let axes = proptest::sample::subsequence((0..6).collect::<Vec<usize>>(), 1..=3);
        axes.prop_flat_map(|axes| {
            let values = |axis: &usize| {
                let values = proptest::sample::subsequence(vec![0usize, 1, 2], 1..=2);
                (Just(*axis), values)
            };
            axes.iter().map(values).collect::<Vec<_>>()
        })
    };
    (
        order,
        2..=6usize,
        any::<bool>(),
        proptest::collection::vec(selection(), 0..3),
        proptest::collection::vec(selection(), 0..3),
    )
        .prop_map(|(order, axes, zip, include, exclude)| {
            let axes: Vec<(usize, usize)> = order[..axes].iter().map(|&place| (place, 2)).collect();
            text(&axes, zip, &include, &exclude)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn the_lowest_point_with_the_same_trial_represents_the_others(text in cases()) {
        let sweep = Sweep::parse(&text, "case.toml", &[], None);
        prop_assume!(sweep.is_ok());
        check(&sweep.unwrap().stages()[0])?;
    }
}

const INERT: &str = r#"
epochs = 2
repetitions = 4
settings.architecture = "perceptron-10"
[axes]
auxiliary_loss = [false, true]
aux_weight = [0.1, 0.3, 1.0, 3.0, 10.0]
"#;

#[test]
fn a_plan_says_how_many_points_are_the_same() {
    let plan = parse(INERT).describe();
    let trials = "10 points × 4 repetitions = 40, 24 of them trained, of 2 epochs each: 48 epochs\n";
    assert!(plan.contains(trials), "{plan}");
    let same = "4 of the 10 points are the same network as another one, which is trained once: aux_weight cannot matter there\n";
    assert!(plan.contains(same), "{plan}");
    let plain = parse(&INERT.replace("[false, true]", "[true]"));
    assert!(!plain.has_twins() && !plain.describe().contains("the same"));
}

#[test]
fn sampled_points_have_twins_where_what_was_sampled_cannot_matter() {
    let sweep = parse(
        r#"
epochs = 2
repetitions = 1
settings.architecture = "perceptron-3"
[axes]
auxiliary_loss = [true, false]
aux_weight = { log = [0.1, 10.0] }
learning_rate = { log = [0.001, 0.1] }
[sample]
points = 40
method = "random"
"#,
    );
    check(&sweep.stages()[0]).unwrap();
    let alone = parse(
        r#"
epochs = 2
repetitions = 1
settings.architecture = "perceptron-3"
[axes]
auxiliary_loss = [true, false]
learning_rate = [0.1, 0.2]
aux_weight = { log = [0.1, 10.0] }
[sample]
points = 40
method = "sobol"
"#,
    );
    check(&alone.stages()[0]).unwrap();
    assert_eq!(alone.stages()[0].distinct_points(), 82);
}

/// Rates are taken for each weight, which matters at some points only; or weights around the best, which may not matter.
#[test]
fn values_that_are_chosen_make_twins_once_they_are_known() {
    let of = |fine: &str| {
        parse(&format!(
            r#"
epochs = 2
repetitions = 1
settings.architecture = "perceptron-3"
[axes]
auxiliary_loss = [false, true]
[[stage]]
name = "coarse"
[stage.axes]
learning_rate = [0.1, 0.2]
aux_weight = [0.5, 1.0]
[[stage]]
name = "fine"
[stage.axes]
{fine}
"#
        ))
    };
    let mut by_weight = of(
        "aux_weight = [0.5, 1.0]\nlearning_rate = { best_of = \"coarse\", per = [\"auxiliary_loss\", \"aux_weight\"] }",
    );
    let choices: Vec<ChoiceId> = by_weight.choices().map(|(choice, _)| choice).collect();
    assert_eq!(choices.len(), 4);
    for (number, rates) in [[0.1, 0.1], [0.2, 0.1]].into_iter().enumerate() {
        let mut sweep = by_weight.clone();
        for (choice, rate) in choices.iter().zip(rates.into_iter().chain([0.2, 0.2])) {
            check(&sweep.stages()[1]).unwrap();
            sweep = sweep.with(*choice, vec![Value::Float(rate)]);
        }
        check(&sweep.stages()[1]).unwrap();
        let twin = sweep.stages()[1].representative(1, 0) == 0;
        assert_eq!(twin, number == 0, "the weights' rates are the same, or not");
        by_weight = sweep.without(choices[0]);
        check(&by_weight.stages()[1]).unwrap();
        by_weight = choices.iter().fold(sweep, |sweep, choice| sweep.without(*choice));
    }
    let mut best = of(
        "learning_rate = [0.1, 0.2]\naux_weight = { best_of = \"coarse\", per = [\"auxiliary_loss\", \"learning_rate\"] }",
    );
    let choices: Vec<ChoiceId> = best.choices().map(|(choice, _)| choice).collect();
    for (number, choice) in choices.into_iter().enumerate() {
        best = best.with(choice, vec![Value::Float([0.5, 1.0][number % 2])]);
        check(&best.stages()[1]).unwrap();
    }
}

#[test]
fn a_large_grid_is_not_listed() {
    let weights: Vec<String> = (1..=200).map(|n| format!("{n}.0")).collect();
    let rates: Vec<String> = (1..=100).map(|n| format!("{n}e-5")).collect();
    let grid = |exclude: &str| {
        parse(&format!(
            "epochs = 1\nrepetitions = 1\nsettings.architecture = \"perceptron-3\"\n[axes]\nauxiliary_loss = [false, true]\n\
             learning_rate = [{}]\naux_weight = [{}]\n{exclude}",
            rates.join(", "),
            weights.join(", ")
        ))
    };
    let sweep = grid("");
    let key = |index| TrialKey {
        stage: 0,
        index,
        repetition: 0,
    };
    assert_eq!(sweep.representative(key(12_345)).index, 12_200);
    assert_eq!(sweep.representative(key(32_345)).index, 32_345);
    let few: Vec<&str> = weights[..199].iter().map(String::as_str).collect();
    let excluded = grid(&format!(
        "[[exclude]]\nauxiliary_loss = false\naux_weight = [{}]\n",
        few.join(", ")
    ));
    for index in [199, 12_399, 199] {
        assert_eq!(
            excluded.representative(key(index)).index,
            index,
            "the last of its twins"
        );
    }
}
