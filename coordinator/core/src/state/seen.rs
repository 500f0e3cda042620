//! What may have been seen of a stage's results when somebody extends it.

use tenfold_types::TrialKey;

use super::sweep::SweepState;

/// The most points and trials that are looked at for one stage: an extension must not hold up a turn.
const MAX_LOOKS: u64 = 100_000;

impl SweepState {
    /// Returns how many pairs of a stage are complete: every trial of theirs has succeeded or diverged.
    ///
    /// Of the stage's hypotheses that with the most complete pairs counts. Where it has none, or looking at all points of
    /// theirs would take too long, the repetitions count in which any two trials have a result: never fewer.
    pub(crate) fn complete_pairs(&self, stage: u32) -> u32 {
        let Some(of) = self.sweep().stage(stage) else {
            return 0;
        };
        let with_two: Vec<u32> = (0..of.repetitions())
            .filter(|repetition| self.has_two_results(stage, *repetition))
            .collect();
        let hypotheses = self.sweep().hypotheses().iter();
        let hypotheses: Vec<_> = hypotheses.filter(|of| of.stage == stage).collect();
        let looks = of
            .raw_points()
            .saturating_mul(hypotheses.len() as u64 + with_two.len() as u64);
        if hypotheses.is_empty() || looks > MAX_LOOKS {
            return with_two.len() as u32;
        }
        let complete = |pairs: &[(u64, u64)], repetition: u32| {
            let mut points = pairs.iter().flat_map(|&(this, than)| [this, than]);
            points.all(|index| {
                self.has_result(TrialKey {
                    stage,
                    index,
                    repetition,
                })
            })
        };
        let most = hypotheses.into_iter().map(|hypothesis| {
            let pairs = hypothesis.pairs(self.sweep());
            let complete = with_two
                .iter()
                .filter(|repetition| complete(&pairs, **repetition));
            complete.count() as u32
        });
        most.max().unwrap_or_default()
    }
}
