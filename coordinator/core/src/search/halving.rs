//! Successive halving: all points of a rung are compared at once, and the best of them go on.

use super::Standing;

/// How many of so many points go on: ⌊points / factor⌋, and 1 at least. `factor` is 2 or more.
///
/// Rounded down as in Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS
/// 2016, and in Li et al., Hyperband, JMLR 18 (185), 2018, algorithm 1. Rung after rung it is ⌊n / factorᵏ⌋ of the first n.
pub fn kept(points: usize, factor: u32) -> usize {
    (points / factor.max(1) as usize).max(1)
}

/// The places of the best so many, ascending: those with the fewest missing, among these those with the least means, among
/// these the first. Fewer where fewer have a repetition that succeeded.
pub fn best(standings: &[Standing], keep: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..standings.len())
        .filter(|place| standings[*place].is_alive())
        .collect();
    // Stable: of equal ones the first stays first.
    places.sort_by(|a, b| standings[*a].order(&standings[*b]));
    places.truncate(keep);
    places.sort_unstable();
    places
}

/// The places of those that are not among the best, though they stand as well as the last of these: the first of equal ones are
/// kept.
pub fn tied(standings: &[Standing], best: &[usize]) -> Vec<usize> {
    let Some(last) = best.iter().max_by(|a, b| standings[**a].order(&standings[**b])) else {
        return Vec::new();
    };
    let left = (0..standings.len()).filter(|place| !best.contains(place) && standings[*place].is_alive());
    left.filter(|place| standings[*place].order(&standings[*last]).is_eq())
        .collect()
}
