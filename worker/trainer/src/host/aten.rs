//! Layers without a kernel by hand: their definition in [`crate::network`], with libtorch's gradients.

use tch::{Device, Kind, Tensor};
use tenfold_types::network::{Layer, LayerOutline, Shape};

use super::kernel::{Backward, Context, HostPass, Kernel, Samples};
use super::real::Real;
use crate::network::{Masks, Pass, Place, compute};
use crate::train::TrainError;

/// A layer computed by libtorch, from panels and back to them.
pub(crate) struct AtenKernel {
    layer: Layer,
    input: Shape,
    places: Vec<Place>,
    context: Context,
    /// Of the last pass: the input, the parameters and the output, in libtorch's graph.
    tape: Option<(Tensor, Vec<Tensor>, Tensor)>,
}

/// Tensors stay in the thread that trains their trial.
#[expect(unsafe_code, reason = "the library's tensors are pointers, which are not Send")]
// SAFETY: a kernel is used by one thread at a time, which `&mut self` of all its methods asserts, and its tensors are
// known to nobody else.
unsafe impl Send for AtenKernel {}

impl AtenKernel {
    pub(crate) fn new(layer: &Layer, outline: &LayerOutline, places: &[Place], context: &Context, _: usize) -> Self {
        Self {
            layer: layer.clone(),
            input: outline.input,
            places: places.to_vec(),
            context: context.clone(),
            tape: None,
        }
    }
}

impl<T: Real> Kernel<T> for AtenKernel {
    fn forward(
        &mut self,
        pass: HostPass,
        samples: Samples,
        parameters: &[T],
        input: &[T],
        output: &mut [T],
    ) -> Result<(), TrainError> {
        let dimensions = match self.input {
            Shape::Flat(values) => vec![values as i64],
            Shape::Image { channels, height, width } => [channels, height, width].map(|n| n as i64).to_vec(),
        };
        let input = to_tensor(input, samples, &dimensions)?;
        let first = self.places.first().map_or(0, |place| place.start);
        let tensor = |place: &Place| {
            let range = place.range();
            let values = slice_to_tensor(&parameters[range.start - first..range.end - first])?;
            values.f_view(place.dimensions.as_slice())
        };
        let parameters: Vec<Tensor> = self.places.iter().map(tensor).collect::<Result<_, _>>()?;
        let training = matches!(pass, HostPass::Train { .. });
        let mut pass = match pass {
            HostPass::Train { step } => {
                let Context { seed, repetition, dropout, .. } = self.context;
                Pass::Train(Masks::new(seed, repetition, dropout, step))
            }
            HostPass::Evaluate => Pass::Evaluate,
        };
        if !training {
            let given = tch::no_grad(|| compute(&self.layer).forward(input, &parameters, &mut pass))?;
            return from_tensor(&given, samples, output);
        }
        let input = input.f_set_requires_grad(true)?;
        let parameters: Vec<Tensor> = parameters
            .into_iter()
            .map(|tensor| tensor.f_set_requires_grad(true))
            .collect::<Result<_, _>>()?;
        let given = compute(&self.layer).forward(input.shallow_clone(), &parameters, &mut pass)?;
        from_tensor(&given.f_detach()?, samples, output)?;
        self.tape = Some((input, parameters, given));
        Ok(())
    }

    fn backward(&mut self, samples: Samples, _: &[T], step: Backward<'_, T>) -> Result<(), TrainError> {
        let Some((input, parameters, output)) = self.tape.take() else {
            return Ok(());
        };
        // Libtorch's gradient is that of a number; that of this one is what the layers behind ask for.
        let dimensions = output.size();
        let asked = to_tensor(step.output_gradient, samples, &dimensions[1..])?;
        let number = output.f_mul(&asked)?.f_sum(T::KIND)?;
        let mut of: Vec<&Tensor> = parameters.iter().collect();
        of.push(&input);
        let gradients = Tensor::f_run_backward(&[number], &of, false, false)?;
        let first = self.places.first().map_or(0, |place| place.start);
        for (place, gradient) in self.places.iter().zip(&gradients) {
            let range = place.range();
            let to = &mut step.gradients[range.start - first..range.end - first];
            copy(&gradient.f_flatten(0, -1)?, to)?;
        }
        if let (Some(to), Some(gradient)) = (step.input_gradient, gradients.last()) {
            from_tensor(gradient, samples, to)?;
        }
        Ok(())
    }
}

fn slice_to_tensor<T: Real>(values: &[T]) -> Result<Tensor, tch::TchError> {
    // SAFETY of the cast: none needed, the bytes of numbers are copied as they are.
    let bytes: Vec<f64> = values.iter().map(|value| value.double()).collect();
    Tensor::f_from_slice(&bytes)?.f_to_kind(T::KIND)
}

/// A panel as `[samples, …]`.
fn to_tensor<T: Real>(panel: &[T], samples: Samples, dimensions: &[i64]) -> Result<Tensor, tch::TchError> {
    let values: i64 = dimensions.iter().product();
    let panel = slice_to_tensor(&panel[..values as usize * samples.stride])?;
    let mut size = vec![samples.count as i64];
    size.extend(dimensions);
    panel
        .f_view([values, samples.stride as i64])?
        .f_narrow(1, 0, samples.count as i64)?
        .f_transpose(0, 1)?
        .f_contiguous()?
        .f_view(size.as_slice())
}

/// `[samples, …]` into a panel, zeros behind the samples.
fn from_tensor<T: Real>(tensor: &Tensor, samples: Samples, panel: &mut [T]) -> Result<(), TrainError> {
    let gap = (samples.stride - samples.count) as i64;
    let rows = tensor
        .f_reshape([samples.count as i64, -1])?
        .f_transpose(0, 1)?
        .f_constant_pad_nd([0, gap])?;
    let length = rows.numel();
    copy(&rows.f_contiguous()?.f_view([-1])?, &mut panel[..length])
}

fn copy<T: Real>(tensor: &Tensor, to: &mut [T]) -> Result<(), TrainError> {
    let values = Vec::<f64>::try_from(tensor.f_to_kind(Kind::Double)?.f_to_device(Device::Cpu)?)?;
    for (to, value) in to.iter_mut().zip(values) {
        *to = T::of(value);
    }
    Ok(())
}
