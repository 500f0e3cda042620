//! Steps over plain slices, for the processor.

use tenfold_types::TrialSpec;

use crate::host::Real;

/// What an optimizer keeps of a trial between two steps.
#[derive(Debug)]
pub(crate) struct State<T> {
    moments: [Vec<T>; 2],
    steps: i32,
}

impl<T: Real> State<T> {
    pub(crate) fn new(_: &TrialSpec, parameters: usize) -> Self {
        Self {
            moments: [vec![T::zero(); parameters], vec![T::zero(); parameters]],
            steps: 0,
        }
    }

    /// One step down the gradients, at the rate of epoch `epoch`, from 1.
    pub(crate) fn step(&mut self, spec: &TrialSpec, _epoch: u32, values: &mut [T], gradients: &[T]) {
        self.steps += 1;
        let (b1, b2) = (0.9, 0.999);
        let step = T::of(spec.learning_rate / (1.0 - f64::powi(b1, self.steps)));
        let root = T::of(1.0 / (1.0 - f64::powi(b2, self.steps)).sqrt());
        let (b1, b2, c1, c2, eps) = (T::of(b1), T::of(b2), T::of(1.0 - b1), T::of(1.0 - b2), T::of(1e-8));
        let [m, v] = &mut self.moments;
        crate::host::vectorized(
            #[inline(always)]
            || {
                for (((value, &g), m), v) in values.iter_mut().zip(gradients).zip(&mut *m).zip(&mut *v) {
                    *m = b1 * *m + c1 * g;
                    *v = b2 * *v + c2 * g * g;
                    *value = *value - step * *m / (v.sqrt() * root + eps);
                }
            },
        );
    }
}
