//! The positive part.

use super::kernel::{Backward, HostPass, Kernel, Samples};
use super::real::{Real, vectorized};
use crate::train::TrainError;

/// Each value's positive part, where no layer before it could absorb it.
pub(crate) struct ReluKernel {
    pub(crate) values: usize,
}

impl<T: Real> Kernel<T> for ReluKernel {
    fn forward(
        &mut self,
        _: HostPass,
        samples: Samples,
        _: &[T],
        input: &[T],
        output: &mut [T],
    ) -> Result<(), TrainError> {
        let length = self.values * samples.stride;
        output[..length].copy_from_slice(&input[..length]);
        forward(&mut output[..length]);
        Ok(())
    }

    fn backward(&mut self, samples: Samples, _: &[T], step: Backward<'_, T>) -> Result<(), TrainError> {
        if let Some(input_gradient) = step.input_gradient {
            let length = self.values * samples.stride;
            backward(step.output, &mut step.output_gradient[..length]);
            input_gradient[..length].copy_from_slice(&step.output_gradient[..length]);
        }
        Ok(())
    }
}

/// Values below zero become zero; no number stays none.
pub(crate) fn forward<T: Real>(values: &mut [T]) {
    vectorized(
        #[inline(always)]
        || {
            for value in &mut *values {
                *value = if *value < T::zero() { T::zero() } else { *value };
            }
        },
    );
}

/// The gradient where the output is above zero, else zero.
pub(crate) fn backward<T: Real>(output: &[T], gradient: &mut [T]) {
    vectorized(
        #[inline(always)]
        || {
            for (gradient, &output) in gradient.iter_mut().zip(output) {
                *gradient = if output > T::zero() { *gradient } else { T::zero() };
            }
        },
    );
}
