//! Optimizers, one a file.

mod adam;
mod state;

use tch::{TchError, Tensor};
use tenfold_types::{Optimizer, TrialSpec};

pub(crate) use state::State;
pub use adam::Adam;

/// Something that follows gradients.
pub trait Step {
    /// Changes values by one step, given their gradients; both one-dimensional, of one length.
    ///
    /// # Errors
    /// Libtorch's.
    fn step(&mut self, values: &mut Tensor, gradients: &Tensor) -> Result<(), TchError>;
}

/// A trial's optimizer for these values.
///
/// # Errors
/// Libtorch's.
pub fn optimizer(spec: &TrialSpec, values: &Tensor) -> Result<Box<dyn Step>, TchError> {
    match spec.optimizer {
        Optimizer::Adam => Ok(Box::new(Adam::new(spec.learning_rate, values)?)),
    }
}
