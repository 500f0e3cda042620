//! The report: a document of headings, text, tables and figures that is written once and rendered as a page of HTML, as
//! Markdown, and as files of tables and figures.
//!
//! Everything here is a pure function of what the coordinator says of a sweep; nothing depends on when, where or by whom
//! its trials were trained. What does is in [`provenance`](Provenance), in files of its own.

pub(super) mod differences;
pub(super) mod family;
mod html;
mod latex;
mod markdown;
mod provenance;
mod sections;
mod tables;
mod written;

use super::figure::{Figure, Forest, PngError, png};
use super::words;
pub use provenance::Provenance;
pub use sections::{Failed, StageOf, Study, report};
pub use tables::{Column, Table};
pub use written::{Stale, stale};

/// Pixels across a PNG: sharp on paper at the width of a page.
const PNG_WIDTH: u32 = 1800;

/// A document.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// Its title.
    pub title: String,
    /// What it is made of, in order.
    pub blocks: Vec<Block>,
}

/// A piece of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A heading: 2 for a section, 3 for a part of one, 4 for a part of that.
    Heading(u8, String),
    /// A paragraph.
    Paragraph(Vec<Span>),
    /// A paragraph that stands out.
    Notice(Vec<Span>),
    /// Points, one below the other.
    List(Vec<Vec<Span>>),
    /// Text as it is, line by line.
    Preformatted(String),
    /// A table, with a number and a caption.
    Table(Table),
    /// A figure, with a number and a caption.
    Figure(Picture),
}

/// A stretch of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// Plain.
    Text(String),
    /// Stressed.
    Strong(String),
    /// Code, such as a command or a hash.
    Code(String),
    /// A link to a file beside the document.
    Link(String, String),
}

/// A figure of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Its file's name, without what stands behind the point: letters, digits and `-`.
    pub name: String,
    /// What it is.
    pub title: String,
    /// What is to be seen in it, and how to read it.
    pub caption: String,
    /// What is drawn.
    pub drawing: Drawing,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Drawing {
    /// Lines and dots in panels.
    Panels(Figure),
    /// Intervals below one another.
    Intervals(Forest),
}

impl Drawing {
    fn svg(&self) -> String {
        match self {
            Self::Panels(figure) => figure.bare_svg(),
            Self::Intervals(forest) => forest.svg(),
        }
    }

    fn inline(&self, prefix: &str) -> String {
        match self {
            Self::Panels(figure) => figure.inline_svg(prefix),
            Self::Intervals(forest) => forest.inline_svg(),
        }
    }
}

/// A file of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its place under the report's folder, with `/` between folders.
    pub path: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl File {
    fn new(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            bytes: bytes.into(),
        }
    }
}

impl Picture {
    /// A figure whose words are its caption.
    pub(super) fn of(name: String, figure: Figure) -> Self {
        let mut caption = figure.words();
        // Notes come first in a figure, and last in a caption.
        caption.rotate_right(1);
        caption.extend(
            figure
                .subtitle
                .iter()
                .map(|common| format!("Everywhere: {common}.")),
        );
        let sentences = caption.into_iter().map(|words| {
            let ended = words.ends_with(['.', '!', '?', ':']);
            if ended { words } else { words + "." }
        });
        Self {
            name,
            title: figure.title.clone(),
            caption: sentences.collect::<Vec<_>>().join(" "),
            drawing: Drawing::Panels(figure),
        }
    }
}

impl Document {
    /// All files of the document: `index.html`, `report.md`, `figures/`, `tables/`, in a fixed order.
    ///
    /// # Errors
    /// When a figure cannot be drawn.
    pub fn files(&self) -> Result<Vec<File>, PngError> {
        let mut files = vec![
            File::new("index.html", html::page(self)),
            File::new("report.md", markdown::page(self)),
        ];
        for block in &self.blocks {
            match block {
                Block::Figure(picture) => {
                    let svg = picture.drawing.svg();
                    let path = format!("figures/{}", picture.name);
                    files.push(File::new(format!("{path}.png"), png(&svg, PNG_WIDTH)?));
                    files.push(File::new(format!("{path}.svg"), svg));
                }
                Block::Table(table) => {
                    let path = format!("tables/{}", table.name);
                    files.push(File::new(format!("{path}.csv"), table.csv()));
                    files.push(File::new(format!("{path}.tex"), latex::table(table)));
                }
                _ => {}
            }
        }
        Ok(files)
    }
}

/// What names of files and tables of a stage begin with.
pub(super) fn stage_prefix(name: &str) -> String {
    match name {
        "" => String::new(),
        // `a_b` and `a-b` would be the same otherwise.
        name => words::plain(&name.replace('_', "--")) + "-",
    }
}

/// Plain text as a paragraph.
fn paragraph(text: impl Into<String>) -> Block {
    Block::Paragraph(vec![Span::Text(text.into())])
}

#[cfg(test)]
mod tests;
