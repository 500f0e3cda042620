//! What is missed while a store is loaded.

use std::collections::BTreeSet;

use tenfold_core::record::{Damage, RefusedSweep};
use tenfold_types::{SweepId, TrialId, TrialKey};

use super::StoreError;
use super::changes::Counts;
use super::columns::Columns;

/// The rows of a sweep's trials as they are loaded, in the order of their keys.
#[derive(Default)]
pub(super) struct Census {
    whole: u64,
    last: Option<(u32, u64, u32)>,
    /// Rows that are not what was written, by the keys that they have now.
    pub(super) damaged: Vec<TrialKey>,
    disordered: bool,
}

impl Census {
    /// Takes in the key of a row that is what was written.
    pub(super) fn whole(&mut self, key: TrialKey) {
        let place = (key.stage, key.index, key.repetition);
        self.disordered |= self.last.is_some_and(|last| last >= place);
        self.last = Some(place);
        self.whole += 1;
    }

    /// Whether rows are missed, or may be.
    pub(super) fn misses(&self, counts: Option<Counts>) -> bool {
        !self.damaged.is_empty() || counts.is_some_and(|(trials, ..)| trials != self.whole)
    }

    /// Why the sweep cannot be served, if so, when these trials are missed and known.
    pub(super) fn refuses(&self, counts: Option<Counts>, missed: usize) -> Option<String> {
        if self.disordered {
            return Some("the rows of its trials are in no order".to_owned());
        }
        let (expected, ..) = counts?;
        let known = self.whole + missed as u64;
        (known != expected)
            .then(|| format!("it has {expected} rows of trials, and {known} of them are known of"))
    }
}

/// The trials that commits named and that have no row.
pub(super) fn missed(
    sweep: SweepId,
    named: impl IntoIterator<Item = TrialKey>,
    there: &BTreeSet<TrialKey>,
) -> Vec<Damage> {
    let named: BTreeSet<TrialKey> = named.into_iter().collect();
    let missed = named.difference(there).map(|key| Damage {
        trial: TrialId { sweep, key: *key },
        fence: None,
        attempts: 0,
        what: "its row is lost".to_owned(),
    });
    missed.collect()
}

/// Why a sweep cannot be served that has so many choices and extensions, if so.
pub(super) fn refuses(counts: Option<Counts>, choices: u64, extensions: u64) -> Option<String> {
    let (_, of_choices, of_extensions) = counts?;
    let less =
        |what: &str, there: u64, of: u64| format!("it has {of} {what}, and {there} of them are on disk");
    if choices != of_choices {
        return Some(less("choices between stages", choices, of_choices));
    }
    (extensions != of_extensions).then(|| less("extensions", extensions, of_extensions))
}

/// A sweep whose row is not what was written: as much of it as can be read.
pub(super) fn unreadable(row: &impl Columns) -> RefusedSweep {
    RefusedSweep {
        number: row.integer(0).map_or(0, |number| number as u64),
        id: row.bytes(1).ok().and_then(SweepId::from_bytes),
        name: row.text(2).unwrap_or_default(),
        why: "its row is not what was written".to_owned(),
    }
}

/// A sweep of which no row is left.
pub(super) fn lost(number: i64) -> RefusedSweep {
    RefusedSweep {
        number: number as u64,
        id: None,
        name: String::new(),
        why: "its row is lost".to_owned(),
    }
}

/// A sweep that cannot be served for this reason.
pub(super) fn refused(number: i64, id: SweepId, name: &str, why: String) -> RefusedSweep {
    RefusedSweep {
        number: number as u64,
        id: Some(id),
        name: name.to_owned(),
        why,
    }
}

/// The counters are not what was written.
pub(super) fn counters() -> StoreError {
    StoreError::Corrupt(
        "the row of its counters is not what was written; restore a backup of the store".to_owned(),
    )
}

/// There are not as many sweeps as there should be, and it is not known which.
pub(super) fn sweeps(there: i64, expected: i64) -> StoreError {
    StoreError::Corrupt(format!(
        "{there} sweeps are there, and {expected} should be; restore a backup of the store"
    ))
}

pub(super) const EXTENSION: &str = "an extension of it is not what was written";
pub(super) const CHOICE: &str = "a choice between its stages is not what was written";

/// Says that a sweep is not served.
pub(super) fn say_refused(sweep: &RefusedSweep) {
    let RefusedSweep {
        number, name, why, ..
    } = sweep;
    tracing::error!(number, name, why, "a sweep is damaged on disk and not served");
}
