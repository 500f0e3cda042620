//! What a pack's training tells the worker.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tenfold_types::frame::FromTrainer;
use tenfold_types::{Block, Outcome};

use crate::session::{Shared, lock};
use crate::train::{End, Follower, TrainError};

/// Epochs that take less are handed over several at a time.
const BLOCK_TIME: Duration = Duration::from_millis(20);

/// The most epochs of a block: those of a checkpoint come all at once.
const BLOCK_EPOCHS: usize = 256;

/// The longest text of an error, in characters; the rest is of no use to the person who submitted.
const MAX_ERROR: usize = 2000;

/// An error's text, not too long for a frame.
pub(crate) fn shortened(error: &str) -> String {
    error.chars().take(MAX_ERROR).collect()
}

/// Hands the epochs of a pack's trials to the worker, and asks it which are cancelled.
pub(crate) struct Reporter<'a> {
    shared: &'a Shared,
    pack: u64,
    trials: Vec<Mutex<Epochs>>,
    /// The socket broke: nothing more is wanted.
    broken: AtomicBool,
    error: Mutex<Option<io::Error>>,
}

/// A trial's epochs that were not handed over yet.
struct Epochs {
    /// Values of an epoch.
    metrics: usize,
    handed_over: u32,
    handed_over_at: Instant,
    /// Values, epoch by epoch.
    rows: Vec<f32>,
    seconds: Vec<f32>,
}

impl Epochs {
    /// All of them as a block; none when there are none.
    fn take(&mut self) -> Option<Block> {
        if self.seconds.is_empty() {
            return None;
        }
        let columns = (0..self.metrics)
            .flat_map(|metric| self.rows.iter().skip(metric).step_by(self.metrics))
            .copied()
            .collect();
        let seconds = std::mem::take(&mut self.seconds);
        let block = Block {
            first: self.handed_over + 1,
            epochs: seconds.len() as u32,
            columns,
            seconds,
        };
        self.rows.clear();
        self.handed_over = block.last();
        self.handed_over_at = Instant::now();
        Some(block)
    }
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(shared: &'a Shared, pack: u64, trials: usize) -> Self {
        let epochs = || Epochs {
            metrics: 0,
            handed_over: 0,
            handed_over_at: Instant::now(),
            rows: Vec::new(),
            seconds: Vec::new(),
        };
        Self {
            shared,
            pack,
            trials: (0..trials).map(|_| Mutex::new(epochs())).collect(),
            broken: AtomicBool::new(false),
            error: Mutex::new(None),
        }
    }

    /// What went wrong with the socket, if anything did.
    pub(crate) fn finish(self) -> io::Result<()> {
        match lock(&self.error).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn send(&self, message: &FromTrainer) {
        if let Err(error) = self.shared.send(message) {
            lock(&self.error).get_or_insert(error);
            self.broken.store(true, Ordering::Relaxed);
        }
    }

    fn hand_over(&self, trial: usize, block: Option<Block>) {
        if let Some(block) = block {
            self.send(&FromTrainer::Epochs {
                pack: self.pack,
                trial: trial as u32,
                block,
            });
        }
    }
}

impl Follower for Reporter<'_> {
    fn batch(&self) {
        self.shared.progress.fetch_add(1, Ordering::Relaxed);
    }

    fn wants(&self, trial: usize) -> bool {
        !self.broken.load(Ordering::Relaxed) && !self.shared.is_cancelled(self.pack, trial as u32)
    }

    fn epoch(&self, trial: usize, values: &[f32], seconds: f32) {
        let mut epochs = lock(&self.trials[trial]);
        epochs.metrics = values.len();
        epochs.rows.extend_from_slice(values);
        epochs.seconds.push(seconds);
        if epochs.handed_over_at.elapsed() >= BLOCK_TIME || epochs.seconds.len() >= BLOCK_EPOCHS {
            let block = epochs.take();
            drop(epochs);
            self.hand_over(trial, block);
        }
    }

    fn ended(&self, trial: usize, end: Result<End, Arc<TrainError>>) {
        let block = lock(&self.trials[trial]).take();
        self.hand_over(trial, block);
        let outcome = match end {
            Ok(End::Succeeded) => Outcome::Succeeded,
            Ok(End::Diverged(epoch)) => Outcome::Diverged { epoch },
            Ok(End::Released) => Outcome::Released,
            Err(error) => Outcome::Failed {
                error: shortened(&error.to_string()),
            },
        };
        self.send(&FromTrainer::Ended {
            pack: self.pack,
            trial: trial as u32,
            outcome,
        });
    }
}
