//! Cross entropy.

use tch::{TchError, Tensor};

use super::of_class;

/// `-log softmax(scores)[class]` of each sample; scores `[…, classes]`, classes `[…]`.
///
/// # Errors
/// Libtorch's.
pub fn cross_entropy(scores: &Tensor, classes: &Tensor) -> Result<Tensor, TchError> {
    of_class(&scores.f_log_softmax(-1, None)?, classes)?.f_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_logarithm_of_the_right_class() {
        let scores = Tensor::from_slice(&[0.0f64, 3.0f64.ln(), 0.0, 0.0]).view([2, 2]);
        let classes = Tensor::from_slice(&[1i64, 0]);
        let losses = Vec::<f64>::try_from(cross_entropy(&scores, &classes).unwrap()).unwrap();
        for (loss, expected) in losses.iter().zip([(4.0f64 / 3.0).ln(), 2.0f64.ln()]) {
            assert!((loss - expected).abs() < 1e-12, "{loss} {expected}");
        }
    }
}
