//! RMSprop (Hinton, 2012), with momentum, not centred.

use tch::{TchError, Tensor};

use super::{Step, Steps, over};
use crate::host::Real;

/// PyTorch's defaults.
const DECAY: f64 = 0.99;
const EPSILON: f64 = 1e-8;

/// Over slices, as PyTorch has it: ε stands outside the root.
pub(super) fn slices<T: Real>(step: &Step, values: &mut [T], gradients: &[T], moments: &mut [Vec<T>; 2]) {
    let (rate, momentum, weight_decay) = (T::of(step.rate), T::of(step.momentum), T::of(step.weight_decay));
    let (decay, rest, epsilon) = (T::of(DECAY), T::of(1.0 - DECAY), T::of(EPSILON));
    over(
        values,
        gradients,
        moments,
        #[inline(always)]
        |value, gradient, square, velocity| {
            let gradient = gradient + weight_decay * *value;
            *square = decay * *square + rest * gradient * gradient;
            *velocity = momentum * *velocity + gradient / (square.sqrt() + epsilon);
            *value = *value - rate * *velocity;
        },
    );
}

/// The same over tensors.
pub(super) fn tensors(
    steps: &Steps,
    values: &mut Tensor,
    gradients: &Tensor,
    moments: &mut [Tensor; 2],
) -> Result<(), TchError> {
    let gradients = steps.decayed(values, gradients)?;
    let [square, velocity] = moments;
    let _ = square.f_mul_scalar_(DECAY)?;
    let _ = square.f_add_(&gradients.f_square()?.f_mul_scalar(1.0 - DECAY)?)?;
    let root = square.f_sqrt()?.f_add_scalar(EPSILON)?;
    let _ = velocity.f_mul_(&steps.momentum)?;
    let _ = velocity.f_addcdiv_(&gradients, &root)?;
    let _ = values.f_sub_(&velocity.f_mul(&steps.rate)?)?;
    Ok(())
}
