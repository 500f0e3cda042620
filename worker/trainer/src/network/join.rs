//! What the join sees of a sub-network's last hidden layer.

use tch::{TchError, Tensor};
use tenfold_types::Join;

pub(super) fn apply(join: Join, feature: &Tensor) -> Result<Tensor, TchError> {
    match join {
        Join::AsIs => Ok(feature.shallow_clone()),
        Join::Relu => feature.f_relu(),
        Join::Softmax => feature.f_softmax(-1, None),
    }
}
