//! Checkpoints: what a trial has learned, kept in a folder for a later trial with the same spec but more epochs, which goes
//! on from it. A cache and nothing else: without one, a trial is trained from its start, to the same curve.

mod file;
mod room;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};
use tenfold_types::network::Outline;
use tenfold_types::{TrialSpec, frame};

use crate::array::Learned;
use crate::network::{Layout, state_length};
use file::Size;
use room::Room;

/// What a trial was after some epochs.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Epochs trained.
    pub epochs: u32,
    /// Values of an epoch.
    pub metrics: usize,
    /// The curve up to there: `epochs × metrics` values, epoch by epoch.
    pub curve: Vec<f32>,
    /// What it had learned.
    pub learned: Learned,
}

impl Checkpoint {
    /// The values of each epoch, in the order of [`TrialSpec::metrics`].
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.curve.chunks_exact(self.metrics.max(1))
    }
}

/// What a checkpoint is of: a hash of everything that decides a curve's bits, but the number of epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key([u8; 32]);

impl Key {
    /// 64 hexadecimal digits.
    fn name(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A folder of checkpoints, which trainers of several nodes may share.
#[derive(Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    /// Everything but the trial that decides bits.
    machine: String,
    room: Room,
    /// A checkpoint could not be kept, and that was said.
    complained: AtomicBool,
}

impl Checkpoints {
    /// Those of a device in this folder, which need not be there yet; it takes at most `bytes`. `fuse` is as in
    /// [`Place`](crate::train::Place).
    pub fn new(folder: &Path, bytes: u64, device: &frame::Device, fuse: bool) -> Self {
        Self {
            folder: folder.to_owned(),
            machine: machine(device, fuse),
            room: Room::new(folder, bytes),
            complained: AtomicBool::new(false),
        }
    }

    /// None when no longer trial begins like this one.
    fn key(&self, spec: &TrialSpec) -> Option<Key> {
        if spec.schedule.depends_on_epochs() {
            return None;
        }
        let spec = TrialSpec {
            epochs: 0,
            ..spec.clone()
        };
        let bytes = postcard::to_stdvec(&(&self.machine, spec)).ok()?;
        let mut hash = Sha256::new();
        hash.update(b"tenfold checkpoint");
        hash.update(file::VERSION.to_le_bytes());
        hash.update(bytes);
        Some(Key(hash.finalize().into()))
    }

    /// The longest way that a trial can go on from, at most as long as itself. `outline` is the trial's.
    ///
    /// A file that is of no use is passed over, with a warning.
    pub fn find(&self, spec: &TrialSpec, outline: &Outline) -> Option<Checkpoint> {
        let key = self.key(spec)?;
        let name = key.name();
        let shelf = room::shelf(&self.folder, &name);
        let epochs_of = |entry: io::Result<std::fs::DirEntry>| {
            let entry = entry.ok()?.file_name();
            let epochs = entry.to_str()?.strip_prefix(&name)?.strip_prefix('-')?;
            epochs
                .parse()
                .ok()
                .filter(|epochs| (1..=spec.epochs).contains(epochs))
        };
        // None were ever kept there, as a rule.
        let entries = std::fs::read_dir(&shelf).ok()?;
        let mut epochs: Vec<u32> = entries.filter_map(epochs_of).collect();
        epochs.sort_unstable();
        let parameters = Layout::new(spec, outline).length();
        for epochs in epochs.into_iter().rev() {
            let size = Size {
                epochs,
                metrics: spec.metrics().len(),
                parameters,
                state: state_length(spec, outline),
            };
            let path = shelf.join(room::name(&name, epochs));
            match read(&path, &key, size) {
                Ok(checkpoint) => return Some(checkpoint),
                // Somebody has made room.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let file = path.display();
                    tracing::warn!(%file, %error, "a checkpoint is of no use, and the trial is trained without it");
                }
            }
        }
        None
    }

    /// Keeps what a trial has learned, all epochs of its curve included. Where that is not possible, it says so once and
    /// goes on.
    pub fn keep(&self, spec: &TrialSpec, checkpoint: &Checkpoint) {
        let Some(key) = self.key(spec) else { return };
        if let Err(error) = self.write(&key, checkpoint)
            && !self.complained.swap(true, Ordering::Relaxed)
        {
            let folder = self.folder.display();
            tracing::warn!(%folder, %error, "checkpoints cannot be kept; trials that go on from others are trained whole");
        }
    }

    fn write(&self, key: &Key, checkpoint: &Checkpoint) -> io::Result<()> {
        let bytes = file::encode(key, checkpoint);
        self.room.make(bytes.len() as u64)?;
        let name = key.name();
        let shelf = room::shelf(&self.folder, &name);
        room::create(&shelf)?;
        // Beside it and then in its place: no reader sees half of it, and of two writers one comes last. It need not
        // outlive a crash of the system: what is damaged is noticed.
        let mut beside = tempfile::Builder::new()
            .prefix(room::UNFINISHED)
            .tempfile_in(&shelf)?;
        beside.write_all(&bytes)?;
        beside.persist(shelf.join(room::name(&name, checkpoint.epochs)))?;
        Ok(())
    }
}

/// What decides bits beside the trial: the device, the kernels, the versions. Products on a processor are cut to its caches,
/// so its model counts, and vectors are as wide as it has them.
fn machine(device: &frame::Device, fuse: bool) -> String {
    format!(
        "{} {}, vectors {}, {}, f32, libtorch {}, tenfold {}",
        device.kind,
        device.name,
        crate::host::vectors(),
        if fuse { "fused" } else { "apart" },
        device.libtorch,
        env!("CARGO_PKG_VERSION"),
    )
}

fn read(path: &Path, key: &Key, size: Size) -> io::Result<Checkpoint> {
    let damaged = |damage| io::Error::new(io::ErrorKind::InvalidData, damage);
    // Not into memory, if it is of another length: it may be of any.
    let length = std::fs::metadata(path)?.len();
    if length != size.bytes() {
        return Err(damaged(file::Damage::Length(length, size.bytes())));
    }
    file::decode(key, size, &std::fs::read(path)?).map_err(damaged)
}
