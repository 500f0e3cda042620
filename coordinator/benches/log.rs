//! What a trial costs the results log, without store and file: the statistics of its group's epochs, and their lines.
//! Beside it the limit: copying the text. Prints a line a case.
//!
//! `cargo bench -p tenfold --bench log`

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use tenfold::groups::GroupPart;
use tenfold::report::log;
use tenfold::watch::Event;
use tenfold_core::aggregate::{Counts, Group, GroupResult, Sample, aggregate};
use tenfold_types::{Curve, Metric, Setting, Value};

const REPETITIONS: u32 = 10;
const EPOCHS: u32 = 100;
const METRICS: [Metric; 4] = [
    Metric::TrainError,
    Metric::TestError,
    Metric::TrainLoss,
    Metric::TestLoss,
];

/// Errors of thousandths and losses of any kind, differently far apart, as training gives them.
fn curve(repetition: u32) -> Curve {
    let value = |metric: u32, epoch: u32| {
        let noise = (repetition * 7_919 + metric * 104_729 + epoch * 1_299_709) % 1_000;
        let value = 1.0 / (1.0 + epoch as f32 / 10.0) + noise as f32 / 20_000.0;
        if metric < 2 {
            (value * 500.0).round() / 1_000.0
        } else {
            value
        }
    };
    Curve {
        metrics: METRICS.to_vec(),
        columns: (0..4)
            .map(|metric| (0..EPOCHS).map(|epoch| value(metric, epoch)).collect())
            .collect(),
    }
}

/// The least of many times that a case takes, in seconds: what disturbs only adds to it.
fn least(mut case: impl FnMut()) -> f64 {
    let once = |_| {
        let began = Instant::now();
        case();
        began.elapsed().as_secs_f64()
    };
    (0..2_000).map(once).fold(f64::INFINITY, f64::min)
}

fn main() {
    let curves: Vec<Curve> = (0..REPETITIONS).map(curve).collect();
    let curves: Vec<&Curve> = curves.iter().collect();
    let aggregated = least(|| _ = black_box(aggregate(black_box(&curves))));
    let (metrics, epochs) = aggregate(&curves);
    let group = Group {
        stage: 0,
        stage_name: String::new(),
        index: 7,
        values: vec![
            (Setting::Architecture, Value::Text("perceptron-100".to_owned())),
            (Setting::LearningRate, Value::Float(0.001)),
        ],
        counts: Counts {
            succeeded: REPETITIONS.into(),
            ..Counts::default()
        },
        sample: Sample::default(),
    };
    let result = GroupResult {
        group,
        metrics,
        answers: Vec::new(),
        epochs,
    };
    let event = Event::Complete(Arc::new(GroupPart {
        result,
        first: 1,
        more: false,
    }));
    let mut lines = Vec::new();
    let written = least(|| {
        lines.clear();
        log::write(black_box(&event), &mut lines);
    });
    let mut copy = Vec::with_capacity(lines.len());
    let copied = least(|| {
        copy.clear();
        copy.extend_from_slice(black_box(&lines));
    });
    let trials = f64::from(REPETITIONS);
    println!(
        "a trial of {EPOCHS} epochs, {} metrics, {REPETITIONS} to a group:",
        METRICS.len()
    );
    println!("  statistics            {:6.2} µs", aggregated / trials * 1e6);
    println!(
        "  lines                 {:6.2} µs, {} bytes",
        written / trials * 1e6,
        lines.len() as f64 / trials
    );
    println!("  copying the lines     {:6.2} µs", copied / trials * 1e6);
}
