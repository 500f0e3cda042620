//! One trial, from its spec to the end of its curve.

use std::time::Instant;

use tch::{Device, Kind, Reduction, TchError, Tensor, no_grad};
use tenfold_types::TrialSpec;
use tenfold_types::network::{Outline, ShapeError};
use tenfold_types::seed::Stream;

use crate::data::{Arranged, Batch, Mnist, PairTensors, PairsError, Purpose, draw};
use crate::loss::{cross_entropy, loss};
use crate::network::{Answer, Masks, Network, Pass};
use crate::optimizer::optimizer;
use crate::random::Random;

/// Pairs evaluated at once; a constant, so that a curve depends on nothing that was measured.
const EVALUATION_BATCH: usize = 1000;

/// Who follows a training.
pub trait Follower {
    /// A batch was trained or evaluated. False ends the training.
    fn batch(&mut self) -> bool;

    /// An epoch is over; the values are in the order of [`TrialSpec::metrics`]. False ends the training.
    fn epoch(&mut self, values: &[f32], seconds: f32) -> bool;
}

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All epochs were trained.
    Succeeded,
    /// A loss became infinite or no number in this epoch, from 1, which was not handed over.
    Diverged(u32),
    /// The follower ended it.
    Stopped,
}

/// Why a trial cannot be trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A setting makes no sense.
    #[error("{setting} is {value}, needs to be {needs}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        needs: &'static str,
    },
    /// The network's shapes do not fit.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Too many pairs.
    #[error(transparent)]
    Pairs(#[from] PairsError),
    /// Libtorch's, such as too little memory.
    #[error("libtorch: {}", first_words(.0))]
    Torch(#[from] TchError),
}

/// Libtorch's messages end in a list of stack frames, which says nothing to the person who submitted.
fn first_words(error: &TchError) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("Internal torch error: ").unwrap_or(&text);
    let end = [
        "
Exception raised from",
        "
frame #",
    ]
    .iter()
    .filter_map(|end| text.find(end))
    .min();
    text[..end.unwrap_or(text.len())].trim().to_owned()
}

/// Trains a trial and hands its epochs to the follower. On one CPU thread the curve is a pure function of the spec and
/// the version of libtorch.
///
/// # Errors
/// The spec makes no sense, or libtorch fails.
pub fn train(
    spec: &TrialSpec,
    mnist: &Mnist,
    device: Device,
    follower: &mut dyn Follower,
) -> Result<End, TrainError> {
    // Whatever an earlier trial that panicked has left behind.
    tch::with_grad(|| run(spec, mnist, device, follower))
}

fn run(
    spec: &TrialSpec,
    mnist: &Mnist,
    device: Device,
    follower: &mut dyn Follower,
) -> Result<End, TrainError> {
    let outline = check(spec)?;
    let mut training = Training::new(spec, &outline, mnist, device)?;
    for epoch in 1..=spec.epochs {
        let start = Instant::now();
        if !training.epoch(epoch, follower)? {
            return Ok(End::Stopped);
        }
        if !training.losses.f_double_value(&[])?.is_finite() {
            return Ok(End::Diverged(epoch));
        }
        let Some(values) = training.values(follower)? else {
            return Ok(End::Stopped);
        };
        if !values.iter().all(|value| value.is_finite()) {
            return Ok(End::Diverged(epoch));
        }
        if !follower.epoch(&values, start.elapsed().as_secs_f32()) {
            return Ok(End::Stopped);
        }
    }
    Ok(End::Succeeded)
}

pub(crate) fn check(spec: &TrialSpec) -> Result<Outline, TrainError> {
    let require = |good: bool, setting, value: &dyn ToString, needs| match good {
        true => Ok(()),
        false => Err(TrainError::Setting {
            setting,
            value: value.to_string(),
            needs,
        }),
    };
    let positive = spec.learning_rate.is_finite() && spec.learning_rate > 0.0;
    require(
        positive,
        "learning_rate",
        &spec.learning_rate,
        "a finite number above 0",
    )?;
    let not_negative = spec.aux_weight.is_finite() && spec.aux_weight >= 0.0;
    require(
        not_negative,
        "aux_weight",
        &spec.aux_weight,
        "a finite number of at least 0",
    )?;
    let share = (0.0..1.0).contains(&spec.dropout);
    require(share, "dropout", &spec.dropout, "at least 0 and below 1")?;
    require(spec.batch_size > 0, "batch_size", &spec.batch_size, "at least 1")?;
    require(spec.epochs > 0, "epochs", &spec.epochs, "at least 1")?;
    Ok(spec
        .architecture
        .outline(spec.weight_sharing, spec.auxiliary_loss)?)
}

struct Training<'a> {
    spec: &'a TrialSpec,
    network: Network,
    optimizer: Box<dyn crate::optimizer::Step>,
    train: PairTensors,
    evaluate_train: Arranged,
    evaluate_test: Arranged,
    steps: u64,
    /// The sum of the epoch's training losses, on the device: looking at each would wait for it.
    losses: Tensor,
}

impl<'a> Training<'a> {
    fn new(
        spec: &'a TrialSpec,
        outline: &Outline,
        mnist: &Mnist,
        device: Device,
    ) -> Result<Self, TrainError> {
        let tensors = |split, purpose, count| {
            let pairs = draw(
                split,
                purpose,
                count,
                spec.data.target,
                spec.seed,
                spec.repetition,
            )?;
            Ok::<_, TrainError>(PairTensors::new(
                &pairs,
                spec.architecture.sub_networks == 1,
                device,
            )?)
        };
        let train = tensors(&mnist.train, Purpose::Train, spec.data.train)?;
        let test = tensors(&mnist.test, Purpose::Test, spec.data.test)?;
        let as_drawn = |pairs: &PairTensors| {
            let order: Vec<u32> = (0..pairs.pairs() as u32).collect();
            pairs.arranged(&order, EVALUATION_BATCH)
        };
        let network = Network::new(spec, outline, device)?;
        Ok(Self {
            spec,
            optimizer: optimizer(spec, &network.parameters.values)?,
            network,
            evaluate_train: as_drawn(&train)?,
            evaluate_test: as_drawn(&test)?,
            train,
            steps: 0,
            losses: Tensor::f_zeros([] as [i64; 0], (Kind::Float, device))?,
        })
    }

    /// Trains on all pairs once; false when the follower ended it.
    fn epoch(&mut self, epoch: u32, follower: &mut dyn Follower) -> Result<bool, TrainError> {
        let spec = self.spec;
        let pairs = spec.data.train;
        let mut random = Random::new(spec.seed, spec.repetition, Stream::Order, epoch.into());
        let order = random.draw(pairs, pairs);
        let _ = self.losses.f_zero_()?;
        for batch in self.train.arranged(&order, spec.batch_size as usize)?.batches() {
            self.step(&batch?)?;
            if !follower.batch() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn step(&mut self, batch: &Batch) -> Result<(), TchError> {
        let spec = self.spec;
        let mut pass = Pass::Train(Masks::new(spec.seed, spec.repetition, spec.dropout, self.steps));
        self.steps += 1;
        let answer = self.network.forward(batch, &mut pass)?;
        let loss = self.loss(&answer, batch)?;
        self.network.parameters.differentiate(&loss)?;
        let _ = self.losses.f_add_(&loss.f_detach()?)?;
        let parameters = &mut self.network.parameters;
        self.optimizer.step(&mut parameters.values, &parameters.gradients)
    }

    fn loss(&self, answer: &Answer, batch: &Batch) -> Result<Tensor, TchError> {
        let spec = self.spec;
        let of_answer = loss(spec.loss, &answer.scores, &batch.answers, Reduction::Mean)?;
        if !spec.auxiliary_loss {
            return Ok(of_answer);
        }
        let mut auxiliary = Vec::with_capacity(answer.features.len());
        for (sub_network, feature) in answer.features.iter().enumerate() {
            auxiliary.push(cross_entropy(
                feature,
                &digits(batch, sub_network)?,
                Reduction::Mean,
            )?);
        }
        let sum = Tensor::f_stack(&auxiliary, 0)?.f_sum(None)?;
        of_answer.f_add(&sum.f_mul_scalar(spec.aux_weight)?)
    }

    /// The epoch's values in the order of [`TrialSpec::metrics`]; `None` when the follower ended it.
    fn values(&self, follower: &mut dyn Follower) -> Result<Option<Vec<f32>>, TrainError> {
        let Some(train) = self.evaluate(&self.evaluate_train, false, follower)? else {
            return Ok(None);
        };
        let Some(test) = self.evaluate(&self.evaluate_test, self.spec.auxiliary_loss, follower)? else {
            return Ok(None);
        };
        let mut values = vec![train.error, test.error, train.loss, test.loss];
        values.extend(test.digit_errors);
        Ok(Some(values))
    }

    fn evaluate(
        &self,
        pairs: &Arranged,
        digit_errors: bool,
        follower: &mut dyn Follower,
    ) -> Result<Option<Evaluation>, TrainError> {
        let mut sums: Option<Tensor> = None;
        let mut count = 0;
        for batch in pairs.batches() {
            let batch = batch?;
            let of_batch = no_grad(|| self.sums(&batch, digit_errors))?;
            count += batch.pairs;
            sums = Some(match sums {
                Some(sums) => sums.f_add(&of_batch)?,
                None => of_batch,
            });
            if !follower.batch() {
                return Ok(None);
            }
        }
        let sums = sums.map(Vec::<f64>::try_from).transpose()?.unwrap_or_default();
        let mut means = sums.into_iter().map(|sum| (sum / count as f64) as f32);
        let mut next = || means.next().unwrap_or(f32::NAN);
        Ok(Some(Evaluation {
            loss: next(),
            error: next(),
            digit_errors: means.collect(),
        }))
    }

    /// Of a batch: the loss of the answer, wrong answers, and each sub-network's wrong digits.
    fn sums(&self, batch: &Batch, digit_errors: bool) -> Result<Tensor, TchError> {
        let answer = self.network.forward(batch, &mut Pass::Evaluate)?;
        let loss = loss(self.spec.loss, &answer.scores, &batch.answers, Reduction::Sum)?;
        let mut sums = vec![
            loss.f_to_kind(Kind::Double)?,
            wrong(&answer.scores, &batch.answers)?,
        ];
        if digit_errors {
            for (sub_network, feature) in answer.features.iter().enumerate() {
                sums.push(wrong(feature, &digits(batch, sub_network)?)?);
            }
        }
        Tensor::f_stack(&sums, 0)
    }
}

struct Evaluation {
    loss: f32,
    error: f32,
    digit_errors: Vec<f32>,
}

/// The digits that a sub-network sees.
fn digits(batch: &Batch, sub_network: usize) -> Result<Tensor, TchError> {
    let image = (sub_network % 2) as i64;
    batch.digits.f_narrow(0, image * batch.pairs, batch.pairs)
}

/// How many samples' highest score is not that of the right class.
fn wrong(scores: &Tensor, classes: &Tensor) -> Result<Tensor, TchError> {
    scores
        .f_argmax(1, false)?
        .f_ne_tensor(classes)?
        .f_sum(Kind::Double)
}
