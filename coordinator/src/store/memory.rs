//! A store in memory, for tests and trials of the command: the same rows, and nothing left when it is dropped.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tenfold_core::record::{
    AttemptRow, ChoiceRow, Counters, EpochsRow, ExtensionRow, LeaseRow, Record, RequestRow, SweepRow,
    TrialRow, WorkerRow,
};
use tenfold_core::sweep::ChoiceId;
use tenfold_types::{Block, Fence, SweepId, TrialId, TrialKey, WorkerId};

use super::{Change, Changes, Cursor, Page, Reader, Store, StoreError, Touched, TrialRows, What, attempts};

/// The rows, shared by the store and its readers. Clones share the rows, as connections share a file.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    rows: Arc<Mutex<Rows>>,
    failure: Arc<Mutex<Option<StoreError>>>,
}

#[derive(Debug, Default, Clone)]
struct Rows {
    cursor: Cursor,
    counters: Counters,
    sweeps: BTreeMap<u64, (Cursor, SweepRow)>,
    workers: BTreeMap<WorkerId, WorkerRow>,
    /// With whether they live: those that are over are kept for their provenance.
    leases: BTreeMap<Fence, (bool, LeaseRow)>,
    requests: BTreeMap<u64, RequestRow>,
    extensions: BTreeMap<(SweepId, u32), (Cursor, ExtensionRow)>,
    choices: BTreeMap<(SweepId, ChoiceId), (Cursor, ChoiceRow)>,
    trials: BTreeMap<TrialId, (Cursor, TrialRow)>,
    attempts: BTreeMap<(TrialId, u32), AttemptRow>,
    epochs: BTreeMap<(TrialId, Fence, u32), (Cursor, EpochsRow)>,
}

impl Rows {
    /// The epochs of an attempt, in order.
    fn blocks(&self, sweep: SweepId, (key, fence): (TrialKey, Fence)) -> impl Iterator<Item = &Block> {
        let trial = TrialId { sweep, key };
        let all = self.epochs.range((trial, fence, 0)..=(trial, fence, u32::MAX));
        all.map(|(_, (_, row))| &row.block)
    }
}

impl MemoryStore {
    /// The next commit fails with this, and writes nothing.
    pub fn fail_next(&self, error: StoreError) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn load(&mut self, visit: &mut dyn FnMut(Record)) -> Result<Cursor, StoreError> {
        let rows = self.rows().clone();
        visit(Record::Counters(rows.counters));
        rows.sweeps
            .into_values()
            .for_each(|(_, row)| visit(Record::Sweep(row)));
        rows.workers
            .into_values()
            .for_each(|row| visit(Record::Worker(row)));
        rows.leases
            .into_values()
            .filter(|(lives, _)| *lives)
            .for_each(|(_, row)| visit(Record::Lease(row)));
        rows.requests
            .into_values()
            .for_each(|row| visit(Record::Request(row)));
        let live = |(_, epochs): &&(Cursor, EpochsRow)| {
            let holder = rows
                .trials
                .get(&epochs.trial)
                .and_then(|(_, row)| row.state.holder());
            holder.is_some_and(|(fence, _)| fence == epochs.fence)
        };
        let live: Vec<EpochsRow> = rows
            .epochs
            .values()
            .filter(live)
            .map(|(_, row)| row.clone())
            .collect();
        rows.extensions
            .into_values()
            .for_each(|(_, row)| visit(Record::Extension(row)));
        rows.choices
            .into_values()
            .for_each(|(_, row)| visit(Record::Choice(row)));
        rows.trials
            .into_values()
            .for_each(|(_, row)| visit(Record::Trial(row)));
        live.into_iter().for_each(|row| visit(Record::Epochs(row)));
        Ok(rows.cursor)
    }

    fn commit(&mut self, records: &[Record]) -> Result<Cursor, StoreError> {
        if let Some(error) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let mut rows = self.rows();
        rows.cursor += 1;
        let at = rows.cursor;
        for record in records {
            match record.clone() {
                Record::Counters(counters) => rows.counters = counters,
                Record::Sweep(row) => _ = rows.sweeps.insert(row.number, (at, row)),
                Record::Worker(row) => _ = rows.workers.insert(row.id, row),
                Record::WorkerGone(worker) => _ = rows.workers.remove(&worker),
                Record::Extension(row) => _ = rows.extensions.insert((row.sweep, row.number), (at, row)),
                Record::Choice(row) => _ = rows.choices.insert((row.sweep, row.choice), (at, row)),
                Record::Trial(row) => _ = rows.trials.insert(row.id, (at, row)),
                Record::Attempt(row) => _ = rows.attempts.insert((row.trial, row.number), row),
                Record::Epochs(row) => {
                    _ = rows
                        .epochs
                        .insert((row.trial, row.fence, row.block.first), (at, row));
                }
                Record::EpochsDropped { trial, fence } => {
                    rows.epochs
                        .retain(|(of, under, _), _| (*of, *under) != (trial, fence));
                }
                Record::EpochsCopied {
                    sweep,
                    from,
                    to,
                    fence,
                } => {
                    let blocks: Vec<Block> = rows.blocks(sweep, (from, fence)).cloned().collect();
                    let trial = TrialId { sweep, key: to };
                    let attempt = rows
                        .trials
                        .get(&TrialId { sweep, key: from })
                        .map_or(1, |(_, row)| row.attempts);
                    for block in blocks {
                        let row = EpochsRow {
                            trial,
                            fence,
                            attempt,
                            block,
                        };
                        rows.epochs.insert((trial, fence, row.block.first), (at, row));
                    }
                }
                Record::Lease(row) => _ = rows.leases.insert(row.fence, (true, row)),
                Record::LeaseClosed(fence) => {
                    if let Some((lives, _)) = rows.leases.get_mut(&fence) {
                        *lives = false;
                    }
                }
                Record::Request(row) => _ = rows.requests.insert(row.number, row),
                Record::RequestsForgotten { through } => {
                    rows.requests = rows.requests.split_off(&(through + 1));
                }
                Record::SweepGone(sweep) => {
                    rows.sweeps.retain(|_, (_, row)| row.id != sweep);
                    rows.leases.retain(|_, (_, row)| row.sweep != sweep);
                    rows.extensions.retain(|(of, _), _| *of != sweep);
                    rows.choices.retain(|(of, _), _| *of != sweep);
                    rows.trials.retain(|id, _| id.sweep != sweep);
                    rows.attempts.retain(|(id, _), _| id.sweep != sweep);
                    rows.epochs.retain(|(id, ..), _| id.sweep != sweep);
                }
                Record::Renewed { .. }
                | Record::Suspected { .. }
                | Record::Seen { .. }
                | Record::Health { .. }
                | Record::Counted(_)
                | Record::Damaged(_)
                | Record::Repaired
                | Record::Refused(_)
                | Record::Followed { .. } => {}
            }
        }
        Ok(at)
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(self.clone()))
    }
}

impl Reader for MemoryStore {
    fn changes(&mut self, sweep: SweepId, since: Cursor, page: Page) -> Result<Changes, StoreError> {
        let rows = self.rows();
        let sweeps = rows.sweeps.values().filter(|(_, row)| row.id == sweep);
        let sweeps = sweeps.map(|(at, row)| (*at, 0, Change::Sweep(row.clone())));
        let trials = rows.trials.values().filter(|(_, row)| row.id.sweep == sweep);
        let trials = trials.map(|(at, row)| (*at, 2, Change::Trial(row.clone())));
        let epochs = rows.epochs.values().filter(|(_, row)| row.trial.sweep == sweep);
        let epochs = epochs.map(|(at, row)| (*at, 1, Change::Epochs(row.clone())));
        let mut changes: Vec<_> = sweeps
            .chain(trials)
            .chain(epochs)
            .filter(|(at, ..)| *at > since)
            .collect();
        changes.sort_by_key(|(at, kind, _)| (*at, *kind));
        Ok(Changes::page(changes, rows.cursor, page))
    }

    fn touched(&mut self, sweep: SweepId, since: Cursor, limit: usize) -> Result<Touched, StoreError> {
        let page = self.changes(sweep, since, Page::rows(limit))?;
        let mut touched = Touched {
            cursor: page.cursor,
            end: page.end,
            ..Touched::default()
        };
        for change in page.rows {
            match change {
                Change::Sweep(row) => touched.sweep = Some(row),
                Change::Trial(row) => {
                    let what = What {
                        row: true,
                        over: !row.state.is_open(),
                        ..What::default()
                    };
                    touched.trials.push((row.id.key, what));
                }
                Change::Epochs(row) => {
                    let what = What {
                        epochs: true,
                        ..What::default()
                    };
                    touched.trials.push((row.trial.key, what));
                }
            }
        }
        Ok(touched)
    }

    fn extensions(
        &mut self,
        sweep: SweepId,
        since: Cursor,
    ) -> Result<Vec<(Cursor, ExtensionRow)>, StoreError> {
        let rows = self.rows();
        let extensions = rows.extensions.values();
        let mut found: Vec<_> = extensions
            .filter(|(at, row)| row.sweep == sweep && *at > since)
            .cloned()
            .collect();
        found.sort_by_key(|(at, row)| (*at, row.number));
        Ok(found)
    }

    fn choices(&mut self, sweep: SweepId, since: Cursor) -> Result<Vec<(Cursor, ChoiceRow)>, StoreError> {
        let rows = self.rows();
        let choices = rows.choices.values();
        let mut found: Vec<_> = choices
            .filter(|(at, row)| row.sweep == sweep && *at > since)
            .cloned()
            .collect();
        found.sort_by_key(|(at, row)| (*at, row.choice));
        Ok(found)
    }

    fn blocks(
        &mut self,
        sweep: SweepId,
        stage: u32,
        index: u64,
        attempts: &[(u32, Fence)],
    ) -> Result<Vec<Vec<Block>>, StoreError> {
        let rows = self.rows();
        let of_attempt = |&(repetition, fence): &(u32, Fence)| {
            let key = TrialKey {
                stage,
                repetition,
                index,
            };
            rows.blocks(sweep, (key, fence)).cloned().collect()
        };
        Ok(attempts.iter().map(of_attempt).collect())
    }

    fn trials(&mut self, sweep: SweepId, stage: u32, index: u64) -> Result<TrialRows, StoreError> {
        let rows = self.rows();
        let of_point = |id: &TrialId| id.sweep == sweep && id.key.stage == stage && id.key.index == index;
        let trials = rows.trials.values().filter(|(_, row)| of_point(&row.id));
        let mut found = TrialRows::default();
        for (at, row) in trials {
            found.rows.push(row.clone());
            found.newest = found.newest.max(*at);
        }
        Ok(found)
    }

    fn lengths(&mut self, sweep: SweepId, attempts: &[(TrialKey, Fence)]) -> Result<Vec<u32>, StoreError> {
        let rows = self.rows();
        let length = |of: &(TrialKey, Fence)| {
            let blocks = rows.blocks(sweep, *of);
            blocks.map(Block::last).max().unwrap_or(0)
        };
        Ok(attempts.iter().map(length).collect())
    }

    fn values(
        &mut self,
        sweep: SweepId,
        attempts: &[(TrialKey, Fence)],
        epoch: u32,
    ) -> Result<Vec<Option<Vec<f32>>>, StoreError> {
        let rows = self.rows();
        let values = |of: &(TrialKey, Fence)| rows.blocks(sweep, *of).find_map(|block| block.values(epoch));
        Ok(attempts.iter().map(values).collect())
    }

    fn attempts(&mut self, trial: TrialId) -> Result<Vec<AttemptRow>, StoreError> {
        let rows = self.rows();
        let row = rows.trials.get(&trial).map(|(_, row)| row);
        let newest = row.and_then(|row| {
            let (_, lease) = rows.leases.get(&row.state.current()?)?;
            Some(attempts::of_lease(row, lease))
        });
        let ended = rows.attempts.range((trial, 0)..=(trial, u32::MAX));
        Ok(newest
            .into_iter()
            .chain(ended.rev().map(|(_, row)| row.clone()))
            .collect())
    }

    fn backup(&mut self, _: &Path) -> Result<(), StoreError> {
        let what = "a store in memory has no backup; its coordinator was started with --store memory:";
        Err(StoreError::Unsupported(what.to_owned()))
    }
}

impl Changes {
    /// The first whole commits of these sorted changes, until the page is full.
    pub(super) fn page(mut changes: Vec<(Cursor, u8, Change)>, head: Cursor, page: Page) -> Self {
        let (mut rows, mut bytes) = (0, 0);
        let full = changes.iter().find(|(_, _, change)| {
            rows += 1;
            bytes += change.bytes();
            rows >= page.rows || bytes >= page.bytes
        });
        let last = full.map(|(at, ..)| *at);
        let end = last.is_none_or(|last| changes.last().is_some_and(|(at, ..)| *at == last));
        if let Some(last) = last {
            changes.retain(|(at, ..)| *at <= last);
        }
        Self {
            cursor: if end { head } else { last.unwrap_or(head) },
            rows: changes.into_iter().map(|(_, _, change)| change).collect(),
            end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suite::{Place, store_suite};

    impl Place for MemoryStore {
        fn open(&mut self) -> Box<dyn Store> {
            Box::new(self.clone())
        }
    }

    store_suite!(MemoryStore::default());

    #[test]
    fn a_commit_that_is_made_to_fail_leaves_nothing() {
        let mut store = MemoryStore::default();
        store.fail_next(StoreError::Unknown("made to".to_owned()));
        let records = [Record::Sweep(suite::sweep(1))];
        assert!(matches!(store.commit(&records), Err(StoreError::Unknown(_))));
        assert_eq!(
            suite::loaded(&mut store),
            (vec![Record::Counters(Counters::default())], 0)
        );
        assert_eq!(store.commit(&records).unwrap(), 1, "only the next one fails");
    }
}
