//! Dropout (Srivastava and others, 2014), with masks that any device computes bit for bit.

use tch::{Kind, TchError, Tensor};
use tenfold_types::TrialSpec;
use tenfold_types::network::Dropout;

use super::compute::{Compute, Pass};
use crate::random::Masking;

/// The masks of one step, of all trials of an array.
#[derive(Debug)]
pub struct Masks {
    trials: Vec<Masking>,
    /// The rate of layers that name none, of each trial.
    default_rates: Vec<f64>,
    step: u64,
}

impl Masks {
    /// Those of the first step of these trials.
    pub fn new<'a>(specs: impl Iterator<Item = &'a TrialSpec>) -> Self {
        let (trials, default_rates) = specs
            .map(|spec| (Masking::new(spec.seed, spec.repetition), spec.dropout))
            .unzip();
        Self {
            trials,
            default_rates,
            step: 0,
        }
    }

    /// Goes to step number `step`, from 0.
    pub fn go_to(&mut self, step: u64) {
        self.step = step;
    }

    /// Only the trials at these places stay.
    pub fn keep(&mut self, places: &[usize]) {
        self.trials = places.iter().map(|&place| self.trials[place]).collect();
        self.default_rates = places.iter().map(|&place| self.default_rates[place]).collect();
    }

    /// The mask of the layer at `place` for values `[trials, samples, …]`: 0 with the probability of each trial's rate,
    /// else 1 / (1 - rate).
    fn mask(&self, rate: Option<f64>, place: u64, like: &Tensor) -> Result<Option<Tensor>, TchError> {
        let rates: Vec<f64> = match rate {
            Some(rate) => vec![rate; self.trials.len()],
            None => self.default_rates.clone(),
        };
        if rates.iter().all(|&rate| rate == 0.0) {
            return Ok(None);
        }
        let starts = self
            .trials
            .iter()
            .map(|trial| trial.start(self.step, place) as i64);
        let numbers = uniform(&starts.collect::<Vec<_>>(), like)?;
        let column = |of: &dyn Fn(f64) -> f64| {
            let numbers: Vec<f64> = rates.iter().map(|&rate| of(rate)).collect();
            Tensor::f_from_slice(&numbers)?
                .f_view([-1, 1])?
                .f_to_device(like.device())
        };
        let kept = numbers.f_ge_tensor(&column(&|rate| rate * Masking::RANGE)?)?;
        let factor = column(&|rate| 1.0 / (1.0 - rate))?.f_to_kind(like.kind())?;
        Ok(Some(
            kept.f_to_kind(like.kind())?
                .f_mul(&factor)?
                .f_view(like.size().as_slice())?,
        ))
    }
}

/// A row of random numbers below 2²⁴ from each start, as [`Masking::number`] has them: `[trials, values of a trial]`.
fn uniform(starts: &[i64], like: &Tensor) -> Result<Tensor, TchError> {
    let count = like.numel() as i64 / starts.len() as i64;
    let on = (Kind::Int64, like.device());
    let starts = Tensor::f_from_slice(starts)?.f_view([-1, 1])?.f_to_device(on.1)?;
    let places = Tensor::f_arange(count, on)?.f_mul_scalar(Masking::INCREMENT as i64)?;
    // Libtorch's integers have a sign, and their right shift copies it: the mask takes the copies away.
    let shifted = |x: &Tensor, by: i64| {
        let low = Tensor::f_full([1], (u64::MAX >> by) as i64, on)?;
        x.f_bitwise_right_shift_tensor_scalar(by)?
            .f_bitwise_and_tensor(&low)
    };
    let mut x = starts.f_add(&places)?;
    for (shift, factor) in Masking::ROUNDS {
        x = x.f_bitwise_xor_tensor(&shifted(&x, shift)?)?;
        if factor != 1 {
            x = x.f_mul_scalar(factor as i64)?;
        }
    }
    shifted(&x, Masking::SHIFT)
}

impl Compute for Dropout {
    fn forward(&self, input: Tensor, _: &[Tensor], pass: &mut Pass<'_>) -> Result<Tensor, TchError> {
        let Some(masks) = pass.masks else {
            return Ok(input);
        };
        match masks.mask(self.rate, pass.place, &input)? {
            Some(mask) => input.f_mul(&mask),
            None => Ok(input),
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn tensors_have_the_numbers_of_the_formula() {
        let trials = [Masking::new(559, 0), Masking::new(559, 1), Masking::new(7, 0)];
        let like = Tensor::zeros([3, 10, 20], (Kind::Float, Device::Cpu));
        let starts = trials.map(|trial| trial.start(41, 1002));
        let numbers = uniform(&starts.map(|start| start as i64), &like).unwrap();
        let numbers = Vec::<i64>::try_from(numbers.view([-1])).unwrap();
        for (at, number) in numbers.into_iter().enumerate() {
            let expected = Masking::number(starts[at / 200], at as u64 % 200);
            assert_eq!(number, i64::from(expected), "{at}");
        }
    }
}
