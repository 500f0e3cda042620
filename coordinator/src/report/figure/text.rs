//! The embedded font, and how wide text is in it.

use std::sync::{Arc, LazyLock};

use resvg::usvg::{self, fontdb};

use super::svg::escape;

/// What an SVG asks for: the font that it embeds, and what comes near.
pub(super) const FAMILY: &str = "Inter, 'Helvetica Neue', Helvetica, Arial, sans-serif";

/// Style sheet that brings the font along, so that a browser shows the figure as the PNG does.
pub(super) const FONT_FACES: &str = include_str!("../../../assets/inter/inter.css");

static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(include_bytes!("../../../assets/inter/Inter-Regular.otf").to_vec());
    fonts.load_font_data(include_bytes!("../../../assets/inter/Inter-SemiBold.otf").to_vec());
    fonts.set_sans_serif_family("Inter");
    Arc::new(fonts)
});

/// How SVGs are read: with the embedded font alone, whatever the system has.
pub(super) fn options() -> usvg::Options<'static> {
    usvg::Options {
        font_family: "Inter".to_owned(),
        fontdb: Arc::clone(&FONTS),
        ..usvg::Options::default()
    }
}

/// A kind of text on the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Face {
    /// In units of the page.
    pub(super) size: f64,
    /// 400, or 600 for semi-bold.
    pub(super) weight: u32,
    /// A colour as SVG has it.
    pub(super) colour: &'static str,
}

impl Face {
    /// Widths of some texts in units of the page, kerned, as they will be drawn.
    pub(super) fn widths<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Vec<f64> {
        let texts: Vec<&str> = texts.into_iter().collect();
        let mut page = String::from("<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'>");
        for (number, text) in texts.iter().enumerate() {
            let Self { size, weight, .. } = self;
            let text = escape(text);
            page += &format!("<text id='t{number}' font-size='{size}' font-weight='{weight}'>{text}</text>");
        }
        page += "</svg>";
        let tree = usvg::Tree::from_str(&page, &options()).ok();
        let width = |number| {
            let node = tree.as_ref()?.node_by_id(&format!("t{number}"))?;
            Some(f64::from(node.bounding_box().width()))
        };
        (0..texts.len())
            .map(|number| width(number).unwrap_or(0.0))
            .collect()
    }

    /// The width of one text.
    pub(super) fn width(&self, text: &str) -> f64 {
        self.widths([text]).into_iter().sum()
    }

    /// Text as far as it fits into a width, with `…` where it does not.
    pub(super) fn clip(&self, text: &str, width: f64) -> String {
        let whole = self.width(text);
        if whole <= width {
            return text.to_owned();
        }
        let letters: Vec<char> = text.chars().collect();
        // By the average letter first, then fewer until it fits.
        let mut count = (letters.len() as f64 * width.max(0.0) / whole) as usize;
        loop {
            let clipped: String = letters.iter().take(count).chain(&['…']).collect();
            if count == 0 || self.width(&clipped) <= width {
                return clipped;
            }
            count -= 1;
        }
    }

    /// Breaks text into lines of at most this width, between words where that is possible.
    pub(super) fn wrap(&self, text: &str, width: f64) -> Vec<String> {
        let space = self.width("a a") - self.width("aa");
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        let mut lines: Vec<String> = Vec::new();
        let mut used = 0.0;
        for (word, wide) in words.iter().zip(self.widths(words.iter().copied())) {
            match lines.last_mut() {
                Some(line) if used + space + wide <= width => {
                    line.push(' ');
                    line.push_str(word);
                    used += space + wide;
                }
                _ => {
                    // A word wider than a line is cut into pieces that are about as wide as one.
                    let count = word.chars().count();
                    let piece = ((count as f64 * width / wide.max(1.0)) as usize).clamp(1, count.max(1));
                    let letters: Vec<char> = word.chars().collect();
                    lines.extend(
                        letters
                            .chunks(piece)
                            .map(|piece| piece.iter().collect::<String>()),
                    );
                    used = lines
                        .last()
                        .map_or(0.0, |line| wide * line.chars().count() as f64 / count as f64);
                }
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACE: Face = Face {
        size: 12.0,
        weight: 400,
        colour: "#000",
    };

    #[test]
    fn the_embedded_font_has_two_weights() {
        let wide = |weight| Face { weight, ..FACE }.width("learning rate");
        assert!(
            wide(400) > 60.0 && wide(600) > wide(400),
            "{} {}",
            wide(400),
            wide(600)
        );
        assert_eq!(FACE.width(""), 0.0);
        assert!(FACE.width("<&>") > 10.0);
    }

    #[test]
    fn what_does_not_fit_is_clipped() {
        assert_eq!(FACE.clip("perceptron", 200.0), "perceptron");
        let clipped = FACE.clip("a-perceptron-of-several-layers", 80.0);
        assert!(
            clipped.ends_with('…') && FACE.width(&clipped) <= 80.0,
            "{clipped}"
        );
        assert_eq!(FACE.clip("perceptron", -1.0), "…");
    }

    #[test]
    fn lines_are_no_wider_than_allowed() {
        let text = "mean of ten repetitions, with a band that shows the interval and aVeryLongWordThatFitsNoLine_at_all_in_it";
        let lines = FACE.wrap(text, 120.0);
        assert!(lines.len() > 4);
        assert!(
            FACE.widths(lines.iter().map(String::as_str))
                .iter()
                .all(|&width| width < 135.0),
            "{lines:?}"
        );
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        assert_eq!(letters(&lines.concat()), letters(text));
    }
}
