//! A network's weights and biases, in one flat buffer, and their gradients in another.

use tch::{Device, Kind, TchError, Tensor, no_grad};
use tenfold_types::TrialSpec;
use tenfold_types::seed::Stream;

use super::compute::Initial;
use crate::random::Random;

/// Tensors in the buffers begin at multiples of so many values, 64 bytes, as libtorch's own memory does.
const ALIGNMENT: i64 = 16;

/// The sequence of random numbers from which the head is drawn; sub-networks take 0, 1, …
const HEAD_SEQUENCE: u64 = u64::MAX;

/// Weights and biases: those of each sub-network, one behind the other, then those of the head.
#[derive(Debug)]
pub struct Parameters {
    /// All values, one-dimensional; gaps of zeros between the tensors.
    pub values: Tensor,
    /// Their gradients, laid out likewise.
    pub gradients: Tensor,
    tensors: Vec<Tensor>,
    gradient_views: Vec<Tensor>,
    /// Where each layer's tensors begin within a set, and where the last end.
    starts: Vec<usize>,
    head: usize,
}

impl Parameters {
    /// Draws the initial values of `sets` sub-networks with these layers, and of the head.
    ///
    /// Each set has a sequence of random numbers of its own, and so has the head: the first sub-network and the head
    /// begin alike with and without weight sharing. Within a set: layer by layer, weights before biases, in row-major
    /// order.
    pub(super) fn new(
        layers: Vec<Vec<Initial>>,
        head: Vec<Initial>,
        sets: usize,
        spec: &TrialSpec,
        device: Device,
    ) -> Result<Self, TchError> {
        let mut starts = vec![0];
        for layer in &layers {
            starts.push(starts[starts.len() - 1] + layer.len());
        }
        let set: Vec<Initial> = layers.into_iter().flatten().collect();
        let mut values = Vec::new();
        let mut places = Vec::new();
        let sequences = (0..sets as u64).map(|sequence| (sequence, &set));
        for (sequence, tensors) in sequences.chain([(HEAD_SEQUENCE, &head)]) {
            let mut random = Random::new(spec.seed, spec.repetition, Stream::Weights, sequence);
            for tensor in tensors {
                let count = tensor.dimensions.iter().product::<i64>();
                places.push((values.len() as i64, count, &tensor.dimensions));
                let first = values.len();
                let end = first + count as usize;
                values.resize(end.next_multiple_of(ALIGNMENT as usize), 0.0);
                tensor.draw(&mut random, &mut values[first..end]);
            }
        }
        let values = Tensor::f_from_slice(&values)?.f_to_device(device)?;
        let gradients = Tensor::f_zeros(values.size(), (Kind::Float, device))?;
        let views = |of: &Tensor| -> Result<Vec<Tensor>, TchError> {
            let view = |&(start, count, dimensions): &(i64, i64, &Vec<i64>)| {
                of.f_narrow(0, start, count)?.f_view(dimensions.as_slice())
            };
            places.iter().map(view).collect()
        };
        // Leaves of the graph that share the buffer's memory: a step on the buffer is a step on them all.
        let tensors = views(&values)?
            .iter()
            .map(|view| view.f_detach()?.f_set_requires_grad(true))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            gradient_views: views(&gradients)?,
            head: sets * set.len(),
            values,
            gradients,
            tensors,
            starts,
        })
    }

    /// The tensors of layer `layer` in set `set`, both from 0.
    pub(super) fn layer(&self, set: usize, layer: usize) -> &[Tensor] {
        let first = set * self.starts[self.starts.len() - 1];
        &self.tensors[first + self.starts[layer]..first + self.starts[layer + 1]]
    }

    /// The head's tensors.
    pub(super) fn head(&self) -> &[Tensor] {
        &self.tensors[self.head..]
    }

    /// Fills the gradients with those of a loss, whose graph is gone afterwards.
    ///
    /// # Errors
    /// Libtorch's.
    pub fn differentiate(&mut self, loss: &Tensor) -> Result<(), TchError> {
        let gradients = Tensor::f_run_backward(&[loss], &self.tensors, false, false)?;
        no_grad(|| {
            let mut views = self.gradient_views.iter_mut().zip(&gradients);
            views.try_for_each(|(view, gradient)| view.f_copy_(gradient))
        })
    }
}
