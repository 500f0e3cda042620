//! Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015).

use tch::{TchError, Tensor, no_grad};

use super::Step;

/// Decay rates of the moments and the ε of the paper's algorithm 1.
const DECAY_1: f64 = 0.9;
const DECAY_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Adam's state for one flat buffer of values. ε stands outside the root, as in the paper's algorithm 1.
#[derive(Debug)]
pub struct Adam {
    learning_rate: f64,
    steps: i32,
    first_moment: Tensor,
    second_moment: Tensor,
}

impl Adam {
    /// Adam at its start.
    ///
    /// # Errors
    /// Libtorch's.
    pub fn new(learning_rate: f64, values: &Tensor) -> Result<Self, TchError> {
        Ok(Self {
            learning_rate,
            steps: 0,
            first_moment: values.f_zeros_like()?,
            second_moment: values.f_zeros_like()?,
        })
    }
}

impl Step for Adam {
    fn step(&mut self, values: &mut Tensor, gradients: &Tensor) -> Result<(), TchError> {
        // After so many steps the corrections are 1 to the last bit.
        self.steps = self.steps.saturating_add(1);
        let correction_1 = 1.0 - DECAY_1.powi(self.steps);
        let correction_2 = 1.0 - DECAY_2.powi(self.steps);
        no_grad(|| {
            let _ = self.first_moment.f_lerp_(gradients, 1.0 - DECAY_1)?;
            let _ = self
                .second_moment
                .f_lerp_(&gradients.f_square()?, 1.0 - DECAY_2)?;
            let mut denominator = self.second_moment.f_sqrt()?;
            let _ = denominator.f_mul_scalar_(1.0 / correction_2.sqrt())?;
            let _ = denominator.f_add_scalar_(EPSILON)?;
            let mut change = self.first_moment.f_div(&denominator)?;
            let _ = change.f_mul_scalar_(self.learning_rate / correction_1)?;
            let _ = values.f_sub_(&change)?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_paper() {
        let gradients = [
            [0.5, -2.0, 0.0],
            [0.25, 1.0, 1e-6],
            [-1.0, 0.5, 0.0],
            [3.0, 0.0, 1e6],
        ];
        let mut values = Tensor::from_slice(&[1.0f32, -1.0, 0.5]);
        let mut adam = Adam::new(0.01, &values).unwrap();
        let mut expected = [1.0f64, -1.0, 0.5];
        let (mut m, mut v) = ([0.0f64; 3], [0.0f64; 3]);
        for (step, gradient) in gradients.iter().enumerate() {
            adam.step(&mut values, &Tensor::from_slice(&gradient.map(|g| g as f32)))
                .unwrap();
            for at in 0..3 {
                m[at] = 0.9 * m[at] + 0.1 * gradient[at];
                v[at] = 0.999 * v[at] + 0.001 * gradient[at] * gradient[at];
                let m_hat = m[at] / (1.0 - 0.9f64.powi(step as i32 + 1));
                let v_hat = v[at] / (1.0 - 0.999f64.powi(step as i32 + 1));
                expected[at] -= 0.01 * m_hat / (v_hat.sqrt() + 1e-8);
            }
        }
        let values = Vec::<f32>::try_from(values).unwrap();
        for (value, expected) in values.iter().zip(expected) {
            assert!((f64::from(*value) - expected).abs() < 1e-6, "{value} {expected}");
        }
    }
}
