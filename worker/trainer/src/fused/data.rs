//! The pairs of an array's trials, resident on the device, and batches gathered there.

use tch::{Device, Kind, TchError, Tensor};
use tenfold_types::TrialSpec;

use crate::data::{Mnist, PIXELS, Pairs, Purpose, SIDE, draw};
use crate::train::TrainError;

/// Pairs for one purpose, of all trials. Trials that draw the same pairs have them once.
#[derive(Debug)]
pub(super) struct Resident {
    /// First and second images, `[sets × pairs, 196]`.
    images: [Tensor; 2],
    /// Their digits, `[sets × pairs]`.
    digits: [Tensor; 2],
    /// `[sets × pairs]`.
    answers: Tensor,
    /// Pairs of a set.
    pairs: i64,
    /// Where each trial's set begins, `[trials, 1]`.
    starts: Tensor,
}

/// Some pairs of every trial.
#[derive(Debug)]
pub(super) struct Batch {
    /// First and second images, `[trials, pairs, 1, 14, 14]`.
    pub(super) images: [Tensor; 2],
    /// `[trials, pairs]`.
    pub(super) digits: [Tensor; 2],
    /// `[trials, pairs]`.
    pub(super) answers: Tensor,
    pub(super) pairs: i64,
}

impl Resident {
    pub(super) fn new(
        specs: &[TrialSpec],
        mnist: &Mnist,
        purpose: Purpose,
        on: (Kind, Device),
    ) -> Result<Self, TrainError> {
        let mut sets: Vec<&TrialSpec> = Vec::new();
        let mut starts = Vec::with_capacity(specs.len());
        let same = |a: &TrialSpec, b: &TrialSpec| {
            (a.seed, a.repetition, a.data.target) == (b.seed, b.repetition, b.data.target)
        };
        for spec in specs {
            let set = sets.iter().position(|set| same(set, spec));
            starts.push(set.unwrap_or(sets.len()) as i64);
            if set.is_none() {
                sets.push(spec);
            }
        }
        let (split, pairs) = match purpose {
            Purpose::Train => (&mnist.train, specs[0].data.train),
            Purpose::Test => (&mnist.test, specs[0].data.test),
        };
        let drawn = sets
            .iter()
            .map(|set| draw(split, purpose, pairs, set.data.target, set.seed, set.repetition));
        let drawn = drawn.collect::<Result<Vec<_>, _>>()?;
        let mut resident = Self::of(&drawn, specs.len(), on)?;
        let starts = Tensor::f_from_slice(&starts)?.f_mul_scalar(resident.pairs)?;
        resident.starts = starts.f_view([-1, 1])?.f_to_device(on.1)?;
        Ok(resident)
    }

    /// These sets, as many pairs in each; all trials have the first.
    fn of(sets: &[Pairs], trials: usize, (kind, device): (Kind, Device)) -> Result<Self, TchError> {
        let image = |which: usize| {
            let images = sets
                .iter()
                .flat_map(|pairs| pairs.images.chunks_exact(2 * PIXELS));
            let images = images.flat_map(|pair| &pair[which * PIXELS..][..PIXELS]).copied();
            Tensor::f_from_slice(&images.collect::<Vec<f32>>())?
                .f_view([-1, PIXELS as i64])?
                .f_to_kind(kind)?
                .f_to_device(device)
        };
        let whole = |bytes: Vec<u8>| {
            Tensor::f_from_slice(&bytes)?
                .f_to_kind(Kind::Int64)?
                .f_to_device(device)
        };
        let digit = |which: usize| {
            let digits = sets.iter().flat_map(|pairs| &pairs.digits);
            whole(digits.map(|pair| pair[which]).collect())
        };
        Ok(Self {
            images: [image(0)?, image(1)?],
            digits: [digit(0)?, digit(1)?],
            answers: whole(
                sets.iter()
                    .flat_map(|pairs| pairs.answers.iter().copied())
                    .collect(),
            )?,
            pairs: sets.first().map_or(0, |pairs| pairs.answers.len() as i64),
            starts: Tensor::f_zeros([trials as i64, 1], (Kind::Int64, device))?,
        })
    }

    /// These pairs for every one of so many trials, as one batch.
    pub(super) fn same(pairs: &Pairs, trials: usize, on: (Kind, Device)) -> Result<Batch, TchError> {
        let resident = Self::of(std::slice::from_ref(pairs), trials, on)?;
        resident.in_order(0, resident.pairs)
    }

    pub(super) fn pairs(&self) -> i64 {
        self.pairs
    }

    /// The pairs with these numbers, `[trials, pairs]`.
    pub(super) fn gather(&self, numbers: &Tensor) -> Result<Batch, TchError> {
        let size = numbers.size();
        let (trials, pairs) = (size[0], size[1]);
        let rows = numbers.f_add(&self.starts)?.f_view([-1])?;
        let side = SIDE as i64;
        let image = |which: usize| {
            self.images[which]
                .f_index_select(0, &rows)?
                .f_view([trials, pairs, 1, side, side])
        };
        let classes = |of: &Tensor| of.f_index_select(0, &rows)?.f_view([trials, pairs]);
        Ok(Batch {
            images: [image(0)?, image(1)?],
            digits: [classes(&self.digits[0])?, classes(&self.digits[1])?],
            answers: classes(&self.answers)?,
            pairs,
        })
    }

    /// Pairs as they were drawn, from one number on.
    pub(super) fn in_order(&self, first: i64, count: i64) -> Result<Batch, TchError> {
        let on = (Kind::Int64, self.starts.device());
        let numbers = Tensor::f_arange_start(first, first + count, on)?;
        self.gather(&numbers.f_expand([self.starts.size()[0], count], false)?)
    }

    /// Only the trials at these places stay.
    pub(super) fn keep(&mut self, places: &Tensor) -> Result<(), TchError> {
        self.starts = self.starts.f_index_select(0, places)?;
        Ok(())
    }
}
