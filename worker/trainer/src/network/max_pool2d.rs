//! Max pooling over an image.

use tch::{TchError, Tensor};
use tenfold_types::network::MaxPool2d;

use super::compute::{Compute, Pass};

impl Compute for MaxPool2d {
    fn forward(&self, input: Tensor, _: &[Tensor], _: &mut Pass) -> Result<Tensor, TchError> {
        let (kernel, stride) = (i64::from(self.kernel.get()), i64::from(self.steps().get()));
        input.f_max_pool2d([kernel, kernel], [stride, stride], [0, 0], [1, 1], false)
    }
}
