//! What a follower has printed and, cut off now, would be told again.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use tenfold_proto::v1::watch_response::Event;

/// Hashes of what was told by passes that reached further than the cursor, as it is while groups are held back. That lasts
/// a moment, so they are few.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// How far the pass reached that told it last.
    ahead: HashMap<u64, u64>,
}

impl Told {
    /// Takes in a closed pass, and leaves in it what is to be printed. The first one after a cut tells everything behind the
    /// cursor: what is there word for word already goes. A later one says again what it says again on purpose.
    pub(super) fn pass(&mut self, events: &mut Vec<Event>, is_first: bool, reached: u64, cursor: u64) {
        let repeats = is_first && !self.ahead.is_empty();
        if repeats || reached > cursor {
            let mut bytes = Vec::new();
            events.retain(|event| {
                if matches!(event, Event::Sweep(_)) {
                    return true;
                }
                bytes.clear();
                event.encode(&mut bytes);
                let mut hash = DefaultHasher::new();
                hash.write(&bytes);
                let before = self.ahead.insert(hash.finish(), reached);
                !(repeats && before.is_some())
            });
        }
        self.ahead.retain(|_, reached| *reached > cursor);
    }
}

#[cfg(test)]
mod tests {
    use tenfold_proto::v1;

    use super::*;

    fn choice(cell: u64) -> Event {
        Event::Choice(v1::Choice {
            cell,
            ..v1::Choice::default()
        })
    }

    fn printed(told: &mut Told, cells: &[u64], is_first: bool, reached: u64, cursor: u64) -> Vec<Event> {
        let mut events: Vec<Event> = cells.iter().map(|cell| choice(*cell)).collect();
        events.push(Event::Sweep(v1::SweepStatus::default()));
        told.pass(&mut events, is_first, reached, cursor);
        assert!(
            matches!(events.pop(), Some(Event::Sweep(_))),
            "where it stands is always said"
        );
        events
    }

    #[test]
    fn what_a_cut_repeats_is_printed_once() {
        let mut told = Told::default();
        assert_eq!(
            printed(&mut told, &[1, 2], true, 10, 5).len(),
            2,
            "a group is held back"
        );
        assert_eq!(
            printed(&mut told, &[3], false, 12, 5),
            [choice(3)],
            "and still is"
        );
        assert_eq!(printed(&mut told, &[1, 2, 3, 4], true, 14, 14), [choice(4)]);
        assert!(told.ahead.is_empty(), "the cursor has passed them");
    }

    #[test]
    fn without_a_cut_nothing_is_dropped() {
        let mut told = Told::default();
        for reached in 10..13 {
            assert_eq!(printed(&mut told, &[1], false, reached, 5), [choice(1)]);
        }
        assert_eq!(told.ahead.len(), 1);
        printed(&mut told, &[], false, 13, 11);
        assert_eq!(told.ahead.len(), 1, "told last by a pass that reached 12");
        printed(&mut told, &[], false, 13, 12);
        assert!(told.ahead.is_empty());
    }

    #[test]
    fn a_cursor_that_keeps_up_keeps_nothing() {
        let mut told = Told::default();
        assert_eq!(printed(&mut told, &[1, 2], true, 10, 10).len(), 2);
        assert!(told.ahead.is_empty());
        assert_eq!(printed(&mut told, &[1], true, 11, 11), [choice(1)]);
    }
}
