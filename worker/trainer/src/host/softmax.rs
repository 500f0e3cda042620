//! Softmax and cross entropy over the rows of a panel: a sample is a column.

use super::kernel::Samples;
use super::real::{Real, vectorized};

/// Some rows of a panel from some column on: the values of some samples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    pub(crate) rows: usize,
    /// From a row to the next.
    pub(crate) stride: usize,
    /// The first sample's column.
    pub(crate) first: usize,
    pub(crate) count: usize,
}

impl Columns {
    /// All samples.
    pub(crate) fn all(rows: usize, samples: Samples) -> Self {
        Self {
            rows,
            stride: samples.stride,
            first: 0,
            count: samples.count,
        }
    }

    #[inline(always)]
    pub(crate) fn row(self, row: usize) -> std::ops::Range<usize> {
        let start = row * self.stride + self.first;
        start..start + self.count
    }
}

/// The softmax of each column of `from`, into the columns of `to`; and the logarithm of each sum of exponentials, into
/// `logarithms`, for the cross entropy.
pub(crate) fn softmax<T: Real>(
    (from, at): (&[T], Columns),
    (to, into): (&mut [T], Columns),
    logarithms: &mut Vec<T>,
) {
    logarithms.clear();
    logarithms.resize(2 * at.count, T::zero());
    let (largest, sums) = logarithms.split_at_mut(at.count);
    vectorized(
        #[inline(always)]
        || {
            largest.copy_from_slice(&from[at.row(0)]);
            for row in 1..at.rows {
                for (largest, &value) in largest.iter_mut().zip(&from[at.row(row)]) {
                    // No number wins, and stays.
                    *largest = if value <= *largest { *largest } else { value };
                }
            }
            for row in 0..at.rows {
                let columns = to[into.row(row)].iter_mut().zip(&from[at.row(row)]);
                for (((to, &from), &largest), sum) in columns.zip(&*largest).zip(sums.iter_mut()) {
                    *to = (from - largest).exp_negative();
                    *sum = *sum + *to;
                }
            }
            for row in 0..at.rows {
                for (to, &sum) in to[into.row(row)].iter_mut().zip(&*sums) {
                    *to = *to / sum;
                }
            }
        },
    );
    for (largest, sum) in largest.iter_mut().zip(sums) {
        *largest = *largest + sum.ln();
    }
    logarithms.truncate(at.count);
}

/// From the gradient of a softmax to that of what it was taken of, in place: `p (g - Σ p g)`.
pub(crate) fn softmax_backward<T: Real>(
    (probabilities, at): (&[T], Columns),
    (gradient, into): (&mut [T], Columns),
    scratch: &mut Vec<T>,
) {
    scratch.clear();
    scratch.resize(at.count, T::zero());
    vectorized(
        #[inline(always)]
        || {
            for row in 0..at.rows {
                let columns = probabilities[at.row(row)].iter().zip(&gradient[into.row(row)]);
                for ((&p, &g), sum) in columns.zip(scratch.iter_mut()) {
                    *sum = p.mul_add(g, *sum);
                }
            }
            for row in 0..at.rows {
                let columns = probabilities[at.row(row)]
                    .iter()
                    .zip(&mut gradient[into.row(row)]);
                for ((&p, g), &sum) in columns.zip(scratch.iter()) {
                    *g = p * (*g - sum);
                }
            }
        },
    );
}

/// The sum of the cross entropies of each sample's scores against its class, given the logarithms of [`softmax`].
pub(crate) fn cross_entropy<T: Real>((scores, at): (&[T], Columns), logarithms: &[T], classes: &[u8]) -> f64 {
    let samples = classes.iter().zip(logarithms).enumerate();
    samples
        .map(|(sample, (&class, &logarithm))| {
            let score = scores[usize::from(class) * at.stride + at.first + sample];
            (logarithm - score).double()
        })
        .sum()
}

/// Adds the gradient of `weight` times that sum: the probabilities, less one at the class.
pub(crate) fn cross_entropy_backward<T: Real>(
    (probabilities, at): (&[T], Columns),
    classes: &[u8],
    weight: T,
    (gradient, into): (&mut [T], Columns),
) {
    vectorized(
        #[inline(always)]
        || {
            for row in 0..at.rows {
                let columns = probabilities[at.row(row)]
                    .iter()
                    .zip(&mut gradient[into.row(row)]);
                for (&p, gradient) in columns {
                    *gradient = weight.mul_add(p, *gradient);
                }
            }
        },
    );
    for (sample, &class) in classes.iter().enumerate() {
        let at = usize::from(class) * into.stride + into.first + sample;
        gradient[at] = gradient[at] - weight;
    }
}

/// How many samples' largest value, the first of equals, is not in the row of their class.
pub(crate) fn wrong<T: Real>((scores, at): (&[T], Columns), classes: &[u8]) -> usize {
    let is_wrong = |&(sample, &class): &(usize, &u8)| {
        let score = |row: usize| scores[row * at.stride + at.first + sample];
        let largest = (1..at.rows).fold(0, |best, row| if score(row) > score(best) { row } else { best });
        largest != usize::from(class)
    };
    classes.iter().enumerate().filter(is_wrong).count()
}
