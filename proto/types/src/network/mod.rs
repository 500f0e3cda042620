//! Networks: layers with their parameters, shapes and operations per sample, and how sub-networks make one network.
//!
//! One file per kind of layer, or per family of such as differ little. Nothing here computes: the trainer has a file of the same name that does.

mod activation;
mod architecture;
mod batch_norm;
mod convolution;
mod dropout;
mod flatten;
mod layer;
mod linear;
mod outline;
mod pool;
mod shape;

pub use activation::{Gelu, LeakyRelu, Relu, Sigmoid, Softmax, Tanh};
pub use architecture::{Architecture, CLASSES, SIDE};
pub use batch_norm::{BatchNorm1d, BatchNorm2d};
pub use convolution::{Conv1d, Conv2d};
pub use dropout::Dropout;
pub use flatten::Flatten;
pub use layer::LayerError;
pub use linear::Linear;
pub use outline::{ANSWERS, LayerOutline, Outline, ShapeError};
pub use pool::{AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d};
pub use shape::{Flow, LayerKind, Misfit, Shape};

use shape::{checked, window, window1d};

// The order is the order of the frames' encoding: add new kinds at the end.
layer::layers! {
    /// See [`Linear`].
    Linear,
    /// See [`Conv2d`].
    Conv2d,
    /// See [`MaxPool2d`].
    MaxPool2d,
    /// See [`Flatten`].
    Flatten,
    /// See [`Relu`].
    Relu,
    /// See [`LeakyRelu`].
    LeakyRelu,
    /// See [`Tanh`].
    Tanh,
    /// See [`Sigmoid`].
    Sigmoid,
    /// See [`Gelu`].
    Gelu,
    /// See [`Dropout`].
    Dropout,
    /// See [`Conv1d`].
    Conv1d,
    /// See [`MaxPool1d`].
    MaxPool1d,
    /// See [`AvgPool1d`].
    AvgPool1d,
    /// See [`AvgPool2d`].
    AvgPool2d,
    /// See [`BatchNorm1d`].
    BatchNorm1d,
    /// See [`BatchNorm2d`].
    BatchNorm2d,
    /// See [`Softmax`].
    Softmax,
}

#[cfg(test)]
mod tests;
