//! What the lowest of several means is worth.

use tenfold_core::compare::coverage_of_lowest;

/// A share of cases: `83 %`.
pub(super) fn percent(share: f64) -> String {
    match 100.0 * share {
        percent if percent < 0.5 => "< 1 %".to_owned(),
        percent => format!("{percent:.0} %"),
    }
}

/// Says how often the 95 % interval of the lowest of so many groups of `n` repetitions would hold the truth: `were all equal, its
/// interval would hold …`, as a part of a sentence. `None` where there is no interval.
pub(super) fn worst_case(groups: u32, n: u32) -> Option<String> {
    let coverage = coverage_of_lowest(groups, n)?;
    let in_place_of = if groups > 2 { ", and not in 95 %" } else { "" };
    Some(format!(
        "were all equal, its interval would hold the truth in {} of cases at worst{in_place_of}",
        percent(coverage)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_groups_the_less_the_interval_of_the_lowest_holds() {
        let said = |groups, n| worst_case(groups, n).unwrap();
        assert_eq!(
            said(18, 3),
            "were all equal, its interval would hold the truth in 83 % of cases at worst, and not in 95 %"
        );
        assert!(said(4, 10).contains("in 91 %") && said(12, 10).contains("in 77 %"));
        assert!(said(2, 5).ends_with("95 % of cases at worst") && said(600, 1000).contains("in < 1 %"));
        assert_eq!(worst_case(5, 1), None);
    }
}
