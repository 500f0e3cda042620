//! Layers by hand, for the processor.

use std::num::NonZeroU32;

use tch::TchError;
use tenfold_types::TrialSpec;
use tenfold_types::network::{Layer, LayerOutline, Shape};

use super::aten::AtenKernel;
use super::conv2d::Conv2dKernel;
use super::convolution::Geometry;
use super::dropout::DropoutKernel;
use super::linear::LinearKernel;
use super::max_pool2d::{MaxPool2dKernel, Window};
use super::real::Real;
use super::relu::ReluKernel;
use crate::network::Place;
use crate::train::TrainError;

/// The samples of a pass. Values lie as `[values of a sample][samples]`, with gaps after the samples: vectors need no
/// remainder. What is in the gaps of values is of no account; the gaps of gradients are zeros.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Samples {
    pub(crate) count: usize,
    /// From a row to the next: a multiple of [`Real::LANES`].
    pub(crate) stride: usize,
}

impl Samples {
    pub(crate) fn of<T: Real>(count: usize) -> Self {
        Self {
            count,
            stride: count.next_multiple_of(T::LANES),
        }
    }
}

/// A layer that computes. A training step calls `forward`, then `backward` with the same values; what passes from the one
/// to the other stays in the kernel.
pub(crate) trait Kernel<T: Real>: Send {
    /// Fills `output`. `parameters` are the layer's, as `network::Layout` places them.
    fn forward(
        &mut self,
        pass: HostPass,
        samples: Samples,
        parameters: &[T],
        input: &[T],
        output: &mut [T],
    ) -> Result<(), TrainError>;

    /// Fills the gradients of the parameters, and of the input where one is wanted. May use up the output's gradient.
    fn backward(
        &mut self,
        samples: Samples,
        parameters: &[T],
        step: Backward<'_, T>,
    ) -> Result<(), TrainError>;

    /// Adds what the layer keeps from batch to batch and that is no parameter.
    fn save(&self, _state: &mut Vec<T>) -> Result<(), TchError> {
        Ok(())
    }

    /// Takes its part of what [`Kernel::save`] gave from the front.
    fn restore(&mut self, _state: &mut &[T]) -> Result<(), TchError> {
        Ok(())
    }

    /// Takes a `relu` behind the layer into it, if it can: true means that it is done.
    fn absorb_relu(&mut self) -> bool {
        false
    }
}

/// A pass through a network.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HostPass {
    /// Training, step number `step` from 0.
    Train {
        step: u64,
    },
    Evaluate,
}

/// What a layer's backward pass reads and writes.
pub(crate) struct Backward<'a, T> {
    pub(crate) input: &'a [T],
    pub(crate) output: &'a [T],
    pub(crate) output_gradient: &'a mut [T],
    pub(crate) gradients: &'a mut [T],
    pub(crate) input_gradient: Option<&'a mut [T]>,
}

/// What a layer is told of the trial it belongs to.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) spec: &'a TrialSpec,
    /// The sub-network's set of parameters.
    pub(crate) set: usize,
}

/// The kernel of a layer: by hand where there is one, else its definition in [`crate::network`], by libtorch.
pub(crate) fn kernel<T: Real>(
    layer: &Layer,
    outline: &LayerOutline,
    places: &[Place],
    context: &Context<'_>,
    at: usize,
) -> Result<Box<dyn Kernel<T>>, TchError> {
    let first = places.first().map_or(0, |place| place.start);
    let range = |tensor: usize| {
        let range = places[tensor].range();
        range.start - first..range.end - first
    };
    let values = outline.input.values().unwrap_or(u64::MAX) as usize;
    Ok(match (layer, Plane::of(outline.input)) {
        (Layer::Linear(layer), _) => {
            Box::new(LinearKernel::new(values, layer.units.get() as usize, range(1)))
        }
        (Layer::Conv2d(layer), Some(plane)) => {
            let (kernel, stride) = ([layer.kernel; 2], [layer.stride; 2]);
            let geometry = plane.convolution(layer.channels, kernel, stride);
            let padding = [layer.padding as usize; 2];
            Box::new(Conv2dKernel::new(geometry, padding, range(0), range(1)))
        }
        (Layer::Conv1d(layer), Some(plane)) => {
            let (kernel, stride) = ([ONE, layer.kernel], [ONE, layer.stride]);
            let geometry = plane.row().convolution(layer.channels, kernel, stride);
            let padding = [0, layer.padding as usize];
            Box::new(Conv2dKernel::new(geometry, padding, range(0), range(1)))
        }
        (Layer::MaxPool2d(layer), Some(plane)) => Box::new(MaxPool2dKernel::new(
            plane.window([layer.kernel; 2], [layer.steps(); 2]),
        )),
        (Layer::MaxPool1d(layer), Some(plane)) => {
            let window = plane.row().window([ONE, layer.kernel], [ONE, layer.steps()]);
            Box::new(MaxPool2dKernel::new(window))
        }
        (Layer::Relu(_), _) => Box::new(ReluKernel { values }),
        (Layer::Dropout(layer), _) => Box::new(DropoutKernel::new(values, layer.rate, context, at)),
        _ => Box::new(AtenKernel::new::<T>(layer, outline, places, context, at)?),
    })
}

const ONE: NonZeroU32 = NonZeroU32::MIN;

/// Channels with rows and columns; a signal is one row.
#[derive(Clone, Copy)]
struct Plane {
    channels: usize,
    size: [usize; 2],
}

impl Plane {
    fn of(shape: Shape) -> Option<Self> {
        let (channels, size) = match shape {
            Shape::Flat(_) => return None,
            Shape::Signal { channels, length } => (channels, [1, length]),
            Shape::Image {
                channels,
                height,
                width,
            } => (channels, [height, width]),
        };
        Some(Self {
            channels: channels as usize,
            size: size.map(|size| size as usize),
        })
    }

    /// All rows in one.
    fn row(self) -> Self {
        Self {
            size: [1, self.size[0] * self.size[1]],
            ..self
        }
    }

    fn convolution(
        self,
        channels_out: NonZeroU32,
        kernel: [NonZeroU32; 2],
        stride: [NonZeroU32; 2],
    ) -> Geometry {
        Geometry {
            channels_in: self.channels,
            input: self.size,
            channels_out: channels_out.get() as usize,
            kernel: kernel.map(|size| size.get() as usize),
            stride: stride.map(|size| size.get() as usize),
        }
    }

    fn window(self, kernel: [NonZeroU32; 2], stride: [NonZeroU32; 2]) -> Window {
        Window {
            channels: self.channels,
            input: self.size,
            kernel: kernel.map(|size| size.get() as usize),
            stride: stride.map(|size| size.get() as usize),
        }
    }
}
