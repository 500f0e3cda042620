//! MNIST as it is loaded and drawn from. The numbers come from an independent program in another language: its own IDX
//! reader, pooling, ChaCha8 and shuffle.
#![expect(clippy::unwrap_used, reason = "of tests")]

mod common;

use common::mnist;
use tenfold_trainer::data::{DataError, MEAN, Mnist, Pairs, Purpose, STANDARD_DEVIATION, draw, pooled};
use tenfold_types::Target;

/// Sums of 2 × 2 bytes, from the values that a network sees.
fn sums(values: impl IntoIterator<Item = f32>) -> impl Iterator<Item = u64> {
    values.into_iter().map(|value| {
        let sum = (value * STANDARD_DEVIATION + MEAN) * 1020.0;
        assert!((sum - sum.round()).abs() < 0.01, "{sum} is no whole number");
        sum.round() as u64
    })
}

fn drawn(purpose: Purpose, count: u32, target: Target) -> Pairs {
    let split = match purpose {
        Purpose::Train => &mnist().train,
        Purpose::Test => &mnist().test,
    };
    draw(split, purpose, count, target, 559, 0).unwrap()
}

#[test]
fn pooling_gives_the_known_sums() {
    let first: Vec<u64> = sums(pooled(mnist().train.images.image(0))).collect();
    assert_eq!(
        first[5 * 14..6 * 14],
        [0, 0, 0, 0, 14, 294, 786, 2, 0, 0, 0, 0, 0, 0]
    );
    assert_eq!(first.iter().sum::<u64>(), 27_525);
    let weighted: u64 = first.iter().zip(1..).map(|(sum, place)| sum * place).sum();
    assert_eq!(weighted, 2_817_239);
    let all = (0..10_000).flat_map(|at| pooled(mnist().test.images.image(at)));
    assert_eq!(sums(all).sum::<u64>(), 264_923_200);
}

#[test]
fn training_images_have_mean_0_and_deviation_1() {
    let values: Vec<f64> = (0..60_000)
        .flat_map(|at| pooled(mnist().train.images.image(at)))
        .map(f64::from)
        .collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    assert!(mean.abs() < 1e-4, "{mean}");
    assert!((variance - 1.0).abs() < 1e-4, "{variance}");
}

#[test]
fn seed_559_draws_the_known_pairs() {
    let train = drawn(Purpose::Train, 1000, Target::LessOrEqual);
    assert_eq!(train.digits[..4], [[7, 9], [9, 2], [6, 8], [0, 5]]);
    assert_eq!(sums(train.images).sum::<u64>(), 51_710_788);
    let test = drawn(Purpose::Test, 1000, Target::LessOrEqual);
    assert_eq!(test.digits[..4], [[1, 4], [1, 0], [3, 2], [6, 8]]);
    assert_eq!(sums(test.images).sum::<u64>(), 53_005_465);
}

#[test]
fn the_target_changes_the_answers_alone() {
    let yes = |pairs: &Pairs| pairs.answers.iter().map(|&answer| u32::from(answer)).sum::<u32>();
    for (purpose, less, less_or_equal) in [(Purpose::Train, 453, 538), (Purpose::Test, 446, 542)] {
        let strict = drawn(purpose, 1000, Target::Less);
        let lax = drawn(purpose, 1000, Target::LessOrEqual);
        assert_eq!((yes(&strict), yes(&lax)), (less, less_or_equal));
        assert_eq!((strict.images, &strict.digits), (lax.images, &lax.digits));
        let direct = strict
            .digits
            .iter()
            .filter(|[first, second]| first < second)
            .count();
        assert_eq!(direct as u32, less);
    }
}

#[test]
fn fewer_pairs_are_the_first_of_more() {
    let few = drawn(Purpose::Test, 10, Target::Less);
    let more = drawn(Purpose::Test, 5000, Target::Less);
    assert_eq!(few.digits, more.digits[..10]);
    assert_eq!(few.images, more.images[..10 * 2 * 196]);
    let other = draw(&mnist().test, Purpose::Test, 10, Target::Less, 559, 1).unwrap();
    assert_ne!(other.digits, few.digits);
}

#[test]
fn too_many_pairs_are_refused() {
    for count in [0, 5001, u32::MAX] {
        let error = draw(&mnist().test, Purpose::Test, count, Target::Less, 559, 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{count} pairs to test on, needs 1 to 5000: MNIST has 10000 images to test on")
        );
    }
}

#[test]
fn a_missing_short_or_corrupt_file_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let complaint = || Mnist::load(folder.path()).unwrap_err();

    let error = complaint();
    assert!(matches!(error, DataError::Unreadable { .. }));
    assert!(
        error.to_string().contains("t10k-labels-idx1-ubyte: No such file"),
        "{error}"
    );
    assert!(error.to_string().contains("deploy/setup-mnist.sh"), "{error}");

    let name = "t10k-labels-idx1-ubyte";
    let mut bytes = std::fs::read(common::data_folder().join(name)).unwrap();
    std::fs::write(path(name), &bytes[..10_007]).unwrap();
    assert!(complaint().to_string().contains("has 10007 bytes, needs 10008"));

    bytes[5000] ^= 1;
    std::fs::write(path(name), &bytes).unwrap();
    let error = complaint().to_string();
    assert!(error.contains("is corrupt: its SHA-256 is"), "{error}");
    assert!(
        error.contains("needs ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
        "{error}"
    );
}

#[test]
fn mnist_has_its_known_sums_and_digits() {
    let known = [
        (
            &mnist().train,
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
            1_567_298_545,
        ),
        (
            &mnist().test,
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
            264_923_200,
        ),
    ];
    for (split, digits, sum) in known {
        let mut counts = [0; 10];
        split
            .digits
            .iter()
            .for_each(|&digit| counts[usize::from(digit)] += 1);
        assert_eq!(counts, digits);
        let images = (0..split.images.count()).map(|at| split.images.image(at));
        assert_eq!(images.flatten().map(|&byte| u64::from(byte)).sum::<u64>(), sum);
        // Pooling loses no byte: every sum of four is in one value.
        let pooled = (0..split.images.count()).flat_map(|at| pooled(split.images.image(at)));
        assert_eq!(sums(pooled).sum::<u64>(), sum);
    }
}
