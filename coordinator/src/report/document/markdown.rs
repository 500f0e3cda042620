//! A document as Markdown (CommonMark, with the tables of GitHub's), its figures linked as PNGs.

use std::fmt::Write;

use tenfold_types::printable;

use super::{Block, Column, Document, Span, Table};

/// The text.
pub(super) fn page(document: &Document) -> String {
    let mut page = format!("# {}\n", escape(&document.title));
    let (mut figures, mut tables) = (0, 0);
    for block in &document.blocks {
        page.push('\n');
        match block {
            Block::Heading(level, text) => {
                let level = usize::from((*level).clamp(2, 6));
                _ = writeln!(page, "{} {}", "#".repeat(level), escape(text));
            }
            Block::Paragraph(spans) => _ = writeln!(page, "{}", inline(spans)),
            Block::Notice(spans) => _ = writeln!(page, "> {}", inline(spans)),
            Block::List(items) => {
                for item in items {
                    _ = writeln!(page, "- {}", inline(item));
                }
            }
            Block::Preformatted(text) => {
                let fence = "`".repeat(longest_run(text).max(2) + 1);
                let text = printable::lines(text.trim_end_matches('\n'));
                _ = writeln!(page, "{fence}\n{text}\n{fence}");
            }
            Block::Table(of) => {
                tables += 1;
                table(of, tables, &mut page);
            }
            Block::Figure(picture) => {
                figures += 1;
                _ = writeln!(
                    page,
                    "![Figure {figures}: {title}](figures/{name}.png)\n\n**Figure {figures}. {title}.** {}",
                    escape(&picture.caption),
                    title = escape(&picture.title),
                    name = picture.name,
                );
            }
        }
    }
    page
}

fn inline(spans: &[Span]) -> String {
    let span = |span: &Span| match span {
        Span::Text(text) => escape(text),
        Span::Strong(text) => format!("**{}**", escape(text.trim())),
        Span::Code(text) => code(text),
        Span::Link(text, to) => format!("[{}](<{}>)", escape(text), to.replace(['<', '>', '\n'], "")),
    };
    let text: String = spans.iter().map(span).collect();
    at_start(&text)
}

fn table(table: &Table, number: usize, page: &mut String) {
    _ = writeln!(
        page,
        "**Table {number}.** {} ([CSV](tables/{name}.csv), [LaTeX](tables/{name}.tex))\n",
        escape(&table.caption),
        name = table.name
    );
    *page += &rows(&table.columns, &table.rows, &table.strong);
}

/// The lines of a table.
pub(super) fn rows(columns: &[Column], rows: &[Vec<String>], strong: &[(usize, usize)]) -> String {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let line = |column: &Column| if column.number { "---:" } else { "---" }.to_owned();
    let mut text = row(columns.iter().map(|column| escape(&column.title)).collect());
    text += &row(columns.iter().map(line).collect());
    for (at, cells) in rows.iter().enumerate() {
        let cell = |(column, cell): (usize, &String)| match escape(cell) {
            text if strong.contains(&(at, column)) && !text.trim().is_empty() => format!("**{text}**"),
            text => text,
        };
        text += &row(cells.iter().enumerate().map(cell).collect());
    }
    text
}

/// Text that means nothing but itself, on one line.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable::lines(text).chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '$' | '&' | '#' | '!' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '\n' | '\t' => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// What would make a list, a rule or a heading of a paragraph at its start does not.
fn at_start(text: &str) -> String {
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let rest = &text[digits..];
    if digits == 0 && rest.starts_with(['-', '+', '=']) || digits > 0 && rest.starts_with(['.', ')']) {
        format!("{}\\{rest}", &text[..digits])
    } else {
        text.trim_start().to_owned()
    }
}

/// Code within a line.
pub(super) fn code(text: &str) -> String {
    let text = printable::lines(text).replace(['\n', '\t'], " ");
    let fence = "`".repeat(longest_run(&text) + 1);
    if text.starts_with('`') || text.ends_with('`') {
        format!("{fence} {text} {fence}")
    } else {
        format!("{fence}{text}{fence}")
    }
}

/// The most backticks that follow one another.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_means_nothing_but_itself() {
        assert_eq!(
            escape("a_b *c* [d](e) <f> | `g`\nh"),
            r"a\_b \*c\* \[d\](e) \<f\> \| \`g\` h"
        );
        assert_eq!(at_start("1. no list"), r"1\. no list");
        assert_eq!(at_start("- no list"), r"\- no list");
        assert_eq!(at_start("12 pairs"), "12 pairs");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(longest_run(""), 0);
    }
}
