//! Records: what a decision writes down. A record is the upsert of a row; loading all rows rebuilds the state.

use serde::{Deserialize, Serialize};
use tenfold_types::{Block, DeviceKind, Fence, RequestId, SweepId, TrialId, TrialKey, Value, WorkerId};

use crate::Millis;
use crate::rank::{Rank, Ratio};
use crate::sweep::{ChoiceId, Extension, Sweep};
use crate::trial::TrialState;

/// One change, durable where [`Record::is_durable`] says so.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Numbers that only grow.
    Counters(Counters),
    /// A sweep is new, or its control changed.
    Sweep(SweepRow),
    /// A sweep got more than its text says.
    Extension(ExtensionRow),
    /// A choice between two stages was made, or taken back.
    Choice(ChoiceRow),
    /// A worker registered.
    Worker(WorkerRow),
    /// A worker is forgotten.
    WorkerGone(WorkerId),
    /// A trial changed.
    Trial(TrialRow),
    /// An attempt ended without a result: provenance, no part of the state. What there is to know of one that runs, or
    /// whose curve is the result, follows from the trial and its lease.
    Attempt(AttemptRow),
    /// Epochs of an attempt.
    Epochs(EpochsRow),
    /// The epochs of an attempt that did not count are gone.
    EpochsDropped {
        /// The trial.
        trial: TrialId,
        /// The attempt's fence.
        fence: Fence,
    },
    /// A trial has the curve of another one, which was the same by its settings, data and seed.
    EpochsCopied {
        /// The sweep of both.
        sweep: SweepId,
        /// The one that was trained.
        from: TrialKey,
        /// The other, which had no epochs.
        to: TrialKey,
        /// The fence of the attempt that was accepted.
        fence: Fence,
    },
    /// A lease was given.
    Lease(LeaseRow),
    /// A lease is over.
    LeaseClosed(Fence),
    /// A sweep and all its trials are forgotten.
    SweepGone(SweepId),
    /// A person's request was decided.
    Request(RequestRow),
    /// The answers to the first requests, up to the one with this number, are no longer kept.
    RequestsForgotten {
        /// The number of the last of them.
        through: u64,
    },
    /// A lease was not renewed in its term: it is over then, unless it is renewed before. Not stored.
    Suspected {
        /// The lease.
        fence: Fence,
        /// When it expires.
        expires: Millis,
    },
    /// How a worker's trainers have done lately. Not stored: it is about a process that lives.
    Health {
        /// The worker.
        worker: WorkerId,
        /// Its quick failures since something went well.
        failures: Vec<QuickFailure>,
        /// It gets no trials until then.
        quarantined: Option<Millis>,
    },
    /// A lease lives until then. Not stored: after a restart every lease gets a fresh term.
    Renewed {
        /// The lease.
        fence: Fence,
        /// When it expires.
        expires: Millis,
    },
    /// The number of rows that a sweep has in the store, so that a lost one is missed. No part of the state, which has them.
    Counted(CountedRow),
    /// Some of what is on disk of a trial is damaged. Not stored: it is found by whoever loads it.
    Damaged(Damage),
    /// All damage that was found while the store was loaded is dealt with. Not stored.
    Repaired,
    /// A sweep cannot be served because what is on disk of it is damaged. Not stored.
    Refused(RefusedSweep),
    /// How far the trials of a sweep have been looked at that follow another one, which was over when they were loaded. Not
    /// stored: whoever loads them begins anew.
    Followed {
        /// The sweep.
        sweep: SweepId,
        /// The place in line from which on they are still to be looked at; none when all were.
        place: Option<u64>,
    },
    /// A worker was heard of. Not stored.
    Seen {
        /// The worker.
        worker: WorkerId,
        /// When.
        at: Millis,
    },
}

impl Record {
    /// Whether a store keeps it.
    pub fn is_durable(&self) -> bool {
        !matches!(
            self,
            Self::Renewed { .. }
                | Self::Suspected { .. }
                | Self::Seen { .. }
                | Self::Health { .. }
                | Self::Damaged(_)
                | Self::Repaired
                | Self::Refused(_)
                | Self::Followed { .. }
        )
    }
}

/// The number of rows that a sweep has in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedRow {
    /// The sweep.
    pub sweep: SweepId,
    /// Touched trials.
    pub trials: u64,
    /// Choices, made or taken back.
    pub choices: u64,
    /// Extensions.
    pub extensions: u64,
}

/// Damage to what is on disk of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The trial.
    pub trial: TrialId,
    /// The attempt whose epochs are damaged; none where the trial's own row is.
    pub fence: Option<Fence>,
    /// Attempts that left a trace on disk, for a trial whose own row is lost.
    pub attempts: u32,
    /// The damage, for people.
    pub what: String,
}

/// A sweep that is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedSweep {
    /// Its number.
    pub number: u64,
    /// Its id, where that can still be read.
    pub id: Option<SweepId>,
    /// Its label, where that can still be read.
    pub name: String,
    /// Why it is not served.
    pub why: String,
}

/// Numbers that only grow, also across restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// The highest fence given out.
    pub fence: u64,
    /// The number of sweeps ever submitted.
    pub sweeps: u64,
}

/// What people last asked of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Control {
    /// Go on.
    Active,
    /// Hand out no more trials for now.
    Paused,
    /// Hand out no more trials; what waits is cancelled.
    Stopped,
}

/// A submitted sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepRow {
    /// The hash of `normalised`.
    pub id: SweepId,
    /// The how-manieth sweep submitted, from 1.
    pub number: u64,
    /// Its label.
    pub name: String,
    /// The normalised text, overrides included; it parses to the same sweep again.
    pub normalised: String,
    /// When it was submitted.
    pub submitted_at: Millis,
    /// When its last trial ended, if all have.
    pub finished_at: Option<Millis>,
    /// What people last asked of it.
    pub control: Control,
}

/// What a sweep got beyond its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtensionRow {
    /// The sweep.
    pub sweep: SweepId,
    /// The how-manieth of the sweep, from 1.
    pub number: u32,
    /// When.
    pub at: Millis,
    /// What.
    pub extension: Extension,
}

/// A choice between two stages: what was chosen, and from which numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct ChoiceRow {
    /// The sweep.
    pub sweep: SweepId,
    /// Which of its choices.
    pub choice: ChoiceId,
    /// What was there to choose from, in the order of the axis.
    pub candidates: Vec<Candidate>,
    /// What came of it.
    pub outcome: Outcome,
    /// The number of the rules under which it was made; see [`RULES`](crate::RULES).
    pub rules: u32,
}

impl ChoiceRow {
    /// The sweep with what was chosen, or without, where it was taken back; none when it stays what it was.
    pub fn applied(&self, sweep: &Sweep) -> Option<Sweep> {
        match &self.outcome {
            Outcome::Chosen(values) => Some(sweep.with(self.choice, values.clone())),
            Outcome::Withdrawn => Some(sweep.without(self.choice)),
            Outcome::Nothing(_) => None,
        }
    }
}

/// A value that can be chosen, and what the trials with it came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The value.
    pub value: Value,
    /// The repetitions that count, each with the mean over the points that the value has. Under the rules 0: trials that have
    /// succeeded.
    pub n: u32,
    /// Trials that have diverged or failed.
    pub missing: u32,
    /// The mean over those that count; 0 for none.
    pub mean: f64,
    /// Its standard error; none for n < 2.
    pub standard_error: Option<f64>,
    /// Trials that have succeeded, where these are not `n`. By them it is told whether a choice is current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trials: Option<u32>,
    /// The mean as an exact ratio, where the metric is a count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<Ratio>,
    /// Points of which no trial has succeeded.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub points_left_out: u32,
    /// Repetitions in which only some of the points that count have succeeded.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repetitions_left_out: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Candidate {
    /// Returns a candidate of which no trial has succeeded so far.
    pub fn without_trials(value: Value) -> Self {
        Self {
            value,
            n: 0,
            missing: 0,
            mean: 0.0,
            standard_error: None,
            trials: None,
            exact: None,
            points_left_out: 0,
            repetitions_left_out: 0,
        }
    }

    /// Returns the number of trials that have succeeded, those that do not count too.
    pub fn trials(&self) -> u32 {
        self.trials.unwrap_or(self.n)
    }

    /// Returns what its mean is compared by under the rules with this number.
    pub fn rank(&self, rules: u32) -> Rank {
        match (rules, self.exact) {
            (0, _) => Rank::number(self.mean),
            (_, Some(exact)) => Rank::exact(exact),
            (_, None) => Rank::rounded(self.mean),
        }
    }
}

/// What came of a choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The axis has these values.
    Chosen(Vec<Value>),
    /// There was nothing to choose from, for this reason.
    Nothing(String),
    /// It is to be made again.
    Withdrawn,
}

/// A trial that is no longer as the sweep's text alone would have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialRow {
    /// The trial.
    pub id: TrialId,
    /// Where it stands.
    pub state: TrialState,
    /// Attempts so far.
    pub attempts: u32,
    /// Attempts charged to it since it was last retried.
    pub failures: u32,
    /// What went wrong last.
    pub error: Option<String>,
    /// The most trials that packs with it may have, because a trainer died that trained more; 0 while none has.
    pub pack_limit: u32,
    /// When its curve was accepted.
    pub accepted_at: Option<Millis>,
}

/// An attempt that failed soon after its lease was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuickFailure {
    /// The trial.
    pub trial: TrialId,
    /// Its lease.
    pub fence: Fence,
    /// It was charged to the trial.
    pub charged: bool,
}

/// Where an attempt ran.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Provenance {
    /// The worker's host.
    pub host: String,
    /// The device's model.
    pub device: String,
    /// CPU threads that compute.
    pub threads: u32,
    /// Tenfold's version there.
    pub version: String,
    /// Libtorch's version there.
    pub libtorch: String,
}

/// One try at a trial, for people who ask where it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// The trial.
    pub trial: TrialId,
    /// The how-manieth try, from 1.
    pub number: u32,
    /// Its fence.
    pub fence: Fence,
    /// Who ran it.
    pub worker: WorkerId,
    /// Where.
    pub provenance: Provenance,
    /// When the lease was given.
    pub started_at: Millis,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// How it ended, such as `succeeded`, `diverged in epoch 3`, `lease expired`; empty while it runs.
    pub ended: String,
    /// What went wrong.
    pub error: String,
    /// The end of the trainer's standard error, when it failed.
    pub stderr: String,
}

/// Epochs of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochsRow {
    /// The trial.
    pub trial: TrialId,
    /// The attempt's fence.
    pub fence: Fence,
    /// The attempt's number.
    pub attempt: u32,
    /// The epochs.
    pub block: Block,
}

/// A lease: the right of a worker to train some trials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRow {
    /// Its number.
    pub fence: Fence,
    /// Who holds it.
    pub worker: WorkerId,
    /// The request that got it.
    pub request: RequestId,
    /// The slot it is for.
    pub slot: u32,
    /// When it was given.
    pub given_at: Millis,
    /// Where its trials run. Kept for good, for those whose curves are results.
    pub provenance: Provenance,
    /// The sweep of its trials.
    pub sweep: SweepId,
    /// Its trials with the numbers of their attempts; those over are still listed.
    pub trials: Vec<(TrialKey, u32)>,
}

/// What identifies a person's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// The id that the caller made for it.
    pub id: String,
    /// The method called, such as `Refine`.
    pub method: String,
    /// A hash of the message without its id.
    pub digest: [u8; 32],
}

/// A person's request with its answer, which a repetition of it gets too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// Its number, which only grows.
    pub number: u64,
    /// The request.
    pub key: RequestKey,
    /// When it was decided.
    pub at: Millis,
    /// 0 for a good answer, else the kind of refusal, as the caller's protocol has it.
    pub code: u32,
    /// The answer or the text of the refusal, as the caller's protocol has it.
    pub answer: Vec<u8>,
}

impl RequestRow {
    /// Bytes that the answers that are kept may count for together.
    pub const MAX_BYTES: usize = 32 << 20;
    /// Bytes that each counts for beyond its own length, so that [`Self::MAX_BYTES`] holds at most 65,536.
    pub const OVERHEAD: usize = 512;

    /// Returns the bytes that it counts for among the answers that are kept.
    pub fn bytes(&self) -> usize {
        self.answer.len() + Self::OVERHEAD
    }
}

/// A device share of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The kind of device.
    pub kind: DeviceKind,
    /// The device's model.
    pub device: String,
    /// CPU threads that compute.
    pub threads: u32,
}

/// A worker, as it registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRow {
    /// Its id.
    pub id: WorkerId,
    /// Its host's name.
    pub host: String,
    /// Its process id there.
    pub process: u32,
    /// The version of the protocol that it said it speaks; 0 for one that a coordinator before version 4 took in.
    pub protocol: u32,
    /// Tenfold's version.
    pub version: String,
    /// Libtorch's version.
    pub libtorch: String,
    /// Its slots.
    pub slots: Vec<Slot>,
    /// It takes no more trials.
    pub draining: bool,
}
