//! What tests of training share: MNIST, and a trial to start from.
#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "each test binary uses some of it"
)]

use std::path::PathBuf;
use std::sync::OnceLock;

use tenfold_trainer::data::Mnist;
use tenfold_trainer::train::{End, Follower, train};
use tenfold_types::network::Architecture;
use tenfold_types::{Curve, Data, Join, Loss, Optimizer, Target, TrialSpec};

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
        architecture: Architecture::named(architecture).unwrap(),
        weight_sharing: false,
        auxiliary_loss: false,
        aux_weight: 1.0,
        join: Join::AsIs,
        learning_rate: 1e-3,
        batch_size: 100,
        optimizer: Optimizer::Adam,
        loss: Loss::CrossEntropy,
        dropout: 0.0,
        epochs: 3,
        data: Data {
            train: 300,
            test: 200,
            target: Target::LessOrEqual,
        },
        seed: 559,
        repetition: 0,
    }
}

/// Collects a curve, and stops after so many batches.
pub(crate) struct Collector {
    pub(crate) curve: Vec<Vec<f32>>,
    pub(crate) batches: u64,
    pub(crate) stop_after: u64,
}

impl Follower for Collector {
    fn batch(&mut self) -> bool {
        self.batches += 1;
        self.batches < self.stop_after
    }

    fn epoch(&mut self, values: &[f32], seconds: f32) -> bool {
        assert!(seconds >= 0.0);
        self.curve.push(values.to_vec());
        true
    }
}

pub(crate) fn run(spec: &TrialSpec) -> (End, Curve) {
    let mut collector = Collector {
        curve: Vec::new(),
        batches: 0,
        stop_after: u64::MAX,
    };
    let end = train(spec, mnist(), tch::Device::Cpu, &mut collector).unwrap();
    let mut curve = Curve::new(spec.metrics());
    for row in collector.curve {
        assert_eq!(row.len(), curve.columns.len());
        for (column, value) in curve.columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    (end, curve)
}
