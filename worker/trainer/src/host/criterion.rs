//! Losses of the answer.

use tch::{Kind, TchError, Tensor};
use tenfold_types::{Head, Loss, TrialSpec};

use super::ANSWERS;
use super::kernel::Samples;
use super::real::Real;
use super::softmax::{Columns, cross_entropy, cross_entropy_backward, softmax, wrong};
use super::tensors::{from_tensor, to_tensor};
use crate::loss::loss;
use crate::network::head;
use crate::train::TrainError;

/// The loss of the answer, from what the head's linear layer gives: `[2][stride]`.
pub(crate) trait Criterion<T: Real>: Send {
    /// The mean loss; fills the scores' gradient, with zeros behind the samples.
    fn differentiate(
        &mut self,
        samples: Samples,
        scores: &[T],
        answers: &[u8],
        gradient: &mut [T],
    ) -> Result<f64, TrainError>;

    /// The sum of the losses, and how many answers are wrong.
    fn evaluate(
        &mut self,
        samples: Samples,
        scores: &[T],
        answers: &[u8],
    ) -> Result<(f64, usize), TrainError>;

    /// What the head gives: `[2][stride]`.
    fn head(&mut self, samples: Samples, scores: &[T]) -> Result<Vec<T>, TrainError>;
}

/// The criterion of a trial: by hand for the default, else its definition in [`crate::loss`], by libtorch.
pub(crate) fn criterion<T: Real>(spec: &TrialSpec) -> Box<dyn Criterion<T>> {
    match (spec.loss, spec.head) {
        (Loss::CrossEntropy, Head::AsIs) => Box::new(CrossEntropyKernel {
            probabilities: Vec::new(),
            logarithms: Vec::new(),
        }),
        (loss, head) => Box::new(AtenCriterion { loss, head }),
    }
}

/// Any loss behind any head, by libtorch.
struct AtenCriterion {
    loss: Loss,
    head: Head,
}

impl AtenCriterion {
    fn losses(&self, values: &Tensor, answers: &[u8]) -> Result<Tensor, TchError> {
        let classes = Tensor::f_from_slice(answers)?
            .f_to_kind(Kind::Int64)?
            .f_unsqueeze(0)?;
        loss(self.loss, values, &classes)
    }
}

impl<T: Real> Criterion<T> for AtenCriterion {
    fn differentiate(
        &mut self,
        samples: Samples,
        scores: &[T],
        answers: &[u8],
        gradient: &mut [T],
    ) -> Result<f64, TrainError> {
        let scores = to_tensor(scores, samples, &[ANSWERS as i64])?.f_set_requires_grad(true)?;
        let mean = self
            .losses(&head(self.head, &scores)?, answers)?
            .f_mean(T::KIND)?;
        let gradients = Tensor::f_run_backward(&[&mean], &[&scores], false, false)?;
        from_tensor(&gradients[0], samples, gradient)?;
        Ok(mean.f_double_value(&[])?)
    }

    fn evaluate(
        &mut self,
        samples: Samples,
        scores: &[T],
        answers: &[u8],
    ) -> Result<(f64, usize), TrainError> {
        let values = head(self.head, &to_tensor(scores, samples, &[ANSWERS as i64])?)?;
        let sum = self.losses(&values, answers)?.f_sum(Kind::Double)?;
        let mut given = vec![T::zero(); ANSWERS * samples.stride];
        from_tensor(&values, samples, &mut given)?;
        let wrong = wrong((&given, Columns::all(ANSWERS, samples)), answers);
        Ok((sum.f_double_value(&[])?, wrong))
    }

    fn head(&mut self, samples: Samples, scores: &[T]) -> Result<Vec<T>, TrainError> {
        let values = head(self.head, &to_tensor(scores, samples, &[ANSWERS as i64])?)?;
        let mut given = vec![T::zero(); ANSWERS * samples.stride];
        from_tensor(&values, samples, &mut given)?;
        Ok(given)
    }
}

struct CrossEntropyKernel<T> {
    probabilities: Vec<T>,
    logarithms: Vec<T>,
}

impl<T: Real> CrossEntropyKernel<T> {
    fn sum(&mut self, at: Columns, scores: &[T], answers: &[u8]) -> f64 {
        self.probabilities.resize(scores.len(), T::zero());
        softmax((scores, at), (&mut self.probabilities, at), &mut self.logarithms);
        cross_entropy((scores, at), &self.logarithms, answers)
    }
}

impl<T: Real> Criterion<T> for CrossEntropyKernel<T> {
    fn differentiate(
        &mut self,
        samples: Samples,
        scores: &[T],
        answers: &[u8],
        gradient: &mut [T],
    ) -> Result<f64, TrainError> {
        let at = Columns::all(ANSWERS, samples);
        let pairs = samples.count as f64;
        let loss = self.sum(at, scores, answers) / pairs;
        gradient.fill(T::zero());
        cross_entropy_backward(
            (&self.probabilities, at),
            answers,
            T::of(1.0 / pairs),
            (gradient, at),
        );
        Ok(loss)
    }

    fn evaluate(
        &mut self,
        samples: Samples,
        scores: &[T],
        answers: &[u8],
    ) -> Result<(f64, usize), TrainError> {
        let at = Columns::all(ANSWERS, samples);
        Ok((self.sum(at, scores, answers), wrong((scores, at), answers)))
    }

    fn head(&mut self, _: Samples, scores: &[T]) -> Result<Vec<T>, TrainError> {
        Ok(scores.to_vec())
    }
}
