//! Sweeps to be run: stages that take values from earlier ones, and each kind of gate, by itself or behind such a stage; and points
//! that are the same network, at some gates.

const COARSE: &str = r#"
[[stage]]
name = "coarse"
repetitions = 2
[stage.axes]
architecture = ["perceptron-5"]
batch_size = [50]
learning_rate = [0.1, 0.01]
"#;
/// What a stage waits for.
const GATES: [&str; 6] = [
    "repetitions = 2",
    r#"repetitions = 2
stop = { rule = "successive-halving", from = 1, factor = 2, per = ["architecture"] }"#,
    r#"repetitions = 2
stop = { rule = "asha", from = 1, factor = 2 }"#,
    r#"repetitions = 2
stop = { rule = "median", at = [1, 2], startup = 1, metric = "train_loss" }"#,
    r#"repetitions = 2
epochs = 4
stop = { rule = "patience", at = [3], patience = 1, tolerance = 0.1 }"#,
    "repetitions = { min = 2, max = 5, step = 2, until = { ci95_half_width = 0.5, at = 2 } }",
];
/// The stage that is extended, and how often it is run then.
pub(crate) const LAST: &str = "last";
pub(crate) const REPEATED: u32 = 2;
/// The gates of sweeps with points that are the same network: none, of points and of repetitions.
const OF_TWINS: [usize; 3] = [0, 4, 5];
/// How many there are.
pub(crate) const KINDS: u64 = (2 * GATES.len() + OF_TWINS.len()) as u64;

/// Two stages in which the weight of the auxiliary loss does not matter where that is off. Rates are chosen for each weight, so
/// that points of the last stage become the same when they are.
fn twins(gate: &str) -> String {
    format!(
        r#"
epochs = 3
settings.architecture = "perceptron-5"
settings.batch_size = 50
[[stage]]
name = "search"
{gate}
[stage.axes]
auxiliary_loss = [true, false]
aux_weight = [0.5, 2.0, 1.0]
learning_rate = [0.1, 0.01]
[[stage]]
name = "{LAST}"
repetitions = 1
[stage.axes]
auxiliary_loss = [false, true]
aux_weight = [0.5, 1.0]
learning_rate = {{ best_of = "search", per = ["auxiliary_loss", "aux_weight"] }}
"#
    )
}

/// The text of a sweep of three stages, or two: the last can be extended at any time, as nothing is chosen from it.
pub(crate) fn text(kind: u64) -> String {
    if let Some(gate) = kind.checked_sub(2 * GATES.len() as u64) {
        return twins(GATES[OF_TWINS[gate as usize]]);
    }
    let gate = GATES[(kind / 2) as usize % GATES.len()];
    let (coarse, rate) = match kind % 2 {
        0 => ("", "[0.1]"),
        _ => (COARSE, r#"{ best_of = "coarse", per = [] }"#),
    };
    let last = match kind / 2 {
        0 => r#"learning_rate = { refine = "search", per = ["architecture"], points = 2, span = 0.5 }"#,
        _ => r#"batch_size = { best_of = "search", per = ["architecture"] }"#,
    };
    format!(
        r#"
epochs = 3
{coarse}
[[stage]]
name = "search"
{gate}
[stage.axes]
architecture = ["perceptron-5", "perceptron-6"]
batch_size = [100, 50, 200]
learning_rate = {rate}
[[stage]]
name = "{LAST}"
repetitions = 1
[stage.axes]
architecture = ["perceptron-5", "perceptron-6"]
{last}
"#
    )
}
