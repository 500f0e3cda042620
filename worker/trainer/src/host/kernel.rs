//! Layers by hand, for the processor.

use tenfold_types::network::{Layer, LayerOutline, Shape};

use super::aten::AtenKernel;
use super::conv2d::Conv2dKernel;
use super::convolution::Geometry;
use super::linear::LinearKernel;
use super::max_pool2d::{MaxPool2dKernel, Window};
use super::real::Real;
use super::relu::ReluKernel;
use crate::network::Place;
use crate::train::TrainError;

/// The samples of a pass. Values lie as `[values of a sample][samples]`, with gaps after the samples: vectors need no
/// remainder. What is in the gaps of values is of no account; the gaps of gradients are zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    fn backward(&mut self, samples: Samples, parameters: &[T], step: Backward<'_, T>) -> Result<(), TrainError>;

    /// Takes a `relu` behind the layer into it, if it can: true means that it is done.
    fn absorb_relu(&mut self) -> bool {
        false
    }
}

/// A pass through a network.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HostPass {
    /// Training, step number `step` from 0.
    Train { step: u64 },
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
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) seed: u64,
    pub(crate) repetition: u32,
    /// The rate of dropout layers that name none.
    pub(crate) dropout: f64,
    /// The sub-network's set of parameters.
    pub(crate) set: usize,
}

/// The kernel of a layer: by hand where there is one, else its definition in [`crate::network`], by libtorch.
pub(crate) fn kernel<T: Real>(
    layer: &Layer,
    outline: &LayerOutline,
    places: &[Place],
    context: &Context,
    at: usize,
) -> Box<dyn Kernel<T>> {
    let first = places.first().map_or(0, |place| place.start);
    let range = |tensor: usize| {
        let range = places[tensor].range();
        range.start - first..range.end - first
    };
    let values = |shape: Shape| shape.values().unwrap_or(u64::MAX) as usize;
    match (layer, outline.input) {
        (Layer::Linear(layer), input) => {
            Box::new(LinearKernel::new(values(input), layer.units.get() as usize, range(1)))
        }
        (Layer::Conv2d(layer), Shape::Image { channels, height, width }) => {
            let geometry = Geometry {
                channels_in: channels as usize,
                input: [height as usize, width as usize],
                channels_out: layer.channels.get() as usize,
                kernel: [layer.kernel.get() as usize; 2],
                stride: [layer.stride.get() as usize; 2],
            };
            let padding = [layer.padding as usize; 2];
            Box::new(Conv2dKernel::new(geometry, padding, range(0), range(1)))
        }
        (Layer::MaxPool2d(layer), Shape::Image { channels, height, width }) => {
            Box::new(MaxPool2dKernel::new(Window {
                channels: channels as usize,
                input: [height as usize, width as usize],
                kernel: [layer.kernel.get() as usize; 2],
                stride: [layer.steps().get() as usize; 2],
            }))
        }
        (Layer::Relu(_), input) => Box::new(ReluKernel { values: values(input) }),
        _ => Box::new(AtenKernel::new(layer, outline, places, context, at)),
    }
}
