//! How many groups are laid out in figures: what makes panels, what makes lines, what lies along an axis.

use std::collections::HashMap;

use tenfold_core::aggregate::{Group, GroupResult};
use tenfold_types::hyperparameter::Kind;
use tenfold_types::{Setting, Value};

use super::words::Labels;

/// Lines of a panel: as many as there are colours.
pub(super) const MAX_LINES: usize = 8;
/// Lines of each of several panels, where one panel does not hold all.
const FEW_LINES: usize = 6;

/// Groups told apart by the values of some settings alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split {
    /// What each part is called, in the order in which parts first occur; empty for a single one.
    pub(super) labels: Vec<String>,
    /// For each part the values that it has in common.
    pub(super) values: Vec<Vec<(Setting, Value)>>,
    /// For each group its part.
    pub(super) part: Vec<usize>,
}

/// The value that a group has of a setting.
pub(super) fn value(result: &GroupResult, setting: Setting) -> Option<&Value> {
    let values = result.group.values.iter();
    values
        .rev()
        .find(|(of, _)| *of == setting)
        .map(|(_, value)| value)
}

/// A value as a number; none for switches and names.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        #[expect(
            clippy::cast_precision_loss,
            reason = "counts are far below 2^53, and this is a place on paper"
        )]
        Value::Int(count) => Some(*count as f64),
        Value::Float(number) => Some(*number),
        Value::Bool(_) | Value::Text(_) => None,
    }
}

/// Splits groups by the values of these settings.
pub(super) fn split(results: &[&GroupResult], by: &[Setting]) -> Split {
    let key = |result: &GroupResult| -> Vec<(Setting, Value)> {
        let of = |&setting: &Setting| Some((setting, value(result, setting)?.clone()));
        by.iter().filter_map(of).collect()
    };
    let mut parts: Vec<Group> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut part = Vec::with_capacity(results.len());
    for result in results {
        let values = key(result);
        let text = format!("{values:?}");
        let next = parts.len();
        let number = *known.entry(text).or_insert_with(|| {
            parts.push(Group {
                values,
                ..result.group.clone()
            });
            next
        });
        part.push(number);
    }
    let labels = match parts.as_slice() {
        [_] => vec![String::new()],
        parts => Labels::of(parts).labels,
    };
    Split {
        labels,
        values: parts.into_iter().map(|part| part.values).collect(),
        part,
    }
}

/// How many parts [`split`] makes.
fn parts(results: &[&GroupResult], by: &[Setting]) -> usize {
    split(results, by).labels.len()
}

/// The settings whose values differ between groups, in the order of the axes.
pub(super) fn varying(results: &[&GroupResult]) -> Vec<Setting> {
    match results {
        [_] => Vec::new(),
        results => Labels::of(results.iter().map(|result| &result.group)).varying,
    }
}

/// What makes panels and what makes the lines of each.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// None: one panel holds all lines.
    pub(super) panels: Vec<Setting>,
    /// None: each panel has one line.
    pub(super) lines: Vec<Setting>,
}

/// Lays groups out by these settings. Each architecture has a panel if the lines of one can be told apart. Else all are in one
/// panel if there are few; of more, switches and then the settings with the fewest values make lines, and the others panels.
pub(super) fn layout(results: &[&GroupResult], settings: &[Setting]) -> Layout {
    if let Some(layout) = by_architecture(results, settings) {
        return layout;
    }
    if parts(results, settings) <= MAX_LINES {
        return Layout {
            panels: Vec::new(),
            lines: settings.to_vec(),
        };
    }
    let mut order: Vec<(usize, Setting)> = settings
        .iter()
        .map(|&setting| (parts(results, &[setting]), setting))
        .collect();
    // Switches first, as it is they that are compared; then by the number of values; the order of the axes between equals, but
    // architectures make panels.
    let is_switch = |setting: Setting| matches!(setting.kind(), Kind::Bool);
    order.sort_by_key(|&(count, setting)| (setting == Setting::Architecture, !is_switch(setting), count));
    let mut lines = Vec::new();
    for (_, setting) in order {
        lines.push(setting);
        if parts(results, &lines) > FEW_LINES {
            lines.pop();
            break;
        }
    }
    let (lines, panels) = settings.iter().partition(|setting| lines.contains(setting));
    Layout { panels, lines }
}

/// A panel for each architecture, with what goes with it, as a rate does that was chosen for it; none where nothing else varies,
/// or too much.
fn by_architecture(results: &[&GroupResult], settings: &[Setting]) -> Option<Layout> {
    let architectures = parts(results, &[Setting::Architecture]);
    if architectures < 2 || !settings.contains(&Setting::Architecture) {
        return None;
    }
    let goes_with = |setting: &&Setting| parts(results, &[Setting::Architecture, **setting]) == architectures;
    let (panels, lines): (Vec<Setting>, Vec<Setting>) = settings.iter().partition(goes_with);
    let few = (2..=MAX_LINES).contains(&parts(results, &lines));
    few.then_some(Layout { panels, lines })
}

/// The settings with three or more numbers among those that vary freely: a setting that another one determines, as a
/// learning rate chosen for each architecture, has but one number beside it.
pub(super) fn numeric(results: &[&GroupResult]) -> Vec<Setting> {
    let varying = varying(results);
    let free = |&setting: &Setting| {
        let numbers = results
            .iter()
            .all(|result| value(result, setting).is_none_or(|value| number(value).is_some()));
        numbers && {
            let others = beside(results, setting);
            let split = split(results, &others);
            let mut seen: Vec<Vec<&Value>> = vec![Vec::new(); split.labels.len()];
            for (result, &part) in results.iter().zip(&split.part) {
                if let Some(value) = value(result, setting).filter(|value| !seen[part].contains(value)) {
                    seen[part].push(value);
                }
            }
            seen.iter().any(|values| values.len() >= 3)
        }
    };
    varying.into_iter().filter(free).collect()
}

/// The settings that vary beside one with numbers, without those with numbers that go with it, as sampled or zipped ones
/// do.
pub(super) fn beside(results: &[&GroupResult], setting: Setting) -> Vec<Setting> {
    let own = parts(results, &[setting]);
    let varies_by_itself = |&other: &Setting| {
        let numbers = results
            .iter()
            .all(|result| value(result, other).is_none_or(|value| number(value).is_some()));
        other != setting && (!numbers || parts(results, &[setting, other]) > own)
    };
    varying(results).into_iter().filter(varies_by_itself).collect()
}

/// Whether settings with numbers go with this one, as sampled ones do: then a line through its values would mislead.
pub(super) fn accompanied(results: &[&GroupResult], setting: Setting) -> bool {
    varying(results).len() > beside(results, setting).len() + 1
}

#[cfg(test)]
mod tests {
    use super::super::samples::{group, result};
    use super::*;

    fn grid(architectures: usize, rates: &[f64], switches: &[bool]) -> Vec<GroupResult> {
        let mut results = Vec::new();
        for architecture in 0..architectures {
            for &rate in rates {
                for &switch in switches {
                    let values = vec![
                        (
                            Setting::Architecture,
                            Value::Text(format!("perceptron-{architecture}")),
                        ),
                        (Setting::LearningRate, Value::Float(rate)),
                        (Setting::WeightSharing, Value::Bool(switch)),
                    ];
                    results.push(result(group(results.len() as u64, values, 1), &[]));
                }
            }
        }
        results
    }

    fn refs(results: &[GroupResult]) -> Vec<&GroupResult> {
        results.iter().collect()
    }

    #[test]
    fn few_groups_are_lines_and_architectures_make_panels() {
        let few = grid(1, &[0.1, 0.01], &[false, true]);
        assert_eq!(layout(&refs(&few), &varying(&refs(&few))).panels, []);
        let alone = grid(3, &[0.1], &[true]);
        assert_eq!(layout(&refs(&alone), &varying(&refs(&alone))).panels, []);
        // A rate that was chosen for each architecture goes with it.
        let mut chosen = grid(3, &[0.1], &[false, true]);
        for (at, result) in chosen.iter_mut().enumerate() {
            result.group.values[1].1 = Value::Float([0.1, 0.01, 0.001][at / 2]);
        }
        let of_chosen = layout(&refs(&chosen), &varying(&refs(&chosen)));
        assert_eq!(of_chosen.panels, [Setting::Architecture, Setting::LearningRate]);
        assert_eq!(of_chosen.lines, [Setting::WeightSharing]);
        let settings = vec![Setting::Architecture, Setting::WeightSharing];
        let many = grid(5, &[0.1], &[false, true]);
        let layout = layout(&refs(&many), &settings);
        assert_eq!(layout.panels, [Setting::Architecture]);
        assert_eq!(layout.lines, [Setting::WeightSharing]);
        let split = split(&refs(&many), &layout.panels);
        assert_eq!((split.labels.len(), split.part[3]), (5, 1));
        assert_eq!(split.labels[4], "perceptron-4");
    }

    #[test]
    fn numbers_count_where_three_of_them_vary_freely() {
        let rates = grid(2, &[0.1, 0.01, 0.001], &[true]);
        assert_eq!(numeric(&refs(&rates)), [Setting::LearningRate]);
        assert_eq!(
            beside(&refs(&rates), Setting::LearningRate),
            [Setting::Architecture]
        );
        assert_eq!(numeric(&refs(&grid(2, &[0.1, 0.01], &[true]))), []);
        // A rate chosen for each architecture.
        let mut chosen = grid(3, &[0.1], &[false, true]);
        for (at, result) in chosen.iter_mut().enumerate() {
            result.group.values[1].1 = Value::Float([0.1, 0.01, 0.001][at / 2]);
        }
        assert_eq!(numeric(&refs(&chosen)), []);
    }

    #[test]
    fn sampled_settings_go_with_one_another() {
        let mut sampled = grid(1, &[0.1, 0.01, 0.001, 0.2], &[true]);
        for (at, result) in (1..).zip(&mut sampled) {
            result
                .group
                .values
                .push((Setting::Dropout, Value::Float(f64::from(at) / 10.0)));
        }
        let sampled = refs(&sampled);
        assert_eq!(numeric(&sampled), [Setting::LearningRate, Setting::Dropout]);
        assert_eq!(beside(&sampled, Setting::LearningRate), []);
        assert!(accompanied(&sampled, Setting::LearningRate));
        assert!(!accompanied(
            &refs(&grid(2, &[0.1, 0.01, 0.001], &[true])),
            Setting::LearningRate
        ));
    }

    #[test]
    fn a_single_group_has_a_single_part() {
        let one = grid(1, &[0.1], &[true]);
        assert_eq!(varying(&refs(&one)), []);
        assert_eq!(split(&refs(&one), &[]).labels, [""]);
        assert_eq!(split(&[], &[]).part, [] as [usize; 0]);
    }
}
