//! What a kind of layer has to do here; to add one, write a file like its neighbours and a line in [`compute`].

use tch::{Device, TchError, Tensor};
use tenfold_types::network::{Layer, Shape};
use tenfold_types::seed::Stream;

use crate::random::Random;

/// A layer that computes.
pub(crate) trait Compute {
    /// The tensors of weights that it has, in the order in which they are drawn.
    fn parameters(&self, _input: Shape) -> Vec<Initial> {
        Vec::new()
    }

    /// What comes out for a batch (its first dimension).
    fn forward(&self, input: Tensor, parameters: &[Tensor], pass: &mut Pass) -> Result<Tensor, TchError>;
}

/// A tensor of weights, and how it begins.
#[derive(Debug, Clone)]
pub(crate) struct Initial {
    /// Its dimensions.
    pub(crate) dimensions: Vec<i64>,
    values: Values,
}

#[derive(Debug, Clone, Copy)]
enum Values {
    /// Uniform between plus and minus this.
    Uniform(f32),
    /// All the same.
    Constant(f32),
}

impl Initial {
    /// Uniform between ±1/√`fan_in`, the number of values that each output value depends on, as PyTorch has it for
    /// linear and convolutional layers, weights and biases alike.
    pub(crate) fn uniform(dimensions: Vec<i64>, fan_in: u64) -> Self {
        Self {
            dimensions,
            values: Values::Uniform((1.0 / (fan_in as f64).sqrt()) as f32),
        }
    }

    /// All values the same, without a random number.
    pub(crate) fn constant(dimensions: Vec<i64>, value: f32) -> Self {
        Self {
            dimensions,
            values: Values::Constant(value),
        }
    }

    /// Fills a slice with the first values, in row-major order.
    pub(crate) fn draw(&self, random: &mut Random, values: &mut [f32]) {
        match self.values {
            Values::Uniform(bound) => {
                values.fill_with(|| bound * (2.0 * random.unit() - 1.0));
            }
            Values::Constant(value) => values.fill(value),
        }
    }
}

pub(crate) fn compute(layer: &Layer) -> &dyn Compute {
    match layer {
        Layer::Linear(layer) => layer,
        Layer::Conv2d(layer) => layer,
        Layer::MaxPool2d(layer) => layer,
        Layer::Flatten(layer) => layer,
        Layer::Relu(layer) => layer,
        Layer::LeakyRelu(layer) => layer,
        Layer::Tanh(layer) => layer,
        Layer::Sigmoid(layer) => layer,
        Layer::Gelu(layer) => layer,
        Layer::Dropout(layer) => layer,
    }
}

/// A pass through a network: training with dropout, or evaluation.
#[derive(Debug)]
pub enum Pass {
    /// Training.
    Train(Masks),
    /// Evaluation.
    Evaluate,
}

/// The masks of dropout in one step. Mask after mask in the order of the pass, each is a pure function of the seed, the
/// repetition, the step and its place, whatever the device.
#[derive(Debug)]
pub struct Masks {
    seed: u64,
    repetition: u32,
    sequence: u64,
    /// The rate of layers that name none.
    pub(crate) default_rate: f64,
}

impl Masks {
    /// Those of step number `step` of a trial.
    pub fn new(seed: u64, repetition: u32, default_rate: f64, step: u64) -> Self {
        Self {
            seed,
            repetition,
            // At most 1,000 layers of 1,000 sub-networks ask for a mask in a step.
            sequence: step << 20,
            default_rate,
        }
    }

    /// The next mask: 0 with probability `rate`, else 1 / (1 - `rate`).
    pub(crate) fn next(&mut self, rate: f64, dimensions: &[i64], device: Device) -> Result<Tensor, TchError> {
        let mut random = Random::new(self.seed, self.repetition, Stream::Dropout, self.sequence);
        self.sequence += 1;
        let keep = (1.0 / (1.0 - rate)) as f32;
        let count = dimensions.iter().product::<i64>();
        let mask: Vec<f32> = (0..count)
            .map(|_| {
                if f64::from(random.unit()) < rate {
                    0.0
                } else {
                    keep
                }
            })
            .collect();
        Tensor::f_from_slice(&mask)?
            .f_view(dimensions)?
            .f_to_device(device)
    }
}
