//! Reports by what they say; how they look is for people to judge.

use tenfold_core::aggregate::GroupResult;
use tenfold_types::{Metric, Setting, TrialKey, Value};

use super::super::raw::TrialCurveRow;
use super::super::samples::{falling, group, result};
use super::*;

/// Architectures × switches with three repetitions; the second switch lowers the error.
fn study(architectures: usize) -> Study {
    let (mut results, mut trials): (Vec<GroupResult>, Vec<TrialCurveRow>) = (Vec::new(), Vec::new());
    for number in 0..architectures {
        for mode in 0..4_u32 {
            let values = vec![
                (Setting::Architecture, Value::Text(format!("net-{number}_<b>|\\"))),
                (Setting::WeightSharing, Value::Bool(mode & 2 > 0)),
                (Setting::AuxiliaryLoss, Value::Bool(mode & 1 > 0)),
            ];
            let index = results.len() as u64;
            let curves = falling(3, 4, 0.3 - 0.05 * f64::from(mode), 0.9, 0.02);
            for (repetition, curve) in (0..).zip(&curves) {
                trials.push(TrialCurveRow {
                    key: TrialKey {
                        stage: 0,
                        index,
                        repetition,
                    },
                    values: values.clone(),
                    state: "succeeded".to_owned(),
                    curve: curve.clone(),
                    provenance: None,
                });
            }
            results.push(result(group(index, values, 3), &curves));
        }
    }
    Study {
        name: "a <script> & *more*".to_owned(),
        id: "00".repeat(16),
        version: "1.0".to_owned(),
        plan: "first\n  second ``` <third>".to_owned(),
        normalised: "{}".to_owned(),
        counts: results
            .first()
            .map_or_else(Default::default, |result| result.group.counts),
        stages: vec![StageOf {
            name: String::new(),
            points: results.len() as u64,
            repetitions: 3,
            epochs: 4,
            min_repetitions: None,
        }],
        results,
        trials,
        ..Study::default()
    }
}

fn file(files: &[File], path: &str) -> String {
    let file = files.iter().find(|file| file.path == path);
    String::from_utf8(file.unwrap_or_else(|| panic!("no {path}")).bytes.clone()).unwrap()
}

#[test]
fn the_same_study_gives_the_same_bytes() {
    assert_eq!(
        report(&study(3)).files().unwrap(),
        report(&study(3)).files().unwrap()
    );
}

#[test]
fn nothing_that_users_name_breaks_out() {
    let files = report(&study(2)).files().unwrap();
    let html = file(&files, "index.html");
    assert!(!html.contains("<script") && !html.contains("<b>"));
    assert!(html.contains("a &lt;script&gt; &amp; *more*") && html.contains("  second ``` &lt;third&gt;"));
    let markdown = file(&files, "report.md");
    assert!(
        markdown.starts_with("# a \\<script\\> \\& \\*more\\*\n"),
        "{markdown}"
    );
    assert!(markdown.contains("````\nfirst\n  second ``` <third>\n````"));
    let latex = file(&files, "tables/groups.tex");
    assert!(
        latex.contains("net-0\\_\\textless{}b\\textgreater{}\\textbar{}\\textbackslash{}"),
        "{latex}"
    );
}

#[test]
fn a_page_needs_nothing_from_elsewhere_and_names_nothing_twice() {
    let files = report(&study(3)).files().unwrap();
    let html = file(&files, "index.html");
    for from_elsewhere in [" src=", "href=\"http", "@import", "url(http"] {
        assert!(!html.contains(from_elsewhere), "{from_elsewhere}");
    }
    let mut ids: Vec<&str> = html
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), count > 10), (count, true));
    let mut paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let count = paths.len();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), count);
    for link in html
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        assert!(paths.contains(&link) || link.starts_with("provenance."), "{link}");
    }
}

#[test]
fn modes_are_compared_in_pairs_within_each_architecture() {
    let files = report(&study(2)).files().unwrap();
    let csv = file(&files, "tables/comparisons.csv");
    assert_eq!(csv.lines().count(), 1 + 2 * (6 + 1), "{csv}");
    assert!(
        csv.contains("interaction of weight sharing and auxiliary loss"),
        "{csv}"
    );
    let study = study(2);
    let last = |at: usize| {
        *study.trials[at]
            .curve
            .column(Metric::TestError)
            .unwrap()
            .last()
            .unwrap()
    };
    // The second mode against the first: repetitions 3, 4, 5 against 0, 1, 2.
    let mean = (0..3)
        .map(|r| f64::from(last(3 + r)) - f64::from(last(r)))
        .sum::<f64>()
        / 3.0;
    let row: Vec<&str> = csv.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(row[2], "3");
    assert!(
        (row[6].parse::<f64>().unwrap() - mean).abs() < 1e-6,
        "{row:?} {mean}"
    );
}

#[test]
fn comparisons_say_which_test_and_which_null_and_what_they_cannot_show() {
    let page = file(&report(&study(2)).files().unwrap(), "report.md");
    for part in [
        "Paired by repetition: points of a stage share its seed",
        "corrected for all 14 rows (Holm)",
        "p (Wilcoxon) is exact: all patterns of signs are counted",
        // 14 rows times 1/4.
        "With n = 3 and 14 rows every Wilcoxon p is 1",
        "(both − first alone) − (second alone − neither), here (sharing on · auxiliary loss on − sharing on · auxiliary loss off) −",
        "times Hedges",
        "no means or rates of an interaction",
        "It is the lowest of 8 groups, and so by chance too low: were all equal, its interval would hold the truth in 88 % of cases at worst",
    ] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    assert!(!page.contains("lower with the first"), "of interactions");
}

#[test]
fn a_repetition_that_one_side_lacks_is_left_out_and_counted() {
    let mut study = study(2);
    study.trials[4].state = "diverged".to_owned();
    study.results[1].group.counts.succeeded = 2;
    study.results[1].group.counts.diverged = 1;
    let files = report(&study).files().unwrap();
    let csv = file(&files, "tables/comparisons.csv");
    let row: Vec<&str> = csv.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(row[2..4], ["2", "1"]);
    assert_eq!(
        row[17..25],
        ["first - second", "3", "1 diverged", "exact", "1", "0", "3", "1"],
        "{csv}"
    );
    let page = file(&files, "report.md");
    assert!(page.contains("2 of 3") && page.contains("1 and 0 of 3"), "{page}");
    let lost = file(&files, "tables/not-succeeded.csv");
    assert!(
        lost.contains("0.1.1,") && lost.contains("no number in epoch 5"),
        "{lost}"
    );
    assert!(file(&files, "report.md").contains("1 diverged"));
}

#[test]
fn hundreds_of_groups_are_told_in_part_and_kept_whole() {
    let study = study(150);
    let files = report(&study).files().unwrap();
    let page = file(&files, "report.md");
    assert!(page.contains("60 groups with the lowest means of 600"), "{page}");
    assert!(page.contains("There is no figure of them: 1050 comparisons"));
    assert!(page.contains("There is no figure of the test error: 600 groups"));
    assert_eq!(file(&files, "tables/groups.csv").lines().count(), 601);
    assert_eq!(file(&files, "tables/comparisons.csv").lines().count(), 1051);
}

#[test]
fn a_sweep_that_goes_on_is_provisional_and_one_point_has_a_report_too() {
    let mut study = study(1);
    study.results.truncate(1);
    study.trials.truncate(3);
    study.provisional = Some("active".to_owned());
    study.results[0].group.counts.pending = 2;
    study.choices = vec!["rates: learning rate 1e-3".to_owned()];
    let page = file(&report(&study).files().unwrap(), "report.md");
    assert!(page.contains("**Provisional.** The sweep is active"), "{page}");
    assert!(page.contains("- rates: learning rate 1e-3"));
    assert!(!page.contains("Comparisons"));
    let nothing = report(&Study {
        stages: vec![StageOf::default()],
        ..Study::default()
    });
    assert!(file(&nothing.files().unwrap(), "report.md").contains("No trial of it has succeeded."));
}
