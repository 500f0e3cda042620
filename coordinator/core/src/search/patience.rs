//! Patience: a point stops once it has been worse than it was for too long.

/// Whether a point goes on, given its curve of group means, from epoch 1 to now: whether the least of the last `patience` + 1
/// values is at most the least of those before plus `min_delta`, in the metric's unit, 0 or more. Up to epoch `patience` + 1
/// there are none before, and it goes on. What is not a number is left out.
///
/// So what stays as good as it was goes on, and `min_delta` allows it to be a little worse: this is
/// `PatientPruner(None, patience, min_delta)` of Optuna 5.0, and not the early stopping that asks for an improvement by
/// `min_delta`. The idea: Prechelt, Early Stopping – But When?, in Neural Networks: Tricks of the Trade, 1998.
pub fn goes_on(curve: &[f64], patience: u32, min_delta: f64) -> bool {
    let parts = before_and_lately(curve, patience);
    parts.is_none_or(|(before, lately)| !is_worse(before, lately, min_delta))
}

/// The least value before the last `patience` + 1, and the least of these; none as long as one of them is none.
pub fn before_and_lately(curve: &[f64], patience: u32) -> Option<(f64, f64)> {
    let at = curve.len().checked_sub(patience as usize + 1)?;
    let (before, lately) = curve.split_at(at);
    let least = |values: &[f64]| values.iter().copied().fold(f64::NAN, f64::min);
    let (before, lately) = (least(before), least(lately));
    (!before.is_nan() && !lately.is_nan()).then_some((before, lately))
}

/// Whether the least value of late is worse than the least before by more than `min_delta`.
pub fn is_worse(before: f64, lately: f64, min_delta: f64) -> bool {
    before + min_delta < lately
}
