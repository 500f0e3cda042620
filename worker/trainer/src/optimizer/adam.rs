//! Adam (Kingma and Ba, 2015) and AdamW (Loshchilov and Hutter, 2019).

use tch::{TchError, Tensor};

use super::{Step, Steps, over};
use crate::host::Real;

/// Decay rates of the moments and the ε of the paper's algorithm 1.
const DECAY_1: f64 = 0.9;
const DECAY_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// How far the two moments are from their full height after so many steps.
fn corrections(steps: u64) -> (f64, f64) {
    // After so many steps the corrections are 1 to the last bit.
    let steps = i32::try_from(steps).unwrap_or(i32::MAX);
    (1.0 - DECAY_1.powi(steps), 1.0 - DECAY_2.powi(steps))
}

/// Over slices; ε stands outside the root, as in the paper's algorithm 1. `decoupled` is AdamW: the weights decay by
/// themselves, not by their gradients.
pub(super) fn slices<T: Real>(
    step: &Step,
    decoupled: bool,
    values: &mut [T],
    gradients: &[T],
    moments: &mut [Vec<T>; 2],
) {
    let (correction_1, correction_2) = corrections(step.number);
    let (decay_1, rest_1) = (T::of(DECAY_1), T::of(1.0 - DECAY_1));
    let (decay_2, rest_2) = (T::of(DECAY_2), T::of(1.0 - DECAY_2));
    let (rate, root) = (T::of(step.rate / correction_1), T::of(1.0 / correction_2.sqrt()));
    let epsilon = T::of(EPSILON);
    let (in_gradient, kept) = match decoupled {
        true => (T::zero(), T::of(1.0 - step.rate * step.weight_decay)),
        false => (T::of(step.weight_decay), T::one()),
    };
    over(
        values,
        gradients,
        moments,
        #[inline(always)]
        |value, gradient, first, second| {
            let gradient = gradient + in_gradient * *value;
            *first = decay_1 * *first + rest_1 * gradient;
            *second = decay_2 * *second + rest_2 * gradient * gradient;
            *value = kept * *value - rate * *first / (second.sqrt() * root + epsilon);
        },
    );
}

/// The same over tensors.
pub(super) fn tensors(
    steps: &Steps,
    decoupled: bool,
    values: &mut Tensor,
    gradients: &Tensor,
    moments: &mut [Tensor; 2],
) -> Result<(), TchError> {
    let (correction_1, correction_2) = corrections(steps.number);
    let gradients = match (&steps.weight_decay, decoupled) {
        (Some(decay), true) => {
            let _ = values.f_mul_(&steps.rate.f_mul(decay)?.f_neg()?.f_add_scalar(1.0)?)?;
            gradients.shallow_clone()
        }
        _ => steps.decayed(values, gradients)?,
    };
    let [first, second] = moments;
    let _ = first.f_lerp_(&gradients, 1.0 - DECAY_1)?;
    let _ = second.f_mul_scalar_(DECAY_2)?;
    let _ = second.f_add_(&gradients.f_square()?.f_mul_scalar(1.0 - DECAY_2)?)?;
    let mut denominator = second.f_sqrt()?;
    let _ = denominator.f_mul_scalar_(1.0 / correction_2.sqrt())?;
    let _ = denominator.f_add_scalar_(EPSILON)?;
    let change = steps.rate.f_mul_scalar(-1.0 / correction_1)?.f_mul(first)?;
    let _ = values.f_addcdiv_(&change, &denominator)?;
    Ok(())
}
