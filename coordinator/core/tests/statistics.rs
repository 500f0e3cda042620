//! Statistics against NumPy and SciPy; `fixtures/statistics.py` says how the numbers came about.

use serde_json::Value;
use tenfold_core::aggregate::{Statistics, t975};

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
