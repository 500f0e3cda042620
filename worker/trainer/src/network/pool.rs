//! Pooling, channel by channel.

use tch::{TchError, Tensor};
use tenfold_types::network::{AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d};

use super::compute::{Compute, Pass};
use super::convolution::signal;

macro_rules! pools {
    ($($name:ident => |$input:ident, $kernel:ident, $stride:ident| $value:expr;)*) => {$(
        impl Compute for $name {
            fn forward(&self, input: Tensor, _: &[Tensor], _: &mut Pass<'_>) -> Result<Tensor, TchError> {
                let ($kernel, $stride) = (i64::from(self.kernel.get()), i64::from(self.steps().get()));
                let (trials, samples) = (input.size()[0], input.size()[1]);
                // A window is within a channel, so trials may stand side by side as samples do.
                let $input = input;
                $value?.f_unflatten(0, [trials, samples])
            }
        }
    )*};
}

pools! {
    MaxPool2d => |input, kernel, stride| {
        input.f_flatten(0, 1)?.f_max_pool2d([kernel; 2], [stride; 2], [0; 2], [1; 2], false)
    };
    AvgPool2d => |input, kernel, stride| {
        input.f_flatten(0, 1)?.f_avg_pool2d([kernel; 2], [stride; 2], [0; 2], false, true, None)
    };
    MaxPool1d => |input, kernel, stride| {
        signal(&input)?.f_flatten(0, 1)?.f_max_pool1d([kernel], [stride], [0], [1], false)
    };
    AvgPool1d => |input, kernel, stride| {
        signal(&input)?.f_flatten(0, 1)?.f_avg_pool1d([kernel], [stride], [0], false, true)
    };
}
