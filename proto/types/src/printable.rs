//! Text of peers and people, made safe to show.
//!
//! Escape sequences in a host's name could retitle a terminal or fill its clipboard, and directional marks could make a line
//! read as another. So each character that acts on the display instead of showing on it is written as `\uXXXX`, the escape of
//! JSON: a line of JSON stays one, with the same value. Everything else, of whatever script, stays as it is.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Returns the text on one line: line breaks and tabs are escaped too.
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, is_printable)
}

/// Returns the text with its line breaks and tabs as they are.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| is_printable(c) || matches!(c, '\n' | '\t'))
}

/// Returns whether a character shows on a display and does nothing else to it.
///
/// Not printable are, by Unicode's general categories: control characters (C0, DEL, C1), line and paragraph separators,
/// format characters (directional marks and isolates, byte order marks, zero-width spaces, soft hyphens, tags, …) and what no
/// version of Unicode assigns yet. The zero-width joiner and non-joiner are printable although they are format characters:
/// Persian, the scripts of India and many emoji are not written without them, and they act on their neighbours alone. So are
/// variation selectors and blank letters, which are no format characters.
pub fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    match c.general_category() {
        GeneralCategory::Format => matches!(c, '\u{200c}' | '\u{200d}'),
        GeneralCategory::Control
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator
        | GeneralCategory::Unassigned => false,
        _ => true,
    }
}

/// A writer of log records, each of which becomes one printable line. A write is taken to be a whole record, as log libraries
/// make it.
#[derive(Debug)]
pub struct Log<W> {
    /// Where the lines go.
    pub to: W,
    /// Whether the library's own sequences that set colours pass.
    pub colours: bool,
}

impl<W: Write> Write for Log<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let (record, end) = match text.strip_suffix('\n') {
            Some(record) => (record, "\n"),
            None => (&*text, ""),
        };
        let mut printable = String::with_capacity(text.len());
        let mut written = 0;
        for (at, _) in record.match_indices("\u{1b}[").filter(|_| self.colours) {
            if let Some(length) = colour(&record[at..]) {
                printable += &line(&record[written..at]);
                written = at + length;
                printable += &record[at..written];
            }
        }
        printable += &line(&record[written..]);
        printable += end;
        self.to.write_all(printable.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Returns the length of the sequence that the text begins with, if it is one that sets colours: `ESC [ 1 ; 32 m`.
fn colour(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    let is_colour = parameters[end..].starts_with('m');
    is_colour.then_some(text.len() - parameters.len() + end + 1)
}

fn escape(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let Some(first) = text.find(|c| !stays(c)) else {
        return Cow::Borrowed(text);
    };
    let (plain, rest) = text.split_at(first);
    let mut escaped = String::with_capacity(text.len() + 16);
    escaped.push_str(plain);
    for c in rest.chars() {
        if stays(c) {
            escaped.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            _ = write!(escaped, "\\u{unit:04x}");
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_acts_on_a_display_is_escaped() {
        assert_eq!(line("node\u{1b}]0;owned\u{7}"), "node\\u001b]0;owned\\u0007");
        assert_eq!(line("a\nb\tc\u{7f}\u{9b}"), "a\\u000ab\\u0009c\\u007f\\u009b");
        assert_eq!(lines("a\nb\tc\r\0"), "a\nb\tc\\u000d\\u0000");
        assert_eq!(
            line("\u{202e}gnp.exe\u{2066}\u{200f}"),
            "\\u202egnp.exe\\u2066\\u200f"
        );
        assert_eq!(line("\u{e0041}"), "\\udb40\\udc41");
        let separators_and_marks =
            "\u{85}\u{ad}\u{61c}\u{180e}\u{200b}\u{200e}\u{2028}\u{2029}\u{2060}\u{2065}\u{feff}\u{fff9}";
        assert!(!separators_and_marks.contains(is_printable));
        let directional = ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        assert_eq!(directional.filter(|c| is_printable(*c)).count(), 0);
    }

    #[test]
    fn what_shows_stays() {
        for text in [
            "",
            "conv-20",
            "gänsefüßchen ± 1 ┌─┐",
            "שלום",
            "می\u{200c}خواهم",
            "क\u{94d}\u{200d}ष",
            "日本語",
            "🦀 ❤\u{fe0f} 👩\u{200d}🔬 e\u{301}",
            "\u{e0b0}",
        ] {
            assert!(
                matches!(line(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
        assert!(matches!(lines("one\ntwo\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_record_is_one_line_with_its_own_colours() {
        let written = |colours, text: &str| {
            let mut log = Log {
                to: Vec::new(),
                colours,
            };
            log.write_all(text.as_bytes()).unwrap();
            String::from_utf8(log.to).unwrap()
        };
        let text = "\u{1b}[2;32mINFO\u{1b}[0m host=\u{202e}x\u{7}\u{1b}[2J\u{1b}]0;y\u{1b}[";
        assert_eq!(
            written(true, &format!("{text}\n")),
            "\u{1b}[2;32mINFO\u{1b}[0m host=\\u202ex\\u0007\\u001b[2J\\u001b]0;y\\u001b[\n"
        );
        assert_eq!(written(false, "a\u{1b}[2mb\nc\n"), "a\\u001b[2mb\\u000ac\n");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_printable_on_one_line(text in any::<String>()) {
            let once = line(&text).into_owned();
            prop_assert!(once.chars().all(is_printable));
            prop_assert_eq!(line(&once), once.as_str());
        }
    }
}
