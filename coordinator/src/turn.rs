//! The turn: inputs → decide → commit → evolve → effects. Synchronous, on a thread of its own; the only writer of the
//! store and the only place that reads the clock.
//!
//! A turn drains what is waiting, decides one input after the other, commits all their records in one transaction, and
//! only then lets the answers out. So that each decision sees the ones before it, the state evolves ahead of the
//! commit; a commit that fails, or whose outcome is unknown, lets nothing out and the state is rebuilt from the store.

mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tenfold_core::record::{CountedRow, Record};
use tenfold_core::{Answer, Effect, Input, Millis, Refusal, Settings, State, decide};
use tenfold_types::SweepId;
use tokio::sync::{oneshot, watch};

use crate::store::{Cursor, Store, StoreError};

pub use order::{Answering, Order, Prepared, Preparing, Reply};

/// Inputs that may wait for the thread; more are turned away with [`TurnError::Busy`].
const QUEUE: usize = 8192;
/// The most inputs that one transaction takes.
const BATCH: usize = 1024;
/// How long a turn collects further inputs once it has one.
const COLLECT: Duration = Duration::from_millis(2);
/// A turn that decided so many inputs makes the next one wait as long for as many, if it comes at once and has fewer.
const MANY: usize = 8;
/// How long nothing must have come in before the store is tidied up.
const TIDY: Duration = Duration::from_millis(20);
/// How soon that is tried again when it could not be done.
const TIDY_AGAIN: Duration = Duration::from_secs(5);
/// A coordinator that is never idle tidies up all the same, a little at a time, with this pause.
const TIDY_BUSY: Duration = Duration::from_millis(500);
/// How soon a store that has failed is tried again, in milliseconds.
const MEND: Millis = 1_000;

/// Why an input got no answer of its own.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TurnError {
    /// It was decided and refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too much is waiting.
    #[error("the coordinator has {QUEUE} requests waiting; try again in a moment")]
    Busy,
    /// The store has no room.
    #[error("the coordinator's store is full: {0}; nothing was changed, free some space and try again")]
    Full(String),
    /// The store did not take it, or may not have.
    #[error("the coordinator's store failed: {0}; try again")]
    Store(String),
    /// The coordinator shuts down.
    #[error("the coordinator is shutting down")]
    Stopped,
}

/// A look at the state and the time.
type Look = Box<dyn FnOnce(Result<&State, TurnError>, Millis) + Send>;

/// What waits for the thread.
enum Job {
    Decide(Input, oneshot::Sender<Result<Answer, TurnError>>),
    Order(Order, oneshot::Sender<Result<Reply, TurnError>>),
    Read(Look),
    /// A reader has found that the store cannot be trusted.
    Fail(StoreError),
    Stop,
}

/// Milliseconds since 1970 that never run backwards, whatever is done to the system's clock.
#[derive(Debug, Clone, Copy)]
struct Clock {
    began: Instant,
    at: Millis,
}

impl Clock {
    fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            began: Instant::now(),
            at: since_1970.as_millis() as Millis,
        }
    }

    fn now(&self) -> Millis {
        self.at + self.began.elapsed().as_millis() as Millis
    }
}

/// State and store together: what one turn works on. Has no thread and no clock, so that a simulation can drive it.
pub struct Turn {
    state: State,
    store: Box<dyn Store>,
    settings: Settings,
    cursor: Cursor,
    /// The store failed with this, and the state has not been rebuilt yet: it is ahead of what is durable.
    broken: Option<TurnError>,
    /// How many rows sweeps were last said to have.
    counted: BTreeMap<SweepId, CountedRow>,
    /// The store failed lately: nothing that time alone asks for is begun before.
    mending: Millis,
}

/// What a turn let out.
pub struct Outcome {
    /// For each input, in order.
    pub answers: Vec<Result<Answer, TurnError>>,
    /// For each order, in order.
    pub replies: Vec<Result<Reply, TurnError>>,
    /// A sweep was deleted: the store has something to tidy up.
    pub deleted: bool,
    /// A trial became free to be leased.
    pub work_available: bool,
    /// The store can no longer be trusted: stop.
    pub fatal: Option<StoreError>,
}

impl Turn {
    /// Rebuilds the state from the store; every living lease begins a fresh term.
    ///
    /// # Errors
    /// The store's, or [`StoreError::Corrupt`] when its rows make no state.
    pub fn open(mut store: Box<dyn Store>, settings: Settings, now: Millis) -> Result<Self, StoreError> {
        let (state, cursor) = load(store.as_mut(), settings, now)?;
        Ok(Self {
            state,
            store,
            settings,
            cursor,
            broken: None,
            counted: BTreeMap::new(),
            mending: 0,
        })
    }

    /// The state, as of the last turn; everything in it is durable.
    ///
    /// # Errors
    /// The store's, as long as the state could not be rebuilt from it.
    pub fn state(&self) -> Result<&State, TurnError> {
        self.broken.clone().map_or(Ok(&self.state), Err)
    }

    /// The number of the last commit.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// When the next turn is due if nothing comes in before.
    pub fn next_deadline(&self) -> Option<Millis> {
        let deadline = if self.broken.is_some() {
            Some(0)
        } else {
            self.state.next_deadline()
        };
        deadline.map(|at| at.max(self.mending))
    }

    /// Removes some more of what deleted sweeps have left behind; whether there is more. None when that cannot be done now.
    pub fn tidy(&mut self) -> Option<bool> {
        if self.broken.is_some() {
            return None;
        }
        self.store.tidy().ok()
    }

    /// One turn without orders.
    pub fn step(&mut self, inputs: Vec<Input>, now: Millis) -> Outcome {
        self.step_with(inputs, Vec::new(), now)
    }

    /// One turn. The first thing decided is what time alone has brought about; orders come after inputs.
    pub fn step_with(&mut self, inputs: Vec<Input>, orders: Vec<Order>, now: Millis) -> Outcome {
        let mut outcome = Outcome {
            answers: Vec::new(),
            replies: Vec::new(),
            deleted: false,
            work_available: false,
            fatal: None,
        };
        if self.broken.is_some() && now >= self.mending {
            outcome.fatal = self.rebuild(now);
        }
        if let Some(error) = &self.broken {
            outcome.answers = inputs.iter().map(|_| Err(error.clone())).collect();
            outcome.replies = orders.iter().map(|_| Err(error.clone())).collect();
            return outcome;
        }
        let mut records = Vec::new();
        let due = self
            .next_deadline()
            .is_some_and(|at| at <= now)
            .then_some(Input::Tick);
        let work = &mut outcome.work_available;
        for input in due.into_iter().chain(inputs) {
            let answer = self.input(input, now, &mut records, work);
            outcome
                .answers
                .extend(answer.map(|answer| answer.map_err(TurnError::from)));
        }
        for order in orders {
            let reply = self.order(order, now, &mut records, work);
            outcome.replies.push(reply);
        }
        outcome.deleted = records
            .iter()
            .any(|record| matches!(record, Record::SweepGone(_)));
        if records.is_empty() {
            return outcome;
        }
        // A sweep that is submitted again has a number of its own, of which nothing was said.
        for record in &records {
            if let Record::SweepGone(id) = record {
                self.counted.remove(id);
            }
        }
        let counted = self.count(&records);
        records.extend(counted.iter().copied().map(Record::Counted));
        match self.store.commit(&records) {
            Ok(cursor) => {
                self.cursor = cursor;
                self.counted
                    .extend(counted.into_iter().map(|row| (row.sweep, row)));
                if self.mending > 0 {
                    tracing::info!("commits go through again");
                }
                self.mending = 0;
            }
            Err(error) => {
                // Once, not with everything that is refused until it is over.
                if self.mending == 0 {
                    tracing::error!(%error, records = records.len(), "a commit failed; nothing of it is answered");
                } else {
                    tracing::debug!(%error, records = records.len(), "a commit failed again");
                }
                outcome
                    .answers
                    .iter_mut()
                    .for_each(|answer| *answer = Err(answer_for(&error)));
                outcome
                    .replies
                    .iter_mut()
                    .for_each(|reply| *reply = Err(answer_for(&error)));
                outcome.work_available = false;
                self.broken = Some(answer_for(&error));
                outcome.fatal = if error.is_fatal() {
                    Some(error)
                } else {
                    self.rebuild(now)
                };
                self.mending = now + MEND;
            }
        }
        outcome
    }

    /// Decides one input and makes it so; its durable records join those of the turn.
    fn input(
        &mut self,
        input: Input,
        now: Millis,
        records: &mut Vec<Record>,
        work_available: &mut bool,
    ) -> Option<Result<Answer, Refusal>> {
        let transition = decide(&self.state, input, now);
        for record in &transition.records {
            self.state.evolve(record);
        }
        records.extend(transition.records.into_iter().filter(Record::is_durable));
        let mut answered = None;
        for effect in transition.effects {
            match effect {
                Effect::Answer(answer) => answered = Some(answer),
                Effect::WorkAvailable => *work_available = true,
            }
        }
        answered
    }

    /// How many rows the sweeps have that these records name, where that has changed.
    fn count(&self, records: &[Record]) -> Vec<CountedRow> {
        let sweep = |record: &Record| match record {
            Record::Trial(row) => Some(row.id.sweep),
            Record::Choice(row) => Some(row.sweep),
            Record::Extension(row) => Some(row.sweep),
            _ => None,
        };
        let named: BTreeSet<SweepId> = records.iter().filter_map(sweep).collect();
        let there = named.iter().filter_map(|id| self.state.sweep(*id));
        let counted = there.map(tenfold_core::SweepState::counted);
        counted
            .filter(|row| self.counted.get(&row.sweep) != Some(row))
            .collect()
    }

    /// Rebuilds the state from the store. What cannot be got over by trying again is returned.
    fn rebuild(&mut self, now: Millis) -> Option<StoreError> {
        match load(self.store.as_mut(), self.settings, now) {
            Ok(loaded) => {
                self.counted.clear();
                (self.state, self.cursor) = loaded;
                self.broken = None;
                None
            }
            Err(error) => {
                tracing::error!(%error, "the state could not be rebuilt yet");
                self.broken = Some(answer_for(&error));
                self.mending = now + MEND;
                error.is_fatal().then_some(error)
            }
        }
    }
}

fn load(store: &mut dyn Store, settings: Settings, now: Millis) -> Result<(State, Cursor), StoreError> {
    let mut state = State::new(settings);
    let cursor = store.load(&mut |record| state.evolve(&record))?;
    if let Some(problem) = state.problems().first() {
        return Err(StoreError::Corrupt(problem.clone()));
    }
    state.fresh_terms(now);
    Ok((state, cursor))
}

fn answer_for(error: &StoreError) -> TurnError {
    if error.is_full() {
        TurnError::Full(error.to_string())
    } else {
        TurnError::Store(error.to_string())
    }
}

/// How handlers reach the thread. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    queue: SyncSender<Job>,
    commits: watch::Receiver<Cursor>,
    work: watch::Receiver<u64>,
}

impl Handle {
    /// Has an input decided; the answer comes when its records are durable.
    ///
    /// # Errors
    /// See [`TurnError`].
    pub async fn decide(&self, input: Input) -> Result<Answer, TurnError> {
        let (sender, answer) = oneshot::channel();
        self.enqueue(Job::Decide(input, sender))?;
        answer.await.unwrap_or(Err(TurnError::Stopped))
    }

    /// Has an order decided, as [`Self::decide`] an input.
    ///
    /// # Errors
    /// See [`TurnError`].
    pub async fn order(&self, order: Order) -> Result<Reply, TurnError> {
        let (sender, reply) = oneshot::channel();
        self.enqueue(Job::Order(order, sender))?;
        reply.await.unwrap_or(Err(TurnError::Stopped))
    }

    /// Looks at the state, in which everything is durable, and at the time.
    ///
    /// # Errors
    /// [`TurnError::Busy`], [`TurnError::Stopped`], and the store's while it has failed.
    pub async fn read<R: Send + 'static>(
        &self,
        look: impl FnOnce(&State, Millis) -> R + Send + 'static,
    ) -> Result<R, TurnError> {
        let (sender, answer) = oneshot::channel();
        self.enqueue(Job::Read(Box::new(move |state, now| {
            _ = sender.send(state.map(|state| look(state, now)));
        })))?;
        answer.await.unwrap_or(Err(TurnError::Stopped))
    }

    /// The number of the last commit, as it changes.
    pub fn commits(&self) -> watch::Receiver<Cursor> {
        self.commits.clone()
    }

    /// Changes whenever a trial becomes free to be leased.
    pub fn work(&self) -> watch::Receiver<u64> {
        self.work.clone()
    }

    /// Ends the turn because the store cannot be trusted any more: a reader has found that.
    pub(crate) fn fail(&self, error: StoreError) {
        // A full queue is emptied soon, and the next reader finds the same.
        _ = self.enqueue(Job::Fail(error));
    }

    fn enqueue(&self, job: Job) -> Result<(), TurnError> {
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => TurnError::Busy,
            TrySendError::Disconnected(_) => TurnError::Stopped,
        })
    }
}

/// The running thread.
pub struct Running {
    handle: Handle,
    thread: JoinHandle<()>,
    ended: watch::Receiver<Option<String>>,
}

/// Starts the thread on a store that has been opened.
///
/// # Errors
/// The store's, while the state is rebuilt; [`StoreError::Io`] when no thread can be started.
pub fn start(store: Box<dyn Store>, settings: Settings) -> Result<Running, StoreError> {
    let clock = Clock::start();
    let mut turn = Turn::open(store, settings, clock.now())?;
    // Damage that was found is on record before anybody looks.
    if turn.next_deadline() == Some(0)
        && let Some(fatal) = turn.step(Vec::new(), clock.now()).fatal
    {
        return Err(fatal);
    }
    let (queue, jobs) = sync_channel(QUEUE);
    let (commits, commits_seen) = watch::channel(turn.cursor());
    let (work, work_seen) = watch::channel(0);
    let (end, ended) = watch::channel(None);
    let thread = std::thread::Builder::new()
        .name("turn".to_owned())
        .spawn(move || {
            let fatal = Thread {
                turn,
                clock,
                jobs,
                commits,
                work,
                together: 0,
                ended: Instant::now(),
                untidy: true,
                tidied: Instant::now(),
                pause: TIDY,
            }
            .run();
            end.send_replace(Some(fatal.map_or_else(String::new, |error| error.to_string())));
        })?;
    Ok(Running {
        handle: Handle {
            queue,
            commits: commits_seen,
            work: work_seen,
        },
        thread,
        ended,
    })
}

impl Running {
    /// How to reach it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Resolves when the thread has ended, with the reason when that was not asked for.
    pub fn ended(&self) -> watch::Receiver<Option<String>> {
        self.ended.clone()
    }

    /// Finishes what waits and ends the thread; the store is closed when this returns. Blocks.
    pub fn stop(self) {
        // The queue may be full for a moment; the thread empties it.
        _ = self.handle.queue.send(Job::Stop);
        _ = self.thread.join();
    }
}

struct Thread {
    turn: Turn,
    clock: Clock,
    jobs: Receiver<Job>,
    commits: watch::Sender<Cursor>,
    work: watch::Sender<u64>,
    /// How many inputs the last turn decided, and when it ended.
    together: usize,
    ended: Instant,
    /// The store may have something to tidy up.
    untidy: bool,
    /// When it last was, or could not be.
    tidied: Instant,
    /// How long to wait after that, when nothing else is to be done.
    pause: Duration,
}

impl Thread {
    fn run(mut self) -> Option<StoreError> {
        loop {
            let jobs = match self.wait() {
                Ok(jobs) => jobs,
                Err(RecvTimeoutError::Timeout) => {
                    self.tidy(self.pause);
                    Vec::new()
                }
                Err(RecvTimeoutError::Disconnected) => return None,
            };
            let (mut inputs, mut askers, mut reads, mut stop) = (Vec::new(), Vec::new(), Vec::new(), false);
            let (mut orders, mut people) = (Vec::new(), Vec::new());
            let mut failed = None;
            for job in jobs {
                match job {
                    Job::Decide(input, asker) => {
                        inputs.push(input);
                        askers.push(asker);
                    }
                    Job::Order(order, asker) => {
                        orders.push(order);
                        people.push(asker);
                    }
                    Job::Read(look) => reads.push(look),
                    Job::Fail(error) => failed = Some(error),
                    Job::Stop => stop = true,
                }
            }
            let now = self.clock.now();
            if let Some(error) = failed {
                tracing::error!(%error, "a reader finds the store damaged");
                for asker in askers {
                    _ = asker.send(Err(answer_for(&error)));
                }
                for asker in people {
                    _ = asker.send(Err(answer_for(&error)));
                }
                for look in reads {
                    look(Err(answer_for(&error)), now);
                }
                return Some(error);
            }
            self.together = inputs.len();
            let outcome = self.turn.step_with(inputs, orders, now);
            self.untidy |= outcome.deleted;
            for look in reads {
                look(self.turn.state(), now);
            }
            for (asker, answer) in askers.into_iter().zip(outcome.answers) {
                // Whoever no longer waits has gone away: the decision stands all the same.
                _ = asker.send(answer);
            }
            for (asker, reply) in people.into_iter().zip(outcome.replies) {
                _ = asker.send(reply);
            }
            if *self.commits.borrow() != self.turn.cursor() {
                self.commits.send_replace(self.turn.cursor());
            }
            if outcome.work_available {
                self.work.send_modify(|times| *times += 1);
            }
            if outcome.fatal.is_some() || stop {
                return outcome.fatal;
            }
            self.tidy(self.pause.max(TIDY_BUSY));
            self.ended = Instant::now();
        }
    }

    /// Tidies up a little, unless that was done so short a while ago.
    fn tidy(&mut self, pause: Duration) {
        if self.untidy && self.tidied.elapsed() >= pause {
            match self.turn.tidy() {
                Some(more) => (self.untidy, self.pause) = (more, TIDY),
                None => self.pause = TIDY_AGAIN,
            }
            self.tidied = Instant::now();
        }
    }

    /// Waits for a job or the next deadline, then collects what else is there.
    fn wait(&self) -> Result<Vec<Job>, RecvTimeoutError> {
        let deadline = self.turn.next_deadline();
        let longest = if self.untidy {
            self.pause.as_millis() as Millis
        } else {
            3_600_000
        };
        let patience = deadline.map_or(longest, |at| {
            at.saturating_sub(self.clock.now()).clamp(1, longest)
        });
        let mut jobs = vec![self.jobs.recv_timeout(Duration::from_millis(patience))?];
        let busy = self.together >= MANY && self.ended.elapsed() < COLLECT;
        self.collect(&mut jobs);
        // Where so many wrote just now and are not back yet, they will follow: a transaction costs the same for few as for
        // many.
        if busy && jobs.len() < self.together {
            std::thread::sleep(COLLECT);
            self.collect(&mut jobs);
        }
        Ok(jobs)
    }

    /// Adds what is there.
    fn collect(&self, jobs: &mut Vec<Job>) {
        let began = Instant::now();
        while jobs.len() < BATCH
            && began.elapsed() <= COLLECT
            && let Ok(job) = self.jobs.try_recv()
        {
            jobs.push(job);
        }
    }
}
