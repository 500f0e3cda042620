//! Results to try reports on.

use tenfold_core::aggregate::{Counts, Group, GroupResult, Sample, aggregate};
use tenfold_types::{Curve, Metric, Setting, Value};

/// A group of so many trials, all succeeded.
pub(super) fn group(index: u64, values: Vec<(Setting, Value)>, succeeded: u64) -> Group {
    Group {
        stage: 0,
        stage_name: String::new(),
        index,
        values,
        counts: Counts {
            succeeded,
            ..Counts::default()
        },
        sample: Sample::default(),
    }
}

/// A group's result over curves of train and test error.
pub(super) fn result(group: Group, curves: &[Curve]) -> GroupResult {
    let curves: Vec<&Curve> = curves.iter().collect();
    let (metrics, epochs) = aggregate(&curves);
    GroupResult {
        group,
        metrics,
        answers: Vec::new(),
        epochs,
    }
}

/// A curve of train and test error.
pub(super) fn curve(train: &[f32], test: &[f32]) -> Curve {
    Curve {
        metrics: vec![Metric::TrainError, Metric::TestError],
        columns: vec![train.to_vec(), test.to_vec()],
    }
}

/// Curves as real ones look: from 50 % down to `floor`, at a pace, with some noise that repeats.
pub(super) fn falling(repetitions: u32, epochs: u32, floor: f64, pace: f64, noise: f64) -> Vec<Curve> {
    // A hash of the place makes the noise: the same at each call.
    let unit = |seed: u32| f64::from(seed.wrapping_mul(2_654_435_761) >> 8) / f64::from(1u32 << 24) - 0.5;
    let value = |repetition: u32, epoch: u32, floor: f64| {
        let place = repetition * 7919 + epoch * 104_729 + (floor * 1e4) as u32;
        let mean = floor + (0.5 - floor) * (-f64::from(epoch) * pace).exp();
        let wrong = mean + noise * (unit(repetition * 31 + 7) + 0.6 * unit(place));
        (wrong.clamp(0.0, 1.0) * 1000.0).round() as f32 / 1000.0
    };
    let column = |r, floor| {
        (1..=epochs)
            .map(|epoch| value(r, epoch, floor))
            .collect::<Vec<f32>>()
    };
    (0..repetitions)
        .map(|r| curve(&column(r, floor * 0.3), &column(r, floor)))
        .collect()
}
