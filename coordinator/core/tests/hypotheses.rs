//! Hypotheses in sweep files: what they select, and that they are part of the id.

use std::collections::BTreeMap;

use tenfold_core::sweep::{Claim, Sweep};
use tenfold_types::{Metric, Setting, Value};

const SWEEP: &str = r#"
epochs = 5
repetitions = 3
[settings]
architecture = "perceptron-5"
[axes]
weight_sharing = [false, true]
auxiliary_loss = [false, true]
"#;
const HYPOTHESIS: &str = r#"
[[hypothesis]]
claim = "weight sharing lowers the test error by almost 10 points"
this = { weight_sharing = true, architecture = "perceptron-5" }
than = { weight_sharing = false, architecture = "perceptron-5" }
lower_by = 0.08
"#;

fn parse(text: &str) -> Sweep {
    Sweep::parse(text, "h.toml", &[], None).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_hypothesis_is_read_and_paired_over_what_it_does_not_name() {
    let sweep = parse(&format!("{SWEEP}{HYPOTHESIS}"));
    let [hypothesis] = sweep.hypotheses() else {
        panic!("there is one");
    };
    assert_eq!(
        (hypothesis.stage, hypothesis.metric, hypothesis.at),
        (0, Metric::TestError, 5)
    );
    assert_eq!(hypothesis.expected, Claim::Lower(0.08));
    let named = |sharing| {
        BTreeMap::from([
            (Setting::Architecture, Value::Text("perceptron-5".to_owned())),
            (Setting::WeightSharing, Value::Bool(sharing)),
        ])
    };
    assert_eq!(
        (&hypothesis.this, &hypothesis.than),
        (&named(true), &named(false))
    );
    // Points 0 and 1 do not share, 2 and 3 do; each pairs with that of the same auxiliary loss.
    assert_eq!(hypothesis.pairs(&sweep), [(2, 0), (3, 1)]);
}

#[test]
fn hypotheses_are_part_of_the_id_where_there_are_any() {
    let (without, with) = (parse(SWEEP), parse(&format!("{SWEEP}{HYPOTHESIS}")));
    assert_ne!(without.id(), with.id());
    assert!(!without.normalised().contains("hypothes"));
    let again = Sweep::from_normalised("h", with.normalised()).unwrap();
    assert_eq!((again.id(), again.hypotheses()), (with.id(), with.hypotheses()));
    let harder = parse(&format!("{SWEEP}{}", HYPOTHESIS.replace("0.08", "0.09")));
    assert_ne!(with.id(), harder.id());
}

const STAGES: &str = r#"
epochs = 5
repetitions = 3
[settings]
architecture = "perceptron-5"
[[stage]]
name = "rates"
[stage.axes]
learning_rate = [0.1, 0.01]
[[stage]]
name = "modes"
[stage.axes]
weight_sharing = [false, true]
[[hypothesis]]
claim = "sharing makes no difference early"
stage = "modes"
metric = "test_loss"
at = 1
this = { weight_sharing = true }
than = { weight_sharing = false }
within = 1
"#;

#[test]
fn hypotheses_of_stages_go_with_them() {
    let sweep = parse(STAGES);
    let hypothesis = &sweep.hypotheses()[0];
    assert_eq!((hypothesis.stage, hypothesis.at), (1, 1));
    assert_eq!(hypothesis.expected, Claim::Within(1.0));
    let again = Sweep::from_normalised("h", sweep.normalised()).unwrap();
    assert_eq!(again.hypotheses(), sweep.hypotheses());
    let disabled = Sweep::parse(STAGES, "h.toml", &["modes.enabled=false".to_owned()], None).unwrap();
    assert_eq!(disabled.hypotheses(), []);
}

#[test]
fn more_hypotheses_come_from_a_file_of_their_own() {
    let sweep = parse(SWEEP);
    let more = sweep.more_hypotheses(HYPOTHESIS, "more.toml").unwrap();
    assert_eq!(more, parse(&format!("{SWEEP}{HYPOTHESIS}")).hypotheses());
    for (text, says) in [
        ("", "there is no [[hypothesis]]"),
        ("seed = 3", "more.toml:1:1: unknown key \"seed\""),
        (
            &HYPOTHESIS.replace("0.08", "\"a lot\""),
            "more.toml:6:12: expected a finite number",
        ),
    ] {
        let error = sweep.more_hypotheses(text, "more.toml").unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn rules_of_judgement_are_part_of_the_text_where_they_are_written() {
    use tenfold_core::sweep::{Family, Missing};
    let plain = parse(&format!("{SWEEP}{HYPOTHESIS}"));
    let of = &plain.hypotheses()[0];
    assert_eq!((of.missing, &of.family), (Missing::Count, &Family::Common));
    // What a text of the version before looks like, to the byte.
    assert!(
        plain.normalised().ends_with(r#""expected":{"lower":0.08}}]}"#),
        "{}",
        plain.normalised()
    );
    let spelled = parse(&format!("{SWEEP}{HYPOTHESIS}missing = \"count\"\n"));
    assert_eq!(spelled.id(), plain.id(), "a spelled default changes nothing");

    let mut ids = vec![plain.id()];
    for (keys, missing, family) in [
        ("missing = \"drop\"\n", Missing::Drop, Family::Common),
        ("family = \"none\"\n", Missing::Count, Family::Alone),
        (
            "family = \"modes\"\n",
            Missing::Count,
            Family::Named("modes".to_owned()),
        ),
    ] {
        let sweep = parse(&format!("{SWEEP}{HYPOTHESIS}{keys}"));
        let of = &sweep.hypotheses()[0];
        assert_eq!((of.missing, &of.family), (missing, &family));
        let again = Sweep::from_normalised("h", sweep.normalised()).unwrap();
        assert_eq!((again.id(), again.hypotheses()), (sweep.id(), sweep.hypotheses()));
        ids.push(sweep.id());
    }
    ids.sort_by_key(|id| id.0);
    ids.dedup();
    assert_eq!(ids.len(), 4, "each is another sweep");
}

#[test]
fn extensions_before_a_look_are_a_part_of_the_plan() {
    use tenfold_core::sweep::Extension;
    let extended = |seen: &[Option<u32>]| {
        let extensions = seen
            .iter()
            .zip([5, 8, 11])
            .map(|(seen, repetitions)| Extension::Repetitions {
                stage: 0,
                repetitions,
                seen: *seen,
            });
        extensions.fold(parse(SWEEP), |sweep, extension| {
            sweep.extended(&extension).unwrap()
        })
    };
    let plan = |seen: &[Option<u32>]| {
        let sweep = extended(seen);
        let stage = sweep.stage(0).unwrap();
        let looks: Vec<_> = stage
            .looks()
            .iter()
            .map(|look| (look.before, look.after, look.pairs()))
            .collect();
        (stage.planned_repetitions(), stage.repetitions(), looks)
    };
    assert_eq!(plan(&[]), (3, 3, vec![]));
    assert_eq!(plan(&[Some(0)]), (5, 5, vec![]), "nothing was there to be seen");
    assert_eq!(plan(&[Some(0), Some(2)]), (5, 8, vec![(5, 8, 2)]));
    assert_eq!(
        plan(&[Some(2), Some(0)]),
        (3, 8, vec![(3, 5, 2), (5, 8, 0)]),
        "after a look there is no plan"
    );
    // A row of a version that did not record it.
    let row: Extension = serde_json::from_str(r#"{"repetitions":{"stage":0,"repetitions":5}}"#).unwrap();
    assert_eq!(
        row,
        Extension::Repetitions {
            stage: 0,
            repetitions: 5,
            seen: None
        }
    );
    assert_eq!(plan(&[None]), (3, 5, vec![(3, 5, 3)]), "all may have been seen");
    assert_eq!(
        serde_json::to_string(&row).unwrap(),
        r#"{"repetitions":{"stage":0,"repetitions":5}}"#
    );
}

#[test]
fn pairs_of_the_same_networks_count_once() {
    // Without the auxiliary loss its weight cannot matter: each pair at either weight is the same two networks.
    let text = SWEEP.replace(
        "auxiliary_loss = [false, true]",
        "aux_weight = [0.1, 0.3]\nauxiliary_loss = [false, true]",
    );
    let off = "this = { weight_sharing = true, auxiliary_loss = false }\nthan = { weight_sharing = false, auxiliary_loss = false }";
    let on = off.replace("auxiliary_loss = false", "auxiliary_loss = true");
    let claim = |sides: &str| format!("[[hypothesis]]\nclaim = \"c\"\n{sides}\nlower_by = 0\n");
    let sweep = parse(&format!("{text}{}{}", claim(off), claim(&on)));
    let of = |at: usize| {
        let hypothesis = &sweep.hypotheses()[at];
        (
            hypothesis.pairs(&sweep).len(),
            hypothesis.distinct_pairs(&sweep).len(),
        )
    };
    assert_eq!((of(0), of(1)), ((2, 1), (2, 2)));
}

#[test]
fn a_network_is_not_compared_with_itself() {
    // Dropout matters in one of the two networks; in the other both sides are the same.
    let text = r#"
epochs = 5
repetitions = 3
[axes]
architecture = ["perceptron-5", "drops"]
dropout = [0.1, 0.5]
[[architecture]]
name = "drops"
layers = ["flatten", "dropout", { linear = { units = 10 } }]
[[hypothesis]]
claim = "dropout matters little"
this = { dropout = 0.5 }
than = { dropout = 0.1 }
within = 0.1
"#;
    let sweep = parse(text);
    let hypothesis = &sweep.hypotheses()[0];
    assert_eq!(hypothesis.pairs(&sweep), [(1, 0), (3, 2)]);
    assert_eq!(hypothesis.distinct_pairs(&sweep), [(3, 2)]);
}
