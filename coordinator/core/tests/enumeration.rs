//! The lazy enumeration of points against the plainest list that can be written, on small grids of every kind.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fmt::Write;

use proptest::prelude::*;
use tenfold_core::sweep::{GroupId, Sweep};
use tenfold_types::{Setting, TrialKey, Value};

/// Axes that may occur, each with its values as TOML writes them; the last two of each stand in no grid, for includes.
const POOL: &[(&str, &[&str])] = &[
    ("learning_rate", &["0.1", "0.01", "1", "2e-5", "3.5"]),
    ("weight_sharing", &["true", "false"]),
    ("batch_size", &["10", "20", "30", "40", "50"]),
    ("join", &["\"relu\"", "\"softmax\"", "\"as-is\""]),
    (
        "architecture",
        &["\"perceptron-3\"", "\"conv-2\"", "\"mine\"", "\"conv1-5\""],
    ),
];

#[derive(Debug, Clone)]
struct Case {
    /// By place in the pool, with the number of values.
    axes: Vec<(usize, usize)>,
    zip: Zip,
    include: Vec<Selection>,
    exclude: Vec<Selection>,
    repetitions: u32,
}

/// Whether the first two axes are zipped, if they are as long as one another.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Zip {
    No,
    /// Each value once.
    Once,
    /// Of this axis every value twice.
    Twice(usize),
}

/// For some axes of the case, the places of values in the pool.
type Selection = Vec<(usize, Vec<usize>)>;

/// A point: for each axis of the case, in order, the place of its value in the pool.
type Plain = Vec<usize>;

impl Case {
    fn zipped(&self) -> bool {
        self.zip != Zip::No && self.axes.len() >= 2 && self.axes[0].1 == self.axes[1].1
    }

    /// The values of an axis.
    fn values(&self, axis: usize) -> Vec<usize> {
        let twice = self.zipped() && self.zip == Zip::Twice(axis);
        let value = |at: usize| if twice { at / 2 } else { at };
        (0..self.axes[axis].1).map(value).collect()
    }

    fn product(lists: &[Vec<usize>]) -> Vec<Plain> {
        lists.iter().fold(vec![Vec::new()], |points, list| {
            let longer = |point: &Plain| {
                let point = point.clone();
                list.iter()
                    .map(move |&value| point.iter().copied().chain([value]).collect())
                    .collect::<Vec<Plain>>()
            };
            points.iter().flat_map(longer).collect()
        })
    }

    /// The raw points, each with whether it is there; an error where the sweep should be refused.
    fn expected(&self) -> Result<Vec<Option<Plain>>, &'static str> {
        let all: Vec<Vec<usize>> = self.axes.iter().map(|(_, n)| (0..*n).collect()).collect();
        let together = |point: &Plain| {
            let pairs = std::iter::zip(self.values(0), self.values(1));
            pairs.into_iter().any(|pair| pair == (point[0], point[1]))
        };
        let mut raw: Vec<Plain> = Self::product(&all);
        if self.zipped() {
            raw.retain(together);
        }
        let mut included = Vec::new();
        for include in &self.include {
            let named = |axis: usize| {
                include
                    .iter()
                    .find(|(place, _)| *place == axis)
                    .map(|(_, values)| values.clone())
            };
            let lists: Vec<Vec<usize>> = (0..all.len())
                .map(|axis| named(axis).unwrap_or_else(|| all[axis].clone()))
                .collect();
            let mut points = Self::product(&lists);
            if self.zipped() {
                match (named(0), named(1)) {
                    (None, None) => points.retain(together),
                    (Some(_), Some(_)) => {}
                    _ => return Err("some axes of a zip"),
                }
            }
            included.push(points);
        }
        let matches = |exclude: &Selection, point: &Plain| {
            exclude
                .iter()
                .all(|(axis, values)| values.contains(&point[*axis]))
        };
        let unknown = |(axis, values): &(usize, Vec<usize>)| {
            let points = raw.iter().chain(included.iter().flatten());
            let known: BTreeSet<usize> = points.map(|point| point[*axis]).collect();
            !values.iter().all(|value| known.contains(value))
        };
        if self.exclude.iter().flatten().any(unknown) {
            return Err("a value that no point has");
        }
        for exclude in &self.exclude {
            if !raw
                .iter()
                .chain(included.iter().flatten())
                .any(|point| matches(exclude, point))
            {
                return Err("matches no point");
            }
        }
        let mut seen: BTreeSet<Plain> = raw.iter().cloned().collect();
        let mut there = vec![true; raw.len()];
        for points in included {
            let new: Vec<bool> = points.iter().map(|point| !seen.contains(point)).collect();
            if !new.contains(&true) {
                return Err("adds no point");
            }
            seen.extend(points.iter().cloned());
            raw.extend(points);
            there.extend(new);
        }
        for (point, there) in raw.iter().zip(&mut there) {
            *there &= !self.exclude.iter().any(|exclude| matches(exclude, point));
        }
        if !there.contains(&true) {
            return Err("every point is excluded");
        }
        Ok(raw
            .into_iter()
            .zip(there)
            .map(|(point, there)| there.then_some(point))
            .collect())
    }

    fn text(&self) -> String {
        let mut text = format!("repetitions = {}\nepochs = 2\n", self.repetitions);
        let name = |axis: usize| POOL[self.axes[axis].0].0;
        let value = |axis: usize, value: usize| POOL[self.axes[axis].0].1[value];
        if self.zipped() {
            writeln!(text, "zip = [[\"{}\", \"{}\"]]", name(1), name(0)).unwrap();
        }
        if !self
            .axes
            .iter()
            .any(|(place, _)| POOL[*place].0 == "architecture")
        {
            writeln!(text, "settings.architecture = \"mine\"").unwrap();
        }
        writeln!(text, "[axes]").unwrap();
        let list = |axis: usize, values: &[usize]| {
            let values: Vec<&str> = values.iter().map(|&at| value(axis, at)).collect();
            match values.as_slice() {
                [one] => (*one).to_owned(),
                several => format!("[{}]", several.join(", ")),
            }
        };
        for axis in 0..self.axes.len() {
            let values: Vec<&str> = self.values(axis).into_iter().map(|at| value(axis, at)).collect();
            writeln!(text, "{} = [{}]", name(axis), values.join(", ")).unwrap();
        }
        for (key, selections) in [("include", &self.include), ("exclude", &self.exclude)] {
            for selection in selections {
                writeln!(text, "[[{key}]]").unwrap();
                for (axis, values) in selection {
                    writeln!(text, "{} = {}", name(*axis), list(*axis, values)).unwrap();
                }
            }
        }
        text.push_str("[[architecture]]\nname = \"mine\"\nlayers = [{ linear = { units = 10 } }]\n");
        text
    }

    fn same(&self, point: &[(Setting, Value)], plain: &Plain) -> bool {
        point.len() == plain.len()
            && point
                .iter()
                .zip(plain)
                .enumerate()
                .all(|(axis, ((setting, value), &at))| {
                    let (name, values) = POOL[self.axes[axis].0];
                    let equal = match value {
                        Value::Float(value) => values[at].parse() == Ok(*value),
                        Value::Text(value) => values[at].trim_matches('"') == value,
                        other => values[at] == other.to_string(),
                    };
                    setting.name() == name && equal
                })
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let order = Just((0..POOL.len()).collect::<Vec<_>>()).prop_shuffle();
    (order, 1..=4usize).prop_flat_map(|(order, axes)| {
        let lengths: Vec<_> = order[..axes]
            .iter()
            .map(|&place| (Just(place), 1..=POOL[place].1.len().min(3)))
            .collect();
        lengths.prop_flat_map(|axes| {
            let one = |axes: Vec<(usize, usize)>, beyond: bool| {
                let places =
                    proptest::sample::subsequence((0..axes.len()).collect::<Vec<_>>(), 1..=axes.len());
                places.prop_flat_map(move |places| {
                    let values = |&axis: &usize| {
                        let (place, length) = axes[axis];
                        let most = if beyond { POOL[place].1.len() } else { length };
                        let values =
                            proptest::sample::subsequence((0..most).collect::<Vec<_>>(), 1..=most.min(3));
                        (Just(axis), values.prop_shuffle())
                    };
                    places.iter().map(values).collect::<Vec<_>>()
                })
            };
            (
                Just(axes.clone()),
                prop_oneof![
                    Just(Zip::No),
                    Just(Zip::Once),
                    Just(Zip::Twice(0)),
                    Just(Zip::Twice(1))
                ],
                proptest::collection::vec(one(axes.clone(), true), 0..3),
                proptest::collection::vec(one(axes, false), 0..3),
                1..20u32,
            )
                .prop_map(|(axes, zip, include, exclude, repetitions)| Case {
                    axes,
                    zip,
                    include,
                    exclude,
                    repetitions,
                })
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_enumeration_is_the_plain_list(case in cases()) {
        let (text, expected) = (case.text(), case.expected());
        let parsed = Sweep::parse(&text, "case.toml", &[], None);
        let (sweep, expected) = match (parsed, expected) {
            (Ok(sweep), Ok(expected)) => (sweep, expected),
            (Err(error), Err(words)) => {
                prop_assert!(error.to_string().contains(words), "{words}: {error}\n{text}");
                return Ok(());
            }
            (parsed, expected) => {
                return Err(TestCaseError::fail(format!("{parsed:?}\n{expected:?}\n{text}")));
            }
        };
        prop_assert_eq!(sweep.stages()[0].raw_points(), expected.len() as u64);
        for (index, plain) in (0u64..).zip(&expected) {
            match (sweep.stages()[0].point(index), plain) {
                (None, None) => prop_assert!(sweep.stages()[0].spec(index, 0).is_none()),
                (Some(point), Some(plain)) => {
                    prop_assert_eq!(point.index, index);
                    prop_assert!(case.same(&point.values, plain), "{point:?} {plain:?}\n{text}");
                    prop_assert!(sweep.stages()[0].spec(index, 0).is_some());
                }
                (point, plain) => {
                    return Err(TestCaseError::fail(format!("{index} {point:?} {plain:?}\n{text}")));
                }
            }
        }
        prop_assert!(sweep.stages()[0].point(sweep.stages()[0].raw_points()).is_none());
        let there: Vec<u64> = (0u64..).zip(&expected).filter(|(_, plain)| plain.is_some()).map(|(i, _)| i).collect();
        prop_assert_eq!(sweep.points(), there.len() as u64);
        prop_assert_eq!(sweep.trials(), sweep.points() * u64::from(case.repetitions));
        prop_assert_eq!(sweep.stages()[0].indexes().collect::<Vec<_>>(), there.clone());
        for from in 0..=sweep.stages()[0].raw_points() {
            prop_assert_eq!(sweep.stages()[0].first_point(from), there.iter().copied().find(|&index| index >= from));
        }
    }

    #[test]
    fn the_normalised_text_gives_the_same_sweep(case in cases()) {
        let Ok(sweep) = Sweep::parse(&case.text(), "case.toml", &[], None) else { return Ok(()) };
        let again = Sweep::from_normalised(sweep.name(), sweep.normalised());
        prop_assert_eq!(again.as_ref(), Ok(&sweep));
        let again = again.unwrap();
        prop_assert_eq!(again.id(), sweep.id());
        for index in 0..sweep.stages()[0].raw_points() {
            prop_assert_eq!(again.stages()[0].spec(index, 1), sweep.stages()[0].spec(index, 1));
        }
    }

    #[test]
    fn more_renumbers_nothing(case in cases(), more in 1..30u32) {
        let Ok(sweep) = Sweep::parse(&case.text(), "case.toml", &[], None) else { return Ok(()) };
        let extended = Sweep::parse(&case.text(), "case.toml", &[], Some(more)).unwrap();
        prop_assert_eq!(extended.id() == sweep.id(), more == case.repetitions);
        let whole = Case { exclude: Vec::new(), ..case.clone() };
        let whole = Sweep::parse(&whole.text(), "case.toml", &[], None).unwrap();
        let bare = Case { exclude: Vec::new(), include: Vec::new(), ..case.clone() };
        let bare = Sweep::parse(&bare.text(), "case.toml", &[], None).unwrap();
        for index in sweep.stages()[0].indexes() {
            prop_assert_eq!(extended.stages()[0].point(index), sweep.stages()[0].point(index));
            prop_assert_eq!(whole.stages()[0].point(index), sweep.stages()[0].point(index));
            if index < bare.stages()[0].raw_points() {
                prop_assert_eq!(bare.stages()[0].point(index), sweep.stages()[0].point(index));
            }
        }
    }

    #[test]
    fn groups_part_the_points(case in cases(), by in proptest::collection::vec(0..4usize, 0..3)) {
        let Ok(sweep) = Sweep::parse(&case.text(), "case.toml", &[], None) else { return Ok(()) };
        let by: Vec<usize> = by.into_iter().filter(|axis| *axis < case.axes.len()).collect();
        let names: Vec<String> = by.iter().map(|&axis| POOL[case.axes[axis].0].0.to_owned()).collect();
        let grouping = sweep.grouping(&names).unwrap();
        let groups: Vec<GroupId> = grouping.groups().collect();
        prop_assert!(groups.is_sorted());
        let mut points = Vec::new();
        for group in groups {
            let members = grouping.members(group);
            prop_assert_eq!(members.first(), Some(&group.index));
            for index in &members {
                let key = TrialKey { index: *index, ..TrialKey::FIRST };
                prop_assert_eq!(grouping.group_of(key), group);
                let point = sweep.stages()[0].point(*index).unwrap();
                for (setting, value) in grouping.values(group) {
                    prop_assert!(point.values.contains(&(setting, value)));
                }
            }
            points.extend(members);
        }
        points.sort_unstable();
        prop_assert_eq!(points, sweep.stages()[0].indexes().collect::<Vec<_>>());
    }

    /// Whatever arrives, the answer is a sweep or an error that fits in a header, never a panic.
    #[test]
    fn any_text_is_answered(text in "[ -~\\n\\p{Greek}]{0,300}", set in "[ -~]{0,40}") {
        if let Err(error) = Sweep::parse(&text, "any.toml", &[set], None) {
            prop_assert!(error.to_string().len() < 8_000);
        }
    }

    /// As above, from pieces that come closer to a sweep.
    #[test]
    fn any_tokens_are_answered(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..40)) {
        let text = pieces.concat();
        if let Err(error) = Sweep::parse(&text, "any.toml", &[], None) {
            prop_assert!(error.to_string().len() < 8_000);
        }
    }
}

const PIECES: &[&str] = &[
    "\n",
    "\n",
    "\n",
    " = ",
    " = ",
    "[axes]\n",
    "[settings]\n",
    "[data]\n",
    "[[include]]\n",
    "[[exclude]]\n",
    "[[architecture]]\n",
    "learning_rate",
    "weight_sharing",
    "architecture",
    "\"perceptron-7\"",
    "batch_size",
    "zip",
    "[sample]\n",
    "method",
    "points",
    "\"sobol\"",
    "{ log = [1e-3, 1] }",
    "{ linear = [1, 9] }",
    "name",
    "layers",
    "sub_networks",
    "train",
    "epochs",
    "true",
    "false",
    "nan",
    "-inf",
    "1e-3",
    "7",
    "0",
    "99999999999999999999",
    "[0.1, 0.2]",
    "[true, false]",
    "{ log = [1e-3, 1], points = 4 }",
    "[[\"a\", \"b\"]]",
    "\"softmax\"",
    "[\"relu\", { linear = { units = 10 } }]",
    "2019-05-17",
    "'''\n",
    ".",
    "#",
];
