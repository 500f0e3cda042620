//! Shapes, and what a kind of layer has to say of itself.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::Value;

/// Values of one sample between two layers: more are refused as absurd.
pub(super) const MAX_VALUES: u64 = 10_000_000;

/// What a layer takes and gives, for one sample (the batch is no part of it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Shape {
    /// A vector of so many values.
    Flat(u64),
    /// A signal.
    Signal {
        /// Channels.
        channels: u64,
        /// Values of each.
        length: u64,
    },
    /// An image.
    Image {
        /// Channels.
        channels: u64,
        /// Rows.
        height: u64,
        /// Columns.
        width: u64,
    },
}

impl Shape {
    /// How many values it has.
    ///
    /// # Errors
    /// [`Misfit::TooLarge`] when the number fits no 64 bits.
    pub fn values(self) -> Result<u64, Misfit> {
        match self {
            Self::Flat(values) => Ok(values),
            Self::Signal { channels, length } => checked(channels.checked_mul(length)),
            Self::Image {
                channels,
                height,
                width,
            } => checked(channels.checked_mul(height).and_then(|n| n.checked_mul(width))),
        }
    }
}

impl Shape {
    /// Channels and length of a signal, or of an image read as one: each channel row by row, so that 1 × 14 × 14 is
    /// 1 × 196.
    pub fn signal(self) -> Option<(u64, u64)> {
        match self {
            Self::Flat(_) => None,
            Self::Signal { channels, length } => Some((channels, length)),
            Self::Image {
                channels,
                height,
                width,
            } => Some((channels, height.checked_mul(width)?)),
        }
    }
}

/// `196`, or channels and length: `20 × 194`, or channels, rows and columns: `20 × 12 × 12`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flat(values) => values.fmt(f),
            Self::Signal { channels, length } => write!(f, "{channels} × {length}"),
            Self::Image {
                channels,
                height,
                width,
            } => write!(f, "{channels} × {height} × {width}"),
        }
    }
}

/// What a kind of layer says of itself; to add one, write a file like its neighbours and a line in `mod.rs`.
pub trait LayerKind {
    /// Its name in sweep files and on the wire.
    const NAME: &'static str;

    /// Its settings by their names in sweep files, those at their defaults left out.
    fn settings(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    /// What it makes of an input.
    ///
    /// # Errors
    /// The input does not fit, or a setting makes no sense.
    fn flow(&self, input: Shape) -> Result<Flow, Misfit>;
}

/// What a layer makes of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// What comes out.
    pub output: Shape,
    /// Weights and biases.
    pub parameters: u64,
    /// Operations of a forward pass: two for each multiplication with its addition; all others count nothing.
    pub operations: u64,
}

impl Flow {
    /// Of a layer without parameters, whose operations count nothing.
    pub fn free(output: Shape) -> Self {
        Self {
            output,
            parameters: 0,
            operations: 0,
        }
    }
}

/// Why a layer cannot stand where it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// The input's shape is wrong; this is what it needs.
    Input(String),
    /// A setting is wrong; what it is and what it needs to be.
    Setting(String),
    /// A size that no machine holds.
    TooLarge,
}

/// The number, unless it overflowed.
pub(super) fn checked(number: Option<u64>) -> Result<u64, Misfit> {
    number.ok_or(Misfit::TooLarge)
}

/// The channels of an image, and the rows and columns of places that a square kernel has on it.
pub(super) fn window(
    input: Shape,
    kernel: NonZeroU32,
    stride: NonZeroU32,
    padding: u32,
) -> Result<(u64, u64, u64), Misfit> {
    let kernel = u64::from(kernel.get());
    let padding = 2 * u64::from(padding);
    let least = kernel.saturating_sub(padding).max(1);
    let Shape::Image {
        channels,
        height,
        width,
    } = input
    else {
        return Err(Misfit::Input(format!("an image of at least {least} × {least}")));
    };
    if height < least || width < least {
        return Err(Misfit::Input(format!("at least {least} × {least}")));
    }
    let places = |size: u64| (size + padding - kernel) / u64::from(stride.get()) + 1;
    Ok((channels, places(height), places(width)))
}

/// The channels of a signal, or an image read as one, and the places that a kernel has on it.
pub(super) fn window1d(
    input: Shape,
    kernel: NonZeroU32,
    stride: NonZeroU32,
    padding: u32,
) -> Result<(u64, u64), Misfit> {
    let kernel = u64::from(kernel.get());
    let padding = 2 * u64::from(padding);
    let least = kernel.saturating_sub(padding).max(1);
    match input.signal() {
        Some((channels, length)) if length >= least => Ok((
            channels,
            (length + padding - kernel) / u64::from(stride.get()) + 1,
        )),
        Some(_) => Err(Misfit::Input(format!("at least {least} values in each channel"))),
        None => Err(Misfit::Input(format!(
            "a signal of at least {least} values in each channel, or an image"
        ))),
    }
}
