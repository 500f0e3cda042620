//! The conversation with the worker: packs in, epochs out.
//!
//! One thread trains, or starts the threads that do; one reads, so that cancellations and the end of the file are seen
//! meanwhile; one says every second that the process is alive.

use std::collections::HashSet;
use std::io;
use std::num::NonZeroU16;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tenfold_types::TrialSpec;
use tenfold_types::frame::{self, FromTrainer, PROTOCOL, ToTrainer, Trial};

use crate::checkpoint::Checkpoints;
use crate::data::Mnist;
use crate::device::{self, Wanted};
use crate::measure::measure;
use crate::report::{Reporter, shortened};
use crate::train::{Pack, Place};

/// How often the process says that it is alive.
const ALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// What ended a session before the worker did.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No data or no device, or it was lost; the worker has been told.
    #[error("unfit: {0}")]
    Unfit(String),
    /// The socket broke.
    #[error("the worker's socket: {0}")]
    Socket(#[from] io::Error),
}

/// Something to do.
enum Work {
    Train {
        pack: u64,
        trials: Vec<Trial>,
    },
    Measure {
        pack: u64,
        spec: Box<TrialSpec>,
        sizes: Vec<u32>,
        memory: u64,
    },
}

/// What the threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    writer: Mutex<UnixStream>,
    /// Things to do before this process is idle: getting ready, and each pack.
    outstanding: AtomicU64,
    /// Batches trained or evaluated.
    pub(crate) progress: AtomicU64,
    /// Packs and places of trials that are no longer wanted.
    cancelled: Mutex<HashSet<(u64, u32)>>,
}

impl Shared {
    pub(crate) fn send(&self, message: &FromTrainer) -> io::Result<()> {
        frame::write(&mut *lock(&self.writer), message)
    }

    pub(crate) fn is_cancelled(&self, pack: u64, trial: u32) -> bool {
        lock(&self.cancelled).contains(&(pack, trial))
    }
}

/// A thread that panicked leaves nothing half-done behind these locks.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gets data and device ready, then trains pack after pack until the worker closes the socket.
///
/// When the worker closes it while there is work, the process kills itself at once. `checkpoints` is the folder that trials go
/// on from, and how many bytes it may take.
///
/// # Errors
/// Data or device cannot be had, or the socket breaks.
pub fn run(
    socket: UnixStream,
    wanted: Wanted,
    threads: NonZeroU16,
    data: &Path,
    checkpoints: Option<(PathBuf, u64)>,
) -> Result<(), SessionError> {
    let reader = socket.try_clone()?;
    let shared = Arc::new(Shared {
        writer: Mutex::new(socket),
        outstanding: AtomicU64::new(1),
        progress: AtomicU64::new(0),
        cancelled: Mutex::default(),
    });
    let (sender, work) = mpsc::channel();
    thread::spawn({
        let shared = Arc::clone(&shared);
        move || read(reader, &shared, sender)
    });

    let ready = Mnist::load(data)
        .map_err(|error| error.to_string())
        .and_then(|mnist| {
            let ready = device::start(wanted, threads).map_err(|error| error.to_string())?;
            Ok((mnist, ready))
        });
    shared.outstanding.fetch_sub(1, Ordering::SeqCst);
    let (mnist, ready) = match ready {
        Ok(ready) => ready,
        Err(error) => {
            shared.send(&FromTrainer::Unfit { error: error.clone() })?;
            return Err(SessionError::Unfit(error));
        }
    };
    tracing::debug!("ready on {:?}", ready.of_record);
    let checkpoints = checkpoints
        .map(|(folder, bytes)| Checkpoints::new(&folder, bytes, &ready.of_record, ready.place.fuse));
    shared.send(&FromTrainer::Hello {
        protocol: PROTOCOL,
        device: ready.of_record,
        lanes: ready.lanes,
        memory: ready.place.memory,
    })?;
    thread::spawn({
        let shared = Arc::clone(&shared);
        move || say_alive(&shared)
    });
    for work in work {
        let answer = match work {
            Work::Train { pack: number, trials } => {
                let reporter = Reporter::new(&shared, number, trials.len());
                let pack = Pack {
                    trials: &trials,
                    mnist: &mnist,
                    place: ready.place,
                    checkpoints: checkpoints.as_ref(),
                    follower: &reporter,
                };
                let answer = train(number, pack, &shared);
                reporter.finish()?;
                answer
            }
            Work::Measure {
                pack,
                spec,
                sizes,
                memory,
            } => {
                let place = Place {
                    memory: ready.place.memory.min(memory),
                    ..ready.place
                };
                let measured = measure(&spec, &sizes, &mnist, place, &|| {
                    shared.progress.fetch_add(1, Ordering::Relaxed);
                });
                let (rates, error) = match measured {
                    Ok(rates) => (rates, None),
                    Err(error) => (Vec::new(), Some(shortened(&error.to_string()))),
                };
                FromTrainer::Measured { pack, rates, error }
            }
        };
        // First: when the worker hears of it, it may close the socket, and that must find this process idle.
        shared.outstanding.fetch_sub(1, Ordering::SeqCst);
        shared.send(&answer)?;
        if let FromTrainer::Unfit { error } = answer {
            return Err(SessionError::Unfit(error));
        }
    }
    Ok(())
}

/// Trains a pack and hands everything over but the last word.
fn train(number: u64, pack: Pack<'_>, shared: &Shared) -> FromTrainer {
    // Those of packs that are over. Of this pack there may be some already.
    lock(&shared.cancelled).retain(|&(of, _)| of == number);
    let trained = pack.train();
    match trained.lost {
        None => FromTrainer::PackEnded {
            pack: number,
            largest: trained.largest as u32,
        },
        Some(error) => FromTrainer::Unfit {
            error: format!("the device is lost: {error}"),
        },
    }
}

fn read(mut socket: UnixStream, shared: &Shared, work: Sender<Work>) {
    loop {
        match frame::read(&mut socket) {
            Ok(Some(ToTrainer::Train { pack, trials })) => {
                shared.outstanding.fetch_add(1, Ordering::SeqCst);
                if work.send(Work::Train { pack, trials }).is_err() {
                    return;
                }
            }
            Ok(Some(ToTrainer::Measure {
                pack,
                spec,
                sizes,
                memory,
            })) => {
                shared.outstanding.fetch_add(1, Ordering::SeqCst);
                let measure = Work::Measure {
                    pack,
                    spec: Box::new(spec),
                    sizes,
                    memory,
                };
                if work.send(measure).is_err() {
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
    // An idle process ends by itself when `work` is dropped.
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
