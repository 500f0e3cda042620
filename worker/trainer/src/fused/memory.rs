//! How much memory an array needs.

use tenfold_types::TrialSpec;
use tenfold_types::network::{Layer, Outline, Shape};

/// Values that are there for each parameter: itself, its gradient twice (as libtorch gives it and in the buffer), two
/// moments, and two that an optimizer's operations make on the way.
const PER_PARAMETER: u64 = 7;

/// Values that are there for each value between two layers: itself and its gradient.
const PER_VALUE: u64 = 2;

/// Numbers of a pair's images.
const PER_PAIR: u64 = 2 * 196;

/// Values between the layers of a network for one pair, with what a convolution writes out of its input.
pub(super) fn values_of_pair(spec: &TrialSpec, outline: &Outline) -> u64 {
    let values = |shape: Shape| shape.values().unwrap_or(u64::MAX);
    let of_layer = |(layer, at): (&Layer, &tenfold_types::network::LayerOutline)| {
        let places = match at.output {
            Shape::Image { height, width, .. } => height.saturating_mul(width),
            Shape::Signal { length, .. } => length,
            Shape::Flat(_) => 0,
        };
        let taps = match (layer, at.input) {
            (Layer::Conv2d(layer), Shape::Image { channels, .. }) => {
                channels * u64::from(layer.kernel.get()) * u64::from(layer.kernel.get())
            }
            (Layer::Conv1d(layer), input) => {
                input.signal().map_or(0, |(channels, _)| channels) * u64::from(layer.kernel.get())
            }
            _ => 0,
        };
        values(at.output).saturating_add(taps.saturating_mul(places))
    };
    let of_sub_network = |sub_network: usize| {
        let layers = spec.architecture.layers(sub_network).iter();
        layers
            .zip(outline.layers(sub_network))
            .map(of_layer)
            .fold(PER_PAIR / 2, u64::saturating_add)
    };
    (0..spec.architecture.sub_networks as usize)
        .map(of_sub_network)
        .fold(0, u64::saturating_add)
}

/// Bytes that an array of so many trials needs, about; `repetitions` of them draw different pairs. Four bytes a value.
pub fn bytes(spec: &TrialSpec, outline: &Outline, trials: u64, repetitions: u64) -> u64 {
    let batch = u64::from(spec.batch_size.min(spec.data.train));
    let of_trial = outline.parameters.saturating_mul(PER_PARAMETER).saturating_add(
        batch
            .saturating_mul(values_of_pair(spec, outline))
            .saturating_mul(PER_VALUE),
    );
    let pairs = u64::from(spec.data.train) + u64::from(spec.data.test);
    let values = of_trial.saturating_mul(trials).saturating_add(
        pairs
            .saturating_mul(PER_PAIR)
            .saturating_mul(repetitions.min(trials)),
    );
    values.saturating_mul(4)
}
