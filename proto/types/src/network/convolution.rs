//! Convolutions over images and signals.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{Flow, LayerKind, Misfit, Shape, checked, window, window1d};
use crate::Value;

macro_rules! convolutions {
    ($($(#[$docs:meta])* $name:ident $text:literal |$layer:ident, $input:ident| $flow:expr;)*) => {$(
        $(#[$docs])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Channels that it gives.
            pub channels: NonZeroU32,
            /// Values of a kernel in each channel, or its rows and columns.
            pub kernel: NonZeroU32,
            /// Steps from one place of the kernel to the next.
            #[serde(default = "one")]
            pub stride: NonZeroU32,
            /// Zeros added at each end, or rows and columns of them on each side.
            #[serde(default)]
            pub padding: u32,
        }

        impl LayerKind for $name {
            const NAME: &'static str = $text;

            fn settings(&self) -> Vec<(&'static str, Value)> {
                let mut settings = vec![
                    ("channels", Value::Int(self.channels.get().into())),
                    ("kernel", Value::Int(self.kernel.get().into())),
                ];
                if self.stride != one() {
                    settings.push(("stride", Value::Int(self.stride.get().into())));
                }
                if self.padding != 0 {
                    settings.push(("padding", Value::Int(self.padding.into())));
                }
                settings
            }

            fn flow(&self, $input: Shape) -> Result<Flow, Misfit> {
                let $layer = self;
                $flow
            }
        }
    )*};
}

convolutions! {
    /// A convolution over an image with `channels` square kernels and a bias for each.
    Conv2d "conv2d" |layer, input| {
        let (inputs, height, width) = window(input, layer.kernel, layer.stride, layer.padding)?;
        let kernel = u64::from(layer.kernel.get());
        let output = Shape::Image { channels: layer.channels.get().into(), height, width };
        flow(inputs, kernel.checked_mul(kernel), height.checked_mul(width), layer.channels, output)
    };
    /// A convolution over a signal with `channels` kernels and a bias for each. An image is read as a signal row by row,
    /// see [`Shape::signal`].
    Conv1d "conv1d" |layer, input| {
        let (inputs, length) = window1d(input, layer.kernel, layer.stride, layer.padding)?;
        let output = Shape::Signal { channels: layer.channels.get().into(), length };
        flow(inputs, Some(layer.kernel.get().into()), Some(length), layer.channels, output)
    };
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// Of kernels with so many values in each of the channels that come in, at so many places.
fn flow(
    inputs: u64,
    kernel: Option<u64>,
    places: Option<u64>,
    channels: NonZeroU32,
    output: Shape,
) -> Result<Flow, Misfit> {
    let channels = u64::from(channels.get());
    let weights = kernel
        .and_then(|values| values.checked_mul(inputs))
        .and_then(|volume| volume.checked_mul(channels));
    let weights = checked(weights)?;
    let places = checked(places)?;
    Ok(Flow {
        output,
        parameters: checked(weights.checked_add(channels))?,
        operations: checked(weights.checked_mul(places).and_then(|n| n.checked_mul(2)))?,
    })
}
