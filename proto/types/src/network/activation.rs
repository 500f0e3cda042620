//! Activations: functions of each value alone, and softmax.

use serde::{Deserialize, Serialize};

use super::{Flow, LayerKind, Misfit, Shape};
use crate::Value;

macro_rules! activations {
    ($($(#[$docs:meta])* $name:ident $text:literal;)*) => {$(
        $(#[$docs])*
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {}

        impl LayerKind for $name {
            const NAME: &'static str = $text;

            fn flow(&self, input: Shape) -> Result<Flow, Misfit> {
                Ok(Flow::free(input))
            }
        }
    )*};
}

activations! {
    /// `max(x, 0)`.
    Relu "relu";
    /// `tanh(x)`.
    Tanh "tanh";
    /// `1 / (1 + exp(-x))`.
    Sigmoid "sigmoid";
    /// `x Φ(x)` with the normal distribution function Φ (Hendrycks and Gimpel, 2016), not its approximation by tanh.
    Gelu "gelu";
    /// `exp(x)` over the sum of all `exp(x)`: of a vector's values, or of the channels at each place of a signal or image.
    Softmax "softmax";
}

/// `x` where it is positive, else `slope x`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeakyRelu {
    /// The slope left of zero; 0.01 when not given (Maas, Hannun and Ng, 2013).
    #[serde(default = "default_slope")]
    pub slope: f64,
}

fn default_slope() -> f64 {
    0.01
}

impl Default for LeakyRelu {
    fn default() -> Self {
        Self {
            slope: default_slope(),
        }
    }
}

impl LayerKind for LeakyRelu {
    const NAME: &'static str = "leaky-relu";

    fn settings(&self) -> Vec<(&'static str, Value)> {
        if *self == Self::default() {
            Vec::new()
        } else {
            vec![("slope", Value::Float(self.slope))]
        }
    }

    fn flow(&self, input: Shape) -> Result<Flow, Misfit> {
        if !self.slope.is_finite() {
            let problem = format!("slope is {}, needs to be a finite number", self.slope);
            return Err(Misfit::Setting(problem));
        }
        Ok(Flow::free(input))
    }
}
