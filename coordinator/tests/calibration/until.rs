//! Repetitions that end when the interval is narrow.

use tenfold_proto::v1::TrialSpec;

use crate::draws::Draws;
use crate::figures::{Figures, Share, Should, form};
use crate::fleet::Model;
use crate::own;
use crate::world::{World, number, whole_numbers};

/// Half the width at which a series ends; values have a deviation of 1.
const HALF_WIDTH: f64 = 0.5;
const MOST: u32 = 400;
const MEAN: f64 = 1.0;

fn value(draws: &mut Draws, skewed: bool) -> f64 {
    let value = if skewed {
        draws.exponential()
    } else {
        MEAN + draws.normal()
    };
    f64::from(value as f32)
}

/// Returns how many values a series has when it ends, and whether its interval holds the mean.
fn series(least: usize, mut next: impl FnMut(u32) -> f64) -> (usize, bool) {
    let (mut n, mut mean, mut squares) = (0, 0.0, 0.0);
    loop {
        // Welford, Technometrics 4, 1962.
        let value = next(n as u32);
        n += 1;
        let before = value - mean;
        mean += before / n as f64;
        squares += before * (value - mean);
        if n >= least {
            let error = (squares / (n as f64 - 1.0) / n as f64).sqrt();
            let half = own::quantile(n) * error;
            if half <= HALF_WIDTH || n == MOST as usize {
                return (n, (mean - MEAN).abs() <= half);
            }
        }
    }
}

#[test]
fn repetitions_by_need() {
    let world = World::start();
    let mut figures = Figures::of(
        "8. Repetitions by need",
        "The interval at which a series ended holds the truth: half of it is at most half a deviation. Normal values, and exponential \
         ones, which are skewed. It is known to be less than 95 %, and `docs/search.md` says so.",
    );
    let (points, alone) = form((30, 5_000), (1000, 40_000));
    for (case, skewed) in [(0, false), (1, true)] {
        for least in form(&[2][..], &[2, 3, 5]) {
            let seed = 801 + 10 * case + least;
            let axis = whole_numbers(points);
            let sweep = format!(
                "repetitions = {{ min = {least}, max = {MOST}, until = {{ ci95_half_width = {HALF_WIDTH}, metric = \"test_loss\" }} }}\n\
                 epochs = 1\n[settings]\narchitecture = \"perceptron-5\"\n[axes]\nlearning_rate = {axis}\n"
            );
            let of = move |rate: u64, repetition: u32| {
                value(&mut Draws::of(&[seed, rate, repetition.into()]), skewed)
            };
            let model = move |spec: &TrialSpec, _, _| of(spec.learning_rate as u64, spec.repetition);
            let id = world.run(seed, &sweep, Model::of(model));
            let mut held = 0;
            for run in 0..alone {
                let mut draws = Draws::of(&[seed, 1 << 32, run]);
                held += u64::from(series(*least as usize, |_| value(&mut draws, skewed)).1);
            }
            let name = if skewed { "exponential" } else { "normal" };
            let should = Should::BeAsSimulated(held as f64 / alone as f64, alone);
            let mut share = Share::new(format!("{name} values, min = {least}"), should);
            let mut same = Share::new(
                format!("series that end where another computation ends them, {name} values, min = {least}"),
                Should::Be(1.0),
            );
            for line in world
                .groups(&id, "")
                .iter()
                .filter(|line| line["metric"] == "test_loss")
            {
                share.count((number(line, "ci95_low")..=number(line, "ci95_high")).contains(&MEAN));
                let rate = number(&line["axes"], "learning_rate") as u64;
                let (n, _) = series(*least as usize, |repetition| of(rate, repetition));
                same.count(line["n"] == n);
            }
            figures.add(share);
            figures.add(same);
        }
    }
    figures.end();
}
