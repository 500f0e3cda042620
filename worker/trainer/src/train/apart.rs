//! Trials of a pack one by one, as many at once as there are threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::{End, Follower, Pack, TrainError, diverged, fits, guarded};
use crate::array::{Array, Tick};
use crate::host::HostArray;

impl Pack<'_> {
    pub(super) fn train_apart(&self) {
        let next = AtomicUsize::new(0);
        let work = || {
            // A curve's bits must not depend on how libtorch would share an operation among threads.
            tch::set_num_threads(1);
            loop {
                let trial = next.fetch_add(1, Ordering::Relaxed);
                if trial >= self.trials.len() {
                    return;
                }
                if !self.follower.wants(trial) {
                    continue;
                }
                let trained = guarded(|| {
                    // Whatever an earlier trial that panicked has left behind.
                    tch::with_grad(|| self.train_alone(trial))
                });
                if let Some(end) = trained.transpose() {
                    self.follower.ended(trial, end.map_err(Arc::new));
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.place.threads.min(self.trials.len()) {
                scope.spawn(work);
            }
            work();
        });
    }

    /// A trial to its end; none when it is no longer wanted.
    fn train_alone(&self, trial: usize) -> Result<Option<End>, TrainError> {
        struct Wanted<'a>(&'a dyn Follower, usize);
        impl Tick for Wanted<'_> {
            fn tick(&self) -> bool {
                self.0.batch();
                self.0.wants(self.1)
            }
        }
        let (spec, follower) = (&self.trials[trial].spec, self.follower);
        let outline = spec.check()?;
        fits(
            crate::host::bytes(spec, &outline),
            self.place.memory / self.place.threads.max(1) as u64,
        )?;
        let found = self.find(trial, &outline);
        let hand_over_found = || {
            let rows = found.iter().flat_map(|found| found.rows());
            rows.for_each(|row| follower.epoch(trial, row, 0.0));
        };
        let begun = found.as_ref().map_or(0, |found| found.epochs);
        if begun == spec.epochs {
            hand_over_found();
            return Ok(Some(End::Succeeded));
        }
        let mut array = HostArray::<f32>::new(std::slice::from_ref(spec), self.mnist)?;
        let mut curve = Vec::new();
        if let Some(found) = &found {
            array.resume(0, begun, &found.learned)?;
            hand_over_found();
            curve.extend(&found.curve);
        }
        for epoch in begun + 1..=spec.epochs {
            let start = Instant::now();
            let Some(rows) = array.epochs(1, &Wanted(follower, trial))? else {
                return Ok(None);
            };
            let seconds = start.elapsed().as_secs_f32();
            for row in rows.iter().flatten() {
                if diverged(row) {
                    return Ok(Some(End::Diverged(epoch)));
                }
                follower.epoch(trial, &row.values, seconds);
                if self.is_kept(trial) {
                    curve.extend(&row.values);
                }
            }
        }
        if self.is_kept(trial) {
            self.keep(trial, curve, array.learned(0));
        }
        Ok(Some(End::Succeeded))
    }
}
