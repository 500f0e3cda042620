//! Pairs as tensors on a device, put in order and cut into batches.

use std::ops::Range;

use tch::{Device, Kind, TchError, Tensor};

use super::{PIXELS, Pairs, SIDE};

/// Pairs on a device.
#[derive(Debug)]
pub struct PairTensors {
    images: Tensor,
    digits: Tensor,
    answers: Tensor,
    pairs: usize,
    as_channels: bool,
    device: Device,
}

impl PairTensors {
    /// Copies pairs to a device. `as_channels`: both images are channels of one, as a single sub-network sees them.
    ///
    /// # Errors
    /// Libtorch's, such as too little memory.
    pub fn new(pairs: &Pairs, as_channels: bool, device: Device) -> Result<Self, TchError> {
        let count = pairs.answers.len() as i64;
        let images = Tensor::f_from_slice(&pairs.images)?;
        let images = match as_channels {
            true => images.f_view([count, 2 * PIXELS as i64])?,
            false => images.f_view([2 * count, PIXELS as i64])?,
        };
        let whole = |bytes: &[u8]| {
            Tensor::f_from_slice(bytes)?
                .f_to_kind(Kind::Int64)?
                .f_to_device(device)
        };
        Ok(Self {
            images: images.f_to_device(device)?,
            digits: whole(pairs.digits.as_flattened())?,
            answers: whole(&pairs.answers)?,
            pairs: pairs.answers.len(),
            as_channels,
            device,
        })
    }

    /// How many.
    pub fn pairs(&self) -> usize {
        self.pairs
    }

    /// All pairs in this order, gathered once so that each batch of `size` pairs (the last may be smaller) lies in one
    /// piece.
    ///
    /// # Errors
    /// Libtorch's.
    pub fn arranged(&self, order: &[u32], size: usize) -> Result<Arranged, TchError> {
        // Batch by batch, all first images and then all second ones: a sub-network's input is one piece, and so is
        // the input of a shared one, which sees them all.
        let stacked = |pair: &u32, image: i64| 2 * i64::from(*pair) + image;
        let rows: Vec<i64> = order
            .chunks(size)
            .flat_map(|batch| {
                let first = batch.iter().map(move |pair| stacked(pair, 0));
                first.chain(batch.iter().map(move |pair| stacked(pair, 1)))
            })
            .collect();
        let on_device = |rows: &[i64]| Tensor::f_from_slice(rows)?.f_to_device(self.device);
        let pairs = on_device(&order.iter().map(|&pair| i64::from(pair)).collect::<Vec<_>>())?;
        let rows = on_device(&rows)?;
        let side = SIDE as i64;
        let images = match self.as_channels {
            true => self
                .images
                .f_index_select(0, &pairs)?
                .f_view([-1, 2, side, side])?,
            false => self
                .images
                .f_index_select(0, &rows)?
                .f_view([-1, 1, side, side])?,
        };
        Ok(Arranged {
            images,
            digits: self.digits.f_index_select(0, &rows)?,
            answers: self.answers.f_index_select(0, &pairs)?,
            pairs: order.len(),
            size,
            as_channels: self.as_channels,
        })
    }
}

/// Pairs in an order, ready to be cut into batches.
#[derive(Debug)]
pub struct Arranged {
    images: Tensor,
    digits: Tensor,
    answers: Tensor,
    pairs: usize,
    size: usize,
    as_channels: bool,
}

/// Some pairs that are computed together.
#[derive(Debug)]
pub struct Batch {
    /// `[2 pairs, 1, 14, 14]`, all first images before all second ones; or `[pairs, 2, 14, 14]`.
    pub images: Tensor,
    /// `[2 pairs]`, in the order of the former.
    pub digits: Tensor,
    /// `[pairs]`.
    pub answers: Tensor,
    /// How many pairs.
    pub pairs: i64,
}

impl Arranged {
    /// The batches, first to last.
    pub fn batches(&self) -> impl Iterator<Item = Result<Batch, TchError>> {
        (0..self.pairs)
            .step_by(self.size)
            .map(|start| self.batch(start..self.pairs.min(start + self.size)))
    }

    fn batch(&self, range: Range<usize>) -> Result<Batch, TchError> {
        let (start, pairs) = (range.start as i64, range.len() as i64);
        let images = match self.as_channels {
            true => self.images.f_narrow(0, start, pairs)?,
            false => self.images.f_narrow(0, 2 * start, 2 * pairs)?,
        };
        Ok(Batch {
            images,
            digits: self.digits.f_narrow(0, 2 * start, 2 * pairs)?,
            answers: self.answers.f_narrow(0, start, pairs)?,
            pairs,
        })
    }
}
