//! Tables: cells for people, and values for programs.

use super::super::export::record;
use super::latex;

/// A table of a document.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// Its file's name, without what stands behind the point: letters, digits and `-`.
    pub name: String,
    /// What it shows.
    pub caption: String,
    /// Its columns, as people read them.
    pub columns: Vec<Column>,
    /// Its rows, as people read them: a cell for each column. Some of all, where they are too many for a page.
    pub rows: Vec<Vec<String>>,
    /// The cells that stand out: row and column.
    pub strong: Vec<(usize, usize)>,
    /// The header of the CSV file.
    pub header: Vec<String>,
    /// The rows of the CSV file: all of them, with full numbers.
    pub values: Vec<Vec<String>>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// What it is called.
    pub title: String,
    /// Whether its cells are numbers, which are set flush right.
    pub number: bool,
}

impl Column {
    /// Of words.
    pub fn words(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            number: false,
        }
    }

    /// Of numbers.
    pub fn number(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            number: true,
        }
    }
}

impl Table {
    /// A table whose CSV file has the cells that people read.
    pub(super) fn plain(
        name: &str,
        caption: impl Into<String>,
        columns: Vec<Column>,
        rows: Vec<Vec<String>>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            caption: caption.into(),
            header: columns
                .iter()
                .map(|column| column.title.replace(' ', "_"))
                .collect(),
            values: rows.clone(),
            columns,
            rows,
            strong: Vec::new(),
        }
    }

    /// As LaTeX, in the style of the package `booktabs`: the rows that people read.
    pub fn latex(&self) -> String {
        latex::table(self)
    }

    /// As CSV: all rows, with full numbers.
    pub fn csv(&self) -> Vec<u8> {
        let mut out = csv::Writer::from_writer(Vec::new());
        for row in std::iter::once(&self.header).chain(&self.values) {
            // Rows are as long as the header, and memory takes what it is given.
            _ = record(&mut out, row);
        }
        out.into_inner().unwrap_or_default()
    }
}
