//! A convolution over an image.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{Flow, LayerKind, Misfit, Shape, checked, window};
use crate::Value;

/// A convolution with `channels` square kernels and a bias for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Channels that it gives.
    pub channels: NonZeroU32,
    /// Rows and columns of a kernel.
    pub kernel: NonZeroU32,
    /// Steps from one place of the kernel to the next.
    #[serde(default = "one")]
    pub stride: NonZeroU32,
    /// Rows and columns of zeros added on each side.
    #[serde(default)]
    pub padding: u32,
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

impl LayerKind for Conv2d {
    const NAME: &'static str = "conv2d";

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

    fn flow(&self, input: Shape) -> Result<Flow, Misfit> {
        let (inputs, height, width) = window(input, self.kernel, self.stride, self.padding)?;
        let channels = u64::from(self.channels.get());
        let kernel = u64::from(self.kernel.get());
        let weights = checked(
            kernel
                .checked_mul(kernel)
                .and_then(|area| area.checked_mul(inputs))
                .and_then(|volume| volume.checked_mul(channels)),
        )?;
        let places = checked(height.checked_mul(width))?;
        Ok(Flow {
            output: Shape::Image {
                channels,
                height,
                width,
            },
            parameters: checked(weights.checked_add(channels))?,
            operations: checked(weights.checked_mul(places).and_then(|n| n.checked_mul(2)))?,
        })
    }
}
