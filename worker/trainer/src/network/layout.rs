//! Where a network's weights and biases lie in one flat buffer, and what they are at the start.

use std::ops::Range;

use tenfold_types::TrialSpec;
use tenfold_types::network::{ANSWERS, Linear, Outline};
use tenfold_types::seed::Stream;

use super::compute::{Compute, Initial, compute};
use crate::random::Random;

/// Tensors in the buffers begin at multiples of so many values, 64 bytes, as libtorch's own memory does.
const ALIGNMENT: usize = 16;

/// The sequence of random numbers from which the head is drawn; sub-networks take 0, 1, …
const HEAD_SEQUENCE: u64 = u64::MAX;

/// Where the tensors of a network lie: those of each sub-network, one behind the other (one set where they share), layer
/// by layer, weights before biases, then those of the head; gaps of zeros between them.
#[derive(Debug, Clone)]
pub struct Layout {
    tensors: Vec<Place>,
    /// For each set, the tensors of each layer.
    sets: Vec<Vec<Range<usize>>>,
    head: Range<usize>,
    length: usize,
}

/// A tensor in the buffer, in row-major order.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where it begins.
    pub start: usize,
    /// Its dimensions.
    pub dimensions: Vec<i64>,
    /// How it is at the start.
    pub(crate) initial: Initial,
}

impl Place {
    /// Its values in the buffer.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.dimensions.iter().product::<i64>() as usize
    }
}

impl Layout {
    /// That of a trial whose outline this is.
    pub fn new(spec: &TrialSpec, outline: &Outline) -> Self {
        let sets = if spec.weight_sharing {
            1
        } else {
            spec.architecture.sub_networks
        };
        let mut layout = Self {
            tensors: Vec::new(),
            sets: Vec::new(),
            head: 0..0,
            length: 0,
        };
        for set in 0..sets as usize {
            let layers = spec.architecture.layers(set).iter().zip(outline.layers(set));
            let ranges = layers.map(|(layer, at)| layout.add(compute(layer).parameters(at.input)));
            let ranges = ranges.collect();
            layout.sets.push(ranges);
        }
        let head = Linear { units: ANSWERS };
        layout.head = layout.add(head.parameters(outline.head.input));
        layout
    }

    fn add(&mut self, tensors: Vec<Initial>) -> Range<usize> {
        let first = self.tensors.len();
        for initial in tensors {
            let place = Place {
                start: self.length,
                dimensions: initial.dimensions.clone(),
                initial,
            };
            self.length = place.range().end.next_multiple_of(ALIGNMENT);
            self.tensors.push(place);
        }
        first..self.tensors.len()
    }

    /// Values of the whole buffer, gaps included.
    pub fn length(&self) -> usize {
        self.length
    }

    /// All tensors, in order.
    pub fn tensors(&self) -> &[Place] {
        &self.tensors
    }

    /// The tensors of layer `layer` in set `set`, both from 0.
    pub fn layer(&self, set: usize, layer: usize) -> &[Place] {
        &self.tensors[self.sets[set][layer].clone()]
    }

    /// Which of [`Layout::tensors`] those of a layer are.
    pub(crate) fn layer_tensors(&self, set: usize, layer: usize) -> Range<usize> {
        self.sets[set][layer].clone()
    }

    /// Which of [`Layout::tensors`] the head's are.
    pub(crate) fn head_tensors(&self) -> Range<usize> {
        self.head.clone()
    }

    /// The head's tensors.
    pub fn head(&self) -> &[Place] {
        &self.tensors[self.head.clone()]
    }

    /// The initial values of a repetition, the whole buffer.
    ///
    /// Each set has a sequence of random numbers of its own, and so has the head: the first sub-network and the head
    /// begin alike with and without weight sharing. Within a set: layer by layer, weights before biases, in row-major
    /// order.
    pub fn draw(&self, seed: u64, repetition: u32) -> Vec<f32> {
        let mut values = vec![0.0; self.length];
        let sequences = self.sets.iter().zip(0..).map(|(layers, sequence)| {
            let first = layers.first().map_or(0, |layer| layer.start);
            (first..layers.last().map_or(first, |layer| layer.end), sequence)
        });
        for (tensors, sequence) in sequences.chain([(self.head.clone(), HEAD_SEQUENCE)]) {
            let mut random = Random::new(seed, repetition, Stream::Weights, sequence);
            for place in &self.tensors[tensors] {
                place.initial.draw(&mut random, &mut values[place.range()]);
            }
        }
        values
    }
}
