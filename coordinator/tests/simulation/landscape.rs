//! What trials come to: a pure function of what they train from, so that whoever trains them, and in whatever stage, comes to
//! the same. Values are eighths: ties are frequent.

use std::hash::{DefaultHasher, Hash, Hasher};

use tenfold_types::{Block, Curve, TrialSpec};

/// One of many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Landscape(pub(crate) u64);

impl Landscape {
    /// A number for a trial: the same for each rung of a search.
    fn number(self, spec: &TrialSpec, repetition: u32, what: (&str, u32, usize)) -> u64 {
        let spec = TrialSpec {
            epochs: 0,
            repetition,
            ..spec.clone()
        };
        let mut hasher = DefaultHasher::new();
        serde_json::to_string(&spec).unwrap().hash(&mut hasher);
        (self.0, what).hash(&mut hasher);
        hasher.finish()
    }

    pub(crate) fn block(self, spec: &TrialSpec, epoch: u32) -> Block {
        let value = |metric| (self.number(spec, spec.repetition, ("value", epoch, metric)) % 8) as f32 / 8.0;
        Block {
            first: epoch,
            epochs: 1,
            columns: (0..spec.metrics().len()).map(value).collect(),
            seconds: vec![1.0],
        }
    }

    /// The epoch in which it diverges, if it does. Some points do at once, however often they are repeated; of the others the
    /// first repetition never does, so that nothing that has gone on is lost, and no point with small batches.
    pub(crate) fn diverges(self, spec: &TrialSpec) -> Option<u32> {
        let one_in = |many: u64, repetition: u32| {
            self.number(spec, repetition, ("diverges", 0, 0))
                .is_multiple_of(many)
        };
        if spec.batch_size > 50 && one_in(6, 0) {
            return Some(1);
        }
        let epoch = 1 + (self.number(spec, spec.repetition, ("when", 0, 0)) % 4) as u32;
        (spec.repetition > 0 && one_in(6, spec.repetition) && epoch <= spec.epochs).then_some(epoch)
    }

    /// Its epochs.
    pub(crate) fn curve(self, spec: &TrialSpec) -> Curve {
        let last = self.diverges(spec).map_or(spec.epochs, |epoch| epoch - 1);
        let mut curve = Curve::new(spec.metrics());
        for epoch in 1..=last {
            assert!(curve.push(&self.block(spec, epoch)));
        }
        curve
    }
}
