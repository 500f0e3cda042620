//! The choices and decisions of a sweep: what each is made from, and what waits for it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tenfold_types::{TrialKey, Value};

use super::gate::{Gate, Passage, Rung, Until};
use super::{Stage, Sweep, Taken};

/// A choice between two stages, of the values of an axis for a cell of a stage; or a decision at a stage's gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChoiceId {
    /// The stage that takes the values, or has the gate.
    pub stage: u32,
    /// Which of its [`rules`](Stage::rules); the number behind the last is its gate.
    pub rule: u32,
    /// Which of its cells.
    pub cell: u64,
}

/// What a choice is about.
#[derive(Debug, Clone, Copy)]
pub enum Chooses<'a> {
    /// The values of an axis.
    Axis(&'a Taken),
    /// Points that go on.
    Points(&'a Rung),
    /// Whether a point is repeated once more.
    Repetitions(&'a Until),
}

fn trials(stage: u32, index: u64, repetitions: std::ops::Range<u32>) -> impl Iterator<Item = TrialKey> {
    repetitions.map(move |repetition| TrialKey {
        stage,
        index,
        repetition,
    })
}

impl Sweep {
    /// The same with what was chosen or decided: the values of an axis for a cell of a stage; the indexes of points that go on;
    /// or how many repetitions a point has then.
    #[must_use]
    pub fn with(&self, choice: ChoiceId, values: Vec<Value>) -> Self {
        self.decided(choice, Some(values))
    }

    /// The same without it: it is to be made again.
    #[must_use]
    pub fn without(&self, choice: ChoiceId) -> Self {
        self.decided(choice, None)
    }

    fn decided(&self, choice: ChoiceId, values: Option<Vec<Value>>) -> Self {
        let mut stages = self.stages().to_vec();
        let number = |value: &Value| match value {
            Value::Int(value) => u64::try_from(*value).ok(),
            _ => None,
        };
        match self.chooses(choice) {
            None => {}
            Some(Chooses::Axis(_)) => {
                let stage = &mut stages[choice.stage as usize];
                *stage = stage.with(choice.rule, choice.cell, values);
            }
            Some(Chooses::Points(rung)) => {
                // Those that were left out at a rung before are none of its.
                let source = self.stage(rung.source);
                let mut points = rung.points(choice.cell);
                points.retain(|index| source.is_some_and(|source| source.has(*index)));
                let kept: Option<BTreeSet<u64>> =
                    values.map(|values| values.iter().filter_map(number).collect());
                let own = choice.stage as usize;
                stages[own] = stages[own].decided(|decided| decided.points(&points, kept.as_ref()));
                // What is left out at a rung comes to none of those behind it.
                let left_out: Vec<u64> = match &kept {
                    Some(kept) => points.into_iter().filter(|index| !kept.contains(index)).collect(),
                    None => points,
                };
                let nothing = kept.map(|_| BTreeSet::new());
                for later in self.rungs_from(choice.stage).skip(1) {
                    let stage = &mut stages[later as usize];
                    *stage = stage.decided(|decided| decided.points(&left_out, nothing.as_ref()));
                }
            }
            Some(Chooses::Repetitions(until)) => {
                let (index, now) = until.point(choice.cell);
                if !self.stage(choice.stage).is_some_and(|stage| stage.has(index)) {
                    return self.clone();
                }
                let then = values.map(|values| values.first().and_then(number).unwrap_or_default());
                let then = then.map(|then| u32::try_from(then).unwrap_or(u32::MAX));
                let stage = &mut stages[choice.stage as usize];
                *stage = stage.decided(|decided| decided.granted(until, index, now, then));
            }
        }
        self.of_stages(stages)
    }

    /// A rung and those that go on from it, in order.
    fn rungs_from(&self, rung: u32) -> impl Iterator<Item = u32> {
        let mut chain = BTreeSet::from([rung]);
        for (number, stage) in (0..).zip(self.stages()).skip(rung as usize + 1) {
            if let Some(Gate::Points(next)) = stage.gate()
                && chain.contains(&next.source)
            {
                chain.insert(number);
            }
        }
        chain.into_iter()
    }

    /// Whether a later rung goes on from the trials of a stage: with the same but for their epochs.
    pub fn is_continued(&self, stage: u32) -> bool {
        let later = self.stages().iter().skip(stage as usize + 1);
        let mut gates = later.filter_map(Stage::gate);
        gates.any(|gate| matches!(gate, Gate::Points(rung) if rung.source == stage))
    }

    /// What a choice is about; none when the sweep has no such choice.
    pub fn chooses(&self, choice: ChoiceId) -> Option<Chooses<'_>> {
        let stage = self.stage(choice.stage)?;
        match stage.rules().get(choice.rule as usize) {
            Some(taken) => Some(Chooses::Axis(taken)),
            None if choice.rule == stage.gate_rule() => stage.gate().map(|gate| match gate {
                Gate::Points(rung) => Chooses::Points(rung),
                Gate::Repetitions(until) => Chooses::Repetitions(until),
            }),
            None => None,
        }
    }

    /// The rule of a choice of the values of an axis.
    pub fn rule(&self, choice: ChoiceId) -> Option<&Taken> {
        self.stage(choice.stage)?.rules().get(choice.rule as usize)
    }

    /// The stage that a choice is made from.
    pub fn source(&self, choice: ChoiceId) -> Option<u32> {
        Some(match self.chooses(choice)? {
            Chooses::Axis(taken) => taken.rule.source,
            Chooses::Points(rung) => rung.source,
            Chooses::Repetitions(_) => choice.stage,
        })
    }

    /// All choices of axes' values, in order.
    pub fn choices(&self) -> impl Iterator<Item = (ChoiceId, &Taken)> {
        (0..).zip(self.stages()).flat_map(|(stage, of)| {
            (0..).zip(of.rules()).flat_map(move |(rule, taken)| {
                let id = move |&cell| (ChoiceId { stage, rule, cell }, taken);
                taken.cells().iter().map(id)
            })
        })
    }

    /// All that is chosen or decided sooner or later, in order. Whether a point is repeated more often than once more is only
    /// decided once it was: the first decision stands for all.
    pub(crate) fn all_choices(&self) -> impl Iterator<Item = ChoiceId> {
        let gates = (0..).zip(self.stages()).flat_map(|(stage, of)| {
            let cells = match of.gate() {
                None => Vec::new(),
                Some(Gate::Points(rung)) => rung.cells(),
                Some(Gate::Repetitions(until)) => {
                    let cell = |index| until.cell(index, until.min);
                    of.indexes().filter_map(cell).collect()
                }
            };
            let rule = of.gate_rule();
            cells.into_iter().map(move |cell| ChoiceId { stage, rule, cell })
        });
        self.choices().map(|(choice, _)| choice).chain(gates)
    }

    /// The points that a choice is made from and that are there, in order.
    pub fn source_points(&self, choice: ChoiceId) -> Vec<u64> {
        let Some(chooses) = self.chooses(choice) else {
            return Vec::new();
        };
        let source = self.source(choice).and_then(|source| self.stage(source));
        let Some(source) = source else {
            return Vec::new();
        };
        match chooses {
            Chooses::Axis(taken) => {
                let cell = |index: u64| taken.cell(|setting| source.value_at(index, setting));
                let points = source.indexes().filter(|&index| cell(index) == Some(choice.cell));
                points.collect()
            }
            Chooses::Points(rung) => {
                let points = rung.points(choice.cell).into_iter();
                points.filter(|&index| source.has(index)).collect()
            }
            Chooses::Repetitions(until) => vec![until.point(choice.cell).0],
        }
    }

    /// The points that a choice is made from and that count under the rules with this number: all under 0, of twins among them
    /// the first under later ones.
    pub fn compared_points(&self, choice: ChoiceId, rules: u32) -> Vec<u64> {
        let points = self.source_points(choice);
        let source = self.source(choice).and_then(|source| self.stage(source));
        match source {
            Some(source) if rules > 0 => source.compared(&points),
            _ => points,
        }
    }

    /// The trials by which it is told whether what a choice is made from is current: for one about points those of the
    /// [points that count](Self::compared_points), for others all, in the order of points and repetitions.
    pub(crate) fn compared_trials(&self, choice: ChoiceId, rules: u32) -> Vec<TrialKey> {
        let mut trials = self.sources(choice);
        let of_points = matches!(self.chooses(choice), Some(Chooses::Points(_)));
        if of_points && rules > 0 && self.has_twins() {
            let points: BTreeSet<u64> = self.compared_points(choice, rules).into_iter().collect();
            trials.retain(|key| points.contains(&key.index));
        }
        trials
    }

    /// The points that go on with those that were chosen under the rules with this number: under 0 these alone, under later ones
    /// their twins among the points of the decision too.
    pub(crate) fn going_on(&self, choice: ChoiceId, rules: u32, chosen: &[u64]) -> Vec<u64> {
        let source = self.source(choice).and_then(|source| self.stage(source));
        match source {
            Some(source) if rules > 0 => source.with_twins(chosen, &self.source_points(choice)),
            _ => chosen.to_vec(),
        }
    }

    /// The decision that one about a single point repeats under the rules with this number, because the points are twins and
    /// compared with the same others: it is made before.
    pub(crate) fn repeats(&self, choice: ChoiceId, rules: u32) -> Option<ChoiceId> {
        let Some(Chooses::Points(rung)) = self.chooses(choice).filter(|_| rules > 0) else {
            return None;
        };
        let source = self.stage(rung.source).filter(|stage| stage.has_twins())?;
        let is_compared = |index: &u64| rung.are_compared(*index, choice.cell) && source.has(*index);
        let first = (!rung.rule.is_joint()).then(|| source.alike_at(choice.cell, 0).find(is_compared))??;
        (first != choice.cell).then_some(ChoiceId {
            cell: first,
            ..choice
        })
    }

    /// The trials that a choice is made from, in the order of points and repetitions.
    pub fn sources(&self, choice: ChoiceId) -> Vec<TrialKey> {
        let source = self.source(choice).unwrap_or_default();
        let stage = self.stage(source);
        let asked = match self.chooses(choice) {
            Some(Chooses::Repetitions(until)) => Some(until.point(choice.cell).1),
            _ => None,
        };
        let of_point = |index: u64| {
            let repetitions = asked.or_else(|| Some(stage?.repetitions_of(index)));
            trials(source, index, 0..repetitions.unwrap_or_default())
        };
        let points = self.source_points(choice).into_iter();
        points.flat_map(of_point).collect()
    }

    /// The trials whose values a choice gives, or that go on by it, in the order of points and repetitions.
    pub fn waits_for(&self, choice: ChoiceId) -> Vec<TrialKey> {
        let (Some(stage), Some(chooses)) = (self.stage(choice.stage), self.chooses(choice)) else {
            return Vec::new();
        };
        let points: Vec<u64> = match chooses {
            Chooses::Axis(_) => {
                let of_cell = |index: &u64| stage.cell(choice.rule, *index) == Some(choice.cell);
                stage.indexes().filter(of_cell).collect()
            }
            Chooses::Points(rung) => {
                let points = rung.points(choice.cell).into_iter();
                points.filter(|index| stage.has(*index)).collect()
            }
            Chooses::Repetitions(until) => {
                let (index, from) = until.point(choice.cell);
                return trials(choice.stage, index, from..until.next(from)).collect();
            }
        };
        let of_point = |index| trials(choice.stage, index, 0..stage.repetitions_of(index));
        points.into_iter().flat_map(of_point).collect()
    }

    /// All trials whose passage a choice may change, those of later rungs too.
    pub(crate) fn governed(&self, choice: ChoiceId) -> Vec<TrialKey> {
        let all = |stage: u32| self.stage(stage).map_or(0, Stage::repetitions);
        match self.chooses(choice) {
            None | Some(Chooses::Axis(_)) => self.waits_for(choice),
            Some(Chooses::Points(rung)) => {
                let points = rung.points(choice.cell);
                let rungs = self.rungs_from(choice.stage);
                let of_rung = |stage: u32| {
                    let points = points.iter();
                    points.flat_map(move |index| trials(stage, *index, 0..all(stage)))
                };
                rungs.flat_map(of_rung).collect()
            }
            Some(Chooses::Repetitions(until)) => {
                let (index, from) = until.point(choice.cell);
                trials(choice.stage, index, from..all(choice.stage)).collect()
            }
        }
    }

    /// How many points each choice of values or of points is made from: one look at each point for each rule, however many
    /// choices there are.
    pub(crate) fn source_counts(&self) -> BTreeMap<ChoiceId, u64> {
        let mut counts: BTreeMap<ChoiceId, u64> = BTreeMap::new();
        for (stage, of) in (0..).zip(self.stages()) {
            for (rule, taken) in (0..).zip(of.rules()) {
                let Some(source) = self.stage(taken.rule.source) else {
                    continue;
                };
                let id = |cell: u64| ChoiceId { stage, rule, cell };
                counts.extend(taken.cells().iter().map(|cell| (id(*cell), 0)));
                for index in source.indexes() {
                    let cell = taken.cell(|setting| source.value_at(index, setting));
                    if let Some(count) = cell.and_then(|cell| counts.get_mut(&id(cell))) {
                        *count += 1;
                    }
                }
            }
            if let Some(Gate::Points(rung)) = of.gate()
                && let Some(source) = self.stage(rung.source)
            {
                let rule = of.gate_rule();
                let id = |cell: u64| ChoiceId { stage, rule, cell };
                counts.extend(rung.cells().into_iter().map(|cell| (id(cell), 0)));
                for cell in source.indexes().filter_map(|index| rung.cell(index)) {
                    *counts.entry(id(cell)).or_default() += 1;
                }
            }
        }
        counts
    }

    /// The choices that are made from a trial, as far as its sweep has come to them.
    pub fn choices_from(&self, key: TrialKey) -> Vec<ChoiceId> {
        let Some(source) = self.stage(key.stage) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        if let Some(Gate::Repetitions(until)) = source.gate() {
            let mut looks = std::iter::successors(Some(until.min), |now| Some(until.next(*now)));
            while let Some(now) = looks.next().filter(|now| *now < until.max) {
                if now > key.repetition {
                    found.extend(until.cell(key.index, now).map(|cell| ChoiceId {
                        stage: key.stage,
                        rule: source.gate_rule(),
                        cell,
                    }));
                }
            }
        }
        for (stage, of) in (0..).zip(self.stages()).skip(key.stage as usize + 1) {
            for (rule, taken) in (0..).zip(of.rules()) {
                if taken.rule.source == key.stage
                    && let Some(cell) = taken.cell(|setting| source.value_at(key.index, setting))
                    && taken.cells().binary_search(&cell).is_ok()
                {
                    found.push(ChoiceId { stage, rule, cell });
                }
            }
            if let Some(Gate::Points(rung)) = of.gate()
                && rung.source == key.stage
                && let Some(cell) = rung.cell(key.index)
            {
                let rule = of.gate_rule();
                found.push(ChoiceId { stage, rule, cell });
            }
        }
        found
    }

    /// Whether a decision has anything to be made from: its point has come as far as to it.
    pub(crate) fn is_reached(&self, choice: ChoiceId) -> bool {
        match self.chooses(choice) {
            Some(Chooses::Points(rung)) if !rung.rule.is_joint() => self
                .stage(rung.source)
                .is_some_and(|source| source.has(choice.cell)),
            chooses => chooses.is_some(),
        }
    }

    /// The decisions on the points that a point is compared with and that have come as far, the nearest first: they are made
    /// before.
    pub(crate) fn predecessors(&self, choice: ChoiceId) -> impl Iterator<Item = ChoiceId> + '_ {
        let rung = match self.chooses(choice) {
            Some(Chooses::Points(rung)) if !rung.rule.is_joint() => Some(rung),
            _ => None,
        };
        let before = rung.into_iter().flat_map(move |rung| {
            let source = self.stage(rung.source);
            let there = move |index: &u64| source.is_some_and(|source| source.has(*index));
            rung.before(choice.cell).filter(there)
        });
        before.map(move |cell| ChoiceId { cell, ..choice })
    }

    /// The decision that a trial waits for at its stage's gate; none where it waits for none.
    pub(crate) fn decision_for(&self, key: TrialKey) -> Option<ChoiceId> {
        let stage = self.stage(key.stage)?;
        match stage.at_gate(key.index, key.repetition) {
            Passage::Waits => self.next_decision(key.stage, key.index),
            Passage::Free | Passage::LeftOut => None,
        }
    }

    /// The decision about a point that is made next at its stage's gate; none when nothing is left to be decided.
    pub(crate) fn next_decision(&self, number: u32, index: u64) -> Option<ChoiceId> {
        let stage = self.stage(number).filter(|stage| !stage.is_decided(index))?;
        let cell = match stage.gate()? {
            Gate::Points(rung) => rung.cell(index)?,
            Gate::Repetitions(until) => until.cell(index, stage.granted(index)?)?,
        };
        Some(ChoiceId {
            stage: number,
            rule: stage.gate_rule(),
            cell,
        })
    }

    /// The decision by which a trial is left out; none when it is not.
    pub(crate) fn left_out_by(&self, key: TrialKey) -> Option<ChoiceId> {
        if self.passage(key) != Passage::LeftOut {
            return None;
        }
        let mut number = key.stage;
        loop {
            let stage = self.stage(number)?;
            let cell = match stage.gate()? {
                Gate::Repetitions(until) => until.cell(key.index, stage.granted(key.index)?)?,
                Gate::Points(rung) => {
                    // What was left out at a rung before came to no decision here.
                    if !self.stage(rung.source)?.has(key.index) {
                        number = rung.source;
                        continue;
                    }
                    rung.cell(key.index)?
                }
            };
            return Some(ChoiceId {
                stage: number,
                rule: stage.gate_rule(),
                cell,
            });
        }
    }

    /// Whether a trial may be run.
    pub fn passage(&self, key: TrialKey) -> Passage {
        let stage = self.stage(key.stage);
        stage.map_or(Passage::LeftOut, |stage| stage.passage(key.index, key.repetition))
    }
}
