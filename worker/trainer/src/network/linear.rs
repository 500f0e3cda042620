//! A fully connected layer.

use tch::{TchError, Tensor};
use tenfold_types::network::{Linear, Shape};

use super::compute::{Compute, Initial, Pass};

impl Compute for Linear {
    fn parameters(&self, input: Shape) -> Vec<Initial> {
        let (units, fan_in) = (i64::from(self.units.get()), input.values().unwrap_or(u64::MAX));
        [vec![units, fan_in as i64], vec![units]]
            .map(|dimensions| Initial::uniform(dimensions, fan_in))
            .to_vec()
    }

    fn forward(&self, input: Tensor, parameters: &[Tensor], _: &mut Pass) -> Result<Tensor, TchError> {
        let input = if input.dim() > 2 {
            input.f_flatten(1, -1)?
        } else {
            input
        };
        input.f_linear(&parameters[0], Some(&parameters[1]))
    }
}
