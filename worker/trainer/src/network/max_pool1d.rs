//! Max pooling over a signal.

use tch::{TchError, Tensor};
use tenfold_types::network::MaxPool1d;

use super::compute::{Compute, Pass};
use super::conv1d::signal;

impl Compute for MaxPool1d {
    fn forward(&self, input: Tensor, _: &[Tensor], _: &mut Pass<'_>) -> Result<Tensor, TchError> {
        let (kernel, stride) = (i64::from(self.kernel.get()), i64::from(self.steps().get()));
        let input = signal(&input)?;
        let (trials, samples) = (input.size()[0], input.size()[1]);
        input
            .f_flatten(0, 1)?
            .f_max_pool1d([kernel], [stride], [0], [1], false)?
            .f_unflatten(0, [trials, samples])
    }
}
