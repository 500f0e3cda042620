//! One trial on the processor.

use tenfold_types::TrialSpec;
use tenfold_types::seed::Stream;

use super::batch::Batch;
use super::network::{Network, Sums};
use super::real::Real;
use crate::array::{Learned, Row, Tick};
use crate::data::{Mnist, Pairs, Purpose, draw};
use crate::network::Layout;
use crate::optimizer::{OverSlices, Step, steps};
use crate::random::Random;
use crate::train::TrainError;

/// Pairs evaluated at once; a constant, so that a curve depends on nothing that was measured. Their values between two
/// layers should stay in the second-level cache, and the last vector of samples should be full.
pub(super) const EVALUATION_BATCH: usize = 208;

/// A trial under training.
pub(crate) struct Trial<T> {
    pub(crate) spec: TrialSpec,
    pub(crate) layout: Layout,
    network: Network<T>,
    pub(crate) parameters: Vec<T>,
    gradients: Vec<T>,
    optimizer: OverSlices<T>,
    train: Pairs,
    evaluate_train: Vec<Batch<T>>,
    evaluate_test: Vec<Batch<T>>,
    batch: Batch<T>,
    /// Epochs and steps trained.
    epochs: u32,
    steps: u64,
}

impl<T: Real> Trial<T> {
    pub(crate) fn new(spec: &TrialSpec, mnist: &Mnist) -> Result<Self, TrainError> {
        let outline = spec.check()?;
        let layout = Layout::new(spec, &outline);
        let network = Network::new(spec, &outline, &layout)?;
        let pairs = |split, purpose, count| {
            draw(
                split,
                purpose,
                count,
                spec.data.target,
                spec.seed,
                spec.repetition,
            )
        };
        let train = pairs(&mnist.train, Purpose::Train, spec.data.train)?;
        let test = pairs(&mnist.test, Purpose::Test, spec.data.test)?;
        let in_batches = |pairs: &Pairs| {
            let all: Vec<u32> = (0..pairs.answers.len() as u32).collect();
            let batches = all.chunks(EVALUATION_BATCH);
            batches
                .map(|some| Batch::new(network.view, pairs, some))
                .collect()
        };
        let first = layout.draw(spec.seed, spec.repetition);
        let parameters: Vec<T> = first.into_iter().map(|value| T::of(f64::from(value))).collect();
        Ok(Self {
            evaluate_train: in_batches(&train),
            evaluate_test: in_batches(&test),
            batch: Batch::default(),
            gradients: vec![T::zero(); parameters.len()],
            optimizer: OverSlices::new(spec, parameters.len()),
            train,
            parameters,
            network,
            layout,
            spec: spec.clone(),
            epochs: 0,
            steps: 0,
        })
    }

    /// Trains and evaluates the next epoch; `None` when `tick` ended it.
    pub(crate) fn epoch(&mut self, tick: &dyn Tick) -> Result<Option<Row>, TrainError> {
        self.epochs += 1;
        let (seed, repetition) = (self.spec.seed, self.spec.repetition);
        let pairs = self.spec.data.train;
        let order = Random::new(seed, repetition, Stream::Order, self.epochs.into()).draw(pairs, pairs);
        let mut losses = 0.0;
        for some in order.chunks(self.spec.batch_size as usize) {
            let mut batch = std::mem::take(&mut self.batch);
            batch.gather(self.network.view, &self.train, some);
            let loss = self.step(self.epochs, &batch);
            self.batch = batch;
            losses += loss?;
            if !tick.tick() {
                return Ok(None);
            }
        }
        let Some(train) = self.evaluate(true, tick)? else {
            return Ok(None);
        };
        let Some(test) = self.evaluate(false, tick)? else {
            return Ok(None);
        };
        let share = |count: usize, of: u32| (count as f64 / f64::from(of)) as f32;
        let (trained, tested) = (self.spec.data.train, self.spec.data.test);
        let mut values = vec![
            share(train.wrong, trained),
            share(test.wrong, tested),
            (train.loss / f64::from(trained)) as f32,
            (test.loss / f64::from(tested)) as f32,
        ];
        values.extend(test.wrong_digits.iter().map(|&wrong| share(wrong, tested)));
        Ok(Some(Row {
            values,
            finite: losses.is_finite(),
        }))
    }

    /// One step; the loss before it.
    pub(crate) fn step(&mut self, epoch: u32, batch: &Batch<T>) -> Result<f64, TrainError> {
        let loss = self
            .network
            .differentiate(self.steps, &self.parameters, batch, &mut self.gradients)?;
        self.steps += 1;
        let step = Step::of(&self.spec, epoch, self.steps);
        self.optimizer.step(&step, &mut self.parameters, &self.gradients);
        Ok(loss)
    }

    fn evaluate(&mut self, train: bool, tick: &dyn Tick) -> Result<Option<Sums>, TrainError> {
        let batches = if train {
            &self.evaluate_train
        } else {
            &self.evaluate_test
        };
        let digits = !train && self.spec.auxiliary_loss;
        let mut sums = Sums::default();
        for batch in batches {
            let of_batch = self.network.evaluate(&self.parameters, batch, digits)?;
            sums.loss += of_batch.loss;
            sums.wrong += of_batch.wrong;
            sums.wrong_digits.resize(of_batch.wrong_digits.len(), 0);
            for (sum, wrong) in sums.wrong_digits.iter_mut().zip(of_batch.wrong_digits) {
                *sum += wrong;
            }
            if !tick.tick() {
                return Ok(None);
            }
        }
        Ok(Some(sums))
    }

    /// All these pairs in one batch.
    pub(crate) fn whole(&self, pairs: &Pairs) -> Batch<T> {
        let all: Vec<u32> = (0..pairs.answers.len() as u32).collect();
        Batch::new(self.network.view, pairs, &all)
    }

    /// The head's scores.
    pub(crate) fn scores(&mut self, pairs: &Pairs) -> Result<Vec<[f64; 2]>, TrainError> {
        let batch = self.whole(pairs);
        self.network.scores(&self.parameters, &batch)
    }
}

impl Trial<f32> {
    /// What it has learned so far.
    pub(crate) fn learned(&self) -> Result<Learned, TrainError> {
        Ok(Learned {
            parameters: self.parameters.clone(),
            moments: self.optimizer.moments.clone(),
            state: self.network.state()?,
        })
    }

    /// Goes on after so many epochs, as if it had trained them.
    pub(crate) fn resume(&mut self, epochs: u32, learned: &Learned) -> Result<(), TrainError> {
        self.parameters.clone_from(&learned.parameters);
        self.optimizer.moments.clone_from(&learned.moments);
        self.network.restore(&learned.state)?;
        self.epochs = epochs;
        self.steps = steps(&self.spec, epochs);
        Ok(())
    }
}
