//! A convolution over a signal.

use tch::{TchError, Tensor};
use tenfold_types::network::{Conv1d, Shape};

use super::compute::{Compute, Initial, Pass};
use super::conv2d::convolve;

impl Compute for Conv1d {
    fn parameters(&self, input: Shape) -> Vec<Initial> {
        let inputs = input.signal().map_or(0, |(channels, _)| channels);
        let (channels, kernel) = (i64::from(self.channels.get()), i64::from(self.kernel.get()));
        let fan_in = inputs * kernel as u64;
        [vec![channels, inputs as i64, kernel], vec![channels]]
            .map(|dimensions| Initial::uniform(dimensions, fan_in))
            .to_vec()
    }

    fn forward(&self, input: Tensor, parameters: &[Tensor], _: &mut Pass<'_>) -> Result<Tensor, TchError> {
        let (stride, padding) = (i64::from(self.stride.get()), i64::from(self.padding));
        // A signal is an image of one row.
        let input = signal(&input)?.f_unsqueeze(3)?;
        let kernels = parameters[0].f_unsqueeze(3)?;
        convolve(&input, &kernels, &parameters[1], [1, stride], [0, padding])?.f_squeeze_dim(3)
    }
}

/// `[trials, samples, channels, length]`, from images too: each channel row by row.
pub(super) fn signal(input: &Tensor) -> Result<Tensor, TchError> {
    input.f_flatten(3, -1)
}
