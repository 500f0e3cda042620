//! A convolution over a signal.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{Flow, LayerKind, Misfit, Shape, checked, window1d};
use crate::Value;

/// A convolution with `channels` kernels and a bias for each, over a signal. An image is read as one row by row, see
/// [`Shape::signal`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv1d {
    /// Channels that it gives.
    pub channels: NonZeroU32,
    /// Values of a kernel in each channel.
    pub kernel: NonZeroU32,
    /// Steps from one place of the kernel to the next.
    #[serde(default = "one")]
    pub stride: NonZeroU32,
    /// Zeros added at each end.
    #[serde(default)]
    pub padding: u32,
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

impl LayerKind for Conv1d {
    const NAME: &'static str = "conv1d";

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
        let (inputs, length) = window1d(input, self.kernel, self.stride, self.padding)?;
        let channels = u64::from(self.channels.get());
        let weights = checked(
            u64::from(self.kernel.get())
                .checked_mul(inputs)
                .and_then(|volume| volume.checked_mul(channels)),
        )?;
        Ok(Flow {
            output: Shape::Signal { channels, length },
            parameters: checked(weights.checked_add(channels))?,
            operations: checked(weights.checked_mul(length).and_then(|n| n.checked_mul(2)))?,
        })
    }
}
