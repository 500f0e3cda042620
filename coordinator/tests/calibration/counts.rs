//! Verdicts on errors near zero.

use tenfold_proto::v1::TrialSpec;

use crate::draws::{ANSWERS, Draws, column};
use crate::figures::{Figures, Share, Should, form};
use crate::fleet::Model;
use crate::world::{World, hypothesis, is, number, whole_numbers};

/// Of a thousand answers, how many each side has wrong in the mean.
const RATES: [(f64, f64); 6] = [
    (0.2, 0.2),
    (1.0, 1.0),
    (5.0, 5.0),
    (0.2, 2.2),
    (1.0, 3.0),
    (5.0, 7.0),
];

fn wrong(seed: u64, (rate, sharing): (usize, bool), repetition: u32, column: usize, epoch: u32) -> u32 {
    let (this, than) = RATES[rate - 1];
    let mean = if sharing { this } else { than };
    let key = [
        seed,
        rate as u64,
        sharing.into(),
        repetition.into(),
        column as u64,
        epoch.into(),
    ];
    Draws::of(&key).binomial(ANSWERS as u32, mean / ANSWERS)
}

#[test]
fn counts_near_zero() {
    let world = World::start();
    let mut figures = Figures::of(
        "7. Counts near zero",
        "\"Supported\" for a true difference of exactly the margin. Errors are counts of 1,000 answers, binomial and independent; \
         so many are wrong in the mean with `this` and `than`.",
    );
    let (epochs, alone) = (form(50, 2000), world.alone());
    let cases = form(
        &[(2, 701), (5, 703)][..],
        &[(2, 701), (3, 702), (5, 703), (10, 704)],
    );
    for &(n, seed) in cases {
        let axis = whole_numbers(RATES.len() as u32);
        let sweep = format!(
            "repetitions = {n}\nepochs = {epochs}\n[settings]\narchitecture = \"perceptron-5\"\n[axes]\nlearning_rate = {axis}\n\
             weight_sharing = [false, true]\n"
        );
        let model = |spec: &TrialSpec, column, epoch: u32| {
            let point = (spec.learning_rate as usize, spec.weight_sharing);
            f64::from(wrong(spec.seed, point, spec.repetition, column, epoch)) / ANSWERS
        };
        let id = world.run(seed, &sweep, Model::of(model));
        let mut equal = Share::new(
            format!("those whose differences are equal, n = {n}"),
            Should::Be(0.0),
        );
        for (rate, (this, than)) in (1..).zip(RATES) {
            let sides = format!(
                "this = {{ learning_rate = {rate}, weight_sharing = true }}\nthan = {{ learning_rate = {rate}, weight_sharing = false }}"
            );
            let expected = format!("lower_by = {}", (than - this).round() / ANSWERS);
            let each = |epoch| {
                ["train_error", "test_error"]
                    .map(|metric| hypothesis(&sides, &expected, metric, epoch) + alone)
            };
            let hypotheses: Vec<String> = (1..=epochs).flat_map(each).collect();
            let mut share = Share::new(
                format!("{this} and {than} wrong, n = {n}"),
                Should::NotExceed(0.025),
            );
            let verdicts = world.added(&id, &hypotheses);
            for verdict in &verdicts {
                let supported = is(verdict, "supported");
                share.count(supported);
                let (column, epoch) = (
                    column(verdict["metric"].as_str().unwrap()),
                    number(verdict, "epoch") as u32,
                );
                let count = |sharing, r| i64::from(wrong(seed, (rate, sharing), r, column, epoch));
                let differences: Vec<i64> = (0..n).map(|r| count(true, r) - count(false, r)).collect();
                if differences.iter().all(|d| *d == differences[0]) && n == 2 {
                    equal.count(supported);
                }
            }
            figures.add(share);
        }
        if n == 2 {
            figures.add(equal);
        }
    }
    figures.end();
}
