//! Comparisons of points, paired by repetition: pure, in repetition order.
//!
//! The same repetition sees the same data and order at every point, so what two points differ by is the mean of the
//! differences of their repetitions; what repetitions have in common falls out of it. `pairs` takes what both sides have,
//! `difference` tests it (`t_test`, `wilcoxon`), `rates` compares how often sides diverge, `holm` corrects a family of tests,
//! `evidence` holds differences against a claim, `verdict` judges it, `family` judges several together, `best_of` says what a best
//! of several is worth, `curve` makes one number of a trial's curve.

mod best_of;
mod curve;
mod difference;
mod evidence;
mod family;
mod holm;
mod pairs;
mod rates;
mod t_test;
mod verdict;
mod wilcoxon;

pub use best_of::coverage_of_lowest;
pub use curve::{Reach, area, epochs_to, reach};
pub use difference::{Comparison, Difference};
pub use evidence::Evidence;
pub use family::{Corrected, LEVEL, corrected};
pub use holm::holm;
pub use pairs::{as_written, paired_difference};
pub use rates::exact_mcnemar;
pub use t_test::{TTest, two_sided_t};
pub use verdict::{Verdict, judge};
pub use wilcoxon::{Null, Wilcoxon};
