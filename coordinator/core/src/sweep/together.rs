//! What must go together in a sweep: settings that fit one another at every point, networks whose shapes do, and axes that
//! make a difference.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_types::network::Architecture;
use tenfold_types::{Schedule, Setting, SpecError, TrialSpec, Value};

use super::definition::Places;
use super::error::{Origin, Problem};
use super::stage::Stage;

/// Settings that [`TrialSpec::check`] compares with one another; what it says of one group does not depend on another.
const GROUPS: &[&[Setting]] = &[
    &[
        Setting::Architecture,
        Setting::WeightSharing,
        Setting::AuxiliaryLoss,
    ],
    &[Setting::Architecture, Setting::WeightSharing, Setting::BatchSize],
    &[Setting::Loss, Setting::Head],
    &[Setting::Optimizer, Setting::Momentum, Setting::Nesterov],
    &[Setting::WarmUp],
];

/// All problems of a stage that can be read.
pub(super) fn check(stage: &Stage, places: &Places) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut said = BTreeSet::new();
    for group in GROUPS {
        check_group(stage, places, group, &mut said, &mut problems);
    }
    check_differences(stage, places, &mut problems);
    problems
}

/// Where a setting stands in the file, if it does.
fn origin(stage: &Stage, places: &Places, setting: Setting) -> Option<Origin> {
    let axis = stage.axes().iter().position(|axis| axis.setting == setting);
    axis.and_then(|axis| places.axes.get(axis))
        .or_else(|| places.settings.get(&setting))
        .cloned()
}

/// What a group tries of a setting. Values that [`TrialSpec::check`] tells apart by one question alone are not all tried:
/// there may be as many as the grid has points, and together with other settings far more.
struct Tried {
    values: Vec<Value>,
    /// For each value of the setting, which of `values` stands for it.
    stands_for: BTreeMap<Value, usize>,
}

impl Tried {
    fn new(stage: &Stage, setting: Setting) -> Self {
        let mut tried = Self {
            values: Vec::new(),
            stands_for: BTreeMap::new(),
        };
        let mut answered = [None; 2];
        for value in stage.values_of(setting) {
            let known = question(stage, setting, &value).map(|answer| &mut answered[usize::from(answer)]);
            let place = match known {
                Some(Some(place)) => *place,
                first => {
                    let place = tried.values.len();
                    tried.values.push(value.clone());
                    if let Some(first) = first {
                        *first = Some(place);
                    }
                    place
                }
            };
            tried.stands_for.insert(value, place);
        }
        tried
    }
}

/// The one question that decides about a number; none where every value is another matter.
fn question(stage: &Stage, setting: Setting, value: &Value) -> Option<bool> {
    match (setting, value) {
        (Setting::Momentum, Value::Float(momentum)) => Some(*momentum > 0.0),
        (Setting::WarmUp, Value::Int(epochs)) => Some(*epochs < stage.epochs().into()),
        (Setting::BatchSize, Value::Int(size)) => {
            let size = u32::try_from(*size).unwrap_or(u32::MAX);
            Some(stage.data().smallest_batch(size) == 1)
        }
        _ => None,
    }
}

/// Tries all combinations of the group's values; what is refused is a problem if some point has it.
fn check_group(
    stage: &Stage,
    places: &Places,
    group: &[Setting],
    said: &mut BTreeSet<String>,
    problems: &mut Vec<Problem>,
) {
    let tried: Vec<Tried> = group.iter().map(|&setting| Tried::new(stage, setting)).collect();
    let mut combinations: Vec<Vec<usize>> = vec![Vec::new()];
    for tried in &tried {
        let longer = combinations.iter().flat_map(|combination| {
            let with = move |place| combination.iter().copied().chain([place]).collect();
            (0..tried.values.len()).map(with)
        });
        combinations = longer.collect();
    }
    let mut occurring = None;
    for combination in &combinations {
        let values = combination
            .iter()
            .zip(&tried)
            .map(|(&place, tried)| &tried.values[place]);
        let Some((architecture, error)) = refusal(stage, group, values) else {
            continue;
        };
        let occurring = occurring.get_or_insert_with(|| {
            stage.combinations(group, combinations.len(), |at, value| tried[at].stands_for[value])
        });
        if !occurring.contains(combination) || !said.insert(error.to_string()) {
            continue;
        }
        let at = match &error {
            SpecError::Shape(_) => places.architectures.get(&architecture).cloned(),
            SpecError::Setting { setting, .. } => setting
                .parse()
                .ok()
                .and_then(|setting| origin(stage, places, setting)),
        };
        // A setting that is refused at its default stands nowhere; then it is another of the group that asks for more.
        let at = at.or_else(|| {
            group
                .iter()
                .rev()
                .find_map(|&setting| origin(stage, places, setting))
        });
        problems.push(Problem::new(&at.unwrap_or(Origin::Whole), error.to_string()));
    }
}

/// What is wrong with a combination, and the name of its architecture.
fn refusal<'a>(
    stage: &Stage,
    group: &[Setting],
    values: impl Iterator<Item = &'a Value>,
) -> Option<(String, SpecError)> {
    let mut spec = TrialSpec {
        epochs: stage.epochs(),
        data: stage.data(),
        ..TrialSpec::with_defaults(Architecture::named("perceptron-1")?)
    };
    for (&setting, value) in group.iter().zip(values) {
        stage.put(&mut spec, setting, value)?;
    }
    let error = spec.check().err()?;
    Some((spec.architecture.name, error))
}

/// Axes whose values could make no difference at any point.
fn check_differences(stage: &Stage, places: &Places, problems: &mut Vec<Problem>) {
    let mut idle = |setting: Setting, used: bool, message: &str| {
        if !used && stage.axes().iter().any(|axis| axis.setting == setting) {
            let at = origin(stage, places, setting).unwrap_or(Origin::Whole);
            problems.push(Problem::new(&at, format!("{setting} varies, but {message}")));
        }
    };
    idle(
        Setting::Dropout,
        stage
            .networks()
            .iter()
            .any(|(architecture, ..)| architecture.drops_by_setting()),
        "no network of the sweep has a dropout layer without a rate of its own; add \"dropout\" to the layers of an \
         [[architecture]]",
    );
    idle(
        Setting::WeightSharing,
        stage
            .networks()
            .iter()
            .any(|(architecture, ..)| architecture.sub_networks > 1),
        "every network has a single sub-network, which has nothing to share with; name an architecture with two",
    );
    let auxiliary = stage.values_of(Setting::AuxiliaryLoss);
    idle(
        Setting::AuxWeight,
        auxiliary.contains(&Value::Bool(true)),
        "auxiliary_loss is false everywhere, so all points would be the same; set auxiliary_loss = true or make it an \
         axis",
    );
    let schedules = stage.values_of(Setting::Schedule);
    let steps = schedules.contains(&Value::Text(Schedule::Step.name().to_owned()));
    for setting in [Setting::StepEpochs, Setting::StepFactor] {
        idle(
            setting,
            steps,
            "schedule is nowhere \"step\", so all points would be the same; set schedule = \"step\" or make it an axis",
        );
    }
}
