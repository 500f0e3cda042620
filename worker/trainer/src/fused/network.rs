//! The networks of an array's trials, as one.

use tch::{Device, Kind, TchError, Tensor, no_grad};
use tenfold_types::network::{Outline, Shape};
use tenfold_types::{Head, Join, TrialSpec};

use super::data::Batch;
use crate::network::{Layout, Masks, Pass, compute, first_state, head, join};

/// Networks of one shape: each tensor has the trials as its first dimension.
pub(super) struct Network {
    layers: Vec<Vec<tenfold_types::network::Layer>>,
    sub_networks: usize,
    weight_sharing: bool,
    join: Join,
    head: Head,
    layout: Layout,
    /// All weights, `[trials, length of the layout]`.
    pub(super) values: Tensor,
    /// Each tensor's part of them, a leaf of libtorch's graph.
    tensors: Vec<Tensor>,
    /// What layers keep, by set and layer.
    state: Vec<Vec<Vec<Tensor>>>,
}

/// What networks make of a batch.
pub(super) struct Answer {
    /// What the heads give, `[trials, pairs, 2]`.
    pub(super) scores: Tensor,
    /// The last hidden layer of each sub-network as it is, `[trials, pairs, width]`.
    pub(super) features: Vec<Tensor>,
}

impl Network {
    /// Of trials of one shape, with this outline, and their first weights.
    pub(super) fn new(specs: &[TrialSpec], outline: &Outline, on: (Kind, Device)) -> Result<Self, TchError> {
        let spec = &specs[0];
        let layout = Layout::new(spec, outline);
        let first: Vec<f32> = specs
            .iter()
            .flat_map(|spec| layout.draw(spec.seed, spec.repetition))
            .collect();
        let values = Tensor::f_from_slice(&first)?
            .f_view([specs.len() as i64, layout.length() as i64])?
            .f_to_kind(on.0)?
            .f_to_device(on.1)?;
        let sub_networks = spec.architecture.sub_networks as usize;
        let sets = if spec.weight_sharing { 1 } else { sub_networks };
        let state = |(layer, input): (&tenfold_types::network::Layer, Shape)| {
            first_state(compute(layer), input, specs.len(), on)
        };
        let state_of_set = |set: usize| {
            let inputs = outline.layers(set).iter().map(|layer| layer.input);
            spec.architecture
                .layers(set)
                .iter()
                .zip(inputs)
                .map(state)
                .collect()
        };
        Ok(Self {
            layers: (0..sets)
                .map(|set| spec.architecture.layers(set).to_vec())
                .collect(),
            sub_networks,
            weight_sharing: spec.weight_sharing,
            join: spec.join,
            head: spec.head,
            tensors: leaves(&layout, &values)?,
            state: (0..sets).map(state_of_set).collect::<Result<_, _>>()?,
            values,
            layout,
        })
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn trials(&self) -> usize {
        self.values.size()[0] as usize
    }

    /// What the layers of a trial keep, set by set, layer by layer.
    pub(super) fn state(&self, place: usize) -> Result<Vec<f32>, TchError> {
        let mut state = Vec::new();
        for tensor in self.state.iter().flatten().flatten() {
            state.extend(numbers(&tensor.f_get(place as i64)?)?);
        }
        Ok(state)
    }

    /// Replaces all parameters, `[trials, length of the layout]`, and what the layers keep, a list for each trial.
    pub(super) fn restore(&mut self, values: Tensor, states: &[&[f32]]) -> Result<(), TchError> {
        self.values = values;
        self.tensors = leaves(&self.layout, &self.values)?;
        let mut first = 0;
        for tensor in self.state.iter_mut().flatten().flatten() {
            let length = tensor.size()[1] as usize;
            let parts: Vec<&[f32]> = states.iter().map(|state| &state[first..first + length]).collect();
            *tensor = stacked(&parts, (tensor.kind(), tensor.device()))?;
            first += length;
        }
        Ok(())
    }

    /// A forward pass; with masks, one of training.
    pub(super) fn forward(&mut self, batch: &Batch, masks: Option<&Masks>) -> Result<Answer, TchError> {
        let features = self.features(batch, masks)?;
        let joined = features.iter().map(|feature| join(self.join, feature));
        let joined = Tensor::f_cat(&joined.collect::<Result<Vec<_>, _>>()?, 2)?;
        let tensors = &self.tensors[self.layout.head_tensors()];
        let scores =
            tensors[1]
                .f_unsqueeze(1)?
                .f_baddbmm(&joined, &tensors[0].f_transpose(1, 2)?, 1.0, 1.0)?;
        Ok(Answer {
            scores: head(self.head, &scores)?,
            features,
        })
    }

    fn features(&mut self, batch: &Batch, masks: Option<&Masks>) -> Result<Vec<Tensor>, TchError> {
        if self.sub_networks == 1 {
            // It sees both images, as channels.
            return Ok(vec![self.run(0, Tensor::f_cat(&batch.images, 2)?, masks)?]);
        }
        if !self.weight_sharing {
            let sub_networks = 0..self.sub_networks;
            return sub_networks
                .map(|sub_network| {
                    self.run(sub_network, batch.images[sub_network % 2].shallow_clone(), masks)
                })
                .collect();
        }
        // All sub-networks are one, so one pass sees what they all see.
        let images: Vec<&Tensor> = (0..self.sub_networks).map(|s| &batch.images[s % 2]).collect();
        let stacked = self.run(0, Tensor::f_cat(&images, 1)?, masks)?;
        let part = |s: usize| stacked.f_narrow(1, s as i64 * batch.pairs, batch.pairs);
        (0..self.sub_networks).map(part).collect()
    }

    fn run(&mut self, set: usize, images: Tensor, masks: Option<&Masks>) -> Result<Tensor, TchError> {
        let mut values = images;
        for (at, layer) in self.layers[set].iter().enumerate() {
            let mut pass = Pass {
                masks,
                place: Pass::place(set, at),
                state: &mut self.state[set][at],
            };
            let parameters = &self.tensors[self.layout.layer_tensors(set, at)];
            values = compute(layer).forward(values, parameters, &mut pass)?;
        }
        Ok(values)
    }

    /// The gradients of a number, laid out as `values`; its graph is gone afterwards.
    pub(super) fn gradients(&self, of: &Tensor) -> Result<Tensor, TchError> {
        let gradients = Tensor::f_run_backward(&[of], &self.tensors, false, false)?;
        let (trials, on) = (self.values.size()[0], (self.values.kind(), self.values.device()));
        // One operation for all: the gradients, and zeros for what lies between.
        let mut parts = Vec::with_capacity(2 * gradients.len());
        let mut filled = 0;
        let gap = |length: usize| Tensor::f_zeros([trials, length as i64], on);
        for (place, gradient) in self.layout.tensors().iter().zip(&gradients) {
            if filled < place.start {
                parts.push(gap(place.start - filled)?);
            }
            parts.push(gradient.f_reshape([trials, -1])?);
            filled = place.range().end;
        }
        if filled < self.layout.length() {
            parts.push(gap(self.layout.length() - filled)?);
        }
        no_grad(|| Tensor::f_cat(&parts, 1))
    }

    /// Only the trials at these places stay.
    pub(super) fn keep(&mut self, places: &Tensor) -> Result<(), TchError> {
        self.values = self.values.f_index_select(0, places)?;
        self.tensors = leaves(&self.layout, &self.values)?;
        for tensor in self.state.iter_mut().flatten().flatten() {
            *tensor = tensor.f_index_select(0, places)?;
        }
        Ok(())
    }
}

/// A tensor's numbers.
pub(super) fn numbers(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let tensor = tensor.f_detach()?.f_flatten(0, -1)?.f_to_device(Device::Cpu)?;
    Vec::<f32>::try_from(tensor)
}

/// Lists of numbers, one of each trial, as `[trials, numbers]`.
pub(super) fn stacked(lists: &[&[f32]], (kind, device): (Kind, Device)) -> Result<Tensor, TchError> {
    Tensor::f_from_slice(&lists.concat())?
        .f_view([lists.len() as i64, -1])?
        .f_to_kind(kind)?
        .f_to_device(device)
}

/// Leaves of the graph that share the buffer's memory: a step on the buffer is a step on them all.
fn leaves(layout: &Layout, values: &Tensor) -> Result<Vec<Tensor>, TchError> {
    let leaf = |place: &crate::network::Place| {
        let range = place.range();
        let mut size = vec![values.size()[0]];
        size.extend(&place.dimensions);
        values
            .f_narrow(1, range.start as i64, range.len() as i64)?
            .f_view(size.as_slice())?
            .f_detach()?
            .f_set_requires_grad(true)
    };
    layout.tensors().iter().map(leaf).collect()
}
