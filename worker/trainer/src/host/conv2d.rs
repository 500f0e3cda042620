//! A convolution layer over an image, or over a signal, which is an image of one row.

use std::ops::Range;

use super::convolution::{Convolution, Geometry};
use super::kernel::{Backward, HostPass, Kernel, Samples};
use super::real::Real;
use crate::train::TrainError;

/// `bias + weights * input`, and its positive part where a `relu` was absorbed.
pub(crate) struct Conv2dKernel<T> {
    /// Rows and columns of zeros on each side of the input.
    padding: [usize; 2],
    /// Where weights and biases lie among the layer's parameters.
    weights: Range<usize>,
    bias: Range<usize>,
    relu: bool,
    /// Over the padded input.
    convolution: Convolution<T>,
    /// From the output's gradient, padded, to the input's: made when first wanted.
    back: Option<Convolution<T>>,
    /// The weights as `back` wants them: channels exchanged, taps in reverse.
    turned: Vec<T>,
    padded_input: Vec<T>,
    padded_gradient: Vec<T>,
    padded_input_gradient: Vec<T>,
}

impl<T: Real> Conv2dKernel<T> {
    /// `geometry` is that without padding.
    pub(crate) fn new(
        geometry: Geometry,
        padding: [usize; 2],
        weights: Range<usize>,
        bias: Range<usize>,
    ) -> Self {
        let input = [0, 1].map(|axis| geometry.input[axis] + 2 * padding[axis]);
        Self {
            padding,
            weights,
            bias,
            relu: false,
            convolution: Convolution::new(Geometry { input, ..geometry }),
            back: None,
            turned: Vec::new(),
            padded_input: Vec::new(),
            padded_gradient: Vec::new(),
            padded_input_gradient: Vec::new(),
        }
    }

    /// The convolution that makes the gradient of the padded input: its input is the output's gradient with zeros
    /// between values that were `stride` apart, and zeros around.
    fn backward_convolution(geometry: &Geometry) -> Convolution<T> {
        let input = [0, 1].map(|axis| geometry.input[axis] + geometry.kernel[axis] - 1);
        let mut back = Convolution::new(Geometry {
            channels_in: geometry.channels_out,
            input,
            channels_out: geometry.channels_in,
            kernel: geometry.kernel,
            stride: [1, 1],
        });
        let margin = geometry.kernel[0] - 1;
        back.zero_rows(
            margin,
            input[0] - margin - ((geometry.output()[0] - 1) * geometry.stride[0] + 1),
        );
        back
    }

    fn turn(&mut self, weights: &[T]) {
        let geometry = self.convolution.geometry();
        let (area, channels_in) = (geometry.kernel[0] * geometry.kernel[1], geometry.channels_in);
        self.turned.clear();
        for channel_in in 0..channels_in {
            for channel_out in 0..geometry.channels_out {
                let kernel = &weights[(channel_out * channels_in + channel_in) * area..][..area];
                self.turned.extend(kernel.iter().rev());
            }
        }
    }
}

impl<T: Real> Kernel<T> for Conv2dKernel<T> {
    fn forward(
        &mut self,
        _: HostPass,
        samples: Samples,
        parameters: &[T],
        input: &[T],
        output: &mut [T],
    ) -> Result<(), TrainError> {
        let stride = samples.stride;
        let input = if self.padding == [0, 0] {
            input
        } else {
            let size = self.convolution.geometry().input;
            let inner = [0, 1].map(|axis| size[axis] - 2 * self.padding[axis]);
            let channels = self.convolution.geometry().channels_in;
            let padded = &mut self.padded_input;
            let mut to = Spread::new(padded, channels, inner, size, self.padding, [1, 1], stride);
            for (number, row) in input.chunks_exact(inner[1] * stride).enumerate() {
                to.row(number, row);
            }
            &self.padded_input
        };
        let (weights, bias) = (&parameters[self.weights.clone()], &parameters[self.bias.clone()]);
        self.convolution
            .forward(weights, Some(bias), self.relu, input, output, stride);
        Ok(())
    }

    fn backward(
        &mut self,
        samples: Samples,
        parameters: &[T],
        step: Backward<'_, T>,
    ) -> Result<(), TrainError> {
        let stride = samples.stride;
        let geometry = self.convolution.geometry().clone();
        let size = geometry.output();
        let output_gradient = &mut step.output_gradient[..geometry.channels_out * size[0] * size[1] * stride];
        let back = match step.input_gradient {
            Some(_) => Some(
                self.back
                    .get_or_insert_with(|| Self::backward_convolution(&geometry)),
            ),
            None => None,
        };
        let spread_to = back.as_ref().map(|back| {
            let margin = [0, 1].map(|axis| geometry.kernel[axis] - 1);
            Spread::new(
                &mut self.padded_gradient,
                geometry.channels_out,
                size,
                back.geometry().input,
                margin,
                geometry.stride,
                stride,
            )
        });
        let output = self.relu.then_some(step.output);
        prepare(
            output,
            output_gradient,
            size[1] * stride,
            spread_to,
            &mut step.gradients[self.bias.clone()],
        );
        let padded = self.padding != [0, 0];
        let input = if padded { &self.padded_input } else { step.input };
        let gradients = &mut step.gradients[self.weights.clone()];
        self.convolution
            .weight_gradient(output_gradient, input, gradients, stride);
        let Some(input_gradient) = step.input_gradient else {
            return Ok(());
        };
        self.turn(&parameters[self.weights.clone()]);
        let Some(back) = &mut self.back else {
            return Ok(());
        };
        let gradient = &self.padded_gradient;
        if !padded {
            back.forward(&self.turned, None, false, gradient, input_gradient, stride);
            return Ok(());
        }
        let [rows, columns] = geometry.input;
        self.padded_input_gradient
            .resize(geometry.channels_in * rows * columns * stride, T::zero());
        back.forward(
            &self.turned,
            None,
            false,
            gradient,
            &mut self.padded_input_gradient,
            stride,
        );
        let (padding, whole) = (self.padding, &self.padded_input_gradient);
        let inner = [0, 1].map(|axis| geometry.input[axis] - 2 * padding[axis]);
        for (at, row) in input_gradient.chunks_exact_mut(inner[1] * stride).enumerate() {
            let (channel, line) = (at / inner[0], at % inner[0]);
            if channel == geometry.channels_in {
                break;
            }
            let start = ((channel * rows + line + padding[0]) * columns + padding[1]) * stride;
            row.copy_from_slice(&whole[start..start + inner[1] * stride]);
        }
        Ok(())
    }

    fn absorb_relu(&mut self) -> bool {
        self.relu = true;
        true
    }
}

/// One pass over the output's gradient, row by row while it is in the cache: none where a relu gave zero (its `output`), a
/// copy with room around it, and the sum of each channel.
fn prepare<T: Real>(
    output: Option<&[T]>,
    gradient: &mut [T],
    row: usize,
    mut spread: Option<Spread<'_, T>>,
    sums: &mut [T],
) {
    let rows = gradient.len() / row / sums.len();
    for (channel, sum) in sums.iter_mut().enumerate() {
        *sum = T::zero();
        for number in channel * rows..(channel + 1) * rows {
            let gradient = &mut gradient[number * row..][..row];
            if let Some(output) = output {
                super::relu::backward(&output[number * row..][..row], gradient);
            }
            if let Some(spread) = &mut spread {
                spread.row(number, gradient);
            }
            *sum = *sum + super::linear::sum(gradient);
        }
    }
}

/// Images of `inner` rows and columns within larger ones, from the place `margin` on and `apart` rows and columns from each
/// other; zeros elsewhere.
struct Spread<'a, T> {
    to: &'a mut [T],
    inner: [usize; 2],
    outer: [usize; 2],
    margin: [usize; 2],
    apart: [usize; 2],
    stride: usize,
}

impl<'a, T: Real> Spread<'a, T> {
    fn new(
        to: &'a mut Vec<T>,
        channels: usize,
        inner: [usize; 2],
        outer: [usize; 2],
        margin: [usize; 2],
        apart: [usize; 2],
        stride: usize,
    ) -> Self {
        let length = channels * outer[0] * outer[1] * stride;
        // Where nothing is copied to, zeros stay from the last time.
        if to.len() != length {
            to.clear();
            to.resize(length, T::zero());
        }
        Self {
            to,
            inner,
            outer,
            margin,
            apart,
            stride,
        }
    }

    /// Takes a row: the rows of all channels are numbered through.
    fn row(&mut self, number: usize, from: &[T]) {
        let (channel, row) = (number / self.inner[0], number % self.inner[0]);
        let start =
            (channel * self.outer[0] + self.margin[0] + row * self.apart[0]) * self.outer[1] + self.margin[1];
        if self.apart[1] == 1 {
            self.to[start * self.stride..][..from.len()].copy_from_slice(from);
            return;
        }
        for (column, from) in from.chunks_exact(self.stride).enumerate() {
            self.to[(start + column * self.apart[1]) * self.stride..][..self.stride].copy_from_slice(from);
        }
    }
}
