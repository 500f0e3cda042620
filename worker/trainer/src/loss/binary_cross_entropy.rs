//! Binary cross entropy: every value is a probability by itself.

use tch::{Reduction, TchError, Tensor};

use super::{mean, wanted};

/// `-log p` of the right class and `-log (1 - p)` of the others, mean over the values. As in PyTorch, logarithms below
/// -100 count as that.
pub(super) fn binary_cross_entropy(values: &Tensor, classes: &Tensor) -> Result<Tensor, TchError> {
    let wanted = wanted(values, classes)?;
    mean(&values.f_binary_cross_entropy(&wanted, None::<&Tensor>, Reduction::None)?)
}
