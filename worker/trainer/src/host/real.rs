//! The two kinds of numbers: `f32`, which trains, and `f64`, in which the formulas are compared with PyTorch's.

use std::fmt::Debug;

use num_traits::Float;
use pulp::{Arch, Simd, WithSimd};
use tch::kind::Element;

/// A real number, and vectors of it as wide as the processor has them.
pub trait Real: Float + Element + Debug + Default + Send + Sync + 'static {
    /// Numbers in 64 bytes, the widest vector.
    const LANES: usize = 64 / size_of::<Self>();

    /// A vector.
    type Vector<S: Simd>: Copy + Debug;

    /// A slice as vectors; what is left at its end is left out.
    fn vectors<S: Simd>(slice: &[Self]) -> &[Self::Vector<S>];

    /// Likewise.
    fn vectors_mut<S: Simd>(slice: &mut [Self]) -> &mut [Self::Vector<S>];

    /// The number in every lane.
    fn splat<S: Simd>(simd: S, number: Self) -> Self::Vector<S>;

    /// `a b + c`.
    fn multiply_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;

    /// The larger of the two in each lane.
    fn larger<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    /// From a number of the data or the settings.
    fn of(number: f64) -> Self;

    /// The number in double precision, without loss.
    fn double(self) -> f64;

    /// `exp(x)` for x ≤ 0 (softmax asks for no other), written so that it vectorises.
    fn exp_negative(self) -> Self;
}

macro_rules! real {
    ($type:ty, $vector:ident, $as_simd:ident, $as_mut_simd:ident, $splat:ident, $mul_add:ident, $larger:ident, $exp:expr) => {
        impl Real for $type {
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn vectors<S: Simd>(slice: &[Self]) -> &[S::$vector] {
                S::$as_simd(slice).0
            }

            #[inline(always)]
            fn vectors_mut<S: Simd>(slice: &mut [Self]) -> &mut [S::$vector] {
                S::$as_mut_simd(slice).0
            }

            #[inline(always)]
            fn splat<S: Simd>(simd: S, number: Self) -> S::$vector {
                simd.$splat(number)
            }

            #[inline(always)]
            fn multiply_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$mul_add(a, b, c)
            }

            #[inline(always)]
            fn larger<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$larger(a, b)
            }

            #[inline(always)]
            fn of(number: f64) -> Self {
                number as Self
            }

            #[inline(always)]
            fn double(self) -> f64 {
                self.into()
            }

            #[inline(always)]
            fn exp_negative(self) -> Self {
                $exp(self)
            }
        }
    };
}

real!(
    f32,
    f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    splat_f32s,
    mul_add_e_f32s,
    max_f32s,
    exp_f32
);
real!(
    f64,
    f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    splat_f64s,
    mul_add_e_f64s,
    max_f64s,
    f64::exp
);

/// `exp` as 2ⁿ 2ᶠ with |f| ≤ 1/2 and 2ᶠ by its Taylor polynomial of degree 7: wrong by less than 2 units in the last
/// place. Below -87 it gives some 1e-38 instead of less; no number stays none.
#[inline(always)]
fn exp_f32(x: f32) -> f32 {
    // NaN fails the comparison and stays.
    let x = if x < -87.0 { -87.0 } else { x };
    let n = (x * std::f32::consts::LOG2_E).round_ties_even();
    // ln 2 in two parts, so that the product is exact to more than 24 bits.
    let f = n.mul_add(-0.693_359_4, x);
    let f = n.mul_add(2.121_944_4e-4, f);
    let mut sum = 1.0 / 5040.0;
    for term in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = f.mul_add(sum, term);
    }
    sum * f32::from_bits(((n as i32 + 127) as u32) << 23)
}

/// The widest vectors that this processor has, by their name.
pub(crate) fn vectors() -> String {
    format!("{:?}", Arch::new())
}

/// Runs an operation with the widest vectors that this processor has. What it calls must be inlined into it.
pub(crate) fn simd<O: WithSimd>(operation: O) -> O::Output {
    Arch::new().dispatch(operation)
}

/// Runs plain loops, in a closure marked `#[inline(always)]`, compiled for the widest vectors that this processor has.
pub(crate) fn vectorized(loops: impl FnMut()) {
    Arch::new().dispatch(Loops(loops));
}

// A closure that is called by value would be called through a function of the standard library, which is compiled for any
// processor; by reference it is not.
struct Loops<F>(F);

impl<F: FnMut()> WithSimd for Loops<F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        (self.0)();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_that_of_the_library() {
        for step in 0..87_000 {
            let x = -(step as f32) * 1e-3;
            let expected = f64::from(x).exp();
            let actual = f64::from(x.exp_negative());
            assert!((actual / expected - 1.0).abs() < 2.4e-7, "exp({x}) is {actual}");
        }
        assert_eq!(0f32.exp_negative(), 1.0);
        assert!(f32::NEG_INFINITY.exp_negative() < 2e-38);
        assert!(f32::NAN.exp_negative().is_nan());
    }
}
