//! Networks: layers with their parameters, shapes and operations per sample, and how sub-networks make one network.
//!
//! One file per kind of layer. Nothing here computes: the trainer has a file of the same name that does.

use serde::{Deserialize, Serialize};

/// What a layer takes and gives, for one sample (the batch is no part of it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Shape {
    /// A vector of so many values.
    Flat(u64),
    /// An image.
    Image {
        /// Channels.
        channels: u64,
        /// Rows.
        height: u64,
        /// Columns.
        width: u64,
    },
}

/// A sub-network's layers, and how many sub-networks there are. The last layer must give the 10 classes of a digit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// The name by which the sweep file calls it.
    pub name: String,
    /// How many sub-networks; sub-network `s` sees image `s mod 2`, a single one sees both as channels.
    pub sub_networks: u32,
    /// Their layers, first to last.
    pub layers: Vec<Layer>,
}

/// One layer, as the sweep file writes it: `"relu"` or `{ linear = { units = 100 } }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Placeholder until the layers' own files are there.
    Relu,
}
