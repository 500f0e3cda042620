//! Every building block against PyTorch, in both kinds of arrays: see fixtures/generate.py, which wrote what is expected.
#![expect(clippy::unwrap_used, reason = "of tests")]

mod common;

use std::collections::BTreeSet;

use common::mnist;
use serde::Deserialize;
use tch::{Device, Kind};
use tenfold_trainer::array::Stepwise;
use tenfold_trainer::data::{PIXELS, Pairs};
use tenfold_trainer::fused::FusedArray;
use tenfold_trainer::host::HostArray;
use tenfold_types::network::Layer;
use tenfold_types::{Head, Join, Loss, Optimizer, Schedule, TrialSpec};

const FIXTURES: &str = include_str!("fixtures/blocks.json");
const STEPS_AN_EPOCH: usize = 2;
const PAIRS: usize = 12;
/// How far a number may be from PyTorch's: this, or this share of it where it is above 1.
const TOLERANCE: f64 = 1e-9;

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    spec: TrialSpec,
    losses: Vec<f64>,
    parameters: Vec<Tensor>,
    scores: Vec<[f64; 2]>,
}

/// A tensor's values after the last step: all, or enough to notice that any is wrong.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Tensor {
    Whole {
        values: Vec<f64>,
    },
    Summed {
        count: usize,
        sum: f64,
        squares: f64,
        every_97th: Vec<f64>,
    },
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    fn within_one(&mut self) -> f64 {
        (self.next() >> 40) as f64 / f64::from(1 << 23) - 1.0
    }
}

fn pairs() -> Pairs {
    let mut random = SplitMix(2019);
    let images = (0..PAIRS * 2 * PIXELS)
        .map(|_| random.within_one() as f32)
        .collect();
    let digits: Vec<[u8; 2]> = (0..PAIRS)
        .map(|_| [0, 1].map(|_| (random.next() % 10) as u8))
        .collect();
    Pairs {
        images,
        answers: digits
            .iter()
            .map(|[first, second]| (first < second).into())
            .collect(),
        digits,
    }
}

fn assert_close(actual: f64, expected: f64, what: impl Fn() -> String) {
    let apart = (actual - expected).abs() / expected.abs().max(1.0);
    assert!(apart < TOLERANCE, "{}: {actual} instead of {expected}", what());
}

impl Case {
    fn check(&self, array: &mut dyn Stepwise, kind: &str) {
        let name = format!("{} ({kind})", self.name);
        let mut random = SplitMix(self.name.chars().count() as u64);
        let mut parameters = array.parameters(0);
        for value in parameters.iter_mut().flatten() {
            *value = 0.3 * random.within_one();
        }
        array.set_parameters(0, &parameters);
        let pairs = pairs();
        for (step, &expected) in self.losses.iter().enumerate() {
            let epoch = 1 + (step / STEPS_AN_EPOCH) as u32;
            let loss = array.step(epoch, &pairs).unwrap()[0];
            assert_close(loss, expected, || format!("{name}: loss of step {step}"));
        }
        let parameters = array.parameters(0);
        assert_eq!(parameters.len(), self.parameters.len(), "{name}");
        for (at, (values, expected)) in parameters.iter().zip(&self.parameters).enumerate() {
            expected.check(values, &|| format!("{name}: tensor {at}"));
        }
        let scores = array.scores(0, &pairs).unwrap();
        assert_eq!(scores.len(), PAIRS);
        for (pair, (scores, expected)) in scores.iter().zip(&self.scores).enumerate() {
            for (score, &expected) in scores.iter().zip(expected) {
                assert_close(*score, expected, || format!("{name}: score of pair {pair}"));
            }
        }
    }
}

impl Tensor {
    fn check(&self, values: &[f64], what: &dyn Fn() -> String) {
        match self {
            Self::Whole { values: expected } => {
                assert_eq!(values.len(), expected.len(), "{}", what());
                for (&value, &expected) in values.iter().zip(expected) {
                    assert_close(value, expected, what);
                }
            }
            Self::Summed {
                count,
                sum,
                squares,
                every_97th,
            } => {
                assert_eq!(values.len(), *count, "{}", what());
                assert_close(values.iter().sum(), *sum, what);
                assert_close(values.iter().map(|value| value * value).sum(), *squares, what);
                for (&value, &expected) in values.iter().step_by(97).zip(every_97th) {
                    assert_close(value, expected, what);
                }
            }
        }
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str(FIXTURES).unwrap()
}

#[test]
fn host_arrays_do_as_pytorch_does() {
    for case in cases() {
        let mut array = HostArray::<f64>::new(std::slice::from_ref(&case.spec), mnist()).unwrap();
        case.check(&mut array, "by hand");
    }
}

#[test]
fn fused_arrays_do_as_pytorch_does() {
    for case in cases() {
        // A neighbour that is elsewhere, to see that it does not matter.
        let neighbour = TrialSpec {
            learning_rate: 0.5,
            repetition: 9,
            ..case.spec.clone()
        };
        let specs = [case.spec.clone(), neighbour];
        let mut array = FusedArray::new(&specs, mnist(), Device::Cpu, Kind::Double).unwrap();
        case.check(&mut array, "fused");
    }
}

#[test]
fn every_block_is_in_some_case() {
    let cases = cases();
    let mut seen = BTreeSet::new();
    for Case { spec, .. } in &cases {
        seen.extend(spec.architecture.stacks.iter().flatten().map(Layer::name));
        seen.extend([
            spec.loss.name(),
            spec.optimizer.name(),
            spec.schedule.name(),
            spec.join.name(),
            spec.head.name(),
        ]);
    }
    let all = [
        Layer::NAMES,
        Loss::NAMES,
        Optimizer::NAMES,
        Schedule::NAMES,
        Join::NAMES,
        Head::NAMES,
    ];
    let missing: Vec<_> = all
        .concat()
        .into_iter()
        .filter(|name| !seen.contains(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
