//! Adagrad (Duchi, Hazan and Singer, 2011).

use tch::{TchError, Tensor};

use super::{Step, Steps, over};
use crate::host::Real;

/// PyTorch's default.
const EPSILON: f64 = 1e-10;

/// Over slices, as PyTorch has it: ε stands outside the root, and the rate does not decay.
pub(super) fn slices<T: Real>(step: &Step, values: &mut [T], gradients: &[T], moments: &mut [Vec<T>; 2]) {
    let (rate, weight_decay, epsilon) = (T::of(step.rate), T::of(step.weight_decay), T::of(EPSILON));
    over(
        values,
        gradients,
        moments,
        #[inline(always)]
        |value, gradient, sum, _| {
            let gradient = gradient + weight_decay * *value;
            *sum = *sum + gradient * gradient;
            *value = *value - rate * gradient / (sum.sqrt() + epsilon);
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
    let [sum, _] = moments;
    let _ = sum.f_add_(&gradients.f_square()?)?;
    let root = sum.f_sqrt()?.f_add_scalar(EPSILON)?;
    let _ = values.f_addcdiv_(&gradients.f_mul(&steps.rate)?.f_neg()?, &root)?;
    Ok(())
}
