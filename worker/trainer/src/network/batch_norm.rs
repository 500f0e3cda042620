//! Batch normalisation (Ioffe and Szegedy, 2015), as PyTorch has it.

use tch::{Kind, TchError, Tensor, no_grad};
use tenfold_types::network::{BatchNorm1d, BatchNorm2d, Shape};

use super::compute::{Compute, Initial, Pass};

macro_rules! batch_norms {
    ($($name:ident)*) => {$(
        impl Compute for $name {
            fn parameters(&self, input: Shape) -> Vec<Initial> {
                let channels = Self::channels(input).unwrap_or(0) as i64;
                vec![Initial::constant(vec![channels], 1.0), Initial::constant(vec![channels], 0.0)]
            }

            /// The running mean and variance.
            fn state(&self, input: Shape) -> Vec<(u64, f64)> {
                let channels = Self::channels(input).unwrap_or(0);
                vec![(channels, 0.0), (channels, 1.0)]
            }

            fn forward(&self, input: Tensor, parameters: &[Tensor], pass: &mut Pass<'_>) -> Result<Tensor, TchError> {
                normalise(&input, parameters, pass, self.momentum, self.epsilon)
            }
        }
    )*};
}

batch_norms!(BatchNorm1d BatchNorm2d);

fn normalise(
    input: &Tensor,
    parameters: &[Tensor],
    pass: &mut Pass<'_>,
    momentum: f64,
    epsilon: f64,
) -> Result<Tensor, TchError> {
    let size = input.size();
    // Trials, samples, channels, and what each channel has.
    let input = input.f_view([size[0], size[1], size[2], -1])?;
    let by_channel = |values: &Tensor| values.f_view([size[0], 1, size[2], 1]);
    let (variance, mean) = match pass.masks {
        None => (by_channel(&pass.state[1])?, by_channel(&pass.state[0])?),
        Some(_) => {
            let (variance, mean) = input.f_var_mean_correction([1i64, 3].as_slice(), 0.0, true)?;
            no_grad(|| {
                let count = (size[1] * input.size()[3]) as f64;
                let unbiased = variance.f_mul_scalar(count / (count - 1.0))?;
                for (running, of_batch) in pass.state.iter_mut().zip([&mean, &unbiased]) {
                    let of_batch = of_batch.f_detach()?.f_view([size[0], size[2]])?;
                    *running = running.f_lerp(&of_batch, momentum)?;
                }
                Ok::<_, TchError>(())
            })?;
            (variance, mean)
        }
    };
    input
        .f_sub(&mean)?
        .f_mul(&variance.f_add_scalar(epsilon)?.f_rsqrt()?)?
        .f_mul(&by_channel(&parameters[0])?)?
        .f_add(&by_channel(&parameters[1])?)?
        .f_view(size.as_slice())
}

/// What a layer keeps at first, for so many trials.
pub(crate) fn first_state(
    layer: &dyn Compute,
    input: Shape,
    trials: usize,
    on: (Kind, tch::Device),
) -> Result<Vec<Tensor>, TchError> {
    let full = |(count, value): (u64, f64)| Tensor::f_full([trials as i64, count as i64], value, on);
    layer.state(input).into_iter().map(full).collect()
}
