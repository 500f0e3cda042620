//! Statistics against NumPy, SciPy and statsmodels; `fixtures/statistics.py` and `fixtures/within.py` say how the numbers came
//! about.

use serde_json::Value;
use tenfold_core::aggregate::{Statistics, part_within, t975, within};
use tenfold_types::{Curve, Metric};

fn fixture() -> serde_json::Result<Value> {
    serde_json::from_str(include_str!("fixtures/statistics.json"))
}

#[track_caller]
fn close(ours: f64, theirs: f64, tolerance: f64, what: &str) {
    let difference = (ours - theirs).abs();
    assert!(
        difference <= tolerance * theirs.abs() || difference == 0.0,
        "{what}: {ours:e} here, {theirs:e} there"
    );
}

#[test]
fn samples_have_the_statistics_that_numpy_gives_them() {
    let fixture = fixture().unwrap();
    let samples = fixture["samples"].as_array().unwrap();
    assert!(samples.len() >= 10);
    for sample in samples {
        let values: Vec<f64> = sample["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value.as_f64().unwrap())
            .collect();
        let ours = Statistics::of(&values).unwrap();
        let what = format!("n = {}, first {:e}", ours.n, values[0]);
        assert_eq!(u64::from(ours.n), sample["n"].as_u64().unwrap());
        close(ours.mean, sample["mean"].as_f64().unwrap(), 1e-12, &what);
        assert_eq!(Some(ours.min), sample["min"].as_f64());
        close(ours.median, sample["median"].as_f64().unwrap(), 1e-15, &what);
        assert_eq!(Some(ours.max), sample["max"].as_f64());
        let deviation = sample.get("standard_deviation").and_then(Value::as_f64);
        assert_eq!(ours.standard_deviation.is_some(), deviation.is_some());
        if let (Some(deviation), Some((low, high))) = (deviation, ours.ci95) {
            close(ours.standard_deviation.unwrap(), deviation, 1e-12, &what);
            close(
                ours.standard_error.unwrap(),
                sample["standard_error"].as_f64().unwrap(),
                1e-12,
                &what,
            );
            close(low, sample["ci95"][0].as_f64().unwrap(), 1e-9, &what);
            close(high, sample["ci95"][1].as_f64().unwrap(), 1e-9, &what);
        }
    }
}

#[test]
fn quantiles_of_t_are_those_of_scipy() {
    let fixture = fixture().unwrap();
    let quantiles = fixture["quantiles"].as_object().unwrap();
    assert!(quantiles.len() >= 40);
    for (n, theirs) in quantiles {
        let ours = t975(n.parse().unwrap());
        close(ours, theirs.as_f64().unwrap(), 1e-9, &format!("n = {n}"));
        assert_eq!(ours.to_bits(), t975(n.parse().unwrap()).to_bits(), "kept");
    }
}

/// Means within repetitions come to what a linear mixed model with random repetitions comes to, and to SciPy's t interval of
/// the means. Intervals that take each trial for a repetition are too narrow where repetitions differ, and too wide where points do.
#[test]
fn groups_of_several_points_are_those_of_a_mixed_model() {
    let fixture: Value = serde_json::from_str(include_str!("fixtures/within.json")).unwrap();
    let groups = fixture["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 3);
    for group in groups {
        let name = group["name"].as_str().unwrap();
        let numbers = |of: &Value| -> Vec<f64> {
            let all = of.as_array().unwrap().iter();
            all.map(|number| number.as_f64().unwrap()).collect()
        };
        let values: Vec<Vec<f64>> = group["values"].as_array().unwrap().iter().map(numbers).collect();
        let some: Vec<Vec<Option<f64>>> = values
            .iter()
            .map(|point| point.iter().copied().map(Some).collect())
            .collect();
        let (counted, means) = within::means_within(&some);
        assert_eq!(counted.repetitions.len(), values[0].len(), "{name}");
        for (ours, theirs) in means.iter().zip(numbers(&group["means"])) {
            close(*ours, theirs, 1e-14, name);
        }
        let ours = Statistics::of(&means).unwrap();
        assert_eq!(ours.n as usize, values[0].len());
        let (low, high) = ours.ci95.unwrap();
        close(
            ours.standard_deviation.unwrap(),
            group["scipy"]["standard_deviation"].as_f64().unwrap(),
            1e-12,
            name,
        );
        // REML is an iteration: statsmodels ends it before the last digits.
        for (by, tolerance) in [("scipy", 1e-9), ("mixed_model", 1e-7)] {
            close(ours.mean, group[by]["mean"].as_f64().unwrap(), tolerance, by);
            let theirs = numbers(&group[by]["ci95"]);
            close(low, theirs[0], tolerance, by);
            close(high, theirs[1], tolerance, by);
        }
        let trials = numbers(&group["trials"]);
        let of_trials = Statistics::of(&values.concat()).unwrap().ci95.unwrap();
        close(of_trials.0, trials[0], 1e-9, "trials");
        let is_narrow = of_trials.1 - of_trials.0 < high - low;
        assert_eq!(is_narrow, name != "two rates", "{name}");

        // The same from curves, whose values are 32-bit numbers.
        let curve = |value: &f64| Curve {
            metrics: vec![Metric::TestError],
            columns: vec![vec![*value as f32]],
        };
        let curves: Vec<Curve> = values.iter().flatten().map(curve).collect();
        let curves: Vec<&Curve> = curves.iter().collect();
        let part = part_within(&curves, values.len(), 1, usize::MAX);
        let of_curves = part.epochs[0][0];
        assert_eq!(of_curves.n, ours.n);
        close(of_curves.mean, ours.mean, 1e-6, name);
        close(of_curves.ci95.unwrap().0, low, 1e-6, name);
    }
}
