//! Verdicts on errors near zero.

use tenfold_proto::v1::TrialSpec;

use crate::draws::{Draws, ANSWERS};
use crate::figures::{Figures, Share, Should, form};
use crate::fleet::Model;
use crate::world::{World, hypothesis, is, whole_numbers};

/// Of a thousand answers, how many each side has wrong in the mean.
const RATES: [(f64, f64); 6] = [(0.2, 0.2), (1.0, 1.0), (5.0, 5.0), (0.2, 2.2), (1.0, 3.0), (5.0, 7.0)];

#[test]
fn counts_near_zero() {
    let world = World::start();
    let mut figures = Figures::of(
        "7. Counts near zero",
        "\"Supported\" for a true difference of exactly the margin. Errors are counts of 1,000 answers, binomial and independent; \
         so many are wrong in the mean with `this` and `than`.",
    );
    let (epochs, alone) = (form(100, 2000), world.alone());
    for (n, seed) in [(2, 701), (3, 702), (5, 703), (10, 704)] {
        let axis = whole_numbers(RATES.len() as u32);
        let sweep = format!(
            "repetitions = {n}\nepochs = {epochs}\n[settings]\narchitecture = \"perceptron-5\"\n[axes]\nlearning_rate = {axis}\n\
             weight_sharing = [false, true]\n"
        );
        let model = |spec: &TrialSpec, column, epoch: u32| {
            let (this, than) = RATES[spec.learning_rate as usize - 1];
            let wrong = if spec.weight_sharing { this } else { than };
            let of = [spec.seed, spec.learning_rate as u64, spec.weight_sharing.into(), spec.repetition.into()];
            let key = [&of[..], &[column as u64, epoch.into()]].concat();
            f64::from(Draws::of(&key).binomial(ANSWERS as u32, wrong / ANSWERS)) / ANSWERS
        };
        let id = world.run(seed, &sweep, Model::of(model));
        for (rate, (this, than)) in (1..).zip(RATES) {
            let sides = format!(
                "this = {{ learning_rate = {rate}, weight_sharing = true }}\nthan = {{ learning_rate = {rate}, weight_sharing = false }}"
            );
            let expected = format!("lower_by = {}", (than - this).round() / ANSWERS);
            let each = |epoch| {
                ["train_error", "test_error"].map(|metric| hypothesis(&sides, &expected, metric, epoch) + alone)
            };
            let hypotheses: Vec<String> = (1..=epochs).flat_map(each).collect();
            let mut share = Share::new(format!("{this} and {than} wrong, n = {n}"), Should::NotExceed(0.025));
            let verdicts = world.added(&id, &hypotheses);
            verdicts.iter().for_each(|verdict| share.count(is(verdict, "supported")));
            figures.add(share);
        }
    }
    figures.end();
}
