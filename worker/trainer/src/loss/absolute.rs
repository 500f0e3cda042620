//! Absolute differences, and such that are rounded at the bottom.

use tch::{Reduction, TchError, Tensor};

use super::{mean, wanted};

/// The size of each value's difference from 1 for the right class and 0 for the others, mean over the values.
pub(super) fn l1(values: &Tensor, classes: &Tensor) -> Result<Tensor, TchError> {
    mean(&values.f_sub(&wanted(values, classes)?)?.f_abs()?)
}

/// Where a difference is below it, half its square over it.
const BEND: f64 = 1.0;

/// The same, rounded where the difference is below 1 (Girshick, 2015).
pub(super) fn smooth_l1(values: &Tensor, classes: &Tensor) -> Result<Tensor, TchError> {
    mean(&values.f_smooth_l1_loss(&wanted(values, classes)?, Reduction::None, BEND)?)
}
