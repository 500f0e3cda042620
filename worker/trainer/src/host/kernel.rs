//! Layers by hand, for the processor.

use tenfold_types::network::{Layer, Shape};

use super::conv2d::Conv2dKernel;
use super::linear::LinearKernel;
use super::max_pool2d::MaxPool2dKernel;
use super::real::Real;
use super::relu::ReluKernel;
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
