//! The turn: inputs → decide → commit → evolve → effects. Synchronous, on a thread of its own; the only writer of the
//! store and the only place that reads the clock.
//!
//! A turn drains what is waiting, decides one input after the other, commits all their records in one transaction, and
//! only then lets the answers out. So that each decision sees the ones before it, the state evolves ahead of the
//! commit; a commit that fails, or whose outcome is unknown, lets nothing out and the state is rebuilt from the store.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tenfold_core::{Answer, Effect, Input, Millis, Refusal, Settings, State, decide};
use tokio::sync::{oneshot, watch};

use crate::store::{Cursor, Store, StoreError};

/// Inputs that may wait for the thread; more are turned away with [`TurnError::Busy`].
const QUEUE: usize = 8192;
/// The most inputs that one transaction takes.
const BATCH: usize = 1024;
/// How long a turn collects further inputs once it has one.
const COLLECT: Duration = Duration::from_millis(2);

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
type Look = Box<dyn FnOnce(&State, Millis) + Send>;

/// What waits for the thread.
enum Job {
    Decide(Input, oneshot::Sender<Result<Answer, TurnError>>),
    Read(Look),
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
    /// The store failed and the state has not been rebuilt yet.
    broken: bool,
}

/// What a turn let out.
pub struct Outcome {
    /// For each input, in order.
    pub answers: Vec<Result<Answer, TurnError>>,
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
            broken: false,
        })
    }

    /// The state, as of the last turn.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The number of the last commit.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Whether something has to happen by itself by now.
    fn is_due(&self, now: Millis) -> bool {
        self.state.next_deadline().is_some_and(|at| at <= now)
    }

    /// One turn. The first thing decided is what time alone has brought about.
    pub fn step(&mut self, inputs: Vec<Input>, now: Millis) -> Outcome {
        let mut outcome = Outcome {
            answers: Vec::new(),
            work_available: false,
            fatal: None,
        };
        if self.broken
            && let Err(error) = self.rebuild(now)
        {
            outcome.answers = inputs.iter().map(|_| Err(answer_for(&error))).collect();
            return outcome;
        }
        let mut records = Vec::new();
        let due = self.is_due(now).then_some(Input::Tick);
        for input in due.into_iter().chain(inputs) {
            let transition = decide(&self.state, input, now);
            for record in &transition.records {
                self.state.evolve(record);
            }
            records.extend(
                transition
                    .records
                    .into_iter()
                    .filter(tenfold_core::record::Record::is_durable),
            );
            for effect in transition.effects {
                match effect {
                    Effect::Answer(answer) => outcome.answers.push(answer.map_err(TurnError::from)),
                    Effect::WorkAvailable => outcome.work_available = true,
                }
            }
        }
        if records.is_empty() {
            return outcome;
        }
        match self.store.commit(&records) {
            Ok(cursor) => self.cursor = cursor,
            Err(error) => {
                tracing::error!(%error, records = records.len(), "a commit failed; nothing of it is answered");
                outcome
                    .answers
                    .iter_mut()
                    .for_each(|answer| *answer = Err(answer_for(&error)));
                outcome.work_available = false;
                self.broken = true;
                if error.is_fatal() {
                    outcome.fatal = Some(error);
                } else if let Err(error) = self.rebuild(now) {
                    tracing::error!(%error, "the state could not be rebuilt yet");
                }
            }
        }
        outcome
    }

    fn rebuild(&mut self, now: Millis) -> Result<(), StoreError> {
        (self.state, self.cursor) = load(self.store.as_mut(), self.settings, now)?;
        self.broken = false;
        Ok(())
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

    /// Looks at the state, in which everything is durable, and at the time.
    ///
    /// # Errors
    /// [`TurnError::Busy`] and [`TurnError::Stopped`].
    pub async fn read<R: Send + 'static>(
        &self,
        look: impl FnOnce(&State, Millis) -> R + Send + 'static,
    ) -> Result<R, TurnError> {
        let (sender, answer) = oneshot::channel();
        self.enqueue(Job::Read(Box::new(move |state, now| {
            _ = sender.send(look(state, now))
        })))?;
        answer.await.map_err(|_| TurnError::Stopped)
    }

    /// The number of the last commit, as it changes.
    pub fn commits(&self) -> watch::Receiver<Cursor> {
        self.commits.clone()
    }

    /// Changes whenever a trial becomes free to be leased.
    pub fn work(&self) -> watch::Receiver<u64> {
        self.work.clone()
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
    let turn = Turn::open(store, settings, clock.now())?;
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
}

impl Thread {
    fn run(mut self) -> Option<StoreError> {
        loop {
            let jobs = match self.wait() {
                Ok(jobs) => jobs,
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return None,
            };
            let (mut inputs, mut askers, mut reads, mut stop) = (Vec::new(), Vec::new(), Vec::new(), false);
            for job in jobs {
                match job {
                    Job::Decide(input, asker) => {
                        inputs.push(input);
                        askers.push(asker);
                    }
                    Job::Read(look) => reads.push(look),
                    Job::Stop => stop = true,
                }
            }
            let now = self.clock.now();
            let outcome = self.turn.step(inputs, now);
            for look in reads {
                look(self.turn.state(), now);
            }
            for (asker, answer) in askers.into_iter().zip(outcome.answers) {
                // Whoever no longer waits has gone away: the decision stands all the same.
                _ = asker.send(answer);
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
        }
    }

    /// Waits for a job or the next deadline, then collects what else is there.
    fn wait(&self) -> Result<Vec<Job>, RecvTimeoutError> {
        let deadline = self.turn.state().next_deadline();
        let patience = deadline.map_or(3_600_000, |at| {
            at.saturating_sub(self.clock.now()).clamp(1, 3_600_000)
        });
        let mut jobs = vec![self.jobs.recv_timeout(Duration::from_millis(patience))?];
        let began = Instant::now();
        while jobs.len() < BATCH {
            let Ok(job) = self.jobs.try_recv() else { break };
            jobs.push(job);
            if began.elapsed() > COLLECT {
                break;
            }
        }
        Ok(jobs)
    }
}
