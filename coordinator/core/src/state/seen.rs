//! What may have been seen of a stage's results when somebody extends it.

use tenfold_types::TrialKey;

use super::sweep::SweepState;

/// The most points and trials that are looked at for one stage: an extension must not hold up a turn.
const MAX_LOOKS: u64 = 100_000;

impl SweepState {
    /// Returns in how many repetitions a pair of a stage was to be seen: both of its trials have succeeded or
    /// diverged, or have come to the hypothesis's epoch. One pair
    /// of points is enough where a hypothesis averages over several, since a verdict is shown over those that are there.
    ///
    /// Of the stage's hypotheses that with the most such repetitions counts. Where it has none, or looking at all points of
    /// theirs would take too long, the repetitions count in which any two trials have a result: never fewer.
    pub(crate) fn complete_pairs(&self, stage: u32) -> u32 {
        let Some(of) = self.sweep().stage(stage) else {
            return 0;
        };
        let with_two: Vec<u32> = (0..of.repetitions())
            .filter(|repetition| self.shows_two(stage, *repetition))
            .collect();
        let hypotheses = self.sweep().hypotheses().iter();
        let hypotheses: Vec<_> = hypotheses.filter(|of| of.stage == stage).collect();
        let looks = of
            .raw_points()
            .saturating_mul(hypotheses.len() as u64 * u64::from(of.repetitions()));
        if hypotheses.is_empty() || looks > MAX_LOOKS {
            return with_two.len() as u32;
        }
        let complete = |pairs: &[(u64, u64)], repetition: u32, epoch: u32| {
            let there = |index: u64| {
                let key = TrialKey {
                    stage,
                    index,
                    repetition,
                };
                // Whoever watches sees epochs before a trial is over.
                let reached = self.live(key).is_some_and(|curve| curve.epochs() >= epoch);
                reached || self.has_result(key)
            };
            pairs.iter().any(|&(this, than)| there(this) && there(than))
        };
        let most = hypotheses.into_iter().map(|hypothesis| {
            let pairs = hypothesis.pairs(self.sweep());
            let complete =
                (0..of.repetitions()).filter(|repetition| complete(&pairs, *repetition, hypothesis.at));
            complete.count() as u32
        });
        most.max().unwrap_or_default()
    }
}
