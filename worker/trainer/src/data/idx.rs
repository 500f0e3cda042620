//! The IDX format in which MNIST is published: a big-endian header, then bytes.

/// Bytes that are no IDX file of the kind expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdxError {
    /// The header is of another kind, or too short.
    #[error("begins with {actual:02x?}, which is no IDX header of {expected}")]
    Header {
        /// The first four bytes, or fewer.
        actual: Vec<u8>,
        /// What it should be the header of.
        expected: &'static str,
    },
    /// The images are of another size.
    #[error("images of {0} × {1}, needs 28 × 28")]
    Size(u32, u32),
    /// The header announces another number of bytes than follow.
    #[error("{actual} bytes behind the header, which announces {expected}")]
    Length {
        /// Announced.
        expected: u64,
        /// There.
        actual: u64,
    },
    /// A label is no digit.
    #[error("label number {at} is {label}, needs to be 0 to 9")]
    Label {
        /// Its place, from 0.
        at: usize,
        /// The label.
        label: u8,
    },
}

/// Rows and columns of an image as published.
pub(super) const FULL_SIDE: usize = 28;

const IMAGES_HEADER: usize = 16;
const LABELS_HEADER: usize = 8;

/// Images of 28 × 28 bytes, 0 for the ground and 255 for the ink.
#[derive(Debug, Clone)]
pub struct Images {
    file: Vec<u8>,
    count: u32,
}

impl Images {
    /// From the bytes of a file.
    ///
    /// # Errors
    /// It is no IDX file of 28 × 28 images, or has another number of them than its header says.
    pub fn parse(file: Vec<u8>) -> Result<Self, IdxError> {
        let expected = "images (00 00 08 03)";
        let count = word(&file, 4);
        let (Some(0x0000_0803), Some(count), Some(rows), Some(columns)) =
            (word(&file, 0), count, word(&file, 8), word(&file, 12))
        else {
            return Err(header(&file, expected));
        };
        if rows as usize != FULL_SIDE || columns as usize != FULL_SIDE {
            return Err(IdxError::Size(rows, columns));
        }
        check_length(
            u64::from(count) * (FULL_SIDE * FULL_SIDE) as u64,
            &file[IMAGES_HEADER..],
        )?;
        Ok(Self { file, count })
    }

    /// How many.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The 784 bytes of image number `at` (from 0, below the count), row by row.
    pub fn image(&self, at: u32) -> &[u8] {
        let size = FULL_SIDE * FULL_SIDE;
        &self.file[IMAGES_HEADER + at as usize * size..][..size]
    }
}

/// The labels in the bytes of a file.
///
/// # Errors
/// It is no IDX file of digits, or has another number of them than its header says.
pub(super) fn labels(file: &[u8]) -> Result<Vec<u8>, IdxError> {
    let (Some(0x0000_0801), Some(count)) = (word(file, 0), word(file, 4)) else {
        return Err(header(file, "labels (00 00 08 01)"));
    };
    let labels = &file[LABELS_HEADER..];
    check_length(count.into(), labels)?;
    match labels.iter().position(|&label| label > 9) {
        Some(at) => Err(IdxError::Label {
            at,
            label: labels[at],
        }),
        None => Ok(labels.to_vec()),
    }
}

fn word(file: &[u8], at: usize) -> Option<u32> {
    let bytes = file.get(at..at + 4)?;
    bytes.try_into().ok().map(u32::from_be_bytes)
}

fn header(file: &[u8], expected: &'static str) -> IdxError {
    let actual = file.iter().take(4).copied().collect();
    IdxError::Header { actual, expected }
}

fn check_length(expected: u64, body: &[u8]) -> Result<(), IdxError> {
    let actual = body.len() as u64;
    if actual == expected {
        Ok(())
    } else {
        Err(IdxError::Length { expected, actual })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(count: u8, side: u8, body: usize) -> Vec<u8> {
        let mut file = vec![0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, side, 0, 0, 0, side];
        file.extend((0..body).map(|at| at as u8));
        file
    }

    #[test]
    fn images_lie_one_behind_the_other() {
        let images = Images::parse(images(2, 28, 2 * 784)).unwrap();
        assert_eq!(images.count(), 2);
        assert_eq!(images.image(0)[..3], [0, 1, 2]);
        assert_eq!(images.image(1)[..3], [16, 17, 18]);
    }

    #[test]
    fn other_files_are_refused() {
        let refused = |file| Images::parse(file).unwrap_err();
        assert!(matches!(refused(vec![]), IdxError::Header { .. }));
        assert!(matches!(
            refused(images(1, 28, 784)[..15].to_vec()),
            IdxError::Header { .. }
        ));
        assert!(matches!(
            refused(b"<html></html>....".to_vec()),
            IdxError::Header { .. }
        ));
        assert_eq!(refused(images(1, 27, 729)), IdxError::Size(27, 27));
        let length = IdxError::Length {
            expected: 2 * 784,
            actual: 784,
        };
        assert_eq!(refused(images(2, 28, 784)), length);
        assert!(matches!(
            labels(&[0, 0, 8, 3, 0, 0, 0, 0]),
            Err(IdxError::Header { .. })
        ));
        assert_eq!(
            labels(&[0, 0, 8, 1, 0, 0, 0, 2, 9, 10]),
            Err(IdxError::Label { at: 1, label: 10 })
        );
        assert_eq!(labels(&[0, 0, 8, 1, 0, 0, 0, 2, 9, 3]), Ok(vec![9, 3]));
    }
}
