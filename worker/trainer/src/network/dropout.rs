//! Dropout.

use tch::{TchError, Tensor};
use tenfold_types::network::Dropout;

use super::compute::{Compute, Pass};

impl Compute for Dropout {
    fn forward(&self, input: Tensor, _: &[Tensor], pass: &mut Pass) -> Result<Tensor, TchError> {
        let Pass::Train(masks) = pass else {
            return Ok(input);
        };
        let rate = self.rate.unwrap_or(masks.default_rate);
        if rate == 0.0 {
            return Ok(input);
        }
        let mask = masks.next(rate, &input.size(), input.device())?;
        input.f_mul(&mask)
    }
}
