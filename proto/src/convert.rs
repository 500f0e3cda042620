//! Wire to types and back, lossless, in one place.
