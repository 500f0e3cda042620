//! A trainer without libtorch, for tests: speaks the frames, and makes up curves that depend on the trial alone.
//!
//! What it does is set by its environment, so that a worker under test can start it as it starts the real one:
//!
//! | variable | meaning |
//! | --- | --- |
//! | `FAKE_EPOCH_MS` | an epoch takes so long (0) |
//! | `FAKE_CRASH_AT` | it writes to its standard error and kills itself in this epoch |
//! | `FAKE_EXIT_AT` | it exits with code 7 in this epoch |
//! | `FAKE_HANG_AT` | it makes no progress any more from this epoch on |
//! | `FAKE_DIVERGE_AT` | the trial diverges in this epoch |
//! | `FAKE_REFUSE` | it ends every trial as failed, with this text |
//! | `FAKE_SHORT` | it ends every trial one epoch too early |
//! | `FAKE_ONCE` | crash, exit and hang happen once: to whoever creates this file |
//! | `FAKE_DEAF` | it obeys no cancellation |
//! | `FAKE_UNFIT` | it says that it is unfit, with this text |
//! | `FAKE_PROTOCOL` | it greets with this version of the frames |
//! | `FAKE_KIND` | it says that it trains on this kind of device (cpu) |
//! | `FAKE_LANES` | it says that it trains so many trials at once (1) |
//! | `FAKE_FITS` | its memory fits so many trials of a pack |
//! | `FAKE_JOURNAL` | it adds a line to this file for each epoch: when (ms since 1970), of which pack, trial and epoch |
//!
//! The trials of a pack take turns, an epoch each.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tenfold_types::frame::{self, DESCRIPTOR, Device, FromTrainer, PROTOCOL, Rate, ToTrainer, Trial};
use tenfold_types::{Block, DeviceKind, Outcome, TrialSpec};

const ALIVE: Duration = Duration::from_millis(50);

fn main() -> std::io::Result<()> {
    if std::env::args().any(|argument| argument == "--probe") {
        println!("libtorch=fake\ncuda_devices=0\nthreads=1\ndata=ok");
        return Ok(());
    }
    #[expect(
        unsafe_code,
        reason = "there is no safe way to own a descriptor that is known by number alone"
    )]
    // SAFETY: it came with the process, and nothing has opened or taken any descriptor before.
    let socket = unsafe { UnixStream::from_raw_fd(DESCRIPTOR) };
    let trainer = Arc::new(Trainer {
        writer: Mutex::new(socket.try_clone()?),
        progress: AtomicU64::new(0),
        hanging: AtomicBool::new(false),
        cancelled: Mutex::default(),
    });
    if let Ok(error) = std::env::var("FAKE_UNFIT") {
        return trainer.send(&FromTrainer::Unfit { error });
    }
    let device = Device {
        kind: std::env::var("FAKE_KIND")
            .ok()
            .and_then(|kind| kind.parse().ok())
            .unwrap_or(DeviceKind::Cpu),
        name: "fake".to_owned(),
        threads: 1,
        libtorch: "fake".to_owned(),
    };
    let protocol = number("FAKE_PROTOCOL").unwrap_or(PROTOCOL);
    trainer.send(&FromTrainer::Hello {
        protocol,
        device,
        lanes: number("FAKE_LANES").unwrap_or(1),
        memory: 0,
    })?;
    let (sender, packs) = mpsc::channel();
    let listener = Arc::clone(&trainer);
    thread::spawn(move || listener.listen(socket, &sender));
    let pulse = Arc::clone(&trainer);
    thread::spawn(move || {
        while pulse.send_alive().is_ok() {
            thread::sleep(ALIVE);
        }
    });
    for work in packs {
        trainer.send(&match work {
            ToTrainer::Train { pack, trials } => {
                trainer.train(pack, &trials)?;
                let fits = number("FAKE_FITS").unwrap_or(u32::MAX);
                let largest = fits.min(trials.len() as u32);
                FromTrainer::PackEnded { pack, largest }
            }
            ToTrainer::Measure { pack, sizes, .. } => measured(pack, &sizes),
            ToTrainer::Cancel { .. } => continue,
        })?;
    }
    Ok(())
}

/// Sixteen trials at once are as fast as it gets.
fn measured(pack: u64, sizes: &[u32]) -> FromTrainer {
    let fits = number("FAKE_FITS").unwrap_or(u32::MAX);
    let rate = |&trials: &u32| Rate {
        trials,
        epochs_per_second: f64::from(trials.min(16)),
        bytes: 0,
    };
    FromTrainer::Measured {
        pack,
        rates: sizes.iter().filter(|size| **size <= fits).map(rate).collect(),
        error: None,
    }
}

fn number(variable: &str) -> Option<u32> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Whether trouble that is set for this epoch comes now.
fn trouble(variable: &str, epoch: u32) -> bool {
    number(variable) == Some(epoch)
        && std::env::var("FAKE_ONCE").map_or(true, |path| File::create_new(path).is_ok())
}

struct Trainer {
    writer: Mutex<UnixStream>,
    progress: AtomicU64,
    hanging: AtomicBool,
    cancelled: Mutex<HashSet<(u64, u32)>>,
}

impl Trainer {
    fn send(&self, message: &FromTrainer) -> std::io::Result<()> {
        frame::write(
            &mut *self.writer.lock().unwrap_or_else(PoisonError::into_inner),
            message,
        )
    }

    fn send_alive(&self) -> std::io::Result<()> {
        let progress = self.progress.load(Ordering::Relaxed);
        self.send(&FromTrainer::Alive { progress })
    }

    fn listen(&self, mut socket: UnixStream, packs: &mpsc::Sender<ToTrainer>) {
        while let Ok(Some(message)) = frame::read(&mut socket) {
            match message {
                work @ (ToTrainer::Train { .. } | ToTrainer::Measure { .. }) => _ = packs.send(work),
                ToTrainer::Cancel { pack, trial } => {
                    let mut cancelled = self.cancelled.lock().unwrap_or_else(PoisonError::into_inner);
                    cancelled.insert((pack, trial));
                }
            }
        }
        std::process::exit(0);
    }

    fn is_cancelled(&self, pack: u64, trial: u32) -> bool {
        let cancelled = self.cancelled.lock().unwrap_or_else(PoisonError::into_inner);
        cancelled.contains(&(pack, trial)) && std::env::var_os("FAKE_DEAF").is_none()
    }

    fn train(&self, pack: u64, trials: &[Trial]) -> std::io::Result<()> {
        let specs = trials.iter().map(|trial| &trial.spec);
        let mut open: Vec<(u32, &TrialSpec)> = (0..).zip(specs).collect();
        let mut epoch = 0;
        while !open.is_empty() {
            epoch += 1;
            let mut going_on = Vec::new();
            for (trial, spec) in open {
                if self.epoch(pack, trial, spec, epoch)? {
                    going_on.push((trial, spec));
                }
            }
            open = going_on;
        }
        Ok(())
    }

    /// Trains an epoch, or ends the trial; whether it goes on.
    fn epoch(&self, pack: u64, trial: u32, spec: &TrialSpec, epoch: u32) -> std::io::Result<bool> {
        let end = |outcome| {
            self.send(&FromTrainer::Ended { pack, trial, outcome })?;
            Ok(false)
        };
        if let Ok(error) = std::env::var("FAKE_REFUSE") {
            return end(Outcome::Failed { error });
        }
        let short = u32::from(std::env::var_os("FAKE_SHORT").is_some());
        if epoch > spec.epochs - short {
            return end(Outcome::Succeeded);
        }
        if trouble("FAKE_CRASH_AT", epoch) {
            eprintln!("the fake trainer crashes in epoch {epoch}");
            _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
        if trouble("FAKE_EXIT_AT", epoch) {
            eprintln!("the fake trainer exits in epoch {epoch}");
            std::process::exit(7);
        }
        if trouble("FAKE_HANG_AT", epoch) {
            self.hanging.store(true, Ordering::Relaxed);
        }
        while self.hanging.load(Ordering::Relaxed) && !self.is_cancelled(pack, trial) {
            thread::sleep(ALIVE);
        }
        if self.is_cancelled(pack, trial) {
            return Ok(false);
        }
        if number("FAKE_DIVERGE_AT") == Some(epoch) {
            return end(Outcome::Diverged { epoch });
        }
        thread::sleep(Duration::from_millis(number("FAKE_EPOCH_MS").unwrap_or(0).into()));
        self.progress.fetch_add(1, Ordering::Relaxed);
        journal(pack, trial, epoch)?;
        let block = Block {
            first: epoch,
            epochs: 1,
            columns: curve(spec, epoch)?,
            seconds: vec![0.001],
        };
        self.send(&FromTrainer::Epochs { pack, trial, block })?;
        // The end is said in the same turn: a trainer that waits for its neighbours would keep it back.
        match epoch == spec.epochs - short {
            true => end(Outcome::Succeeded),
            false => Ok(true),
        }
    }
}

/// One write for each line: those of trainers that share the file do not mix.
fn journal(pack: u64, trial: u32, epoch: u32) -> std::io::Result<()> {
    let Some(path) = std::env::var_os("FAKE_JOURNAL") else {
        return Ok(());
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let line = format!("{} {pack} {trial} {epoch}\n", now.as_millis());
    let mut file = File::options().create(true).append(true).open(path)?;
    file.write_all(line.as_bytes())
}

/// A value for each metric that falls with the epochs, from a hash (FNV-1a) of all that the trial is.
fn curve(spec: &TrialSpec, epoch: u32) -> std::io::Result<Vec<f32>> {
    let hash = frame::encode(spec)?
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let level = |metric: usize| ((hash >> (8 * (metric % 8))) & 0xff) as f32 / 512.0;
    Ok((0..spec.metrics().len())
        .map(|metric| level(metric) / epoch as f32)
        .collect())
}
