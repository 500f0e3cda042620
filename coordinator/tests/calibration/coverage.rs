//! Intervals of groups: how often they hold the truth.

use tenfold_proto::v1::TrialSpec;

use crate::draws::{Draws, column, counted, is_error};
use crate::figures::{Figures, Share, Should, form};
use crate::fleet::Model;
use crate::own;
use crate::world::{World, number, whole_numbers};

const DIGITS: i32 = 6;

/// A value of one point: errors are counts of a thousand, losses have all digits.
fn value(seed: u64, rate: u64, repetition: u32, column: usize, epoch: u32) -> f64 {
    let normal = Draws::of(&[seed, rate, repetition.into(), column as u64, epoch.into()]).normal();
    match is_error(column) {
        true => counted(ERROR + 0.02 * normal),
        false => LOSS + 0.1 * normal,
    }
}

const ERROR: f64 = 0.3;
const LOSS: f64 = 1.0;

fn truth(metric: &str) -> f64 {
    if is_error(column(metric)) { ERROR } else { LOSS }
}

#[test]
fn single_points() {
    let world = World::start();
    let mut figures = Figures::of(
        "1. Intervals of single points",
        "The 95 % interval of a point's mean holds the truth, as `results` prints it. Errors are counts of 1,000 answers, losses \
         have all digits; both are normal.",
    );
    let (points, epochs) = form((4, 250), (20, 1000));
    for (n, seed) in [(2, 101), (3, 102), (10, 103)] {
        let axis = whole_numbers(points);
        let sweep = format!(
            "repetitions = {n}\nepochs = {epochs}\n[settings]\narchitecture = \"perceptron-5\"\n[axes]\nlearning_rate = {axis}\n"
        );
        let model = |spec: &TrialSpec, column, epoch| {
            value(
                spec.seed,
                spec.learning_rate as u64,
                spec.repetition,
                column,
                epoch,
            )
        };
        let id = world.run(seed, &sweep, Model::of(model));
        let mut counts = Share::new(format!("errors, n = {n}"), Should::Be(0.95));
        let mut losses = Share::new(format!("losses, n = {n}"), Should::Be(0.95));
        let mut same = Share::new(
            format!("means and intervals that are those of another computation, n = {n}"),
            Should::Be(1.0),
        );
        for line in world.groups(&id, "") {
            let metric = line["metric"].as_str().unwrap();
            let (low, high) = (number(&line, "ci95_low"), number(&line, "ci95_high"));
            let holds = (low..=high).contains(&truth(metric));
            let column = column(metric);
            if is_error(column) {
                counts.count(holds)
            } else {
                losses.count(holds)
            }
            let rate = number(&line["axes"], "learning_rate") as u64;
            let epoch = number(&line, "epoch") as u32;
            let values: Vec<f64> = (0..n)
                .map(|r| own::stored(value(seed, rate, r, column, epoch)))
                .collect();
            let (mean, own_low, own_high) = own::interval(&values);
            let pairs = [(number(&line, "mean"), mean), (low, own_low), (high, own_high)];
            same.count(pairs.iter().all(|(one, other)| own::agree(*one, *other, DIGITS)));
        }
        figures.add(counts);
        figures.add(losses);
        figures.add(same);
    }
    figures.end();
}

/// What the points of one repetition have in common, and what each adds to it; in deviations.
const SHARED: f64 = 0.9;

/// A value of one of several points, which share their data by repetition. `inner` tells the points apart.
fn shared_value(seed: u64, rate: u64, inner: [u64; 2], repetition: u32, column: usize, epoch: u32) -> f64 {
    let of = [repetition.into(), column as u64, epoch.into()];
    let common = Draws::of(&[&[seed, rate], &of[..]].concat()).normal();
    let single = Draws::of(&[&[seed, rate], &inner[..], &of[..]].concat()).normal();
    let normal = SHARED.sqrt() * common + (1.0 - SHARED).sqrt() * single;
    match is_error(column) {
        true => counted(ERROR + 0.02 * normal),
        false => LOSS + 0.1 * normal,
    }
}

const WEIGHTS: [f64; 3] = [0.5, 1.0, 2.0];

/// The weight of the auxiliary loss matters only where there is one.
fn inner(auxiliary: bool, weight: f64) -> [u64; 2] {
    match auxiliary {
        true => [1, weight.to_bits()],
        false => [0, 0],
    }
}

#[test]
fn pooled_groups() {
    let world = World::start();
    let mut figures = Figures::of(
        "2. Intervals of groups of several points",
        "The 95 % interval of a group of three points holds the truth, as `results --by` prints it. Points share nine tenths of \
         their variance by repetition; or they are one network, as the axis that they differ in does not matter where they are.",
    );
    let (points, epochs) = form((4, 125), (20, 250));
    for (n, seed) in [(3, 201), (10, 202)] {
        let axis = whole_numbers(points);
        let sweep = format!(
            "repetitions = {n}\nepochs = {epochs}\n[settings]\narchitecture = \"perceptron-5\"\n[axes]\nlearning_rate = {axis}\n\
             auxiliary_loss = [false, true]\naux_weight = {WEIGHTS:?}\n"
        );
        let model = |spec: &TrialSpec, column, epoch| {
            let inner = inner(spec.auxiliary_loss, spec.aux_weight);
            shared_value(
                spec.seed,
                spec.learning_rate as u64,
                inner,
                spec.repetition,
                column,
                epoch,
            )
        };
        let id = world.run(seed, &sweep, Model::of(model));
        let mut inert = Share::new(format!("one network three times, n = {n}"), Should::Be(0.95));
        let mut shared = Share::new(
            format!("three networks on the same data, n = {n}"),
            Should::Be(0.95),
        );
        let mut same = Share::new(
            format!("intervals that are those of the means within repetitions, n = {n}"),
            Should::Be(1.0),
        );
        for line in world.groups(&id, "learning_rate,auxiliary_loss") {
            let metric = line["metric"].as_str().unwrap();
            let auxiliary = line["axes"]["auxiliary_loss"] == true;
            let (low, high) = (number(&line, "ci95_low"), number(&line, "ci95_high"));
            let holds = (low..=high).contains(&truth(metric));
            if auxiliary {
                shared.count(holds)
            } else {
                inert.count(holds)
            }
            let rate = number(&line["axes"], "learning_rate") as u64;
            let (column, epoch) = (column(metric), number(&line, "epoch") as u32);
            let of = |weight: f64, repetition| {
                own::stored(shared_value(
                    seed,
                    rate,
                    inner(auxiliary, weight),
                    repetition,
                    column,
                    epoch,
                ))
            };
            let within = |repetition| WEIGHTS.iter().map(|weight| of(*weight, repetition)).sum::<f64>() / 3.0;
            let (_, own_low, own_high) = own::interval(&(0..n).map(within).collect::<Vec<f64>>());
            same.count(own::agree(low, own_low, DIGITS) && own::agree(high, own_high, DIGITS));
        }
        figures.add(inert);
        figures.add(shared);
        figures.add(same);
    }
    figures.end();
}
