//! What the trials of a stage wait for, and what it comes to by what is decided.

use super::super::gate::{Gate, Passage};
use super::super::taken::Taken;
use super::Stage;

impl Stage {
    /// The axes whose values it takes from earlier stages.
    pub fn rules(&self) -> &[Taken] {
        &self.inner.taken
    }

    /// What its trials wait for, beside values.
    pub fn gate(&self) -> Option<&Gate> {
        self.inner.gate.as_ref()
    }

    /// The number of its gate among the rules of choices: that behind the last of [`rules`](Self::rules).
    pub fn gate_rule(&self) -> u32 {
        self.inner.taken.len() as u32
    }

    /// Whether its trials depend on what is chosen or decided while the sweep runs.
    pub fn is_gated(&self) -> bool {
        !self.inner.taken.is_empty() || self.inner.gate.is_some()
    }

    /// The repetitions of each point that may be run as soon as the sweep is submitted.
    pub(crate) fn free_repetitions(&self) -> u32 {
        match self.gate() {
            _ if !self.inner.taken.is_empty() => 0,
            Some(Gate::Points(_)) => 0,
            Some(Gate::Repetitions(until)) => until.min,
            None => self.repetitions,
        }
    }

    /// Whether a trial may be run.
    pub fn passage(&self, index: u64, repetition: u32) -> Passage {
        match self.at_gate(index, repetition) {
            Passage::Free if !self.is_resolved(index) => Passage::Waits,
            passage => passage,
        }
    }

    /// Whether a trial may be run, as far as the gate goes.
    pub(in crate::sweep) fn at_gate(&self, index: u64, repetition: u32) -> Passage {
        let passage = self
            .gate()
            .map(|gate| self.decided.passage(gate, index, repetition));
        passage.unwrap_or(Passage::Free)
    }

    /// How often a point is run: as often as the stage says, or no more than was enough.
    pub fn repetitions_of(&self, index: u64) -> u32 {
        self.decided.repetitions(index).unwrap_or(self.repetitions)
    }

    /// How many repetitions a point may have by what was decided so far; none without a gate for them.
    pub(in crate::sweep) fn granted(&self, index: u64) -> Option<u32> {
        match self.gate()? {
            Gate::Points(_) => None,
            Gate::Repetitions(until) => Some(self.decided.granted_now(until, index)),
        }
    }

    /// Whether a point goes on or is left out by what was decided at the gate.
    pub(crate) fn is_decided(&self, index: u64) -> bool {
        self.gate().is_some_and(|gate| self.decided.has(gate, index))
    }

    /// Whether it may still come to fewer trials than it has now, by what is decided at its gate.
    pub fn may_shrink(&self) -> bool {
        let decided = self.gate().map(|gate| self.decided.count(gate));
        decided.is_some_and(|decided| decided < self.inner.grid.points())
    }

    /// The most points that are run, as far as that is known.
    pub fn most_points(&self) -> u64 {
        match self.gate() {
            Some(Gate::Points(rung)) => rung.most().min(self.points()),
            _ => self.points(),
        }
    }

    /// The most trials that are run, as far as that is known.
    pub fn most_trials(&self) -> u64 {
        self.trials()
            .min(self.most_points() * u64::from(self.repetitions))
    }

    /// How often each point is run at least, where repetitions are added by need.
    pub fn min_repetitions(&self) -> Option<u32> {
        match self.gate() {
            Some(Gate::Repetitions(until)) => Some(until.min),
            _ => None,
        }
    }
}
