//! Watching a sweep: what is stored behind a cursor, then what comes, on one path. The results log, `tail` and
//! everything else that follows a sweep is such a watcher.
//!
//! A pass reads the rows that changed since the last one, finds the groups they touch, and computes those from their
//! stored curves. So a watcher keeps no curves from one pass to the next; one whose reader stops has those in hand that
//! it was about to tell.

mod changes;
mod stands;

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use tenfold_core::State;
use tenfold_core::aggregate::Statistics;
use tenfold_core::record::{Control, EpochsRow, TrialRow};
use tenfold_core::sweep::{GroupId, Grouping, Stage, Sweep};
use tenfold_proto::v1;
use tenfold_types::SweepId;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::groups::{self, Found, GroupCurves, GroupPart, GroupProgress, Groups, Kept};
use crate::grpc::messages;
use crate::readers::Readers;
use crate::shutdown::Shutdown;
use crate::store::{Change, Cursor, Page, Reader, StoreError, What};
use crate::turn::{Handle, TurnError};
use stands::{Due, Stands, stands};

/// A group gets at most one line of progress in this time, unless one of its trials is over.
const PACE: Duration = Duration::from_secs(1);
/// New rows are looked for at most this often.
const PASS: Duration = Duration::from_millis(50);
/// Rows that one pass reads at once.
const PAGE: usize = 4096;
/// Groups that are read at once, if they are short.
const GROUPS: usize = 32;
/// About how many bytes of curves and rows a watcher has in hand when its reader does not read on.
const IN_HAND: usize = 256 << 10;

/// Something that a watcher is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// A group that is not complete yet has new epochs.
    Progress(GroupProgress),
    /// A group is complete: all its trials are over. A long one comes in parts, which follow one another.
    Complete(Arc<GroupPart>),
    /// Raw: epochs of one trial.
    Epochs(EpochsRow),
    /// Raw: a trial changed.
    Trial(TrialRow),
    /// It got more than its text says.
    Extension(Box<v1::Extension>),
    /// A choice between two of its stages was made.
    Choice(Box<v1::Choice>),
    /// Where the sweep stands. Closes each pass.
    Sweep(Box<v1::SweepStatus>),
}

/// An event, and the cursor that a watcher has reached with it: that of the pass before until the pass is closed.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Watching again since here misses nothing behind the last closed pass, and repeats nothing of those that reached no
    /// further. While groups are held back it is behind what was told.
    pub cursor: Cursor,
    /// How far everything but groups that are held back has been told.
    pub reached: Cursor,
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
    kept: Kept,
    options: Watch,
    out: mpsc::Sender<Seen>,
    mut shutdown: Shutdown,
) -> Result<(), WatchError> {
    let mut commits = turn.commits();
    let id = options.sweep;
    let sweep = turn.read(move |state, _| state.sweep(id).map(|sweep| sweep.sweep().clone()));
    let sweep = sweep.await?.ok_or(WatchError::Gone(id))?;
    let has_rules = has_rules(&sweep);
    let mut watcher = Watcher {
        sweep,
        turn,
        readers,
        kept,
        cursor: options.since,
        seen: options.since,
        complete: BTreeSet::new(),
        finished: false,
        held_back: BTreeMap::new(),
        told_at: BTreeMap::new(),
        reported: None,
        told: false,
        ahead: false,
        has_rules,
        fewer: BTreeSet::new(),
        chosen_to: options.since,
        chosen: Vec::new(),
        extended_to: options.since,
        extended: Vec::new(),
        extensions_there: 0,
        extensions_seen: 0,
        options,
        out,
    };
    if has_rules {
        watcher.group_again();
    }
    loop {
        let began = Instant::now();
        commits.borrow_and_update();
        let Some(over) = watcher.pass().await? else {
            return Ok(());
        };
        // Whoever does not follow is told as well what was left to the next pass.
        if over || !(watcher.options.follow || watcher.ahead) {
            return Ok(());
        }
        let mut next = began + PASS;
        let mut changed = false;
        if let Some(due) = watcher.next_due() {
            (next, changed) = (next.max(due), true);
        }
        loop {
            tokio::select! {
                () = shutdown.wait() => {
                    // What was committed up to now is told before the end: a results log ends whole.
                    watcher.hurry();
                    watcher.pass().await?;
                    return Err(WatchError::Stopped);
                }
                () = watcher.out.closed() => return Ok(()),
                () = tokio::time::sleep_until(next), if changed => break,
                commit = commits.changed() => {
                    commit.map_err(|_| WatchError::Stopped)?;
                    (next, changed) = (began + PASS, true);
                }
            }
        }
    }
}

/// Whether something is chosen or decided while it runs.
fn has_rules(sweep: &Sweep) -> bool {
    sweep.stages().iter().any(Stage::is_gated)
}

/// What is new of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Touch {
    /// The sweep is over, and that may concern trials without rows.
    Nothing,
    /// A trial is leased or waits again.
    Held,
    /// Epochs.
    Epochs,
    /// A trial is over.
    Over,
}

struct Watcher {
    turn: Handle,
    readers: Readers,
    kept: Kept,
    sweep: Sweep,
    options: Watch,
    /// What has been told, for good.
    cursor: Cursor,
    /// What has been looked at.
    seen: Cursor,
    /// Groups that were seen complete.
    complete: BTreeSet<GroupId>,
    /// The sweep came to its end behind the cursor that the watch began at.
    finished: bool,
    /// Groups with new epochs that were told of less than a moment ago, with the commit before those epochs.
    held_back: BTreeMap<GroupId, Cursor>,
    /// When groups were last told of, as long as it matters.
    told_at: BTreeMap<GroupId, Instant>,
    reported: Option<v1::SweepStatus>,
    /// Something was told in this pass.
    told: bool,
    /// A group was complete before this pass had come to the commit that completed it.
    ahead: bool,
    /// Something is chosen or decided while it runs.
    has_rules: bool,
    /// Groups of which less is to be run than was thought, since they were last told of.
    fewer: BTreeSet<GroupId>,
    /// Choices up to this commit are known, and those of them that are still to be told.
    chosen_to: Cursor,
    chosen: Vec<v1::Choice>,
    /// The same of extensions.
    extended_to: Cursor,
    extended: Vec<v1::Extension>,
    /// How many the sweep had when this pass began, and how many of these have been looked for.
    extensions_there: u32,
    extensions_seen: u32,
    out: mpsc::Sender<Seen>,
}

impl Watcher {
    async fn status(&mut self) -> Result<(v1::SweepStatus, Control), WatchError> {
        let id = self.options.sweep;
        let look = move |state: &State, _| {
            let sweep = state.sweep(id)?;
            let extensions = sweep.extensions().next_back().map_or(0, |row| row.number);
            Some((messages::sweep_status(sweep), sweep.row().control, extensions))
        };
        let (status, control, extensions) = self.turn.read(look).await?.ok_or(WatchError::Gone(id))?;
        self.extensions_there = extensions;
        Ok((status, control))
    }

    /// Whether the sweep is over; `None` when nobody listens any more.
    async fn pass(&mut self) -> Result<Option<bool>, WatchError> {
        // Taken before the rows: when it says that the sweep is over, all its rows are there.
        let (status, control) = self.status().await?;
        let mut since = self.seen;
        let mut touched: BTreeMap<GroupId, Touch> = BTreeMap::new();
        let before = since;
        loop {
            let end = match self.options.raw {
                true => self.tell_rows(&mut since).await?,
                false => Some(self.find_groups(&mut since, &mut touched).await?),
            };
            match end {
                None => return Ok(None),
                // What groups have in common may just have been chosen: they are found again.
                Some(true) if !self.options.raw && self.choices(since).await? => {
                    (since, touched) = (before, BTreeMap::new());
                }
                Some(true) => break,
                Some(false) => {}
            }
        }
        if !self.tell_changes().await {
            return Ok(None);
        }
        // It may have come to its end meanwhile, by a commit that the cursor passes now: what goes with the end is told now.
        let (status, control) = match self.finished && status.finished_at_ms.is_none() {
            true => self.status().await?,
            false => (status, control),
        };
        let over = status.finished_at_ms.is_some();
        let last = over && self.finished;
        if last && !self.options.raw {
            // What was cancelled before any worker touched it has no rows; its groups are not left out either.
            for group in self.options.grouping.groups() {
                if !self.complete.contains(&group) {
                    touched.entry(group).or_insert(Touch::Nothing);
                }
            }
        }
        for group in self.held_back.keys() {
            touched.entry(*group).or_insert(Touch::Epochs);
        }
        for group in take(&mut self.fewer) {
            touched.insert(group, Touch::Over);
        }
        self.ahead = false;
        let now = Instant::now();
        self.told_at.retain(|_, at| now < *at + PACE);
        let mut due = Vec::new();
        for (group, touch) in touched {
            if touch == Touch::Held {
                self.complete.remove(&group);
                continue;
            }
            if touch == Touch::Epochs && !over && self.told_at.contains_key(&group) {
                self.held_back.entry(group).or_insert(before);
                continue;
            }
            self.held_back.remove(&group);
            self.told_at.insert(group, now);
            due.push(Due {
                group,
                has_rows: touch != Touch::Nothing,
                reached: since,
                last: last || !self.options.follow,
            });
        }
        let (mut together, mut bytes) = (Vec::new(), 0);
        for due in due {
            let statistics = groups::statistics(&self.sweep, due.group);
            let (long, of_group) = (statistics > groups::PART, statistics * size_of::<Statistics>());
            if (long || bytes + of_group > IN_HAND || together.len() == GROUPS)
                && !self.tell_groups(take(&mut together), control).await?
            {
                return Ok(None);
            }
            if together.is_empty() {
                bytes = 0;
            }
            if long {
                if !self.tell_long(due, control).await? {
                    return Ok(None);
                }
                continue;
            }
            bytes += of_group;
            together.push(due);
        }
        if !self.tell_groups(together, control).await? {
            return Ok(None);
        }
        // The last word of a pass, and the only one that moves the cursor: whoever is cut off before it sees the whole
        // pass again, and whoever has it misses nothing. What is held back is not told yet.
        self.seen = since;
        self.cursor = self.held_back.values().copied().fold(since, Cursor::min);
        if self.told || self.reported.as_ref() != Some(&status) {
            self.reported = Some(status.clone());
            if !self.tell(Event::Sweep(Box::new(status))).await {
                return Ok(None);
            }
            self.told = false;
        }
        Ok(Some(over))
    }

    /// Tells a page of rows as they are. Whether it was the last; none when nobody listens any more.
    async fn tell_rows(&mut self, since: &mut Cursor) -> Result<Option<bool>, WatchError> {
        // A reader that lags is waited for before rows are read, not with them in hand.
        if self.out.reserve().await.is_err() {
            return Ok(None);
        }
        let (id, from) = (self.options.sweep, *since);
        let page = Page {
            rows: PAGE,
            bytes: IN_HAND,
        };
        let read = move |reader: &mut dyn Reader| reader.changes(id, from, page);
        let changes = self.readers.with(read).await?;
        *since = changes.cursor;
        let changed = changes.rows.iter().any(|row| matches!(row, Change::Sweep(_)));
        self.extensions(changed, *since).await?;
        self.choices(*since).await?;
        if !self.tell_changes().await {
            return Ok(None);
        }
        for change in changes.rows {
            let event = match change {
                Change::Trial(row) => Event::Trial(row),
                Change::Epochs(row) => Event::Epochs(row),
                Change::Sweep(row) => {
                    self.finished = row.finished_at.is_some();
                    continue;
                }
            };
            if !self.tell(event).await {
                return Ok(None);
            }
        }
        Ok(Some(changes.end))
    }

    /// Finds the groups of a page of trials that changed. Whether it was the last.
    async fn find_groups(
        &mut self,
        since: &mut Cursor,
        touched: &mut BTreeMap<GroupId, Touch>,
    ) -> Result<bool, WatchError> {
        let (id, from) = (self.options.sweep, *since);
        let read = move |reader: &mut dyn Reader| reader.touched(id, from, PAGE);
        let page = self.readers.with(read).await?;
        *since = page.cursor;
        let mut changed = false;
        if let Some(row) = page.sweep {
            self.finished = row.finished_at.is_some();
            changed = true;
        }
        self.extensions(changed, page.cursor).await?;
        for (key, what) in page.trials {
            let touch = match what {
                What { over: true, .. } => Touch::Over,
                What { epochs: true, .. } => Touch::Epochs,
                What { .. } => Touch::Held,
            };
            let of_group = touched
                .entry(self.options.grouping.group_of(key))
                .or_insert(touch);
            *of_group = touch.max(*of_group);
        }
        Ok(page.end)
    }

    /// When the first group that is held back may be told of.
    fn next_due(&self) -> Option<Instant> {
        let due = |group: &GroupId| self.told_at.get(group).map_or_else(Instant::now, |at| *at + PACE);
        self.held_back.keys().map(due).min()
    }

    /// Nothing is held back any longer.
    fn hurry(&mut self) {
        self.told_at.clear();
    }

    /// Tells of some groups. One without new rows is told only when it has trials without any: else its last row told it.
    async fn tell_groups(&mut self, due: Vec<Due>, control: Control) -> Result<bool, WatchError> {
        if due.is_empty() {
            return Ok(true);
        }
        // A reader that lags is waited for before curves are read and computed, not with them in hand.
        if self.out.reserve().await.is_err() {
            return Ok(false);
        }
        let (of, due) = (Arc::new(self.groups(control)), Arc::new(due));
        let read = || {
            let (of, due) = (Arc::clone(&of), Arc::clone(&due));
            move |reader: &mut dyn Reader| {
                let told = due.iter().map(|&due| {
                    let stands = stands(&of, reader, due)?;
                    let ahead = matches!(stands, Stands::Ahead);
                    let event = match stands {
                        Stands::Complete(standing) => match of.result(reader, &standing)? {
                            Some(Found::Whole(part)) => Some(Event::Complete(part)),
                            Some(Found::Curves(curves)) => Some(Event::Complete(Arc::new(curves.part(1)))),
                            None => None,
                        },
                        Stands::Open(progress) => progress.map(Event::Progress),
                        Stands::Ahead | Stands::Told => None,
                    };
                    Ok((due.group, ahead, event))
                });
                told.collect::<Result<Vec<_>, StoreError>>()
            }
        };
        for (group, ahead, event) in self.readers.with_whole(read).await? {
            self.ahead |= ahead;
            match &event {
                Some(Event::Complete(_)) => _ = self.complete.insert(group),
                _ => _ = self.complete.remove(&group),
            }
            if let Some(event) = event
                && !self.tell(event).await
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tells of a group that may be long, a part at a time; its curves are in hand only while the reader keeps up.
    async fn tell_long(&mut self, due: Due, control: Control) -> Result<bool, WatchError> {
        if self.out.reserve().await.is_err() {
            return Ok(false);
        }
        let of = self.groups(control);
        let read = move |reader: &mut dyn Reader| stands(&of, reader, due);
        let group = due.group;
        self.complete.remove(&group);
        let standing = match self.readers.with(read).await? {
            Stands::Complete(standing) => Arc::new(standing),
            Stands::Open(Some(progress)) => return Ok(self.tell(Event::Progress(progress)).await),
            Stands::Ahead => {
                self.ahead = true;
                return Ok(true);
            }
            Stands::Open(None) | Stands::Told => return Ok(true),
        };
        let mut in_hand: Option<GroupCurves> = None;
        let mut next = Some(1);
        while let Some(first) = next {
            if self.out.capacity() == 0 {
                in_hand = None;
                if self.out.reserve().await.is_err() {
                    return Ok(false);
                }
            }
            let curves = match in_hand.take() {
                Some(curves) => curves,
                None => {
                    let (of, standing) = (self.groups(control), Arc::clone(&standing));
                    let read = move |reader: &mut dyn Reader| of.curves(reader, &standing);
                    let curves = self.readers.with(read).await?;
                    curves.ok_or(WatchError::Gone(self.options.sweep))?
                }
            };
            let part = curves.part(first);
            next = part.next();
            if !self.tell(Event::Complete(Arc::new(part))).await {
                return Ok(false);
            }
            in_hand = Some(curves);
        }
        self.complete.insert(group);
        Ok(true)
    }

    fn groups(&self, control: Control) -> Groups {
        Groups {
            sweep: self.sweep.clone(),
            control,
            grouping: Arc::clone(&self.options.grouping),
            kept: self.kept.clone(),
        }
    }

    async fn tell(&mut self, event: Event) -> bool {
        self.told = true;
        self.out
            .send(Seen {
                cursor: self.cursor,
                reached: self.seen,
                event,
            })
            .await
            .is_ok()
    }
}
