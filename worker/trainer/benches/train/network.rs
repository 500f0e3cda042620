//! The networks that are measured, and what an epoch of each costs.

use tenfold_types::TrialSpec;
use tenfold_types::network::Architecture;

/// A named network, with two sub-networks that have weights of their own, as all rows train it.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub(crate) name: String,
    /// Floating-point operations of an epoch.
    pub(crate) operations: f64,
    /// Rows, columns and depth of its matrix products in a batch.
    pub(crate) products: Vec<[usize; 3]>,
}

impl Network {
    pub(crate) fn named(name: &str) -> Option<Self> {
        let spec = spec(name)?;
        let outline = spec.architecture.outline(false, false).ok()?;
        let forward = outline.operations as f64;
        let layers = outline.layers(0);
        let first = layers.iter().find(|layer| layer.parameters > 0)?;
        // Training: forward, the gradients of the weights, and those of what each layer sees; nobody needs the first
        // layer's. Evaluation: forward, of as many pairs to train as to test.
        let sub_networks = f64::from(spec.architecture.sub_networks);
        let training = 3.0 * forward - sub_networks * first.operations as f64;
        let (train, test) = (f64::from(spec.data.train), f64::from(spec.data.test));
        let products = layers.iter().filter(|layer| layer.operations > 0);
        let batch = spec.batch_size as usize;
        let product = |layer: &tenfold_types::network::LayerOutline| {
            let units = match layer.output {
                tenfold_types::network::Shape::Image { channels, .. } => channels as usize,
                shape => shape.values().unwrap_or(1) as usize,
            };
            let places = batch * layer.output.values().unwrap_or(1) as usize / units;
            let depth = layer.operations as usize / 2 / units / (places / batch).max(1);
            // A convolution's places are many more than fit a cache: their product is as fast with fewer.
            [units, places.min(1000), depth]
        };
        Some(Self {
            name: name.to_owned(),
            operations: train * training + (train + test) * forward,
            products: products.map(product).collect(),
        })
    }
}

/// A trial of a named network: 1,000 pairs in batches of 100, Adam, cross entropy, softmax join.
pub(crate) fn spec(name: &str) -> Option<TrialSpec> {
    Some(TrialSpec {
        seed: 559,
        ..TrialSpec::with_defaults(Architecture::named(name)?)
    })
}
