//! Max pooling over an image.

use tch::{TchError, Tensor};
use tenfold_types::network::MaxPool2d;

use super::compute::{Compute, Pass};

impl Compute for MaxPool2d {
    fn forward(&self, input: Tensor, _: &[Tensor], _: &mut Pass<'_>) -> Result<Tensor, TchError> {
        let (kernel, stride) = (i64::from(self.kernel.get()), i64::from(self.steps().get()));
        let (trials, samples) = (input.size()[0], input.size()[1]);
        input
            .f_flatten(0, 1)?
            .f_max_pool2d([kernel; 2], [stride; 2], [0, 0], [1, 1], false)?
            .f_unflatten(0, [trials, samples])
    }
}
