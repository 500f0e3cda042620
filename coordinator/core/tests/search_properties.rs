//! What holds of searches that stop early whatever the points came to: above all for points with repetitions missing, of which no
//! published implementation knows.

use proptest::collection::vec;
use proptest::prelude::*;
use tenfold_core::rank::Rank;
use tenfold_core::search::{Standing, asha, halving, median, patience, width};

/// Few values, so that ties are common; of many something is missing, and of some nothing is left, whatever is missing.
fn standing() -> impl Strategy<Value = Standing> {
    (0..8u8, 0..8u32, 0..8u32).prop_map(|(mean, n, missing)| Standing {
        n,
        missing: missing.saturating_sub(4),
        mean: Rank::number(if n > 0 { f64::from(mean) / 4.0 } else { 0.0 }),
    })
}

/// What a standing is ordered by, in the plainest way: less is better. None where nothing is left.
fn key(standing: &Standing) -> Option<(u32, u64)> {
    (standing.n > 0).then_some((standing.missing, (standing.mean.value() * 4.0) as u64))
}

/// A standing with something left that is better by a step: a lesser mean, or fewer missing and a greater mean.
fn better(standing: Standing, fewer: bool) -> Standing {
    match fewer && standing.missing > 0 {
        true => Standing {
            n: standing.n + 1,
            missing: standing.missing - 1,
            mean: Rank::number(standing.mean.value() + 100.0),
        },
        false => Standing {
            mean: Rank::number(standing.mean.value() - 0.25),
            ..standing
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn halving_keeps_the_best_and_of_equal_ones_the_first(
        standings in vec(standing(), 0..40),
        keep in 0usize..20,
    ) {
        let best = halving::best(&standings, keep);
        let alive = standings.iter().filter(|standing| standing.n > 0).count();
        prop_assert_eq!(best.len(), keep.min(alive));
        prop_assert!(best.is_sorted_by(|a, b| a < b), "{:?}", best);
        for kept in &best {
            let kept_key = key(&standings[*kept]);
            prop_assert!(kept_key.is_some(), "nothing is left of {}", kept);
            for (left, standing) in standings.iter().enumerate().filter(|(place, _)| !best.contains(place)) {
                let Some(left_key) = key(standing) else { continue };
                let wrong = Some(left_key) < kept_key || (Some(left_key) == kept_key && left < *kept);
                prop_assert!(!wrong, "{} is kept and {} is not", kept, left);
                prop_assert!(
                    !(standing.missing == 0 && standings[*kept].missing > 0),
                    "one with something missing is kept in the place of one without"
                );
            }
        }
    }

    #[test]
    fn rung_after_rung_halving_keeps_what_one_division_does(points in 1usize..10_000, factor in 2u32..10) {
        let mut left = points;
        for k in 1..=4 {
            left = halving::kept(left, factor);
            prop_assert_eq!(left, (points / (factor as usize).pow(k)).max(1));
        }
    }

    /// Whoever is among the best of those that are there goes on, and whoever goes on is, or ties with one that is.
    #[test]
    fn asynchronous_halving_agrees_with_halving_of_those_that_are_there(
        all in vec(standing(), 1..40),
        factor in 2u32..6,
    ) {
        let this = all.len() - 1;
        let alive = all.iter().filter(|standing| standing.n > 0).count();
        let best = halving::best(&all, halving::kept(alive, factor));
        let ties = best.iter().any(|place| key(&all[*place]) == key(&all[this]));
        let goes_on = asha::goes_on(&all[..this], all[this], factor);
        prop_assert_eq!(goes_on, best.contains(&this) || (ties && all[this].n > 0));
    }

    /// More than half of all better: counted in a sorted list.
    #[test]
    fn the_median_rule_stops_the_worse_half(all in vec(standing(), 1..40), startup in 0u32..10) {
        let this = all.len() - 1;
        let goes_on = median::goes_on(&all[..this], all[this], startup);
        let Some(this_key) = key(&all[this]) else {
            prop_assert!(!goes_on);
            return Ok(());
        };
        let mut keys: Vec<(u32, u64)> = all.iter().filter_map(key).collect();
        keys.sort_unstable();
        let rank = keys.iter().position(|other| *other == this_key);
        let in_better_half = rank.is_some_and(|rank| rank as f64 / all.len() as f64 <= 0.5);
        prop_assert_eq!(goes_on, in_better_half || this < startup as usize);
    }

    #[test]
    fn who_is_better_goes_on_where_another_does(
        before in vec(standing(), 0..40),
        this in standing(),
        fewer: bool,
        factor in 2u32..6,
        startup in 0u32..10,
    ) {
        prop_assume!(this.n > 0);
        let better = better(this, fewer);
        prop_assert!(!asha::goes_on(&before, this, factor) || asha::goes_on(&before, better, factor));
        prop_assert!(!median::goes_on(&before, this, startup) || median::goes_on(&before, better, startup));
        let dead = Standing { n: 0, missing: 3, mean: Rank::number(0.0) };
        prop_assert!(!asha::goes_on(&before, dead, factor) && !median::goes_on(&before, dead, startup));
        // One of which nothing is left is no competitor of anybody.
        let mut with_dead = before.clone();
        with_dead.insert(before.len() / 2, dead);
        prop_assert_eq!(asha::goes_on(&with_dead, this, factor), asha::goes_on(&before, this, factor));
    }

    /// What falls goes on for ever; what rises by more than is allowed stops as soon as there are enough epochs.
    #[test]
    fn patience_has_an_end(steps in vec(1..100u32, 1..30), patience in 0u32..10, delta in 0u32..4) {
        let mut sum = 0.0;
        let mut rising = Vec::new();
        for step in &steps {
            rising.push(sum);
            sum += f64::from(*step + delta);
        }
        let falling: Vec<f64> = rising.iter().map(|value| -value).collect();
        let delta = f64::from(delta);
        for epoch in 0..=steps.len() {
            prop_assert!(patience::goes_on(&falling[..epoch], patience, delta));
            let too_early = epoch <= patience as usize + 1;
            prop_assert_eq!(patience::goes_on(&rising[..epoch], patience, delta), too_early);
        }
    }

    #[test]
    fn a_narrow_interval_is_narrow_for_a_wider_one_too(
        values in vec(-1000..1000i32, 0..30),
        half in 0.0..500.0f64,
        more in 0.0..500.0f64,
    ) {
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        prop_assert!(!width::enough(&values, half) || width::enough(&values, half + more));
        prop_assert!(values.len() >= 2 || !width::enough(&values, f64::MAX));
        prop_assert!(!width::enough(&values, f64::NAN));
        // The same in other units.
        let doubled: Vec<f64> = values.iter().map(|value| value * 2.0).collect();
        prop_assert_eq!(width::enough(&values, half), width::enough(&doubled, half * 2.0));
    }
}
