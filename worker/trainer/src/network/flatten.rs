//! From an image to a vector.

use tch::{TchError, Tensor};
use tenfold_types::network::Flatten;

use super::compute::{Compute, Pass};

impl Compute for Flatten {
    fn forward(&self, input: Tensor, _: &[Tensor], _: &mut Pass<'_>) -> Result<Tensor, TchError> {
        input.f_flatten(2, -1)
    }
}
