//! Dropout (Srivastava and others, 2014).

use serde::{Deserialize, Serialize};

use super::{Flow, LayerKind, Misfit, Shape};
use crate::Value;

/// While training, sets each value to zero with probability `rate` and divides the others by `1 - rate`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// The probability, in [0, 1); the trial's setting `dropout` when not given.
    #[serde(default)]
    pub rate: Option<f64>,
}

impl LayerKind for Dropout {
    const NAME: &'static str = "dropout";

    fn settings(&self) -> Vec<(&'static str, Value)> {
        self.rate
            .map(|rate| ("rate", Value::Float(rate)))
            .into_iter()
            .collect()
    }

    fn flow(&self, input: Shape) -> Result<Flow, Misfit> {
        match self.rate {
            Some(rate) if !(0.0..1.0).contains(&rate) => {
                let problem = format!("rate is {rate}, needs to be at least 0 and below 1");
                Err(Misfit::Setting(problem))
            }
            _ => Ok(Flow::free(input)),
        }
    }
}
