//! What the join sees of a sub-network's last hidden layer.

use tch::{TchError, Tensor};
use tenfold_types::Join;

/// From the values of that layer, the last dimension.
pub(crate) fn join(join: Join, feature: &Tensor) -> Result<Tensor, TchError> {
    match join {
        Join::AsIs => Ok(feature.shallow_clone()),
        Join::Relu => feature.f_relu(),
        Join::Softmax => feature.f_softmax(-1, None),
    }
}
