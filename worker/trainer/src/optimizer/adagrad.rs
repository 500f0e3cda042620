//! Adagrad (Duchi, Hazan and Singer, 2011).

use tch::{TchError, Tensor};

use super::{Formula, Step, Steps, by_slices, over};
use crate::host::Real;

/// PyTorch's default.
const EPSILON: f64 = 1e-10;

/// As PyTorch has it: ε stands outside the root, and the rate does not decay.
#[derive(Debug)]
pub(super) struct Adagrad {}

impl Adagrad {
    #[expect(clippy::unused_self, reason = "formulas with settings have them there")]
    fn slices<T: Real>(&self, step: &Step, values: &mut [T], gradients: &[T], moments: &mut [Vec<T>; 2]) {
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
}

impl Formula for Adagrad {
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
        let [sum] = moments else { return Ok(()) };
        let _ = sum.f_add_(&gradients.f_square()?)?;
        let root = sum.f_sqrt()?.f_add_scalar(EPSILON)?;
        let _ = values.f_addcdiv_(&gradients.f_mul(&steps.rate)?.f_neg()?, &root)?;
        Ok(())
    }
}
