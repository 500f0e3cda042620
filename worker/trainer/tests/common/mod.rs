//! What tests of training share: MNIST, and a trial to start from.
#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "each test binary uses some of it"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use tenfold_trainer::data::Mnist;
use tenfold_trainer::train::{End, Follower, Place, TrainError, Trained, train_pack};
use tenfold_types::network::Architecture;
use tenfold_types::{Curve, Data, Join, Target, TrialSpec};

pub(crate) fn data_folder() -> PathBuf {
    std::env::var_os("TENFOLD_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/mnist")),
        PathBuf::from,
    )
}

pub(crate) fn mnist() -> &'static Mnist {
    static MNIST: OnceLock<Mnist> = OnceLock::new();
    MNIST.get_or_init(|| {
        // One thread, as the bits of these tests suppose.
        tch::set_num_threads(1);
        match Mnist::load(&data_folder()) {
            Ok(mnist) => mnist,
            Err(error) => panic!("these tests need MNIST (or TENFOLD_DATA, naming its folder): {error}"),
        }
    })
}

pub(crate) fn spec(architecture: &str) -> TrialSpec {
    TrialSpec {
        join: Join::AsIs,
        learning_rate: 1e-3,
        batch_size: 100,
        dropout: 0.0,
        epochs: 3,
        data: Data {
            train: 300,
            test: 200,
            target: Target::LessOrEqual,
        },
        seed: 559,
        ..TrialSpec::with_defaults(Architecture::named(architecture).unwrap())
    }
}

/// Where the tests train: the processor.
pub(crate) fn place(threads: usize) -> Place {
    Place {
        device: tch::Device::Cpu,
        threads,
        memory: 1 << 34,
        fuse: false,
    }
}

/// Collects the curves of a pack, and cancels trials when so many batches were counted.
#[derive(Default)]
pub(crate) struct Collector {
    pub(crate) trials: Mutex<BTreeMap<usize, Collected>>,
    pub(crate) batches: AtomicU64,
    /// No trial is wanted after so many batches; 0 for all.
    pub(crate) stop_after: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) curve: Vec<Vec<f32>>,
    pub(crate) seconds: Vec<f32>,
    pub(crate) end: Option<Result<End, String>>,
}

impl Collected {
    pub(crate) fn curve(&self, spec: &TrialSpec) -> Curve {
        let mut curve = Curve::new(spec.metrics());
        for row in &self.curve {
            assert_eq!(row.len(), curve.columns.len());
            for (column, value) in curve.columns.iter_mut().zip(row) {
                column.push(*value);
            }
        }
        curve
    }
}

impl Follower for Collector {
    fn batch(&self) {
        self.batches.fetch_add(1, Ordering::SeqCst);
    }

    fn wants(&self, _: usize) -> bool {
        self.stop_after == 0 || self.batches.load(Ordering::SeqCst) < self.stop_after
    }

    fn epoch(&self, trial: usize, values: &[f32], seconds: f32) {
        assert!(seconds >= 0.0);
        let mut trials = self.trials.lock().unwrap();
        let collected = trials.entry(trial).or_default();
        collected.curve.push(values.to_vec());
        collected.seconds.push(seconds);
    }

    fn ended(&self, trial: usize, end: Result<End, Arc<TrainError>>) {
        let mut trials = self.trials.lock().unwrap();
        let collected = trials.entry(trial).or_default();
        assert!(collected.end.is_none(), "a trial ends once");
        collected.end = Some(end.map_err(|error| error.to_string()));
    }
}

/// How a trial ended, and its curve.
pub(crate) type Finished = (Result<End, String>, Curve);

/// Trains a pack with so many threads.
pub(crate) fn run_pack(specs: &[TrialSpec], threads: usize) -> Vec<Finished> {
    let (results, trained) = run_on(specs, place(threads));
    let expected = Trained {
        largest: specs.len(),
        lost: None,
    };
    assert_eq!(trained, expected);
    results
}

/// Trains a pack there.
pub(crate) fn run_on(specs: &[TrialSpec], place: Place) -> (Vec<Finished>, Trained) {
    let collector = Collector::default();
    let trained = train_pack(specs, mnist(), place, &collector);
    let mut trials = collector.trials.into_inner().unwrap();
    let result = |(trial, spec): (usize, &TrialSpec)| {
        let collected = trials.remove(&trial).unwrap();
        let curve = collected.curve(spec);
        (collected.end.unwrap(), curve)
    };
    (specs.iter().enumerate().map(result).collect(), trained)
}

pub(crate) fn run(spec: &TrialSpec) -> (End, Curve) {
    let (end, curve) = run_pack(std::slice::from_ref(spec), 1).remove(0);
    (end.unwrap(), curve)
}
