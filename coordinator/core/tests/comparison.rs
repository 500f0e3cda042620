//! Paired comparisons against SciPy; `fixtures/comparison.py` says how the numbers came about.

#![expect(clippy::unwrap_used, reason = "a test may unwrap")]

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::Value;
use tenfold_core::aggregate::Statistics;
use tenfold_core::compare::{
    Comparison, Difference, Null, area, coverage_of_lowest, epochs_to, exact_mcnemar, holm, reach,
    two_sided_t,
};
use tenfold_core::rank::Rank;

fn fixture() -> serde_json::Result<Value> {
    serde_json::from_str(include_str!("fixtures/comparison.json"))
}

fn numbers(list: &Value) -> Vec<f64> {
    let list = list.as_array().unwrap();
    list.iter().map(|value| value.as_f64().unwrap()).collect()
}

fn all(values: &[f64]) -> Vec<Option<f64>> {
    values.iter().copied().map(Some).collect()
}

#[track_caller]
fn close(ours: Option<f64>, theirs: Option<f64>, tolerance: f64, what: &str) {
    assert_eq!(
        ours.is_some(),
        theirs.is_some(),
        "{what}: {ours:?} here, {theirs:?} there"
    );
    if let (Some(ours), Some(theirs)) = (ours, theirs) {
        let difference = (ours - theirs).abs();
        assert!(
            difference <= tolerance * theirs.abs() || difference < 1e-15,
            "{what}: {ours:e} here, {theirs:e} there"
        );
    }
}

#[test]
fn paired_samples_have_the_tests_that_scipy_gives_them() {
    let fixture = fixture().unwrap();
    let rows = fixture["comparisons"].as_array().unwrap();
    assert!(rows.len() >= 20);
    let (mut exact, mut tied, mut tiny) = (0, 0, 0);
    for row in rows {
        let (this, than) = (all(&numbers(&row["this"])), all(&numbers(&row["than"])));
        let ours = Comparison::of(&this, &than);
        let theirs = |key: &str| row.get(key).and_then(Value::as_f64);
        let what = format!("n = {}, first {:?}", this.len(), this[0]);
        assert_eq!((ours.left_out, ours.missing), (0, 0));
        let difference = ours.difference.unwrap();
        let statistics = difference.statistics;
        assert_eq!(Some(f64::from(statistics.n)), theirs("n"));
        close(Some(statistics.mean), theirs("mean"), 1e-10, &what);
        // What should be 0 in SciPy's fixture is the noise of its mean.
        let deviation = theirs("standard_deviation").filter(|deviation| *deviation > 1e-15);
        close(
            statistics.standard_deviation.filter(|deviation| *deviation > 0.0),
            deviation,
            1e-10,
            &what,
        );
        if let (Some((low, high)), Some(_)) = (statistics.ci95, deviation) {
            close(Some(low), row["ci95"][0].as_f64(), 1e-9, &what);
            close(Some(high), row["ci95"][1].as_f64(), 1e-9, &what);
            close(difference.t_test.map(|test| test.t), theirs("t"), 1e-9, &what);
            close(difference.t_test.map(|test| test.p), theirs("p_t"), 1e-6, &what);
            close(difference.d_z, theirs("d_z"), 1e-9, &what);
            close(difference.g_z, theirs("g_z"), 1e-9, &what);
            tiny += usize::from(theirs("p_t").unwrap() < 1e-9);
        } else {
            assert_eq!(
                (difference.t_test, difference.d_z, difference.g_z),
                (None, None, None)
            );
        }
        let wilcoxon = difference.wilcoxon;
        close(wilcoxon.map(|test| test.statistic), theirs("w"), 1e-12, &what);
        close(wilcoxon.map(|test| test.p), theirs("p_w"), 1e-9, &what);
        close(wilcoxon.map(|test| test.n.into()), theirs("n_w"), 0.0, &what);
        let is_exact = wilcoxon.map(|test| test.null == Null::Exact);
        assert_eq!(is_exact, row.get("exact").and_then(Value::as_bool), "{what}");
        exact += usize::from(is_exact == Some(true));
        // With ties no sum of whole ranks says what the p-value is.
        let mut sizes: Vec<u64> = this
            .iter()
            .zip(&than)
            .map(|(this, than)| ((this.unwrap() - than.unwrap()).abs() * 1e9).round() as u64)
            .filter(|size| *size > 0)
            .collect();
        let count = sizes.len();
        sizes.sort_unstable();
        sizes.dedup();
        tied += usize::from(is_exact == Some(true) && sizes.len() < count);
    }
    assert!(
        exact >= 5 && tied >= 12 && tiny >= 2,
        "{exact} exact, {tied} of them with ties, {tiny} far in the tails"
    );
}

#[test]
fn tails_of_t_keep_their_digits() {
    let fixture = fixture().unwrap();
    let tails = fixture["tails"].as_array().unwrap();
    assert!(tails.iter().any(|tail| tail["p"].as_f64().unwrap() < 1e-10));
    for tail in tails {
        let (t, freedom) = (tail["t"].as_f64().unwrap(), tail["freedom"].as_f64().unwrap());
        let what = format!("t = {t}, {freedom} degrees of freedom");
        close(two_sided_t(t, freedom), tail["p"].as_f64(), 1e-6, &what);
        assert_eq!(two_sided_t(t, freedom), two_sided_t(-t, freedom));
    }
}

#[test]
fn families_are_corrected() {
    for family in fixture().unwrap()["families"].as_array().unwrap() {
        let (ours, theirs) = (holm(&numbers(&family["p"])), numbers(&family["holm"]));
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            close(Some(ours), Some(theirs), 1e-12, "holm");
        }
    }
    assert_eq!(holm(&[]), Vec::<f64>::new());
    assert_eq!(holm(&[0.5, 0.01, 0.6]), [1.0, 0.03, 1.0]);
}

#[test]
fn curves_have_the_areas_and_epochs_that_numpy_gives_them() {
    let fixture = fixture().unwrap();
    let (mut reached, mut never) = (0, 0);
    for curve in fixture["curves"].as_array().unwrap() {
        let values = numbers(&curve["values"]);
        let what = format!("{} epochs", values.len());
        close(area(&values), curve["area"].as_f64(), 1e-12, &what);
        for row in curve["reached"].as_array().unwrap() {
            let ours = epochs_to(&values, Rank::of(row["threshold"].as_f64().unwrap(), None), None);
            assert_eq!(ours.map(u64::from), row["epochs"].as_u64(), "{what}, {row}");
            match ours {
                Some(_) => reached += 1,
                None => never += 1,
            }
        }
    }
    assert!(reached > 10 && never > 5, "{reached} reached, {never} never");
}

#[test]
fn epochs_to_a_threshold_have_the_median_and_interval_that_scipy_gives_them() {
    let fixture = fixture().unwrap();
    let (mut bounded, mut open) = (0, 0);
    for row in fixture["reaches"].as_array().unwrap() {
        let epochs = row["epochs"].as_array().unwrap().iter();
        let epochs: Vec<Option<u32>> = epochs
            .map(|epochs| epochs.as_u64().map(|epochs| epochs as u32))
            .collect();
        let ours = reach(&epochs).unwrap();
        let what = format!("{} of {}", ours.censored, ours.n);
        assert_eq!(ours.median, row["median"].as_f64(), "{what}");
        let interval = ours.interval;
        assert_eq!(
            interval.map(|interval| interval.low),
            row["low"].as_f64(),
            "{what}"
        );
        assert_eq!(
            interval.and_then(|interval| interval.high),
            row["high"].as_f64(),
            "{what}"
        );
        let coverage = interval.map(|interval| interval.coverage);
        close(
            coverage,
            row.get("coverage").and_then(Value::as_f64),
            1e-10,
            &what,
        );
        if let Some(interval) = interval {
            bounded += usize::from(interval.high.is_some());
            open += usize::from(interval.high.is_none());
        }
    }
    assert!(bounded >= 4 && open >= 3, "{bounded} bounded, {open} open");
}

#[test]
fn what_one_side_lacks_is_left_out_and_counted() {
    let this = [Some(0.1), None, Some(0.3), None];
    let than = [Some(0.2), Some(0.2), Some(0.6), None];
    let ours = Comparison::of(&this, &than);
    assert_eq!((ours.pairs(), ours.left_out, ours.missing), (2, 1, 1));
    let longer = [this.as_slice(), &[Some(0.9), None]].concat();
    assert_eq!(
        Comparison::of(&longer, &than),
        ours,
        "repeated more often than the other"
    );
    assert_eq!((ours.this_mean, ours.than_mean), (Some(0.2), Some(0.4)));
    assert_eq!(ours.difference.unwrap().statistics.mean, -0.2);

    let one = Comparison::of(&[Some(0.1)], &[Some(0.2)]).difference.unwrap();
    assert_eq!((one.statistics.ci95, one.t_test, one.d_z), (None, None, None));
    let none = Comparison::of(&[Some(0.1)], &[None]);
    assert_eq!(
        (none.difference.clone(), none.this_mean, none.left_out),
        (None, None, 1)
    );
    assert_eq!(none.pairs(), 0);
}

#[test]
fn an_interaction_is_a_difference_of_differences() {
    // a1b1 − a1b0 is −0.1, −0.2, −0.3; a0b1 − a0b0 is 0.1 throughout.
    let both = all(&[0.3, 0.3, 0.3]);
    let first = all(&[0.4, 0.5, 0.6]);
    let second = all(&[0.7, 0.8, 0.9]);
    let mut neither = all(&[0.6, 0.7, 0.8]);
    let (contrast, left_out) = Difference::interaction(&both, &first, &second, &neither);
    let contrast = contrast.unwrap();
    assert_eq!((contrast.statistics.n, left_out), (3, 0));
    assert!((contrast.statistics.mean + 0.3).abs() < 1e-12);
    assert!((contrast.statistics.standard_deviation.unwrap() - 0.1).abs() < 1e-12);
    neither[1] = None;
    let (contrast, left_out) = Difference::interaction(&both, &first, &second, &neither);
    assert_eq!((contrast.unwrap().statistics.n, left_out), (2, 1));
    assert_eq!(Difference::interaction(&[], &[], &[], &[]), (None, 0));
}

#[test]
fn rates_have_the_exact_test_that_statsmodels_gives_them() {
    let fixture = fixture().unwrap();
    let rows = fixture["rates"].as_array().unwrap();
    assert!(rows.len() >= 10);
    for row in rows {
        let count = |key: &str| u32::try_from(row[key].as_u64().unwrap()).unwrap();
        let ours = exact_mcnemar(count("only_this"), count("only_than"));
        close(Some(ours), row["p"].as_f64(), 1e-8, &row.to_string());
    }
}

#[test]
fn the_interval_of_the_lowest_mean_holds_as_often_as_scipy_says_and_as_draws_show() {
    let fixture: Value = serde_json::from_str(include_str!("fixtures/coverage.json")).unwrap();
    let rows = fixture["lowest"].as_array().unwrap();
    assert!(rows.len() > 50);
    for row in rows {
        let count = |key: &str| u32::try_from(row[key].as_u64().unwrap()).unwrap();
        let ours = coverage_of_lowest(count("groups"), count("n")).unwrap();
        let theirs = row["coverage"].as_f64().unwrap();
        assert!((ours - theirs).abs() < 1e-6, "{ours} here, {row}");
    }

    const RUNS: usize = 4_000;
    let mut random = ChaCha8Rng::seed_from_u64(2019);
    let mut normal = || {
        let mut uniform = || ((random.next_u64() >> 11) as f64 + 0.5) / 2f64.powi(53);
        (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
    };
    for (groups, n) in [(4, 10), (12, 10), (18, 3)] {
        let mut held = 0;
        for _ in 0..RUNS {
            let mut group = || Statistics::of(&(0..n).map(|_| normal()).collect::<Vec<f64>>()).unwrap();
            let all: Vec<Statistics> = (0..groups).map(|_| group()).collect();
            let lowest = all.iter().min_by(|a, b| a.mean.total_cmp(&b.mean)).unwrap();
            let (low, high) = lowest.ci95.unwrap();
            held += usize::from(low <= 0.0 && 0.0 <= high);
        }
        let (drawn, said) = (held as f64 / RUNS as f64, coverage_of_lowest(groups, n).unwrap());
        // Three standard errors of a share of some 0.8 of 4,000.
        assert!(
            (drawn - said).abs() < 0.02,
            "{groups} groups, n = {n}: {drawn} drawn, {said}"
        );
    }
}
