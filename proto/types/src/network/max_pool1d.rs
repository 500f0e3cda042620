//! Max pooling over a signal.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{Flow, LayerKind, Misfit, Shape, window1d};
use crate::Value;

/// The largest value in each window, channel by channel; an image is read as a signal first, see [`Shape::signal`]. What
/// fills no window at the end is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool1d {
    /// Values of a window.
    pub kernel: NonZeroU32,
    /// Steps from one window to the next; as many as `kernel` when not given.
    #[serde(default)]
    pub stride: Option<NonZeroU32>,
}

impl MaxPool1d {
    /// Steps from one window to the next.
    pub fn steps(&self) -> NonZeroU32 {
        self.stride.unwrap_or(self.kernel)
    }
}

impl LayerKind for MaxPool1d {
    const NAME: &'static str = "max-pool1d";

    fn settings(&self) -> Vec<(&'static str, Value)> {
        let mut settings = vec![("kernel", Value::Int(self.kernel.get().into()))];
        if let Some(stride) = self.stride {
            settings.push(("stride", Value::Int(stride.get().into())));
        }
        settings
    }

    fn flow(&self, input: Shape) -> Result<Flow, Misfit> {
        let (channels, length) = window1d(input, self.kernel, self.steps(), 0)?;
        Ok(Flow::free(Shape::Signal { channels, length }))
    }
}
