//! What is wrong with a sweep file, and where.

use std::fmt;
use std::ops::Range;

use tenfold_types::printable;

/// At most so many problems are told at once, and none but the first beyond so many bytes: the whole text travels in
/// a header of the answer, which clients limit.
const MAX_PROBLEMS: usize = 10;
const MAX_BYTES: usize = 4_000;
/// Characters of a message, and of a source line around the place that is wrong.
const MAX_MESSAGE: usize = 400;
const MAX_LINE: usize = 120;
/// Names longer than this are no slip of the pen, and so many are compared with it at most.
const MAX_SUGGESTED: usize = 64;
const MAX_COMPARED: usize = 200;

/// Where something stands: in the file, or in an override.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Origin {
    /// In the file, at these bytes.
    File(Range<usize>),
    /// In the override with this number on the command line, from 0.
    Override(usize),
    /// In `--repetitions`.
    Repetitions,
    /// Nowhere: it is what is missing, or the file as a whole.
    #[default]
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
        let found = problems.len();
        let mut rendered = Vec::new();
        let mut bytes = 0;
        for problem in problems.iter().take(MAX_PROBLEMS) {
            let text = render(file, text, overrides, problem);
            bytes += text.len();
            if bytes > MAX_BYTES && !rendered.is_empty() {
                break;
            }
            rendered.push(text);
        }
        if found > rendered.len() {
            rendered.push(format!("… and {} more", found - rendered.len()));
        }
        Self { rendered }
    }

    /// Each problem by itself, in the order of the file.
    pub fn problems(&self) -> &[String] {
        &self.rendered
    }
}

fn render(file: &str, text: &str, overrides: &[String], problem: &Problem) -> String {
    let message = shown(&problem.message, MAX_MESSAGE);
    let file = shown(file, MAX_LINE);
    match &problem.at {
        Origin::Whole => format!("{file}: {message}"),
        Origin::Repetitions => format!("--repetitions: {message}"),
        Origin::Override(number) => match overrides.get(*number) {
            Some(text) => format!("--set {}: {message}", shown(text, MAX_LINE)),
            None => message,
        },
        Origin::File(span) => {
            // A byte order mark is no column.
            let mark = if text.starts_with('\u{feff}') { 3 } else { 0 };
            let start = floor(text, span.start.max(mark));
            let before = &text[mark..start];
            let line = before.matches('\n').count() + 1;
            let line_start = mark + before.rfind('\n').map_or(0, |at| at + 1);
            let column = text[line_start..start].chars().count() + 1;
            let source = text[line_start..].lines().next().unwrap_or_default();
            let end = floor(text, span.end.max(start));
            let width = text[start..end]
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .count();
            let (source, marker) = excerpt(source, column - 1, width.max(1));
            let margin = " ".repeat(line.to_string().len());
            format!("{file}:{line}:{column}: {message}\n {line} | {source}\n {margin} | {marker}")
        }
    }
}

/// The line, or of a long one the part around the place that is wrong, with the carets below it.
fn excerpt(line: &str, column: usize, width: usize) -> (String, String) {
    let line: Vec<char> = line.chars().map(visible).collect();
    let from = if line.len() <= MAX_LINE {
        0
    } else {
        column.saturating_sub(MAX_LINE / 2)
    };
    let to = line.len().min(from + MAX_LINE);
    let (left, right) = (
        if from > 0 { "…" } else { "" },
        if to < line.len() { "…" } else { "" },
    );
    let part = line.get(from..to).unwrap_or_default();
    let blank = |c: &char| if *c == '\t' { '\t' } else { ' ' };
    let indent: String = left
        .chars()
        .map(|_| ' ')
        .chain(part.iter().take(column - from).map(blank))
        .collect();
    let room = to.saturating_sub(column).max(1);
    let source: String = part.iter().collect();
    (
        format!("{left}{source}{right}"),
        format!("{indent}{}", "^".repeat(width.min(room))),
    )
}

/// Text that is printable, cut where it gets too long.
fn shown(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).map(visible).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

/// One character for one, so that a caret stays below what it points at.
fn visible(c: char) -> char {
    if printable::is_printable(c) || c == '\t' {
        c
    } else {
        '\u{fffd}'
    }
}

/// A text as it stands in a message: quoted, escaped, and not too long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_SUGGESTED) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
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
    if wrong.len() > MAX_SUGGESTED {
        return String::new();
    }
    let near = names
        .into_iter()
        .take(MAX_COMPARED)
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= (name.len().max(wrong.len()) / 3).max(1))
        .min();
    near.map_or_else(String::new, |(_, name)| format!("; did you mean {name:?}?"))
}
