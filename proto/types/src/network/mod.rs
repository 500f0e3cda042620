//! Networks: layers with their parameters, shapes and operations per sample, and how sub-networks make one network.
//!
//! One file per kind of layer. Nothing here computes: the trainer has a file of the same name that does.

mod activation;
mod architecture;
mod conv2d;
mod dropout;
mod flatten;
mod layer;
mod linear;
mod max_pool2d;
mod outline;
mod shape;

pub use activation::{Gelu, LeakyRelu, Relu, Sigmoid, Tanh};
pub use architecture::{Architecture, CLASSES, SIDE};
pub use conv2d::Conv2d;
pub use dropout::Dropout;
pub use flatten::Flatten;
pub use layer::LayerError;
pub use linear::Linear;
pub use max_pool2d::MaxPool2d;
pub use outline::{ANSWERS, LayerOutline, Outline, ShapeError};
pub use shape::{Flow, LayerKind, Misfit, Shape};

use shape::{checked, window};

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
}

#[cfg(test)]
mod tests;
