//! What was decided at a gate.

use std::collections::{BTreeMap, BTreeSet};

use super::bits::Bits;
use super::{Gate, Passage, Until};

/// What was decided at a stage's gate.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::sweep) struct Decided {
    /// Points that go on.
    kept: Bits,
    /// Points that are left out.
    out: Bits,
    /// For points with further repetitions how many they may have; no more than that when it is final.
    granted: BTreeMap<u64, (u32, bool)>,
    /// Trials that are left out of points that are there.
    closed: u64,
    /// Points whose repetitions are final.
    settled: u64,
}

impl Decided {
    pub(in crate::sweep) fn is_out(&self, index: u64) -> bool {
        self.out.contains(index)
    }

    /// How many points are left out.
    pub(in crate::sweep) fn out(&self) -> u64 {
        self.out.len()
    }

    /// How many trials of points that are there are left out.
    pub(in crate::sweep) fn closed(&self) -> u64 {
        self.closed
    }

    /// How often a point is run, as far as that is final; none while it may be run as often as the stage says.
    pub(in crate::sweep) fn repetitions(&self, index: u64) -> Option<u32> {
        let granted = self.granted.get(&index);
        granted
            .filter(|(_, last)| *last)
            .map(|(repetitions, _)| *repetitions)
    }

    pub(in crate::sweep) fn passage(&self, gate: &Gate, index: u64, repetition: u32) -> Passage {
        match gate {
            Gate::Points(_) if self.kept.contains(index) => Passage::Free,
            Gate::Points(_) if self.out.contains(index) => Passage::LeftOut,
            Gate::Points(_) => Passage::Waits,
            Gate::Repetitions(until) => match self.granted.get(&index) {
                Some((granted, _)) if repetition < *granted => Passage::Free,
                Some((_, true)) => Passage::LeftOut,
                None if repetition < until.min => Passage::Free,
                _ => Passage::Waits,
            },
        }
    }

    /// How many repetitions a point may have by now.
    pub(in crate::sweep) fn granted_now(&self, until: &Until, index: u64) -> u32 {
        self.granted
            .get(&index)
            .map_or(until.min, |(granted, _)| *granted)
    }

    /// Whether nothing is left to be decided on a point.
    pub(in crate::sweep) fn has(&self, gate: &Gate, index: u64) -> bool {
        match gate {
            Gate::Points(_) => self.kept.contains(index) || self.out.contains(index),
            Gate::Repetitions(until) => {
                let granted = self.granted.get(&index);
                granted.is_some_and(|(granted, last)| *last || *granted >= until.max)
            }
        }
    }

    /// On how many points nothing is left to be decided.
    pub(in crate::sweep) fn count(&self, gate: &Gate) -> u64 {
        match gate {
            Gate::Points(_) => self.kept.len() + self.out.len(),
            Gate::Repetitions(_) => self.settled,
        }
    }

    /// Takes in which of these points go on; none while that is to be decided again.
    pub(in crate::sweep) fn points(&mut self, of: &[u64], kept: Option<&BTreeSet<u64>>) {
        for index in of {
            self.kept.remove(*index);
            self.out.remove(*index);
            match kept {
                Some(kept) if kept.contains(index) => self.kept.insert(*index),
                Some(_) => self.out.insert(*index),
                None => {}
            }
        }
    }

    /// Takes in how many repetitions a point has after it was looked at with so many: no more than those when they are
    /// enough; none while that is to be decided again.
    pub(in crate::sweep) fn granted(&mut self, until: &Until, index: u64, now: u32, then: Option<u32>) {
        let gate = Gate::Repetitions(*until);
        self.settled -= u64::from(self.has(&gate, index));
        if let Some((granted, true)) = self.granted.remove(&index) {
            self.closed -= u64::from(until.max - granted);
        }
        match then {
            Some(then) if then <= now => {
                self.granted.insert(index, (now, true));
                self.closed += u64::from(until.max - now);
            }
            Some(then) => _ = self.granted.insert(index, (then.min(until.max), false)),
            None if now > until.min => _ = self.granted.insert(index, (now, false)),
            None => {}
        }
        self.settled += u64::from(self.has(&gate, index));
    }
}
