//! What trains: arrays of trials of one shape. There are two kinds, `fused` for GPUs and `host` for
//! CPUs, and everything else in this crate does with either.

use crate::train::TrainError;

/// Trials of one shape under training, each in its place, from 0.
pub trait Array: Send {
    /// Trains the next epochs of every trial and evaluates each, one behind the other.
    ///
    /// Several at once let a GPU go on while the host does not look; `tick` is called after every batch.
    ///
    /// # Errors
    /// Libtorch's, such as too little memory; the array is of no use then.
    fn epochs(&mut self, count: u32, tick: &dyn Tick) -> Result<Option<Vec<Vec<Row>>>, TrainError>;

    /// Only the trials at these places stay, in this order.
    ///
    /// # Errors
    /// Libtorch's.
    fn keep(&mut self, places: &[usize]) -> Result<(), TrainError>;
}

/// Who hears of every batch.
pub trait Tick {
    /// A batch was trained or evaluated. False ends the training: [`Array::epochs`] answers `None`, and the array is of
    /// no use then.
    fn tick(&self) -> bool;
}

/// A trial's epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The values in the order of `TrialSpec::metrics`.
    pub values: Vec<f32>,
    /// Whether the training losses of the epoch were all finite.
    pub finite: bool,
}

/// What a trial has learned so far, as it lies in memory: with the number of its epochs, all that it needs to go on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Learned {
    /// All parameters, as [`Layout`](crate::network::Layout) places them.
    pub parameters: Vec<f32>,
    /// The optimizer's, as many each.
    pub moments: [Vec<f32>; 2],
    /// What layers keep that is no parameter, such as running means: set by set, layer by layer.
    pub state: Vec<f32>,
}

/// Step by step, with weights and data from outside: how both kinds of array are compared with PyTorch and each other.
pub trait Stepwise {
    /// A trial's parameters: set by set (a set for each sub-network, one where they share), layer by layer, weights
    /// before biases, each in row-major order, and the head's at the end.
    fn parameters(&self, place: usize) -> Vec<Vec<f64>>;

    /// Replaces them, in the same order.
    fn set_parameters(&mut self, place: usize, parameters: &[Vec<f64>]);

    /// One step of every trial, all on this batch, at the rate of epoch `epoch`, from 1; each trial's loss before it.
    ///
    /// # Errors
    /// Libtorch's.
    fn step(&mut self, epoch: u32, pairs: &crate::data::Pairs) -> Result<Vec<f64>, TrainError>;

    /// The scores that a trial's head gives for these pairs in evaluation, `[pairs][2]`.
    ///
    /// # Errors
    /// Libtorch's.
    fn scores(&mut self, place: usize, pairs: &crate::data::Pairs) -> Result<Vec<[f64; 2]>, TrainError>;
}
