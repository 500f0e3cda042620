//! A convolution over an image.

use tch::{TchError, Tensor};
use tenfold_types::network::{Conv2d, Shape};

use super::compute::{Compute, Initial, Pass};

impl Compute for Conv2d {
    fn parameters(&self, input: Shape) -> Vec<Initial> {
        let inputs = match input {
            Shape::Image { channels, .. } => channels,
            Shape::Flat(_) => 0,
        };
        let (channels, kernel) = (i64::from(self.channels.get()), i64::from(self.kernel.get()));
        let fan_in = inputs * (kernel * kernel) as u64;
        [vec![channels, inputs as i64, kernel, kernel], vec![channels]]
            .map(|dimensions| Initial::uniform(dimensions, fan_in))
            .to_vec()
    }

    fn forward(&self, input: Tensor, parameters: &[Tensor], _: &mut Pass) -> Result<Tensor, TchError> {
        let (stride, padding) = (i64::from(self.stride.get()), i64::from(self.padding));
        let (stride, padding) = ([stride, stride], [padding, padding]);
        input.f_conv2d(&parameters[0], Some(&parameters[1]), stride, padding, [1, 1], 1)
    }
}
