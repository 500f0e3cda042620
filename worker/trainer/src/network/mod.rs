//! Networks that compute: sub-networks, the join and the head, over one flat buffer of parameters.

mod activation;
mod compute;
mod conv2d;
mod dropout;
mod flatten;
mod join;
mod layout;
mod linear;
mod max_pool2d;
mod parameters;

use tch::{Device, TchError, Tensor};
use tenfold_types::network::{Linear, Outline};
use tenfold_types::{Join, TrialSpec};

use crate::data::Batch;
pub(crate) use compute::compute;
use compute::Compute;

pub use compute::{Masks, Pass};
pub use layout::{Layout, Place};
pub use parameters::Parameters;

/// A trial's network.
#[derive(Debug)]
pub struct Network {
    layers: Vec<tenfold_types::network::Layer>,
    head: Linear,
    sub_networks: usize,
    weight_sharing: bool,
    join: Join,
    /// Its weights and biases.
    pub parameters: Parameters,
}

/// What a network makes of a batch.
#[derive(Debug)]
pub struct Answer {
    /// Scores of no and yes, `[pairs, 2]`.
    pub scores: Tensor,
    /// The last hidden layer of each sub-network as it is, `[pairs, width]`.
    pub features: Vec<Tensor>,
}

impl Network {
    /// The network of a trial, whose outline this is, with its initial weights.
    ///
    /// # Errors
    /// Libtorch's, such as too little memory.
    pub fn new(spec: &TrialSpec, outline: &Outline, device: Device) -> Result<Self, TchError> {
        let sub_networks = spec.architecture.sub_networks as usize;
        let layers = spec.architecture.layers.clone();
        let tensors = layers.iter().zip(&outline.layers);
        let tensors = tensors
            .map(|(layer, at)| compute(layer).parameters(at.input))
            .collect();
        let head = Linear {
            units: tenfold_types::network::ANSWERS,
        };
        let sets = if spec.weight_sharing { 1 } else { sub_networks };
        let parameters = Parameters::new(tensors, head.parameters(outline.head.input), sets, spec, device)?;
        Ok(Self {
            layers,
            head,
            sub_networks,
            weight_sharing: spec.weight_sharing,
            join: spec.join,
            parameters,
        })
    }

    /// A forward pass.
    ///
    /// # Errors
    /// Libtorch's.
    pub fn forward(&self, batch: &Batch, pass: &mut Pass) -> Result<Answer, TchError> {
        let features = self.features(batch, pass)?;
        let joined: Vec<Tensor> = features
            .iter()
            .map(|feature| join::apply(self.join, feature))
            .collect::<Result<_, _>>()?;
        let joined = Tensor::f_cat(&joined, 1)?;
        let scores = self.head.forward(joined, self.parameters.head(), pass)?;
        Ok(Answer { scores, features })
    }

    fn features(&self, batch: &Batch, pass: &mut Pass) -> Result<Vec<Tensor>, TchError> {
        let pairs = batch.pairs;
        if self.sub_networks == 1 {
            return Ok(vec![self.run(0, batch.images.shallow_clone(), pass)?]);
        }
        let image = |sub_network: usize| batch.images.f_narrow(0, (sub_network as i64 % 2) * pairs, pairs);
        if !self.weight_sharing {
            return (0..self.sub_networks)
                .map(|s| self.run(s, image(s)?, pass))
                .collect();
        }
        // All sub-networks are one, so one pass sees what they all see.
        let images = match self.sub_networks {
            2 => batch.images.shallow_clone(),
            _ => Tensor::f_cat(
                &(0..self.sub_networks).map(image).collect::<Result<Vec<_>, _>>()?,
                0,
            )?,
        };
        let stacked = self.run(0, images, pass)?;
        let part = |s: usize| stacked.f_narrow(0, s as i64 * pairs, pairs);
        (0..self.sub_networks).map(part).collect()
    }

    fn run(&self, set: usize, images: Tensor, pass: &mut Pass) -> Result<Tensor, TchError> {
        let mut values = images;
        for (at, layer) in self.layers.iter().enumerate() {
            values = compute(layer).forward(values, self.parameters.layer(set, at), pass)?;
        }
        Ok(values)
    }
}
