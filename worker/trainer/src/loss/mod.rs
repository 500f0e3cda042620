//! Losses of the answer, one a file. To add one: a file like its neighbours and a line in [`loss`].

mod absolute;
mod binary_cross_entropy;
mod cross_entropy;
mod multi_margin;
mod negative_log_likelihood;
mod squared;

use tch::{TchError, Tensor};
use tenfold_types::Loss;

pub use cross_entropy::cross_entropy;

/// The loss of each sample, `[…]`, from what the head gives, `[…, 2]`, and the right classes, `[…]` in whole numbers.
///
/// # Errors
/// Libtorch's.
pub fn loss(loss: Loss, values: &Tensor, classes: &Tensor) -> Result<Tensor, TchError> {
    match loss {
        Loss::CrossEntropy => cross_entropy(values, classes),
        Loss::NegativeLogLikelihood => negative_log_likelihood::negative_log_likelihood(values, classes),
        Loss::MeanSquaredError => squared::mean_squared_error(values, classes),
        Loss::L1 => absolute::l1(values, classes),
        Loss::SmoothL1 => absolute::smooth_l1(values, classes),
        Loss::MultiMargin => multi_margin::multi_margin(values, classes),
        Loss::BinaryCrossEntropy => binary_cross_entropy::binary_cross_entropy(values, classes),
    }
}

/// The value of the right class of each sample.
fn of_class(values: &Tensor, classes: &Tensor) -> Result<Tensor, TchError> {
    values
        .f_gather(-1, &classes.f_unsqueeze(-1)?, false)?
        .f_squeeze_dim(-1)
}

/// What the values should be: 1 for the right class, 0 for the others.
fn wanted(values: &Tensor, classes: &Tensor) -> Result<Tensor, TchError> {
    let count = values.size().last().copied().unwrap_or(0);
    classes.f_one_hot(count)?.f_to_kind(values.kind())
}

/// The mean over the values of each sample.
fn mean(of_values: &Tensor) -> Result<Tensor, TchError> {
    of_values.f_mean_dim([-1i64].as_slice(), false, None)
}
