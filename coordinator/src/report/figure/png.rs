//! PNGs, drawn from SVGs.

use resvg::{tiny_skia, usvg};

use super::text;

/// The widest PNG, in pixels.
pub const MAX_WIDTH: u32 = 10_000;

/// Why an SVG could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum PngError {
    /// It is no SVG.
    #[error("the figure is no svg that can be drawn: {0}")]
    Svg(#[from] usvg::Error),
    /// The width asked for, or the height that follows, is out of bounds.
    #[error("a png {width} pixels wide cannot be drawn; ask for 1 to {MAX_WIDTH}")]
    Width {
        /// In pixels.
        width: u32,
    },
    /// The encoder refused.
    #[error("the png cannot be written: {0}")]
    Encode(String),
}

/// Draws an SVG as a PNG of this width in pixels; its height follows. Text is drawn in the embedded font.
///
/// # Errors
/// See [`PngError`].
pub fn png(svg: &str, width: u32) -> Result<Vec<u8>, PngError> {
    let tree = usvg::Tree::from_str(svg, &text::options())?;
    let scale = width as f32 / tree.size().width();
    let height = (tree.size().height() * scale).ceil() as u32;
    let fits = (1..=MAX_WIDTH).contains(&width) && (1..=4 * MAX_WIDTH).contains(&height);
    let pixmap = fits.then(|| tiny_skia::Pixmap::new(width, height)).flatten();
    let mut pixmap = pixmap.ok_or(PngError::Width { width })?;
    resvg::render(
        &tree,
        tiny_skia::Transform::from_scale(scale, scale),
        &mut pixmap.as_mut(),
    );
    pixmap
        .encode_png()
        .map_err(|error| PngError::Encode(error.to_string()))
}
