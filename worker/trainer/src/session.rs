//! The conversation with the worker: packs in, epochs out.
//!
//! Three threads: this one trains; one reads, so that cancellations and the end of the file are seen while it does; one
//! says every second that the process is alive.

use std::collections::HashSet;
use std::io;
use std::num::NonZeroU16;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tenfold_types::frame::{self, FromTrainer, PROTOCOL, ToTrainer};
use tenfold_types::{Block, Outcome, TrialSpec};

use crate::data::Mnist;
use crate::device::{self, Wanted};
use crate::train::{End, Follower, train};

/// Epochs that take less are handed over several at a time.
const BLOCK_TIME: Duration = Duration::from_millis(20);

/// How often the process says that it is alive.
const ALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// The longest text of an error, in characters; the rest is of no use to the person who submitted.
const MAX_ERROR: usize = 2000;

/// What ended a session before the worker did.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No data or no device; the worker has been told.
    #[error("unfit: {0}")]
    Unfit(String),
    /// The socket broke.
    #[error("the worker's socket: {0}")]
    Socket(#[from] io::Error),
}

struct Pack {
    number: u64,
    trials: Vec<TrialSpec>,
    measure: bool,
}

/// What the three threads share.
#[derive(Debug)]
struct Shared {
    writer: Mutex<UnixStream>,
    /// Things to do before this process is idle: getting ready, and each pack.
    outstanding: AtomicU64,
    /// Batches trained or evaluated.
    progress: AtomicU64,
    /// Packs and places of trials that are no longer wanted.
    cancelled: Mutex<HashSet<(u64, u32)>>,
}

impl Shared {
    fn send(&self, message: &FromTrainer) -> io::Result<()> {
        frame::write(&mut *lock(&self.writer), message)
    }

    fn is_cancelled(&self, pack: u64, trial: u32) -> bool {
        lock(&self.cancelled).contains(&(pack, trial))
    }
}

/// A thread that panicked leaves nothing half-done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gets data and device ready, then trains pack after pack until the worker closes the socket.
///
/// When the worker closes it while there is work, the process kills itself at once.
///
/// # Errors
/// Data or device cannot be had, or the socket breaks.
pub fn run(socket: UnixStream, wanted: Wanted, threads: NonZeroU16, data: &Path) -> Result<(), SessionError> {
    let reader = socket.try_clone()?;
    let shared = Arc::new(Shared {
        writer: Mutex::new(socket),
        outstanding: AtomicU64::new(1),
        progress: AtomicU64::new(0),
        cancelled: Mutex::default(),
    });
    let (sender, packs) = mpsc::channel();
    thread::spawn({
        let shared = Arc::clone(&shared);
        move || read(reader, &shared, sender)
    });

    let ready = Mnist::load(data)
        .map_err(|error| error.to_string())
        .and_then(|mnist| {
            let (device, of_record) = device::start(wanted, threads).map_err(|error| error.to_string())?;
            Ok((mnist, device, of_record))
        });
    shared.outstanding.fetch_sub(1, Ordering::SeqCst);
    let (mnist, device, of_record) = match ready {
        Ok(ready) => ready,
        Err(error) => {
            shared.send(&FromTrainer::Unfit { error: error.clone() })?;
            return Err(SessionError::Unfit(error));
        }
    };
    tracing::debug!("ready on {of_record:?}");
    shared.send(&FromTrainer::Hello {
        protocol: PROTOCOL,
        device: of_record,
        lanes: threads.get().into(),
        memory: 0,
    })?;
    thread::spawn({
        let shared = Arc::clone(&shared);
        move || say_alive(&shared)
    });
    for pack in packs {
        train_pack(&pack, &mnist, device, &shared)?;
        // First: when the worker hears of it, it may close the socket, and that must find this process idle.
        shared.outstanding.fetch_sub(1, Ordering::SeqCst);
        let answer = match pack.measure {
            false => FromTrainer::PackEnded {
                pack: pack.number,
                largest: pack.trials.len() as u32,
            },
            true => FromTrainer::Measured {
                pack: pack.number,
                rates: Vec::new(),
                error: Some("this trainer does not measure".to_owned()),
            },
        };
        shared.send(&answer)?;
    }
    Ok(())
}

fn read(mut socket: UnixStream, shared: &Shared, packs: Sender<Pack>) {
    loop {
        match frame::read(&mut socket) {
            Ok(Some(ToTrainer::Train { pack: number, trials })) => {
                shared.outstanding.fetch_add(1, Ordering::SeqCst);
                if packs
                    .send(Pack {
                        number,
                        trials,
                        measure: false,
                    })
                    .is_err()
                {
                    return;
                }
            }
            Ok(Some(ToTrainer::Measure { pack: number, .. })) => {
                shared.outstanding.fetch_add(1, Ordering::SeqCst);
                if packs
                    .send(Pack {
                        number,
                        trials: Vec::new(),
                        measure: true,
                    })
                    .is_err()
                {
                    return;
                }
            }
            Ok(Some(ToTrainer::Cancel { pack, trial })) => {
                lock(&shared.cancelled).insert((pack, trial));
            }
            Ok(None) => break,
            Err(error) => {
                tracing::error!("the worker's socket: {error}");
                break;
            }
        }
    }
    if shared.outstanding.load(Ordering::SeqCst) > 0 {
        // A normal exit would take libtorch down under the feet of the thread that trains.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
    // An idle process ends by itself when `packs` is dropped.
}

fn say_alive(shared: &Shared) {
    loop {
        thread::sleep(ALIVE_INTERVAL);
        let progress = shared.progress.load(Ordering::Relaxed);
        if shared.outstanding.load(Ordering::SeqCst) > 0
            && shared.send(&FromTrainer::Alive { progress }).is_err()
        {
            return;
        }
    }
}

fn train_pack(pack: &Pack, mnist: &Mnist, device: tch::Device, shared: &Shared) -> io::Result<()> {
    // Those of packs that are over. Of this pack there may be some already.
    lock(&shared.cancelled).retain(|&(number, _)| number == pack.number);
    for (trial, spec) in (0..).zip(&pack.trials) {
        if shared.is_cancelled(pack.number, trial) {
            continue;
        }
        let mut reporter = Reporter::new(shared, pack.number, trial);
        let end = catch_unwind(AssertUnwindSafe(|| train(spec, mnist, device, &mut reporter)));
        if let Some(error) = reporter.error.take() {
            return Err(error);
        }
        let outcome = match end {
            Ok(Ok(End::Stopped)) => continue,
            Ok(Ok(End::Succeeded)) => Outcome::Succeeded,
            Ok(Ok(End::Diverged(epoch))) => Outcome::Diverged { epoch },
            Ok(Err(error)) => failed(&error.to_string()),
            Err(panic) => failed(&format!("the trainer panicked: {}", words(panic.as_ref()))),
        };
        reporter.hand_over()?;
        shared.send(&FromTrainer::Ended {
            pack: pack.number,
            trial,
            outcome,
        })?;
    }
    Ok(())
}

fn failed(error: &str) -> Outcome {
    Outcome::Failed {
        error: error.chars().take(MAX_ERROR).collect(),
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

/// Hands a trial's epochs to the worker, and stops it when it is cancelled.
struct Reporter<'a> {
    shared: &'a Shared,
    pack: u64,
    trial: u32,
    /// Values of an epoch.
    metrics: usize,
    handed_over: u32,
    handed_over_at: Instant,
    /// Values of the epochs since, epoch by epoch.
    rows: Vec<f32>,
    seconds: Vec<f32>,
    error: Option<io::Error>,
}

impl<'a> Reporter<'a> {
    fn new(shared: &'a Shared, pack: u64, trial: u32) -> Self {
        Self {
            shared,
            pack,
            trial,
            metrics: 0,
            handed_over: 0,
            handed_over_at: Instant::now(),
            rows: Vec::new(),
            seconds: Vec::new(),
            error: None,
        }
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let epochs = self.seconds.len();
        if epochs == 0 {
            return Ok(());
        }
        let columns = (0..self.metrics)
            .flat_map(|metric| self.rows.iter().skip(metric).step_by(self.metrics))
            .copied()
            .collect();
        let block = Block {
            first: self.handed_over + 1,
            epochs: epochs as u32,
            columns,
            seconds: std::mem::take(&mut self.seconds),
        };
        self.rows.clear();
        self.handed_over = block.last();
        self.handed_over_at = Instant::now();
        self.shared.send(&FromTrainer::Epochs {
            pack: self.pack,
            trial: self.trial,
            block,
        })
    }
}

impl Follower for Reporter<'_> {
    fn batch(&mut self) -> bool {
        self.shared.progress.fetch_add(1, Ordering::Relaxed);
        !self.shared.is_cancelled(self.pack, self.trial)
    }

    fn epoch(&mut self, values: &[f32], seconds: f32) -> bool {
        self.metrics = values.len();
        self.rows.extend_from_slice(values);
        self.seconds.push(seconds);
        if self.handed_over_at.elapsed() >= BLOCK_TIME {
            self.error = self.hand_over().err();
        }
        self.error.is_none()
    }
}
