//! Convolutions over images and signals.

use tch::{Device, TchError, Tensor};
use tenfold_types::network::{Conv1d, Conv2d, Shape};

use super::compute::{Compute, Initial, Pass};

impl Compute for Conv2d {
    fn parameters(&self, input: Shape) -> Vec<Initial> {
        let inputs = match input {
            Shape::Image { channels, .. } => channels,
            Shape::Flat(_) | Shape::Signal { .. } => 0,
        };
        let (channels, kernel) = (i64::from(self.channels.get()), i64::from(self.kernel.get()));
        let fan_in = inputs * (kernel * kernel) as u64;
        [vec![channels, inputs as i64, kernel, kernel], vec![channels]]
            .map(|dimensions| Initial::uniform(dimensions, fan_in))
            .to_vec()
    }

    fn forward(&self, input: Tensor, parameters: &[Tensor], _: &mut Pass<'_>) -> Result<Tensor, TchError> {
        let (stride, padding) = (i64::from(self.stride.get()), i64::from(self.padding));
        convolve(&input, &parameters[0], &parameters[1], [stride; 2], [padding; 2])
    }
}

impl Compute for Conv1d {
    fn parameters(&self, input: Shape) -> Vec<Initial> {
        let inputs = input.signal().map_or(0, |(channels, _)| channels);
        let (channels, kernel) = (i64::from(self.channels.get()), i64::from(self.kernel.get()));
        let fan_in = inputs * kernel as u64;
        [vec![channels, inputs as i64, kernel], vec![channels]]
            .map(|dimensions| Initial::uniform(dimensions, fan_in))
            .to_vec()
    }

    fn forward(&self, input: Tensor, parameters: &[Tensor], _: &mut Pass<'_>) -> Result<Tensor, TchError> {
        let (stride, padding) = (i64::from(self.stride.get()), i64::from(self.padding));
        // A signal is an image of one row.
        let input = signal(&input)?.f_unsqueeze(3)?;
        let kernels = parameters[0].f_unsqueeze(3)?;
        convolve(&input, &kernels, &parameters[1], [1, stride], [0, padding])?.f_squeeze_dim(3)
    }
}

/// `[trials, samples, channels, length]`, from images too: each channel row by row.
pub(super) fn signal(input: &Tensor) -> Result<Tensor, TchError> {
    input.f_flatten(3, -1)
}

/// The convolution of `[trials, samples, channels, rows, columns]` with kernels `[trials, channels given, channels, rows,
/// columns]` and biases `[trials, channels given]`.
///
/// Which way it is computed depends on the kind of device alone, so that no measurement decides a trial's bits.
fn convolve(
    input: &Tensor,
    kernels: &Tensor,
    bias: &Tensor,
    stride: [i64; 2],
    padding: [i64; 2],
) -> Result<Tensor, TchError> {
    match input.device() {
        Device::Cuda(_) => unfolded(input, kernels, bias, stride, padding),
        _ => grouped(input, kernels, bias, stride, padding),
    }
}

/// As products of matrices: what each kernel sees is written out. On a GPU the grouped convolutions of small networks
/// leave most of the device idle, batched products do not.
fn unfolded(
    input: &Tensor,
    kernels: &Tensor,
    bias: &Tensor,
    stride: [i64; 2],
    padding: [i64; 2],
) -> Result<Tensor, TchError> {
    let (size, of) = (input.size(), kernels.size());
    let (trials, samples, given) = (size[0], size[1], of[1]);
    let places = |axis: usize| (size[3 + axis] + 2 * padding[axis] - of[3 + axis]) / stride[axis] + 1;
    let seen = input
        .f_flatten(0, 1)?
        .f_im2col([of[3], of[4]], [1, 1], padding, stride)?;
    let seen = seen.f_view([trials, samples, -1, places(0) * places(1)])?;
    let kernels = kernels.f_flatten(2, -1)?.f_unsqueeze(1)?;
    kernels
        .f_matmul(&seen)?
        .f_add(&bias.f_view([trials, 1, given, 1])?)?
        .f_view([trials, samples, given, places(0), places(1)])
}

/// As one convolution in groups, a group for each trial.
fn grouped(
    input: &Tensor,
    kernels: &Tensor,
    bias: &Tensor,
    stride: [i64; 2],
    padding: [i64; 2],
) -> Result<Tensor, TchError> {
    let (size, trials) = (input.size(), input.size()[0]);
    let side_by_side = input.f_transpose(0, 1)?.f_flatten(1, 2)?;
    let given = side_by_side.f_conv2d(
        &kernels.f_flatten(0, 1)?,
        Some(&bias.f_flatten(0, 1)?),
        stride,
        padding,
        [1, 1],
        trials,
    )?;
    let places = given.size();
    given
        .f_view([size[1], trials, -1, places[2], places[3]])?
        .f_transpose(0, 1)
}

#[cfg(test)]
mod tests {
    use tch::{Kind, Reduction};

    use super::*;

    #[test]
    fn both_ways_give_the_same() {
        let on = (Kind::Double, Device::Cpu);
        let random = |size: &[i64]| Tensor::randn(size, on).set_requires_grad(true);
        for (stride, padding) in [([1, 1], [0, 0]), ([2, 1], [1, 2]), ([3, 3], [2, 0])] {
            let tensors = [
                random(&[3, 4, 2, 7, 6]),
                random(&[3, 5, 2, 3, 2]),
                random(&[3, 5]),
            ];
            let results = [grouped, unfolded].map(|way| {
                let [input, kernels, bias] = &tensors;
                let given = way(input, kernels, bias, stride, padding).unwrap();
                let number = given.square().sum(Kind::Double);
                let mut all = Tensor::run_backward(&[number], &[input, kernels, bias], false, false);
                all.push(given.detach());
                all
            });
            for (a, b) in results[0].iter().zip(&results[1]) {
                let difference = a.l1_loss(b, Reduction::Sum).double_value(&[]);
                assert!(a.size() == b.size() && difference < 1e-9, "{difference}");
            }
        }
    }
}
