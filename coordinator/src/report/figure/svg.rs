//! A small writer of SVG.

use std::fmt::Write;

use tenfold_types::printable;

use super::text::{FAMILY, FONT_FACES, Face};

/// A document in the making.
pub(super) struct Svg(String);

/// Where text is anchored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// An empty white page of this size, called so by screen readers; with its font or without.
    pub(super) fn new(width: f64, height: f64, name: &str, font: bool) -> Self {
        let (width, height, name) = (number(width), number(height), escape(name));
        let style = if font {
            format!("<style>\n{FONT_FACES}</style>\n")
        } else {
            String::new()
        };
        Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"{FAMILY}\">\n\
             <title>{name}</title>\n{style}\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
        ))
    }

    /// Adds markup.
    pub(super) fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
        self.0.push('\n');
    }

    /// Adds a line of text, its baseline at (x, y).
    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, face: Face, text: &str) {
        self.turned(x, y, anchor, face, text, "");
    }

    /// Adds a line of text that runs upwards.
    pub(super) fn upwards(&mut self, x: f64, y: f64, face: Face, text: &str) {
        let turn = format!(" transform=\"rotate(-90 {} {})\"", number(x), number(y));
        self.turned(x, y, Anchor::Middle, face, text, &turn);
    }

    /// Adds a line of text that is read over lines: white around its letters.
    pub(super) fn haloed(&mut self, x: f64, y: f64, anchor: Anchor, face: Face, text: &str) {
        let halo = " stroke=\"#fff\" stroke-width=\"3\" stroke-linejoin=\"round\" paint-order=\"stroke\"";
        self.turned(x, y, anchor, face, text, halo);
    }

    fn turned(&mut self, x: f64, y: f64, anchor: Anchor, face: Face, text: &str, turn: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let Face { size, weight, colour } = face;
        let weight = if weight == 400 {
            String::new()
        } else {
            format!(" font-weight=\"{weight}\"")
        };
        let (x, y, text) = (number(x), number(y), escape(text));
        _ = writeln!(
            self.0,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{weight} fill=\"{colour}\"{anchor}{turn}>{text}</text>"
        );
    }

    /// Adds a straight line.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), attributes: &str) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(number);
        _ = writeln!(
            self.0,
            "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" {attributes}/>"
        );
    }

    /// The document.
    pub(super) fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

/// A path through some points, as its `d` has it.
pub(super) fn path(points: impl IntoIterator<Item = (f64, f64)>) -> String {
    let mut d = String::new();
    for (x, y) in points {
        let command = if d.is_empty() { 'M' } else { 'L' };
        _ = write!(d, "{command}{} {}", number(x), number(y));
    }
    d
}

/// A length to a hundredth, in its shortest form.
pub(super) fn number(length: f64) -> String {
    let text = format!("{length:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

/// Text as it stands in an element or attribute, on one line. Characters that XML does not allow are not
/// printable either.
pub(in super::super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable::lines(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_short() {
        assert_eq!(
            [1.0, 0.125, -0.001, 12.5, 100.0].map(number),
            ["1", "0.12", "0", "12.5", "100"]
        );
    }

    #[test]
    fn text_cannot_break_out() {
        assert_eq!(
            escape("a<b> & \"c\"\u{7}\u{202e}\u{ffff}\n"),
            "a&lt;b&gt; &amp; &quot;c&quot;\\u0007\\u202e\\uffff "
        );
    }
}
