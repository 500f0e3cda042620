//! Sub-networks, and the networks that have a name.

use std::borrow::Cow;
use std::num::NonZeroU32;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Conv2d, Layer, Linear, MaxPool2d, Relu};

/// Rows and columns of an image as networks see it: MNIST's 28 × 28, averaged 2 × 2.
pub const SIDE: u64 = 14;

/// Kinds of digits.
pub const CLASSES: u32 = 10;

/// The widest named network.
const MAX_NAMED: u32 = 1_000_000;

/// The layers of sub-networks, and how many there are. With auxiliary loss the last layer must give a value for each of
/// the [`CLASSES`] of a digit.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// The name by which the sweep file calls it.
    pub name: String,
    /// How many sub-networks; sub-network `s` sees image `s mod 2`, a single one sees both as channels.
    pub sub_networks: u32,
    /// Their layers, first to last: one list that all have, or one for each sub-network.
    pub stacks: Vec<Vec<Layer>>,
}

impl Architecture {
    /// Returns whether one of its dropout layers takes its rate from the trial's setting.
    pub fn drops_by_setting(&self) -> bool {
        let mut layers = self.stacks.iter().flatten();
        layers.any(|layer| matches!(layer, Layer::Dropout(dropout) if dropout.rate.is_none()))
    }

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
            stacks: vec![layers],
        })
    }

    /// The layers of a sub-network, from 0.
    pub fn layers(&self, sub_network: usize) -> &[Layer] {
        match self.stacks.as_slice() {
            [alike] => alike,
            each => &each[sub_network],
        }
    }
}

/// In text for people one stack is `layers` and several are `stacks`; in frames there are only stacks.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    name: Cow<'a, str>,
    sub_networks: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layers: Option<Cow<'a, [Layer]>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stacks: Option<Cow<'a, [Vec<Layer>]>>,
}

impl Serialize for Architecture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return (&self.name, self.sub_networks, &self.stacks).serialize(serializer);
        }
        let (layers, stacks) = match self.stacks.as_slice() {
            [layers] => (Some(Cow::Borrowed(layers.as_slice())), None),
            stacks => (None, Some(Cow::Borrowed(stacks))),
        };
        let written = Written {
            name: Cow::Borrowed(&self.name),
            sub_networks: self.sub_networks,
            layers,
            stacks,
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Architecture {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let (name, sub_networks, stacks) = Deserialize::deserialize(deserializer)?;
            return Ok(Self {
                name,
                sub_networks,
                stacks,
            });
        }
        let written = Written::deserialize(deserializer)?;
        let stacks = match (written.layers, written.stacks) {
            (Some(layers), None) => vec![layers.into_owned()],
            (None, Some(stacks)) => stacks.into_owned(),
            _ => return Err(D::Error::custom("an architecture has either layers or stacks")),
        };
        Ok(Self {
            name: written.name.into_owned(),
            sub_networks: written.sub_networks,
            stacks,
        })
    }
}
