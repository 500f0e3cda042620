//! Verdicts with missing pairs.

use tenfold_proto::v1::TrialSpec;

use crate::draws::Draws;
use crate::figures::{Figures, Share, Should, form};
use crate::fleet::Model;
use crate::world::{World, hypothesis, is, number, whole_numbers};

/// The worst tenth of the runs: beyond this quantile of the normal distribution.
const WORST: f64 = 1.281_551_565_544_6;

fn deviation(spec: &TrialSpec) -> f64 {
    Draws::of(&[spec.seed, spec.learning_rate as u64, spec.repetition.into()]).normal()
}

fn is_reference(spec: &TrialSpec) -> bool {
    spec.learning_rate == 1.0
}

/// Each rate from the second on is a simulation of its own; the first, which all are compared with, is the same in each repetition.
#[test]
fn what_is_missing_counts() {
    let world = World::start();
    let mut figures = Figures::of(
        "3. Verdicts with missing pairs",
        "`this` diverges in the worst tenth of its runs; over all runs its difference is exactly the margin. \"Supported\" is false, \
         and so is \"supported\" over what is left.",
    );
    let simulations: u32 = form(200, 4000);
    let axis = whole_numbers(simulations + 1);
    let sweep = format!(
        "repetitions = 10\nepochs = 1\n[settings]\narchitecture = \"perceptron-5\"\n[axes]\nlearning_rate = {axis}\n"
    );
    let model = Model {
        value: Box::new(|spec, _, _| match is_reference(spec) {
            true => 1.0,
            false => 0.8 + 0.1 * deviation(spec),
        }),
        diverges: Box::new(|spec| !is_reference(spec) && deviation(spec) > WORST),
    };
    let id = world.run(301, &sweep, model);
    let file = |more: &str| -> Vec<String> {
        let one = |rate: u32| {
            let sides = format!("this = {{ learning_rate = {rate} }}\nthan = {{ learning_rate = 1 }}");
            hypothesis(&sides, "lower_by = 0.2", "test_loss", 1) + more
        };
        (2..simulations + 2).map(one).collect()
    };
    let mut all = Share::new("\"supported\", n = 10", Should::NotExceed(0.025));
    let mut part = Share::new("\"supported\" of those with a missing pair", Should::Be(0.0));
    for verdict in world.added(&id, &file(world.alone())) {
        let supported = is(&verdict, "supported");
        all.count(supported);
        if number(&verdict, "left_out") > 0.0 {
            part.count(supported);
        }
    }
    figures.add(all);
    figures.add(part);
    // A program that knows families knows this key, too.
    if !world.alone().is_empty() {
        let mut asked = Share::new(
            "\"supported\" where the text says `missing = \"drop\"`",
            Should::BeSeen,
        );
        let more = format!("{}missing = \"drop\"\n", world.alone());
        world
            .added(&id, &file(&more))
            .iter()
            .for_each(|verdict| asked.count(is(verdict, "supported")));
        figures.add(asked);
    }
    figures.end();
}
