//! Average pooling over an image.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{Flow, LayerKind, Misfit, Shape, window};
use crate::Value;

/// The mean of each window, channel by channel. Rows and columns that fill no window are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool2d {
    /// Rows and columns of a window.
    pub kernel: NonZeroU32,
    /// Steps from one window to the next; as many as `kernel` when not given.
    #[serde(default)]
    pub stride: Option<NonZeroU32>,
}

impl AvgPool2d {
    /// Steps from one window to the next.
    pub fn steps(&self) -> NonZeroU32 {
        self.stride.unwrap_or(self.kernel)
    }
}

impl LayerKind for AvgPool2d {
    const NAME: &'static str = "avg-pool2d";

    fn settings(&self) -> Vec<(&'static str, Value)> {
        let mut settings = vec![("kernel", Value::Int(self.kernel.get().into()))];
        if let Some(stride) = self.stride {
            settings.push(("stride", Value::Int(stride.get().into())));
        }
        settings
    }

    fn flow(&self, input: Shape) -> Result<Flow, Misfit> {
        let (channels, height, width) = window(input, self.kernel, self.steps(), 0)?;
        Ok(Flow::free(Shape::Image {
            channels,
            height,
            width,
        }))
    }
}
