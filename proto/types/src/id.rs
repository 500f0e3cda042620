//! Names of things: sweeps, trials, attempts, workers, requests, and the fence that orders attempts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Text that should have been an id and was not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct ParseIdError {
    text: String,
    expected: &'static str,
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn unhex<const N: usize>(text: &str, expected: &'static str) -> Result<[u8; N], ParseIdError> {
    let refused = || ParseIdError {
        text: text.to_owned(),
        expected,
    };
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(refused());
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(0..N) {
        *byte = u8::from_str_radix(&text[2 * digits..2 * digits + 2], 16).map_err(|_| refused())?;
    }
    Ok(bytes)
}

macro_rules! hex_id {
    ($(#[$docs:meta])* $name:ident, $bytes:literal, $expected:literal) => {
        $(#[$docs])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; $bytes]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                unhex(text, $expected).map(Self)
            }
        }

        impl $name {
            /// From the raw bytes on the wire or in a store; `None` when their number is wrong.
            pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }
    };
}

hex_id!(
    /// A sweep: the first 16 bytes of the SHA-256 of its normalised text.
    SweepId, 16, "a sweep id: 32 hexadecimal digits"
);
hex_id!(
    /// A worker: drawn at random by the agent when it starts, so that registering twice is harmless.
    WorkerId, 8, "a worker id: 16 hexadecimal digits"
);
hex_id!(
    /// One `Acquire`: drawn at random by the agent, repeated when an answer was lost.
    RequestId, 16, "a request id: 32 hexadecimal digits"
);

impl SweepId {
    /// The id of the sweep with this normalised text.
    pub fn of(normalised: &str) -> Self {
        let digest = Sha256::digest(normalised.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }

    /// The first eight hexadecimal digits, for people.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }
}

/// A number that only grows, given out with each lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub struct Fence(pub u64);

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A trial within its sweep. The order is the order of work: repetition 0 of every point first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrialKey {
    /// Which stage of the sweep, from 0.
    pub stage: u32,
    /// Which independent run of the point, from 0.
    pub repetition: u32,
    /// The point: its index in the raw grid, before `exclude`.
    pub index: u64,
}

impl TrialKey {
    /// Not after any other.
    pub const FIRST: Self = Self {
        stage: 0,
        repetition: 0,
        index: 0,
    };
    /// Not before any other.
    pub const LAST: Self = Self {
        stage: u32::MAX,
        repetition: u32::MAX,
        index: u64::MAX,
    };
}

/// `stage.point.repetition`, each from 0.
impl fmt::Display for TrialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.stage, self.index, self.repetition)
    }
}

impl FromStr for TrialKey {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let refused = || ParseIdError {
            text: text.to_owned(),
            expected: "a trial: stage.point.repetition, such as 0.12.3",
        };
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or_else(refused);
        let (stage, index, repetition) = (next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(refused());
        }
        Ok(Self {
            stage: stage.parse().map_err(|_| refused())?,
            index: index.parse().map_err(|_| refused())?,
            repetition: repetition.parse().map_err(|_| refused())?,
        })
    }
}

/// A trial among all sweeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrialId {
    /// Its sweep.
    pub sweep: SweepId,
    /// Which of the sweep's trials.
    pub key: TrialKey,
}

/// `sweep/stage.point.repetition`.
impl fmt::Display for TrialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.sweep, self.key)
    }
}

/// One try at a trial, as every write names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// The trial that is tried.
    pub trial: TrialId,
    /// The how-manieth try, from 1.
    pub number: u32,
    /// The fence of the lease it runs under.
    pub fence: Fence,
}
