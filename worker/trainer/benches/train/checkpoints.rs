//! What it costs to keep a checkpoint and to find it again, beside an epoch on the processor.

use std::path::Path;
use std::time::Instant;

use tenfold_trainer::array::{Array, Tick};
use tenfold_trainer::checkpoint::{Checkpoint, Checkpoints};
use tenfold_trainer::data::Mnist;
use tenfold_trainer::host::HostArray;
use tenfold_types::frame::Device;
use tenfold_types::{DeviceKind, TrialSpec};

use crate::network::spec;

/// Each figure is the median of so many.
const ROUNDS: usize = 21;

struct On;

impl Tick for On {
    fn tick(&self) -> bool {
        true
    }
}

/// Prints a line about a network.
pub(crate) fn time(network: &str, data: &Path) {
    tch::set_num_threads(1);
    let mnist = Mnist::load(data).unwrap();
    let spec = TrialSpec {
        epochs: 100,
        ..spec(network).unwrap()
    };
    let outline = spec.check().unwrap();
    let device = Device {
        kind: DeviceKind::Cpu,
        name: "this".to_owned(),
        threads: 1,
        libtorch: tenfold_trainer::LIBTORCH_VERSION.to_owned(),
    };
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(folder.path(), 1 << 30, &device, false);
    let mut array = HostArray::<f32>::new(std::slice::from_ref(&spec), &mnist).unwrap();
    let mut epochs = Vec::new();
    let (mut kept, mut found) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        epochs.push(milliseconds(|| _ = array.epochs(1, &On).unwrap()));
        kept.push(milliseconds(|| {
            let checkpoint = Checkpoint {
                epochs: spec.epochs,
                metrics: 4,
                curve: vec![0.5; 400],
                learned: array.learned(0).unwrap(),
            };
            checkpoints.keep(&spec, &checkpoint);
        }));
        found.push(milliseconds(|| {
            let checkpoint = checkpoints.find(&spec, &outline).unwrap();
            array.resume(0, 1, &checkpoint.learned).unwrap();
        }));
    }
    println!(
        "{network}: keeping a checkpoint {:.2} ms, going on from it {:.2} ms, an epoch {:.2} ms",
        median(kept),
        median(found),
        median(epochs)
    );
}

fn milliseconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e3
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
