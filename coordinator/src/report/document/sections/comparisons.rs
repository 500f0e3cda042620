//! Comparisons of the modes of a stage, such as weight sharing on and off, paired by repetition.

use tenfold_core::aggregate::GroupResult;
use tenfold_core::compare::{Comparison, Difference};
use tenfold_types::Setting;
use tenfold_types::hyperparameter::Kind;

use super::super::super::facet::{numeric, split, varying};
use super::super::super::figure::{Forest, Row};
use super::super::super::values::Values;
use super::super::super::words::{self, Unit, sentence};
use super::super::differences::{self, PAIRS, signed};
use super::super::family::{Compared, Corrected, Distinct, Diverged};
use super::super::{Block, Drawing, Picture, paragraph};
use super::{StageOf, Study};

/// Combinations of values that are compared with one another.
const MAX_COMBINATIONS: usize = 4;
/// Rows of a figure, and of the table on the page; the CSV file has all.
const MAX_ROWS: usize = 48;

pub(super) fn blocks(study: &Study, stage: &StageOf, results: &[&GroupResult]) -> Vec<Block> {
    let by = compared_by(results);
    if by.is_empty() {
        return Vec::new();
    }
    let family = compare(study, stage, results, &by);
    let all = &family.rows;
    if all.iter().all(|compared| compared.difference.is_none()) && !family.has_diverged() {
        return Vec::new();
    }
    let names: Vec<&str> = by.iter().map(|&setting| words::setting(setting)).collect();
    let metric = study.metric();
    let mut blocks = vec![Block::Heading(
        3,
        format!("Comparisons by {}", names.join(" and ")),
    )];
    let name = format!("{}comparisons", stage.prefix());
    let any = all.iter().any(|compared| compared.difference.is_some());
    if all.len() <= MAX_ROWS && any {
        let forest = forest(study, all);
        let interactions = match &family.contrast {
            Some(contrast) if all.iter().any(|row| row.is_interaction) => format!(
                " Left of zero the first is lower; an interaction, {contrast}, is below zero where both together lower it by more than \
                 the sum of what each lowers it by alone."
            ),
            _ => String::new(),
        };
        blocks.push(Block::Figure(Picture {
            name: name.clone(),
            title: format!("Differences of the {}", words::metric(metric)),
            caption: format!(
                "{PAIRS}. The mean difference of the {} after the last epoch with its 95 % t interval; n is the number of pairs. Where an \
                 interval does not hold zero the two differ at the 5 % level, taken by itself and not corrected for the number of \
                 rows.{interactions}",
                words::metric(metric)
            ),
            drawing: Drawing::Intervals(forest),
        }));
    } else if any {
        blocks.push(paragraph(format!(
            "There is no figure of them: {} comparisons would be more than anybody can read.",
            all.len()
        )));
    }
    let what = words::metric(metric);
    blocks.push(Block::Table(differences::table(
        name, metric, &what, &family, MAX_ROWS,
    )));
    blocks
}

/// The settings by which groups are compared: switches first, then others of few values, as long as they make few
/// combinations; architectures where nothing else varies.
fn compared_by(results: &[&GroupResult]) -> Vec<Setting> {
    let numbers = numeric(results);
    let combinations = |by: &[Setting]| split(results, by).labels.len();
    let mut candidates: Vec<Setting> = varying(results)
        .into_iter()
        .filter(|setting| !numbers.contains(setting))
        .filter(|&setting| combinations(&[setting]) <= MAX_COMBINATIONS)
        .collect();
    candidates.sort_by_key(|setting| match setting.kind() {
        Kind::Bool => 0,
        Kind::Architecture => 2,
        _ => 1,
    });
    let mut by: Vec<Setting> = Vec::new();
    for setting in candidates {
        // Architectures at each of several rates are no comparison that anybody asked for.
        if setting == Setting::Architecture && !(by.is_empty() && numbers.is_empty()) {
            continue;
        }
        by.push(setting);
        if combinations(&by) > MAX_COMBINATIONS {
            by.pop();
        }
    }
    // As the axes are ordered.
    varying(results)
        .into_iter()
        .filter(|setting| by.contains(setting))
        .collect()
}

/// What tells comparisons apart: the other settings that vary, without those with numbers that follow from all the
/// others, as a learning rate that was chosen for each mode.
fn strata(results: &[&GroupResult], by: &[Setting]) -> Vec<Setting> {
    let mut others: Vec<Setting> = varying(results)
        .into_iter()
        .filter(|setting| !by.contains(setting))
        .collect();
    let parts = |settings: &[Setting]| split(results, settings).labels.len();
    for setting in others.clone() {
        let rest: Vec<Setting> = others.iter().copied().filter(|&of| of != setting).collect();
        let number = !matches!(setting.kind(), Kind::Architecture | Kind::Bool | Kind::Choice(_));
        let with = |settings: &[Setting]| parts(&[settings, by].concat());
        // It tells apart what the others do not, but nothing that they and the modes together do not.
        if number && parts(&rest) < parts(&others) && with(&rest) == with(&others) {
            others = rest;
        }
    }
    others
}

fn compare(study: &Study, stage: &StageOf, results: &[&GroupResult], by: &[Setting]) -> Corrected {
    let number = results.first().map_or(0, |result| result.group.stage);
    let values = Values::of(
        &study.trials,
        number,
        study.metric(),
        stage.epochs,
        stage.repetitions,
    )
    .of_finished(study.provisional.is_none());
    let known = study.sweep.as_ref().and_then(|sweep| sweep.stage(number));
    let values = match known {
        Some(stage) => values.run_as(stage),
        None => values,
    };
    let index = |at: usize| results[at].group.index;
    let of = |at: usize| values.point(index(at));
    let mut distinct = Distinct::of(known, results.iter().map(|result| result.group.index));
    let (strata, modes) = (split(results, &strata(results, by)), split(results, by));
    let two_by_two = by.len() == 2
        && by
            .iter()
            .all(|&setting| split(results, &[setting]).labels.len() == 2);
    let mut points = vec![vec![None; modes.labels.len()]; strata.labels.len()];
    for (at, (&stratum, &mode)) in strata.part.iter().zip(&modes.part).enumerate() {
        points[stratum][mode].get_or_insert(at);
    }
    let (mut all, mut contrast) = (Vec::new(), None);
    for (stratum, here) in strata.labels.iter().zip(&points) {
        for (second, than) in here.iter().enumerate() {
            for (first, this) in here.iter().enumerate().skip(second + 1) {
                let (&Some(this), &Some(than)) = (this, than) else {
                    continue;
                };
                if !distinct.is_new(&[(index(this), 1), (index(than), -1)]) {
                    continue;
                }
                let compared = Comparison::of(&of(this), &of(than));
                let points = [index(this), index(than)];
                all.push(Compared {
                    stratum: stratum.clone(),
                    name: format!("{} − {}", modes.labels[first], modes.labels[second]),
                    is_interaction: false,
                    means: compared.this_mean.zip(compared.than_mean),
                    planned: values.planned(&points),
                    missing: values.missing(&points),
                    diverged: Some(Diverged::of(
                        &values.diverged(points[0]),
                        &values.diverged(points[1]),
                    )),
                    difference: compared.difference,
                    holm: [None, None],
                });
            }
        }
        if let ([one, other], &[Some(neither), Some(second), Some(first), Some(both)]) = (by, here.as_slice())
            && two_by_two
        {
            let points = [both, first, second, neither].map(index);
            let [b, f, s, n] = points;
            if !distinct.is_new(&[(b, 1), (f, -1), (s, -1), (n, 1)]) {
                continue;
            }
            let (difference, _) = Difference::interaction(&of(both), &of(first), &of(second), &of(neither));
            contrast.get_or_insert_with(|| {
                differences::contrast([3, 2, 1, 0].map(|at| modes.labels[at].as_str()))
            });
            all.push(Compared {
                stratum: stratum.clone(),
                name: differences::interaction([*one, *other]),
                is_interaction: true,
                means: None,
                planned: values.planned(&points),
                missing: values.missing(&points),
                diverged: None,
                difference,
                holm: [None, None],
            });
        }
    }
    Corrected::of(all, distinct.left_out, contrast)
}

fn forest(study: &Study, all: &[Compared]) -> Forest {
    let metric = study.metric();
    let unit = words::unit(metric);
    // What stands above rows and what in them: where the same is compared everywhere, that stands above all.
    let same = all.windows(2).all(|pair| pair[0].name == pair[1].name);
    let parts = |compared: &Compared| match (compared.stratum.as_str(), same) {
        ("", _) => (String::new(), compared.name.clone()),
        (stratum, true) => (compared.name.clone(), stratum.to_owned()),
        (stratum, false) => (stratum.to_owned(), compared.name.clone()),
    };
    let row = |(at, compared): (usize, &Compared)| Row {
        head: Some(parts(compared).0)
            .filter(|head| !head.is_empty() && (at == 0 || parts(&all[at - 1]).0 != *head)),
        name: parts(compared).1,
        mean: compared.statistics().map(|s| s.mean),
        interval: compared.statistics().and_then(|s| s.ci95),
        margins: Vec::new(),
        text: match compared.statistics() {
            Some(s) => format!(
                "{} {}, n = {}",
                signed(s.mean, unit),
                words::interval(s, unit, 2),
                compared.pairs()
            ),
            None => String::new(),
        },
    };
    let points = if unit == Unit::Percent {
        ", percentage points"
    } else {
        ""
    };
    Forest {
        title: format!("differences of the {}", words::metric(metric)),
        label: sentence(&format!("difference of the {}{points}", words::metric(metric))),
        unit,
        // An interaction has no first side that its value could be lower with.
        sides: (all.iter().all(|compared| !compared.is_interaction))
            .then(|| ("lower with the first".to_owned(), "higher".to_owned())),
        rows: all.iter().enumerate().map(row).collect(),
    }
}
