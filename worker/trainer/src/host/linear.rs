//! A fully connected layer.

use std::ops::Range;

use super::kernel::{Backward, HostPass, Kernel, Samples};
use super::matrix::{Layout, multiply};
use super::real::{Real, vectorized};
use super::relu;
use crate::train::TrainError;

/// `output = bias + weights input`, and its positive part where a `relu` was absorbed.
pub(crate) struct LinearKernel {
    inputs: usize,
    units: usize,
    /// Where the biases lie among the layer's parameters.
    bias: Range<usize>,
    relu: bool,
}

impl LinearKernel {
    pub(crate) fn new(inputs: usize, units: usize, bias: Range<usize>) -> Self {
        Self {
            inputs,
            units,
            bias,
            relu: false,
        }
    }

    fn weights(&self) -> Layout {
        Layout::rows(self.units, self.inputs, self.inputs)
    }
}

impl<T: Real> Kernel<T> for LinearKernel {
    fn forward(
        &mut self,
        _: HostPass,
        samples: Samples,
        parameters: &[T],
        input: &[T],
        output: &mut [T],
    ) -> Result<(), TrainError> {
        let Samples { count, stride } = samples;
        for (row, &bias) in output
            .chunks_exact_mut(stride)
            .zip(&parameters[self.bias.clone()])
        {
            row.fill(bias);
        }
        let of_output = Layout::rows(self.units, count, stride);
        let of_input = Layout::rows(self.inputs, count, stride);
        multiply(
            true,
            (output, of_output),
            (parameters, self.weights()),
            (input, of_input),
        );
        if self.relu {
            relu::forward(&mut output[..self.units * stride]);
        }
        Ok(())
    }

    fn backward(
        &mut self,
        samples: Samples,
        parameters: &[T],
        step: Backward<'_, T>,
    ) -> Result<(), TrainError> {
        let Samples { count, stride } = samples;
        let output_gradient = &mut step.output_gradient[..self.units * stride];
        if self.relu {
            relu::backward(step.output, output_gradient);
        }
        let of_output = Layout::rows(self.units, count, stride);
        let of_input = Layout::rows(self.inputs, count, stride);
        sum_rows(output_gradient, stride, &mut step.gradients[self.bias.clone()]);
        multiply(
            false,
            (step.gradients, self.weights()),
            (output_gradient, of_output),
            (step.input, of_input.transposed()),
        );
        if let Some(input_gradient) = step.input_gradient {
            clear_gaps(input_gradient, self.inputs, samples);
            multiply(
                false,
                (input_gradient, of_input),
                (parameters, self.weights().transposed()),
                (output_gradient, of_output),
            );
        }
        Ok(())
    }

    fn absorb_relu(&mut self) -> bool {
        self.relu = true;
        true
    }
}

/// The sum of each row, gaps (zeros) included.
fn sum_rows<T: Real>(rows: &[T], stride: usize, sums: &mut [T]) {
    for (row, to) in rows.chunks_exact(stride).zip(sums) {
        *to = sum(row);
    }
}

/// The sum of a row of whole vectors.
pub(crate) fn sum<T: Real>(row: &[T]) -> T {
    // As many sums as the widest vector has lanes, so that it is one addition for all.
    let mut lanes = [T::zero(); 16];
    vectorized(
        #[inline(always)]
        || {
            for part in row.chunks(16) {
                for (lane, &value) in lanes.iter_mut().zip(part) {
                    *lane = *lane + value;
                }
            }
        },
    );
    lanes.iter().fold(T::zero(), |sum, &lane| sum + lane)
}

/// Zeros behind the samples of each row.
pub(crate) fn clear_gaps<T: Real>(values: &mut [T], rows: usize, samples: Samples) {
    if samples.count < samples.stride {
        for row in values.chunks_exact_mut(samples.stride).take(rows) {
            row[samples.count..].fill(T::zero());
        }
    }
}
