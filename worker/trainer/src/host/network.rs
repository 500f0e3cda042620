//! A trial's network on the processor: sub-networks, join, head and losses, forward and back.

use std::ops::Range;

use tch::TchError;
use tenfold_types::network::{CLASSES, Outline};
use tenfold_types::{Join, TrialSpec};

use super::batch::{Batch, View};
use super::criterion::Criterion;
use super::kernel::{Backward, Context, HostPass, Kernel, Samples};
use super::linear::LinearKernel;
use super::real::Real;
use super::relu;
use super::softmax::{Columns, cross_entropy, cross_entropy_backward, softmax, softmax_backward, wrong};
use super::stack::Stack;
use crate::network::Layout;
use crate::train::TrainError;

/// A network without its parameters, which lie in one flat buffer.
pub(crate) struct Network<T> {
    pub(crate) view: View,
    runs: Vec<Run<T>>,
    join: Join,
    /// Values of each sub-network's last hidden layer.
    widths: Vec<usize>,
    head: LinearKernel,
    head_parameters: Range<usize>,
    criterion: Box<dyn Criterion<T>>,
    /// The weight of the auxiliary loss, if there is one.
    auxiliary: Option<f64>,
    buffers: Buffers<T>,
}

/// A pass through one stack of layers.
struct Run<T> {
    stack: Stack<T>,
    panel: usize,
    sub_networks: Range<usize>,
}

#[derive(Default)]
struct Buffers<T> {
    /// What the head sees, `[Σ widths][stride]`, and its gradient.
    joined: Vec<T>,
    joined_gradient: Vec<T>,
    scores: Vec<T>,
    scores_gradient: Vec<T>,
    /// Softmax of each sub-network's last hidden layer, `[10][stride]` one behind the other.
    digit_probabilities: Vec<T>,
    scratch: Vec<T>,
}

/// Sums over the pairs of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sums {
    /// Of the losses of the answers.
    pub(crate) loss: f64,
    /// Wrong answers.
    pub(crate) wrong: usize,
    /// Wrong digits of each sub-network.
    pub(crate) wrong_digits: Vec<usize>,
}

impl<T: Real> Network<T> {
    pub(crate) fn new(spec: &TrialSpec, outline: &Outline, layout: &Layout) -> Result<Self, TchError> {
        let sub_networks = spec.architecture.sub_networks as usize;
        let view = match (sub_networks, spec.weight_sharing) {
            (1, _) => View::Channels,
            (_, true) => View::Stacked(sub_networks),
            (_, false) => View::Apart,
        };
        let sets = if spec.weight_sharing { 1 } else { sub_networks };
        let run = |set: usize| {
            let context = Context { spec, set };
            let layers = spec
                .architecture
                .layers(set)
                .iter()
                .zip(outline.layers(set))
                .enumerate();
            let layers = layers.map(|(at, (layer, outline))| (layer, outline, layout.layer(set, at)));
            Ok(Run {
                stack: Stack::new(layers, &context)?,
                panel: if view == View::Apart { set % 2 } else { 0 },
                sub_networks: if sets == 1 { 0..sub_networks } else { set..set + 1 },
            })
        };
        let head = layout.head();
        let (weights, bias) = (head[0].range(), head[1].range());
        Ok(Self {
            view,
            runs: (0..sets).map(run).collect::<Result<_, TchError>>()?,
            join: spec.join,
            widths: outline.widths.iter().map(|&width| width as usize).collect(),
            head: LinearKernel::new(
                outline.join_width as usize,
                super::ANSWERS,
                bias.start - weights.start..bias.end - weights.start,
            ),
            head_parameters: weights.start..bias.end,
            criterion: super::criterion::criterion(spec),
            auxiliary: spec.auxiliary_loss.then_some(spec.aux_weight),
            buffers: Buffers::default(),
        })
    }

    /// What all layers keep from batch to batch.
    pub(crate) fn state(&self) -> Result<Vec<T>, TchError> {
        let mut state = Vec::new();
        self.runs.iter().try_for_each(|run| run.stack.save(&mut state))?;
        Ok(state)
    }

    /// Puts it in its place again.
    pub(crate) fn restore(&mut self, mut state: &[T]) -> Result<(), TchError> {
        self.runs
            .iter_mut()
            .try_for_each(|run| run.stack.restore(&mut state))
    }

    /// From the images to the scores. Their panel is `[2][stride]`.
    fn forward(&mut self, pass: HostPass, parameters: &[T], batch: &Batch<T>) -> Result<Samples, TrainError> {
        let samples = Samples::of::<T>(batch.pairs);
        let buffers = &mut self.buffers;
        let joined_width: usize = self.widths.iter().sum();
        buffers.joined.resize(joined_width * samples.stride, T::zero());
        buffers.scores.resize(super::ANSWERS * samples.stride, T::zero());
        for run in &mut self.runs {
            let features = run
                .stack
                .forward(pass, batch.samples, parameters, &batch.panels[run.panel])?;
            for sub_network in run.sub_networks.clone() {
                let at = feature(&run.sub_networks, sub_network, self.widths[sub_network], batch);
                let into = joined(&self.widths, sub_network, samples);
                let to = &mut buffers.joined[into.clone()];
                let into = Columns::all(self.widths[sub_network], samples);
                match self.join {
                    Join::Softmax => softmax((features, at), (to, into), &mut buffers.scratch),
                    join => {
                        for row in 0..at.rows {
                            to[into.row(row)].copy_from_slice(&features[at.row(row)]);
                        }
                        if join == Join::Relu {
                            relu::forward(to);
                        }
                    }
                }
            }
        }
        let parameters = &parameters[self.head_parameters.clone()];
        self.head
            .forward(pass, samples, parameters, &buffers.joined, &mut buffers.scores)?;
        Ok(samples)
    }

    /// One step forward and back: fills the gradients of all parameters and gives the loss.
    pub(crate) fn differentiate(
        &mut self,
        step: u64,
        parameters: &[T],
        batch: &Batch<T>,
        gradients: &mut [T],
    ) -> Result<f64, TrainError> {
        let samples = self.forward(HostPass::Train { step }, parameters, batch)?;
        let buffers = &mut self.buffers;
        buffers
            .scores_gradient
            .resize(super::ANSWERS * samples.stride, T::zero());
        buffers.joined_gradient.resize(buffers.joined.len(), T::zero());
        let mut loss = self.criterion.differentiate(
            samples,
            &buffers.scores,
            &batch.answers,
            &mut buffers.scores_gradient,
        )?;
        self.head.backward(
            samples,
            &parameters[self.head_parameters.clone()],
            Backward {
                input: &buffers.joined,
                output: &buffers.scores,
                output_gradient: &mut buffers.scores_gradient,
                gradients: &mut gradients[self.head_parameters.clone()],
                input_gradient: Some(&mut buffers.joined_gradient),
            },
        )?;
        for run in &mut self.runs {
            let panel = &batch.panels[run.panel];
            run.stack.clear_gradients(batch.samples);
            for sub_network in run.sub_networks.clone() {
                let width = self.widths[sub_network];
                let at = feature(&run.sub_networks, sub_network, width, batch);
                let from = joined(&self.widths, sub_network, samples);
                let columns = Columns::all(width, samples);
                let (values, gradient) = (&buffers.joined[from.clone()], &mut buffers.joined_gradient[from]);
                match self.join {
                    Join::AsIs => {}
                    Join::Relu => relu::backward(values, gradient),
                    Join::Softmax => {
                        softmax_backward((values, columns), (gradient, columns), &mut buffers.scratch);
                    }
                }
                let (features, to) = run.stack.ends(batch.samples, panel);
                for row in 0..width {
                    to[at.row(row)].copy_from_slice(&gradient[columns.row(row)]);
                }
                let Some(weight) = self.auxiliary else {
                    continue;
                };
                let digits = &batch.digits[sub_network % 2];
                buffers
                    .digit_probabilities
                    .resize(columns.rows * samples.stride, T::zero());
                let probabilities = &mut buffers.digit_probabilities;
                softmax(
                    (features, at),
                    (&mut *probabilities, columns),
                    &mut buffers.scratch,
                );
                let pairs = batch.pairs as f64;
                loss += weight * cross_entropy((features, at), &buffers.scratch, digits) / pairs;
                let weight = T::of(weight / pairs);
                cross_entropy_backward((&*probabilities, columns), digits, weight, (to, at));
            }
            run.stack.backward(batch.samples, parameters, panel, gradients)?;
        }
        Ok(loss)
    }

    /// What evaluation makes of a batch.
    pub(crate) fn evaluate(
        &mut self,
        parameters: &[T],
        batch: &Batch<T>,
        digits: bool,
    ) -> Result<Sums, TrainError> {
        let samples = self.forward(HostPass::Evaluate, parameters, batch)?;
        let (loss, wrong_answers) = self
            .criterion
            .evaluate(samples, &self.buffers.scores, &batch.answers)?;
        let mut wrong_digits = Vec::new();
        if digits {
            for run in &self.runs {
                let features = run.stack.output(batch.samples, &batch.panels[run.panel]);
                for sub_network in run.sub_networks.clone() {
                    let at = feature(&run.sub_networks, sub_network, CLASSES as usize, batch);
                    wrong_digits.push(wrong((features, at), &batch.digits[sub_network % 2]));
                }
            }
        }
        Ok(Sums {
            loss,
            wrong: wrong_answers,
            wrong_digits,
        })
    }

    /// The head's scores for a batch, `[pairs][2]`.
    pub(crate) fn scores(&mut self, parameters: &[T], batch: &Batch<T>) -> Result<Vec<[f64; 2]>, TrainError> {
        let samples = self.forward(HostPass::Evaluate, parameters, batch)?;
        let scores = self.criterion.head(samples, &self.buffers.scores)?;
        let of = |pair: usize| [0, 1].map(|answer| scores[answer * samples.stride + pair].double());
        Ok((0..batch.pairs).map(of).collect())
    }
}

/// Where a run's last hidden layer has the samples of a sub-network.
fn feature<T>(run: &Range<usize>, sub_network: usize, rows: usize, batch: &Batch<T>) -> Columns {
    Columns {
        rows,
        stride: batch.samples.stride,
        first: (sub_network - run.start) * batch.pairs,
        count: batch.pairs,
    }
}

/// Where the join has what it sees of a sub-network.
fn joined(widths: &[usize], sub_network: usize, samples: Samples) -> Range<usize> {
    let start = widths[..sub_network].iter().sum::<usize>();
    start * samples.stride..(start + widths[sub_network]) * samples.stride
}
