//! Reports: figures, tables and exports, each a pure function of aggregated curves.
//!
//! Nothing here reads or writes anything: functions return text or bytes. The same results in the same order give the
//! same output, byte for byte.

use std::borrow::Cow;

use serde::Serialize;
use tenfold_types::printable;

mod chosen;
pub mod compare;
mod counted;
pub mod document;
pub mod export;
mod facet;
pub mod figure;
pub mod hypotheses;
pub mod judge;
pub mod last;
pub mod log;
pub mod number;
pub mod raw;
pub mod reference;
pub mod table;
pub mod values;
mod verdicts;
pub mod words;

#[cfg(test)]
mod samples;

/// The version of every JSON object that is written out, its member `v`. It grows when a member changes its meaning or
/// goes; new members may come at any time.
///
/// 2: `n` and `repetitions` of a group of several points count repetitions. In 1 they counted trials, which `trials` does now.
pub const JSON_VERSION: u32 = 2;

/// Returns an object as JSON on one line that is printable on a terminal that follows a file of such
/// lines; the escapes are JSON's own. What is written out is text, numbers and maps with text for keys, none of which JSON refuses.
pub fn json(object: &impl Serialize) -> String {
    let text = serde_json::to_string(object).unwrap_or_default();
    match printable::line(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(escaped) => escaped,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_of_json_are_printable_and_mean_the_same(object in any::<(String, Vec<String>)>()) {
            let line = json(&object);
            prop_assert!(line.chars().all(printable::is_printable));
            prop_assert_eq!(serde_json::from_str::<(String, Vec<String>)>(&line).unwrap(), object);
        }
    }
}
