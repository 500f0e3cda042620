//! Pairs as the processor computes with them: values of a sample one below the other, samples side by side.

use super::kernel::Samples;
use super::real::{Real, vectorized};
use crate::data::{PIXELS, Pairs};

/// How sub-networks see a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// A single one sees both images as channels: one panel of `2 × 196` rows.
    Channels,
    /// Each has its own weights and sees one image: a panel for first images and one for second ones.
    Apart,
    /// So many share their weights, so that all they see goes through at once: one panel, sub-network by sub-network.
    Stacked(usize),
}

/// Some pairs that are computed together.
#[derive(Debug, Default)]
pub(crate) struct Batch<T> {
    /// `[values][stride]` each.
    pub(crate) panels: Vec<Vec<T>>,
    /// Of each panel.
    pub(crate) samples: Samples,
    pub(crate) pairs: usize,
    /// The digits on first and second images.
    pub(crate) digits: [Vec<u8>; 2],
    pub(crate) answers: Vec<u8>,
}

impl<T: Real> Batch<T> {
    /// These pairs, in this order.
    pub(crate) fn new(view: View, pairs: &Pairs, order: &[u32]) -> Self {
        let mut batch = Self::default();
        batch.gather(view, pairs, order);
        batch
    }

    /// Takes these pairs instead, in this order.
    pub(crate) fn gather(&mut self, view: View, pairs: &Pairs, order: &[u32]) {
        self.pairs = order.len();
        let panels = if view == View::Apart { 2 } else { 1 };
        self.panels.resize_with(panels, Vec::new);
        let image = |pair: u32, image: usize| &pairs.images[(2 * pair as usize + image) * PIXELS..][..PIXELS];
        match view {
            View::Channels => {
                self.samples = Samples::of::<T>(order.len());
                let samples: Vec<&[f32]> = order
                    .iter()
                    .map(|&pair| &pairs.images[2 * pair as usize * PIXELS..][..2 * PIXELS])
                    .collect();
                transpose(&samples, 2 * PIXELS, &mut self.panels[0], self.samples.stride);
            }
            View::Apart => {
                self.samples = Samples::of::<T>(order.len());
                for (which, panel) in self.panels.iter_mut().enumerate() {
                    let samples: Vec<&[f32]> = order.iter().map(|&pair| image(pair, which)).collect();
                    transpose(&samples, PIXELS, panel, self.samples.stride);
                }
            }
            View::Stacked(sub_networks) => {
                self.samples = Samples::of::<T>(order.len() * sub_networks);
                let samples: Vec<&[f32]> = (0..sub_networks)
                    .flat_map(|sub_network| order.iter().map(move |&pair| image(pair, sub_network % 2)))
                    .collect();
                transpose(&samples, PIXELS, &mut self.panels[0], self.samples.stride);
            }
        }
        for (which, digits) in self.digits.iter_mut().enumerate() {
            digits.clear();
            digits.extend(order.iter().map(|&pair| pairs.digits[pair as usize][which]));
        }
        self.answers.clear();
        self.answers
            .extend(order.iter().map(|&pair| pairs.answers[pair as usize]));
    }
}

/// Samples of `values` numbers each into columns; zeros behind the last.
fn transpose<T: Real>(samples: &[&[f32]], values: usize, panel: &mut Vec<T>, stride: usize) {
    panel.resize(values * stride, T::zero());
    // Blocks of one cache line each way: every line that is touched is used whole.
    const BLOCK: usize = 16;
    vectorized(
        #[inline(always)]
        || {
            for first in (0..stride).step_by(BLOCK) {
                let block = BLOCK.min(stride - first);
                for value in (0..values).step_by(BLOCK) {
                    let mut square = [[0f32; BLOCK]; BLOCK];
                    let length = BLOCK.min(values - value);
                    for (sample, column) in samples.iter().skip(first).zip(0..block) {
                        let from = &sample[value..value + length];
                        for (row, &number) in from.iter().enumerate() {
                            square[row][column] = number;
                        }
                    }
                    for (row, square) in square.iter().enumerate().take(length) {
                        let to = &mut panel[(value + row) * stride + first..][..block];
                        for (to, &number) in to.iter_mut().zip(square) {
                            *to = T::of(f64::from(number));
                        }
                    }
                }
            }
        },
    );
}
