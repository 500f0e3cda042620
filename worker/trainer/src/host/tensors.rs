//! From panels to libtorch's tensors and back, for what has no kernel by hand.

use tch::{Device, Kind, TchError, Tensor};

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
    slice_to_tensor(&panel[..values as usize * samples.stride])?
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

/// Numbers in a row.
pub(super) fn slice_to_tensor<T: Real>(values: &[T]) -> Result<Tensor, TchError> {
    let tensor = Tensor::f_empty([values.len() as i64], (T::KIND, Device::Cpu))?;
    // A tensor that is new has its numbers in one piece, and only this function knows of it.
    #[expect(
        unsafe_code,
        reason = "the library has no safe way to copy numbers of a generic kind"
    )]
    // SAFETY: the tensor owns as many numbers of `T`'s kind as are copied, and does not overlap the slice.
    unsafe {
        std::ptr::copy_nonoverlapping(values.as_ptr(), tensor.data_ptr().cast::<T>(), values.len());
    }
    Ok(tensor)
}

/// A tensor's numbers in row-major order; it has as many as the slice.
pub(super) fn tensor_to_slice<T: Real>(tensor: &Tensor, to: &mut [T]) -> Result<(), TchError> {
    let tensor = tensor.f_detach()?.f_to_kind(T::KIND)?.f_contiguous()?;
    assert_eq!(tensor.numel(), to.len(), "a tensor of another size");
    debug_assert!(tensor.device() == Device::Cpu && tensor.kind() != Kind::Int64);
    #[expect(
        unsafe_code,
        reason = "the library has no safe way to copy numbers of a generic kind"
    )]
    // SAFETY: the tensor is contiguous and has as many numbers of `T`'s kind as the slice, which it does not overlap.
    unsafe {
        std::ptr::copy_nonoverlapping(
            tensor.data_ptr().cast::<T>().cast_const(),
            to.as_mut_ptr(),
            to.len(),
        );
    }
    Ok(())
}
