//! Watching a sweep: what is stored behind a cursor, then what comes, on one path. The results log, `tail` and
//! everything else that follows a sweep is such a watcher.
//!
//! A pass reads the rows that changed since the last one, finds the groups they touch, and computes those from their
//! stored curves. A watcher therefore holds no curves, and one that does not read costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tenfold_core::aggregate::{self, Counts, Group, GroupResult, Statistics};
use tenfold_core::record::{Control, EpochsRow, TrialRow};
use tenfold_core::sweep::{Grouping, Sweep};
use tenfold_core::trial::TrialState;
use tenfold_proto::v1;
use tenfold_types::{Curve, Metric, SweepId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::grpc::messages;
use crate::readers::Readers;
use crate::shutdown::Shutdown;
use crate::store::{Change, Cursor, Reader, StoreError};
use crate::turn::{Handle, TurnError};

/// A group gets at most one line of progress in this time.
const PACE: Duration = Duration::from_secs(1);
/// Raw epochs are passed on at most this often.
const RAW_PACE: Duration = Duration::from_millis(100);
/// Rows that one pass reads at once; and of a raw watcher, which keeps them until its reader has taken them.
const PAGE: usize = 4096;
const RAW_PAGE: usize = 256;

/// Something that a watcher is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// A group that is not complete yet has new epochs.
    Progress(GroupProgress),
    /// A group is complete: all its trials are over.
    Complete(GroupResult),
    /// Raw: epochs of one trial.
    Epochs(EpochsRow),
    /// Raw: a trial changed.
    Trial(TrialRow),
    /// Where the sweep stands. Closes each pass.
    Sweep(Box<v1::SweepStatus>),
}

/// A group's newest epoch, over trials that are still running too: provisional.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupProgress {
    /// The group.
    pub group: Group,
    /// The epoch.
    pub epoch: u32,
    /// The metrics.
    pub metrics: Vec<Metric>,
    /// For each metric, over the trials that have reached the epoch.
    pub statistics: Vec<Statistics>,
}

/// An event, and the cursor that a watcher has reached with it: that of the pass before until the pass is closed.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Watching again since here repeats nothing that was seen up to the last closed pass, and misses nothing.
    pub cursor: Cursor,
    /// The event.
    pub event: Event,
}

/// What to watch.
#[derive(Debug, Clone)]
pub struct Watch {
    /// The sweep.
    pub sweep: SweepId,
    /// How its points are grouped.
    pub grouping: Arc<Grouping>,
    /// Single trials instead of groups.
    pub raw: bool,
    /// Begin behind this commit.
    pub since: Cursor,
    /// Go on until the sweep is over.
    pub follow: bool,
}

/// Why a watcher ended early.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The coordinator shuts down.
    #[error("the coordinator is shutting down")]
    Stopped,
    /// The state could not be looked at for now.
    #[error(transparent)]
    Turn(TurnError),
    /// The sweep is gone.
    #[error("sweep {0} is no longer there")]
    Gone(SweepId),
}

impl From<TurnError> for WatchError {
    fn from(error: TurnError) -> Self {
        match error {
            TurnError::Stopped => Self::Stopped,
            other => Self::Turn(other),
        }
    }
}

/// Watches until the sweep is over, or what is stored has been seen when it does not follow, or nobody listens.
///
/// # Errors
/// See [`WatchError`].
pub async fn watch(
    turn: Handle,
    readers: Readers,
    options: Watch,
    out: mpsc::Sender<Seen>,
    mut shutdown: Shutdown,
) -> Result<(), WatchError> {
    let mut commits = turn.commits();
    let mut watcher = Watcher {
        turn,
        readers,
        cursor: options.since,
        complete: BTreeSet::new(),
        finished: false,
        reported: None,
        told: false,
        options,
        out,
    };
    let pace = if watcher.options.raw { RAW_PACE } else { PACE };
    loop {
        let began = Instant::now();
        commits.borrow_and_update();
        let Some(over) = watcher.pass().await? else {
            return Ok(());
        };
        if over || !watcher.options.follow {
            return Ok(());
        }
        let next = began + pace;
        let mut changed = false;
        loop {
            tokio::select! {
                () = shutdown.wait() => {
                    // What was committed up to now is told before the end: a results log ends whole.
                    watcher.pass().await?;
                    return Err(WatchError::Stopped);
                }
                () = watcher.out.closed() => return Ok(()),
                () = tokio::time::sleep_until(next), if changed => break,
                commit = commits.changed() => {
                    commit.map_err(|_| WatchError::Stopped)?;
                    changed = true;
                    // The last pass need not wait its turn; any other does.
                    if watcher.status().await?.finished_at_ms.is_some() {
                        break;
                    }
                }
            }
        }
    }
}

struct Watcher {
    turn: Handle,
    readers: Readers,
    options: Watch,
    cursor: Cursor,
    /// Groups, by the index of their first point, that were seen complete.
    complete: BTreeSet<u64>,
    /// The sweep came to its end behind the cursor that the watch began at.
    finished: bool,
    reported: Option<v1::SweepStatus>,
    /// Something was told in this pass.
    told: bool,
    out: mpsc::Sender<Seen>,
}

impl Watcher {
    async fn status(&self) -> Result<v1::SweepStatus, WatchError> {
        let id = self.options.sweep;
        let status = self
            .turn
            .read(move |state, _| state.sweep(id).map(messages::sweep_status))
            .await;
        status?.ok_or(WatchError::Gone(id))
    }

    /// Whether the sweep is over; `None` when nobody listens any more.
    async fn pass(&mut self) -> Result<Option<bool>, WatchError> {
        // Taken before the rows: when it says that the sweep is over, all its rows are there.
        let status = self.status().await?;
        let id = self.options.sweep;
        let mut since = self.cursor;
        let page = if self.options.raw { RAW_PAGE } else { PAGE };
        let mut touched: BTreeMap<u64, bool> = BTreeMap::new();
        loop {
            let changes = self
                .readers
                .with(move |reader| reader.changes(id, since, page))
                .await?;
            since = changes.cursor;
            for change in changes.rows {
                match (change, self.options.raw) {
                    (Change::Trial(row), true) => {
                        if !self.tell(Event::Trial(row)).await {
                            return Ok(None);
                        }
                    }
                    (Change::Epochs(row), true) => {
                        if !self.tell(Event::Epochs(row)).await {
                            return Ok(None);
                        }
                    }
                    (
                        Change::Trial(TrialRow { id, .. }) | Change::Epochs(EpochsRow { trial: id, .. }),
                        false,
                    ) => {
                        touched.insert(self.options.grouping.group_of(id.key.index), true);
                    }
                    (Change::Sweep(row), _) => self.finished = row.finished_at.is_some(),
                }
            }
            if changes.end {
                break;
            }
        }
        let over = status.finished_at_ms.is_some();
        if over && self.finished && !self.options.raw {
            // What was cancelled before any worker touched it has no rows; its groups are not left out either.
            for group in self.options.grouping.groups() {
                if !self.complete.contains(&group) {
                    touched.entry(group).or_insert(false);
                }
            }
        }
        for (group, has_rows) in touched {
            if !self.tell_group(group, has_rows).await? {
                return Ok(None);
            }
        }
        // The last word of a pass, and the only one that moves the cursor: whoever is cut off before it sees the whole
        // pass again, and whoever has it misses nothing.
        self.cursor = since;
        if self.told || self.reported.as_ref() != Some(&status) {
            self.reported = Some(status.clone());
            if !self.tell(Event::Sweep(Box::new(status))).await {
                return Ok(None);
            }
            self.told = false;
        }
        Ok(Some(over))
    }

    /// One without new rows is told only when it has trials without any: else its last row told it.
    async fn tell_group(&mut self, group: u64, has_rows: bool) -> Result<bool, WatchError> {
        // A reader that lags is waited for before its curves are read and computed, not with them in hand.
        if self.out.reserve().await.is_err() {
            return Ok(false);
        }
        let (id, grouping) = (self.options.sweep, Arc::clone(&self.options.grouping));
        let control = self.turn.read(move |state, _| {
            state
                .sweep(id)
                .map(|sweep| (sweep.row().control, sweep.sweep().clone()))
        });
        let (control, sweep) = control.await?.ok_or(WatchError::Gone(id))?;
        let read = move |reader: &mut dyn Reader| group_curves(reader, &sweep, id, control, &grouping, group);
        let curves = self.readers.with(read).await?;
        if !has_rows && curves.untouched == 0 {
            return Ok(true);
        }
        if curves.group.counts.open() == 0 {
            self.complete.insert(group);
            return Ok(self.tell(Event::Complete(curves.result())).await);
        }
        self.complete.remove(&group);
        match curves.progress() {
            Some(progress) => Ok(self.tell(Event::Progress(progress)).await),
            None => Ok(true),
        }
    }

    async fn tell(&mut self, event: Event) -> bool {
        self.told = true;
        self.out
            .send(Seen {
                cursor: self.cursor,
                event,
            })
            .await
            .is_ok()
    }
}

/// The curves of a group's trials, in order of points and repetitions.
pub struct GroupCurves {
    /// The group with its counts.
    pub group: Group,
    accepted: Vec<Curve>,
    running: Vec<Curve>,
    /// Trials that no worker has touched, and that therefore have no rows.
    untouched: u64,
}

/// Reads the curves of one group.
///
/// # Errors
/// The store's.
pub fn group_curves(
    reader: &mut dyn Reader,
    sweep: &Sweep,
    id: SweepId,
    control: Control,
    grouping: &Grouping,
    group: u64,
) -> Result<GroupCurves, StoreError> {
    let mut counts = Counts::default();
    let (mut accepted, mut running) = (Vec::new(), Vec::new());
    let mut all_untouched = 0;
    for index in grouping.members(group) {
        let mut touched = 0;
        for trial in reader.point(id, 0, index)? {
            touched += 1;
            *trial.row.state.counter(&mut counts) += 1;
            let mut curve = Curve::new(sweep.metrics(index));
            for block in &trial.blocks {
                if !curve.push(block) {
                    return Err(StoreError::Corrupt(format!(
                        "the epochs of trial {} do not follow one another at epoch {}",
                        trial.row.id, block.first
                    )));
                }
            }
            match trial.row.state {
                TrialState::Succeeded { .. } => accepted.push(curve),
                TrialState::Leased { .. } | TrialState::Running { .. } => running.push(curve),
                _ => {}
            }
        }
        let untouched = u64::from(sweep.repetitions()) - touched;
        all_untouched += untouched;
        match control {
            Control::Stopped => counts.cancelled += untouched,
            Control::Active | Control::Paused => counts.pending += untouched,
        }
    }
    let group = Group {
        stage: 0,
        index: group,
        values: grouping.values(group),
        counts,
    };
    Ok(GroupCurves {
        group,
        accepted,
        running,
        untouched: all_untouched,
    })
}

impl GroupCurves {
    /// The aggregated curve over the succeeded trials.
    pub fn result(self) -> GroupResult {
        let curves: Vec<&Curve> = self.accepted.iter().collect();
        let (metrics, epochs) = aggregate::aggregate(&curves);
        GroupResult {
            group: self.group,
            metrics,
            epochs,
        }
    }

    /// The newest epoch, over all trials that have reached it; none before the first epoch.
    pub fn progress(self) -> Option<GroupProgress> {
        let curves: Vec<&Curve> = self.accepted.iter().chain(&self.running).collect();
        let (epoch, metrics, statistics) = aggregate::newest(&curves)?;
        Some(GroupProgress {
            group: self.group,
            epoch,
            metrics,
            statistics,
        })
    }
}
