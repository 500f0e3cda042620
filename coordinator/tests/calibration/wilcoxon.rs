//! p-values of comparisons, where most differences tie with others.

use serde_json::Value;
use tenfold_proto::v1::TrialSpec;

use crate::draws::{Draws, column};
use crate::figures::{Figures, Share, Should, form};
use crate::fleet::Model;
use crate::own;
use crate::world::{World, number, whole_numbers};

/// Answers that errors are shares of: few, so that differences tie.
const ANSWERS: u32 = 20;
/// Repetitions up to which all patterns of signs are gone through.
const MOST_ENUMERATED: u32 = 12;

fn wrong(seed: u64, rate: u64, sharing: bool, repetition: u32, column: usize, epoch: u32) -> u32 {
    let key = [
        seed,
        rate,
        sharing.into(),
        repetition.into(),
        column as u64,
        epoch.into(),
    ];
    Draws::of(&key).binomial(ANSWERS, 0.1)
}

fn p(line: &Value, test: &str) -> Option<f64> {
    line[test]["p"].as_f64()
}

fn agree(one: Option<f64>, other: Option<f64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => own::agree(one, other, 6),
        (one, other) => one.is_none() && other.is_none_or(|p| p == 1.0),
    }
}

#[test]
fn tied_differences() {
    let world = World::start();
    let mut figures = Figures::of(
        "10. Tests of tied differences",
        "p is at most .05 in `compare`, where nothing differs. Errors are counts of 20 answers, a tenth of them wrong, so that \
         most differences tie with others or are 0.",
    );
    let points = form(50, 1000);
    let epochs = form(2, 5);
    let cases = form(
        &[(5, 1001), (10, 1004)][..],
        &[(5, 1001), (6, 1002), (8, 1003), (10, 1004), (30, 1005)],
    );
    for &(n, seed) in cases {
        let axis = whole_numbers(points);
        let sweep = format!(
            "repetitions = {n}\nepochs = {epochs}\n[data]\ntrain = {ANSWERS}\ntest = {ANSWERS}\n[settings]\n\
             architecture = \"perceptron-5\"\nbatch_size = 10\n[axes]\nlearning_rate = {axis}\nweight_sharing = [false, true]\n"
        );
        let model = |spec: &TrialSpec, column, epoch| {
            let rate = spec.learning_rate as u64;
            f64::from(wrong(
                spec.seed,
                rate,
                spec.weight_sharing,
                spec.repetition,
                column,
                epoch,
            )) / f64::from(ANSWERS)
        };
        let id = world.run(seed, &sweep, Model::of(model));
        // No pattern of five signs has a p below 1/16.
        let least = if n == 5 {
            Should::Be(0.0)
        } else {
            Should::NotExceed(0.05)
        };
        let mut signed_ranks = Share::new(format!("p of Wilcoxon's test at most .05, n = {n}"), least);
        let mut same = Share::new(
            format!("p of Wilcoxon's test by enumeration, n = {n}"),
            Should::Be(1.0),
        );
        let mut student = Share::new(
            format!("p of the t test as another computation has it, n = {n}"),
            Should::Be(1.0),
        );
        for (metric, epoch) in ["train_error", "test_error"]
            .into_iter()
            .flat_map(|m| (1..=epochs).map(move |e| (m, e)))
        {
            let at = epoch.to_string();
            let arguments = [
                "compare",
                &id,
                "--by",
                "weight_sharing",
                "--metric",
                metric,
                "--at",
                &at,
                "--json",
            ];
            for line in world.lines(&arguments) {
                signed_ranks.count(p(&line, "wilcoxon").is_some_and(|p| p <= 0.05));
                let rate = number(&line["at"], "learning_rate") as u64;
                let count = |sharing, r| i64::from(wrong(seed, rate, sharing, r, column(metric), epoch));
                let differences: Vec<i64> = (0..n).map(|r| count(true, r) - count(false, r)).collect();
                if n <= MOST_ENUMERATED {
                    same.count(agree(own::wilcoxon(&differences), p(&line, "wilcoxon")));
                }
                let shares: Vec<f64> = differences
                    .iter()
                    .map(|d| *d as f64 / f64::from(ANSWERS))
                    .collect();
                student.count(agree(own::t_test(&shares), p(&line, "t")));
            }
        }
        figures.add(signed_ranks);
        if n <= MOST_ENUMERATED {
            figures.add(same);
        }
        figures.add(student);
    }
    figures.end();
}
