//! Layers without a kernel by hand: their definition in [`crate::network`], with libtorch's gradients.

use tch::{Device, TchError, Tensor};
use tenfold_types::network::{Layer, LayerOutline, Shape};

use super::kernel::{Backward, Context, HostPass, Kernel, Samples};
use super::real::Real;
use super::tensors::{from_tensor, tensor_to_slice, to_tensor};
use crate::network::{Masks, Pass, Place, compute, first_state};
use crate::train::TrainError;

/// A layer computed by libtorch, from panels and back to them.
pub(crate) struct AtenKernel {
    layer: Layer,
    input: Vec<i64>,
    places: Vec<Place>,
    masks: Masks,
    place: u64,
    state: Vec<Tensor>,
    /// Of the last pass: the input, the parameters and the output, in libtorch's graph.
    tape: Option<(Tensor, Vec<Tensor>, Tensor)>,
}

/// Libtorch's tensors are pointers, which say nothing of threads.
#[expect(unsafe_code, reason = "the library's tensors are not Send")]
// SAFETY: a kernel is used by one thread at a time, as `&mut self` of its methods asserts, and nobody else has its tensors.
unsafe impl Send for AtenKernel {}

impl AtenKernel {
    pub(crate) fn new<T: Real>(
        layer: &Layer,
        outline: &LayerOutline,
        places: &[Place],
        context: &Context<'_>,
        at: usize,
    ) -> Result<Self, TchError> {
        let input = match outline.input {
            Shape::Flat(values) => vec![values],
            Shape::Signal { channels, length } => vec![channels, length],
            Shape::Image {
                channels,
                height,
                width,
            } => vec![channels, height, width],
        };
        Ok(Self {
            state: first_state(compute(layer), outline.input, 1, (T::KIND, Device::Cpu))?,
            layer: layer.clone(),
            input: input.into_iter().map(|size| size as i64).collect(),
            places: places.to_vec(),
            masks: Masks::new(std::iter::once(context.spec)),
            place: Pass::place(context.set, at),
            tape: None,
        })
    }

    /// Where a tensor's numbers are among the layer's.
    fn range(&self, place: &Place) -> std::ops::Range<usize> {
        let first = self.places.first().map_or(0, |place| place.start);
        let range = place.range();
        range.start - first..range.end - first
    }
}

impl<T: Real> Kernel<T> for AtenKernel {
    fn save(&self, state: &mut Vec<T>) -> Result<(), TchError> {
        for tensor in &self.state {
            let first = state.len();
            state.resize(first + tensor.numel(), T::zero());
            tensor_to_slice(tensor, &mut state[first..])?;
        }
        Ok(())
    }

    fn restore(&mut self, state: &mut &[T]) -> Result<(), TchError> {
        for tensor in &mut self.state {
            let numbers = state.split_off(..tensor.numel()).unwrap_or_default();
            *tensor = Tensor::f_from_slice(numbers)?.f_view(tensor.size().as_slice())?;
        }
        Ok(())
    }

    fn forward(
        &mut self,
        pass: HostPass,
        samples: Samples,
        parameters: &[T],
        input: &[T],
        output: &mut [T],
    ) -> Result<(), TrainError> {
        let input = to_tensor(input, samples, &self.input)?;
        let tensor = |place: &Place| {
            let mut size = vec![1];
            size.extend(&place.dimensions);
            Tensor::f_from_slice(&parameters[self.range(place)])?.f_view(size.as_slice())
        };
        let parameters: Vec<Tensor> = self.places.iter().map(tensor).collect::<Result<_, _>>()?;
        let HostPass::Train { step } = pass else {
            let mut pass = Pass {
                masks: None,
                place: self.place,
                state: &mut self.state,
            };
            let given = tch::no_grad(|| compute(&self.layer).forward(input, &parameters, &mut pass))?;
            return Ok(from_tensor(&given, samples, output)?);
        };
        self.masks.go_to(step);
        let input = input.f_set_requires_grad(true)?;
        let wanted = |tensor: Tensor| tensor.f_set_requires_grad(true);
        let parameters: Vec<Tensor> = parameters.into_iter().map(wanted).collect::<Result<_, _>>()?;
        let mut pass = Pass {
            masks: Some(&self.masks),
            place: self.place,
            state: &mut self.state,
        };
        let given = compute(&self.layer).forward(input.shallow_clone(), &parameters, &mut pass)?;
        from_tensor(&given, samples, output)?;
        self.tape = Some((input, parameters, given));
        Ok(())
    }

    fn backward(&mut self, samples: Samples, _: &[T], step: Backward<'_, T>) -> Result<(), TrainError> {
        let Some((input, parameters, output)) = self.tape.take() else {
            return Ok(());
        };
        if step.input_gradient.is_none() && parameters.is_empty() {
            return Ok(());
        }
        // Libtorch's gradient is that of a number: here of what the layers behind make of each value.
        let asked = to_tensor(step.output_gradient, samples, &output.size()[2..])?;
        let number = output.f_mul(&asked)?.f_sum(T::KIND)?;
        let mut of: Vec<&Tensor> = parameters.iter().collect();
        of.push(&input);
        let gradients = Tensor::f_run_backward(&[number], &of, false, false)?;
        for (place, gradient) in self.places.iter().zip(&gradients) {
            tensor_to_slice(gradient, &mut step.gradients[self.range(place)])?;
        }
        if let (Some(to), Some(gradient)) = (step.input_gradient, gradients.last()) {
            from_tensor(gradient, samples, to)?;
        }
        Ok(())
    }
}
