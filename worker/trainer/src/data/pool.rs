//! Average pooling, from the 28 × 28 bytes of an image to the 14 × 14 values that a network sees.

use super::idx::FULL_SIDE;

/// Rows and columns of an image as networks see it.
pub const SIDE: usize = FULL_SIDE / 2;

/// Values of an image as networks see it.
pub const PIXELS: usize = SIDE * SIDE;

/// Mean over all values of MNIST's 60,000 pooled training images, 255 being 1.
pub const MEAN: f32 = 0.130_66;

/// Standard deviation of the same.
pub const STANDARD_DEVIATION: f32 = 0.280_11;

/// Sums of 2 × 2 bytes, 0 to 1020, row by row.
fn sums(image: &[u8]) -> impl Iterator<Item = u16> {
    (0..PIXELS).map(move |at| {
        let corner = 2 * (at / SIDE) * FULL_SIDE + 2 * (at % SIDE);
        [corner, corner + 1, corner + FULL_SIDE, corner + FULL_SIDE + 1]
            .map(|at| u16::from(image[at]))
            .iter()
            .sum()
    })
}

/// What a network sees of an image: averages of 2 × 2 bytes, scaled so that over MNIST's training images their mean is
/// 0 and their standard deviation 1.
pub fn pooled(image: &[u8]) -> impl Iterator<Item = f32> {
    // A sum is exact in f32, so that this rounds in one way only.
    sums(image).map(|sum| (f32::from(sum) * (1.0 / 1020.0) - MEAN) / STANDARD_DEVIATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_the_sum_of_its_square() {
        let mut image = vec![0; FULL_SIDE * FULL_SIDE];
        image[0] = 1;
        image[1] = 2;
        image[28] = 4;
        image[29] = 8;
        image[27 * 28 + 27] = 255;
        image[26 * 28 + 26] = 255;
        let sums: Vec<u16> = sums(&image).collect();
        assert_eq!((sums.len(), sums[0], sums[195]), (196, 15, 510));
        assert_eq!(sums.iter().map(|&sum| u32::from(sum)).sum::<u32>(), 525);
    }
}
