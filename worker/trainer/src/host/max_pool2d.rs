//! Max pooling over an image.

use super::kernel::{Backward, HostPass, Kernel, Samples};
use super::real::{Real, vectorized};
use crate::train::TrainError;

/// Sizes of a pooling.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) channels: usize,
    pub(crate) input: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
}

impl Window {
    fn output(&self) -> [usize; 2] {
        [0, 1].map(|axis| (self.input[axis] - self.kernel[axis]) / self.stride[axis] + 1)
    }

    /// For each value of the output, in order: the row of samples of its window's first value.
    fn corners(&self) -> impl Iterator<Item = usize> + '_ {
        let [rows, columns] = self.output();
        (0..self.channels * rows * columns).map(move |at| {
            let (channel, row, column) = (at / (rows * columns), at / columns % rows, at % columns);
            (channel * self.input[0] + row * self.stride[0]) * self.input[1] + column * self.stride[1]
        })
    }

    /// How far the window's values are from its first, row by row.
    fn offsets(&self) -> Vec<usize> {
        let [rows, columns] = self.kernel;
        (0..rows * columns)
            .map(|at| at / columns * self.input[1] + at % columns)
            .collect()
    }
}

/// The largest value of each window. Of equal values the first counts, as in libtorch.
pub(crate) struct MaxPool2dKernel<T> {
    window: Window,
    offsets: Vec<usize>,
    /// Which of its window's values each value of the output is, from 0.
    chosen: Vec<T>,
}

impl<T: Real> MaxPool2dKernel<T> {
    pub(crate) fn new(window: Window) -> Self {
        Self {
            offsets: window.offsets(),
            window,
            chosen: Vec::new(),
        }
    }
}

impl<T: Real> Kernel<T> for MaxPool2dKernel<T> {
    fn forward(
        &mut self,
        _: HostPass,
        samples: Samples,
        _: &[T],
        input: &[T],
        output: &mut [T],
    ) -> Result<(), TrainError> {
        let stride = samples.stride;
        let [rows, columns] = self.window.output();
        self.chosen
            .resize(self.window.channels * rows * columns * stride, T::zero());
        let (window, offsets, chosen) = (&self.window, &self.offsets, &mut self.chosen);
        vectorized(
            #[inline(always)]
            || {
                let outputs = output
                    .chunks_exact_mut(stride)
                    .zip(chosen.chunks_exact_mut(stride));
                for ((output, chosen), corner) in outputs.zip(window.corners()) {
                    output.copy_from_slice(&input[corner * stride..][..stride]);
                    chosen.fill(T::zero());
                    for (at, offset) in offsets.iter().enumerate().skip(1) {
                        let number = T::of(at as f64);
                        let input = &input[(corner + offset) * stride..][..stride];
                        for ((output, chosen), &value) in output.iter_mut().zip(chosen.iter_mut()).zip(input)
                        {
                            // A value that is no number is taken: the trial diverges by it.
                            let larger = value > *output || value.is_nan();
                            *output = if larger { value } else { *output };
                            *chosen = if larger { number } else { *chosen };
                        }
                    }
                }
            },
        );
        Ok(())
    }

    fn backward(&mut self, samples: Samples, _: &[T], step: Backward<'_, T>) -> Result<(), TrainError> {
        let Some(input_gradient) = step.input_gradient else {
            return Ok(());
        };
        let stride = samples.stride;
        let (window, offsets, chosen) = (&self.window, &self.offsets, &self.chosen);
        let gradient = &*step.output_gradient;
        vectorized(
            #[inline(always)]
            || {
                let [rows, columns] = window.input;
                input_gradient[..window.channels * rows * columns * stride].fill(T::zero());
                let outputs = gradient.chunks_exact(stride).zip(chosen.chunks_exact(stride));
                for ((gradient, chosen), corner) in outputs.zip(window.corners()) {
                    for (at, offset) in offsets.iter().enumerate() {
                        let number = T::of(at as f64);
                        let input = &mut input_gradient[(corner + offset) * stride..][..stride];
                        for ((input, &gradient), &chosen) in input.iter_mut().zip(gradient).zip(chosen) {
                            *input = *input + if chosen == number { gradient } else { T::zero() };
                        }
                    }
                }
            },
        );
        Ok(())
    }
}
