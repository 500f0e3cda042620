//! Negative log likelihood: cross entropy whose softmax and logarithm the head has taken.

use tch::{TchError, Tensor};

use super::of_class;

/// The negative of the right class's value.
pub(super) fn negative_log_likelihood(values: &Tensor, classes: &Tensor) -> Result<Tensor, TchError> {
    of_class(values, classes)?.f_neg()
}
