//! From an image to a vector.

use serde::{Deserialize, Serialize};

use super::{Flow, LayerKind, Misfit, Shape};

/// The image's values, channel by channel and row by row.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flatten {}

impl LayerKind for Flatten {
    const NAME: &'static str = "flatten";

    fn flow(&self, input: Shape) -> Result<Flow, Misfit> {
        Ok(Flow::free(Shape::Flat(input.values()?)))
    }
}
