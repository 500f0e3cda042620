//! Text of peers and people, made safe to show.
//!
//! Escape sequences in a host's name could retitle a terminal or fill its clipboard, and directional marks could make a line
//! read as another. So characters that act on the display instead of showing on it are written as `\uXXXX`, the escape of
//! JSON: a line of JSON stays one, with the same value. Everything else, of whatever script, stays as it is.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Returns the text on one line: characters that act on the display are escaped, line breaks and tabs too.
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, false)
}

/// Returns the text with its line breaks and tabs as they are, and all other characters that act on the display escaped.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, true)
}

/// Returns whether a character acts on the display: a control character (C0, DEL, C1), a mark of direction or invisible
/// formatting, a line or paragraph separator, or a tag (Unicode 17, the general categories Cc, Zl and Zp, and of Cf those
/// that terminals and browsers do not show).
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// A writer of log lines that escapes what acts on the display. Each write is taken to be whole lines, as log libraries make
/// it.
#[derive(Debug)]
pub struct Log<W> {
    /// Where the lines go.
    pub to: W,
    /// Whether escape characters pass: those of a log in colours, whose library has escaped all others.
    pub colours: bool,
}

impl<W: Write> Write for Log<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        if self.colours {
            for (place, part) in text.split('\u{1b}').enumerate() {
                if place > 0 {
                    self.to.write_all(b"\x1b")?;
                }
                self.to.write_all(lines(part).as_bytes())?;
            }
        } else {
            self.to.write_all(lines(&text).as_bytes())?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn escape(text: &str, with_breaks: bool) -> Cow<'_, str> {
    let is_escaped = |c: char| acts(c) && !(with_breaks && matches!(c, '\n' | '\t'));
    // Most texts are plain ASCII, of which only control bytes need anything.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let Some(first) = text.find(is_escaped) else {
        return Cow::Borrowed(text);
    };
    let (plain, rest) = text.split_at(first);
    let mut escaped = String::with_capacity(text.len() + 16);
    escaped.push_str(plain);
    for c in rest.chars() {
        if is_escaped(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_display_is_escaped() {
        assert_eq!(line("node\u{1b}]0;owned\u{7}"), "node\\u001b]0;owned\\u0007");
        assert_eq!(line("a\nb\tc\u{7f}\u{9b}"), "a\\u000ab\\u0009c\\u007f\\u009b");
        assert_eq!(lines("a\nb\tc\0"), "a\nb\tc\\u0000");
        assert_eq!(
            line("\u{202e}gnp.exe\u{2066}\u{200f}"),
            "\\u202egnp.exe\\u2066\\u200f"
        );
        assert_eq!(line("\u{e0041}"), "\\udb40\\udc41");
    }

    #[test]
    fn a_log_has_no_characters_that_act_but_its_own_colours() {
        let written = |colours, text: &str| {
            let mut log = Log { to: Vec::new(), colours };
            log.write_all(text.as_bytes()).unwrap();
            String::from_utf8(log.to).unwrap()
        };
        let text = "\u{1b}[32mINFO\u{1b}[0m host=\u{202e}x\u{7}\n";
        assert_eq!(written(true, text), "\u{1b}[32mINFO\u{1b}[0m host=\\u202ex\\u0007\n");
        assert_eq!(written(false, "host=\u{1b}]0;x\n"), "host=\\u001b]0;x\n");
    }

    #[test]
    fn what_shows_stays() {
        for text in ["", "conv-20", "gänsefüßchen ± 1 ┌─┐", "שלום", "日本語", "🦀"] {
            assert!(matches!(line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
        assert!(matches!(lines("one\ntwo\n"), Cow::Borrowed(_)));
    }
}
