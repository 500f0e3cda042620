//! Gates: trials of a stage that wait until it is decided whether they are run at all. Either whole points, which an earlier
//! rung of a search has to let go on, or further repetitions of a point, which are run where its mean is not known well enough.

mod bits;
mod decided;
mod rung;
mod until;

pub(super) use decided::Decided;
pub use rung::{Rung, StopRule};
pub(super) use rung::{RungDraft, WrittenRung};
pub(super) use until::WrittenUntil;
pub use until::{CoverageAtStop, FEW_REPETITIONS, Until, coverage_at_stop};

/// The most points, before exclude, of a stage with a gate: what is decided of each is a record.
pub(super) const MAX_POINTS: u64 = 10_000;

/// What trials of a stage wait for.
#[derive(Debug, Clone, PartialEq)]
pub enum Gate {
    /// Points are run where an earlier stage, the rung before, lets them go on.
    Points(Rung),
    /// Repetitions behind the first few are run as long as a mean is not known well enough.
    Repetitions(Until),
}

/// Whether a trial may be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It may.
    Free,
    /// It depends on what is still to be chosen or decided.
    Waits,
    /// It is not run: it is no longer part of the sweep.
    LeftOut,
}
