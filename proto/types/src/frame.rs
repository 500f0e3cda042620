//! What a worker and its trainer say to each other: length-prefixed frames over one inherited socket.
//!
//! A frame is its length as four bytes, little-endian, and a [`postcard`] encoding of [`ToTrainer`] or
//! [`FromTrainer`]. Both processes come from one build; [`PROTOCOL`] in the greeting refuses any other.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::curve::Block;
use crate::trial::{DeviceKind, Outcome, TrialSpec};

/// Grows with every change of the frames.
pub const PROTOCOL: u32 = 3;

/// The most trials that one pack may have.
pub const MAX_PACK: u32 = 4096;

/// A folder of checkpoints takes so many MiB if nothing else is said.
pub const CHECKPOINT_MIB: u64 = 4096;

/// The descriptor that the trainer finds its end of the socket on.
pub const DESCRIPTOR: i32 = 3;

/// The longest frame that either side accepts, in bytes.
pub const MAX_FRAME: u32 = 16 << 20;

/// A trial of a pack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// What to train.
    pub spec: TrialSpec,
    /// Whether a later trial is to go on where this one stops: the trainer then leaves a checkpoint when it succeeds.
    pub continued: bool,
}

/// A trial that nothing is to go on from.
impl From<TrialSpec> for Trial {
    fn from(spec: TrialSpec) -> Self {
        Self {
            spec,
            continued: false,
        }
    }
}

/// From a worker to its trainer. The trainer exits when the socket reaches its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToTrainer {
    /// Train these trials, 1 to [`MAX_PACK`] of one shape. Sent only to an idle trainer: after [`FromTrainer::Hello`],
    /// [`FromTrainer::PackEnded`] or [`FromTrainer::Measured`].
    Train {
        /// The worker's number for the pack, repeated in every frame about it.
        pack: u64,
        /// The trials; frames name them by their place in this list.
        trials: Vec<Trial>,
    },
    /// Stop training this trial; answered by no [`FromTrainer::Ended`] for it.
    Cancel {
        /// The pack.
        pack: u64,
        /// The trial's place in it.
        trial: u32,
    },
    /// Find out how fast packs of trials such as this one train; answered by [`FromTrainer::Measured`]. Sent only to an
    /// idle trainer, as [`ToTrainer::Train`] is.
    Measure {
        /// The worker's number for the measurement, repeated in the answer.
        pack: u64,
        /// A trial of the shape.
        spec: TrialSpec,
        /// How many trials to try at once, ascending.
        sizes: Vec<u32>,
        /// Sizes that take more than so many bytes on the device are left out.
        memory: u64,
    },
}

/// From a trainer to its worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromTrainer {
    /// The first frame: the trainer is ready.
    Hello {
        /// [`PROTOCOL`] of the trainer's build.
        protocol: u32,
        /// What it trains on.
        device: Device,
        /// Trials that it trains truly at once: its threads on a CPU, 1 on a GPU, where a pack is one network.
        lanes: u32,
        /// Bytes that packs may take on the device; 0 when that is not known.
        memory: u64,
    },
    /// The trainer cannot work at all (no data, no such device). It exits after this frame.
    Unfit {
        /// Why, and what to do about it.
        error: String,
    },
    /// Sent every second while training or measuring; `progress` grows with every batch, so one that stands still has hung.
    Alive {
        /// Batches trained or evaluated since the process started.
        progress: u64,
    },
    /// Epochs of one trial, in order. Those of the pack's other trials may come in between.
    Epochs {
        /// The pack.
        pack: u64,
        /// The trial's place in it.
        trial: u32,
        /// The epochs.
        block: Block,
    },
    /// A trial is over; its last epochs came before. The pack's other trials go on. [`Outcome::Released`] when memory
    /// ran out in the middle of its curve, for no fault of its own.
    Ended {
        /// The pack.
        pack: u64,
        /// The trial's place in it.
        trial: u32,
        /// How it ended.
        outcome: Outcome,
    },
    /// All trials of the pack are over or cancelled: ready for the next.
    PackEnded {
        /// The pack.
        pack: u64,
        /// The most of its trials that were trained as one array. Fewer than it has when memory was too small for all:
        /// they were then trained in several.
        largest: u32,
    },
    /// The answer to [`ToTrainer::Measure`]: ready for a pack.
    Measured {
        /// Its number.
        pack: u64,
        /// By ascending size; sizes for which memory is too small are missing.
        rates: Vec<Rate>,
        /// Why nothing could be measured.
        error: Option<String>,
    },
}

/// How fast a pack of so many trials trains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Trials in the pack.
    pub trials: u32,
    /// Epochs a second, of all its trials together, evaluation included.
    pub epochs_per_second: f64,
    /// What the pack takes on the device, in bytes; 0 when that is not known.
    pub bytes: u64,
}

/// What a trainer runs on, for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its kind.
    pub kind: DeviceKind,
    /// Its model, such as `NVIDIA H100` or the processor's name.
    pub name: String,
    /// CPU threads that compute.
    pub threads: u32,
    /// Such as `2.11.0`.
    pub libtorch: String,
}

/// Writes one frame.
///
/// # Errors
/// The writer's, or `InvalidData` for a message longer than [`MAX_FRAME`].
pub fn write<T: Serialize>(to: &mut impl Write, message: &T) -> io::Result<()> {
    to.write_all(&encode(message)?)?;
    to.flush()
}

/// One frame as bytes, its length first.
///
/// # Errors
/// `InvalidData` for a message longer than [`MAX_FRAME`].
pub fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let bytes = postcard::to_extend(message, vec![0; 4])
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    encode_length(bytes)
}

fn encode_length(mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    let length = u32::try_from(bytes.len() - 4)
        .ok()
        .filter(|&length| length <= MAX_FRAME);
    let length = length.ok_or_else(|| too_long(bytes.len() as u64))?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

fn too_long(length: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a frame of {length} bytes; at most {MAX_FRAME} are allowed"),
    )
}

/// The length that a frame's first four bytes announce.
///
/// # Errors
/// `InvalidData` for more than [`MAX_FRAME`].
pub fn length(prefix: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(prefix);
    if length > MAX_FRAME {
        Err(too_long(length.into()))
    } else {
        Ok(length as usize)
    }
}

/// A message from the bytes behind a frame's length.
///
/// # Errors
/// `InvalidData` when they are no such message.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    postcard::from_bytes(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Reads one frame; `None` at the end of the file between two frames.
///
/// # Errors
/// The reader's, `UnexpectedEof` within a frame, `InvalidData` for bytes that are no such message.
pub fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut prefix = [0; 4];
    let mut have = 0;
    while have < 4 {
        match from.read(&mut prefix[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(more) => have += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut bytes = vec![0; length(prefix)?];
    from.read_exact(&mut bytes)?;
    decode(&bytes).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_one_another_and_end() {
        let first = FromTrainer::Alive { progress: 7 };
        let second = FromTrainer::Ended {
            pack: 1,
            trial: 0,
            outcome: Outcome::Diverged { epoch: 3 },
        };
        let mut bytes = Vec::new();
        write(&mut bytes, &first).unwrap();
        write(&mut bytes, &second).unwrap();
        let mut reader = bytes.as_slice();
        assert_eq!(read(&mut reader).unwrap(), Some(first));
        assert_eq!(read(&mut reader).unwrap(), Some(second));
        assert_eq!(read::<FromTrainer>(&mut reader).unwrap(), None);
    }

    #[test]
    fn a_cut_or_absurd_frame_is_an_error() {
        let bytes = encode(&FromTrainer::Alive { progress: 7 }).unwrap();
        assert!(read::<FromTrainer>(&mut &bytes[..bytes.len() - 1]).is_err());
        assert!(read::<FromTrainer>(&mut &bytes[..2]).is_err());
        assert!(read::<FromTrainer>(&mut [255u8; 8].as_slice()).is_err());
    }
}
