//! The hinge over several classes.

use tch::{TchError, Tensor};

use super::{mean, of_class, wanted};

/// By how much the right class should lead.
const MARGIN: f64 = 1.0;

/// What each other class lacks to being a margin below the right one, mean over all classes as PyTorch has it.
pub(super) fn multi_margin(values: &Tensor, classes: &Tensor) -> Result<Tensor, TchError> {
    let right = of_class(values, classes)?.f_unsqueeze(-1)?;
    let lacking = values.f_sub(&right)?.f_add_scalar(MARGIN)?.f_relu()?;
    let others = wanted(values, classes)?.f_neg()?.f_add_scalar(1.0)?;
    mean(&lacking.f_mul(&others)?)
}
