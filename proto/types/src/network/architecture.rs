//! Sub-networks, and the networks that have a name.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{Conv2d, Layer, Linear, MaxPool2d, Relu};

/// Rows and columns of an image as networks see it: MNIST's 28 × 28, averaged 2 × 2.
pub const SIDE: u64 = 14;

/// Kinds of digits.
pub const CLASSES: u32 = 10;

/// The widest named network.
const MAX_NAMED: u32 = 1_000_000;

/// A sub-network's layers, and how many sub-networks there are. With auxiliary loss the last layer must give a value
/// for each of the [`CLASSES`] of a digit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// The name by which the sweep file calls it.
    pub name: String,
    /// How many sub-networks; sub-network `s` sees image `s mod 2`, a single one sees both as channels.
    pub sub_networks: u32,
    /// Their layers, first to last.
    pub layers: Vec<Layer>,
}

impl Architecture {
    /// The named network with two sub-networks; see [`Architecture::named_with`].
    pub fn named(name: &str) -> Option<Self> {
        Self::named_with(name, 2)
    }

    /// The network with this name, if there is one: `perceptron-H`, `conv-C` or `conv1-C`, for any width up to a
    /// million written without leading zeros.
    ///
    /// - `perceptron-H`: linear to H, relu, linear to 10.
    /// - `conv-C`: two convolutions 3 × 3 to C channels, each with relu, max pooling 2 × 2, two linear layers to C,
    ///   each with relu, linear to 10.
    /// - `conv1-C`: the same with one convolution.
    pub fn named_with(name: &str, sub_networks: u32) -> Option<Self> {
        let (family, digits) = name.rsplit_once('-')?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) || digits.starts_with('0') {
            return None;
        }
        let width = digits
            .parse()
            .ok()
            .filter(|&n: &NonZeroU32| n.get() <= MAX_NAMED)?;
        let linear = |units| Layer::from(Linear { units });
        let relu = || Layer::from(Relu {});
        let convolutions = match family {
            "perceptron" => 0,
            "conv1" => 1,
            "conv" => 2,
            _ => return None,
        };
        let three = const { NonZeroU32::new(3).unwrap() };
        let mut layers = Vec::new();
        for _ in 0..convolutions {
            let convolution = Conv2d {
                channels: width,
                kernel: three,
                stride: NonZeroU32::MIN,
                padding: 0,
            };
            layers.extend([convolution.into(), relu()]);
        }
        if convolutions > 0 {
            let pooling = MaxPool2d {
                kernel: const { NonZeroU32::new(2).unwrap() },
                stride: None,
            };
            layers.extend([pooling.into(), linear(width), relu()]);
        }
        layers.extend([
            linear(width),
            relu(),
            linear(const { NonZeroU32::new(CLASSES).unwrap() }),
        ]);
        Some(Self {
            name: name.to_owned(),
            sub_networks,
            layers,
        })
    }
}
