//! Sets of places in line, kept as ranges.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

/// A set of numbers. Neighbours share an entry, so what is filled from the front takes one however long it grows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// From the first number of each run to the one behind its last. Runs never touch one another.
    runs: BTreeMap<u64, u64>,
}

impl Places {
    /// The end of the run that has this number, if one has.
    fn end_of_run(&self, place: u64) -> Option<u64> {
        let (_, end) = self.runs.range(..=place).next_back()?;
        (*end > place).then_some(*end)
    }

    pub(super) fn contains(&self, place: u64) -> bool {
        self.end_of_run(place).is_some()
    }

    /// The least number from this one on that is not in the set.
    pub(super) fn first_free(&self, from: u64) -> u64 {
        self.end_of_run(from).unwrap_or(from)
    }

    /// How many numbers from this one up to before that one are in the set.
    pub(super) fn count(&self, from: u64, to: u64) -> u64 {
        self.runs(from, to).map(|(start, end)| end - start).sum()
    }

    /// The runs of numbers from this one up to before that one.
    pub(super) fn runs(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
        let first = self.end_of_run(from).map(|end| (from, end.min(to)));
        let rest = self.runs.range((Excluded(from), Unbounded));
        let rest = rest.take_while(move |(start, _)| **start < to);
        let rest = rest.map(move |(start, end)| (*start, (*end).min(to)));
        first.into_iter().chain(rest)
    }

    /// Adds all numbers from this one up to before that one, of which none is there yet.
    pub(super) fn insert_run(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        let before = self.runs.range(..from).next_back();
        let start = before
            .filter(|(_, end)| **end == from)
            .map_or(from, |(first, _)| *first);
        let end = self.runs.remove(&to).unwrap_or(to);
        self.runs.insert(start, end);
    }

    pub(super) fn remove(&mut self, place: u64) {
        let Some((&first, &end)) = self.runs.range(..=place).next_back() else {
            return;
        };
        if end <= place {
            return;
        }
        match first == place {
            true => _ = self.runs.remove(&first),
            false => _ = self.runs.insert(first, place),
        }
        if place + 1 < end {
            self.runs.insert(place + 1, end);
        }
    }

    pub(super) fn insert(&mut self, place: u64) {
        if self.contains(place) {
            return;
        }
        let mut start = place;
        if let Some((&first, &end)) = self.runs.range(..place).next_back()
            && end == place
        {
            start = first;
        }
        let mut end = place + 1;
        if let Some((&first, &last)) = self.runs.range((Excluded(place), Unbounded)).next()
            && first == end
        {
            self.runs.remove(&first);
            end = last;
        }
        self.runs.insert(start, end);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(numbers in prop::collection::vec(0u64..40, 0..80)) {
            let mut places = Places::default();
            let mut plain = BTreeSet::new();
            for number in numbers {
                places.insert(number);
                plain.insert(number);
                for place in 0..42 {
                    prop_assert_eq!(places.contains(place), plain.contains(&place));
                    let free = (place..).find(|place| !plain.contains(place));
                    prop_assert_eq!(Some(places.first_free(place)), free);
                    let within = plain.range(place.min(17)..17).count() as u64;
                    prop_assert_eq!(places.count(place.min(17), 17), within);
                }
            }
            let again = plain.iter().rev().fold(Places::default(), |mut places, number| {
                places.insert(*number);
                places
            });
            prop_assert_eq!(again, places, "the order leaves no trace");
        }

        #[test]
        fn what_is_removed_is_not_there(from in 0u64..20, length in 0u64..20, removed in prop::collection::vec(0u64..40, 0..40)) {
            let mut places = Places::default();
            places.insert(from + length);
            if from > 0 {
                places.insert(from - 1);
            }
            places.insert_run(from, from + length);
            let mut plain: BTreeSet<u64> = (from.saturating_sub(1)..=from + length).collect();
            for number in removed {
                places.remove(number);
                plain.remove(&number);
                let again = plain.iter().fold(Places::default(), |mut places, number| {
                    places.insert(*number);
                    places
                });
                prop_assert_eq!(&again, &places);
            }
        }
    }
}
