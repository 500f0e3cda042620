//! Losses, one a file.

mod cross_entropy;

use tch::{TchError, Tensor};
use tenfold_types::Loss;

pub use cross_entropy::cross_entropy;

/// The loss of scores `[samples, classes]` against the right classes `[samples]`: their mean, or their sum.
///
/// # Errors
/// Libtorch's.
pub fn loss(
    loss: Loss,
    scores: &Tensor,
    classes: &Tensor,
    reduction: tch::Reduction,
) -> Result<Tensor, TchError> {
    match loss {
        Loss::CrossEntropy => cross_entropy(scores, classes, reduction),
    }
}
