//! What a kind of layer has to do here; to add one, write a file like its neighbours and a line in [`compute`].
//!
//! Every tensor has the trials of an array first and samples second: `[trials, samples, …]`, parameters `[trials, …]`.
//! Nothing may mix trials, so that none disturbs another.

use tch::{TchError, Tensor};
use tenfold_types::TrialSpec;
use tenfold_types::network::{Layer, Outline, Shape};

use crate::random::Random;

pub use super::dropout::Masks;

/// A layer that computes.
pub(crate) trait Compute {
    /// The tensors of weights that it has, in the order in which they are drawn.
    fn parameters(&self, _input: Shape) -> Vec<Initial> {
        Vec::new()
    }

    /// Values that it keeps from batch to batch and that are no weights: how many, and what they are at first.
    fn state(&self, _input: Shape) -> Vec<(u64, f64)> {
        Vec::new()
    }

    /// What comes out for a batch; libtorch finds the gradients.
    ///
    /// # Errors
    /// Libtorch's.
    fn forward(&self, input: Tensor, parameters: &[Tensor], pass: &mut Pass<'_>) -> Result<Tensor, TchError>;
}

/// A pass through a layer.
#[derive(Debug)]
pub struct Pass<'a> {
    /// In training: the masks of dropout. Without, the pass is an evaluation.
    pub masks: Option<&'a Masks>,
    /// The layer's place in its network, for the masks.
    pub place: u64,
    /// What the layer keeps, `[trials, count]` each.
    pub state: &'a mut [Tensor],
}

impl Pass<'_> {
    /// The place of layer `layer` in set `set`.
    pub fn place(set: usize, layer: usize) -> u64 {
        set as u64 * MOST_LAYERS + layer as u64
    }
}

/// A network has at most so many layers in each set.
const MOST_LAYERS: u64 = 1000;

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

/// Values that the layers of a trial keep, all sets together.
pub(crate) fn state_length(spec: &TrialSpec, outline: &Outline) -> usize {
    let sets = match spec.weight_sharing {
        true => 1,
        false => spec.architecture.sub_networks as usize,
    };
    let of_set = |set: usize| {
        let layers = spec.architecture.layers(set).iter().zip(outline.layers(set));
        layers.flat_map(|(layer, at)| compute(layer).state(at.input))
    };
    (0..sets)
        .flat_map(of_set)
        .map(|(values, _)| values as usize)
        .sum()
}

pub(crate) fn compute(layer: &Layer) -> &dyn Compute {
    match layer {
        Layer::Linear(layer) => layer,
        Layer::Conv1d(layer) => layer,
        Layer::Conv2d(layer) => layer,
        Layer::MaxPool1d(layer) => layer,
        Layer::MaxPool2d(layer) => layer,
        Layer::AvgPool1d(layer) => layer,
        Layer::AvgPool2d(layer) => layer,
        Layer::BatchNorm1d(layer) => layer,
        Layer::BatchNorm2d(layer) => layer,
        Layer::Flatten(layer) => layer,
        Layer::Relu(layer) => layer,
        Layer::LeakyRelu(layer) => layer,
        Layer::Tanh(layer) => layer,
        Layer::Sigmoid(layer) => layer,
        Layer::Gelu(layer) => layer,
        Layer::Softmax(layer) => layer,
        Layer::Dropout(layer) => layer,
    }
}
