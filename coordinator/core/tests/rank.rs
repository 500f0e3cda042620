//! The order of means: total, transitive, and without regard to float32 and to the order of a sum.

use std::cmp::Ordering;

use proptest::collection::vec;
use proptest::prelude::*;
use tenfold_core::rank::{Mean, Rank, Ratio};
use tenfold_core::search::{Standing, asha, halving, median};

/// Numbers of all kinds, many of them equal or nearly so.
fn rank() -> impl Strategy<Value = Rank> {
    let near = (-3..=3i32).prop_map(|k| 0.2 + f64::from(k) * 2e-8);
    prop_oneof![
        (0..40u64, 1..40u64).prop_map(|(sum, of)| Rank::exact(Ratio { sum: sum.min(of), of })),
        near.prop_map(Rank::rounded),
        (0..40u32, 1..40u32).prop_map(|(k, n)| Rank::rounded(f64::from(k) / f64::from(n))),
        any::<f32>()
            .prop_filter("finite", |x| x.is_finite())
            .prop_map(|x| Rank::rounded(x.into())),
        any::<f32>()
            .prop_filter("finite", |x| x.is_finite())
            .prop_map(|x| Rank::of(x.into(), Some(1000))),
        (0..=1000u32).prop_map(|k| Rank::of(f64::from(k as f32 / 1000.0), Some(1000))),
        (any::<u64>(), 1..=u64::MAX).prop_map(|(a, b)| Rank::exact(Ratio {
            sum: a.min(b),
            of: a.max(b)
        })),
        any::<f64>()
            .prop_filter("finite", |x| x.is_finite())
            .prop_map(Rank::number),
    ]
}

/// Of equal sums in another order, and as float32.
fn counts() -> impl Strategy<Value = (u32, Vec<u32>, Vec<u32>)> {
    (1..30_000u32)
        .prop_flat_map(|answers| (Just(answers), vec(0..=answers, 1..20)))
        .prop_flat_map(|(answers, counts)| (Just(answers), Just(counts.clone()), Just(counts).prop_shuffle()))
}

fn mean(counts: &[u32], answers: u32) -> Mean {
    let values: Vec<f64> = counts
        .iter()
        .map(|k| f64::from(*k as f32 / answers as f32))
        .collect();
    Mean::of(&values, Some(answers)).expect("there are some")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_is_total_and_transitive(a in rank(), b in rank(), c in rank()) {
        prop_assert_eq!(a.cmp(&a), Ordering::Equal);
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        if a <= b && b <= c {
            prop_assert!(a <= c, "{:?} {:?} {:?}", a, b, c);
            prop_assert_eq!(a == c, a == b && b == c, "{:?} {:?} {:?}", a, b, c);
        }
    }

    #[test]
    fn means_of_counts_are_compared_as_their_sums((answers, some, others) in counts(), more in vec(0..3u32, 20)) {
        let (a, b) = (mean(&some, answers), mean(&others, answers));
        prop_assert!(a.exact.is_some());
        prop_assert_eq!(a.rank(), b.rank());
        // The same from the aggregated mean alone.
        prop_assert_eq!(Mean::known(b.value, others.len() as u64, Some(answers)).rank(), a.rank());
        // A single answer makes a difference.
        let moved: Vec<u32> = others.iter().zip(&more).map(|(k, more)| (k + more).min(answers)).collect();
        let sum = |counts: &[u32]| counts.iter().map(|k| u64::from(*k)).sum::<u64>();
        prop_assert_eq!(mean(&moved, answers).rank().cmp(&a.rank()), sum(&moved).cmp(&sum(&some)));
    }

    /// Decimals in two ways, that come to the same.
    #[test]
    fn equal_decimals_tie(hundredths in 10..90u32, apart in 0..10u32) {
        let value = |k: u32| f64::from(k as f32 / 100.0);
        let (a, b) = ([value(hundredths - apart), value(hundredths + apart)], [value(hundredths); 2]);
        for answers in [None, Some(100), Some(1000), Some(7)] {
            let rank = |values: &[f64]| Mean::of(values, answers).map(|mean| mean.rank());
            prop_assert_eq!(rank(&a), rank(&b), "{:?}", answers);
        }
    }

    /// What searches decide does not depend on float32 noise.
    #[test]
    fn searches_decide_alike_on_equal_means((answers, some, others) in counts(), rest in vec(0..1000u32, 0..9)) {
        let standing = |mean: Mean| Standing { n: 2, missing: 0, mean: mean.rank() };
        let rest: Vec<Standing> = rest.iter().map(|k| standing(mean(&[*k % answers], answers))).collect();
        let with = |counts: &[u32]| [rest.clone(), vec![standing(mean(counts, answers))]].concat();
        let (a, b) = (with(&some), with(&others));
        prop_assert_eq!(halving::best(&a, 3), halving::best(&b, 3));
        prop_assert_eq!(asha::goes_on(&rest, a[rest.len()], 2), asha::goes_on(&rest, b[rest.len()], 2));
        prop_assert_eq!(median::goes_on(&rest, a[rest.len()], 1), median::goes_on(&rest, b[rest.len()], 1));
    }
}
