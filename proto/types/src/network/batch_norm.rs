//! Batch normalisation (Ioffe and Szegedy, 2015).

use serde::{Deserialize, Serialize};

use super::{Flow, LayerKind, Misfit, Shape};
use crate::Value;

macro_rules! batch_norms {
    ($($(#[$docs:meta])* $name:ident $text:literal |$input:ident| $channels:expr, $needs:literal;)*) => {$(
        $(#[$docs])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The weight of a batch's statistics in the running ones, which evaluation uses; in (0, 1].
            #[serde(default = "default_momentum")]
            pub momentum: f64,
            /// Added to the variance; above 0.
            #[serde(default = "default_epsilon")]
            pub epsilon: f64,
        }

        impl Default for $name {
            fn default() -> Self {
                Self { momentum: default_momentum(), epsilon: default_epsilon() }
            }
        }

        impl $name {
            /// How many means and variances it has for an input that fits.
            pub fn channels($input: Shape) -> Option<u64> {
                $channels
            }
        }

        impl LayerKind for $name {
            const NAME: &'static str = $text;

            fn settings(&self) -> Vec<(&'static str, Value)> {
                let mut settings = Vec::new();
                if self.momentum != default_momentum() {
                    settings.push(("momentum", Value::Float(self.momentum)));
                }
                if self.epsilon != default_epsilon() {
                    settings.push(("epsilon", Value::Float(self.epsilon)));
                }
                settings
            }

            fn flow(&self, input: Shape) -> Result<Flow, Misfit> {
                let Some(channels) = Self::channels(input) else {
                    return Err(Misfit::Input($needs.to_owned()));
                };
                if !(self.momentum > 0.0 && self.momentum <= 1.0) {
                    let problem = format!("momentum is {}, needs to be above 0 and at most 1", self.momentum);
                    return Err(Misfit::Setting(problem));
                }
                if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
                    let problem = format!("epsilon is {}, needs to be a finite number above 0", self.epsilon);
                    return Err(Misfit::Setting(problem));
                }
                Ok(Flow { parameters: 2 * channels, ..Flow::free(input) })
            }
        }
    )*};
}

batch_norms! {
    /// Each value of a vector, or each channel of a signal, is brought to mean 0 and variance 1 over the batch, then
    /// multiplied by a weight (first 1) and shifted by a bias (first 0). Where sub-networks share their weights the batch
    /// is what they all see.
    BatchNorm1d "batch-norm1d" |input| match input {
        Shape::Flat(values) => Some(values),
        Shape::Signal { channels, .. } => Some(channels),
        Shape::Image { .. } => None,
    }, "a vector or a signal";
    /// The same for each channel of an image.
    BatchNorm2d "batch-norm2d" |input| match input {
        Shape::Image { channels, .. } => Some(channels),
        _ => None,
    }, "an image";
}

/// PyTorch's default.
fn default_momentum() -> f64 {
    0.1
}

/// PyTorch's default.
fn default_epsilon() -> f64 {
    1e-5
}
