//! The best of several points that are equally good.

use tenfold_proto::v1::TrialSpec;

use crate::draws::{Draws, METRICS, counted, is_error};
use crate::figures::{Figures, Share, Should, form};
use crate::fleet::Model;
use crate::own;
use crate::world::{World, number, whole_numbers};

const ERROR: f64 = 0.3;

fn drawn(normal: f64, column: usize) -> f64 {
    let value = ERROR + 0.02 * normal;
    if is_error(column) { counted(value) } else { value }
}

fn value(spec: &TrialSpec, column: usize, epoch: u32) -> f64 {
    let (rate, cell) = (spec.learning_rate as u64, spec.weight_decay as u64);
    let key = [
        spec.seed,
        rate,
        cell,
        spec.repetition.into(),
        column as u64,
        epoch.into(),
    ];
    drawn(Draws::of(&key).normal(), column)
}

/// Stages that choose, each by another metric or epoch, and so each a simulation of its own in every cell.
const EPOCHS: u32 = 7;
const CHOICES: u32 = EPOCHS * METRICS.len() as u32;

fn sweep(points: u32, n: u32, cells: u32, repetitions: &str) -> String {
    let (cells, points) = (whole_numbers(cells), whole_numbers(points));
    let mut text = format!(
        "epochs = {EPOCHS}\n[settings]\narchitecture = \"perceptron-5\"\n[axes]\nweight_decay = {cells}\n\
         [[stage]]\nname = \"scan\"\nrepetitions = {n}\n[stage.axes]\nlearning_rate = {points}\n"
    );
    for choice in 0..CHOICES {
        let (metric, epoch) = by(choice);
        text += &format!(
            "[[stage]]\nname = \"end-{choice}\"\n{repetitions} = {n}\n[stage.axes]\n\
             learning_rate = {{ best_of = \"scan\", metric = \"{metric}\", at = {epoch} }}\n"
        );
    }
    text
}

fn by(choice: u32) -> (&'static str, u32) {
    (METRICS[(choice / EPOCHS) as usize], choice % EPOCHS + 1)
}

/// Returns how often the interval of the lowest of some means holds the truth, without the program.
fn simulated(points: u32, n: u32, runs: u64) -> Should {
    let holds = |run: &u64| {
        let mut draws = Draws::of(&[1 << 33, *run, points.into(), n.into()]);
        let mut group = |_| own::interval(&(0..n).map(|_| draws.normal()).collect::<Vec<f64>>());
        let groups = (0..points).map(&mut group);
        let (_, low, high) = groups.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        (low..=high).contains(&0.0)
    };
    Should::BeAsSimulated((0..runs).filter(holds).count() as f64 / runs as f64, runs)
}

/// Counts the intervals of what was chosen, by the stages that chose.
fn count(world: &World, id: &str, share: &mut Share) {
    for line in world.groups(id, "") {
        // The first stage is what is chosen from.
        let Some(choice) = (number(&line, "stage") as u32).checked_sub(1) else {
            continue;
        };
        let (metric, epoch) = by(choice);
        if line["metric"] == metric && line["epoch"] == epoch {
            share.count((number(&line, "ci95_low")..=number(&line, "ci95_high")).contains(&ERROR));
        }
    }
}

#[test]
fn best_of_equals() {
    let world = World::start();
    let mut figures = Figures::of(
        "9. The best of several",
        "The interval of the point that `best_of` has chosen holds the truth, where all points are equally good; without a \
         confirming stage that is known to be less than 95 %, and the report says so.",
    );
    let (cells, runs) = form((8, 4_000), (60, 40_000));
    let cases = form(&[(4, 3, 901)][..], &[(4, 10, 902), (12, 10, 903), (18, 3, 904)]);
    for &(points, n, seed) in cases {
        let mut share = Share::new(
            format!("the best of {points}, n = {n}, on the repetitions that it was chosen by"),
            simulated(points, n, runs),
        );
        let id = world.run(seed, &sweep(points, n, cells, "repetitions"), Model::of(value));
        count(&world, &id, &mut share);
        figures.add(share);
        let confirmed = sweep(points, n, cells, "confirm");
        if !world.accepts(&confirmed) {
            println!("confirm: not accepted by this program, so not simulated");
            continue;
        }
        let mut share = Share::new(
            format!("the best of {points}, confirmed by {n}"),
            Should::Be(0.95),
        );
        let id = world.run(seed + 100, &confirmed, Model::of(value));
        count(&world, &id, &mut share);
        figures.add(share);
    }
    figures.end();
}
