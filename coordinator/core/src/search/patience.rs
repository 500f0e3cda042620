//! Patience: a point stops once it has been worse than it was for too long.

/// Whether a point goes on, given its curve of group means, from epoch 1 to now: whether the least of the last `patience` + 1
/// values is at most the least of those before plus `min_delta`, in the metric's unit, 0 or more. Up to epoch `patience` + 1
/// there are none before, and it goes on. What is not a number is left out.
///
/// So what stays as good as it was goes on, and `min_delta` allows it to be a little worse: this is
/// `PatientPruner(None, patience, min_delta)` of Optuna 5.0, and not the early stopping that asks for an improvement by
/// `min_delta`. The idea: Prechelt, Early Stopping – But When?, in Neural Networks: Tricks of the Trade, 1998.
pub fn goes_on(curve: &[f64], patience: u32, min_delta: f64) -> bool {
    let Some(at) = curve.len().checked_sub(patience as usize + 1) else {
        return true;
    };
    let (before, lately) = curve.split_at(at);
    let least = |values: &[f64]| values.iter().copied().fold(f64::NAN, f64::min);
    // Without a number on either side there is nothing to stop it for.
    let is_worse = least(before) + min_delta < least(lately);
    !is_worse
}
