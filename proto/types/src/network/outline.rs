//! The shapes of a whole network, worked out and checked without building it.

use super::shape::MAX_VALUES;
use super::{Architecture, CLASSES, Flow, LayerKind, Linear, Misfit, SIDE, Shape};

/// Sub-networks, layers of one, and parameters of a whole network: more are refused as absurd.
const MAX_SUB_NETWORKS: u32 = 1_000;
const MAX_LAYERS: usize = 1_000;
const MAX_PARAMETERS: u64 = 1_000_000_000;

/// Values that the head gives: scores of no and of yes.
pub const ANSWERS: std::num::NonZeroU32 = std::num::NonZeroU32::new(2).unwrap();

/// A network's shapes and sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The layers of the sub-networks, as [`Architecture::stacks`] has them.
    pub stacks: Vec<Vec<LayerOutline>>,
    /// Values that each sub-network gives, one for each.
    pub widths: Vec<u64>,
    /// Values that the join gives: the last hidden layers of all sub-networks, one behind the other.
    pub join_width: u64,
    /// The head.
    pub head: LayerOutline,
    /// Weights and biases of the whole network; with weight sharing those of one sub-network and the head.
    pub parameters: u64,
    /// Operations of the whole network in a forward pass of one pair: two for each multiplication with its addition.
    pub operations: u64,
}

/// One layer in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerOutline {
    /// Its kind.
    pub name: &'static str,
    /// What it takes.
    pub input: Shape,
    /// What it gives.
    pub output: Shape,
    /// Weights and biases.
    pub parameters: u64,
    /// Operations per sample.
    pub operations: u64,
}

impl Outline {
    /// The layers of a sub-network, from 0.
    pub fn layers(&self, sub_network: usize) -> &[LayerOutline] {
        match self.stacks.as_slice() {
            [alike] => alike,
            each => &each[sub_network],
        }
    }
}

impl LayerOutline {
    fn new(name: &'static str, input: Shape, flow: Flow) -> Self {
        Self {
            name,
            input,
            output: flow.output,
            parameters: flow.parameters,
            operations: flow.operations,
        }
    }
}

/// An architecture that makes no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// A layer cannot take what comes before it.
    #[error("architecture {architecture:?}: layer {number} ({layer}) got {}, needs {needs}", in_words(*got))]
    Input {
        /// The architecture's name.
        architecture: String,
        /// The layer's place, from 1.
        number: usize,
        /// The layer with its settings.
        layer: String,
        /// The shape that it got.
        got: Shape,
        /// The shape that it needs.
        needs: String,
    },
    /// A layer's setting makes no sense.
    #[error("architecture {architecture:?}: layer {number} ({layer}): {problem}")]
    Setting {
        /// The architecture's name.
        architecture: String,
        /// The layer's place, from 1.
        number: usize,
        /// The layer with its settings.
        layer: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The last layer does not give what the join or the auxiliary loss needs.
    #[error("architecture {architecture:?}: the last layer, {number} ({layer}), gives {}, needs to give {needs}", in_words(*got))]
    Last {
        /// The architecture's name.
        architecture: String,
        /// The layer's place, from 1.
        number: usize,
        /// The layer with its settings.
        layer: String,
        /// The shape that it gives.
        got: Shape,
        /// The shape that it should give, and why.
        needs: String,
    },
    /// Something about the whole.
    #[error("architecture {architecture:?}: {problem}")]
    Whole {
        /// The architecture's name.
        architecture: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

fn in_words(shape: Shape) -> String {
    match shape {
        Shape::Flat(1) => "1 value".to_owned(),
        Shape::Flat(values) => format!("{values} values"),
        Shape::Signal { .. } => format!("a signal of {shape} (channels × length)"),
        Shape::Image { .. } => format!("an image of {shape} (channels × rows × columns)"),
    }
}

impl Architecture {
    /// What a sub-network sees of a pair: one image, or both as channels when there is but one sub-network.
    pub fn input(&self) -> Shape {
        Shape::Image {
            channels: if self.sub_networks == 1 { 2 } else { 1 },
            height: SIDE,
            width: SIDE,
        }
    }

    /// The network's shapes, through every layer, the join and the head.
    ///
    /// # Errors
    /// The shapes do not fit, a setting makes no sense, auxiliary loss is asked of a single sub-network or weight sharing
    /// of sub-networks that differ, or the network is absurdly large (over a billion parameters, or ten million values of a sample between two layers).
    pub fn outline(&self, weight_sharing: bool, auxiliary_loss: bool) -> Result<Outline, ShapeError> {
        self.check_whole(weight_sharing, auxiliary_loss)?;
        let mut stacks = Vec::with_capacity(self.stacks.len());
        let mut widths = Vec::with_capacity(self.sub_networks as usize);
        for stack in 0..self.stacks.len() {
            let (layers, width) = self.stack_outline(stack, auxiliary_loss)?;
            stacks.push(layers);
            widths.push(width);
        }
        // A stack that all have stands for each of them.
        let times = u64::from(self.sub_networks) / stacks.len() as u64;
        widths.resize(self.sub_networks as usize, widths[0]);

        let join_width = widths.iter().copied().fold(0, u64::saturating_add);
        let join = Shape::Flat(join_width);
        let head = Linear { units: ANSWERS }.flow(join).and_then(bounded);
        let head = head.map_err(|_| self.too_large())?;
        let sum = |stacks: &[Vec<LayerOutline>], of: fn(&LayerOutline) -> u64, times: u64, head: u64| {
            let layers = stacks.iter().flatten().map(of).fold(0, u64::saturating_add);
            layers.saturating_mul(times).saturating_add(head)
        };
        let parameters = match weight_sharing {
            true => sum(&stacks[..1], |layer| layer.parameters, 1, head.parameters),
            false => sum(&stacks, |layer| layer.parameters, times, head.parameters),
        };
        let operations = sum(&stacks, |layer| layer.operations, times, head.operations);
        if parameters > MAX_PARAMETERS || operations == u64::MAX {
            return Err(self.too_large());
        }
        Ok(Outline {
            stacks,
            widths,
            join_width,
            head: LayerOutline::new(Linear::NAME, join, head),
            parameters,
            operations,
        })
    }

    /// The layers of a stack, and how many values it gives.
    fn stack_outline(
        &self,
        stack: usize,
        auxiliary_loss: bool,
    ) -> Result<(Vec<LayerOutline>, u64), ShapeError> {
        let layers = &self.stacks[stack];
        let mut outlines = Vec::with_capacity(layers.len());
        let mut shape = self.input();
        for (at, layer) in layers.iter().enumerate() {
            let flow = layer.flow(shape).and_then(bounded);
            let flow = flow.map_err(|misfit| self.misfit(stack, at, shape, misfit))?;
            outlines.push(LayerOutline::new(layer.name(), shape, flow));
            shape = flow.output;
        }
        Ok((outlines, self.check_last(stack, shape, auxiliary_loss)?))
    }

    fn whole(&self, problem: impl Into<String>) -> ShapeError {
        ShapeError::Whole {
            architecture: self.name.clone(),
            problem: problem.into(),
        }
    }

    fn too_large(&self) -> ShapeError {
        self.whole(format!(
            "too large: at most {MAX_PARAMETERS} parameters and {MAX_VALUES} values between two layers are allowed"
        ))
    }

    fn check_whole(&self, weight_sharing: bool, auxiliary_loss: bool) -> Result<(), ShapeError> {
        let sub_networks = self.sub_networks;
        if !(1..=MAX_SUB_NETWORKS).contains(&sub_networks) {
            return Err(self.whole(format!(
                "{sub_networks} sub-networks, needs 1 to {MAX_SUB_NETWORKS}"
            )));
        }
        let stacks = self.stacks.len();
        if stacks != 1 && stacks != sub_networks as usize {
            return Err(self.whole(format!(
                "{stacks} lists of layers for {sub_networks} sub-networks, needs one for all or one for each"
            )));
        }
        for layers in self.stacks.iter().map(Vec::len) {
            if !(1..=MAX_LAYERS).contains(&layers) {
                return Err(self.whole(format!("{layers} layers, needs 1 to {MAX_LAYERS}")));
            }
        }
        if weight_sharing && self.stacks.iter().any(|stack| *stack != self.stacks[0]) {
            return Err(self.whole(
                "weight sharing between sub-networks that differ; needs the same layers in all of them or \
                 weight_sharing = false",
            ));
        }
        if auxiliary_loss && sub_networks == 1 {
            return Err(self.whole(
                "auxiliary loss with a single sub-network, which sees both digits and can name neither; needs at least \
                 2 sub-networks or auxiliary_loss = false",
            ));
        }
        Ok(())
    }

    fn check_last(&self, stack: usize, shape: Shape, auxiliary_loss: bool) -> Result<u64, ShapeError> {
        let needs = match shape {
            Shape::Flat(width) if !auxiliary_loss || width == u64::from(CLASSES) => return Ok(width),
            Shape::Flat(_) => format!("{CLASSES} values, since auxiliary loss has it name a digit"),
            Shape::Signal { .. } | Shape::Image { .. } => {
                "a vector: add \"flatten\" or a linear layer".to_owned()
            }
        };
        Err(ShapeError::Last {
            architecture: self.name.clone(),
            number: self.stacks[stack].len(),
            layer: self.stacks[stack]
                .last()
                .map(ToString::to_string)
                .unwrap_or_default(),
            got: shape,
            needs,
        })
    }

    fn misfit(&self, stack: usize, at: usize, got: Shape, misfit: Misfit) -> ShapeError {
        let (architecture, number, layer) = (self.name.clone(), at + 1, self.stacks[stack][at].to_string());
        match misfit {
            Misfit::Input(needs) => ShapeError::Input {
                architecture,
                number,
                layer,
                got,
                needs,
            },
            Misfit::Setting(problem) => ShapeError::Setting {
                architecture,
                number,
                layer,
                problem,
            },
            Misfit::TooLarge => ShapeError::Setting {
                architecture,
                number,
                layer,
                problem: format!(
                    "too large: at most {MAX_PARAMETERS} parameters and {MAX_VALUES} values are allowed"
                ),
            },
        }
    }
}

fn bounded(flow: Flow) -> Result<Flow, Misfit> {
    if flow.output.values()? > MAX_VALUES || flow.parameters > MAX_PARAMETERS {
        return Err(Misfit::TooLarge);
    }
    Ok(flow)
}
