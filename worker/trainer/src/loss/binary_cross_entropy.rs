//! Binary cross entropy: every value is a probability by itself.

use tch::{Reduction, TchError, Tensor};

use super::{mean, wanted};

/// `-log p` of the right class and `-log (1 - p)` of the others, mean over the values. As in PyTorch, logarithms below
/// -100 count as that.
pub(super) fn binary_cross_entropy(values: &Tensor, classes: &Tensor) -> Result<Tensor, TchError> {
    let wanted = wanted(values, classes)?;
    // Libtorch refuses what is no number, for all trials at once; here it stays none, in its own trial.
    let number = values.f_eq_tensor(values)?;
    let probabilities = values.f_where_self(&number, &values.f_full_like(0.5)?)?;
    let losses = probabilities.f_binary_cross_entropy(&wanted, None::<&Tensor>, Reduction::None)?;
    mean(&losses.f_where_self(&number, values)?)
}
