//! What a sweep comes to by the rules alone: all curves are there from the beginning, and points are looked at in the order of
//! their indexes.

use std::collections::BTreeMap;

use tenfold_core::aggregate::Statistics;
use tenfold_core::rank::{Mean, Rank, Ratio};
use tenfold_core::record::{Candidate, Outcome};
use tenfold_core::search::{Standing, asha, halving, median, patience, width};
use tenfold_core::sweep::{ChoiceId, Gate, Rung, StopRule, Sweep, Until};
use tenfold_core::{RULES, pick};
use tenfold_types::{Metric, TrialKey, Value};

use crate::landscape::Landscape;

/// A value of an axis: what its points came to, repetition by repetition, and how many trials have not succeeded.
type OfValue = (Value, Vec<Vec<Option<f64>>>, u32);

/// The sweep as it is in the end, and what was decided on the way.
pub(crate) struct Expected {
    pub(crate) sweep: Sweep,
    pub(crate) choices: BTreeMap<ChoiceId, Outcome>,
    landscape: Landscape,
}

impl Expected {
    pub(crate) fn new(sweep: Sweep, landscape: Landscape) -> Self {
        let mut this = Self {
            sweep,
            choices: BTreeMap::new(),
            landscape,
        };
        for stage in 0..this.sweep.stages().len() as u32 {
            this.take_values(stage);
            match this.sweep.stages()[stage as usize].gate().cloned() {
                Some(Gate::Points(rung)) => this.let_go_on(stage, &rung),
                Some(Gate::Repetitions(until)) => this.repeat(stage, until),
                None => {}
            }
        }
        this
    }

    /// Whether a trial has values that could not be chosen.
    pub(crate) fn fails(&self, key: TrialKey) -> bool {
        let stage = &self.sweep.stages()[key.stage as usize];
        (0..).zip(stage.rules()).any(|(rule, _)| {
            let cell = stage.cell(rule, key.index).unwrap();
            let id = ChoiceId {
                stage: key.stage,
                rule,
                cell,
            };
            matches!(self.choices.get(&id), Some(Outcome::Nothing(_)))
        })
    }

    fn chosen(&mut self, stage: u32, rule: u32, cell: u64, values: Vec<Value>) {
        let id = ChoiceId { stage, rule, cell };
        self.sweep = self.sweep.with(id, values.clone());
        self.choices.insert(id, Outcome::Chosen(values));
    }

    /// The values of a metric at an epoch over the repetitions of a point that succeed, and how many do not.
    fn values(
        &self,
        stage: u32,
        index: u64,
        repetitions: u32,
        metric: Metric,
        epoch: u32,
    ) -> (Vec<f64>, u32) {
        let one = |repetition| {
            let key = TrialKey {
                stage,
                index,
                repetition,
            };
            self.value(key, metric, epoch)
        };
        let values: Vec<f64> = (0..repetitions).filter_map(one).collect();
        let missing = repetitions - values.len() as u32;
        (values, missing)
    }

    /// The value of a metric at an epoch of a trial; none of one that does not succeed.
    fn value(&self, key: TrialKey, metric: Metric, epoch: u32) -> Option<f64> {
        let spec = self.sweep.spec(key).unwrap();
        let column = spec.metrics().iter().position(|of| *of == metric).unwrap();
        match self.landscape.diverges(&spec) {
            Some(_) => None,
            None => Some(self.landscape.block(&spec, epoch).columns[column].into()),
        }
    }

    fn take_values(&mut self, stage: u32) {
        let before = self.sweep.clone();
        for (choice, taken) in before.choices().filter(|(choice, _)| choice.stage == stage) {
            let rule = &taken.rule;
            let wanted = taken.values(choice.cell);
            // For each value its points, each with its repetitions, and how many trials are missing.
            let mut found: Vec<OfValue> = Vec::new();
            let mut specs = Vec::new();
            let source = self.sweep.stages()[rule.source as usize].clone();
            for index in source.indexes() {
                let point = source.point(index).unwrap().values;
                if !wanted.iter().all(|value| point.contains(value)) {
                    continue;
                }
                let (_, value) = point.iter().find(|(of, _)| *of == taken.setting).unwrap();
                let repetitions = source.repetitions_of(index);
                let one = |repetition| {
                    let key = TrialKey {
                        stage: rule.source,
                        index,
                        repetition,
                    };
                    self.value(key, rule.metric, rule.epoch)
                };
                let values: Vec<Option<f64>> = (0..repetitions).map(one).collect();
                // What is the same network with the same settings counts once.
                let spec = (value.clone(), source.spec(index, 0));
                if specs.contains(&spec) {
                    continue;
                }
                specs.push(spec);
                let missing = values.iter().filter(|value| value.is_none()).count() as u32;
                match found.iter_mut().find(|(other, ..)| other == value) {
                    Some((_, all, none)) => {
                        all.push(values);
                        *none += missing;
                    }
                    None => found.push((value.clone(), vec![values], missing)),
                }
            }
            let answers = self.sweep.data().answers(rule.metric);
            let candidate = |(value, points, missing): &(Value, Vec<Vec<Option<f64>>>, u32)| {
                // Repetitions in which all points have succeeded that have succeeded at all.
                let points: Vec<_> = points
                    .iter()
                    .filter(|of| of.iter().any(Option::is_some))
                    .collect();
                let longest = points.iter().map(|of| of.len()).max().unwrap_or_default();
                let within = |repetition: usize| {
                    let all: Option<Vec<f64>> = points
                        .iter()
                        .map(|of| of.get(repetition).copied().flatten())
                        .collect();
                    all.filter(|all| !all.is_empty())
                };
                let within: Vec<Vec<f64>> = (0..longest).filter_map(within).collect();
                let mean = Mean::of(&within.concat(), answers);
                Candidate {
                    n: within.len() as u32,
                    missing: *missing,
                    mean: mean.map_or(0.0, |mean| mean.value),
                    exact: mean.and_then(|mean| mean.exact),
                    ..Candidate::without_trials(value.clone())
                }
            };
            let candidates: Vec<Candidate> = found.iter().map(candidate).collect();
            match pick(rule, RULES, &candidates) {
                Some(place) => {
                    let values = rule.values(&candidates[place].value);
                    self.chosen(stage, choice.rule, choice.cell, values);
                }
                None => _ = self.choices.insert(choice, Outcome::Nothing(String::new())),
            }
        }
    }

    /// The means of a point, epoch by epoch up to a rung; none of none.
    fn means(&self, rung: &Rung, index: u64) -> (u32, u32, Vec<Mean>) {
        let repetitions = self.sweep.stages()[rung.source as usize].repetitions();
        let at = |epoch| self.values(rung.source, index, repetitions, rung.metric, epoch);
        let (last, missing) = at(rung.epoch);
        let answers = self.sweep.data().answers(rung.metric);
        let means = (1..=rung.epoch).filter_map(|epoch| Mean::of(&at(epoch).0, answers));
        (last.len() as u32, missing, means.collect())
    }

    fn let_go_on(&mut self, stage: u32, rung: &Rung) {
        // Points with the same values are compared.
        let source = self.sweep.stages()[rung.source as usize].clone();
        let mut cells: Vec<(Vec<Value>, Vec<u64>)> = Vec::new();
        for index in 0..source.raw_points() {
            let values = source.point(index).unwrap().values.into_iter();
            let values: Vec<Value> = values
                .filter(|(of, _)| rung.per.contains(of))
                .map(|(_, value)| value)
                .collect();
            match cells.iter_mut().find(|(of, _)| *of == values) {
                Some((_, points)) => points.push(index),
                None => cells.push((values, vec![index])),
            }
        }
        let rule = self.sweep.stages()[stage as usize].gate_rule();
        for (cell, (_, mut points)) in (0..).zip(cells) {
            points.retain(|index| source.has(*index));
            let mut kept = Vec::new();
            let (mut before, mut averages) = (Vec::new(), Vec::new());
            for &index in &points {
                let (n, missing, means) = self.means(rung, index);
                let standing = |mean: Option<Mean>| Standing {
                    n,
                    missing,
                    mean: mean.map_or(Rank::rounded(0.0), |mean| mean.rank()),
                };
                let this = standing(means.last().copied());
                let numbers: Vec<f64> = means.iter().map(|mean| mean.value).collect();
                let average = standing(median::running_average(&numbers).map(|value| Mean {
                    value,
                    exact: Ratio::mean(means.iter().map(|mean| mean.exact)),
                }));
                let goes_on = match rung.rule {
                    StopRule::SuccessiveHalving { .. } => false,
                    StopRule::Asha { factor } => asha::goes_on(&before, this, factor),
                    StopRule::Median { startup } => median::goes_on(&averages, average, startup),
                    StopRule::Patience { patience, tolerance } => {
                        n > 0 && patience::goes_on(&numbers, patience, tolerance)
                    }
                };
                before.push(this);
                averages.push(average);
                if goes_on {
                    kept.push(index);
                }
            }
            match rung.rule {
                StopRule::SuccessiveHalving { factor } => {
                    let best = halving::best(&before, halving::kept(points.len(), factor));
                    let kept = best.iter().map(|place| Value::Int(points[*place] as i64));
                    self.chosen(stage, rule, cell, kept.collect());
                }
                _ => {
                    for index in points {
                        let kept = kept.contains(&index).then_some(Value::Int(index as i64));
                        self.chosen(stage, rule, index, kept.into_iter().collect());
                    }
                }
            }
        }
    }

    fn repeat(&mut self, stage: u32, until: Until) {
        let of = self.sweep.stages()[stage as usize].clone();
        for index in of.indexes() {
            let mut now = until.min;
            while now < until.max {
                let (values, _) = self.values(stage, index, now, until.metric, until.epoch);
                // Counts of N answers vary by one at least; equal values of another metric say nothing.
                let enough = Statistics::of(&values).is_none_or(|of| {
                    let error =
                        of.standard_error
                            .and_then(|error| match self.sweep.data().answers(until.metric) {
                                Some(answers) => {
                                    Some(error.max(1.0 / (f64::from(answers) * f64::from(of.n).sqrt())))
                                }
                                None => (error > 0.0).then_some(error),
                            });
                    error.is_some_and(|error| width::is_narrow(of.n, error, until.half_width))
                });
                let then = match enough {
                    true => now,
                    false => (now + until.step).min(until.max),
                };
                let cell = (0..).find(|cell| until.point(*cell) == (index, now)).unwrap();
                self.chosen(stage, of.gate_rule(), cell, vec![Value::Int(then.into())]);
                if then == now {
                    break;
                }
                now = then;
            }
        }
    }
}
