//! Figures by their structure; how they look is for people to judge (`cargo test -p tenfold figure -- --ignored`).

use resvg::usvg::roxmltree::Document;
use tenfold_core::aggregate::Counts;
use tenfold_types::{Setting, Value};

use super::super::samples::{curve, falling, group, result};
use super::*;

fn figure(results: &[GroupResult]) -> Figure {
    curves_figure(
        results,
        &CurvesOptions {
            title: "a <sweep> & more".to_owned(),
            metrics: vec![],
        },
    )
}

fn modes(repetitions: u32, epochs: u32) -> Vec<GroupResult> {
    let mut results = Vec::new();
    for (index, (sharing, aux)) in [(false, false), (false, true), (true, false), (true, true)]
        .into_iter()
        .enumerate()
    {
        let values = vec![
            (Setting::Architecture, Value::Text("perceptron-600".to_owned())),
            (Setting::WeightSharing, Value::Bool(sharing)),
            (Setting::AuxiliaryLoss, Value::Bool(aux)),
        ];
        let floor = 0.19 - 0.05 * f64::from(u8::from(sharing)) - 0.06 * f64::from(u8::from(aux));
        let curves = falling(repetitions, epochs, floor, 0.25, 0.03);
        results.push(result(
            group(index as u64, values, u64::from(repetitions)),
            &curves,
        ));
    }
    results
}

fn rates() -> Vec<GroupResult> {
    let one = |(index, exponent): (u64, i32)| {
        let rate = 10f64.powi(exponent);
        let values = vec![
            (Setting::Architecture, Value::Text("conv-20".to_owned())),
            (Setting::LearningRate, Value::Float(rate)),
        ];
        let (floor, pace, diverged) = match exponent {
            -6 => (0.47, 0.02, 0),
            -5 => (0.30, 0.03, 0),
            -4 => (0.17, 0.12, 0),
            -3 => (0.12, 0.4, 0),
            -2 => (0.48, 0.1, 3),
            _ => (0.5, 0.1, 10),
        };
        let succeeded = 10 - diverged;
        let mut group = group(index, values, u64::from(succeeded));
        group.counts.diverged = u64::from(diverged);
        result(group, &falling(succeeded, 25, floor, pace, 0.03))
    };
    (0..6).zip(-6..0).map(one).collect()
}

fn many() -> Vec<GroupResult> {
    let one = |index: u64| {
        let values = vec![
            (
                Setting::Architecture,
                Value::Text(format!("three-convolutions-and-a-wide-perceptron-{}", index / 4)),
            ),
            (Setting::WeightSharing, Value::Bool(index.is_multiple_of(2))),
            (Setting::AuxiliaryLoss, Value::Bool(index % 4 < 2)),
        ];
        let mut group = group(index, values, 3);
        group.counts.failed = u64::from(index == 5);
        let floor = 0.06 + 0.02 * index as f64;
        result(group, &falling(3, 60, floor, 0.1, 0.03))
    };
    (0..12).map(one).collect()
}

#[test]
fn every_group_has_a_line_and_a_band_in_both_panels() {
    let svg = figure(&modes(10, 25)).svg();
    let document = Document::parse(&svg).unwrap();
    for panel in ["panel-0", "panel-1"] {
        let panel = document
            .descendants()
            .find(|node| node.attribute("id") == Some(panel))
            .unwrap();
        for class in [
            "line-0", "line-1", "line-2", "line-3", "band-0", "band-1", "band-2", "band-3",
        ] {
            let paths = panel
                .descendants()
                .filter(|node| node.attribute("class") == Some(class));
            let d: Vec<&str> = paths.filter_map(|node| node.attribute("d")).collect();
            let [d] = d.as_slice() else {
                panic!("{class}: {d:?}")
            };
            let epochs = if class.starts_with("band") { 50 } else { 25 };
            assert_eq!(d.matches(['M', 'L']).count(), epochs);
        }
    }
    let texts: Vec<&str> = document
        .descendants()
        .filter(|n| n.has_tag_name("text"))
        .filter_map(|n| n.text())
        .collect();
    for text in [
        "a <sweep> & more",
        "perceptron-600",
        "Train error",
        "Test error",
        "sharing on · auxiliary loss off",
        "sharing off · auxiliary loss on",
        "Mean of 10 repetitions; band: 95\u{a0}% t interval.",
        "40\u{a0}%",
        "epoch",
    ] {
        assert!(
            texts
                .iter()
                .any(|have| have.replace('\u{a0}', " ") == text.replace('\u{a0}', " ")),
            "{text} in {texts:?}"
        );
    }
}

#[test]
fn groups_with_losses_say_so() {
    let figure = figure(&rates());
    assert_eq!(figure.subtitle.as_deref(), Some("conv-20"));
    let last = figure.panels[1].series.last().unwrap();
    assert_eq!(
        (last.label.as_str(), last.note.as_deref()),
        ("learning rate 1e-2", Some("3 of 10 diverged"))
    );
    assert_eq!(
        figure.notes,
        ["No line for learning rate 1e-1: 10 of 10 diverged"]
    );
    assert_eq!(
        figure.caption,
        "Mean of 7 to 10 repetitions; band: 95\u{a0}% t interval."
    );
    let svg = figure.svg();
    assert!(svg.contains("learning rate 1e-2 (3 of 10 diverged)"));
    assert!(svg.contains("No line for learning rate 1e-1"));
}

#[test]
fn results_without_any_curve_still_make_a_figure() {
    let mut waiting = group(0, vec![], 0);
    waiting.counts = Counts {
        pending: 3,
        ..Counts::default()
    };
    let figure = figure(&[result(waiting, &[])]);
    assert_eq!(figure.notes, ["No line for all trials: 3 of 3 unfinished"]);
    assert_eq!(figure.caption, "No repetition has succeeded.");
    assert!(Document::parse(&figure.svg()).is_ok());
    assert!(Document::parse(&super::curves_figure(&[], &CurvesOptions::default()).svg()).is_ok());
}

#[test]
fn a_single_epoch_of_a_single_repetition_is_a_dot() {
    let figure = figure(&[result(group(0, vec![], 1), &[curve(&[0.5], &[0.4])])]);
    assert_eq!(figure.caption, "One repetition each.");
    let svg = figure.svg();
    assert_eq!(svg.matches("<circle").count(), 2);
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
}

#[test]
fn a_metric_that_a_group_lacks_is_noted() {
    let options = CurvesOptions {
        metrics: vec![Metric::TestError, Metric::TestLoss],
        ..CurvesOptions::default()
    };
    let figure = curves_figure(&[result(group(0, vec![], 1), &[curve(&[0.5], &[0.4])])], &options);
    assert_eq!(figure.notes, ["all trials has no test loss"]);
    assert_eq!(figure.panels[1].unit, Unit::Plain);
    assert!(Document::parse(&figure.svg()).is_ok());
}

#[test]
fn a_png_has_the_width_asked_for() {
    let svg = figure(&modes(3, 5)).svg();
    let bytes = png(&svg, 1200).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    assert_eq!(bytes[16..20], 1200u32.to_be_bytes());
    assert!(matches!(png(&svg, 0), Err(PngError::Width { width: 0 })));
    assert!(matches!(png(&svg, MAX_WIDTH + 1), Err(PngError::Width { .. })));
    assert!(matches!(png("<p/>", 100), Err(PngError::Svg(_))));
}

#[test]
fn the_same_results_give_the_same_bytes() {
    assert_eq!(figure(&many()).svg(), figure(&many()).svg());
}

#[test]
#[ignore = "writes pictures for people to look at, into TENFOLD_FIGURES"]
fn pictures() {
    let folder = std::path::PathBuf::from(std::env::var_os("TENFOLD_FIGURES").unwrap());
    let losses = || {
        let mut results = modes(2, 25);
        for result in &mut results {
            result.metrics = vec![Metric::TestError, Metric::TestLoss];
        }
        results
    };
    let (errors, both) = (vec![], vec![Metric::TestError, Metric::TestLoss]);
    for (name, results, metrics) in [
        ("two", modes(3, 25).split_off(2), errors.clone()),
        ("four", modes(10, 25), errors.clone()),
        ("rates", rates(), errors.clone()),
        ("many", many(), errors.clone()),
        ("short", modes(2, 1), errors.clone()),
        ("losses", losses(), both.clone()),
        ("one", losses(), both[1..].to_vec()),
        ("empty", rates().split_off(5), errors),
    ] {
        let options = CurvesOptions {
            title: format!("Figure {name}"),
            metrics,
        };
        let svg = curves_figure(&results, &options).svg();
        std::fs::write(folder.join(format!("{name}.svg")), &svg).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), png(&svg, 1200).unwrap()).unwrap();
    }
}
