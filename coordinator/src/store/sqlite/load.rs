//! Loading all that the state is made of, and missing what is not there.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tenfold_core::record::{Record, RefusedSweep};
use tenfold_types::{Fence, SweepId, TrialId, TrialKey};

use super::meta::Meta;
use super::number_of;
use super::read::of_attempt;
use crate::store::census::{self, Census};
use crate::store::changes::{self, Counts};
use crate::store::checks::Checks;
use crate::store::columns::Columns;
use crate::store::rows;
use crate::store::{StoreError, error};

pub(super) struct Loaded {
    pub(super) numbers: BTreeMap<SweepId, u64>,
    pub(super) meta: Meta,
}

/// A load on its way.
struct Load<'a> {
    transaction: Transaction<'a>,
    checks: &'a Checks,
    visit: &'a mut dyn FnMut(Record),
    sweeps: Vec<(i64, SweepId, String)>,
    refused: BTreeSet<i64>,
    /// Rows of trials that are not what was written.
    damaged: Vec<(i64, TrialKey)>,
    held: Vec<(i64, TrialId, Fence)>,
}

pub(super) fn load(
    connection: &mut Connection,
    checks: &Checks,
    visit: &mut dyn FnMut(Record),
) -> Result<Loaded, StoreError> {
    // One transaction, so that all of it is of one moment.
    let transaction = connection.transaction()?;
    let meta = Meta::read(&transaction)?;
    visit(Record::Counters(meta.counters()));
    let mut load = Load {
        transaction,
        checks,
        visit,
        sweeps: Vec::new(),
        refused: BTreeSet::new(),
        damaged: Vec::new(),
        held: Vec::new(),
    };
    let mut numbers = load.sweeps(&meta)?;
    load.workers()?;
    load.requests()?;
    load.leases()?;
    let mut counts = BTreeMap::new();
    for (number, id, name) in load.sweeps.clone() {
        numbers.insert(id, number as u64);
        let of_sweep = load.counts(number)?;
        counts.extend(of_sweep.map(|counts| (number, counts)));
        if let Some(why) = load.extensions_and_choices(number, id, of_sweep)? {
            load.refuse(census::refused(number, id, &name, why));
        }
    }
    for (number, id, name) in load.sweeps.clone() {
        if !load.refused.contains(&number)
            && let Some(why) = load.trials(number, id, counts.get(&number).copied())?
        {
            load.refuse(census::refused(number, id, &name, why));
        }
    }
    load.epochs()?;
    load.remove_damaged()?;
    load.transaction.commit()?;
    Ok(Loaded { numbers, meta })
}

impl Load<'_> {
    fn refuse(&mut self, sweep: RefusedSweep) {
        census::say_refused(&sweep);
        let number = sweep.number as i64;
        self.refused.insert(number);
        self.held.retain(|(of, ..)| *of != number);
        (self.visit)(Record::Refused(sweep));
    }

    /// Those that are refused at once, by their ids.
    fn sweeps(&mut self, meta: &Meta) -> Result<BTreeMap<SweepId, u64>, StoreError> {
        let mut refused = Vec::new();
        let mut there = 0;
        {
            let select = format!("SELECT {} FROM sweep ORDER BY number", rows::SWEEP);
            let mut select = self.transaction.prepare(&select)?;
            let mut found = select.query([])?;
            while let Some(row) = found.next()? {
                there += 1;
                if !self.checks.holds("sweep", 0, row, rows::SWEEP_SUM)? {
                    refused.push(census::unreadable(row));
                    continue;
                }
                let row = rows::sweep(row)?;
                // Readers find it by its id, through an index.
                if number_of(&self.transaction, row.id)? != Some(row.number as i64) {
                    let why = "the index does not find it by its id".to_owned();
                    refused.push(census::refused(row.number as i64, row.id, &row.name, why));
                    continue;
                }
                self.sweeps.push((row.number as i64, row.id, row.name.clone()));
                (self.visit)(Record::Sweep(row));
            }
        }
        if there != meta.there {
            refused.extend(self.lost_sweeps()?.into_iter().map(census::lost));
            if refused.is_empty() || there > meta.there {
                return Err(census::sweeps(there, meta.there));
            }
        }
        let mut ids = BTreeMap::new();
        for sweep in refused {
            ids.extend(sweep.id.map(|id| (id, sweep.number)));
            self.refuse(sweep);
        }
        Ok(ids)
    }

    /// The numbers of sweeps that have changed and have no row.
    fn lost_sweeps(&self) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT DISTINCT sweep FROM change WHERE sweep NOT IN (SELECT number FROM sweep) \
                   AND sweep NOT IN (SELECT sweep FROM gone)";
        let mut select = self.transaction.prepare(sql)?;
        let lost = select.query_map([], |row| row.get(0))?;
        Ok(lost.collect::<Result<_, _>>()?)
    }

    fn workers(&mut self) -> Result<(), StoreError> {
        let mut select = self
            .transaction
            .prepare("SELECT id, row FROM worker ORDER BY id")?;
        let mut found = select.query([])?;
        while let Some(row) = found.next()? {
            match rows::worker(row) {
                Ok(row) => (self.visit)(Record::Worker(row)),
                // It registers again when it is not known.
                Err(error) => tracing::warn!(%error, "the row of a worker is damaged on disk"),
            }
        }
        Ok(())
    }

    fn requests(&mut self) -> Result<(), StoreError> {
        let select = format!("SELECT {} FROM request ORDER BY number", rows::REQUEST);
        let mut select = self.transaction.prepare(&select)?;
        let mut found = select.query([])?;
        while let Some(row) = found.next()? {
            match rows::request(row) {
                Ok(row) => (self.visit)(Record::Request(row)),
                // Nothing follows from it but the answer to a repetition.
                Err(error) => tracing::warn!(%error, "a kept answer is damaged on disk"),
            }
        }
        Ok(())
    }

    fn leases(&mut self) -> Result<(), StoreError> {
        let ids: BTreeMap<i64, SweepId> = self.sweeps.iter().map(|(number, id, _)| (*number, *id)).collect();
        let select = format!(
            "SELECT {}, sweep FROM lease WHERE trials IS NOT NULL ORDER BY fence",
            rows::LEASE
        );
        let mut select = self.transaction.prepare(&select)?;
        let mut found = select.query([])?;
        while let Some(row) = found.next()? {
            let number = row.get("sweep").unwrap_or(0);
            let whole = self.checks.holds("lease", number, row, rows::LEASE_SUM)?
                && rows::lease_trials_hold(self.checks, number, row)?;
            match ids.get(&number).filter(|_| whole) {
                Some(sweep) => (self.visit)(Record::Lease(rows::lease(*sweep, row)?)),
                // Its trials wait again.
                None => tracing::warn!(
                    sweep = number,
                    "the row of a lease is damaged on disk, or its sweep is"
                ),
            }
        }
        Ok(())
    }

    /// Why the sweep is refused, if it is.
    fn extensions_and_choices(
        &mut self,
        number: i64,
        id: SweepId,
        counts: Option<Counts>,
    ) -> Result<Option<String>, StoreError> {
        let (mut extensions, mut choices) = (Vec::new(), Vec::new());
        let select = format!(
            "SELECT {} FROM extension WHERE sweep = ?1 ORDER BY number",
            rows::EXTENSION
        );
        let mut select = self.transaction.prepare_cached(&select)?;
        let mut found = select.query([number])?;
        while let Some(row) = found.next()? {
            if !self.checks.holds("extension", number, row, rows::EXTENSION_SUM)? {
                return Ok(Some(census::EXTENSION.to_owned()));
            }
            extensions.push(rows::extension(id, row)?);
        }
        let select = format!("SELECT {} FROM choice WHERE sweep = ?1", rows::CHOICE);
        let mut select = self.transaction.prepare_cached(&select)?;
        let mut found = select.query([number])?;
        while let Some(row) = found.next()? {
            if !self.checks.holds("choice", number, row, rows::CHOICE_SUM)? {
                return Ok(Some(census::CHOICE.to_owned()));
            }
            choices.push(rows::choice(id, row)?);
        }
        if let Some(why) = census::refuses(counts, choices.len() as u64, extensions.len() as u64) {
            return Ok(Some(why));
        }
        extensions
            .into_iter()
            .for_each(|row| (self.visit)(Record::Extension(row)));
        choices
            .into_iter()
            .for_each(|row| (self.visit)(Record::Choice(row)));
        Ok(None)
    }

    /// How many rows a sweep has; none where an earlier version left it.
    fn counts(&self, number: i64) -> Result<Option<Counts>, StoreError> {
        let select = format!(
            "SELECT {} FROM change WHERE sweep = ?1 AND counted IS NOT NULL ORDER BY seq DESC LIMIT 1",
            rows::CHANGE
        );
        let mut select = self.transaction.prepare_cached(&select)?;
        let mut found = select.query([number])?;
        let Some(row) = found.next()? else {
            return Ok(None);
        };
        // One that is damaged says nothing, and the rows themselves have their checksums.
        Ok(
            match self.checks.holds("change", number, row, rows::CHANGE_SUM)? {
                true => row.bytes_or_null(3)?.and_then(changes::counts),
                false => None,
            },
        )
    }

    /// Why the sweep is refused, if it is.
    fn trials(
        &mut self,
        number: i64,
        id: SweepId,
        counts: Option<Counts>,
    ) -> Result<Option<String>, StoreError> {
        let mut census = Census::default();
        {
            let select = format!("SELECT {} FROM trial WHERE sweep = ?1", rows::TRIAL);
            let mut select = self.transaction.prepare_cached(&select)?;
            let mut found = select.query([number])?;
            while let Some(row) = found.next()? {
                if !self.checks.holds("trial", number, row, rows::TRIAL_SUM)? {
                    census.damaged.extend(rows::key(row, 0));
                    continue;
                }
                let row = rows::trial(id, row)?;
                census.whole(row.id.key);
                let held = row.state.holder();
                self.held.extend(held.map(|(fence, _)| (number, row.id, fence)));
                (self.visit)(Record::Trial(row));
            }
        }
        let mut missed = Vec::new();
        if census.misses(counts) {
            let there = self.whole_trials(number)?;
            missed = census::missed(id, self.named(number)?, &there);
            for damage in &mut missed {
                damage.attempts = self.attempts(number, damage.trial.key)?;
            }
        }
        if let Some(why) = census.refuses(counts, missed.len()) {
            return Ok(Some(why));
        }
        self.damaged
            .extend(census.damaged.into_iter().map(|key| (number, key)));
        for damage in missed {
            tracing::error!(trial = %damage.trial, what = damage.what, "a trial is damaged on disk");
            (self.visit)(Record::Damaged(damage));
        }
        Ok(None)
    }

    /// The trials whose rows are what was written.
    fn whole_trials(&self, number: i64) -> Result<BTreeSet<TrialKey>, StoreError> {
        let select = format!("SELECT {} FROM trial WHERE sweep = ?1", rows::TRIAL);
        let mut select = self.transaction.prepare_cached(&select)?;
        let mut found = select.query([number])?;
        let mut there = BTreeSet::new();
        while let Some(row) = found.next()? {
            if self.checks.holds("trial", number, row, rows::TRIAL_SUM)? {
                there.insert(rows::key(row, 0)?);
            }
        }
        Ok(there)
    }

    /// The trials that commits say have rows.
    fn named(&self, number: i64) -> Result<BTreeSet<TrialKey>, StoreError> {
        let select = format!("SELECT {} FROM change WHERE sweep = ?1", rows::CHANGE);
        let mut select = self.transaction.prepare_cached(&select)?;
        let mut found = select.query([number])?;
        let mut named = BTreeSet::new();
        while let Some(row) = found.next()? {
            // What a damaged one names, others name as well: a trial's row changes several times.
            if let Ok(commit) = changes::Commit::read(self.checks, number, row, false) {
                named.extend(commit.which(changes::TRIAL));
            }
        }
        Ok(named)
    }

    /// The highest number of an attempt at a trial that has left a trace.
    fn attempts(&self, number: i64, key: TrialKey) -> Result<u32, StoreError> {
        let sql = "SELECT max(number) FROM (SELECT number FROM attempt \
                   WHERE sweep = ?1 AND stage = ?2 AND point = ?3 AND repetition = ?4 \
                   UNION ALL SELECT attempt FROM epochs \
                   WHERE sweep = ?1 AND stage = ?2 AND point = ?3 AND repetition = ?4)";
        let of = params![number, key.stage, key.index as i64, key.repetition];
        let most = self
            .transaction
            .query_row(sql, of, |row| row.get::<_, Option<u32>>(0))
            .optional();
        Ok(most.ok().flatten().flatten().unwrap_or(0))
    }

    /// The epochs of trials that workers hold.
    fn epochs(&mut self) -> Result<(), StoreError> {
        // A look-up a held trial, and no join: as a join SQLite reads all epochs ever stored.
        let mut epochs = self.transaction.prepare(&of_attempt())?;
        for (number, TrialId { sweep, key }, fence) in std::mem::take(&mut self.held) {
            let of = params![
                number,
                key.stage,
                key.index as i64,
                key.repetition,
                fence.0 as i64
            ];
            let mut found = epochs.query(of)?;
            while let Some(row) = found.next()? {
                if self.checks.holds("epochs", number, row, rows::EPOCHS_SUM)? {
                    (self.visit)(Record::Epochs(rows::epochs(sweep, row)?));
                    continue;
                }
                (self.visit)(Record::Damaged(error::epochs(TrialId { sweep, key }, fence)));
            }
        }
        Ok(())
    }

    /// Removes rows of trials that are not what was written: under the keys that they have now they may be those of others.
    fn remove_damaged(&self) -> Result<(), StoreError> {
        for (number, key) in &self.damaged {
            let of = params![number, key.stage, key.index as i64, key.repetition];
            let removed = self.transaction.execute(
                "DELETE FROM trial WHERE sweep = ?1 AND stage = ?2 AND point = ?3 AND repetition = ?4",
                of,
            )?;
            tracing::error!(sweep = number, %key, removed, "the row of a trial is not what was written");
        }
        Ok(())
    }
}
