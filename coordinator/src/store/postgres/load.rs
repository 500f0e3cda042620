//! Loading all that the state is made of, and missing what is not there.

use std::collections::{BTreeMap, BTreeSet};

use postgres::Transaction;
use postgres::fallible_iterator::FallibleIterator;
use tenfold_core::record::{Record, RefusedSweep};
use tenfold_types::{Fence, SweepId, TrialId, TrialKey};

use super::meta::Meta;
use super::read::{epochs_of_attempt, parameters};
use crate::store::census::{self, Census};
use crate::store::changes::{self, Counts};
use crate::store::checks::Checks;
use crate::store::columns::Columns;
use crate::store::rows;
use crate::store::{StoreError, error};

pub(super) struct Loaded {
    pub(super) numbers: BTreeMap<SweepId, i64>,
    pub(super) meta: Meta,
}

/// A load on its way.
struct Load<'a, 'c> {
    transaction: &'a mut Transaction<'c>,
    checks: &'a Checks,
    visit: &'a mut dyn FnMut(Record),
    sweeps: Vec<(i64, SweepId, String)>,
    refused: BTreeSet<i64>,
    /// Rows of trials that are not what was written.
    damaged: Vec<(i64, TrialKey)>,
    held: Vec<(i64, TrialId, Fence)>,
}

/// Within one transaction, so that all of it is of one moment.
pub(super) fn load(
    transaction: &mut Transaction<'_>,
    checks: &Checks,
    visit: &mut dyn FnMut(Record),
) -> Result<Loaded, StoreError> {
    let meta = Meta::read(transaction)?;
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
        numbers.insert(id, number);
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
    Ok(Loaded { numbers, meta })
}

impl Load<'_, '_> {
    fn refuse(&mut self, sweep: RefusedSweep) {
        census::say_refused(&sweep);
        let number = sweep.number as i64;
        self.refused.insert(number);
        self.held.retain(|(of, ..)| *of != number);
        (self.visit)(Record::Refused(sweep));
    }

    /// Those that are refused at once, by their ids.
    fn sweeps(&mut self, meta: &Meta) -> Result<BTreeMap<SweepId, i64>, StoreError> {
        let mut refused = Vec::new();
        let mut there = 0;
        let select = format!("SELECT {} FROM sweep ORDER BY number", rows::SWEEP);
        for row in self.transaction.query(&select, &[])? {
            there += 1;
            if !self.checks.holds("sweep", 0, &row, rows::SWEEP_SUM)? {
                refused.push(census::unreadable(&row));
                continue;
            }
            let row = rows::sweep(&row)?;
            self.sweeps.push((row.number as i64, row.id, row.name.clone()));
            (self.visit)(Record::Sweep(row));
        }
        if there != meta.there {
            let sql = "SELECT DISTINCT sweep FROM change WHERE sweep NOT IN (SELECT number FROM sweep) \
                       AND sweep NOT IN (SELECT sweep FROM gone)";
            let lost = self.transaction.query(sql, &[])?;
            refused.extend(lost.iter().map(|row| census::lost(row.get(0))));
            if refused.is_empty() || there > meta.there {
                return Err(census::sweeps(there, meta.there));
            }
        }
        let mut ids = BTreeMap::new();
        for sweep in refused {
            ids.extend(sweep.id.map(|id| (id, sweep.number as i64)));
            self.refuse(sweep);
        }
        Ok(ids)
    }

    fn workers(&mut self) -> Result<(), StoreError> {
        for row in self
            .transaction
            .query("SELECT id, row FROM worker ORDER BY id", &[])?
        {
            match rows::worker(&row) {
                Ok(row) => (self.visit)(Record::Worker(row)),
                // It registers again when it is not known.
                Err(error) => tracing::warn!(%error, "the row of a worker is damaged on disk"),
            }
        }
        Ok(())
    }

    fn requests(&mut self) -> Result<(), StoreError> {
        let select = format!("SELECT {} FROM request ORDER BY number", rows::REQUEST);
        for row in self.transaction.query(&select, &[])? {
            match rows::request(&row) {
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
        for row in self.transaction.query(&select, &[])? {
            let number: i64 = row.get("sweep");
            let whole = self.checks.holds("lease", number, &row, rows::LEASE_SUM)?
                && rows::lease_trials_hold(self.checks, number, &row)?;
            match ids.get(&number).filter(|_| whole) {
                Some(sweep) => (self.visit)(Record::Lease(rows::lease(*sweep, &row)?)),
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
            "SELECT {} FROM extension WHERE sweep = $1 ORDER BY number",
            rows::EXTENSION
        );
        for row in self.transaction.query(&select, &[&number])? {
            if !self
                .checks
                .holds("extension", number, &row, rows::EXTENSION_SUM)?
            {
                return Ok(Some(census::EXTENSION.to_owned()));
            }
            extensions.push(rows::extension(id, &row)?);
        }
        let select = format!("SELECT {} FROM choice WHERE sweep = $1", rows::CHOICE);
        for row in self.transaction.query(&select, &[&number])? {
            if !self.checks.holds("choice", number, &row, rows::CHOICE_SUM)? {
                return Ok(Some(census::CHOICE.to_owned()));
            }
            choices.push(rows::choice(id, &row)?);
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
    fn counts(&mut self, number: i64) -> Result<Option<Counts>, StoreError> {
        let select = format!(
            "SELECT {} FROM change WHERE sweep = $1 AND counted IS NOT NULL ORDER BY seq DESC LIMIT 1",
            rows::CHANGE
        );
        let Some(row) = self.transaction.query_opt(&select, &[&number])? else {
            return Ok(None);
        };
        // One that is damaged says nothing, and the rows themselves have their checksums.
        Ok(
            match self.checks.holds("change", number, &row, rows::CHANGE_SUM)? {
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
        let select = self.transaction.prepare(&trials_of_sweep())?;
        {
            // One after the other as they arrive: there may be millions.
            let mut found = self.transaction.query_raw(&select, [number])?;
            while let Some(row) = found.next()? {
                if !self.checks.holds("trial", number, &row, rows::TRIAL_SUM)? {
                    census.damaged.extend(rows::key(&row, 0));
                    continue;
                }
                let row = rows::trial(id, &row)?;
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
    fn whole_trials(&mut self, number: i64) -> Result<BTreeSet<TrialKey>, StoreError> {
        let select = self.transaction.prepare(&trials_of_sweep())?;
        let mut found = self.transaction.query_raw(&select, [number])?;
        let mut there = BTreeSet::new();
        while let Some(row) = found.next()? {
            if self.checks.holds("trial", number, &row, rows::TRIAL_SUM)? {
                there.insert(rows::key(&row, 0)?);
            }
        }
        Ok(there)
    }

    /// The trials that commits say have rows.
    fn named(&mut self, number: i64) -> Result<BTreeSet<TrialKey>, StoreError> {
        let select = format!("SELECT {} FROM change WHERE sweep = $1", rows::CHANGE);
        let select = self.transaction.prepare(&select)?;
        let mut found = self.transaction.query_raw(&select, [number])?;
        let mut named = BTreeSet::new();
        while let Some(row) = found.next()? {
            // What a damaged one names, others name as well: a trial's row changes several times.
            if let Ok(commit) = changes::Commit::read(self.checks, number, &row, false) {
                named.extend(commit.which(changes::TRIAL));
            }
        }
        Ok(named)
    }

    /// The highest number of an attempt at a trial that has left a trace.
    fn attempts(&mut self, number: i64, key: TrialKey) -> Result<u32, StoreError> {
        let sql = "SELECT max(number) FROM (SELECT number FROM attempt \
                   WHERE sweep = $1 AND stage = $2 AND point = $3 AND repetition = $4 \
                   UNION ALL SELECT attempt FROM epochs \
                   WHERE sweep = $1 AND stage = $2 AND point = $3 AND repetition = $4) AS traces";
        let [sweep, stage, point, repetition] = parameters(number, key);
        let row = self
            .transaction
            .query_one(sql, &[&sweep, &stage, &point, &repetition])?;
        let most: Option<i64> = row.get(0);
        Ok(most.and_then(|most| u32::try_from(most).ok()).unwrap_or(0))
    }

    /// The epochs of trials that workers hold.
    fn epochs(&mut self) -> Result<(), StoreError> {
        let epochs = self.transaction.prepare(&epochs_of_attempt())?;
        for (number, id, fence) in std::mem::take(&mut self.held) {
            let [sweep, stage, point, repetition] = parameters(number, id.key);
            let of: [&(dyn postgres::types::ToSql + Sync); 5] =
                [&sweep, &stage, &point, &repetition, &(fence.0 as i64)];
            for row in self.transaction.query(&epochs, &of)? {
                match self.checks.holds("epochs", number, &row, rows::EPOCHS_SUM)? {
                    true => (self.visit)(Record::Epochs(rows::epochs(id.sweep, &row)?)),
                    false => (self.visit)(Record::Damaged(error::epochs(id, fence))),
                }
            }
        }
        Ok(())
    }

    /// Removes rows of trials that are not what was written: under the keys that they have now they may be those of others.
    fn remove_damaged(&mut self) -> Result<(), StoreError> {
        for (number, key) in std::mem::take(&mut self.damaged) {
            let [sweep, stage, point, repetition] = parameters(number, key);
            let removed = self.transaction.execute(
                "DELETE FROM trial WHERE sweep = $1 AND stage = $2 AND point = $3 AND repetition = $4",
                &[&sweep, &stage, &point, &repetition],
            )?;
            tracing::error!(sweep = number, %key, removed, "the row of a trial is not what was written");
        }
        Ok(())
    }
}

fn trials_of_sweep() -> String {
    format!(
        "SELECT {} FROM trial WHERE sweep = $1 ORDER BY stage, point, repetition",
        rows::TRIAL
    )
}
