//! The mean squared error.

use tch::{TchError, Tensor};

use super::{mean, wanted};

/// The square of each value's difference from 1 for the right class and 0 for the others, mean over the values.
pub(super) fn mean_squared_error(values: &Tensor, classes: &Tensor) -> Result<Tensor, TchError> {
    mean(&values.f_sub(&wanted(values, classes)?)?.f_square()?)
}
