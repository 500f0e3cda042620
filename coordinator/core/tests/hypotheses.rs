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
