//! Error rates of verdicts, where there is nothing to be found: differences of counts of known distributions, and families of
//! true and of false claims.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use tenfold_core::compare::{Evidence, Verdict, corrected};
use tenfold_core::sweep::Claim;

/// A number of [0, 1).
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// The distribution of the number of wrong answers of `n`, each wrong with probability `p`, as its cumulative sums.
fn binomial(n: u32, p: f64) -> Vec<f64> {
    let mut term = (1.0 - p).powi(n as i32);
    let mut sum = 0.0;
    (0..=n)
        .map(|k| {
            sum += term;
            term *= f64::from(n - k) / f64::from(k + 1) * p / (1.0 - p);
            sum
        })
        .collect()
}

fn draw(rng: &mut ChaCha8Rng, cumulative: &[f64]) -> f64 {
    let at = uniform(rng);
    cumulative.partition_point(|sum| *sum <= at) as f64
}

/// Two sides have the same error rate, and yet one is claimed to be lower. The t test alone supports that in up to a fourth of
/// all sweeps where counts are small; with the deviation of one answer at least it keeps 2.5 %.
#[test]
fn counts_near_zero_are_not_supported_more_often_than_they_should() {
    const RUNS: u32 = 4_000;
    // Four standard errors of a rate of 2.5 %.
    let most = 0.025 + 4.0 * (0.025f64 * 0.975 / f64::from(RUNS)).sqrt();
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let mut bare_most: f64 = 0.0;
    for (answers, rate) in [
        (100, 0.002),
        (100, 0.02),
        (1000, 0.0005),
        (1000, 0.002),
        (500, 0.02),
        (500, 0.1),
    ] {
        let distribution = binomial(answers, rate);
        for n in [2, 3, 5, 10] {
            let (mut supported, mut bare) = (0, 0);
            for _ in 0..RUNS {
                let differences: Vec<f64> = (0..n)
                    .map(|_| draw(&mut rng, &distribution) - draw(&mut rng, &distribution))
                    .map(|answers_apart| answers_apart / f64::from(answers))
                    .collect();
                let claim = Claim::Lower(0.0);
                let floored = Evidence::of(claim, &differences, Some(answers));
                supported += u32::from(floored.by_interval == Verdict::Supported);
                let mean = differences.iter().sum::<f64>() / f64::from(n);
                let equal = differences.iter().all(|d| *d == differences[0]);
                let alone = Evidence::of(claim, &differences, None);
                bare += u32::from(alone.by_interval == Verdict::Supported || equal && mean < 0.0);
            }
            let rate_of = |count: u32| f64::from(count) / f64::from(RUNS);
            assert!(
                rate_of(supported) <= most,
                "{answers} answers, rate {rate}, n = {n}: {}",
                rate_of(supported)
            );
            bare_most = bare_most.max(rate_of(bare));
        }
    }
    assert!(
        bare_most > 0.05,
        "without a least deviation it would be more: {bare_most}"
    );
}

/// Twenty families of ten claims that are all false: of such families at most 2.5 % have any of them supported, and without
/// correction about a fifth.
#[test]
fn families_keep_their_error_rate() {
    const RUNS: u32 = 4_000;
    let most = 0.025 + 4.0 * (0.025f64 * 0.975 / f64::from(RUNS)).sqrt();
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    let mut counts = [0u32; 3];
    for _ in 0..RUNS {
        let family: Vec<Evidence> = (0..10)
            .map(|_| {
                // Sums of twelve are normal as far as it matters here.
                let differences: Vec<f64> = (0..10)
                    .map(|_| (0..12).map(|_| uniform(&mut rng)).sum::<f64>() - 6.0)
                    .collect();
                Evidence::of(Claim::Lower(0.0), &differences, None)
            })
            .collect();
        let any = |verdict| corrected(&family).iter().any(|of| of.verdict == verdict);
        counts[0] += u32::from(any(Verdict::Supported));
        counts[1] += u32::from(any(Verdict::Refuted));
        counts[2] += u32::from(family.iter().any(|of| of.by_interval == Verdict::Supported));
    }
    let [supported, refuted, alone] = counts.map(|count| f64::from(count) / f64::from(RUNS));
    assert!(supported <= most && refuted <= most, "{supported} {refuted}");
    assert!(
        supported > 0.01,
        "Holm with independent tests is hardly conservative: {supported}"
    );
    assert!(alone > 0.15, "1 − 0.975^10 = 0.22: {alone}");
}
