//! What comes into the session and what comes out of it.

use tenfold_types::frame::{Device, FromTrainer, ToTrainer, Trial};
use tenfold_types::{Block, Fence, Outcome, RequestId, ShapeKey, SweepId, TrialKey};

use crate::throughput::{Machine, Size, Table};

/// Milliseconds since the agent started.
pub type Millis = u64;

/// What can be set.
#[derive(Debug, Clone)]
pub struct Options {
    /// Unacknowledged epochs may take so many bytes; then no more are read from trainers until some are acknowledged.
    pub outbox_bytes: usize,
    /// Give up after so long without a coordinator.
    pub stop_after: Option<Millis>,
    /// No pack is to have more trials.
    pub max_pack: u32,
    /// Sizes of packs that are known from before.
    pub table: Table,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A slot's trainer is ready for a pack.
    Ready {
        /// The slot.
        slot: usize,
        /// What it trains on.
        device: Device,
        /// Trials that it trains truly at once.
        lanes: u32,
        /// Bytes that packs may take; 0 when that is not known.
        memory: u64,
    },
    /// A slot's trainer cannot work at all.
    Unfit {
        /// The slot.
        slot: usize,
        /// Why.
        error: String,
    },
    /// A slot's trainer sent a frame.
    Frame {
        /// The slot.
        slot: usize,
        /// The frame.
        frame: FromTrainer,
    },
    /// A slot's trainer is gone.
    Died {
        /// The slot.
        slot: usize,
        /// How.
        how: String,
        /// The end of its standard error.
        stderr: String,
    },
    /// `Register` was answered.
    Registered {
        /// How often a heartbeat is wanted.
        heartbeat_interval: Millis,
    },
    /// `Acquire` was answered.
    Acquired {
        /// The slot.
        slot: usize,
        /// A lease, or when to ask again.
        lease: Result<Lease, Millis>,
    },
    /// `Append` was answered.
    Appended {
        /// The lease.
        fence: Fence,
        /// One for each trial sent, in the order sent.
        acknowledgements: Vec<(TrialKey, Acknowledgement)>,
    },
    /// `Heartbeat` was answered.
    Heard {
        /// Leases that are over.
        stale: Vec<Fence>,
        /// Trials that are no longer wanted.
        cancelled: Vec<(Fence, TrialKey)>,
        /// Finish what is leased, and end.
        drain: bool,
    },
    /// A call failed.
    Failed {
        /// Which.
        call: Call,
        /// How.
        failure: Failure,
    },
    /// The agent is to stop.
    Stop,
    /// Time has passed.
    Tick,
}

/// What the coordinator says of a trial that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acknowledgement {
    /// Epochs 1 to this one are durable.
    pub epochs: u32,
    /// The trial is no longer wanted.
    pub cancelled: bool,
    /// Its end is durable.
    pub ended: bool,
    /// Why its epochs or its end are refused for good.
    pub refused: Option<String>,
}

/// What is sent of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The trial.
    pub key: TrialKey,
    /// Its attempt.
    pub attempt: u32,
    /// Its epochs.
    pub blocks: Vec<Block>,
    /// How it ended, with the length of its curve and the end of the trainer's standard error.
    pub end: Option<(u32, Outcome, String)>,
}

/// Which call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `Register`.
    Register,
    /// `Acquire` for a slot.
    Acquire(usize),
    /// `Append` of a lease.
    Append(Fence),
    /// `Heartbeat`.
    Heartbeat,
}

/// How a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// For a passing reason: no coordinator, no answer in time.
    Passing(String),
    /// The coordinator has too much to do, and asks for a pause.
    Busy {
        /// What it says.
        why: String,
        /// Not to be called before so long.
        pause: Millis,
    },
    /// The coordinator does not know the worker.
    Unknown,
    /// The fence is stale.
    Stale,
    /// For good: it would be refused again.
    Refused(String),
}

/// A lease, as the coordinator gave it.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Its number.
    pub fence: Fence,
    /// The sweep.
    pub sweep: SweepId,
    /// The trials with the numbers of their attempts; an error is a trial that this worker cannot understand.
    pub trials: Vec<(TrialKey, u32, Result<Trial, String>)>,
    /// Trials of the whole sweep: no pack of it can ever have more.
    pub of_sweep: u64,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Call `Register` with these slots.
    Register(Vec<Device>),
    /// Call `Acquire`.
    Acquire {
        /// For this slot.
        slot: usize,
        /// The same until it is answered.
        request: RequestId,
        /// The most trials of a pack of a shape that is none of `sizes`.
        max_trials: u32,
        /// The most trials of packs of these shapes.
        sizes: Vec<(ShapeKey, u32)>,
    },
    /// Call `Append`.
    Append {
        /// The lease.
        fence: Fence,
        /// Its sweep.
        sweep: SweepId,
        /// What is new of its trials.
        trials: Vec<Report>,
    },
    /// Call `Heartbeat`.
    Heartbeat(Vec<Fence>),
    /// Keep the size of a shape's packs for the next start.
    Learn {
        /// Where it was measured.
        machine: Machine,
        /// The shape.
        shape: ShapeKey,
        /// The size.
        size: Size,
    },
    /// Send a frame to a slot's trainer.
    Tell {
        /// The slot.
        slot: usize,
        /// The frame.
        frame: ToTrainer,
    },
    /// Kill a slot's trainer at once; another is started.
    Kill {
        /// The slot.
        slot: usize,
    },
    /// End the agent.
    Exit(Exit),
}

/// Why the agent ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It was asked to.
    Asked,
    /// The coordinator asked it to finish what it had.
    Drained,
    /// The coordinator refused it for good.
    Refused(String),
    /// There was no coordinator for too long.
    ServerLost(Millis),
    /// No trainer can work on this node.
    Unfit(String),
}
