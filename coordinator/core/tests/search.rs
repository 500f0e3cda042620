//! Searches that stop early, against Optuna, Syne Tune, scikit-learn and SciPy; `fixtures/search.py` says how their decisions came
//! about.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::Value;
use tenfold_core::aggregate::Statistics;
use tenfold_core::rank::Rank;
use tenfold_core::search::{Standing, asha, halving, median, patience, width};
use tenfold_core::sweep::coverage_at_stop;

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/search.json")).unwrap()
}

fn rows<'a>(fixture: &'a Value, key: &str) -> &'a [Value] {
    let rows = fixture[key].as_array().unwrap();
    assert!(!rows.is_empty());
    rows
}

/// What is null is not a number.
fn numbers(list: &Value) -> Vec<f64> {
    let list = list.as_array().unwrap().iter();
    list.map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
}

fn whole(value: &Value) -> usize {
    value.as_u64().unwrap().try_into().unwrap()
}

fn wholes(list: &Value) -> Vec<usize> {
    list.as_array().unwrap().iter().map(whole).collect()
}

/// The curves of the set that a row is about.
fn curves(fixture: &Value, row: &Value) -> Vec<Vec<f64>> {
    let set = fixture["curves"][row["set"].as_str().unwrap()]
        .as_array()
        .unwrap();
    set.iter().map(numbers).collect()
}

/// Where each point stops: its epoch, or none.
fn stops(row: &Value) -> Vec<Option<usize>> {
    let stops = row["stops"].as_array().unwrap().iter();
    stops
        .map(|epoch| epoch.as_u64().map(|epoch| epoch as usize))
        .collect()
}

/// A group of three repetitions, none of which is left where there is no number.
fn standing(mean: f64) -> Standing {
    match mean.is_nan() {
        true => Standing {
            n: 0,
            missing: 3,
            mean: Rank::number(0.0),
        },
        false => Standing {
            n: 3,
            missing: 0,
            mean: Rank::number(mean),
        },
    }
}

/// Where each point stops whom a rule asks at rungs about those before it.
fn run(
    curves: &[Vec<f64>],
    rungs: &[usize],
    come_to: impl Fn(&[f64]) -> f64,
    goes_on: impl Fn(&[Standing], Standing) -> bool,
) -> Vec<Option<usize>> {
    let mut before: BTreeMap<usize, Vec<Standing>> = BTreeMap::new();
    let one = |curve: &Vec<f64>| {
        rungs
            .iter()
            .copied()
            .filter(|rung| *rung <= curve.len())
            .find(|rung| {
                let reached = before.entry(*rung).or_default();
                let this = standing(come_to(&curve[..*rung]));
                let goes_on = goes_on(reached, this);
                reached.push(this);
                !goes_on
            })
    };
    curves.iter().map(one).collect()
}

#[test]
fn asynchronous_halving_stops_whom_optuna_stops() {
    let fixture = fixture();
    let (mut stopped, mut ended) = (0, 0);
    for row in rows(&fixture, "asha") {
        let curves = curves(&fixture, row);
        let (least, factor) = (whole(&row["least"]), whole(&row["factor"]));
        let rungs: Vec<usize> = (0..10).map(|k| least * factor.pow(k)).collect();
        let last = |curve: &[f64]| *curve.last().unwrap();
        let ours = run(&curves, &rungs, last, |before, this| {
            asha::goes_on(before, this, factor as u32)
        });
        assert_eq!(ours, stops(row), "{} {least} {factor}", row["set"]);
        stopped += ours.iter().flatten().count();
        ended += ours.iter().filter(|stop| stop.is_none()).count();
    }
    assert!(stopped > 500 && ended > 50, "{stopped} stopped, {ended} not");
}

#[test]
fn the_order_of_points_matters_as_much_as_the_docs_say() {
    let fixture = fixture();
    let trained = |set: &str| {
        let row = rows(&fixture, "asha").iter().find(|row| {
            (row["set"].as_str(), whole(&row["least"]), whole(&row["factor"])) == (Some(set), 1, 3)
        });
        let row = row.unwrap();
        let (curves, stops) = (curves(&fixture, row), stops(row));
        let best = (0..curves.len()).min_by(|a, b| curves[*a][26].total_cmp(&curves[*b][26]));
        assert_eq!(stops[best.unwrap()], None, "{set}");
        stops.iter().map(|stop| stop.unwrap_or(27)).sum::<usize>()
    };
    assert_eq!((trained("recorded"), trained("shuffled")), (457, 157));
}

#[test]
fn the_median_rule_stops_whom_syne_tune_stops() {
    let fixture = fixture();
    let (mut stopped, mut ended) = (0, 0);
    for row in rows(&fixture, "median") {
        let curves = curves(&fixture, row);
        let (rungs, startup) = (wholes(&row["rungs"]), whole(&row["startup"]) as u32);
        let average = |curve: &[f64]| median::running_average(curve).unwrap();
        let ours = run(&curves, &rungs, average, |before, this| {
            median::goes_on(before, this, startup)
        });
        assert_eq!(ours, stops(row), "{} {rungs:?} {startup}", row["set"]);
        stopped += ours.iter().flatten().count();
        ended += ours.iter().filter(|stop| stop.is_none()).count();
    }
    assert!(stopped > 500 && ended > 500, "{stopped} stopped, {ended} not");
}

#[test]
fn averages_run_to_the_end_of_a_curve() {
    assert_eq!(median::running_average(&[]), None);
    assert_eq!(median::running_average(&[0.5]), Some(0.5));
    assert_eq!(median::running_average(&[1.0, 0.5, 0.25, 0.25]), Some(0.5));
}

#[test]
fn zeros_of_either_sign_tie() {
    let (zero, minus_zero) = (standing(0.0), standing(-0.0));
    assert_eq!(halving::best(&[zero, minus_zero], 1), [0]);
    assert!(asha::goes_on(&[minus_zero, minus_zero], zero, 2));
}

#[test]
fn patience_ends_where_optuna_s_does() {
    let fixture = fixture();
    let mut stopped = 0;
    for row in rows(&fixture, "patience") {
        let (epochs, delta) = (whole(&row["patience"]) as u32, row["min_delta"].as_f64().unwrap());
        let one = |curve: &Vec<f64>| {
            (1..=curve.len()).find(|epoch| !patience::goes_on(&curve[..*epoch], epochs, delta))
        };
        let ours: Vec<Option<usize>> = curves(&fixture, row).iter().map(one).collect();
        assert_eq!(ours, stops(row), "{} {epochs} {delta}", row["set"]);
        stopped += ours.iter().flatten().count();
    }
    assert!(stopped > 500, "{stopped} stopped");
}

/// The points kept after each rung; the numbers kept are given, or follow from the factor.
fn kept(curves: &[Vec<f64>], rungs: &[usize], keep: impl Fn(usize, usize) -> usize) -> Vec<Vec<usize>> {
    let mut points: Vec<usize> = (0..curves.len()).collect();
    let mut all = Vec::new();
    for (turn, rung) in rungs.iter().enumerate() {
        let standings: Vec<Standing> = points
            .iter()
            .map(|point| standing(curves[*point][rung - 1]))
            .collect();
        let best = halving::best(&standings, keep(turn, points.len()));
        points = best.into_iter().map(|place| points[place]).collect();
        all.push(points.clone());
    }
    all
}

#[test]
fn halving_keeps_what_syne_tune_and_scikit_learn_keep() {
    let fixture = fixture();
    for row in rows(&fixture, "halving") {
        let theirs: Vec<Vec<usize>> = row["kept"].as_array().unwrap().iter().map(wholes).collect();
        let (rungs, factor) = (wholes(&row["rungs"]), whole(&row["factor"]) as u32);
        let ours = kept(&curves(&fixture, row), &rungs[..theirs.len()], |_, points| {
            halving::kept(points, factor)
        });
        assert_eq!(ours, theirs, "{} {factor}", row["set"]);
    }
    // scikit-learn rounds up: with its numbers, the same points.
    for row in rows(&fixture, "grid") {
        let theirs: Vec<Vec<usize>> = row["kept"].as_array().unwrap().iter().map(wholes).collect();
        let ours = kept(&curves(&fixture, row), &wholes(&row["rungs"]), |turn, points| {
            let keep = theirs[turn].len();
            assert_eq!(keep, points.div_ceil(whole(&row["factor"])));
            keep
        });
        assert_eq!(ours, theirs, "{} {}", row["set"], row["factor"]);
    }
}

#[test]
fn an_interval_is_narrow_where_scipy_has_it_so() {
    let fixture = fixture();
    for row in rows(&fixture, "widths") {
        let (values, half) = (numbers(&row["values"]), row["half_width"].as_f64().unwrap());
        assert!(
            width::enough(&values, half * (1.0 + 1e-9)),
            "{} values",
            values.len()
        );
        assert!(
            !width::enough(&values, half * (1.0 - 1e-9)),
            "{} values",
            values.len()
        );
    }
    for row in rows(&fixture, "sequences") {
        let (values, half) = (numbers(&row["values"]), row["half_width"].as_f64().unwrap());
        let ours = (5..=values.len()).find(|n| width::enough(&values[..*n], half));
        assert_eq!(ours, Some(whole(&row["enough"])), "{half}");
    }
    assert!(!width::enough(&[], 1.0) && !width::enough(&[0.5], 1.0));
    assert!(width::enough(&[0.5, 0.5], 0.0));
}

/// A normal value: the polar method (Marsaglia and Bray, SIAM Review 6, 1964), of whose two one is used.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let mut uniform = || (random.next_u64() >> 11) as f64 / 2f64.powi(52) - 1.0;
    loop {
        let (x, y) = (uniform(), uniform());
        let square = x * x + y * y;
        if square > 0.0 && square < 1.0 {
            return x * (-2.0 * square.ln() / square).sqrt();
        }
    }
}

#[test]
fn looking_again_and_again_costs_as_much_coverage_as_the_docs_say() {
    const RUNS: usize = 4_000;
    let mut random = ChaCha8Rng::seed_from_u64(559);
    let fixture = fixture();
    let theirs = rows(&fixture, "coverage");
    for row in theirs.iter().filter(|row| row["values"].as_f64() < Some(20.0)) {
        let half = row["half_width"].as_f64().unwrap();
        let (mut held, mut took) = (0, 0);
        for _ in 0..RUNS {
            let mut values: Vec<f64> = (0..5).map(|_| normal(&mut random)).collect();
            while !width::enough(&values, half) {
                values.push(normal(&mut random));
            }
            let (low, high) = Statistics::of(&values).unwrap().ci95.unwrap();
            held += usize::from(low <= 0.0 && 0.0 <= high);
            took += values.len();
        }
        let (coverage, values) = (held as f64 / RUNS as f64, took as f64 / RUNS as f64);
        // Three standard errors of a share of some 0.93 of 4,000.
        let expected = row["coverage"].as_f64().unwrap();
        assert!(
            (coverage - expected).abs() < 0.012,
            "{coverage} here, {expected} there"
        );
        let expected = row["values"].as_f64().unwrap();
        assert!((values / expected - 1.0).abs() < 0.02, "{values}, {expected}");
    }
    let least = theirs.iter().map(|row| row["coverage"].as_f64().unwrap());
    let least = least.fold(1.0, f64::min);
    assert!(0.92 < least && least < 0.925, "the docs say 92 of 100: {least}");
}

/// An exponential value, less its mean.
fn skewed(random: &mut ChaCha8Rng) -> f64 {
    let uniform = ((random.next_u64() >> 11) as f64 + 0.5) / 2f64.powi(53);
    -uniform.ln() - 1.0
}

type Draw = fn(&mut ChaCha8Rng) -> f64;

#[test]
fn few_repetitions_and_skewed_values_cost_as_much_coverage_as_plans_and_reports_say() {
    const RUNS: usize = 4_000;
    let fixture: Value = serde_json::from_str(include_str!("fixtures/coverage.json")).unwrap();
    let theirs = |shape: &str, min: u32| {
        let rows = rows(&fixture, "until").iter().filter(move |row| {
            row["shape"].as_str() == Some(shape) && row["min"].as_u64() == Some(u64::from(min))
        });
        let shares: Vec<(f64, f64)> = rows
            .map(|row| {
                (
                    row["half_width"].as_f64().unwrap(),
                    row["coverage"].as_f64().unwrap(),
                )
            })
            .collect();
        assert_eq!(shares.len(), 3, "{shape} from {min}");
        shares
    };
    // What is said is the least of what was simulated, to a hundredth.
    for min in [2, 3, 4, 5, 7, 10, 15, 20] {
        let said = coverage_at_stop(min);
        for (shape, said) in [("normal", said.normal), ("exponential", said.skewed)] {
            let least = theirs(shape, min)
                .iter()
                .map(|(_, share)| *share)
                .fold(1.0, f64::min);
            assert!(
                (said - least).abs() < 0.0051,
                "{shape} from {min}: {said}, {least}"
            );
        }
    }
    assert_eq!(coverage_at_stop(6), coverage_at_stop(5));
    assert_eq!(
        (coverage_at_stop(0), coverage_at_stop(500)),
        (coverage_at_stop(2), coverage_at_stop(20))
    );

    let mut random = ChaCha8Rng::seed_from_u64(560);
    let shapes: [(&str, Draw); 2] = [("normal", normal), ("exponential", skewed)];
    for (shape, draw) in shapes {
        for min in [2, 3, 5] {
            let mut held = 0;
            for _ in 0..RUNS {
                let mut values: Vec<f64> = (0..min).map(|_| draw(&mut random)).collect();
                while !width::enough(&values, 0.5) {
                    values.push(draw(&mut random));
                }
                let (low, high) = Statistics::of(&values).unwrap().ci95.unwrap();
                held += usize::from(low <= 0.0 && 0.0 <= high);
            }
            let share = held as f64 / RUNS as f64;
            let (_, expected) = theirs(shape, min)[0];
            // Three standard errors of a share of some 0.8 of 4,000.
            assert!(
                (share - expected).abs() < 0.02,
                "{shape} from {min}: {share} here, {expected} there"
            );
        }
    }
}

#[test]
fn a_plan_warns_of_few_repetitions() {
    let plan = |min: u32| {
        let text = format!(
            "name = \"few\"\nepochs = 2\nrepetitions = {{ min = {min}, max = 30, until = {{ ci95_half_width = 0.01 }} }}\n\
             [settings]\narchitecture = \"perceptron-5\"\n"
        );
        tenfold_core::sweep::Sweep::parse(&text, "few.toml", &[], None)
            .unwrap()
            .describe()
    };
    assert!(
        plan(2).contains("with min = 2") && plan(2).contains("down to 88 times in 100"),
        "{}",
        plan(2)
    );
    assert!(plan(4).contains("down to 91 times"), "{}", plan(4));
    assert!(!plan(5).contains("warning"), "{}", plan(5));
}
