//! Cross entropy.

use tch::{Reduction, TchError, Tensor};

/// `-log softmax(scores)[class]` of each sample: the mean, or the sum.
///
/// # Errors
/// Libtorch's.
pub fn cross_entropy(scores: &Tensor, classes: &Tensor, reduction: Reduction) -> Result<Tensor, TchError> {
    scores.f_cross_entropy_loss(classes, None::<&Tensor>, reduction, -100, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_logarithm_of_the_right_class() {
        let scores = Tensor::from_slice(&[0.0f32, 3.0f32.ln(), 0.0, 0.0]).view([2, 2]);
        let classes = Tensor::from_slice(&[1i64, 0]);
        let sum = cross_entropy(&scores, &classes, Reduction::Sum)
            .unwrap()
            .double_value(&[]);
        assert!((sum - ((4.0f64 / 3.0).ln() + 2.0f64.ln())).abs() < 1e-6, "{sum}");
        let mean = cross_entropy(&scores, &classes, Reduction::Mean)
            .unwrap()
            .double_value(&[]);
        assert!((mean - sum / 2.0).abs() < 1e-6);
    }
}
