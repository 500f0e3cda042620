//! Reports: figures, tables and exports, each a pure function of aggregated curves.
//!
//! Nothing here reads or writes anything: functions return text or bytes. The same results in the same order give the
//! same output, byte for byte.

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
