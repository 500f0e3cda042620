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

/// Architectures × rates × modes, as a study has them.
fn study(architectures: &[&str], rates: usize, modes: bool) -> Vec<GroupResult> {
    let mut results = Vec::new();
    for (number, name) in architectures.iter().enumerate() {
        for at in 0..rates {
            for mode in 0..if modes { 4 } else { 1 } {
                let exponent = -5.0 + 4.0 * at as f64 / (rates - 1) as f64;
                let values = vec![
                    (Setting::Architecture, Value::Text((*name).to_owned())),
                    (Setting::LearningRate, Value::Float(10f64.powf(exponent))),
                    (Setting::WeightSharing, Value::Bool(mode & 1 > 0)),
                    (Setting::AuxiliaryLoss, Value::Bool(mode & 2 > 0)),
                ];
                let off = exponent + 2.6 + 0.2 * number as f64;
                let floor = (0.1 + 0.03 * number as f64 - 0.02 * f64::from(mode) + 0.05 * off * off).min(0.5);
                let lost = u32::from(at + 1 == rates) * (3 + 2 * (number as u32 % 2));
                let mut group = group(results.len() as u64, values, u64::from(5 - lost));
                group.counts.diverged = lost.into();
                results.push(result(group, &falling(5 - lost, 30, floor, 0.2, 0.04)));
            }
        }
    }
    results
}

const NETWORKS: [&str; 6] = [
    "perceptron-20",
    "perceptron-50",
    "perceptron-600",
    "conv-4",
    "conv-20",
    "a-network-with-a-long-name-of-its-own",
];

fn refs(results: &[GroupResult]) -> Vec<&GroupResult> {
    results.iter().collect()
}

/// A figure of two points with this interval each.
fn with_interval(unit: Unit, form: Form, band: (f64, f64)) -> Figure {
    let point = |x| Point {
        x,
        mean: 0.03,
        band: Some(band),
        hollow: false,
    };
    Figure {
        title: String::new(),
        subtitle: None,
        x: Axis {
            label: "epoch".to_owned(),
            kind: AxisKind::Epochs,
        },
        panels: vec![Panel {
            title: String::new(),
            unit,
            series: vec![Series {
                style: 0,
                label: "one".to_owned(),
                note: None,
                form,
                mark: None,
                points: vec![point(1.0), point(2.0)],
            }],
        }],
        notes: Vec::new(),
        caption: "Means.".to_owned(),
    }
}

#[test]
fn intervals_of_shares_are_cut_at_0_and_100_percent_and_say_so() {
    let (whole, beyond) = ((0.0, 0.035), (-0.2, 0.035));
    let draw = |unit, form, band| with_interval(unit, form, band).bare_svg();
    assert_eq!(
        draw(Unit::Percent, Form::Band, beyond),
        draw(Unit::Percent, Form::Band, whole),
        "the band ends at the axis"
    );
    let lines = |band| {
        draw(Unit::Percent, Form::Intervals, band)
            .matches("<line")
            .count()
    };
    assert_eq!(
        lines(whole) - lines(beyond),
        2,
        "no mark at the lower end of two whiskers"
    );
    for (form, says) in [
        (Form::Band, "Bands end at 0"),
        (Form::Intervals, "Whiskers without a mark"),
    ] {
        let words = |unit, band| with_interval(unit, form, band).words().concat();
        assert!(words(Unit::Percent, beyond).contains(says));
        assert_eq!(words(Unit::Percent, whole), "Means.");
        assert!(
            !words(Unit::Plain, beyond).contains(says),
            "losses may be anything"
        );
    }
}

#[test]
fn sensitivity_marks_the_lowest_whole_group_of_each_line() {
    let results = study(&NETWORKS[..3], 5, false);
    let found = sensitivity(
        &refs(&results),
        Setting::LearningRate,
        Metric::TestError,
        None,
        "rates",
    )
    .unwrap();
    let [figure] = found.figures.as_slice() else {
        panic!()
    };
    assert_eq!((figure.x.kind.clone(), figure.panels.len()), (AxisKind::Log, 1));
    let labels: Vec<&str> = found
        .optima
        .iter()
        .map(|optimum| optimum.label.as_str())
        .collect();
    assert_eq!(labels, NETWORKS[..3]);
    for (series, optimum) in figure.panels[0].series.iter().zip(&found.optima) {
        let mark = series.mark.as_ref().unwrap();
        assert!(!series.points[mark.at].hollow);
        // Of the second architecture nothing is left at the last rate.
        assert_eq!(
            series.points.get(4).map(|point| point.hollow),
            (series.style != 1).then_some(true)
        );
        assert_eq!(series.points[mark.at].mean, last_mean(&results[optimum.group]));
        assert!(!optimum.edge);
    }
    assert!(figure.caption.contains("after epoch 30") && figure.caption.contains("whiskers: 95"));
    assert!(figure.caption.contains("Hollow dots"), "{}", figure.caption);
    let svg = figure.svg();
    let document = Document::parse(&svg).unwrap();
    let rings = document.descendants().filter(|node| {
        node.attribute("class")
            .is_some_and(|class| class.starts_with("mark-"))
    });
    assert_eq!(rings.count(), 3);
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
}

fn last_mean(result: &GroupResult) -> f64 {
    result.epochs.last().unwrap()[1].mean
}

#[test]
fn sensitivity_of_many_groups_has_panels_and_of_too_many_none() {
    let results = study(&NETWORKS, 5, true);
    let found = sensitivity(
        &refs(&results),
        Setting::LearningRate,
        Metric::TestError,
        None,
        "rates",
    )
    .unwrap();
    assert_eq!(found.figures[0].panels.len(), 6);
    assert_eq!(found.optima.len(), 24);
    assert!(found.optima[0].label.starts_with("perceptron-20 · "));
    let names: Vec<String> = (0..100).map(|number| format!("n-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let many = study(&names, 3, false);
    assert_eq!(
        sensitivity(
            &refs(&many),
            Setting::LearningRate,
            Metric::TestError,
            None,
            "rates"
        ),
        None
    );
}

#[test]
fn small_multiples_have_a_panel_an_architecture_and_a_line_a_mode() {
    let results = study(&NETWORKS, 2, true);
    let some: Vec<&GroupResult> = results
        .iter()
        .filter(|result| result.group.index % 8 < 4)
        .collect();
    let settings = [
        Setting::Architecture,
        Setting::WeightSharing,
        Setting::AuxiliaryLoss,
    ];
    let figures = multiples(&some, &settings, Metric::TestError, "modes");
    let [figure] = figures.as_slice() else { panic!() };
    assert_eq!(figure.panels.len(), 6);
    assert!(figure.panels.iter().all(|panel| panel.series.len() == 4));
    assert_eq!(figure.panels[1].title, "perceptron-50");
    assert_eq!(figure.panels[1].series[3].label, "sharing on · auxiliary loss on");
    assert!(Document::parse(&figure.svg()).is_ok());
}

#[test]
fn names_in_inline_figures_differ_and_their_font_is_the_page_s() {
    let figure = figure(&modes(2, 3));
    let inline = figure.inline_svg("f7-");
    assert!(inline.contains("id=\"clip-f7-0\"") && inline.contains("url(#clip-f7-1)"));
    assert!(!inline.contains("@font-face") && !inline.contains("<style"));
    assert!(
        !inline.contains("t interval") && figure.words()[0].contains("t interval"),
        "its words are text elsewhere"
    );
    assert!(figure.bare_svg().contains("@font-face"));
}

fn forest() -> Forest {
    let row = |number: u32| {
        let mean = -0.06 + 0.02 * f64::from(number);
        Row {
            head: number
                .is_multiple_of(3)
                .then(|| format!("perceptron-{}", 20 * (number + 1))),
            name: "sharing on · auxiliary loss off − sharing off · auxiliary loss off".to_owned(),
            mean: (number != 4).then_some(mean),
            interval: (number != 4).then_some((mean - 0.02, mean + 0.02)),
            margins: if number == 2 { vec![-0.05] } else { vec![] },
            text: format!(
                "{:.1} [{:.1}, {:.1}]",
                100.0 * mean,
                100.0 * mean - 2.0,
                100.0 * mean + 2.0
            ),
        }
    };
    Forest {
        title: "differences".to_owned(),
        label: "difference of test error, percentage points".to_owned(),
        unit: Unit::Percent,
        sides: Some(("lower with the first".to_owned(), "higher".to_owned())),
        rows: (0..6).map(row).collect(),
    }
}

#[test]
fn a_forest_has_a_dot_for_each_difference() {
    let svg = forest().svg();
    let document = Document::parse(&svg).unwrap();
    let dots = document
        .descendants()
        .filter(|node| node.attribute("class") == Some("difference"));
    assert_eq!(dots.count(), 5);
    assert!(svg.contains("no pairs") && svg.contains("perceptron-80") && !svg.contains("NaN"));
    assert!(!forest().inline_svg().contains("@font-face"));
    let nothing = Forest {
        rows: vec![],
        ..forest()
    };
    assert!(Document::parse(&nothing.svg()).is_ok());
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
    let of = |results: &[GroupResult]| {
        let found = sensitivity(
            &refs(results),
            Setting::LearningRate,
            Metric::TestError,
            None,
            "rates",
        );
        found.unwrap().figures.remove(0)
    };
    let six = study(&NETWORKS, 2, true);
    let six: Vec<&GroupResult> = six.iter().filter(|result| result.group.index % 8 < 4).collect();
    let settings = [
        Setting::Architecture,
        Setting::WeightSharing,
        Setting::AuxiliaryLoss,
    ];
    for (name, svg) in [
        ("sensitivity", of(&study(&NETWORKS[..3], 5, false)).svg()),
        ("sensitivity-one", of(&study(&NETWORKS[..1], 9, false)).bare_svg()),
        ("sensitivity-many", of(&study(&NETWORKS, 5, true)).svg()),
        (
            "multiples",
            multiples(&six, &settings, Metric::TestError, "modes")
                .remove(0)
                .svg(),
        ),
        ("forest", forest().svg()),
    ] {
        std::fs::write(folder.join(format!("{name}.svg")), &svg).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), png(&svg, 1200).unwrap()).unwrap();
    }
}
