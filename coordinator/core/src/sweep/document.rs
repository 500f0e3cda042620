//! A sweep file as a tree in which every value knows where it stands.

use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use super::error::{Origin, Problem, suggestion};

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) tree: Tree,
    pub(super) at: Origin,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// A number beyond 64 bits, or a date: nothing in a sweep file takes one.
    Other(&'static str),
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key stands.
    pub(super) at: Origin,
    pub(super) value: Node,
}

/// Reads TOML.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, Problem> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(Origin::Whole, Origin::File);
        Problem {
            at,
            message: error.message().replace('\n', ", "),
        }
    })?;
    Ok(entries(table.get_ref()))
}

fn entries(table: &DeTable<'_>) -> Vec<Entry> {
    let entry = |(key, value): (
        &toml::Spanned<std::borrow::Cow<'_, str>>,
        &toml::Spanned<DeValue<'_>>,
    )| Entry {
        key: key.get_ref().to_string(),
        at: Origin::File(key.span()),
        value: node(value),
    };
    // Maps of spanned keys do not keep the order of the file, which orders the axes.
    let mut entries: Vec<Entry> = table.iter().map(entry).collect();
    entries.sort_by_key(|entry| match &entry.at {
        Origin::File(span) => span.start,
        _ => 0,
    });
    entries
}

fn node(value: &toml::Spanned<DeValue<'_>>) -> Node {
    let tree = match value.get_ref() {
        DeValue::String(text) => Tree::Text(text.to_string()),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => Tree::Int(integer),
            Err(_) => Tree::Other("an integer beyond 64 bits"),
        },
        DeValue::Float(float) => match float.as_str().replace('_', "").parse() {
            Ok(float) => Tree::Float(float),
            Err(_) => Tree::Other("a number that cannot be read"),
        },
        DeValue::Boolean(value) => Tree::Bool(*value),
        DeValue::Datetime(_) => Tree::Other("a date"),
        DeValue::Array(list) => Tree::List(list.iter().map(node).collect()),
        DeValue::Table(table) => Tree::Table(entries(table)),
    };
    Node {
        tree,
        at: Origin::File(value.span()),
    }
}

impl Node {
    /// What it is, in words.
    pub(super) fn kind(&self) -> String {
        match &self.tree {
            Tree::Bool(value) => format!("{value}"),
            Tree::Int(value) => format!("the integer {value}"),
            Tree::Float(value) => format!("the number {value}"),
            Tree::Text(value) => format!("the text {value:?}"),
            Tree::List(_) => "a list".to_owned(),
            Tree::Table(_) => "a table".to_owned(),
            Tree::Other(what) => (*what).to_owned(),
        }
    }

    /// The problem that it is not what it should be.
    pub(super) fn expected(&self, what: &str) -> Problem {
        Problem::new(&self.at, format!("expected {what}, found {}", self.kind()))
    }

    pub(super) fn text(&self) -> Result<&str, Problem> {
        match &self.tree {
            Tree::Text(text) => Ok(text),
            _ => Err(self.expected("a text")),
        }
    }

    pub(super) fn list(&self, of: &str) -> Result<&[Node], Problem> {
        match &self.tree {
            Tree::List(list) => Ok(list),
            _ => Err(self.expected(&format!("a list of {of}"))),
        }
    }

    pub(super) fn table(&self, what: &str) -> Result<&[Entry], Problem> {
        match &self.tree {
            Tree::Table(table) => Ok(table),
            _ => Err(self.expected(what)),
        }
    }

    /// A whole number in this range.
    pub(super) fn count(&self, what: &str, from: u64, to: u64) -> Result<u64, Problem> {
        match self.tree {
            Tree::Int(value) if u64::try_from(value).is_ok_and(|value| (from..=to).contains(&value)) => {
                Ok(value as u64)
            }
            _ => Err(self.expected(&format!("{what}, a whole number from {from} to {to}"))),
        }
    }

    /// A finite number; a whole one counts too.
    pub(super) fn number(&self) -> Result<f64, Problem> {
        match self.tree {
            Tree::Int(value) => Ok(value as f64),
            Tree::Float(value) if value.is_finite() => Ok(value),
            _ => Err(self.expected("a finite number")),
        }
    }

    /// For serde; numbers beyond JSON become null, which nothing accepts.
    pub(super) fn json(&self) -> Json {
        match &self.tree {
            Tree::Bool(value) => Json::from(*value),
            Tree::Int(value) => Json::from(*value),
            Tree::Float(value) => Json::from(*value),
            Tree::Text(value) => Json::from(value.as_str()),
            Tree::List(list) => list.iter().map(Self::json).collect(),
            Tree::Table(table) => {
                Json::Object(table.iter().map(|e| (e.key.clone(), e.value.json())).collect())
            }
            Tree::Other(_) => Json::Null,
        }
    }
}

/// The problem that a table has no such key.
pub(super) fn unknown_key(entry: &Entry, known: &[&str]) -> Problem {
    let advice = match suggestion(&entry.key, known.iter().copied()) {
        near if near.is_empty() => format!("; the keys here are {}", known.join(", ")),
        near => near,
    };
    Problem::new(&entry.at, format!("unknown key {:?}{advice}", entry.key))
}
