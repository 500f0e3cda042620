//! Stochastic gradient descent, with momentum (Polyak, 1964) or Nesterov's (Sutskever and others, 2013).

use tch::{TchError, Tensor};

use super::{Step, Steps, over};
use crate::host::Real;

/// Over slices, as PyTorch has it: the velocity grows by whole gradients, and the rate multiplies the velocity.
pub(super) fn slices<T: Real>(
    step: &Step,
    nesterov: bool,
    values: &mut [T],
    gradients: &[T],
    moments: &mut [Vec<T>; 2],
) {
    let (rate, momentum, decay) = (T::of(step.rate), T::of(step.momentum), T::of(step.weight_decay));
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

/// The same over tensors.
pub(super) fn tensors(
    steps: &Steps,
    nesterov: bool,
    values: &mut Tensor,
    gradients: &Tensor,
    moments: &mut [Tensor; 2],
) -> Result<(), TchError> {
    let gradients = steps.decayed(values, gradients)?;
    let [velocity, _] = moments;
    let _ = velocity.f_mul_(&steps.momentum)?;
    let _ = velocity.f_add_(&gradients)?;
    let change = match nesterov {
        true => gradients.f_addcmul(velocity, &steps.momentum)?,
        false => velocity.shallow_clone(),
    };
    let _ = values.f_sub_(&change.f_mul(&steps.rate)?)?;
    Ok(())
}
