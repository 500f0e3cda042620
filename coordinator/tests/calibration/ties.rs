//! Means that are equal, though their sums in floating point are not.

use tenfold_proto::v1::TrialSpec;

use crate::draws::Draws;
use crate::figures::{Figures, Share, Should, form};
use crate::fleet::Model;
use crate::world::{World, number, whole_numbers};

/// Returns the counts of two points at `n` repetitions each, with the same sum.
fn tied(seed: u64, cell: u64, n: usize, most: u32) -> [Vec<u32>; 2] {
    let mut draws = Draws::of(&[seed, cell]);
    let first: Vec<u32> = (0..n).map(|_| draws.whole(most)).collect();
    let sum: u32 = first.iter().sum();
    loop {
        let mut second: Vec<u32> = (1..n).map(|_| draws.whole(most)).collect();
        let rest = sum.checked_sub(second.iter().sum());
        if let Some(rest) = rest.filter(|rest| *rest <= most) {
            second.push(rest);
            return [first, second];
        }
    }
}

#[test]
fn equal_is_equal() {
    let world = World::start();
    let mut figures = Figures::of(
        "6. Ties",
        "Of two points whose means are equal, as {0.1, 0.3} and {0.2, 0.2} are, the first goes on. Counts are of as many answers as \
         are named; the losses are thousandths.",
    );
    let cells = form(20, 500);
    let cases = [("test_error", 10), ("test_error", 1000), ("test_loss", 1000)];
    for (case, (metric, most)) in (0..).zip(cases) {
        for n in form(&[2][..], &[2, 5]).iter().copied() {
            let what = if case < 2 {
                format!("counts of {most}")
            } else {
                "losses".to_owned()
            };
            let seed = 601 + 10 * case + n;
            let model = move |spec: &TrialSpec, _, _| {
                let both = tied(spec.seed, spec.weight_decay as u64, n as usize, most);
                let counts = &both[spec.learning_rate as usize - 1];
                f64::from(counts[spec.repetition as usize]) / f64::from(most)
            };
            let axis = whole_numbers(cells);
            let sweep = |scan: &str, behind: &str| {
                format!(
                    "repetitions = {n}\nepochs = 2\n[data]\ntest = {most}\n[settings]\narchitecture = \"perceptron-5\"\n[axes]\n\
                     weight_decay = {axis}\n[[stage]]\nname = \"scan\"\n{scan}[stage.axes]\nlearning_rate = [1, 2]\n{behind}"
                )
            };
            let chosen = sweep(
                "",
                &format!(
                    "[[stage]]\nname = \"end\"\n[stage.axes]\nlearning_rate = {{ best_of = \"scan\", metric = \"{metric}\" }}\n"
                ),
            );
            let halved = sweep(
                &format!(
                    "stop = {{ rule = \"successive-halving\", from = 1, factor = 2, per = [\"weight_decay\"], metric = \"{metric}\" }}\n"
                ),
                "",
            );
            for (sweep, stage, how) in [(chosen, "end", "`best_of`"), (halved, "scan", "halving")] {
                // Another text, and so another sweep, of the same draws.
                let id = world.run(seed, &sweep, Model::of(model));
                let mut share = Share::new(format!("{how}, {what}, n = {n}"), Should::Be(1.0));
                let groups = world.lines(&["results", &id, "--format", "jsonl", "--stage", stage]);
                let last = groups
                    .iter()
                    .filter(|line| line["epoch"] == 2 && line["metric"] == metric);
                last.for_each(|line| share.count(number(&line["axes"], "learning_rate") == 1.0));
                figures.add(share);
            }
        }
    }
    figures.end();
}
