//! Dropout.

use super::kernel::{Backward, Context, HostPass, Kernel, Samples};
use super::real::{Real, vectorized};
use crate::network::Pass;
use crate::random::Masking;
use crate::train::TrainError;

/// Zeros by the trial's masks; see [`Masking`].
pub(crate) struct DropoutKernel<T> {
    values: usize,
    rate: f64,
    masking: Masking,
    place: u64,
    /// 0, or 1 / (1 - rate), for each value of the last step.
    mask: Vec<T>,
}

impl<T: Real> DropoutKernel<T> {
    pub(crate) fn new(values: usize, rate: Option<f64>, context: &Context<'_>, at: usize) -> Self {
        Self {
            values,
            rate: rate.unwrap_or(context.spec.dropout),
            masking: Masking::new(context.spec.seed, context.spec.repetition),
            place: Pass::place(context.set, at),
            mask: Vec::new(),
        }
    }

    fn draw(&mut self, step: u64, samples: Samples) {
        let start = self.masking.start(step, self.place);
        // Numbers are whole, and so are the bits of what is compared with.
        let dropped_below = (self.rate * Masking::RANGE).ceil() as u32;
        let kept = T::of(1.0 / (1.0 - self.rate));
        self.mask.resize(self.values * samples.stride, T::zero());
        let (mask, values) = (&mut self.mask, self.values as u64);
        vectorized(
            #[inline(always)]
            || {
                for (value, row) in mask.chunks_exact_mut(samples.stride).enumerate() {
                    for (sample, mask) in row.iter_mut().enumerate() {
                        let number = Masking::number(start, sample as u64 * values + value as u64);
                        *mask = if number >= dropped_below { kept } else { T::zero() };
                    }
                }
            },
        );
    }

    fn multiply(&self, from: &[T], to: &mut [T]) {
        let mask = &self.mask;
        vectorized(
            #[inline(always)]
            || {
                for ((to, &from), &mask) in to.iter_mut().zip(from).zip(mask) {
                    *to = from * mask;
                }
            },
        );
    }
}

impl<T: Real> Kernel<T> for DropoutKernel<T> {
    fn forward(
        &mut self,
        pass: HostPass,
        samples: Samples,
        _: &[T],
        input: &[T],
        output: &mut [T],
    ) -> Result<(), TrainError> {
        match pass {
            HostPass::Train { step } if self.rate > 0.0 => {
                self.draw(step, samples);
                self.multiply(input, output);
            }
            _ => output.copy_from_slice(&input[..output.len()]),
        }
        Ok(())
    }

    fn backward(&mut self, _: Samples, _: &[T], step: Backward<'_, T>) -> Result<(), TrainError> {
        if let Some(input_gradient) = step.input_gradient {
            if self.rate > 0.0 {
                self.multiply(step.output_gradient, input_gradient);
            } else {
                input_gradient.copy_from_slice(step.output_gradient);
            }
        }
        Ok(())
    }
}
