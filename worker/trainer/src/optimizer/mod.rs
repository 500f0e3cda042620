//! Optimizers, one a file: each has its formula for one number, which [`crate::host`] runs over slices, and for tensors,
//! which [`crate::fused`] runs over the parameters of many trials at once. To add one: a file like its neighbours, and a line
//! in each of the two `step`s below.

mod adagrad;
mod adam;
mod rmsprop;
mod sgd;

use tch::{Device, Kind, TchError, Tensor, no_grad};
use tenfold_types::{Optimizer, TrialSpec};

use crate::host::Real;

/// One step over one trial's parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The number of the step, from 1.
    pub number: u64,
    /// The learning rate.
    pub rate: f64,
    /// See [`TrialSpec::momentum`].
    pub momentum: f64,
    /// See [`TrialSpec::weight_decay`].
    pub weight_decay: f64,
}

impl Step {
    /// Step number `number`, from 1, in an epoch, from 1, of a trial.
    pub fn of(spec: &TrialSpec, epoch: u32, number: u64) -> Self {
        Self {
            number,
            rate: spec.rate(epoch),
            momentum: spec.momentum,
            weight_decay: spec.weight_decay,
        }
    }
}

/// One step over the parameters of many trials, `[trials, parameters]`.
#[derive(Debug)]
pub struct Steps {
    /// The number of the step, from 1.
    pub number: u64,
    /// Of each trial, `[trials, 1]`.
    pub rate: Tensor,
    /// Of each trial, `[trials, 1]`.
    pub momentum: Tensor,
    /// Of each trial, `[trials, 1]`; none when it is 0 for all.
    pub weight_decay: Option<Tensor>,
}

impl Steps {
    /// The first step of these trials in an epoch.
    ///
    /// # Errors
    /// Libtorch's.
    pub fn of(specs: &[TrialSpec], epoch: u32, number: u64, on: (Kind, Device)) -> Result<Self, TchError> {
        let column = |of: &dyn Fn(&TrialSpec) -> f64| {
            let numbers: Vec<f64> = specs.iter().map(of).collect();
            Tensor::f_from_slice(&numbers)?
                .f_view([-1, 1])?
                .f_to_kind(on.0)?
                .f_to_device(on.1)
        };
        let decays = specs.iter().any(|spec| spec.weight_decay != 0.0);
        Ok(Self {
            number,
            rate: column(&|spec| spec.rate(epoch))?,
            momentum: column(&|spec| spec.momentum)?,
            weight_decay: match decays {
                true => Some(column(&|spec| spec.weight_decay)?),
                false => None,
            },
        })
    }

    /// The gradients with weight decay as a part of them.
    fn decayed(&self, values: &Tensor, gradients: &Tensor) -> Result<Tensor, TchError> {
        match &self.weight_decay {
            Some(decay) => gradients.f_addcmul(values, decay),
            None => Ok(gradients.shallow_clone()),
        }
    }
}

/// Steps that a trial takes in so many epochs.
pub(crate) fn steps(spec: &TrialSpec, epochs: u32) -> u64 {
    u64::from(epochs) * u64::from(spec.data.train.div_ceil(spec.batch_size.max(1)))
}

/// Runs `number(value, gradient, first moment, second moment)` over all numbers.
fn over<T: Real>(
    values: &mut [T],
    gradients: &[T],
    [first, second]: &mut [Vec<T>; 2],
    number: impl Fn(&mut T, T, &mut T, &mut T),
) {
    crate::host::vectorized(
        #[inline(always)]
        || {
            let numbers = values.iter_mut().zip(gradients);
            for (((value, &gradient), first), second) in numbers.zip(&mut *first).zip(&mut *second) {
                number(value, gradient, first, second);
            }
        },
    );
}

/// An optimizer with what it keeps of one trial, over slices.
pub(crate) struct OverSlices<T> {
    kind: Optimizer,
    nesterov: bool,
    /// Zeros at first; formulas that keep one number for each parameter leave the second as it is.
    pub(crate) moments: [Vec<T>; 2],
}

impl<T: Real> OverSlices<T> {
    pub(crate) fn new(spec: &TrialSpec, parameters: usize) -> Self {
        Self {
            kind: spec.optimizer,
            nesterov: spec.nesterov,
            moments: [0, 1].map(|_| vec![T::zero(); parameters]),
        }
    }

    /// One step over slices that are as long as one another; one pass over memory.
    pub(crate) fn step(&mut self, step: &Step, values: &mut [T], gradients: &[T]) {
        let moments = &mut self.moments;
        match self.kind {
            Optimizer::Adam => adam::slices(step, false, values, gradients, moments),
            Optimizer::AdamW => adam::slices(step, true, values, gradients, moments),
            Optimizer::Sgd => sgd::slices(step, self.nesterov, values, gradients, moments),
            Optimizer::RmsProp => rmsprop::slices(step, values, gradients, moments),
            Optimizer::Adagrad => adagrad::slices(step, values, gradients, moments),
        }
    }
}

/// An optimizer with what it keeps of many trials, over tensors.
pub(crate) struct OverTensors {
    kind: Optimizer,
    nesterov: bool,
    /// `[trials, parameters]`.
    pub(crate) moments: [Tensor; 2],
}

impl OverTensors {
    pub(crate) fn new(spec: &TrialSpec, values: &Tensor) -> Result<Self, TchError> {
        Ok(Self {
            kind: spec.optimizer,
            nesterov: spec.nesterov,
            moments: [values.f_zeros_like()?, values.f_zeros_like()?],
        })
    }

    /// One step over tensors `[trials, parameters]`, in as few operations as there are.
    pub(crate) fn step(
        &mut self,
        steps: &Steps,
        values: &mut Tensor,
        gradients: &Tensor,
    ) -> Result<(), TchError> {
        let moments = &mut self.moments;
        no_grad(|| match self.kind {
            Optimizer::Adam => adam::tensors(steps, false, values, gradients, moments),
            Optimizer::AdamW => adam::tensors(steps, true, values, gradients, moments),
            Optimizer::Sgd => sgd::tensors(steps, self.nesterov, values, gradients, moments),
            Optimizer::RmsProp => rmsprop::tensors(steps, values, gradients, moments),
            Optimizer::Adagrad => adagrad::tensors(steps, values, gradients, moments),
        })
    }

    /// Only the trials with these numbers stay.
    pub(crate) fn keep(&mut self, places: &Tensor) -> Result<(), TchError> {
        for moment in &mut self.moments {
            *moment = moment.f_index_select(0, places)?;
        }
        Ok(())
    }
}
