//! Networks against numbers worked out by hand.
#![expect(clippy::unwrap_used, reason = "of tests")]

mod common;

use common::{mnist, spec};
use tch::{Device, Kind, Reduction, Tensor, no_grad};
use tenfold_trainer::data::{Batch, PairTensors, Purpose, draw};
use tenfold_trainer::loss::cross_entropy;
use tenfold_trainer::network::{Masks, Network, Pass};
use tenfold_types::network::Linear;
use tenfold_types::{Join, Target, TrialSpec};

fn network(spec: &TrialSpec) -> Network {
    let outline = spec
        .architecture
        .outline(spec.weight_sharing, spec.auxiliary_loss)
        .unwrap();
    Network::new(spec, &outline, Device::Cpu).unwrap()
}

fn batch(pairs: u32, as_channels: bool) -> Batch {
    let pairs = draw(&mnist().test, Purpose::Test, pairs, Target::Less, 559, 0).unwrap();
    let tensors = PairTensors::new(&pairs, as_channels, Device::Cpu).unwrap();
    let order: Vec<u32> = (0..tensors.pairs() as u32).collect();
    let arranged = tensors.arranged(&order, order.len()).unwrap();
    arranged.batches().next().unwrap().unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.flatten(0, -1)).unwrap()
}

#[test]
fn a_small_network_answers_as_worked_out_by_hand() {
    for (join, expected) in [
        // Each feature is 0.1 × (sum of 196 values of 0.5 or -2, and 1): 9.9 and -39.1.
        (Join::AsIs, 0.1 * (9.9 - 39.1 + 1.0)),
        (Join::Relu, 0.1 * (9.9 + 0.0 + 1.0)),
        (Join::Softmax, 0.1 * (1.0 + 1.0 + 1.0)),
    ] {
        let mut spec = spec("perceptron-1");
        spec.architecture.layers = vec![
            Linear {
                units: std::num::NonZeroU32::MIN,
            }
            .into(),
        ];
        spec.join = join;
        let mut network = network(&spec);
        let _ = no_grad(|| network.parameters.values.fill_(0.1));
        let images = Tensor::cat(
            &[
                Tensor::full([1, 1, 14, 14], 0.5, (Kind::Float, Device::Cpu)),
                Tensor::full([1, 1, 14, 14], -2.0, (Kind::Float, Device::Cpu)),
            ],
            0,
        );
        let batch = Batch {
            images,
            digits: Tensor::from_slice(&[0i64, 1]),
            answers: Tensor::from_slice(&[1i64]),
            pairs: 1,
        };
        let answer = network.forward(&batch, &mut Pass::Evaluate).unwrap();
        for score in numbers(&answer.scores) {
            assert!((score - expected).abs() < 1e-4, "{join}: {score} {expected}");
        }
        assert!((numbers(&answer.features[0])[0] - 9.9).abs() < 1e-4);
        assert!((numbers(&answer.features[1])[0] + 39.1).abs() < 1e-4);
    }
}

#[test]
fn gradients_are_slopes() {
    for (architecture, weight_sharing) in [("perceptron-7", false), ("conv-3", true), ("conv1-2", false)] {
        let mut spec = spec(architecture);
        spec.weight_sharing = weight_sharing;
        let mut network = network(&spec);
        let batch = batch(20, false);
        let loss = |network: &Network| {
            let answer = network.forward(&batch, &mut Pass::Evaluate).unwrap();
            cross_entropy(&answer.scores, &batch.answers, Reduction::Mean).unwrap()
        };
        let start = loss(&network);
        network.parameters.differentiate(&start).unwrap();
        let gradients = network.parameters.gradients.copy();
        // Along the gradient the slope is its length.
        let length = gradients.norm().double_value(&[]);
        let step = 1e-2;
        let at = |network: &mut Network, steps: f64| {
            let change = &gradients * (steps * step / length);
            no_grad(|| {
                let _ = network.parameters.values.g_add_(&change);
                loss(network).double_value(&[])
            })
        };
        let (ahead, behind) = (at(&mut network, 1.0), at(&mut network, -2.0));
        let slope = (ahead - behind) / (2.0 * step);
        assert!(
            (slope / length - 1.0).abs() < 0.02,
            "{architecture}: {slope} {length}"
        );
    }
}

#[test]
fn sub_networks_are_one_with_weight_sharing_alone() {
    let mut spec = spec("perceptron-9");
    let batch = batch(8, false);
    let same = |network: &Network| {
        let twice = Batch {
            images: batch.images.narrow(0, 0, 8).repeat([2, 1, 1, 1]),
            ..self::batch(8, false)
        };
        let answer = network.forward(&twice, &mut Pass::Evaluate).unwrap();
        numbers(&answer.features[0]) == numbers(&answer.features[1])
    };
    let separate = network(&spec);
    assert!(!same(&separate));
    spec.weight_sharing = true;
    let shared = network(&spec);
    assert!(same(&shared));
    // The first sub-network begins alike in both modes.
    let first =
        |network: &Network| numbers(&network.forward(&batch, &mut Pass::Evaluate).unwrap().features[0]);
    assert_eq!(first(&separate), first(&shared));
    assert!(shared.parameters.values.numel() < separate.parameters.values.numel());
}

#[test]
fn initial_weights_lie_within_their_bound() {
    let spec = spec("perceptron-40");
    let values = numbers(&network(&spec).parameters.values);
    let weights = &values[..196 * 40];
    let bound = 1.0 / 14.0;
    assert!(weights.iter().all(|weight| weight.abs() <= bound));
    let mean = weights.iter().sum::<f32>() / weights.len() as f32;
    let variance = weights.iter().map(|weight| weight * weight).sum::<f32>() / weights.len() as f32;
    assert!(mean.abs() < 0.002, "{mean}");
    assert!(
        (variance / (bound * bound / 3.0) - 1.0).abs() < 0.05,
        "{variance}"
    );
}

#[test]
fn a_single_sub_network_sees_both_images() {
    let mut spec = spec("perceptron-6");
    spec.architecture.sub_networks = 1;
    let network = network(&spec);
    let pairs = batch(5, true);
    assert_eq!(pairs.images.size(), [5, 2, 14, 14]);
    let answer = network.forward(&pairs, &mut Pass::Evaluate).unwrap();
    assert_eq!((answer.scores.size(), answer.features.len()), (vec![5, 2], 1));
    let stacked = batch(5, false);
    assert_eq!(
        numbers(&pairs.images.select(1, 0)),
        numbers(&stacked.images.narrow(0, 0, 5))
    );
    assert_eq!(
        numbers(&pairs.images.select(1, 1)),
        numbers(&stacked.images.narrow(0, 5, 5))
    );
}

#[test]
fn masks_of_dropout_keep_the_mean_and_repeat_themselves() {
    let mut spec = spec("perceptron-1");
    spec.architecture.layers = vec![
        tenfold_types::network::Flatten {}.into(),
        tenfold_types::network::Dropout { rate: Some(0.25) }.into(),
    ];
    let network = network(&spec);
    let mut batch = batch(100, false);
    batch.images = batch.images.ones_like();
    let features = |step| {
        let mut pass = Pass::Train(Masks::new(559, 0, 0.0, step));
        let answer = network.forward(&batch, &mut pass).unwrap();
        answer.features.iter().flat_map(numbers).collect::<Vec<f32>>()
    };
    let values = features(3);
    let keep = 1.0f32 / 0.75;
    assert!(values.iter().all(|&value| value == 0.0 || value == keep));
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    assert!((mean - 1.0).abs() < 0.02, "{mean}");
    assert_eq!(features(3), values);
    assert_ne!(features(4), values);
    let (first, second) = values.split_at(values.len() / 2);
    assert_ne!(first, second, "each sub-network has a mask of its own");
}
