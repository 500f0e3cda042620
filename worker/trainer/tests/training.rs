//! Training on real pairs.
#![expect(clippy::unwrap_used, reason = "of tests")]

mod common;

use common::{Collector, mnist, place, run, run_on, run_pack, spec};
use tenfold_trainer::train::{End, Place, train_pack};
use tenfold_types::network::{
    Conv2d, Dropout, Flatten, Gelu, Layer, LeakyRelu, Linear, MaxPool2d, Relu, Sigmoid, Tanh,
};
use tenfold_types::{Join, Loss, Metric, Optimizer, TrialSpec};

fn last(spec: &TrialSpec, metric: Metric) -> f32 {
    let (end, curve) = run(spec);
    assert_eq!((end, curve.epochs()), (End::Succeeded, spec.epochs));
    *curve.column(metric).unwrap().last().unwrap()
}

fn refusal(spec: &TrialSpec) -> String {
    let (end, curve) = run_pack(std::slice::from_ref(spec), 1).remove(0);
    assert_eq!(curve.epochs(), 0);
    end.unwrap_err()
}

#[test]
fn a_perceptron_learns() {
    let mut spec = spec("perceptron-50");
    spec.data.train = 1000;
    spec.data.test = 1000;
    spec.epochs = 12;
    let plain = last(&spec, Metric::TestError);
    assert!(plain < 0.30, "{plain}");
    spec.weight_sharing = true;
    spec.auxiliary_loss = true;
    let helped = last(&spec, Metric::TestError);
    assert!(helped < 0.30, "{helped}");
    let digits = last(&spec, Metric::TestDigitError(1));
    assert!(digits < 0.2, "{digits}");
}

#[test]
fn a_convolution_learns_to_name_digits() {
    let mut spec = spec("conv-8");
    spec.auxiliary_loss = true;
    spec.weight_sharing = true;
    spec.learning_rate = 1e-2;
    spec.data.train = 1000;
    spec.epochs = 8;
    let error = last(&spec, Metric::TestDigitError(0));
    assert!(error < 0.35, "{error}");
}

#[test]
fn a_trial_gives_the_same_bits_whatever_was_trained_before() {
    let mut other = spec("conv-4");
    other.dropout = 0.5;
    other.seed = 1;
    for architecture in ["perceptron-30", "conv-4"] {
        let mut spec = spec(architecture);
        spec.auxiliary_loss = true;
        let first = run(&spec);
        run(&other);
        assert_eq!(run(&spec), first, "{architecture}");
        spec.repetition = 1;
        assert_ne!(run(&spec), first, "{architecture}");
    }
}

#[test]
fn every_setting_counts() {
    let base = spec("perceptron-20");
    let curve = run(&base).1;
    let changes: [fn(&mut TrialSpec); 7] = [
        |spec| spec.weight_sharing = true,
        |spec| spec.join = Join::Relu,
        |spec| spec.join = Join::Softmax,
        |spec| spec.learning_rate = 2e-3,
        |spec| spec.batch_size = 70,
        |spec| spec.seed = 560,
        |spec| spec.data.target = tenfold_types::Target::Less,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut spec = base.clone();
        change(&mut spec);
        assert_ne!(run(&spec).1, curve, "change {number}");
    }
    let mut auxiliary = base.clone();
    auxiliary.auxiliary_loss = true;
    auxiliary.aux_weight = 0.0;
    let without_weight = run(&auxiliary).1;
    assert_eq!(
        without_weight.columns[..4],
        curve.columns[..4],
        "a weight of 0 trains nothing"
    );
    auxiliary.aux_weight = 0.5;
    assert_ne!(run(&auxiliary).1.columns[..4], curve.columns[..4]);
}

#[test]
fn all_layers_train_in_any_number_of_sub_networks() {
    let number = |n| std::num::NonZeroU32::new(n).unwrap();
    let layers: Vec<Layer> = vec![
        Conv2d {
            channels: number(3),
            kernel: number(3),
            stride: number(2),
            padding: 1,
        }
        .into(),
        Relu {}.into(),
        MaxPool2d {
            kernel: number(3),
            stride: Some(number(2)),
        }
        .into(),
        LeakyRelu { slope: 0.2 }.into(),
        Flatten {}.into(),
        Dropout { rate: Some(0.1) }.into(),
        Linear { units: number(20) }.into(),
        Tanh {}.into(),
        Linear { units: number(20) }.into(),
        Sigmoid {}.into(),
        Dropout { rate: None }.into(),
        Linear { units: number(20) }.into(),
        Gelu {}.into(),
        Linear { units: number(10) }.into(),
    ];
    for sub_networks in [1, 2, 3, 5] {
        for weight_sharing in [false, true] {
            let mut spec = spec("perceptron-1");
            spec.architecture.stacks = vec![layers.clone()];
            spec.architecture.sub_networks = sub_networks;
            spec.weight_sharing = weight_sharing;
            spec.auxiliary_loss = sub_networks > 1;
            spec.dropout = 0.2;
            spec.epochs = 2;
            let (end, curve) = run(&spec);
            assert_eq!((end, curve.epochs()), (End::Succeeded, 2));
            assert_eq!(run(&spec).1, curve, "dropout repeats itself");
        }
    }
}

#[test]
fn dropout_acts_in_training_alone() {
    let mut spec = spec("perceptron-20");
    spec.architecture.stacks[0].insert(2, Dropout { rate: None }.into());
    let without = run(&spec).1;
    spec.dropout = 0.5;
    let with = run(&spec).1;
    assert_ne!(with, without);
    // Without learning, evaluation must not see the masks.
    spec.learning_rate = 1e-30;
    let still = run(&spec).1;
    assert_eq!(still.columns[2][0], still.columns[2][2]);
}

#[test]
fn an_absurd_learning_rate_diverges() {
    let mut spec = spec("perceptron-20");
    spec.learning_rate = 1e30;
    let (end, curve) = run(&spec);
    assert_eq!((end, curve.epochs()), (End::Diverged(1), 0));
    // With one step an epoch, each too long by the same factor, squares grow until they are too large.
    spec.optimizer = Optimizer::Sgd;
    spec.loss = Loss::MeanSquaredError;
    spec.learning_rate = 10.0;
    spec.batch_size = spec.data.train;
    spec.epochs = 50;
    let (end, curve) = run(&spec);
    let End::Diverged(epoch) = end else {
        panic!("{end:?}")
    };
    assert_eq!(curve.epochs(), epoch - 1);
    assert!(epoch > 1);
}

#[test]
fn a_follower_can_stop_a_training_at_each_batch() {
    // An epoch is three batches trained, and two and one evaluated.
    for (stop_after, epochs) in [(1, 0), (4, 0), (6, 0), (7, 1), (13, 2)] {
        let collector = Collector {
            stop_after,
            ..Collector::default()
        };
        train_pack(&[spec("perceptron-5")], mnist(), place(1), &collector);
        let trials = collector.trials.into_inner().unwrap();
        let collected = trials.get(&0);
        assert_eq!(collector.batches.into_inner(), stop_after);
        assert_eq!(collected.map_or(0, |trial| trial.curve.len()), epochs);
        assert!(collected.is_none_or(|trial| trial.end.is_none()));
    }
}

#[test]
fn a_curve_is_the_same_bits_in_any_pack_and_with_any_number_of_threads() {
    let trial = |architecture: &str, repetition| {
        let mut spec = spec(architecture);
        spec.repetition = repetition;
        spec.dropout = 0.3;
        spec.architecture.stacks[0].insert(1, Dropout { rate: None }.into());
        spec.auxiliary_loss = repetition % 2 == 1;
        spec.learning_rate = 1e-3 * f64::from(repetition + 1);
        spec
    };
    for architecture in ["perceptron-30", "conv-5"] {
        let mut pack: Vec<TrialSpec> = (0..7).map(|repetition| trial(architecture, repetition)).collect();
        // Neighbours that end otherwise.
        pack[2].learning_rate = 1e30;
        pack[4].batch_size = 0;
        let alone: Vec<_> = pack
            .iter()
            .map(|spec| run_pack(std::slice::from_ref(spec), 1).remove(0))
            .collect();
        assert_eq!(alone[2].0, Ok(End::Diverged(1)));
        assert_eq!(
            alone[4].0,
            Err("batch_size is 0, needs to be at least 1".to_owned())
        );
        for threads in [1, 2, 3] {
            assert_eq!(
                run_pack(&pack, threads),
                alone,
                "{architecture} with {threads} threads"
            );
        }
        pack.reverse();
        let mut reversed = run_pack(&pack, 2);
        reversed.reverse();
        assert_eq!(reversed, alone, "{architecture} in reverse");
    }
}

#[test]
fn nonsense_is_refused_in_words() {
    let with = |change: fn(&mut TrialSpec)| {
        let mut spec = spec("perceptron-5");
        change(&mut spec);
        refusal(&spec)
    };
    assert_eq!(
        with(|spec| spec.learning_rate = f64::NAN),
        "learning_rate is NaN, needs to be a finite number above 0"
    );
    assert!(with(|spec| spec.learning_rate = 0.0).contains("learning_rate is 0"));
    assert!(with(|spec| spec.aux_weight = f64::INFINITY).contains("aux_weight is inf"));
    assert!(with(|spec| spec.dropout = 1.0).contains("dropout is 1"));
    assert!(with(|spec| spec.batch_size = 0).contains("batch_size is 0"));
    assert!(with(|spec| spec.epochs = 0).contains("epochs is 0"));
    assert!(with(|spec| spec.data.train = 30_001).contains("30001 pairs to train on"));
    assert!(with(|spec| spec.architecture.stacks[0].clear()).contains("0 layers"));
}

/// As on a GPU, on the processor.
fn fused(memory: u64) -> Place {
    Place {
        fuse: true,
        memory,
        ..place(1)
    }
}

/// Seven perceptrons that differ, one of which diverges and one of which makes no sense.
fn mixed() -> Vec<TrialSpec> {
    let trial = |number: u32| {
        let mut spec = spec("perceptron-20");
        spec.repetition = number;
        spec.learning_rate = 1e-3 * f64::from(number + 1);
        spec.auxiliary_loss = number % 2 == 1;
        spec.epochs = 5 + number;
        spec
    };
    let mut pack: Vec<TrialSpec> = (0..7).map(trial).collect();
    pack[2].learning_rate = 1e30;
    pack[4].learning_rate = f64::NAN;
    pack
}

#[test]
fn a_fused_pack_gives_whole_curves_whoever_leaves_it() {
    let pack = mixed();
    let (together, trained) = run_on(&pack, fused(1 << 34));
    assert_eq!((trained.largest, trained.lost), (7, None));
    for (trial, spec) in pack.iter().enumerate() {
        let (alone, _) = run_on(std::slice::from_ref(spec), fused(1 << 34));
        assert_eq!(together[trial], alone[0], "trial {trial}");
        match trial {
            2 => assert_eq!(alone[0].0, Ok(End::Diverged(1))),
            4 => assert!(
                alone[0]
                    .0
                    .as_ref()
                    .is_err_and(|error| error.contains("learning_rate is NaN"))
            ),
            _ => assert_eq!(alone[0].1.epochs(), spec.epochs),
        }
    }
}

#[test]
fn a_fused_pack_that_memory_is_too_small_for_is_cut_in_halves() {
    let pack = mixed();
    let outline = pack[0].check().unwrap();
    let three = tenfold_trainer::fused::bytes(&pack[0], &outline, 3, 3);
    let (cut, trained) = run_on(&pack, fused(three));
    assert_eq!((trained.largest, trained.lost), (3, None));
    assert_eq!(cut, run_on(&pack, fused(1 << 34)).0);
    let (none, _) = run_on(&pack[..2], fused(1000));
    for (end, curve) in none {
        assert_eq!(curve.epochs(), 0);
        assert!(
            end.unwrap_err()
                .starts_with("one trial of this network needs about")
        );
    }
}

#[test]
fn a_trial_that_is_cancelled_leaves_a_fused_pack() {
    struct Cancels(Collector);
    impl tenfold_trainer::train::Follower for Cancels {
        fn batch(&self) {}

        fn wants(&self, trial: usize) -> bool {
            let trials = self.0.trials.lock().unwrap();
            trial != 1 || trials.get(&1).is_none_or(|trial| trial.curve.len() < 2)
        }

        fn epoch(&self, trial: usize, values: &[f32], seconds: f32) {
            self.0.epoch(trial, values, seconds);
        }

        fn ended(&self, trial: usize, end: Result<End, std::sync::Arc<tenfold_trainer::train::TrainError>>) {
            self.0.ended(trial, end);
        }
    }
    let mut pack = mixed();
    pack.truncate(2);
    let follower = Cancels(Collector::default());
    train_pack(&pack, mnist(), fused(1 << 34), &follower);
    let trials = follower.0.trials.into_inner().unwrap();
    assert!(trials[&1].end.is_none() && trials[&1].curve.len() < 6);
    assert_eq!(
        (trials[&0].end.clone(), trials[&0].curve.len()),
        (Some(Ok(End::Succeeded)), 5)
    );
}

#[test]
fn measuring_finds_a_rate_for_every_size_that_fits() {
    let spec = spec("perceptron-20");
    let outline = spec.check().unwrap();
    let batches = std::sync::atomic::AtomicU64::new(0);
    let measure = |sizes: &[u32], place| {
        tenfold_trainer::measure::measure(&spec, sizes, mnist(), place, &|| {
            batches.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        })
    };
    for rates in [
        measure(&[2, 4], place(2)).unwrap(),
        measure(&[2, 4], fused(1 << 34)).unwrap(),
    ] {
        assert_eq!(rates.iter().map(|rate| rate.trials).collect::<Vec<_>>(), [2, 4]);
        assert!(
            rates
                .iter()
                .all(|rate| rate.epochs_per_second > 0.0 && rate.bytes > 0),
            "{rates:?}"
        );
    }
    assert!(batches.into_inner() > 100);
    let three = tenfold_trainer::fused::bytes(&spec, &outline, 3, 3);
    let rates =
        tenfold_trainer::measure::measure(&spec, &[1, 2, 4, 8], mnist(), fused(three), &|| ()).unwrap();
    assert_eq!(rates.iter().map(|rate| rate.trials).collect::<Vec<_>>(), [1, 2]);
    assert!(tenfold_trainer::measure::measure(&spec, &[1], mnist(), fused(10), &|| ()).is_err());
}

#[test]
fn a_network_that_does_not_fit_memory_is_refused_before_it_is_built() {
    let mut spec = spec("perceptron-1");
    let number = |n| std::num::NonZeroU32::new(n).unwrap();
    // 14 × 14 padded to a side of 3,000 is allowed; 10,000 pairs of it at once are far more than there is.
    spec.architecture.stacks[0] = vec![
        Conv2d {
            channels: number(1),
            kernel: number(1),
            stride: number(1),
            padding: 1500,
        }
        .into(),
        Flatten {}.into(),
    ];
    spec.data.train = 10_000;
    spec.batch_size = 10_000;
    let error = refusal(&spec);
    assert!(
        error.starts_with("one trial of this network needs about "),
        "{error}"
    );
    assert!(error.contains("16384 MiB are free"), "{error}");
    // Little comes out, but what goes in gets zeros around it.
    spec.data.train = 100;
    spec.architecture.stacks[0][0] = Conv2d {
        channels: number(1),
        kernel: number(3000),
        stride: number(3000),
        padding: 1500,
    }
    .into();
    assert!(refusal(&spec).starts_with("one trial of this network needs about "));
}
