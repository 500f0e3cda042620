//! How a hypothesis is judged: what becomes of missing pairs, and which hypotheses share an error rate.

use serde::{Deserialize, Serialize};

use super::document::{Entry, Node};
use super::error::Problem;

/// The longest name of a family, in bytes.
const MAX_NAME: usize = 60;
/// What `family` says of a hypothesis that is judged by itself.
const NONE: &str = "none";

/// What becomes of a hypothesis where planned pairs are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// A missing pair counts: the hypothesis is undecided.
    #[default]
    Count,
    /// Missing pairs are dropped: the hypothesis is judged by the pairs that are there.
    Drop,
}

/// The hypotheses that a hypothesis shares its error rate with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Family {
    /// All of the same file that name no family.
    #[default]
    Common,
    /// Those of the same file with the same name.
    Named(String),
    /// None: it is judged by itself.
    Alone,
}

impl Missing {
    /// Its name in a sweep file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Drop => "drop",
        }
    }
}

impl std::str::FromStr for Missing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "count" => Ok(Self::Count),
            "drop" => Ok(Self::Drop),
            _ => Err(
                "\"count\" (a missing pair leaves it undecided) or \"drop\" (the other pairs decide)"
                    .to_owned(),
            ),
        }
    }
}

impl std::str::FromStr for Family {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // What only looks like "none" or like another name would be a family of one by accident.
        let plain = !text.is_empty()
            && text.trim() == text
            && text.len() <= MAX_NAME
            && !text.chars().any(char::is_control)
            && !text.eq_ignore_ascii_case(NONE);
        match text {
            NONE => Ok(Self::Alone),
            name if plain => Ok(Self::Named(name.to_owned())),
            _ => Err(format!(
                "a family's name of 1 to {MAX_NAME} bytes, without spaces at its ends or control characters, or \"{NONE}\""
            )),
        }
    }
}

impl Family {
    /// Returns its name as a sweep file has it; `None` for the common family.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Common => None,
            Self::Named(name) => Some(name),
            Self::Alone => Some(NONE),
        }
    }
}

/// Reads `missing` of a hypothesis.
pub(super) fn missing(entry: Option<&Entry>) -> Result<Missing, Problem> {
    entry.map_or(Ok(Missing::default()), |entry| parsed(&entry.value))
}

/// Reads `family` of a hypothesis.
pub(super) fn family(entry: Option<&Entry>) -> Result<Family, Problem> {
    entry.map_or(Ok(Family::default()), |entry| parsed(&entry.value))
}

fn parsed<T: std::str::FromStr<Err = String>>(node: &Node) -> Result<T, Problem> {
    node.text()?
        .parse()
        .map_err(|right: String| node.expected(&right))
}
