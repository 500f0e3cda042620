//! Arrays on CPUs: each trial by itself, in one thread, so that its values stay in the processor's caches and its curve
//! is the same bits whatever array it is in.
//!
//! Samples lie innermost: every loop over them is whole vectors, and matrix products come in the order that is fastest.
//! The kernels of common layers are written by hand, one file each; all others are computed by libtorch from their
//! definition in [`crate::network`].

mod aten;
mod batch;
mod conv2d;
mod convolution;
mod criterion;
mod dropout;
mod kernel;
mod linear;
mod matrix;
mod max_pool2d;
mod network;
mod real;
mod relu;
mod softmax;
mod stack;
mod tensors;
mod trial;

use tenfold_types::TrialSpec;
use tenfold_types::network::{Layer, Outline, Shape};

use crate::array::{Array, Learned, Row, Stepwise, Tick};
use crate::data::{Mnist, Pairs};
use crate::train::TrainError;
use trial::Trial;

pub use real::Real;
pub(crate) use real::{vectorized, vectors};

/// Scores that a head gives.
const ANSWERS: usize = tenfold_types::network::ANSWERS.get() as usize;

/// Trials on the processor, one after the other in the thread that asks; see [`crate::train`] for many threads.
pub struct HostArray<T> {
    trials: Vec<Trial<T>>,
}

impl<T: Real> HostArray<T> {
    /// The trials with their data and first weights.
    ///
    /// # Errors
    /// A spec makes no sense, or asks for more pairs than there are.
    pub fn new(specs: &[TrialSpec], mnist: &Mnist) -> Result<Self, TrainError> {
        let trials = specs.iter().map(|spec| Trial::new(spec, mnist));
        Ok(Self {
            trials: trials.collect::<Result<_, _>>()?,
        })
    }
}

impl HostArray<f32> {
    /// What the trial at a place has learned so far.
    ///
    /// # Errors
    /// Libtorch's.
    pub fn learned(&self, place: usize) -> Result<Learned, TrainError> {
        self.trials[place].learned()
    }

    /// Has the trial at a place go on after so many epochs, from what a trial with the same spec had learned by then.
    ///
    /// # Errors
    /// Libtorch's.
    pub fn resume(&mut self, place: usize, epochs: u32, learned: &Learned) -> Result<(), TrainError> {
        self.trials[place].resume(epochs, learned)
    }
}

/// `c = a b` for row-major matrices of m × k and k × n numbers, by the library that host arrays use: for benchmarks.
///
/// # Panics
/// When a slice is too short.
pub fn product(m: usize, n: usize, k: usize, a: &[f32], b: &[f32], c: &mut [f32]) {
    let rows = matrix::Layout::rows;
    matrix::multiply(false, (c, rows(m, n, n)), (a, rows(m, k, k)), (b, rows(k, n, n)));
}

/// Bytes that a trial needs, about: parameters with gradients and two moments, what is between the layers for a batch in
/// training and its gradients, what convolutions write with room around it, and all pairs, once as they were drawn and once
/// as they are computed with.
pub fn bytes(spec: &TrialSpec, outline: &Outline) -> u64 {
    let pixels = 2 * crate::data::PIXELS as u64;
    let of_sub_network = |sub_network: usize| {
        let layers = spec.architecture.layers(sub_network).iter();
        let values = layers.zip(outline.layers(sub_network)).map(|(layer, at)| {
            let output = at.output.values().unwrap_or(u64::MAX);
            output
                .saturating_mul(2)
                .saturating_add(room(layer, at.input, at.output))
        });
        values.fold(pixels, u64::saturating_add)
    };
    let values = (0..spec.architecture.sub_networks as usize).map(of_sub_network);
    let values = values.fold(0, u64::saturating_add);
    // Evaluation takes as many pairs, or more.
    let batch = u64::from(spec.batch_size.min(spec.data.train)).max(trial::EVALUATION_BATCH as u64);
    let pairs = u64::from(spec.data.train) + u64::from(spec.data.test);
    let numbers = outline
        .parameters
        .saturating_mul(4)
        .saturating_add(values.saturating_mul(batch))
        .saturating_add(pairs * pixels * 2);
    numbers.saturating_mul(size_of::<f32>() as u64)
}

/// Values of a sample that a convolution copies to have zeros around them: its input and that one's gradient, if it is
/// padded, and the gradient of its output.
fn room(layer: &Layer, input: Shape, output: Shape) -> u64 {
    let (kernel, padding) = match layer {
        Layer::Conv2d(layer) => ([layer.kernel.get(); 2], [layer.padding; 2]),
        Layer::Conv1d(layer) => ([1, layer.kernel.get()], [0, layer.padding]),
        _ => return 0,
    };
    let (channels, size) = match input {
        Shape::Image {
            channels,
            height,
            width,
        } if kernel[0] > 1 || padding[0] > 0 => (channels, [height, width]),
        input => {
            let (channels, length) = input.signal().unwrap_or((0, 0));
            (channels, [1, length])
        }
    };
    let given = match output {
        Shape::Flat(_) => 0,
        Shape::Signal { channels, .. } | Shape::Image { channels, .. } => channels,
    };
    let area =
        |margin: [u32; 2]| (size[0] + u64::from(margin[0])).saturating_mul(size[1] + u64::from(margin[1]));
    let padded = padding.map(|padding| padding.saturating_mul(2));
    let wide = [0, 1].map(|axis| padded[axis].saturating_add(kernel[axis]));
    let of_input = if padding == [0, 0] { 0 } else { 2 * channels };
    of_input
        .saturating_mul(area(padded))
        .saturating_add(given.saturating_mul(area(wide)))
}

impl<T: Real> Array for HostArray<T> {
    fn epochs(&mut self, count: u32, tick: &dyn Tick) -> Result<Option<Vec<Vec<Row>>>, TrainError> {
        let mut all = Vec::with_capacity(self.trials.len());
        for trial in &mut self.trials {
            let mut rows = Vec::with_capacity(count as usize);
            for _ in 0..count {
                match trial.epoch(tick)? {
                    Some(row) => rows.push(row),
                    None => return Ok(None),
                }
            }
            all.push(rows);
        }
        Ok(Some(all))
    }

    fn keep(&mut self, places: &[usize]) -> Result<(), TrainError> {
        let mut trials: Vec<Option<Trial<T>>> = self.trials.drain(..).map(Some).collect();
        self.trials = places.iter().filter_map(|&place| trials[place].take()).collect();
        Ok(())
    }
}

impl<T: Real> Stepwise for HostArray<T> {
    fn parameters(&self, place: usize) -> Vec<Vec<f64>> {
        let trial = &self.trials[place];
        let values = |place: &crate::network::Place| {
            let values = &trial.parameters[place.range()];
            values.iter().map(|value| value.double()).collect()
        };
        trial.layout.tensors().iter().map(values).collect()
    }

    fn set_parameters(&mut self, place: usize, parameters: &[Vec<f64>]) {
        let Trial {
            layout,
            parameters: buffer,
            ..
        } = &mut self.trials[place];
        for (tensor, values) in layout.tensors().iter().zip(parameters) {
            let to = &mut buffer[tensor.range()];
            assert_eq!(to.len(), values.len(), "a tensor of {:?}", tensor.dimensions);
            for (to, &value) in to.iter_mut().zip(values) {
                *to = T::of(value);
            }
        }
    }

    fn step(&mut self, epoch: u32, pairs: &Pairs) -> Result<Vec<f64>, TrainError> {
        let step = |trial: &mut Trial<T>| {
            let batch = trial.whole(pairs);
            trial.step(epoch, &batch)
        };
        self.trials.iter_mut().map(step).collect()
    }

    fn scores(&mut self, place: usize, pairs: &Pairs) -> Result<Vec<[f64; 2]>, TrainError> {
        self.trials[place].scores(pairs)
    }
}
