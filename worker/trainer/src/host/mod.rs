//! Arrays on CPUs.
mod conv2d;
mod convolution;
mod kernel;
mod linear;
mod matrix;
mod max_pool2d;
mod real;
mod relu;
