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

    fn forward(&self, input: Tensor, parameters: &[Tensor], _: &mut Pass<'_>) -> Result<Tensor, TchError> {
        let (weights, bias) = (parameters[0].f_transpose(1, 2)?, parameters[1].f_unsqueeze(1)?);
        bias.f_baddbmm(&input.f_flatten(2, -1)?, &weights, 1.0, 1.0)
    }
}
