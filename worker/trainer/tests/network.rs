//! Both kinds of arrays against numbers worked out by hand, and against one another.
#![expect(clippy::unwrap_used, reason = "of tests")]

mod common;

use std::num::NonZeroU32;

use common::{mnist, spec};
use tch::{Device, Kind};
use tenfold_trainer::array::{Array, Row, Stepwise, Tick};
use tenfold_trainer::data::{PIXELS, Pairs, Purpose, draw};
use tenfold_trainer::fused::FusedArray;
use tenfold_trainer::host::HostArray;
use tenfold_types::network::{
    Architecture, AvgPool1d, AvgPool2d, BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, Dropout, Flatten, Gelu,
    Layer, LeakyRelu, Linear, MaxPool1d, MaxPool2d, Relu, Sigmoid, Softmax, Tanh,
};
use tenfold_types::{Head, Join, Loss, Optimizer, Schedule, Target, TrialSpec};

fn host(specs: &[TrialSpec]) -> HostArray<f64> {
    HostArray::new(specs, mnist()).unwrap()
}

fn fused(specs: &[TrialSpec]) -> FusedArray {
    FusedArray::new(specs, mnist(), Device::Cpu, Kind::Double).unwrap()
}

fn pairs(count: u32) -> Pairs {
    draw(&mnist().test, Purpose::Test, count, Target::Less, 559, 0).unwrap()
}

fn number(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn linear(units: u32) -> Layer {
    Linear { units: number(units) }.into()
}

struct On;

impl Tick for On {
    fn tick(&self) -> bool {
        true
    }
}

fn rows(array: &mut dyn Array, epochs: u32) -> Vec<Vec<Row>> {
    array.epochs(epochs, &On).unwrap().unwrap()
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
        spec.architecture.stacks = vec![vec![linear(1)]];
        spec.join = join;
        let mut images = vec![0.5; PIXELS];
        images.extend([-2.0; PIXELS]);
        let pairs = Pairs {
            images,
            digits: vec![[0, 1]],
            answers: vec![1],
        };
        let parameters: Vec<Vec<f64>> = [196, 1, 196, 1, 4, 2].map(|count| vec![0.1; count]).to_vec();
        let arrays: [Box<dyn Stepwise>; 2] = [
            Box::new(host(std::slice::from_ref(&spec))),
            Box::new(fused(std::slice::from_ref(&spec))),
        ];
        for mut array in arrays {
            array.set_parameters(0, &parameters);
            assert_eq!(array.parameters(0), parameters);
            for score in array.scores(0, &pairs).unwrap()[0] {
                assert!((score - expected).abs() < 1e-12, "{join}: {score} {expected}");
            }
        }
    }
}

#[test]
fn sub_networks_begin_alike_with_and_without_weight_sharing() {
    let mut spec = spec("perceptron-9");
    let apart = host(std::slice::from_ref(&spec)).parameters(0);
    spec.weight_sharing = true;
    let shared = host(std::slice::from_ref(&spec)).parameters(0);
    assert_eq!((apart.len(), shared.len()), (10, 6));
    assert_eq!(apart[..4], shared[..4]);
    assert_ne!(apart[4..8], shared[..4]);
    assert_eq!(apart[8..], shared[4..]);
    assert_eq!(fused(&[spec]).parameters(0), shared);
}

#[test]
fn initial_weights_lie_within_their_bound() {
    let weights = host(&[spec("perceptron-40")]).parameters(0).swap_remove(0);
    let bound = 1.0 / 14.0 + 1e-9;
    assert!(weights.iter().all(|weight| weight.abs() <= bound));
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    let variance = weights.iter().map(|weight| weight * weight).sum::<f64>() / weights.len() as f64;
    assert!(mean.abs() < 0.002, "{mean}");
    assert!(
        (variance / (bound * bound / 3.0) - 1.0).abs() < 0.05,
        "{variance}"
    );
}

#[test]
fn gradients_are_slopes() {
    for (architecture, weight_sharing) in [("perceptron-7", false), ("conv-3", true), ("conv1-2", false)] {
        let mut spec = spec(architecture);
        spec.weight_sharing = weight_sharing;
        spec.auxiliary_loss = true;
        spec.optimizer = Optimizer::Sgd;
        // A step changes the parameters by their gradients, scaled.
        spec.learning_rate = 1e-6;
        let pairs = pairs(20);
        let before = host(std::slice::from_ref(&spec)).parameters(0);
        let loss = |parameters: &[Vec<f64>]| {
            let mut array = host(std::slice::from_ref(&spec));
            array.set_parameters(0, parameters);
            let loss = array.step(1, &pairs).unwrap()[0];
            (loss, array.parameters(0))
        };
        let (_, after) = loss(&before);
        let gradients: Vec<Vec<f64>> = before
            .iter()
            .zip(&after)
            .map(|(before, after)| before.iter().zip(after).map(|(b, a)| (b - a) / 1e-6).collect())
            .collect();
        let length = gradients.iter().flatten().map(|g| g * g).sum::<f64>().sqrt();
        let moved = |distance: f64| -> Vec<Vec<f64>> {
            let along = |(values, gradients): (&Vec<f64>, &Vec<f64>)| {
                values
                    .iter()
                    .zip(gradients)
                    .map(|(v, g)| v + g * distance / length)
                    .collect()
            };
            before.iter().zip(&gradients).map(along).collect()
        };
        let slope = (loss(&moved(1e-4)).0 - loss(&moved(-1e-4)).0) / 2e-4;
        assert!(
            (slope / length - 1.0).abs() < 1e-4,
            "{architecture}: {slope} {length}"
        );
    }
}

/// Networks that have every layer, and every way to put sub-networks together.
fn architectures() -> Vec<(&'static str, Vec<Vec<Layer>>)> {
    let conv = |channels, kernel, stride, padding| -> Layer {
        Conv2d {
            channels: number(channels),
            kernel: number(kernel),
            stride: number(stride),
            padding,
        }
        .into()
    };
    let conv1 = |channels, kernel, stride, padding| -> Layer {
        Conv1d {
            channels: number(channels),
            kernel: number(kernel),
            stride: number(stride),
            padding,
        }
        .into()
    };
    let two = (number(2), None);
    let wide = (number(3), Some(number(2)));
    let values: Vec<(&str, Layer)> = vec![
        ("relu", Relu {}.into()),
        ("leaky-relu", LeakyRelu { slope: 0.2 }.into()),
        ("gelu", Gelu {}.into()),
        ("tanh", Tanh {}.into()),
        ("sigmoid", Sigmoid {}.into()),
        ("softmax", Softmax {}.into()),
        ("batch-norm1d", BatchNorm1d::default().into()),
        ("dropout", Dropout { rate: None }.into()),
        ("dropout of its own", Dropout { rate: Some(0.4) }.into()),
    ];
    let mut all: Vec<(&str, Vec<Vec<Layer>>)> = values
        .into_iter()
        .map(|(name, layer)| (name, vec![vec![linear(12), layer, linear(10)]]))
        .collect();
    let images: Vec<(&str, Vec<Layer>)> = vec![
        ("conv2d", vec![conv(5, 3, 1, 0), conv(3, 3, 1, 0)]),
        (
            "conv2d with relu",
            vec![conv(4, 3, 1, 0), Relu {}.into(), conv(6, 5, 1, 0), Relu {}.into()],
        ),
        ("conv2d padded", vec![conv(3, 3, 1, 1), conv(4, 4, 1, 2)]),
        ("conv2d strided", vec![conv(3, 3, 2, 1), conv(2, 2, 3, 2)]),
        (
            "max-pool2d",
            vec![
                conv(2, 3, 1, 0),
                MaxPool2d {
                    kernel: two.0,
                    stride: two.1,
                }
                .into(),
            ],
        ),
        (
            "max-pool2d overlapping",
            vec![
                conv(2, 3, 1, 0),
                MaxPool2d {
                    kernel: wide.0,
                    stride: wide.1,
                }
                .into(),
            ],
        ),
        (
            "avg-pool2d",
            vec![
                conv(2, 3, 1, 0),
                AvgPool2d {
                    kernel: two.0,
                    stride: two.1,
                }
                .into(),
            ],
        ),
        (
            "avg-pool2d overlapping",
            vec![
                conv(2, 3, 1, 0),
                AvgPool2d {
                    kernel: wide.0,
                    stride: wide.1,
                }
                .into(),
            ],
        ),
        (
            "batch-norm2d",
            vec![
                conv(3, 3, 1, 0),
                BatchNorm2d {
                    momentum: 0.3,
                    epsilon: 1e-4,
                }
                .into(),
                Relu {}.into(),
            ],
        ),
        (
            "conv1d",
            vec![conv1(3, 9, 1, 0), Relu {}.into(), conv1(2, 5, 2, 1)],
        ),
        (
            "max-pool1d",
            vec![
                conv1(2, 7, 3, 0),
                MaxPool1d {
                    kernel: two.0,
                    stride: two.1,
                }
                .into(),
            ],
        ),
        (
            "avg-pool1d",
            vec![
                conv1(2, 7, 3, 0),
                AvgPool1d {
                    kernel: wide.0,
                    stride: wide.1,
                }
                .into(),
            ],
        ),
        (
            "batch-norm1d of a signal",
            vec![conv1(3, 7, 3, 0), BatchNorm1d::default().into()],
        ),
        ("softmax of channels", vec![conv(3, 5, 3, 0), Softmax {}.into()]),
        (
            "dropout of an image",
            vec![conv(3, 5, 3, 0), Dropout { rate: None }.into(), Flatten {}.into()],
        ),
        (
            "pooling first",
            vec![
                MaxPool2d {
                    kernel: two.0,
                    stride: two.1,
                }
                .into(),
                Flatten {}.into(),
            ],
        ),
    ];
    all.extend(images.into_iter().map(|(name, mut layers)| {
        layers.push(linear(10));
        (name, vec![layers])
    }));
    all.push((
        "sub-networks that differ",
        vec![
            vec![linear(9), Relu {}.into(), linear(10)],
            vec![conv(2, 3, 2, 0), Relu {}.into(), linear(10)],
        ],
    ));
    all
}

/// Everything that trials of one shape can be made of, beside the layers.
fn shapes() -> Vec<(String, TrialSpec)> {
    let with = |name: &str, change: &dyn Fn(&mut TrialSpec)| {
        let mut spec = spec("perceptron-8");
        spec.data.train = 70;
        spec.data.test = 50;
        spec.batch_size = 30;
        spec.join = Join::Softmax;
        spec.dropout = 0.3;
        spec.epochs = 4;
        change(&mut spec);
        (name.to_owned(), spec)
    };
    let mut all = Vec::new();
    for (name, stacks) in architectures() {
        for weight_sharing in [false, true] {
            if weight_sharing && stacks.len() > 1 {
                continue;
            }
            all.push(with(
                &format!("{name}, weight sharing {weight_sharing}"),
                &|spec| {
                    spec.architecture.stacks.clone_from(&stacks);
                    spec.weight_sharing = weight_sharing;
                },
            ));
        }
    }
    for loss in Loss::NAMES.iter().map(|name| name.parse::<Loss>().unwrap()) {
        for &head in loss.heads() {
            all.push(with(&format!("{loss} behind {head}"), &|spec| {
                spec.loss = loss;
                spec.head = head;
            }));
        }
    }
    for optimizer in Optimizer::NAMES
        .iter()
        .map(|name| name.parse::<Optimizer>().unwrap())
    {
        all.push(with(optimizer.name(), &|spec| spec.optimizer = optimizer));
    }
    all.push(with("nesterov", &|spec| {
        spec.optimizer = Optimizer::Sgd;
        spec.momentum = 0.9;
        spec.nesterov = true;
    }));
    for join in Join::NAMES {
        all.push(with(join, &|spec| spec.join = join.parse().unwrap()));
    }
    for sub_networks in [1, 3, 4] {
        for weight_sharing in [false, true] {
            all.push(with(
                &format!("{sub_networks} sub-networks, {weight_sharing}"),
                &|spec| {
                    spec.architecture.sub_networks = sub_networks;
                    spec.weight_sharing = weight_sharing;
                },
            ));
        }
    }
    all
}

/// Trials of one shape that differ in all else.
fn seven(spec: &TrialSpec) -> Vec<TrialSpec> {
    let several = spec.architecture.sub_networks > 1;
    (0..7)
        .map(|number: u32| {
            let mut trial = spec.clone();
            trial.learning_rate = 3e-4 * f64::from(number + 1);
            trial.repetition = number / 2;
            trial.seed = u64::from(number % 3);
            trial.auxiliary_loss = several && number.is_multiple_of(2);
            trial.aux_weight = 0.5 * f64::from(number);
            trial.weight_decay = 1e-3 * f64::from(number);
            trial.dropout = 0.1 * f64::from(number);
            if spec.optimizer.has_momentum() {
                trial.momentum = 0.1 * f64::from(number + 1);
            }
            trial.schedule = [Schedule::Constant, Schedule::Step, Schedule::Cosine][number as usize % 3];
            (trial.step_epochs, trial.warm_up) = (1, number % 2);
            if number.is_multiple_of(3) {
                trial.data.target = Target::Less;
            }
            trial
        })
        .collect()
}

/// How far two curves are apart, at most. Errors are counts, and must be the same.
fn apart(a: &[Row], b: &[Row], name: &str) -> f32 {
    assert_eq!(a.len(), b.len(), "{name}");
    let mut apart = 0.0f32;
    for (a, b) in a.iter().zip(b) {
        assert_eq!((a.values.len(), a.finite), (b.values.len(), b.finite), "{name}");
        for (at, (x, y)) in a.values.iter().zip(&b.values).enumerate() {
            if (2..4).contains(&at) {
                apart = apart.max((x - y).abs());
            } else {
                assert_eq!(x, y, "{name}: column {at}");
            }
        }
    }
    apart
}

fn parameters_apart(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    let all = |of: &[Vec<f64>]| of.iter().flatten().copied().collect::<Vec<_>>();
    let (a, b) = (all(a), all(b));
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(&b)
        .map(|(a, b)| (a - b).abs() / a.abs().max(1.0))
        .fold(0.0, f64::max)
}

#[test]
fn seven_trials_train_as_one_as_they_would_alone_and_by_hand() {
    let mut missing: Vec<&str> = Layer::NAMES.to_vec();
    for (name, spec) in shapes() {
        for layer in spec.architecture.stacks.iter().flatten() {
            missing.retain(|name| *name != layer.name());
        }
        let trials = seven(&spec);
        let (mut together, mut by_hand) = (fused(&trials), host(&trials));
        let curves = rows(&mut together, 2);
        let hand = rows(&mut by_hand, 2);
        for (place, trial) in trials.iter().enumerate() {
            let mut alone = fused(std::slice::from_ref(trial));
            let curve = rows(&mut alone, 2).remove(0);
            let name = format!("{name}, trial {place}");
            assert!(apart(&curves[place], &curve, &name) < 1e-6, "{name}");
            assert!(apart(&hand[place], &curve, &name) < 1e-6, "{name}");
            let parameters = alone.parameters(0);
            let fused_apart = parameters_apart(&parameters, &together.parameters(place));
            let hand_apart = parameters_apart(&parameters, &by_hand.parameters(place));
            assert!(fused_apart < 1e-9, "{name}: {fused_apart:e} in an array of seven");
            assert!(hand_apart < 1e-9, "{name}: {hand_apart:e} by hand");
        }
    }
    assert!(missing.is_empty(), "not compared: {missing:?}");
}

/// Where libtorch on a processor computes a trial's values otherwise when there are others beside them: grouped
/// convolutions, pooling, and the ends of vectors of sigmoids. (The arrays by hand know no neighbours at all.)
fn depends_on_neighbours(spec: &TrialSpec) -> bool {
    let layers = spec.architecture.stacks.iter().flatten();
    spec.head == Head::Sigmoid
        || layers.into_iter().any(|layer| {
            matches!(
                layer,
                Layer::Conv1d(_)
                    | Layer::Conv2d(_)
                    | Layer::MaxPool2d(_)
                    | Layer::AvgPool2d(_)
                    | Layer::Sigmoid(_)
            )
        })
}

#[test]
fn in_single_precision_an_array_gives_each_trial_its_bits() {
    tch::set_num_threads(1);
    let array = |trials: &[TrialSpec]| FusedArray::new(trials, mnist(), Device::Cpu, Kind::Float).unwrap();
    for (name, spec) in shapes() {
        let trials = seven(&spec);
        let mut together = array(&trials);
        let curves = rows(&mut together, 2);
        for (place, trial) in trials.iter().enumerate() {
            let mut alone = array(std::slice::from_ref(trial));
            let curve = rows(&mut alone, 2).remove(0);
            let apart = parameters_apart(&alone.parameters(0), &together.parameters(place));
            if depends_on_neighbours(&spec) {
                // The last bits of sums differ, by some 1e-7 of them. Where a gradient is nothing but rounding errors, as
                // that of a bias before batch normalisation, Adam makes whole steps of them: no longer than the rate each.
                let steps = 6.0;
                assert!(
                    apart <= 2.0 * steps * trial.learning_rate,
                    "{name}, trial {place}: {apart:e}"
                );
                for (a, b) in curves[place].iter().zip(&curve) {
                    for (a, b) in a.values.iter().zip(&b.values).skip(2).take(2) {
                        assert!((a - b).abs() < 1e-4, "{name}, trial {place}: losses {a} and {b}");
                    }
                }
            } else {
                assert_eq!(curves[place], curve, "{name}, trial {place}");
                assert_eq!(apart, 0.0, "{name}, trial {place}");
            }
        }
    }
}

#[test]
fn the_curves_of_a_whole_quickstart_are_the_same_bits_in_an_array() {
    tch::set_num_threads(1);
    let trial = |number: u32| TrialSpec {
        auxiliary_loss: number == 1,
        repetition: number / 2,
        seed: 559,
        epochs: 200,
        ..TrialSpec::with_defaults(Architecture::named("perceptron-100").unwrap())
    };
    let trials: Vec<TrialSpec> = (0..3).map(trial).collect();
    let array = |trials: &[TrialSpec]| FusedArray::new(trials, mnist(), Device::Cpu, Kind::Float).unwrap();
    let together = rows(&mut array(&trials), 200);
    for (place, trial) in trials.iter().enumerate() {
        let alone = rows(&mut array(std::slice::from_ref(trial)), 200);
        assert_eq!(together[place], alone[0], "trial {place}");
        // By hand, sums have another order. The first epoch has had ten steps: what differs are the last bits. At the end
        // it is a few pairs near the border, of 1,000.
        let by_hand = HostArray::<f32>::new(std::slice::from_ref(trial), mnist());
        let by_hand = rows(&mut by_hand.unwrap(), 200).remove(0);
        for (epoch, most) in [(0, 0.002), (199, 0.02)] {
            for (x, y) in alone[0][epoch].values.iter().zip(&by_hand[epoch].values).take(2) {
                assert!((x - y).abs() <= most, "trial {place}, epoch {epoch}: {x} and {y}");
            }
        }
    }
}

type Make = fn(&[TrialSpec]) -> Box<dyn Array>;

#[test]
fn trials_leave_without_disturbing_those_that_stay() {
    for name in ["perceptron-8", "conv-3"] {
        let mut base = spec(name);
        base.architecture.stacks[0].insert(1, Dropout { rate: None }.into());
        base.data.train = 120;
        let mut trials = seven(&base);
        trials[3].learning_rate = 1e250;
        let arrays: [Make; 2] = [|specs| Box::new(host(specs)), |specs| Box::new(fused(specs))];
        for make in arrays {
            let mut all = make(&trials);
            let mut curves = rows(&mut *all, 2);
            assert!(!curves[3][1].finite || !curves[3][1].values.iter().all(|value| value.is_finite()));
            let stay = [6, 0, 4];
            all.keep(&stay).unwrap();
            let later = rows(&mut *all, 2);
            for (place, later) in stay.into_iter().zip(later) {
                curves[place].extend(later);
                let mut alone = make(&trials[place..=place]);
                let curve = rows(&mut *alone, 4).remove(0);
                assert!(
                    apart(&curves[place], &curve, name) < 1e-6,
                    "{name}, trial {place}"
                );
            }
        }
    }
}

#[test]
fn data_that_are_no_numbers_make_losses_that_are_none() {
    let mut pairs = pairs(8);
    pairs.images[100] = f32::NAN;
    for name in ["perceptron-8", "conv-3"] {
        let specs = [spec(name)];
        let arrays: [Box<dyn Stepwise>; 2] = [Box::new(host(&specs)), Box::new(fused(&specs))];
        for mut array in arrays {
            assert!(array.step(1, &pairs).unwrap()[0].is_nan(), "{name}");
            array.scores(0, &pairs).unwrap();
        }
    }
}

#[test]
fn whatever_the_loss_a_trial_that_diverges_is_one_and_its_neighbours_are_as_alone() {
    for loss in Loss::NAMES.iter().map(|name| name.parse::<Loss>().unwrap()) {
        for &head in loss.heads() {
            let name = format!("{loss} behind {head}");
            let mut base = spec("perceptron-8");
            (base.loss, base.head, base.data.train) = (loss, head, 120);
            let mut other = base.clone();
            (other.repetition, other.auxiliary_loss) = (1, true);
            let alone = rows(&mut fused(std::slice::from_ref(&base)), 2).remove(0);
            let mut pack = fused(&[base.clone(), other.clone()]);
            let parameters: Vec<Vec<f64>> = pack
                .parameters(1)
                .iter()
                .map(|values| vec![f64::NAN; values.len()])
                .collect();
            pack.set_parameters(1, &parameters);
            let together = rows(&mut pack, 2);
            assert!(!together[1][0].finite, "{name}");
            assert!(apart(&together[0], &alone, &name) < 1e-6, "{name}");
            let mut by_hand = host(&[other]);
            by_hand.set_parameters(0, &parameters);
            assert!(!rows(&mut by_hand, 1)[0][0].finite, "{name}");
        }
    }
}

#[test]
fn trials_of_other_shapes_are_no_array() {
    let (a, mut b) = (spec("perceptron-5"), spec("perceptron-5"));
    b.batch_size = 50;
    let error = FusedArray::new(&[a, b], mnist(), Device::Cpu, Kind::Float)
        .err()
        .unwrap();
    assert!(error.to_string().contains("of one shape"), "{error}");
    assert!(FusedArray::new(&[], mnist(), Device::Cpu, Kind::Float).is_err());
}

#[test]
fn masks_of_dropout_keep_the_mean_and_repeat_themselves() {
    // Without a layer behind it, what is left of a value of 1 is the mask.
    let mut spec = spec("perceptron-1");
    spec.architecture = Architecture {
        name: "masked".to_owned(),
        sub_networks: 2,
        stacks: vec![vec![linear(400), Dropout { rate: Some(0.25) }.into()]],
    };
    spec.join = Join::AsIs;
    spec.optimizer = Optimizer::Sgd;
    spec.loss = Loss::MeanSquaredError;
    spec.head = Head::AsIs;
    spec.learning_rate = 1.0;
    let zeros = Pairs {
        images: vec![0.0; 2 * PIXELS],
        digits: vec![[0, 0]],
        answers: vec![0],
    };
    let mut array = host(std::slice::from_ref(&spec));
    let step = |array: &mut HostArray<f64>| {
        // All features are 1, all scores 0: each head weight moves by the mask of its feature.
        let first = vec![
            vec![0.0; 400 * 196],
            vec![1.0; 400],
            vec![0.0; 400 * 196],
            vec![1.0; 400],
            vec![0.0; 1600],
            vec![0.0; 2],
        ];
        array.set_parameters(0, &first);
        array.step(1, &zeros).unwrap();
        // The gradient of the right answer's score is -1.
        let weights = array.parameters(0).swap_remove(4);
        weights[..800].to_vec()
    };
    let mask = step(&mut array);
    let kept = 1.0 / 0.75;
    assert!(
        mask.iter()
            .all(|&value| value == 0.0 || (value - kept).abs() < 1e-12),
        "{mask:?}"
    );
    let mean = mask.iter().sum::<f64>() / 800.0;
    // The standard error of this mean is 0.02.
    assert!((mean - 1.0).abs() < 0.08, "{mean}");
    let (first, second) = mask.split_at(400);
    assert_ne!(first, second, "each sub-network has a mask of its own");
    assert_ne!(step(&mut array), mask, "and each step");
    assert_eq!(step(&mut host(&[spec])), mask);
}
