//! Families of comparisons: which rows are in one, how they are corrected for their number, and what is to be said of them.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_core::aggregate::{Counts, Statistics};
use tenfold_core::compare::{Difference, Null, Wilcoxon, exact_mcnemar, holm};
use tenfold_core::sweep::Stage;

/// The significance level that families are judged by when they are too large for any significant row.
const LEVEL: f64 = 0.05;
/// What an interaction is, as exports name it.
pub(in super::super) const INTERACTION: &str = "(both - first alone) - (second alone - neither)";
/// What the difference of two points is, as exports name it.
pub(in super::super) const DIFFERENCE: &str = "first - second";

/// Two points, compared by the repetitions that both have; or an interaction of four.
#[derive(Debug, Clone)]
pub(in super::super) struct Compared {
    /// What both have in common that other comparisons do not.
    pub(in super::super) stratum: String,
    /// What is compared: `sharing on − sharing off`.
    pub(in super::super) name: String,
    /// Whether it is the interaction of four points.
    pub(in super::super) is_interaction: bool,
    /// Means over the pairs; none of an interaction.
    pub(in super::super) means: Option<(f64, f64)>,
    /// The differences, one for each pair, and their tests.
    pub(in super::super) difference: Option<Difference>,
    /// Repetitions that all of the points were to have.
    pub(in super::super) planned: u32,
    /// The trials of these points without a value, by what became of them.
    pub(in super::super) missing: Counts,
    /// How often each of two points diverged; none of an interaction.
    pub(in super::super) diverged: Option<Diverged>,
    /// p-values of the t test and Wilcoxon's, corrected for all comparisons of the family.
    pub(in super::super) holm: [Option<f64>; 2],
}

impl Compared {
    pub(in super::super) fn statistics(&self) -> Option<&Statistics> {
        self.difference.as_ref().map(|difference| &difference.statistics)
    }

    /// The number of pairs.
    pub(in super::super) fn n(&self) -> u32 {
        self.statistics().map_or(0, |statistics| statistics.n)
    }

    /// Repetitions that were to be run at all of the points, and of which not all have a value.
    pub(in super::super) fn left_out(&self) -> u32 {
        self.planned.saturating_sub(self.n())
    }

    /// The number of pairs beside the number planned, where they differ: `9 of 10`.
    pub(in super::super) fn pairs(&self) -> String {
        match self.left_out() {
            0 => self.n().to_string(),
            _ => format!("{} of {}", self.n(), self.planned),
        }
    }

    /// p-values of the t test and Wilcoxon's, as the family counts them.
    pub(in super::super) fn p(&self) -> [Option<f64>; 2] {
        let of = self.difference.as_ref();
        [of.and_then(Difference::t_p), of.map(Difference::wilcoxon_p)]
    }

    /// What Wilcoxon's p-value was computed from; none where all differences are 0.
    pub(in super::super) fn null(&self) -> Option<Null> {
        Some(self.difference.as_ref()?.wilcoxon?.null)
    }
}

/// How often two points diverged, over the repetitions in which each either succeeded or diverged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Diverged {
    /// Those repetitions.
    pub(in super::super) n: u32,
    /// Of these, the ones in which the first point diverged.
    pub(in super::super) this: u32,
    /// The ones in which the second did.
    pub(in super::super) than: u32,
    /// The exact McNemar test of equal rates.
    pub(in super::super) p: f64,
}

impl Diverged {
    /// Of whether each repetition diverged, by repetition; none where that is not known.
    pub(in super::super) fn of(this: &[Option<bool>], than: &[Option<bool>]) -> Self {
        let known: Vec<(bool, bool)> = this
            .iter()
            .zip(than)
            .filter_map(|(this, than)| this.zip(*than))
            .collect();
        let count = |is: fn(&&(bool, bool)) -> bool| known.iter().filter(is).count() as u32;
        Self {
            n: known.len() as u32,
            this: count(|(this, _)| *this),
            than: count(|(_, than)| *than),
            p: exact_mcnemar(
                count(|(this, than)| *this && !than),
                count(|(this, than)| *than && !this),
            ),
        }
    }
}

/// Tells comparisons that are no new ones: points that are the same network give the same row under several names.
#[derive(Debug, Default)]
pub(in super::super) struct Distinct {
    /// For each point the first one that is the same network.
    first: BTreeMap<u64, u64>,
    seen: BTreeSet<Vec<(u64, i32)>>,
    /// Comparisons that were no new ones.
    pub(in super::super) left_out: u32,
}

impl Distinct {
    /// Of these points of a stage; without a stage, of which nothing is known, all are taken as distinct.
    pub(in super::super) fn of(stage: Option<&Stage>, points: impl IntoIterator<Item = u64>) -> Self {
        let mut known: BTreeMap<String, u64> = BTreeMap::new();
        let mut first = BTreeMap::new();
        for index in points {
            let spec = stage.and_then(|stage| stage.spec(index, 0));
            if let Some(text) = spec.and_then(|spec| serde_json::to_string(&spec).ok()) {
                first.insert(index, *known.entry(text).or_insert(index));
            }
        }
        Self {
            first,
            ..Self::default()
        }
    }

    /// The number of distinct networks among these points.
    pub(in super::super) fn count(&self, points: impl IntoIterator<Item = u64>) -> u32 {
        let firsts: BTreeSet<u64> = points.into_iter().map(|point| self.first(point)).collect();
        firsts.len() as u32
    }

    fn first(&self, point: u64) -> u64 {
        self.first.get(&point).copied().unwrap_or(point)
    }

    /// Whether a sum of points, each taken so many times, is neither 0 whatever the values nor, up to its sign, one that was asked
    /// for before. Counts it otherwise.
    pub(in super::super) fn is_new(&mut self, terms: &[(u64, i32)]) -> bool {
        let mut sum: BTreeMap<u64, i32> = BTreeMap::new();
        for &(point, times) in terms {
            *sum.entry(self.first(point)).or_default() += times;
        }
        let mut sum: Vec<(u64, i32)> = sum.into_iter().filter(|(_, times)| *times != 0).collect();
        if sum.first().is_some_and(|(_, times)| *times < 0) {
            sum.iter_mut().for_each(|(_, times)| *times = -*times);
        }
        let is_new = !sum.is_empty() && self.seen.insert(sum);
        self.left_out += u32::from(!is_new);
        is_new
    }
}

/// A family of comparisons, corrected for their number.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Corrected {
    pub(in super::super) rows: Vec<Compared>,
    /// Comparisons left out, since their points are the same networks as those of a row, or as one another.
    pub(in super::super) same: u32,
    /// The four points of interactions, as a formula of their names.
    pub(in super::super) contrast: Option<String>,
}

/// The least p-value of Wilcoxon's test that a family can have after Holm's correction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Least {
    /// The most differences other than 0 that a row has.
    pub(in super::super) n: u32,
    /// The p-value.
    pub(in super::super) p: f64,
}

impl Corrected {
    /// Corrects both p-values of all rows. A row that has none, for want of pairs, stays in the family as one of p = 1: how many tests
    /// there are does not depend on how they come out.
    pub(in super::super) fn of(mut rows: Vec<Compared>, same: u32, contrast: Option<String>) -> Self {
        for test in [0, 1] {
            let p: Vec<Option<f64>> = rows.iter().map(|row| row.p()[test]).collect();
            let filled: Vec<f64> = p.iter().map(|p| p.unwrap_or(1.0)).collect();
            for ((row, p), corrected) in rows.iter_mut().zip(p).zip(holm(&filled)) {
                row.holm[test] = p.map(|_| corrected);
            }
        }
        Self { rows, same, contrast }
    }

    /// The least p-value of Wilcoxon's test after the correction, whatever the differences; none where one is not counted exactly.
    pub(in super::super) fn least(&self) -> Option<Least> {
        let tests = self
            .rows
            .iter()
            .filter_map(|row| row.difference.as_ref()?.wilcoxon);
        let n = tests.map(|test| test.n).max()?;
        let p = Wilcoxon::least_p(n)? * self.rows.len() as f64;
        Some(Least { n, p: p.min(1.0) })
    }

    /// The same where no row can be significant.
    pub(in super::super) fn impossible(&self) -> Option<Least> {
        self.least().filter(|least| least.p > LEVEL)
    }

    /// Whether any side of a row has diverged.
    pub(in super::super) fn has_diverged(&self) -> bool {
        let mut diverged = self.rows.iter().filter_map(|row| row.diverged);
        diverged.any(|diverged| diverged.this + diverged.than > 0)
    }

    /// What is to be said of the tests: one sentence each.
    pub(in super::super) fn notes(&self) -> Vec<String> {
        let any = |is: &dyn Fn(&Compared) -> bool| self.rows.iter().any(is);
        let count = self.rows.len();
        let mut notes = vec![match count {
            1 => "p-values are two-sided. There is 1 row, so nothing is corrected.".to_owned(),
            _ => format!("p-values are two-sided, beside them corrected for all {count} rows (Holm)."),
        }];
        let normal = any(&|row| row.null() == Some(Null::Normal));
        let exact = any(&|row| row.null() == Some(Null::Exact));
        notes.extend(match (exact, normal) {
            (_, false) if !exact => None,
            (_, false) => Some(
                "p (Wilcoxon) is exact: all patterns of signs are counted, with ties; differences of 0 are left out.".to_owned(),
            ),
            (false, true) => Some(
                "p (Wilcoxon) is of the normal approximation, corrected for ties, since there are more than 50 differences other than 0."
                    .to_owned(),
            ),
            (true, true) => Some(
                "p (Wilcoxon) is exact, all patterns of signs counted, with ties; where it says normal there are more than 50 \
                 differences other than 0, and it is of the normal approximation."
                    .to_owned(),
            ),
        });
        if any(&|row| {
            row.difference
                .as_ref()
                .is_some_and(|of| of.t_test.is_none() && of.statistics.n >= 2)
        }) {
            notes.push(
                "Where all differences are equal there is no deviation to measure their mean by: there is no interval, p (t) \
                 is 1, and the row counts in the correction."
                    .to_owned(),
            );
        }
        if let Some(least) = self.impossible() {
            let n = match any(&|row| row.n() > least.n) {
                true if least.n == 1 => "at most 1 difference other than 0".to_owned(),
                true => format!("at most {} differences other than 0", least.n),
                false => format!("n = {}", least.n),
            };
            let outcome = match least.p {
                p if p < 1.0 => format!("no Wilcoxon p can be below {p:.4}"),
                _ => "every Wilcoxon p is 1".to_owned(),
            };
            notes.push(format!(
                "With {n} and {} {outcome} after Holm's correction, whatever the differences.",
                counted(count)
            ));
        }
        if any(&|row| row.difference.as_ref().is_some_and(|of| of.g_z.is_some())) {
            notes.push(
                "d_z is the mean difference over the deviation of the differences; g_z is d_z times Hedges' factor for few pairs, \
                 J(m) = Γ(m/2) / (√(m/2) Γ((m − 1)/2)) with m = n − 1."
                    .to_owned(),
            );
        }
        if any(&|row| row.is_interaction) {
            let contrast = self
                .contrast
                .as_ref()
                .map_or_else(String::new, |of| format!(", here {of}"));
            notes.push(format!(
                "An interaction is (both − first alone) − (second alone − neither){contrast}: below 0 where both together lower the \
                 value by more than the sum of what each lowers it by alone."
            ));
        }
        if self.has_diverged() {
            notes.push(
                "p (diverged) is of the exact McNemar test of equal divergence rates, over the repetitions in which both points either \
                 succeeded or diverged; two-sided, not corrected for the number of rows."
                    .to_owned(),
            );
        }
        if self.same > 0 {
            notes.push(format!(
                "{} left out, since {} points are the same networks as those of a row above, or as one another.",
                match self.same {
                    1 => "1 comparison is".to_owned(),
                    same => format!("{same} comparisons are"),
                },
                if self.same == 1 { "its" } else { "their" }
            ));
        }
        notes
    }
}

/// `1 row`, `28 rows`.
pub(in super::super) fn counted(count: usize) -> String {
    match count {
        1 => "1 row".to_owned(),
        _ => format!("{count} rows"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(differences: &[f64]) -> Compared {
        Compared {
            stratum: String::new(),
            name: String::new(),
            is_interaction: false,
            means: None,
            difference: Difference::of(differences),
            planned: differences.len() as u32,
            missing: Counts::default(),
            diverged: None,
            holm: [None, None],
        }
    }

    #[test]
    fn rows_of_equal_differences_stay_in_the_family() {
        let spread = [-0.1, -0.2, -0.3, -0.1, -0.2];
        let family = Corrected::of(
            vec![row(&spread), row(&[-0.1; 5]), row(&[0.0; 5]), row(&[])],
            0,
            None,
        );
        let t = Difference::of(&spread).unwrap().t_p().unwrap();
        let holm = |at: usize| family.rows[at].holm;
        assert!((holm(0)[0].unwrap() - 4.0 * t).abs() < 1e-12, "{:?}", holm(0));
        assert_eq!(holm(0)[1], Some(4.0 * 0.0625));
        assert_eq!(family.rows[1].p(), [Some(1.0), Some(0.0625)]);
        assert_eq!(family.rows[2].p(), [Some(1.0), Some(1.0)]);
        assert_eq!(holm(3), [None, None]);
        let notes = family.notes().join("\n");
        for part in [
            "all 4 rows (Holm)",
            "p (t) is 1, and the row counts",
            "with ties",
            "below 0.2500",
        ] {
            assert!(notes.contains(part), "{part} in\n{notes}");
        }
    }

    #[test]
    fn a_family_too_large_for_its_repetitions_says_so() {
        let ten: Vec<f64> = (1..=10).map(f64::from).collect();
        let of = |count: usize| Corrected::of(vec![row(&ten); count], 0, None);
        assert_eq!(of(25).impossible(), None);
        let least = of(28).impossible().unwrap();
        assert_eq!((least.n, least.p), (10, 28.0 / 512.0));
        let notes = of(28).notes().join("\n");
        let said = "With n = 10 and 28 rows no Wilcoxon p can be below 0.0547 after Holm's correction";
        assert!(notes.contains(said), "{notes}");
        // Above 50 there is no least p worth a word.
        let many: Vec<f64> = (1..=51).map(f64::from).collect();
        let normal = Corrected::of(vec![row(&many); 28], 0, None);
        assert_eq!(normal.least(), None);
        assert!(normal.notes().join("\n").contains("normal approximation"));
    }

    #[test]
    fn points_that_are_the_same_network_count_once() {
        let mut distinct = Distinct {
            first: BTreeMap::from([(0, 0), (1, 0), (2, 2), (3, 3)]),
            ..Distinct::default()
        };
        assert!(!distinct.is_new(&[(1, 1), (0, -1)]), "with itself");
        assert!(distinct.is_new(&[(2, 1), (0, -1)]));
        assert!(!distinct.is_new(&[(2, 1), (1, -1)]), "again");
        assert!(!distinct.is_new(&[(1, 1), (2, -1)]), "again, the other way round");
        assert!(distinct.is_new(&[(3, 1), (0, -1)]) && distinct.is_new(&[(3, 1), (2, -1)]));
        // Of the interaction (3 − 2) − (1 − 0) only 3 − 2 is left.
        assert!(!distinct.is_new(&[(3, 1), (2, -1), (1, -1), (0, 1)]));
        assert_eq!((distinct.left_out, distinct.count(0..4)), (4, 3));
    }

    #[test]
    fn divergence_counts_where_both_fates_are_known() {
        let this = [Some(true), Some(true), None, Some(false), Some(true)];
        let than = [Some(false), Some(true), Some(true), None, Some(false), Some(true)];
        let diverged = Diverged::of(&this, &than);
        assert_eq!((diverged.n, diverged.this, diverged.than), (3, 3, 1));
        assert!((diverged.p - 0.5).abs() < 1e-12);
    }
}
