//! From panels to libtorch's tensors and back, for what has no kernel by hand.

use tch::{TchError, Tensor};

use super::kernel::Samples;
use super::real::Real;

/// A panel as `[1, samples, …]`.
pub(super) fn to_tensor<T: Real>(
    panel: &[T],
    samples: Samples,
    dimensions: &[i64],
) -> Result<Tensor, TchError> {
    let values: i64 = dimensions.iter().product();
    let mut size = vec![1, samples.count as i64];
    size.extend(dimensions);
    Tensor::f_from_slice(&panel[..values as usize * samples.stride])?
        .f_view([values, samples.stride as i64])?
        .f_narrow(1, 0, samples.count as i64)?
        .f_transpose(0, 1)?
        .f_contiguous()?
        .f_view(size.as_slice())
}

/// `[1, samples, …]` into a panel, zeros behind the samples.
pub(super) fn from_tensor<T: Real>(
    tensor: &Tensor,
    samples: Samples,
    panel: &mut [T],
) -> Result<(), TchError> {
    let gap = (samples.stride - samples.count) as i64;
    let rows = tensor
        .f_reshape([samples.count as i64, -1])?
        .f_transpose(0, 1)?
        .f_constant_pad_nd([0, gap])?;
    let length = rows.numel();
    tensor_to_slice(&rows, &mut panel[..length])
}

/// A tensor's numbers in row-major order; it has as many as the slice.
pub(super) fn tensor_to_slice<T: Real>(tensor: &Tensor, to: &mut [T]) -> Result<(), TchError> {
    let count = to.len();
    tensor
        .f_detach()?
        .f_reshape([count as i64])?
        .f_copy_data(to, count)
}
