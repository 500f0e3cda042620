//! What comes into a decision and what comes out of it.

use std::collections::BTreeMap;

use tenfold_types::{Block, Fence, Outcome, RequestId, ShapeKey, SweepId, TrialKey, TrialSpec, WorkerId};

use crate::record::{Candidate, Damage, Record, WorkerRow};
use crate::sweep::{Around, ChoiceId, Sweep};

/// Something that happened or is asked for.
#[derive(Debug, Clone)]
pub enum Input {
    /// A person submits a sweep.
    Submit(Sweep),
    /// A person asks something of a sweep.
    Order {
        /// The sweep.
        sweep: SweepId,
        /// What is asked.
        order: Order,
    },
    /// A worker makes itself known.
    Register(WorkerRow),
    /// A worker asks for a pack.
    Acquire {
        /// Who.
        worker: WorkerId,
        /// The same when it is asked again because the answer was lost.
        request: RequestId,
        /// For which of its slots.
        slot: u32,
        /// The most trials it takes of a shape that `sizes` does not name: as many as the slot trains at once.
        max_trials: u32,
        /// The most trials it takes of the shapes that it knows.
        sizes: BTreeMap<ShapeKey, u32>,
    },
    /// A worker hands over epochs.
    Append {
        /// Who.
        worker: WorkerId,
        /// The sweep of the lease.
        sweep: SweepId,
        /// The lease.
        fence: Fence,
        /// What is new of its trials.
        trials: Vec<TrialReport>,
    },
    /// A worker is alive, and so are its leases.
    Heartbeat {
        /// Who.
        worker: WorkerId,
        /// Its leases.
        fences: Vec<Fence>,
    },
    /// A person wants a worker to take no more trials.
    Drain(WorkerId),
    /// What there is to choose from between two stages has been read.
    Choose {
        /// The sweep.
        sweep: SweepId,
        /// Which of its choices.
        choice: ChoiceId,
        /// The values with what their trials came to, in the order of the axis.
        candidates: Vec<Candidate>,
    },
    /// A person wants more of a sweep than its text says.
    Extend {
        /// The sweep.
        sweep: SweepId,
        /// What.
        wider: Wider,
    },
    /// A person wants a sweep that is over to be forgotten.
    Delete(SweepId),
    /// What is on disk of some trials is damaged.
    Damaged(Vec<Damage>),
    /// Time has passed.
    Tick,
}

/// What people ask of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Hand out no more trials.
    Pause,
    /// Undo pause and stop.
    Resume,
    /// Cancel what waits, finish what runs.
    Stop,
    /// Cancel what waits and what runs.
    Cancel,
    /// Return trials to pending.
    Retry {
        /// Those that failed.
        failed: bool,
        /// Those that were cancelled.
        cancelled: bool,
    },
}

/// What people want of a sweep beyond its text.
#[derive(Debug, Clone, PartialEq)]
pub enum Wider {
    /// So many repetitions of each point.
    Repetitions {
        /// Of this stage; else of all stages that have fewer.
        stage: Option<String>,
        /// How many.
        repetitions: u32,
    },
    /// A stage around the best values of an earlier one.
    Around(Around),
}

/// What is new of one trial of a lease.
#[derive(Debug, Clone)]
pub struct TrialReport {
    /// The trial.
    pub key: TrialKey,
    /// The attempt's number.
    pub attempt: u32,
    /// The epochs, in order and without gaps.
    pub blocks: Vec<Block>,
    /// How it ended, if it did.
    pub end: Option<End>,
}

/// The end of an attempt, as its worker reports it.
#[derive(Debug, Clone)]
pub struct End {
    /// The length of the whole curve.
    pub epochs: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// The end of the trainer's standard error.
    pub stderr: String,
}

/// What a decision says: the records that make it so, and what follows once they are durable.
#[derive(Debug, Default)]
#[must_use]
pub struct Transition {
    /// To be committed and evolved, in this order.
    pub records: Vec<Record>,
    /// To be let out after the commit.
    pub effects: Vec<Effect>,
}

/// What follows a decision once its records are durable.
#[derive(Debug)]
pub enum Effect {
    /// The answer to whoever asked. Every input but [`Input::Tick`] has exactly one.
    Answer(Result<Answer, Refusal>),
    /// A trial became free to be leased: wake those who wait for work.
    WorkAvailable,
}

/// A good answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To `Submit`.
    Submitted {
        /// The sweep.
        sweep: SweepId,
        /// It was there already.
        existing: bool,
    },
    /// To `Order`.
    Ordered {
        /// How many trials were returned to pending.
        retried: u64,
    },
    /// To `Register`.
    Registered,
    /// To `Acquire`.
    Leased(Grant),
    /// To `Acquire`: nothing to do now.
    Idle,
    /// To `Append`: one for each trial named, in order.
    Acknowledged(Vec<Acknowledgement>),
    /// To `Heartbeat`.
    Heard {
        /// Leases named that are over.
        stale: Vec<Fence>,
        /// Trials of living leases that are no longer wanted.
        cancelled: Vec<(Fence, TrialKey)>,
        /// The worker is to take no more trials.
        drain: bool,
    },
    /// To `Choose`: whether the choice was made. It was not if it is not due, or something has changed since it was read.
    Chosen(bool),
    /// To `Drain`.
    Draining,
    /// To `Extend`.
    Extended {
        /// Choices that were made from what is extended, and stay as they are.
        kept: u64,
    },
    /// To `Delete`.
    Deleted,
    /// To `Damaged`.
    Repaired,
}

/// A lease as its worker gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Its number.
    pub fence: Fence,
    /// The sweep.
    pub sweep: SweepId,
    /// The trials with the numbers of their attempts, and whether later ones go on from them.
    pub trials: Vec<(TrialKey, u32, TrialSpec, bool)>,
    /// Trials of the whole sweep: no pack of it can ever have more.
    pub sweep_trials: u64,
}

/// What of a trial is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Epochs 1 to this one are.
    pub epochs: u32,
    /// Where its attempt stands.
    pub standing: Standing,
}

/// Where an attempt stands after an `Append`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It goes on.
    Going,
    /// Its end is durable.
    Ended,
    /// It is no longer wanted.
    Cancelled,
    /// Its epochs or its end are not as they should be.
    Refused(Refusal),
}

/// Why something is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such sweep.
    #[error("there is no sweep {0}")]
    UnknownSweep(SweepId),
    /// The worker has not registered.
    #[error("there is no worker {0}")]
    UnknownWorker(WorkerId),
    /// As many workers as can be known are here.
    #[error("{0} workers are registered and alive, and no more are taken; try again later")]
    TooManyWorkers(usize),
    /// The worker has no such slot.
    #[error("worker {worker} registered {slots} slots; slot {slot} is none of them (they count from 0)")]
    UnknownSlot {
        /// The worker.
        worker: WorkerId,
        /// The slot named.
        slot: u32,
        /// How many there are.
        slots: usize,
    },
    /// A pack of no trials was asked for.
    #[error("a pack of at most 0 trials was asked for; ask for at least 1")]
    EmptyPack,
    /// The lease is over, or another worker's.
    #[error("fence {0} is stale: its lease is over; discard the attempt")]
    StaleFence(Fence),
    /// The lease does not have this attempt.
    #[error("the lease of fence {fence} has no attempt {attempt} at trial {key}")]
    UnknownAttempt {
        /// The lease.
        fence: Fence,
        /// The trial.
        key: TrialKey,
        /// The attempt.
        attempt: u32,
    },
    /// Epochs are missing in between.
    #[error(
        "epoch {got} of trial {key} came, but the next one is {expected}; epochs are numbered without gaps"
    )]
    Gap {
        /// The trial.
        key: TrialKey,
        /// The first epoch that came.
        got: u32,
        /// The one that should have come.
        expected: u32,
    },
    /// A repeated epoch is not what it was.
    #[error("epoch {epoch} of trial {key} came again with other values")]
    Differs {
        /// The trial.
        key: TrialKey,
        /// The epoch.
        epoch: u32,
    },
    /// A block is not what it should be.
    #[error("epochs of trial {key}: {what}")]
    Malformed {
        /// The trial.
        key: TrialKey,
        /// What is wrong.
        what: String,
    },
    /// The trial was ended before all of its curve came.
    #[error("trial {key} was ended with {claimed} epochs, but {have} are here and {wanted} are wanted")]
    IncompleteCurve {
        /// The trial.
        key: TrialKey,
        /// Epochs that its worker claims.
        claimed: u32,
        /// Epochs that came.
        have: u32,
        /// Epochs that this outcome needs.
        wanted: u32,
    },
    /// The sweep cannot get what is asked for.
    #[error("sweep {sweep} cannot be extended: {why}")]
    CannotExtend {
        /// The sweep.
        sweep: SweepId,
        /// Why, and what would be right.
        why: String,
    },
    /// The id of a request came with another one before.
    #[error("request id {id} came before with another request, a {method}; give each order an id of its own")]
    RequestReused {
        /// The id.
        id: String,
        /// The method of the request that it belongs to.
        method: String,
    },
    /// What is on disk of the sweep is damaged.
    #[error("sweep {sweep} is damaged on disk: {why}")]
    DamagedSweep {
        /// The sweep.
        sweep: SweepId,
        /// What is damaged, and what can be done.
        why: String,
    },
    /// The order does not fit the sweep's state.
    #[error("sweep {sweep} is {state}: {hint}")]
    NotNow {
        /// The sweep.
        sweep: SweepId,
        /// Its state.
        state: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
}

impl Transition {
    pub(crate) fn answer(answer: Answer) -> Self {
        Self {
            records: Vec::new(),
            effects: vec![Effect::Answer(Ok(answer))],
        }
    }

    pub(crate) fn refuse(refusal: Refusal) -> Self {
        Self {
            records: Vec::new(),
            effects: vec![Effect::Answer(Err(refusal))],
        }
    }

    pub(crate) fn with(mut self, records: Vec<Record>) -> Self {
        self.records = records;
        self
    }

    pub(crate) fn and_work(mut self, available: bool) -> Self {
        if available {
            self.effects.push(Effect::WorkAvailable);
        }
        self
    }
}
