//! How often a stage was to be run before anybody could have seen a result, and what had been seen when it was extended.

use super::Stage;

/// An extension of a stage by somebody who could have seen results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The number of repetitions before.
    pub before: u32,
    /// The number of repetitions since.
    pub after: u32,
    /// The number of pairs that were complete; `None` where that was not recorded: all may have been.
    pub seen: Option<u32>,
}

impl Look {
    /// Returns the number of pairs that were complete, all of those before where that was not recorded.
    pub fn pairs(&self) -> u32 {
        self.seen.unwrap_or(self.before)
    }
}

impl Stage {
    /// Returns the same with so many repetitions. An extension before any pair was complete is a part of the plan: nothing was
    /// seen that could have led to it.
    pub(in crate::sweep) fn repeated(&self, repetitions: u32, seen: Option<u32>) -> Self {
        let look = Look {
            before: self.repetitions,
            after: repetitions,
            seen,
        };
        let is_plan = self.looks.is_empty() && look.pairs() == 0;
        let (planned, looks) = match is_plan {
            true => (repetitions, self.looks.clone()),
            false => {
                let looks = self.looks.iter().copied().chain([look]);
                (self.planned, looks.collect())
            }
        };
        Self {
            repetitions,
            planned,
            looks,
            ..self.clone()
        }
    }

    /// Returns how often each point was to be run by the plan: as often as the sweep was submitted with, or was extended to
    /// before any pair was complete.
    pub fn planned_repetitions(&self) -> u32 {
        self.planned
    }

    /// Returns the extensions beyond the plan, in order.
    pub fn looks(&self) -> &[Look] {
        &self.looks
    }

    /// Returns how many repetitions a point may have by now: all, or where they are added by need those that were granted.
    pub fn granted_repetitions(&self, index: u64) -> u32 {
        self.granted(index).unwrap_or(self.repetitions)
    }
}
