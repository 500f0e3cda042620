//! Stochastic gradient descent, with momentum (Polyak, 1964) or Nesterov's (Sutskever and others, 2013).

use tch::{TchError, Tensor};

use super::{Formula, Step, Steps, by_slices, over};
use crate::host::Real;

/// As PyTorch has it: the velocity grows by whole gradients, and the rate multiplies the velocity.
#[derive(Debug)]
pub(super) struct Sgd {
    pub(super) nesterov: bool,
}

impl Sgd {
    fn slices<T: Real>(&self, step: &Step, values: &mut [T], gradients: &[T], moments: &mut [Vec<T>; 2]) {
        let (rate, momentum, decay) = (T::of(step.rate), T::of(step.momentum), T::of(step.weight_decay));
        let nesterov = self.nesterov;
        over(
            values,
            gradients,
            moments,
            #[inline(always)]
            |value, gradient, velocity, _| {
                let gradient = gradient + decay * *value;
                *velocity = momentum * *velocity + gradient;
                let change = if nesterov {
                    gradient + momentum * *velocity
                } else {
                    *velocity
                };
                *value = *value - rate * change;
            },
        );
    }
}

impl Formula for Sgd {
    fn moments(&self) -> usize {
        1
    }

    by_slices!();

    fn tensors(
        &self,
        steps: &Steps,
        values: &mut Tensor,
        gradients: &Tensor,
        moments: &mut [Tensor],
    ) -> Result<(), TchError> {
        let gradients = steps.decayed(values, gradients)?;
        let [velocity] = moments else { return Ok(()) };
        let _ = velocity.f_mul_(&steps.momentum)?;
        let _ = velocity.f_add_(&gradients)?;
        let change = match self.nesterov {
            true => gradients.f_addcmul(velocity, &steps.momentum)?,
            false => velocity.shallow_clone(),
        };
        let _ = values.f_sub_(&change.f_mul(&steps.rate)?)?;
        Ok(())
    }
}
