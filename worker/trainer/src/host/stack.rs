//! A sub-network's layers, with the values and gradients between them.

use std::ops::Range;

use tch::TchError;
use tenfold_types::network::{Layer, LayerOutline};

use super::kernel::{Backward, Context, HostPass, Kernel, Samples, kernel};
use super::real::Real;
use crate::network::Place;
use crate::train::TrainError;

/// Layers that compute, one behind the other.
pub(crate) struct Stack<T> {
    links: Vec<Link<T>>,
    /// Two buffers for gradients: that of a layer's output and that of its input change places.
    gradients: [Vec<T>; 2],
}

struct Link<T> {
    kernel: Box<dyn Kernel<T>>,
    /// The layer's parameters in the flat buffer.
    parameters: Range<usize>,
    /// Values per sample that it gives.
    width: usize,
    output: Vec<T>,
}

impl<T: Real> Stack<T> {
    /// From the layers, their outlines, and where the tensors of each lie.
    ///
    /// # Errors
    /// Libtorch's.
    pub(crate) fn new<'a>(
        layers: impl Iterator<Item = (&'a Layer, &'a LayerOutline, &'a [Place])>,
        context: &Context<'_>,
    ) -> Result<Self, TchError> {
        let mut links: Vec<Link<T>> = Vec::new();
        for (at, (layer, outline, places)) in layers.enumerate() {
            let absorbed = matches!(layer, Layer::Relu(_))
                && links.last_mut().is_some_and(|link| link.kernel.absorb_relu());
            // A vector is an image's values in their order already.
            if absorbed || matches!(layer, Layer::Flatten(_)) {
                continue;
            }
            let parameters = match places {
                [] => 0..0,
                [first, ..] => first.start..places[places.len() - 1].range().end,
            };
            links.push(Link {
                kernel: kernel(layer, outline, places, context, at)?,
                parameters,
                width: outline.output.values().unwrap_or(u64::MAX) as usize,
                output: Vec::new(),
            });
        }
        Ok(Self {
            links,
            gradients: [Vec::new(), Vec::new()],
        })
    }

    /// Adds what the layers keep from batch to batch.
    pub(crate) fn save(&self, state: &mut Vec<T>) -> Result<(), TchError> {
        self.links.iter().try_for_each(|link| link.kernel.save(state))
    }

    /// Takes their part of it from the front.
    pub(crate) fn restore(&mut self, state: &mut &[T]) -> Result<(), TchError> {
        self.links
            .iter_mut()
            .try_for_each(|link| link.kernel.restore(state))
    }

    /// The last layer's values for these, `[width][stride]`.
    pub(crate) fn forward<'a>(
        &'a mut self,
        pass: HostPass,
        samples: Samples,
        parameters: &[T],
        input: &'a [T],
    ) -> Result<&'a [T], TrainError> {
        let mut values = input;
        for link in &mut self.links {
            let length = link.width * samples.stride;
            if link.output.len() < length {
                link.output.resize(length, T::zero());
            }
            let output = &mut link.output[..length];
            link.kernel.forward(
                pass,
                samples,
                &parameters[link.parameters.clone()],
                values,
                output,
            )?;
            values = output;
        }
        Ok(values)
    }

    /// The last layer's values again.
    pub(crate) fn output<'a>(&'a self, samples: Samples, input: &'a [T]) -> &'a [T] {
        match self.links.last() {
            Some(link) => &link.output[..link.width * samples.stride],
            None => input,
        }
    }

    /// Makes room for gradients, zeros for those of the last layer's values.
    pub(crate) fn clear_gradients(&mut self, samples: Samples) {
        let widest = self.links.iter().map(|link| link.width).max().unwrap_or(0) * samples.stride;
        for buffer in &mut self.gradients {
            if buffer.len() < widest {
                buffer.resize(widest, T::zero());
            }
        }
        let last = self.links.last().map_or(0, |link| link.width);
        self.gradients[0][..last * samples.stride].fill(T::zero());
    }

    /// The last layer's values, and where their gradient goes, after [`Stack::clear_gradients`].
    pub(crate) fn ends<'a>(&'a mut self, samples: Samples, input: &'a [T]) -> (&'a [T], &'a mut [T]) {
        let Self { links, gradients } = self;
        match links.last() {
            Some(link) => {
                let length = link.width * samples.stride;
                (&link.output[..length], &mut gradients[0][..length])
            }
            None => (input, &mut gradients[0][..0]),
        }
    }

    /// Fills the parameters' gradients, after [`Stack::forward`] with the same input.
    pub(crate) fn backward(
        &mut self,
        samples: Samples,
        parameters: &[T],
        input: &[T],
        gradients: &mut [T],
    ) -> Result<(), TrainError> {
        let [mut of_output, mut of_input] = self.gradients.each_mut();
        for at in (0..self.links.len()).rev() {
            let (before, rest) = self.links.split_at_mut(at);
            let link = &mut rest[0];
            let length = link.width * samples.stride;
            let (values, wanted) = match before.last() {
                Some(link) => {
                    let length = link.width * samples.stride;
                    (&link.output[..length], Some(&mut of_input[..length]))
                }
                // Nobody needs the gradient of an image.
                None => (input, None),
            };
            let step = Backward {
                input: values,
                output: &link.output[..length],
                output_gradient: &mut of_output[..length],
                gradients: &mut gradients[link.parameters.clone()],
                input_gradient: wanted,
            };
            link.kernel
                .backward(samples, &parameters[link.parameters.clone()], step)?;
            std::mem::swap(&mut of_output, &mut of_input);
        }
        Ok(())
    }
}
