//! Activations: functions of each value alone, and softmax.

use tch::{TchError, Tensor};
use tenfold_types::network::{Gelu, LeakyRelu, Relu, Sigmoid, Softmax, Tanh};

use super::compute::{Compute, Pass};

macro_rules! activations {
    ($($name:ident => |$self:ident, $input:ident| $value:expr;)*) => {$(
        impl Compute for $name {
            fn forward(&$self, $input: Tensor, _: &[Tensor], _: &mut Pass<'_>) -> Result<Tensor, TchError> {
                $value
            }
        }
    )*};
}

activations! {
    Relu => |self, input| input.f_relu();
    Tanh => |self, input| input.f_tanh();
    Sigmoid => |self, input| input.f_sigmoid();
    Gelu => |self, input| input.f_gelu("none");
    LeakyRelu => |self, input| input.f_where_self(&input.f_gt(0)?, &input.f_mul_scalar(self.slope)?);
    // Behind trials and samples come the values of a vector, or the channels.
    Softmax => |self, input| input.f_softmax(2, None);
}
