//! What the head gives, after its linear layer.

use tch::{TchError, Tensor};
use tenfold_types::Head;

/// From the two values of each answer, the last dimension.
pub(crate) fn head(head: Head, values: &Tensor) -> Result<Tensor, TchError> {
    match head {
        Head::AsIs => Ok(values.shallow_clone()),
        Head::Softmax => values.f_softmax(-1, None),
        Head::LogSoftmax => values.f_log_softmax(-1, None),
        Head::Sigmoid => values.f_sigmoid(),
    }
}
