//! Arrays as one batched network of libtorch's tensors, for GPUs: a kernel for all trials at once, where one trial would
//! leave the device idle. Nothing is looked at before an [`Array::epochs`] is over; only orders, rates and the starts of
//! masks go to the device meanwhile.

mod data;
mod memory;
mod network;

use tch::{Device, Kind, TchError, Tensor, no_grad};
use tenfold_types::TrialSpec;
use tenfold_types::network::Outline;
use tenfold_types::seed::Stream;

use crate::array::{Array, Learned, Row, Stepwise, Tick};
use crate::data::{Mnist, Pairs, Purpose};
use crate::loss::{cross_entropy, loss};
use crate::network::Masks;
use crate::optimizer::{OverTensors, Steps, steps};
use crate::random::Random;
use crate::train::TrainError;
use data::{Batch, Resident};
pub use memory::bytes;
use network::{Answer, Network};

/// Evaluation takes as many pairs at once as make so many values, of all trials together: 1 GiB of them.
const EVALUATED_VALUES: u64 = 1 << 28;

/// Trials of one shape that train as one.
pub struct FusedArray {
    specs: Vec<TrialSpec>,
    network: Network,
    optimizer: OverTensors,
    masks: Masks,
    train: Resident,
    test: Resident,
    /// Pairs evaluated at once.
    evaluated: i64,
    /// The weight of each trial's auxiliary loss, `[trials]`, 0 without; none when no trial has one.
    auxiliary: Option<Tensor>,
    on: (Kind, Device),
    /// Epochs and steps trained.
    epochs: u32,
    steps: u64,
}

/// Libtorch's tensors are pointers, which say nothing of threads.
#[expect(unsafe_code, reason = "the library's tensors are not Send")]
// SAFETY: an array is used by one thread at a time, as `&mut self` of its methods asserts, and nobody else has its tensors.
unsafe impl Send for FusedArray {}

impl FusedArray {
    /// The trials with their data and first weights. All must be of one shape and at least one.
    ///
    /// # Errors
    /// A spec makes no sense, their shapes differ, there are too few images, or libtorch's, such as too little memory.
    pub fn new(specs: &[TrialSpec], mnist: &Mnist, device: Device, kind: Kind) -> Result<Self, TrainError> {
        let Some(first) = specs.first() else {
            return Err(TrainError::Mixed);
        };
        let outline = first.check()?;
        for spec in specs {
            spec.check()?;
            if spec.shape() != first.shape() {
                return Err(TrainError::Mixed);
            }
        }
        let on = (kind, device);
        let network = Network::new(specs, &outline, on)?;
        Ok(Self {
            optimizer: OverTensors::new(first, &network.values)?,
            masks: Masks::new(specs.iter()),
            train: Resident::new(specs, mnist, Purpose::Train, on)?,
            test: Resident::new(specs, mnist, Purpose::Test, on)?,
            evaluated: evaluated(first, &outline, specs.len()),
            auxiliary: auxiliary(specs, on)?,
            network,
            on,
            specs: specs.to_vec(),
            epochs: 0,
            steps: 0,
        })
    }

    /// What the trial at a place has learned so far, of an array of [`Kind::Float`].
    ///
    /// # Errors
    /// Libtorch's.
    pub fn learned(&self, place: usize) -> Result<Learned, TrainError> {
        let of = |tensor: &Tensor| network::numbers(&tensor.f_get(place as i64)?);
        let [first, second] = &self.optimizer.moments;
        Ok(Learned {
            parameters: of(&self.network.values)?,
            moments: [of(first)?, of(second)?],
            state: self.network.state(place)?,
        })
    }

    /// Goes on after so many epochs, from what trials with the same specs had learned by then, in the same order.
    ///
    /// # Errors
    /// Libtorch's.
    pub fn resume(&mut self, epochs: u32, learned: &[&Learned]) -> Result<(), TrainError> {
        let all = |of: fn(&Learned) -> &Vec<f32>| {
            let lists: Vec<&[f32]> = learned.iter().map(|learned| of(learned).as_slice()).collect();
            network::stacked(&lists, self.on)
        };
        let parameters = all(|learned| &learned.parameters)?;
        self.optimizer.moments = [
            all(|learned| &learned.moments[0])?,
            all(|learned| &learned.moments[1])?,
        ];
        let states: Vec<&[f32]> = learned.iter().map(|learned| learned.state.as_slice()).collect();
        self.network.restore(parameters, &states)?;
        self.epochs = epochs;
        self.steps = steps(&self.specs[0], epochs);
        Ok(())
    }

    /// The orders of an epoch, `[trials, pairs]`.
    fn orders(&self, epoch: u32) -> Result<Tensor, TchError> {
        let order = |spec: &TrialSpec| {
            let pairs = spec.data.train;
            let order =
                Random::new(spec.seed, spec.repetition, Stream::Order, epoch.into()).draw(pairs, pairs);
            order.into_iter().map(i64::from).collect::<Vec<_>>()
        };
        let orders: Vec<i64> = self.specs.iter().flat_map(order).collect();
        Tensor::f_from_slice(&orders)?
            .f_view([self.specs.len() as i64, -1])?
            .f_to_device(self.on.1)
    }

    /// Trains on all pairs once; the sum of each trial's losses, `[trials]`, or `None` when the tick ended it.
    fn train_epoch(&mut self, epoch: u32, tick: &dyn Tick) -> Result<Option<Tensor>, TrainError> {
        let orders = self.orders(epoch)?;
        let mut steps = Steps::of(&self.specs, epoch, self.steps, self.on)?;
        let mut losses = Tensor::f_zeros([self.specs.len() as i64], self.on)?;
        let (pairs, size) = (self.train.pairs(), i64::from(self.specs[0].batch_size));
        for start in (0..pairs).step_by(size as usize) {
            let numbers = orders.f_narrow(1, start, size.min(pairs - start))?;
            let batch = self.train.gather(&numbers)?;
            let loss = self.train_step(&mut steps, &batch)?;
            let _ = losses.f_add_(&loss)?;
            if !tick.tick() {
                return Ok(None);
            }
        }
        Ok(Some(losses))
    }

    /// One step; each trial's loss before it, `[trials]`.
    fn train_step(&mut self, steps: &mut Steps, batch: &Batch) -> Result<Tensor, TchError> {
        self.masks.go_to(self.steps);
        self.steps += 1;
        steps.number = self.steps;
        let answer = self.network.forward(batch, Some(&self.masks))?;
        let losses = self.losses(&answer, batch)?;
        // The trials share no parameter, so the gradient of the sum is each one's own.
        let gradients = self.network.gradients(&losses.f_sum(self.on.0)?)?;
        self.optimizer.step(steps, &mut self.network.values, &gradients)?;
        losses.f_detach()
    }

    /// The training loss of each trial, `[trials]`.
    fn losses(&self, answer: &Answer, batch: &Batch) -> Result<Tensor, TchError> {
        let mean = |of_pairs: &Tensor| of_pairs.f_mean_dim([1i64].as_slice(), false, None);
        let of_answer = mean(&loss(self.specs[0].loss, &answer.scores, &batch.answers)?)?;
        let Some(weights) = &self.auxiliary else {
            return Ok(of_answer);
        };
        let mut sum = Tensor::f_zeros_like(&of_answer)?;
        // Nor may the gradient of what is not counted be no number: a trial without it has zeros here.
        let helped = weights.f_gt(0)?.f_view([-1, 1, 1])?;
        for (sub_network, feature) in answer.features.iter().enumerate() {
            let feature = feature.f_where_self(&helped, &feature.f_zeros_like()?)?;
            sum = sum.f_add(&mean(&cross_entropy(&feature, &batch.digits[sub_network % 2])?)?)?;
        }
        // Not zero times it: that is no number where the sum is infinite.
        let weighted = sum
            .f_mul(weights)?
            .f_where_self(&weights.f_gt(0)?, &of_answer.f_zeros_like()?)?;
        of_answer.f_add(&weighted)
    }

    /// Means over all pairs, `[columns, trials]`: the loss, wrong answers, and with `digits` each sub-network's wrong digits.
    fn evaluate(&mut self, train: bool, digits: bool, tick: &dyn Tick) -> Result<Option<Tensor>, TrainError> {
        let pairs = if train {
            self.train.pairs()
        } else {
            self.test.pairs()
        };
        let mut sums: Option<Tensor> = None;
        for start in (0..pairs).step_by(self.evaluated as usize) {
            let resident = if train { &self.train } else { &self.test };
            let batch = resident.in_order(start, self.evaluated.min(pairs - start))?;
            let of_batch = no_grad(|| self.sums(&batch, digits))?;
            sums = Some(match sums {
                Some(sums) => sums.f_add(&of_batch)?,
                None => of_batch,
            });
            if !tick.tick() {
                return Ok(None);
            }
        }
        Ok(sums.map(|sums| sums.f_div_scalar(pairs as f64)).transpose()?)
    }

    fn sums(&mut self, batch: &Batch, digits: bool) -> Result<Tensor, TchError> {
        let answer = self.network.forward(batch, None)?;
        let sum = |of_pairs: &Tensor| of_pairs.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
        let wrong =
            |scores: &Tensor, classes: &Tensor| sum(&scores.f_argmax(-1, false)?.f_ne_tensor(classes)?);
        let mut sums = vec![
            sum(&loss(self.specs[0].loss, &answer.scores, &batch.answers)?)?,
            wrong(&answer.scores, &batch.answers)?,
        ];
        if digits {
            for (sub_network, feature) in answer.features.iter().enumerate() {
                sums.push(wrong(feature, &batch.digits[sub_network % 2])?);
            }
        }
        Tensor::f_stack(&sums, 0)
    }

    /// The next epoch's columns, `[columns, trials]`: losses and errors as a row has them, digit errors of all
    /// sub-networks if any trial asks, and the sum of the training losses.
    fn next(&mut self, tick: &dyn Tick) -> Result<Option<Tensor>, TrainError> {
        self.epochs += 1;
        let Some(losses) = self.train_epoch(self.epochs, tick)? else {
            return Ok(None);
        };
        let Some(train) = self.evaluate(true, false, tick)? else {
            return Ok(None);
        };
        let digits = self.auxiliary.is_some();
        let Some(test) = self.evaluate(false, digits, tick)? else {
            return Ok(None);
        };
        let mut columns = vec![train.f_get(1)?, test.f_get(1)?, train.f_get(0)?, test.f_get(0)?];
        for column in 2..test.size()[0] {
            columns.push(test.f_get(column)?);
        }
        columns.push(losses.f_to_kind(Kind::Double)?);
        Ok(Some(Tensor::f_stack(&columns, 0)?))
    }
}

/// Pairs evaluated at once; every trial's values are the same however many.
fn evaluated(spec: &TrialSpec, outline: &Outline, trials: usize) -> i64 {
    let of_pair = memory::values_of_pair(spec, outline)
        .saturating_mul(trials as u64)
        .max(1);
    (EVALUATED_VALUES / of_pair).clamp(1, 1000) as i64
}

fn auxiliary(specs: &[TrialSpec], on: (Kind, Device)) -> Result<Option<Tensor>, TchError> {
    if !specs.iter().any(|spec| spec.auxiliary_loss) {
        return Ok(None);
    }
    let weight = |spec: &TrialSpec| if spec.auxiliary_loss { spec.aux_weight } else { 0.0 };
    let weights: Vec<f64> = specs.iter().map(weight).collect();
    Tensor::f_from_slice(&weights)?
        .f_to_kind(on.0)?
        .f_to_device(on.1)
        .map(Some)
}

impl Array for FusedArray {
    fn epochs(&mut self, count: u32, tick: &dyn Tick) -> Result<Option<Vec<Vec<Row>>>, TrainError> {
        let mut epochs = Vec::with_capacity(count as usize);
        for _ in 0..count {
            match self.next(tick)? {
                Some(columns) => epochs.push(columns),
                None => return Ok(None),
            }
        }
        // The one place where the host waits for what the device has computed.
        let all = Tensor::f_stack(&epochs, 0)?;
        let columns = all.size()[1] as usize;
        let numbers = Vec::<f64>::try_from(all.f_flatten(0, -1)?.f_to_device(Device::Cpu)?)?;
        let trials = self.specs.len();
        let row = |epoch: usize, trial: usize| {
            let number = |column: usize| numbers[(epoch * columns + column) * trials + trial];
            let values = self.specs[trial].metrics().len();
            Row {
                values: (0..values).map(|column| number(column) as f32).collect(),
                finite: number(columns - 1).is_finite(),
            }
        };
        let rows = |trial: usize| (0..count as usize).map(|epoch| row(epoch, trial)).collect();
        Ok(Some((0..trials).map(rows).collect()))
    }

    fn keep(&mut self, places: &[usize]) -> Result<(), TrainError> {
        let numbers: Vec<i64> = places.iter().map(|&place| place as i64).collect();
        let numbers = Tensor::f_from_slice(&numbers)?.f_to_device(self.on.1)?;
        self.network.keep(&numbers)?;
        self.optimizer.keep(&numbers)?;
        self.train.keep(&numbers)?;
        self.test.keep(&numbers)?;
        self.masks.keep(places);
        self.specs = places.iter().map(|&place| self.specs[place].clone()).collect();
        self.auxiliary = auxiliary(&self.specs, self.on)?;
        Ok(())
    }
}

impl Stepwise for FusedArray {
    fn parameters(&self, place: usize) -> Vec<Vec<f64>> {
        let numbers = self.network.values.get(place as i64).to_kind(Kind::Double);
        let numbers = Vec::<f64>::try_from(numbers.to_device(Device::Cpu)).unwrap_or_default();
        let tensors = self.network.layout().tensors().iter();
        tensors.map(|tensor| numbers[tensor.range()].to_vec()).collect()
    }

    fn set_parameters(&mut self, place: usize, parameters: &[Vec<f64>]) {
        let mut numbers = vec![0.0; self.network.layout().length()];
        for (tensor, values) in self.network.layout().tensors().iter().zip(parameters) {
            numbers[tensor.range()].copy_from_slice(values);
        }
        let numbers = Tensor::from_slice(&numbers)
            .to_kind(self.on.0)
            .to_device(self.on.1);
        no_grad(|| self.network.values.get(place as i64).copy_(&numbers));
    }

    fn step(&mut self, epoch: u32, pairs: &Pairs) -> Result<Vec<f64>, TrainError> {
        let batch = Resident::same(pairs, self.network.trials(), self.on)?;
        let mut steps = Steps::of(&self.specs, epoch, self.steps, self.on)?;
        let losses = self.train_step(&mut steps, &batch)?.f_to_kind(Kind::Double)?;
        Ok(Vec::<f64>::try_from(losses.f_to_device(Device::Cpu)?)?)
    }

    fn scores(&mut self, place: usize, pairs: &Pairs) -> Result<Vec<[f64; 2]>, TrainError> {
        let batch = Resident::same(pairs, self.network.trials(), self.on)?;
        let scores = no_grad(|| self.network.forward(&batch, None))?.scores;
        let scores = scores.f_get(place as i64)?.f_to_kind(Kind::Double)?;
        let scores = Vec::<f64>::try_from(scores.f_flatten(0, -1)?.f_to_device(Device::Cpu)?)?;
        Ok(scores.as_chunks::<2>().0.to_vec())
    }
}
