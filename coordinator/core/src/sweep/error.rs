//! What is wrong with a sweep file, and where.

use std::fmt;
use std::ops::Range;

/// At most so many problems are told at once.
const MAX_PROBLEMS: usize = 10;

/// Where something stands: in the file, or in an override.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In the file, at these bytes.
    File(Range<usize>),
    /// In the override with this number on the command line, from 0.
    Override(usize),
    /// In `--repetitions`.
    Repetitions,
    /// Nowhere: it is what is missing, or the file as a whole.
    Whole,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where.
    pub(crate) at: Origin,
    /// What, and what would be right.
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(at: &Origin, message: impl Into<String>) -> Self {
        Self {
            at: at.clone(),
            message: message.into(),
        }
    }
}

/// Everything that is wrong with a sweep file. Displays with file, line, column, and the line itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepError {
    rendered: Vec<String>,
}

impl SweepError {
    pub(crate) fn new(file: &str, text: &str, overrides: &[String], mut problems: Vec<Problem>) -> Self {
        let place = |problem: &Problem| match &problem.at {
            Origin::File(span) => (0, span.start),
            Origin::Override(number) => (1, *number),
            Origin::Repetitions => (2, 0),
            Origin::Whole => (3, 0),
        };
        problems.sort_by_key(place);
        problems.dedup();
        let more = problems.len().saturating_sub(MAX_PROBLEMS);
        problems.truncate(MAX_PROBLEMS);
        let mut rendered: Vec<String> = problems
            .iter()
            .map(|problem| render(file, text, overrides, problem))
            .collect();
        if more > 0 {
            rendered.push(format!("… and {more} more"));
        }
        Self { rendered }
    }

    /// Each problem by itself, in the order of the file.
    pub fn problems(&self) -> &[String] {
        &self.rendered
    }
}

fn render(file: &str, text: &str, overrides: &[String], problem: &Problem) -> String {
    let message = &problem.message;
    match &problem.at {
        Origin::Whole => format!("{file}: {message}"),
        Origin::Repetitions => format!("--repetitions: {message}"),
        Origin::Override(number) => match overrides.get(*number) {
            Some(text) => format!("--set {text}: {message}"),
            None => message.clone(),
        },
        Origin::File(span) => {
            let start = floor(text, span.start);
            let before = &text[..start];
            let line = before.matches('\n').count() + 1;
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            let column = text[line_start..start].chars().count() + 1;
            let source: String = text[line_start..]
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .take(160)
                .collect();
            let end = floor(text, span.end.max(start));
            let width = text[start..end]
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .count()
                .max(1);
            let marker: String = source
                .chars()
                .take(column - 1)
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            let caret = "^".repeat(width.min(160usize.saturating_sub(column - 1).max(1)));
            let margin = " ".repeat(line.to_string().len());
            format!("{file}:{line}:{column}: {message}\n {line} | {source}\n {margin} | {marker}{caret}")
        }
    }
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for SweepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rendered.join("\n"))
    }
}

impl std::error::Error for SweepError {}

/// `; did you mean "x"?` for the nearest of these names, when one is near.
pub(crate) fn suggestion<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let near = names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= (name.len().max(wrong.len()) / 3).max(1))
        .min();
    near.map_or_else(String::new, |(_, name)| format!("; did you mean {name:?}?"))
}
