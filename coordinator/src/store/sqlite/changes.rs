//! What a commit changed of each sweep: a row that names its trials.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use tenfold_types::TrialKey;

use crate::store::{StoreError, What};

/// The trial's own row changed.
pub(super) const TRIAL: u8 = 1;
/// It has new epochs.
pub(super) const EPOCHS: u8 = 2;
/// It is over.
pub(super) const OVER: u8 = 4;

/// What a commit changes, by the numbers of sweeps.
#[derive(Default)]
pub(super) struct Changed(BTreeMap<i64, OfSweep>);

#[derive(Default)]
struct OfSweep {
    itself: bool,
    trials: Vec<(TrialKey, u8)>,
}

impl Changed {
    pub(super) fn sweep(&mut self, sweep: i64) {
        self.0.entry(sweep).or_default().itself = true;
    }

    pub(super) fn trial(&mut self, sweep: i64, key: TrialKey, is_over: bool) {
        self.note(sweep, key, if is_over { TRIAL | OVER } else { TRIAL });
    }

    pub(super) fn epochs(&mut self, sweep: i64, key: TrialKey) {
        self.note(sweep, key, EPOCHS);
    }

    fn note(&mut self, sweep: i64, key: TrialKey, what: u8) {
        let trials = &mut self.0.entry(sweep).or_default().trials;
        // A trial's records mostly follow one another.
        match trials.last_mut() {
            Some((last, flags)) if *last == key => *flags |= what,
            _ => trials.push((key, what)),
        }
    }

    /// Writes the rows of this commit.
    pub(super) fn write(self, connection: &Connection, seq: i64) -> Result<(), StoreError> {
        for (sweep, mut of) in self.0 {
            of.trials.sort_unstable();
            of.trials.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                if same {
                    kept.1 |= next.1;
                }
                same
            });
            let trials =
                postcard::to_allocvec(&of.trials).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            connection
                .prepare_cached("INSERT INTO change (sweep, seq, itself, trials) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![sweep, seq, of.itself, trials])?;
        }
        Ok(())
    }
}

/// A row read back.
pub(super) struct Commit {
    pub(super) seq: i64,
    pub(super) itself: bool,
    pub(super) trials: Vec<(TrialKey, u8)>,
}

/// The commits that changed a sweep behind one, oldest first, until they name so many trials; and whether those are all.
pub(super) fn behind(
    connection: &Connection,
    sweep: i64,
    since: i64,
    limit: usize,
) -> Result<(Vec<Commit>, bool), StoreError> {
    let sql = "SELECT seq, itself, trials FROM change WHERE sweep = ?1 AND seq > ?2 ORDER BY seq";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([sweep, since])?;
    let (mut commits, mut named) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        if named >= limit.max(1) {
            return Ok((commits, false));
        }
        let bytes = row
            .get_ref(2)?
            .as_blob()
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let trials: Vec<(TrialKey, u8)> = postcard::from_bytes(bytes)
            .map_err(|error| StoreError::Corrupt(format!("a list of trials: {error}")))?;
        let commit = Commit {
            seq: row.get(0)?,
            itself: row.get(1)?,
            trials,
        };
        named += commit.trials.len() + usize::from(commit.itself);
        commits.push(commit);
    }
    Ok((commits, true))
}

/// What these flags mean.
pub(super) fn what(flags: u8) -> What {
    What {
        row: flags & TRIAL != 0,
        epochs: flags & EPOCHS != 0,
        over: flags & OVER != 0,
    }
}
