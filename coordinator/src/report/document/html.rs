//! A document as one page of HTML: figures and styles inline, no script, nothing from elsewhere.

use std::fmt::Write;

use super::super::figure::{FONT_STYLE, escape};
use super::{Block, Document, Picture, Span, Table};

const STYLE: &str = include_str!("style.css");

/// The page.
pub(super) fn page(document: &Document) -> String {
    let title = escape(&document.title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{FONT_STYLE}{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    let (mut figures, mut tables) = (0, 0);
    for block in &document.blocks {
        match block {
            Block::Heading(level, text) => {
                let level = (*level).clamp(2, 6);
                _ = writeln!(page, "<h{level}>{}</h{level}>", escape(text));
            }
            Block::Paragraph(spans) => _ = writeln!(page, "<p>{}</p>", inline(spans)),
            Block::Notice(spans) => _ = writeln!(page, "<p class=\"notice\">{}</p>", inline(spans)),
            Block::List(items) => {
                page += "<ul>\n";
                for item in items {
                    _ = writeln!(page, "<li>{}</li>", inline(item));
                }
                page += "</ul>\n";
            }
            Block::Preformatted(text) => _ = writeln!(page, "<pre>{}</pre>", lines(text)),
            Block::Table(of) => {
                tables += 1;
                table(of, tables, &mut page);
            }
            Block::Figure(picture) => {
                figures += 1;
                figure(picture, figures, &mut page);
            }
        }
    }
    page += "</main>\n</body>\n</html>\n";
    page
}

fn inline(spans: &[Span]) -> String {
    let span = |span: &Span| match span {
        Span::Text(text) => escape(text),
        Span::Strong(text) => format!("<strong>{}</strong>", escape(text)),
        Span::Code(text) => format!("<code>{}</code>", escape(text)),
        Span::Link(text, to) => format!("<a href=\"{}\">{}</a>", escape(to), escape(text)),
    };
    spans.iter().map(span).collect()
}

/// Text of several lines; `escape` makes spaces of their ends.
fn lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

fn table(table: &Table, number: usize, page: &mut String) {
    let name = escape(&table.name);
    _ = writeln!(
        page,
        "<figure class=\"table\" id=\"table-{name}\">\n<figcaption><strong>Table {number}.</strong> {} \
         <span class=\"files\"><a href=\"tables/{name}.csv\">CSV</a> <a href=\"tables/{name}.tex\">LaTeX</a></span>\
         </figcaption>\n<div class=\"wide\"><table>",
        escape(&table.caption)
    );
    let class = |at: usize| {
        if table.columns.get(at).is_some_and(|column| column.number) {
            " class=\"number\""
        } else {
            ""
        }
    };
    page.push_str("<thead><tr>");
    for (at, column) in table.columns.iter().enumerate() {
        _ = write!(page, "<th{}>{}</th>", class(at), escape(&column.title));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for (at, row) in table.rows.iter().enumerate() {
        page.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let cell = match table.strong.contains(&(at, column)) {
                true => format!("<strong>{}</strong>", escape(cell)),
                false => escape(cell),
            };
            _ = write!(page, "<td{}>{cell}</td>", class(column));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table></div>\n</figure>\n");
}

fn figure(picture: &Picture, number: usize, page: &mut String) {
    let name = escape(&picture.name);
    let svg = picture.drawing.inline(&format!("f{number}-"));
    _ = writeln!(
        page,
        "<figure id=\"figure-{name}\">\n{svg}<figcaption><strong>Figure {number}. {}.</strong> {} \
         <span class=\"files\"><a href=\"figures/{name}.svg\">SVG</a> <a href=\"figures/{name}.png\">PNG</a></span>\
         </figcaption>\n</figure>",
        escape(&picture.title),
        escape(&picture.caption)
    );
}
