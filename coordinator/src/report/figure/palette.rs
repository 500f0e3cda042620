//! Colours and dashes that tell lines apart.

/// The palette of Okabe and Ito (Color Universal Design, 2008), which people with any common colour vision deficiency
/// can tell apart, ordered so that the first few contrast most. Its yellow, too pale for a line on white, gives way to
/// a grey.
const COLOURS: [&str; 8] = [
    "#0072B2", // blue
    "#D55E00", // vermillion
    "#009E73", // bluish green
    "#CC79A7", // reddish purple
    "#E69F00", // orange
    "#56B4E9", // sky blue
    "#000000", // black
    "#8C8C8C", // grey
];

/// Once the colours are used up they come again with the next of these.
const DASHES: [&str; 4] = ["", "7 3", "2 2.5", "9 3 2 3"];

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    /// A colour as SVG has it.
    pub(super) colour: &'static str,
    /// A `stroke-dasharray`; empty for a solid line.
    pub(super) dashes: &'static str,
}

/// The style of the line with this number; 32 of them differ.
pub(super) fn style(number: usize) -> Style {
    Style {
        colour: COLOURS[number % COLOURS.len()],
        dashes: DASHES[number / COLOURS.len() % DASHES.len()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_two_lines_differ() {
        let styles: Vec<Style> = (0..32).map(style).collect();
        for (at, one) in styles.iter().enumerate() {
            assert!(!styles[..at].contains(one), "{at}");
        }
    }
}
