//! Convolution over images whose samples lie innermost: `[channels][rows][columns][samples]`.
//!
//! Lanes of a vector are samples, so that every step is a whole vector whatever the size of image and kernel. What a
//! kernel's weight is multiplied with lies at a fixed offset from the place of the kernel: a convolution is a product of
//! matrices, channels × taps times taps × places, whose second matrix is only looked up and never written out.

use pulp::{Simd, WithSimd};

use super::real::{Real, simd};

/// Channels of the output at once, and places or taps at once: 4 × 5 sums, the values that meet in them, and a weight fit
/// the 32 vector registers.
const CHANNELS: usize = 4;
const PLACES: usize = 5;
const TAPS: usize = 6;

/// Sizes of a convolution, without padding: pad the input first.
#[derive(Debug, Clone)]
pub(crate) struct Geometry {
    pub(crate) channels_in: usize,
    /// Rows and columns of the input.
    pub(crate) input: [usize; 2],
    pub(crate) channels_out: usize,
    /// Rows and columns of the kernel.
    pub(crate) kernel: [usize; 2],
    /// Rows and columns from one place to the next.
    pub(crate) stride: [usize; 2],
}

impl Geometry {
    /// Rows and columns of the output.
    pub(crate) fn output(&self) -> [usize; 2] {
        [0, 1].map(|axis| (self.input[axis] - self.kernel[axis]) / self.stride[axis] + 1)
    }

    /// Weights of an output channel.
    pub(crate) fn taps(&self) -> usize {
        self.channels_in * self.kernel[0] * self.kernel[1]
    }

    /// How far each tap is from the place of its kernel, in rows of samples, in the order of the weights.
    fn offsets(&self) -> Vec<usize> {
        let [rows, columns] = self.input;
        let [height, width] = self.kernel;
        let place = |tap: usize| {
            let (channel, row, column) = (tap / (height * width), tap / width % height, tap % width);
            (channel * rows + row) * columns + column
        };
        (0..self.taps()).map(place).collect()
    }

    /// The taps row by row of the kernel: those that see a row of zeros are then together.
    fn by_row(&self) -> Vec<usize> {
        let [height, width] = self.kernel;
        let row = |row: usize| {
            let channels = 0..self.channels_in;
            channels.flat_map(move |channel| {
                (0..width).map(move |column| (channel * height + row) * width + column)
            })
        };
        (0..height).flat_map(row).collect()
    }
}

/// A convolution with its tables and scratch.
#[derive(Debug)]
pub(crate) struct Convolution<T> {
    geometry: Geometry,
    offsets: Vec<usize>,
    /// Rows of the input known to be zeros, at the top and at the bottom.
    zero_rows: [usize; 2],
    by_row: Vec<usize>,
    offsets_by_row: Vec<usize>,
    /// Weights of a block of channels, tap by tap in the order of `by_row`.
    packed: Vec<T>,
    /// Sums of weight gradients by lane.
    sums: Vec<T>,
}

impl<T: Real> Convolution<T> {
    pub(crate) fn new(geometry: Geometry) -> Self {
        let offsets = geometry.offsets();
        let by_row = geometry.by_row();
        Self {
            zero_rows: [0, 0],
            offsets_by_row: by_row.iter().map(|&tap| offsets[tap]).collect(),
            offsets,
            by_row,
            geometry,
            packed: Vec::new(),
            sums: Vec::new(),
        }
    }

    /// Says that the input's first and last rows are always zeros, so that the forward pass need not look at them.
    pub(crate) fn zero_rows(&mut self, top: usize, bottom: usize) {
        self.zero_rows = [top, bottom];
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// `output = bias + weights * input`, or its positive part with `relu`.
    ///
    /// `weights` is `[channels_out][taps]`; samples come in rows of `stride` numbers, a multiple of [`Real::LANES`].
    /// Without a bias, zero.
    pub(crate) fn forward(
        &mut self,
        weights: &[T],
        bias: Option<&[T]>,
        relu: bool,
        input: &[T],
        output: &mut [T],
        stride: usize,
    ) {
        let taps = self.offsets.len();
        self.packed.clear();
        for block in weights.chunks(CHANNELS * taps) {
            for &tap in &self.by_row {
                self.packed.extend(block.iter().skip(tap).step_by(taps));
            }
        }
        simd(Forward {
            geometry: &self.geometry,
            offsets: &self.offsets_by_row,
            zero_rows: self.zero_rows,
            packed: &self.packed,
            bias,
            relu,
            input,
            output,
            stride,
        });
    }

    /// The gradient of the weights, `[channels_out][taps]`, from that of the output.
    pub(crate) fn weight_gradient(
        &mut self,
        output_gradient: &[T],
        input: &[T],
        gradient: &mut [T],
        stride: usize,
    ) {
        let taps = self.offsets.len();
        self.sums.clear();
        self.sums
            .resize(self.geometry.channels_out * taps * T::LANES, T::zero());
        simd(WeightGradient {
            geometry: &self.geometry,
            offsets: &self.offsets,
            sums: &mut self.sums,
            output_gradient,
            input,
            stride,
        });
        for (gradient, sums) in gradient.iter_mut().zip(self.sums.chunks_exact(T::LANES)) {
            *gradient = sums.iter().fold(T::zero(), |sum, &lane| sum + lane);
        }
    }
}

/// Cuts a length into parts of at most `most`, as even as can be: 12 by 5 is 4, 4, 4.
fn even_parts(length: usize, most: usize) -> impl Iterator<Item = std::ops::Range<usize>> + Clone {
    let parts = length.div_ceil(most);
    (0..parts).map(move |part| part * length / parts..(part + 1) * length / parts)
}

/// Numbers in a vector.
const fn lanes<T: Real, S: Simd>() -> usize {
    size_of::<T::Vector<S>>() / size_of::<T>()
}

struct Forward<'a, T> {
    geometry: &'a Geometry,
    offsets: &'a [usize],
    zero_rows: [usize; 2],
    packed: &'a [T],
    bias: Option<&'a [T]>,
    relu: bool,
    input: &'a [T],
    output: &'a mut [T],
    stride: usize,
}

impl<T: Real> WithSimd for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            geometry,
            offsets,
            packed,
            zero_rows: [top, bottom],
            relu,
            ..
        } = self;
        let zero = T::splat(simd, T::zero());
        let stride = self.stride / lanes::<T, S>();
        let input = T::vectors::<S>(self.input);
        let output = T::vectors_mut::<S>(self.output);
        let [rows, columns] = geometry.output();
        let channels = geometry.channels_out;
        let step = geometry.stride[1] * stride;
        let (taps, taps_of_row) = (offsets.len(), offsets.len() / geometry.kernel[0]);
        for lane in 0..stride {
            for row in 0..rows {
                let seen = row * geometry.stride[0];
                let from = top.saturating_sub(seen).min(geometry.kernel[0]);
                let to = (geometry.input[0] - bottom)
                    .saturating_sub(seen)
                    .clamp(from, geometry.kernel[0]);
                let some = from * taps_of_row..to * taps_of_row;
                let offsets = &offsets[some.clone()];
                for part in even_parts(columns, PLACES) {
                    let place =
                        row * geometry.stride[0] * geometry.input[1] + part.start * geometry.stride[1];
                    let seen = &input[place * stride + lane..];
                    for first in (0..channels).step_by(CHANNELS) {
                        let block = CHANNELS.min(channels - first);
                        let weights = &packed[first * taps..][block * some.start..block * some.end];
                        let mut bias = [T::zero(); CHANNELS];
                        if let Some(all) = self.bias {
                            bias[..block].copy_from_slice(&all[first..first + block]);
                        }
                        let at = ((first * rows + row) * columns + part.start) * stride + lane;
                        let given = &mut output[at..];
                        let apart = (rows * columns * stride, stride);
                        macro_rules! tile {
                            ($channels:literal, $places:literal) => {{
                                let sums = tile::<T, S, $channels, $places>(
                                    simd, offsets, weights, bias, seen, stride, step,
                                );
                                for channel in 0..$channels {
                                    for place in 0..$places {
                                        let sum = sums[channel][place];
                                        given[channel * apart.0 + place * apart.1] = match relu {
                                            // In this order no number stays none.
                                            true => T::larger(simd, zero, sum),
                                            false => sum,
                                        };
                                    }
                                }
                            }};
                        }
                        macro_rules! places {
                            ($channels:literal) => {
                                match part.len() {
                                    1 => tile!($channels, 1),
                                    2 => tile!($channels, 2),
                                    3 => tile!($channels, 3),
                                    4 => tile!($channels, 4),
                                    _ => tile!($channels, 5),
                                }
                            };
                        }
                        match block {
                            1 => places!(1),
                            2 => places!(2),
                            3 => places!(3),
                            _ => places!(4),
                        }
                    }
                }
            }
        }
    }
}

/// The sums of some channels at some places of a row.
#[inline(always)]
fn tile<T: Real, S: Simd, const C: usize, const P: usize>(
    simd: S,
    offsets: &[usize],
    weights: &[T],
    bias: [T; CHANNELS],
    input: &[T::Vector<S>],
    stride: usize,
    step: usize,
) -> [[T::Vector<S>; P]; C] {
    let mut sums: [[T::Vector<S>; P]; C] = std::array::from_fn(|channel| [T::splat(simd, bias[channel]); P]);
    for (&offset, weights) in offsets.iter().zip(weights.as_chunks::<C>().0) {
        let seen = &input[offset * stride..][..(P - 1) * step + 1];
        let values: [T::Vector<S>; P] = std::array::from_fn(|place| seen[place * step]);
        for channel in 0..C {
            let weight = T::splat(simd, weights[channel]);
            for place in 0..P {
                sums[channel][place] = T::multiply_add(simd, weight, values[place], sums[channel][place]);
            }
        }
    }
    sums
}

struct WeightGradient<'a, T> {
    geometry: &'a Geometry,
    offsets: &'a [usize],
    sums: &'a mut [T],
    output_gradient: &'a [T],
    input: &'a [T],
    stride: usize,
}

impl<T: Real> WithSimd for WeightGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            geometry, offsets, ..
        } = self;
        let stride = self.stride / lanes::<T, S>();
        let input = T::vectors::<S>(self.input);
        let gradient = T::vectors::<S>(self.output_gradient);
        // Whatever a vector's width, a weight has the sums of 64 bytes.
        let apart = T::LANES / lanes::<T, S>();
        let sums = T::vectors_mut::<S>(self.sums);
        let channels = geometry.channels_out;
        let one = T::splat(simd, T::one());
        let [rows, columns] = geometry.output();
        // Places side by side are one run, unless the kernel leaps over some.
        let (runs, length) = match geometry.stride[1] {
            1 => (1, columns * stride),
            _ => (columns, stride),
        };
        for run in 0..rows * runs {
            let (row, column) = (run / runs, run % runs);
            let place = row * geometry.stride[0] * geometry.input[1] + column * geometry.stride[1];
            let seen = &input[place * stride..];
            let gradient = &gradient[(row * columns + column) * stride..];
            for taps in even_parts(offsets.len(), TAPS) {
                for first in (0..channels).step_by(CHANNELS) {
                    let block = CHANNELS.min(channels - first);
                    macro_rules! tile {
                        ($channels:literal, $taps:literal) => {{
                            let seen: [_; $taps] = std::array::from_fn(|tap| {
                                &seen[offsets[taps.start + tap] * stride..][..length]
                            });
                            let gradient: [_; $channels] = std::array::from_fn(|channel| {
                                &gradient[(first + channel) * rows * columns * stride..][..length]
                            });
                            let found = products::<T, S, $channels, $taps>(simd, gradient, seen, length);
                            for channel in 0..$channels {
                                for tap in 0..$taps {
                                    let at = (first + channel) * offsets.len() + taps.start + tap;
                                    let sum = &mut sums[at * apart];
                                    *sum = T::multiply_add(simd, one, found[channel][tap], *sum);
                                }
                            }
                        }};
                    }
                    macro_rules! taps {
                        ($channels:literal) => {
                            match taps.len() {
                                1 => tile!($channels, 1),
                                2 => tile!($channels, 2),
                                3 => tile!($channels, 3),
                                4 => tile!($channels, 4),
                                5 => tile!($channels, 5),
                                _ => tile!($channels, 6),
                            }
                        };
                    }
                    match block {
                        1 => taps!(1),
                        2 => taps!(2),
                        3 => taps!(3),
                        _ => taps!(4),
                    }
                }
            }
        }
    }
}

/// The sums of products of each of some channels with each of some taps.
#[inline(always)]
fn products<T: Real, S: Simd, const C: usize, const O: usize>(
    simd: S,
    gradient: [&[T::Vector<S>]; C],
    seen: [&[T::Vector<S>]; O],
    length: usize,
) -> [[T::Vector<S>; O]; C] {
    let mut sums = [[T::splat(simd, T::zero()); O]; C];
    // The same slices again: the compiler sees that all are as long as the loop.
    let gradient = gradient.map(|channel| &channel[..length]);
    let seen = seen.map(|tap| &tap[..length]);
    for at in 0..length {
        let gradients: [T::Vector<S>; C] = std::array::from_fn(|channel| gradient[channel][at]);
        for tap in 0..O {
            let value = seen[tap][at];
            for channel in 0..C {
                sums[channel][tap] = T::multiply_add(simd, gradients[channel], value, sums[channel][tap]);
            }
        }
    }
    sums
}
