//! Epochs of one trial that are not acknowledged yet, kept and sent again in order.

use std::collections::VecDeque;

use tenfold_types::Block;

/// The most epochs that one block is joined up to.
const JOIN: u32 = 256;

/// What a trainer has handed over and the coordinator has not acknowledged.
#[derive(Debug, Default)]
pub struct Outbox {
    blocks: VecDeque<Block>,
    acknowledged: u32,
    last: u32,
}

impl Outbox {
    /// Adds the next epochs. False, and nothing changes, when they leave a gap or repeat.
    #[must_use]
    pub fn push(&mut self, block: Block) -> bool {
        if block.epochs == 0 || block.first != self.last + 1 {
            return false;
        }
        self.last = block.last();
        // Fewer, longer blocks: while the coordinator is away they pile up epoch by epoch.
        if !self
            .blocks
            .back_mut()
            .is_some_and(|back| back.epochs < JOIN && back.join(&block))
        {
            self.blocks.push_back(block);
        }
        true
    }

    /// Epochs 1 to this one are durable: they need not be sent again.
    pub fn acknowledge(&mut self, epochs: u32) {
        self.acknowledged = self.acknowledged.max(epochs.min(self.last));
        while let Some(front) = self.blocks.front() {
            if front.last() <= self.acknowledged {
                self.blocks.pop_front();
            } else {
                if let Some(rest) = front.from_epoch(self.acknowledged + 1) {
                    self.blocks[0] = rest;
                }
                break;
            }
        }
    }

    /// What is to be sent, in order.
    pub fn pending(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter()
    }

    /// Whether everything is acknowledged.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The last epoch handed over; 0 before the first.
    pub fn last(&self) -> u32 {
        self.last
    }

    /// About how much memory the epochs take, in bytes.
    pub fn bytes(&self) -> usize {
        self.blocks.iter().map(bytes).sum()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.blocks.clear();
    }
}

/// About how much memory a block takes, in bytes; a message takes no more for it.
pub(crate) fn bytes(block: &Block) -> usize {
    4 * (block.columns.len() + block.seconds.len()) + size_of::<Block>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(first: u32, epochs: u32) -> Block {
        let value = |metric: u32| (first..first + epochs).map(move |epoch| (metric * 1000 + epoch) as f32);
        Block {
            first,
            epochs,
            columns: value(1).chain(value(2)).collect(),
            seconds: vec![0.5; epochs as usize],
        }
    }

    #[test]
    fn only_the_next_epochs_are_taken() {
        let mut outbox = Outbox::default();
        assert!(!outbox.push(block(2, 1)), "a gap");
        assert!(outbox.push(block(1, 2)));
        assert!(!outbox.push(block(2, 1)), "a repeat");
        assert!(outbox.push(block(3, 1)));
        assert_eq!(outbox.last(), 3);
    }

    #[test]
    fn what_is_acknowledged_is_never_sent_again_and_the_rest_always() {
        for acknowledged in 0..=10 {
            let mut outbox = Outbox::default();
            for (first, epochs) in [(1, 3), (4, 1), (5, 4), (9, 2)] {
                assert!(outbox.push(block(first, epochs)));
            }
            outbox.acknowledge(acknowledged);
            outbox.acknowledge(acknowledged.saturating_sub(2));
            let mut next = acknowledged + 1;
            for pending in outbox.pending() {
                assert_eq!(
                    pending,
                    &block(next, pending.epochs),
                    "acknowledged {acknowledged}"
                );
                next = pending.last() + 1;
            }
            assert_eq!(next, 11);
            assert_eq!(outbox.is_empty(), acknowledged == 10);
        }
    }

    #[test]
    fn an_acknowledgement_of_more_than_was_sent_is_bounded() {
        let mut outbox = Outbox::default();
        assert!(outbox.push(block(1, 1)));
        outbox.acknowledge(99);
        assert!(outbox.push(block(2, 1)));
        assert_eq!(outbox.pending().next(), Some(&block(2, 1)));
    }
}
