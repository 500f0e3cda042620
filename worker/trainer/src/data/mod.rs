//! MNIST, and the pairs that a trial trains and is tested on.

mod idx;
mod pairs;
mod pool;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use idx::{IdxError, Images};
pub use pairs::{Pairs, PairsError, Purpose, draw};
pub use pool::{MEAN, PIXELS, SIDE, STANDARD_DEVIATION, pooled};

/// One of MNIST's files.
#[derive(Debug)]
struct File {
    name: &'static str,
    bytes: u64,
    sha256: &'static str,
}

const TRAIN_IMAGES: File = File {
    name: "train-images-idx3-ubyte",
    bytes: 47_040_016,
    sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
};
const TRAIN_LABELS: File = File {
    name: "train-labels-idx1-ubyte",
    bytes: 60_008,
    sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
};
const TEST_IMAGES: File = File {
    name: "t10k-images-idx3-ubyte",
    bytes: 7_840_016,
    sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
};
const TEST_LABELS: File = File {
    name: "t10k-labels-idx1-ubyte",
    bytes: 10_008,
    sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
};

/// Why MNIST could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file is not there, or cannot be read.
    #[error("cannot read {}: {error}; {}", path.display(), remedy(path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// A file is too short or too long.
    #[error("{} has {actual} bytes, needs {expected}; {}", path.display(), remedy(path))]
    Length {
        /// The file.
        path: PathBuf,
        /// The length that it should have.
        expected: u64,
        /// The length that it has.
        actual: u64,
    },
    /// A file has the right length and the wrong bytes.
    #[error("{} is corrupt: its SHA-256 is {actual}, needs {expected}; {}", path.display(), remedy(path))]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The sum that it should have.
        expected: &'static str,
        /// The sum that it has.
        actual: String,
    },
    /// A file is no IDX file.
    #[error("{}: {error}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: IdxError,
    },
}

fn remedy(path: &Path) -> String {
    let folder = path.parent().unwrap_or(Path::new("."));
    format!("deploy/setup-mnist.sh {} gets all four files", folder.display())
}

/// Images with the digits they show.
#[derive(Debug, Clone)]
pub struct Split {
    /// The images, 28 × 28.
    pub images: Images,
    /// The digit on each, 0 to 9.
    pub digits: Vec<u8>,
}

/// MNIST as it was published: 60,000 images to train on and 10,000 to test on.
#[derive(Debug, Clone)]
pub struct Mnist {
    /// To train on.
    pub train: Split,
    /// To test on.
    pub test: Split,
}

impl Mnist {
    /// Reads the four IDX files of a folder and checks their sums.
    ///
    /// # Errors
    /// A file is missing, unreadable, of a wrong length, or corrupt.
    pub fn load(folder: &Path) -> Result<Self, DataError> {
        Ok(Self {
            test: Split::load(folder, &TEST_IMAGES, &TEST_LABELS)?,
            train: Split::load(folder, &TRAIN_IMAGES, &TRAIN_LABELS)?,
        })
    }
}

impl Split {
    fn load(folder: &Path, images: &File, labels: &File) -> Result<Self, DataError> {
        let format = |file: &File| {
            let path = folder.join(file.name);
            |error| DataError::Format { path, error }
        };
        let digits = idx::labels(&read(folder, labels)?).map_err(format(labels))?;
        let images = Images::parse(read(folder, images)?).map_err(format(images))?;
        Ok(Self { images, digits })
    }
}

fn read(folder: &Path, file: &File) -> Result<Vec<u8>, DataError> {
    let path = folder.join(file.name);
    // The length first: a cut download is common, and this says so without reading it.
    let actual = match fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(error) => return Err(DataError::Unreadable { path, error }),
    };
    if actual != file.bytes {
        return Err(DataError::Length {
            path,
            expected: file.bytes,
            actual,
        });
    }
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => return Err(DataError::Unreadable { path, error }),
    };
    let actual: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if actual != file.sha256 {
        return Err(DataError::Corrupt {
            path,
            expected: file.sha256,
            actual,
        });
    }
    Ok(bytes)
}
