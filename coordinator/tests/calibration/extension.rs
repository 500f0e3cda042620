//! Sweeps that are extended until their hypothesis is supported.

use serde_json::Value;
use tenfold_proto::v1::TrialSpec;

use crate::draws::{Draws, METRICS, column, counted, is_error};
use crate::figures::{Figures, Share, Should, form};
use crate::fleet::Model;
use crate::own;
use crate::world::{MOST, SHARING, World, hypothesis, is, number};

/// A point of a pair whose true difference is exactly `margin` below; both share a part of each repetition.
pub(crate) fn paired(spec: &TrialSpec, column: usize, epoch: u32, margin: f64) -> f64 {
    let of = [spec.seed, spec.repetition.into(), column as u64, epoch.into()];
    let common = Draws::of(&of).normal();
    let single = Draws::of(&[&of[..], &[1 + u64::from(spec.weight_sharing)]].concat()).normal();
    let lower = if spec.weight_sharing { margin } else { 0.0 };
    let value = 0.5 + 0.02 * common + 0.02 * single - lower;
    if is_error(column) { counted(value) } else { value }
}

pub(crate) const MARGIN: f64 = 0.1;

/// Returns hypotheses about every epoch and metric.
pub(crate) fn about_each(epochs: u32, expected: &str, more: &str) -> Vec<String> {
    let each = |epoch| METRICS.map(|metric| hypothesis(SHARING, expected, metric, epoch) + more);
    (1..=epochs).flat_map(each).collect()
}

pub(crate) fn pair_of_points(repetitions: u32, epochs: u32, hypotheses: &str) -> String {
    format!(
        "repetitions = {repetitions}\nepochs = {epochs}\n[settings]\narchitecture = \"perceptron-5\"\n[axes]\n\
         weight_sharing = [false, true]\n{hypotheses}"
    )
}

/// Returns what all repetitions say. Programs that know of extensions keep it apart from the verdict over the planned ones.
fn present(verdict: &Value) -> &Value {
    let extended = &verdict["extended"];
    if extended.is_object() { extended } else { verdict }
}

#[test]
fn extended_after_a_look() {
    let world = World::start();
    let mut figures = Figures::of(
        "4. Extended until supported",
        "A sweep of 2 repetitions is extended by one repetition at a time until its hypothesis is \"supported\"; the true difference \
         is exactly the margin, so that this is false. The verdict over the planned repetitions stays what it was.",
    );
    let (sweeps, most) = form((2, 10), (15, 60));
    let epochs = MOST as u32 / 4;
    let text = about_each(epochs, &format!("lower_by = {MARGIN}"), world.alone()).concat();
    let sweep = pair_of_points(2, epochs, &text);
    let ids: Vec<(u64, String)> = (0..sweeps)
        .map(|number| {
            let seed = 401 + number;
            let model = |spec: &TrialSpec, column, epoch| paired(spec, column, epoch, MARGIN);
            (seed, world.submit(seed, &sweep, Model::of(model)))
        })
        .collect();
    let mut same = Share::new(
        "intervals of differences that are those of another computation",
        Should::Be(1.0),
    );
    let share = |of: &str, most, should| {
        Share::new(
            format!("{of} \"supported\" at any of 2 to {most} repetitions"),
            should,
        )
    };
    let mut by_ten = share("the verdict", 10, Should::NotExceed(0.025));
    let mut by_most = share("the verdict", most, Should::NotExceed(0.025));
    let mut all = share("the verdict over all repetitions beside it", most, Should::BeSeen);
    let mut changed = Share::new("a verdict that an extension changes", Should::Be(0.0));
    for (seed, id) in &ids {
        let mut first = [const { None }; MOST];
        let (mut ever, mut ever_present) = ([false; MOST], [false; MOST]);
        for n in 2..=most {
            match n {
                2 => world.until_over(id),
                n => world.extend(id, n),
            }
            let verdicts = world.verdicts(id);
            assert_eq!(verdicts.len(), MOST);
            for (first, verdict) in first.iter_mut().zip(&verdicts) {
                let now = verdict["verdict"].as_str().map(str::to_owned);
                match first {
                    None => *first = now,
                    Some(_) => changed.count(*first != now),
                }
            }
            for ((ever, ever_present), verdict) in ever.iter_mut().zip(&mut ever_present).zip(&verdicts) {
                *ever |= is(verdict, "supported");
                *ever_present |= is(present(verdict), "supported");
                assert_eq!(number(present(verdict), "n") as u32, n, "{verdict}");
            }
            if n == 10 {
                ever.iter().for_each(|ever| by_ten.count(*ever));
                verdicts.iter().for_each(|verdict| {
                    same.count(is_own(*seed, n, verdict["metric"].as_str().unwrap(), verdict))
                });
            }
        }
        ever.iter().for_each(|ever| by_most.count(*ever));
        ever_present.iter().for_each(|ever| all.count(*ever));
    }
    figures.add(same);
    figures.add(by_ten);
    if most > 10 {
        figures.add(by_most);
    }
    figures.add(changed);
    figures.add(all);
    figures.end();
}

/// Whether a difference and its interval are what its values say.
fn is_own(seed: u64, n: u32, metric: &str, verdict: &Value) -> bool {
    let (column, epoch) = (column(metric), number(verdict, "epoch") as u32);
    let verdict = present(verdict);
    let value = |weight_sharing, repetition| {
        let spec = TrialSpec {
            seed,
            repetition,
            weight_sharing,
            ..TrialSpec::default()
        };
        own::shown(paired(&spec, column, epoch, MARGIN))
    };
    let differences: Vec<f64> = (0..n).map(|r| value(true, r) - value(false, r)).collect();
    let (mean, low, high) = own::interval(&differences);
    let pairs = [("difference", mean), ("ci95_low", low), ("ci95_high", high)];
    pairs
        .iter()
        .all(|(name, own)| own::agree(number(verdict, name), *own, 9))
}
