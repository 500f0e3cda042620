//! Stages that take values from earlier ones: what a rule means, and for which points it chooses by itself.

use tenfold_core::sweep::{Criterion, Refine, Sweep};
use tenfold_types::{Metric, Setting, Value};

const STUDY: &str = r#"
repetitions = 2
epochs = 20
[axes]
architecture = ["perceptron-5", "perceptron-7"]

[[stage]]
name = "coarse"
[stage.axes]
learning_rate = { log = [1e-6, 1e-1], points = 6 }

[[stage]]
name = "fine"
[stage.axes]
learning_rate = { refine = "coarse", points = 5, span = 1.0, at = 10, rule = "one-standard-error" }

[[stage]]
name = "modes"
[stage.axes]
weight_sharing = [false, true]
learning_rate = { best_of = "fine", metric = "test_loss" }
"#;

fn parse(text: &str) -> Sweep {
    Sweep::parse(text, "study.toml", &[], None).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_a_file_does_not_say_has_a_default() {
    let sweep = parse(STUDY);
    let [_, fine, modes] = sweep.stages() else {
        panic!()
    };
    let [taken] = fine.rules() else { panic!() };
    assert_eq!(
        (taken.rule.source, taken.rule.metric, taken.rule.epoch),
        (0, Metric::TestError, 10)
    );
    assert_eq!(taken.rule.criterion, Criterion::OneStandardError);
    assert_eq!(taken.rule.refine, Some(Refine { points: 5, span: 1.0 }));
    assert_eq!(
        taken.rule.per,
        [Setting::Architecture],
        "all else that varies there"
    );
    let [taken] = modes.rules() else { panic!() };
    assert_eq!((taken.rule.source, taken.rule.epoch), (1, 20), "the last");
    assert_eq!(
        (taken.rule.criterion, &taken.rule.refine),
        (Criterion::MinMean, &None)
    );
    assert_eq!(taken.rule.per, [Setting::Architecture], "not the rate itself");
    assert_eq!(
        (fine.points(), modes.points(), sweep.trials()),
        (10, 4, 2 * (12 + 10 + 4))
    );
    let again = Sweep::from_normalised("again", sweep.normalised()).unwrap();
    assert_eq!((again.id(), again.normalised()), (sweep.id(), sweep.normalised()));
    assert_eq!(again.choices().count(), 4);
}

#[test]
fn what_is_chosen_is_chosen_for_each_cell_by_itself() {
    let sweep = parse(STUDY);
    let choices: Vec<_> = sweep.choices().map(|(id, _)| id).collect();
    let fine: Vec<_> = choices.iter().filter(|id| id.stage == 1).collect();
    assert_eq!(sweep.source_points(*fine[1]), [6, 7, 8, 9, 10, 11]);
    let rates = |sweep: &Sweep, stage: usize| -> Vec<Option<f64>> {
        let stage = &sweep.stages()[stage];
        let rate = |index| stage.spec(index, 0).map(|spec| spec.learning_rate);
        stage.indexes().map(rate).collect()
    };
    assert_eq!(rates(&sweep, 1), [None; 10]);
    let point = sweep.stages()[1].point(7).unwrap();
    assert_eq!(
        point.values,
        [(Setting::Architecture, Value::Text("perceptron-7".to_owned()))],
        "what is not known yet is left out"
    );
    let (taken, second) = (sweep.rule(*fine[1]).unwrap(), *fine[1]);
    let resolved = sweep.with(second, taken.rule.values(&Value::Float(1e-3)));
    let expected = [1e-4, 3.162e-4, 1e-3, 3.162e-3, 1e-2].map(Some);
    assert_eq!(rates(&resolved, 1)[..5], [None; 5]);
    assert_eq!(rates(&resolved, 1)[5..], expected);
    assert_eq!(
        (resolved.id(), rates(&sweep, 1)),
        (sweep.id(), vec![None; 10]),
        "the first is as it was"
    );
    // Groups by rate: those of one network are known, the rest wait together.
    let grouping = resolved.grouping(&["learning_rate".to_owned()]).unwrap();
    let of_fine: Vec<_> = grouping.groups().filter(|group| group.stage == 1).collect();
    assert_eq!(of_fine.len(), 6);
    assert_eq!(grouping.members(of_fine[0]), [0, 1, 2, 3, 4]);
    assert_eq!(
        grouping.values(of_fine[3]),
        [(Setting::LearningRate, Value::Float(1e-3))]
    );
}

#[test]
fn a_choice_can_be_one_for_all_or_depend_on_what_is_fixed() {
    let one = STUDY.replace("span = 1.0,", "span = 1.0, per = [],");
    assert_eq!(parse(&one).choices().filter(|(id, _)| id.stage == 1).count(), 1);
    // The last stage has one of the networks: its own trials alone count.
    let fixed = STUDY.replace(
        "name = \"modes\"",
        "name = \"modes\"\n[stage.settings]\narchitecture = \"perceptron-7\"",
    );
    let sweep = parse(&fixed);
    let [choice] = sweep
        .choices()
        .map(|(id, _)| id)
        .filter(|id| id.stage == 2)
        .collect::<Vec<_>>()[..]
    else {
        panic!()
    };
    assert_eq!(sweep.source_points(choice), [5, 6, 7, 8, 9]);
}

#[test]
fn the_plan_says_where_values_come_from() {
    let plan = parse(STUDY).describe();
    assert!(
        plan.contains(
            "5 values, 1 decade to each side of the best of stage coarse: one-standard-error of test_error at epoch 10, \
             for each architecture"
        ),
        "{plan}"
    );
}

#[test]
fn a_hypothesis_can_be_about_a_stage_whose_rate_is_not_known_yet() {
    let about = |this: &str, than: &str| {
        format!(
            "{STUDY}\n[[hypothesis]]\nclaim = \"it helps\"\nstage = \"modes\"\nlower_by = 0.01\nthis = {{ {this} }}\n\
             than = {{ {than} }}\n"
        )
    };
    let sweep = parse(&about("weight_sharing = true", "weight_sharing = false"));
    let hypothesis = &sweep.hypotheses()[0];
    let before = hypothesis.pairs(&sweep);
    assert_eq!(before.len(), 2, "each network");
    let chosen = sweep
        .choices()
        .map(|(id, _)| id)
        .filter(|id| id.stage == 2)
        .zip([0.1, 0.01]);
    let resolved = chosen.fold(sweep.clone(), |sweep, (id, rate)| {
        sweep.with(id, vec![Value::Float(rate)])
    });
    assert_eq!(hypothesis.pairs(&resolved), before);
    let wrong = about("learning_rate = 0.1", "learning_rate = 0.01");
    let error = Sweep::parse(&wrong, "study.toml", &[], None)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("learning_rate is taken from another stage here"),
        "{error}"
    );
}

#[test]
fn a_hypothesis_about_a_refined_stage_pairs_values_by_their_place() {
    let text = r#"
repetitions = 2
epochs = 2
[axes]
weight_sharing = [false, true]
[settings]
architecture = "perceptron-5"
[[stage]]
name = "coarse"
[stage.axes]
learning_rate = [0.1, 0.01]
[[stage]]
name = "fine"
[stage.axes]
learning_rate = { refine = "coarse", points = 3, span = 0.5 }
[[hypothesis]]
claim = "sharing helps"
stage = "fine"
this = { weight_sharing = true }
than = { weight_sharing = false }
lower_by = 0.0
"#;
    let sweep = parse(text);
    let choices: Vec<_> = sweep
        .choices()
        .map(|(id, taken)| (id, taken.rule.values(&Value::Float(0.1))))
        .collect();
    assert_eq!(choices.len(), 2, "for each of both");
    let resolved = sweep.with(choices[0].0, choices[0].1.clone());
    let others = sweep.rule(choices[1].0).unwrap().rule.values(&Value::Float(0.01));
    let resolved = resolved.with(choices[1].0, others);
    let pairs = vec![(3, 0), (4, 1), (5, 2)];
    assert_eq!(sweep.hypotheses()[0].pairs(&sweep), pairs);
    assert_eq!(sweep.hypotheses()[0].pairs(&resolved), pairs);
}
