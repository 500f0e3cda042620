//! A checkpoint as bytes: a header that says what it is of, and the numbers as they lie in memory.

use sha2::{Digest, Sha256};
use tenfold_types::floats;

use super::{Checkpoint, Key};
use crate::array::Learned;

/// What a file begins with.
const MAGIC: [u8; 8] = *b"tenfold\x1a";
/// The form of a file. It is part of the key too.
pub(super) const VERSION: u32 = 1;
const CHECKSUM: usize = 32;
/// Magic, version, key, checksum of what follows.
const HEADER: usize = 8 + 4 + 32 + CHECKSUM;
/// Lists of numbers in a file: the curve, the parameters, two moments, the state of layers.
const LISTS: usize = 5;

/// Why a file is of no use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    #[error("it has {0} bytes, needs {1}")]
    Length(u64, u64),
    #[error("it does not begin as a checkpoint does")]
    Magic,
    #[error("it is of form {0}, this version reads {VERSION}")]
    Version(u32),
    #[error("it is of another trial")]
    Key,
    #[error("its checksum is wrong")]
    Checksum,
    #[error("it is of {0} epochs, needs to be of {1}")]
    Epochs(u32, u32),
    #[error("its numbers are not those of this network")]
    Lists,
}

/// How many numbers a checkpoint has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) epochs: u32,
    /// Values of an epoch.
    pub(super) metrics: usize,
    /// Parameters, gaps included.
    pub(super) parameters: usize,
    /// What layers keep.
    pub(super) state: usize,
}

impl Size {
    fn lists(self) -> [usize; LISTS] {
        let curve = self.epochs as usize * self.metrics;
        [
            curve,
            self.parameters,
            self.parameters,
            self.parameters,
            self.state,
        ]
    }

    /// Bytes of the file.
    pub(super) fn bytes(self) -> u64 {
        let numbers = |length: usize| 8 + 4 * length as u64;
        HEADER as u64 + 4 + self.lists().map(numbers).iter().sum::<u64>()
    }
}

/// The file.
pub(super) fn encode(key: &Key, checkpoint: &Checkpoint) -> Vec<u8> {
    let Learned {
        parameters,
        moments: [first, second],
        state,
    } = &checkpoint.learned;
    let lists = [&checkpoint.curve, parameters, first, second, state];
    let numbers: usize = lists.map(Vec::len).iter().sum();
    let mut bytes = Vec::with_capacity(HEADER + 4 + 8 * LISTS + 4 * numbers);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(key.0);
    bytes.extend([0; CHECKSUM]);
    bytes.extend(checkpoint.epochs.to_le_bytes());
    for list in lists {
        bytes.extend((list.len() as u64).to_le_bytes());
        bytes.extend(floats::to_bytes(list));
    }
    let (header, payload) = bytes.split_at_mut(HEADER);
    header[HEADER - CHECKSUM..].copy_from_slice(&Sha256::digest(payload));
    bytes
}

/// What a file has, which is to be of this trial and this size.
pub(super) fn decode(key: &Key, size: Size, bytes: &[u8]) -> Result<Checkpoint, Damage> {
    let mut rest = bytes;
    let short = Damage::Length(bytes.len() as u64, size.bytes());
    let mut take = |count: usize| rest.split_off(..count);
    let mut header = || Some((take(8)?, take(4)?, take(32)?, take(32)?));
    let Some((magic, version, of, checksum)) = header() else {
        return Err(short);
    };
    if magic != MAGIC {
        return Err(Damage::Magic);
    }
    let version = number(version);
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    if of != key.0 {
        return Err(Damage::Key);
    }
    if bytes.len() as u64 != size.bytes() {
        return Err(short);
    }
    if checksum != Sha256::digest(rest).as_slice() {
        return Err(Damage::Checksum);
    }
    let epochs = rest.split_off(..4).map_or(0, number);
    if epochs != size.epochs {
        return Err(Damage::Epochs(epochs, size.epochs));
    }
    let mut lists = size.lists().map(|_| Vec::new());
    for (list, length) in lists.iter_mut().zip(size.lists()) {
        let said = rest.split_off(..8);
        let numbers = rest.split_off(..4 * length).and_then(floats::from_bytes);
        match (said, numbers) {
            (Some(said), Some(numbers)) if said == (length as u64).to_le_bytes() => *list = numbers,
            _ => return Err(Damage::Lists),
        }
    }
    let [curve, parameters, first, second, state] = lists;
    Ok(Checkpoint {
        epochs,
        metrics: size.metrics,
        curve,
        learned: Learned {
            parameters,
            moments: [first, second],
            state,
        },
    })
}

fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |four| u32::from_le_bytes(*four))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_to_the_bit_and_anything_else_is_refused() {
        let numbers = |count: u32, salt: u32| -> Vec<f32> {
            // Among them some that are no numbers, and some that are next to nothing.
            let bits = (0..count).map(|at| 0x7FA0_0000u32.wrapping_add(at.wrapping_mul(0x9E37_79B9) ^ salt));
            bits.map(f32::from_bits).collect()
        };
        let checkpoint = Checkpoint {
            epochs: 3,
            metrics: 5,
            curve: numbers(15, 1),
            learned: Learned {
                parameters: numbers(40, 2),
                moments: [numbers(40, 3), numbers(40, 4)],
                state: numbers(6, 5),
            },
        };
        let size = Size {
            epochs: 3,
            metrics: 5,
            parameters: 40,
            state: 6,
        };
        let key = Key([7; 32]);
        let bytes = encode(&key, &checkpoint);
        assert_eq!(bytes.len() as u64, size.bytes());
        let bits = |of: &Checkpoint| encode(&key, of);
        assert_eq!(bits(&decode(&key, size, &bytes).unwrap()), bytes);
        assert_eq!(decode(&Key([8; 32]), size, &bytes), Err(Damage::Key));
        for length in 0..bytes.len() {
            assert!(decode(&key, size, &bytes[..length]).is_err(), "{length} bytes");
        }
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&key, size, &flipped).is_err(), "bit {bit}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(decode(&key, size, &longer), Err(Damage::Length(..))));
        let other = [
            Size { epochs: 4, ..size },
            Size { metrics: 4, ..size },
            Size {
                parameters: 39,
                ..size
            },
            Size { state: 0, ..size },
            // As many bytes, but other numbers.
            Size {
                parameters: 41,
                state: 3,
                ..size
            },
        ];
        for size in other {
            assert!(decode(&key, size, &bytes).is_err(), "{size:?}");
        }
    }
}
