//! Pooling: the largest value or the mean of each window, channel by channel.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{Flow, LayerKind, Misfit, Shape, window, window1d};
use crate::Value;

macro_rules! pools {
    ($($(#[$docs:meta])* $name:ident $text:literal $output:expr;)*) => {$(
        $(#[$docs])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Values of a window, or its rows and columns.
            pub kernel: NonZeroU32,
            /// Steps from one window to the next; as many as `kernel` when not given.
            #[serde(default)]
            pub stride: Option<NonZeroU32>,
        }

        impl $name {
            /// Steps from one window to the next.
            pub fn steps(&self) -> NonZeroU32 {
                self.stride.unwrap_or(self.kernel)
            }
        }

        impl LayerKind for $name {
            const NAME: &'static str = $text;

            fn settings(&self) -> Vec<(&'static str, Value)> {
                let mut settings = vec![("kernel", Value::Int(self.kernel.get().into()))];
                if let Some(stride) = self.stride {
                    settings.push(("stride", Value::Int(stride.get().into())));
                }
                settings
            }

            fn flow(&self, input: Shape) -> Result<Flow, Misfit> {
                Ok(Flow::free($output(input, self.kernel, self.steps())?))
            }
        }
    )*};
}

pools! {
    /// The largest value in each window of an image. Rows and columns that fill no window are left out.
    MaxPool2d "max-pool2d" of_image;
    /// The mean of each window of an image. Rows and columns that fill no window are left out.
    AvgPool2d "avg-pool2d" of_image;
    /// The largest value in each window of a signal; an image is read as one, see [`Shape::signal`]. What fills no window at
    /// the end is left out.
    MaxPool1d "max-pool1d" of_signal;
    /// The mean of each window of a signal; an image is read as one, see [`Shape::signal`]. What fills no window at the end
    /// is left out.
    AvgPool1d "avg-pool1d" of_signal;
}

fn of_image(input: Shape, kernel: NonZeroU32, steps: NonZeroU32) -> Result<Shape, Misfit> {
    let (channels, height, width) = window(input, kernel, steps, 0)?;
    Ok(Shape::Image {
        channels,
        height,
        width,
    })
}

fn of_signal(input: Shape, kernel: NonZeroU32, steps: NonZeroU32) -> Result<Shape, Misfit> {
    let (channels, length) = window1d(input, kernel, steps, 0)?;
    Ok(Shape::Signal { channels, length })
}
