//! The median rule: a point stops where it is in the worse half of those that came as far.

use super::Standing;

/// The mean of a curve's values up to its end; none of no values.
pub fn running_average(curve: &[f64]) -> Option<f64> {
    let sum: f64 = curve.iter().sum();
    (!curve.is_empty()).then(|| sum / curve.len() as f64)
}

/// Whether a point goes on beyond an epoch, given those that reached it before, stopped ones too. The means are
/// [`running_average`]s of the curves of group means up to that epoch.
///
/// It stops where at least `startup` reached it before and more than half of all, itself included, are better than it: with m
/// before, if more than (m + 1) / 2 are. Equal ones are not better.
///
/// The idea is in Golovin et al., Google Vizier, KDD 2017, 3.2.2; the form is `MedianStoppingRule` of Syne Tune 0.16 with
/// `grace_population` = startup + 1, which compares running averages with running averages. Vizier compares the best value so
/// far with them, which spares more.
///
/// A point without any repetition that succeeded stops, and is the worst among those before.
pub fn goes_on(before: &[Standing], this: Standing, startup: u32) -> bool {
    let too_few = before.len() < startup as usize;
    this.is_alive() && (too_few || 2 * this.better_among(before) <= before.len() + 1)
}
