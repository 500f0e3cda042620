//! Answers to requests that may come again.

use std::collections::BTreeMap;

use crate::record::RequestRow;

/// The answers that are kept, the oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests {
    rows: BTreeMap<u64, RequestRow>,
    numbers: BTreeMap<String, u64>,
    bytes: usize,
}

impl Requests {
    pub(super) fn get(&self, id: &str) -> Option<&RequestRow> {
        self.numbers.get(id).and_then(|number| self.rows.get(number))
    }

    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = &RequestRow> {
        self.rows.values()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn insert(&mut self, row: RequestRow) {
        self.numbers.insert(row.key.id.clone(), row.number);
        self.bytes += row.bytes();
        if let Some(before) = self.rows.insert(row.number, row) {
            self.bytes -= before.bytes();
        }
    }

    pub(super) fn forget(&mut self, through: u64) {
        let kept = self.rows.split_off(&(through + 1));
        for row in std::mem::replace(&mut self.rows, kept).into_values() {
            self.bytes -= row.bytes();
            self.numbers.remove(&row.key.id);
        }
    }

    /// Panics unless everything derived agrees with the rows. For tests.
    pub(super) fn check_invariants(&self) {
        let bytes: usize = self.rows().map(RequestRow::bytes).sum();
        assert_eq!(self.bytes, bytes, "bytes of kept answers");
        assert!(bytes <= RequestRow::MAX_BYTES, "{bytes} bytes of kept answers");
        assert_eq!(self.numbers.len(), self.rows.len(), "an id is kept twice");
        for row in self.rows() {
            assert_eq!(
                self.get(&row.key.id),
                Some(row),
                "an answer that its id does not find"
            );
        }
    }
}
