//! A fully connected layer.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{Flow, LayerKind, Misfit, Shape, checked};
use crate::Value;

/// `y = W x + b`, with `units` values in `y`. An image is flattened first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Values that it gives.
    pub units: NonZeroU32,
}

impl LayerKind for Linear {
    const NAME: &'static str = "linear";

    fn settings(&self) -> Vec<(&'static str, Value)> {
        vec![("units", Value::Int(self.units.get().into()))]
    }

    fn flow(&self, input: Shape) -> Result<Flow, Misfit> {
        let units = u64::from(self.units.get());
        let weights = checked(input.values()?.checked_mul(units))?;
        Ok(Flow {
            output: Shape::Flat(units),
            parameters: checked(weights.checked_add(units))?,
            operations: checked(weights.checked_mul(2))?,
        })
    }
}
