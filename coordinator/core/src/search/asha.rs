//! Asynchronous successive halving that stops: a point is compared with those that reached the rung before it, and nobody waits.

use super::Standing;
use super::halving::kept;

/// Whether a point goes on beyond a rung, given those that reached it before: whether it is among the best max(1, ⌊m / factor⌋)
/// of these and itself, m in all. Who ties with the last of the best goes on too. `factor` is 2 or more.
///
/// Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020, in the form that decides once, on reaching a
/// rung: `SuccessiveHalvingPruner` of Optuna 5.0. The first point always goes on; a point that is stopped is not taken up again.
///
/// A point without any repetition that succeeded stops, and is not among the m of later ones, as one with NaN there.
pub fn goes_on(before: &[Standing], this: Standing, factor: u32) -> bool {
    let alive = before.iter().filter(|standing| standing.is_alive()).count();
    this.is_alive() && this.better_among(before) < kept(alive + 1, factor)
}
