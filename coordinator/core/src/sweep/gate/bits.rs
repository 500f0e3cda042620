//! Sets of points that are copied often: a bit a point.

/// A set of small numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bits {
    /// The last is never 0, so that equal sets are equal.
    words: Vec<u64>,
    len: u64,
}

fn place(number: u64) -> (usize, u64) {
    ((number / 64) as usize, 1 << (number % 64))
}

impl Bits {
    /// How many numbers it has.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        let (word, bit) = place(number);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    pub(super) fn insert(&mut self, number: u64) {
        if self.contains(number) {
            return;
        }
        let (word, bit) = place(number);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= bit;
        self.len += 1;
    }

    pub(super) fn remove(&mut self, number: u64) {
        if !self.contains(number) {
            return;
        }
        let (word, bit) = place(number);
        self.words[word] &= !bit;
        self.len -= 1;
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((any::<bool>(), 0u64..300), 0..60)) {
            let (mut bits, mut plain) = (Bits::default(), BTreeSet::new());
            for (add, number) in steps {
                match add {
                    true => {
                        bits.insert(number);
                        plain.insert(number);
                    }
                    false => {
                        bits.remove(number);
                        plain.remove(&number);
                    }
                }
                prop_assert_eq!(bits.len(), plain.len() as u64);
                prop_assert!((0..400).all(|number| bits.contains(number) == plain.contains(&number)));
                let mut again = Bits::default();
                plain.iter().for_each(|number| again.insert(*number));
                prop_assert_eq!(&again, &bits, "the order leaves no trace");
            }
        }
    }
}
