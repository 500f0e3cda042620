//! How fast packs of a shape train here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tenfold_types::TrialSpec;
use tenfold_types::frame::Rate;

use crate::data::Mnist;
use crate::session::lock;
use crate::train::{End, Follower, Place, TrainError, train_pack};

/// A size is tried for about so long, once all its trials have begun.
const TRIED_FOR: Duration = Duration::from_millis(300);

/// Repetitions among the trials of a pack that is tried.
const REPETITIONS: u32 = 10;

/// Trains packs of each size for a moment. Sizes that do not fit memory are left out, and so are all larger ones.
///
/// # Errors
/// Not even one trial can be trained.
pub fn measure(
    spec: &TrialSpec,
    sizes: &[u32],
    mnist: &Mnist,
    place: Place,
    batch: &(dyn Fn() + Sync),
) -> Result<Vec<Rate>, Arc<TrainError>> {
    let outline = spec.check().map_err(TrainError::from)?;
    let mut rates = Vec::new();
    for &size in sizes {
        let trial = |number: u32| TrialSpec {
            // A sweep has few repetitions of each point, and drawing pairs for many takes longer than all else here.
            repetition: number % REPETITIONS,
            // Long enough to be cut short.
            epochs: 1_000_000,
            ..spec.clone()
        };
        let trials: Vec<TrialSpec> = (0..size.max(1)).map(trial).collect();
        let counter = Counter {
            batch,
            lanes: match place.fuse {
                false => place.threads.min(trials.len()) as u64,
                true => 1,
            },
            begun: AtomicU64::new(0),
            since: Mutex::new(None),
            epochs: AtomicU64::new(0),
            error: Mutex::new(None),
        };
        let trained = train_pack(&trials, mnist, place, &counter);
        if let Some(error) = lock(&counter.error).take() {
            if rates.is_empty() {
                return Err(error);
            }
            break;
        }
        if trained.largest < trials.len() || trained.lost.is_some() {
            break;
        }
        let seconds = lock(&counter.since).map_or(f64::MAX, |since| since.elapsed().as_secs_f64());
        let bytes = match place.fuse {
            false => crate::host::bytes(spec, &outline).saturating_mul(counter.lanes),
            true => crate::fused::bytes(spec, &outline, size.into(), size.into()),
        };
        rates.push(Rate {
            trials: size,
            epochs_per_second: counter.epochs.into_inner() as f64 / seconds,
            bytes,
        });
    }
    Ok(rates)
}

/// Counts epochs from the moment at which every lane has finished its first, which pays for what is made once.
struct Counter<'a> {
    batch: &'a (dyn Fn() + Sync),
    lanes: u64,
    /// First epochs finished.
    begun: AtomicU64,
    since: Mutex<Option<Instant>>,
    epochs: AtomicU64,
    error: Mutex<Option<Arc<TrainError>>>,
}

impl Follower for Counter<'_> {
    fn batch(&self) {
        (self.batch)();
    }

    fn wants(&self, _: usize) -> bool {
        lock(&self.since).is_none_or(|since| since.elapsed() < TRIED_FOR)
    }

    fn epoch(&self, _: usize, _: &[f32], _: f32) {
        let mut since = lock(&self.since);
        match *since {
            Some(_) => {
                self.epochs.fetch_add(1, Ordering::Relaxed);
            }
            None if self.begun.fetch_add(1, Ordering::Relaxed) + 1 >= self.lanes => {
                *since = Some(Instant::now());
            }
            None => {}
        }
    }

    fn ended(&self, _: usize, end: Result<End, Arc<TrainError>>) {
        if let Err(error) = end {
            lock(&self.error).get_or_insert(error);
        }
    }
}
