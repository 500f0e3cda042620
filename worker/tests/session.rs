//! The session, step by step: what comes in, what is done about it, and that nothing else is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use tenfold_types::frame::{Device, FromTrainer, Rate, ToTrainer, Trial};
use tenfold_types::network::Architecture;
use tenfold_types::{
    Block, Data, DeviceKind, Fence, Join, Outcome, RequestId, SweepId, Target, TrialKey, TrialSpec,
};
use tenfold_worker::session::{
    Acknowledgement, Action, Call, Event, Exit, Failure, Lease, Options, Report, Session,
};
use tenfold_worker::throughput::{Size, Table};

const SWEEP: SweepId = SweepId([1; 16]);
const HEARTBEAT: u64 = 1_000;

fn spec() -> TrialSpec {
    TrialSpec {
        join: Join::AsIs,
        learning_rate: 0.1,
        batch_size: 10,
        dropout: 0.0,
        epochs: 10,
        data: Data {
            train: 10,
            test: 10,
            target: Target::Less,
        },
        seed: 1,
        ..TrialSpec::with_defaults(Architecture::named("perceptron-5").unwrap())
    }
}

fn block(first: u32, last: u32) -> Block {
    let epochs = first..=last;
    Block {
        first,
        epochs: last + 1 - first,
        columns: (0..4)
            .flat_map(|metric| epochs.clone().map(move |epoch| (metric * 100 + epoch) as f32))
            .collect(),
        seconds: epochs.clone().map(|_| 0.5).collect(),
    }
}

fn key(index: u64) -> TrialKey {
    TrialKey {
        index,
        ..TrialKey::FIRST
    }
}

fn passing() -> Failure {
    Failure::Passing("nobody is there".to_owned())
}

/// A session, its clock, and what it has asked for that the test has not looked at yet.
struct Bench {
    session: Session,
    now: u64,
    asked: Vec<Action>,
    ended: bool,
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.asked, [], "asked for, and the test did not expect it");
        }
    }
}

impl Bench {
    fn with(slots: usize, options: Options) -> Self {
        Self {
            session: Session::new(slots, options, [7; 32]),
            now: 0,
            asked: Vec::new(),
            ended: false,
        }
    }

    fn new(slots: usize) -> Self {
        let (outbox_bytes, stop_after) = (1 << 20, None);
        Self::with(
            slots,
            Options {
                outbox_bytes,
                stop_after,
                ..options()
            },
        )
    }

    /// With trainers that are ready and a coordinator that knows it; each slot has asked for work.
    fn running(slots: usize) -> Self {
        let mut bench = Self::new(slots);
        bench.start(slots);
        bench
    }

    fn start(&mut self, slots: usize) -> Vec<RequestId> {
        (0..slots).for_each(|slot| self.ready(slot));
        assert_eq!(self.take(), [Action::Register(vec![device(); slots])]);
        self.step(Event::Registered {
            heartbeat_interval: HEARTBEAT,
        });
        assert_eq!(self.asked.remove(0), Action::Heartbeat(vec![]));
        self.heard(&[]);
        (0..slots).map(|slot| self.acquire(slot)).collect()
    }

    fn step(&mut self, event: Event) {
        let actions = self.session.step(event, self.now);
        assert!(!self.ended || actions.iter().all(|action| matches!(action, Action::Exit(_))));
        self.ended |= actions.iter().any(|action| matches!(action, Action::Exit(_)));
        self.asked.extend(actions);
        let wake = self.session.next_wake();
        assert!(
            self.ended || wake.is_none_or(|at| at > self.now),
            "it would spin: {wake:?} at {}",
            self.now
        );
    }

    /// Time passes, and the session is woken whenever it wants to be.
    fn pass(&mut self, time: u64) {
        let until = self.now + time;
        while let Some(at) = self.session.next_wake().filter(|at| *at <= until && !self.ended) {
            self.now = at;
            self.step(Event::Tick);
        }
        self.now = until;
    }

    fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.asked)
    }

    fn one(&mut self) -> Action {
        let mut actions = self.take();
        assert_eq!(actions.len(), 1, "{actions:?}");
        actions.remove(0)
    }

    /// A call of this kind, which must be there; others stay.
    fn find(&mut self, wanted: impl Fn(&Action) -> bool) -> Action {
        let at = self.asked.iter().position(wanted);
        self.asked
            .remove(at.unwrap_or_else(|| panic!("not among {:?}", self.asked)))
    }

    fn acquire(&mut self, of: usize) -> RequestId {
        match self.find(|action| matches!(action, Action::Acquire { slot, .. } if *slot == of)) {
            Action::Acquire {
                request,
                max_trials: 1,
                sizes,
                ..
            } => {
                assert_eq!(sizes, []);
                request
            }
            other => panic!("{other:?}"),
        }
    }

    fn append(&mut self) -> (Fence, Vec<Block>) {
        match self.find(|action| matches!(action, Action::Append { .. })) {
            Action::Append {
                fence,
                sweep: SWEEP,
                mut trials,
            } => {
                assert_eq!(trials.len(), 1);
                (fence, trials.remove(0).blocks)
            }
            other => panic!("{other:?}"),
        }
    }

    /// The end that is told of one trial.
    fn finish(&mut self) -> (Fence, u32, Outcome) {
        let (fence, mut reports) = self.reports();
        assert_eq!(reports.len(), 1);
        let (epochs, outcome, _) = reports.remove(0).end.expect("an end");
        (fence, epochs, outcome)
    }

    fn reports(&mut self) -> (Fence, Vec<Report>) {
        match self.find(|action| matches!(action, Action::Append { .. })) {
            Action::Append {
                fence,
                sweep: SWEEP,
                trials,
            } => (fence, trials),
            other => panic!("{other:?}"),
        }
    }

    fn heartbeat(&mut self) -> Vec<Fence> {
        match self.find(|action| matches!(action, Action::Heartbeat(_))) {
            Action::Heartbeat(fences) => fences,
            other => panic!("{other:?}"),
        }
    }

    fn ready(&mut self, slot: usize) {
        self.step(Event::Ready {
            slot,
            device: device(),
            lanes: 1,
            memory: 0,
        });
    }

    fn died(&mut self, slot: usize) {
        let (how, stderr) = ("was killed by signal 9".to_owned(), "its last words".to_owned());
        self.step(Event::Died { slot, how, stderr });
    }

    fn heard(&mut self, stale: &[u64]) {
        let stale = stale.iter().copied().map(Fence).collect();
        self.step(Event::Heard {
            stale,
            cancelled: vec![],
            drain: false,
        });
    }

    /// The slot gets a lease of one trial, and passes it on.
    fn lease(&mut self, slot: usize, fence: u64) {
        self.leased(slot, fence, vec![(key(fence), 1, Ok(spec().into()))]);
        let frame = ToTrainer::Train {
            pack: fence,
            trials: vec![spec().into()],
        };
        assert_eq!(
            self.find(|action| matches!(action, Action::Tell { .. })),
            Action::Tell { slot, frame }
        );
    }

    fn leased(&mut self, slot: usize, fence: u64, trials: Vec<(TrialKey, u32, Result<Trial, String>)>) {
        let (fence, sweep) = (Fence(fence), SWEEP);
        self.step(Event::Acquired {
            slot,
            lease: Ok(Lease {
                fence,
                sweep,
                trials,
                of_sweep: 100,
            }),
        });
    }

    fn epochs(&mut self, slot: usize, fence: u64, first: u32, last: u32) {
        let (pack, trial, block) = (fence, 0, block(first, last));
        self.frame(slot, FromTrainer::Epochs { pack, trial, block });
    }

    fn ended(&mut self, slot: usize, fence: u64, outcome: Outcome) {
        let (pack, trial) = (fence, 0);
        self.frame(slot, FromTrainer::Ended { pack, trial, outcome });
        self.frame(slot, FromTrainer::PackEnded { pack, largest: 1 });
    }

    fn frame(&mut self, slot: usize, frame: FromTrainer) {
        self.step(Event::Frame { slot, frame });
    }

    fn acknowledge(&mut self, fence: u64, epochs: u32) {
        let acknowledgements = vec![(key(fence), durable(epochs))];
        self.step(Event::Appended {
            fence: Fence(fence),
            acknowledgements,
        });
    }

    fn finished(&mut self, fence: u64) {
        self.step(Event::Appended {
            fence: Fence(fence),
            acknowledgements: vec![(key(fence), OVER)],
        });
    }

    fn fail(&mut self, call: Call, failure: Failure) {
        self.step(Event::Failed { call, failure });
    }
}

fn options() -> Options {
    Options {
        outbox_bytes: 1 << 20,
        stop_after: None,
        max_pack: 4096,
        table: Table::default(),
    }
}

fn device() -> Device {
    Device {
        kind: DeviceKind::Cpu,
        name: "abacus".to_owned(),
        threads: 1,
        libtorch: "2.11.0".to_owned(),
    }
}

fn append_call(fence: u64) -> Call {
    Call::Append(Fence(fence))
}

fn durable(epochs: u32) -> Acknowledgement {
    Acknowledgement {
        epochs,
        ..Acknowledgement::default()
    }
}

/// The end of a trial that died with its trainer and others.
fn lost(together: u32) -> Outcome {
    let error = format!("the trainer was killed by signal 9 while it trained {together} trials");
    Outcome::Lost { error, together }
}

const OVER: Acknowledgement = Acknowledgement {
    epochs: 0,
    cancelled: false,
    ended: true,
    refused: None,
};

const CANCELLED: Acknowledgement = Acknowledgement {
    cancelled: true,
    ended: false,
    ..OVER
};

#[test]
fn a_trial_goes_through_and_the_next_is_asked_for_at_once() {
    let mut bench = Bench::running(1);
    bench.lease(0, 1);
    bench.epochs(0, 1, 1, 2);
    bench.pass(99);
    assert_eq!(bench.take(), [], "epochs are collected for a while");
    bench.epochs(0, 1, 3, 3);
    bench.pass(1);
    assert_eq!(bench.append(), (Fence(1), vec![block(1, 3)]));
    bench.epochs(0, 1, 4, 10);
    bench.ended(0, 1, Outcome::Succeeded);
    bench.acquire(0);
    bench.pass(500);
    assert_eq!(bench.take(), [], "one append of a lease at a time");
    bench.acknowledge(1, 3);
    assert_eq!(
        bench.append(),
        (Fence(1), vec![block(4, 10)]),
        "the last epochs wait for nothing"
    );
    bench.acknowledge(1, 9);
    assert_eq!(bench.append(), (Fence(1), vec![block(10, 10)]));
    bench.acknowledge(1, 10);
    assert_eq!(
        bench.finish(),
        (Fence(1), 10, Outcome::Succeeded),
        "only when all epochs are durable"
    );
    bench.lease(0, 2);
    bench.pass(400);
    assert_eq!(
        bench.heartbeat(),
        [Fence(1), Fence(2)],
        "a lease is held until its end is answered"
    );
    bench.heard(&[]);
    bench.finished(1);
    bench.pass(HEARTBEAT);
    assert_eq!(bench.heartbeat(), [Fence(2)]);
}

#[test]
fn nothing_is_asked_before_all_trainers_have_spoken() {
    let mut bench = Bench::new(2);
    bench.ready(0);
    bench.pass(60_000);
    assert_eq!(bench.take(), []);
    let error = "no such device".to_owned();
    bench.step(Event::Unfit { slot: 1, error });
    assert_eq!(
        bench.one(),
        Action::Register(vec![device(); 2]),
        "the other slot may yet work"
    );
    bench.step(Event::Registered {
        heartbeat_interval: HEARTBEAT,
    });
    bench.heartbeat();
    bench.acquire(0);
    bench.ready(1);
    bench.acquire(1);
}

#[test]
fn a_node_where_no_trainer_can_work_is_unfit() {
    let mut bench = Bench::new(2);
    for slot in 0..2 {
        let error = "no data".to_owned();
        bench.step(Event::Unfit { slot, error });
    }
    assert_eq!(bench.one(), Action::Exit(Exit::Unfit("no data".to_owned())));
}

#[test]
fn a_coordinator_that_speaks_otherwise_ends_the_agent() {
    let mut bench = Bench::new(1);
    bench.ready(0);
    bench.one();
    bench.fail(Call::Register, Failure::Refused("protocol 2".to_owned()));
    assert_eq!(bench.one(), Action::Exit(Exit::Refused("protocol 2".to_owned())));
}

#[test]
fn a_lost_answer_is_asked_for_again_by_the_same_request() {
    let mut bench = Bench::new(1);
    let first = bench.start(1)[0];
    for _ in 0..3 {
        bench.fail(Call::Acquire(0), passing());
        bench.pass(5_000);
        assert_eq!(bench.acquire(0), first);
        while bench
            .asked
            .iter()
            .any(|action| matches!(action, Action::Heartbeat(_)))
        {
            bench.heartbeat();
            bench.heard(&[]);
        }
    }
    bench.step(Event::Acquired {
        slot: 0,
        lease: Err(200),
    });
    bench.pass(99);
    assert!(
        bench
            .asked
            .iter()
            .all(|action| !matches!(action, Action::Acquire { .. })),
        "not before half the time"
    );
    bench.pass(201);
    let second = bench.acquire(0);
    assert_ne!(second, first, "an answer ends a request");
    bench.lease(0, 1);
    bench.take();
}

#[test]
fn calls_that_fail_are_made_again_ever_more_slowly_and_with_jitter() {
    let mut pauses = Vec::new();
    let mut bench = Bench::new(1);
    bench.ready(0);
    bench.one();
    for _ in 0..12 {
        let failed_at = bench.now;
        bench.fail(Call::Register, passing());
        bench.now = bench.session.next_wake().unwrap();
        bench.step(Event::Tick);
        bench.one();
        pauses.push(bench.now - failed_at);
    }
    for (failures, pause) in pauses.iter().enumerate() {
        assert!(*pause <= (100 << failures).min(5_000) + 1, "{pauses:?}");
    }
    assert!(
        pauses.iter().any(|pause| *pause > 1_000),
        "it backs off: {pauses:?}"
    );
    assert!(
        pauses[6..].windows(2).any(|pair| pair[0] != pair[1]),
        "it jitters: {pauses:?}"
    );
    bench.step(Event::Registered {
        heartbeat_interval: HEARTBEAT,
    });
    bench.heartbeat();
    bench.acquire(0);
}

#[test]
fn training_goes_on_while_the_coordinator_is_away_and_all_is_handed_over_in_order() {
    let mut bench = Bench::running(1);
    bench.lease(0, 1);
    for epoch in 1..=9 {
        bench.epochs(0, 1, epoch, epoch);
        bench.pass(700);
        for action in bench.take() {
            match action {
                Action::Append { .. } => bench.fail(append_call(1), passing()),
                Action::Heartbeat(_) => bench.fail(Call::Heartbeat, passing()),
                other => panic!("{other:?}"),
            }
        }
    }
    bench.epochs(0, 1, 10, 10);
    bench.ended(0, 1, Outcome::Succeeded);
    bench.pass(5_000);
    let heartbeat = bench.heartbeat();
    assert_eq!(heartbeat, [Fence(1)], "it shows its fences first of all");
    assert!(!bench.asked.is_empty());
    bench.heard(&[]);
    let (fence, blocks) = bench.append();
    let mut whole = blocks[0].clone();
    assert!(blocks[1..].iter().all(|next| whole.join(next)));
    assert_eq!((fence, whole), (Fence(1), block(1, 10)));
    bench.acknowledge(1, 10);
    assert_eq!(bench.finish().1, 10);
    bench.fail(append_call(1), passing());
    bench.pass(200);
    assert_eq!(
        bench.finish().2,
        Outcome::Succeeded,
        "an end is said until it is answered"
    );
    bench.finished(1);
    bench.take();
}

#[test]
fn what_has_piled_up_goes_out_in_calls_that_a_coordinator_takes() {
    const EPOCHS: u32 = 200_000;
    let (outbox_bytes, stop_after) = (64 << 20, None);
    let mut bench = Bench::with(
        1,
        Options {
            outbox_bytes,
            stop_after,
            ..options()
        },
    );
    bench.start(1);
    bench.lease(0, 1);
    for first in (1..EPOCHS).step_by(1_000) {
        bench.epochs(0, 1, first, first + 999);
    }
    bench.ended(0, 1, Outcome::Succeeded);
    let (mut have, mut calls) = (0, 0);
    while have < EPOCHS {
        calls += 1;
        let (_, blocks) = bench.append();
        let floats: usize = blocks
            .iter()
            .map(|block| block.columns.len() + block.seconds.len())
            .sum();
        assert!(4 * floats < 600_000, "{floats} numbers in one call");
        assert_eq!(blocks[0].first, have + 1);
        have = blocks.last().unwrap().last();
        bench.acknowledge(1, have);
    }
    assert!(calls > 5 && calls < 12, "{calls} calls");
    assert_eq!(bench.finish().1, EPOCHS);
    bench.take();
}

#[test]
fn a_coordinator_that_forgot_the_worker_is_told_again_before_anything_else() {
    let mut bench = Bench::running(1);
    bench.lease(0, 1);
    bench.pass(HEARTBEAT);
    bench.heartbeat();
    bench.fail(Call::Heartbeat, Failure::Unknown);
    assert_eq!(bench.one(), Action::Register(vec![device()]));
    bench.epochs(0, 1, 1, 1);
    bench.pass(500);
    assert_eq!(bench.take(), [], "not even epochs");
    bench.step(Event::Registered {
        heartbeat_interval: HEARTBEAT,
    });
    assert_eq!(bench.append(), (Fence(1), vec![block(1, 1)]));
    bench.pass(100);
    assert_eq!(bench.heartbeat(), [Fence(1)]);
}

#[test]
fn a_stale_fence_kills_its_trainer_within_the_step() {
    type Tell = fn(&mut Bench);
    let ways: [Tell; 3] = [
        |bench| {
            bench.pass(HEARTBEAT);
            bench.take();
            bench.heard(&[1]);
        },
        |bench| {
            bench.pass(100);
            bench.append();
            bench.fail(append_call(1), Failure::Stale);
        },
        |bench| {
            let (pack, trial) = (1, 0);
            let outcome = Outcome::Succeeded;
            bench.frame(0, FromTrainer::Ended { pack, trial, outcome });
            bench.append();
            bench.acknowledge(1, 1);
            bench.finish();
            bench.fail(append_call(1), Failure::Stale);
        },
    ];
    for way in ways {
        let mut bench = Bench::running(2);
        bench.lease(0, 1);
        bench.lease(1, 2);
        bench.epochs(0, 1, 1, 1);
        way(&mut bench);
        assert_eq!(bench.one(), Action::Kill { slot: 0 });
        bench.epochs(0, 1, 2, 2);
        bench.ended(0, 1, Outcome::Succeeded);
        bench.died(0);
        bench.pass(5_000);
        assert_eq!(bench.heartbeat(), [Fence(2)], "nothing more is said of it");
        assert_eq!(bench.take(), [], "and nothing asked for a slot without a trainer");
        bench.heard(&[]);
        bench.ready(0);
        bench.acquire(0);
        bench.epochs(1, 2, 1, 1);
        assert_eq!(
            bench.append(),
            (Fence(2), vec![block(1, 1)]),
            "the neighbour goes on"
        );
    }
}

#[test]
fn a_stale_fence_spares_a_trainer_that_works_on_another_lease_already() {
    let mut bench = Bench::running(1);
    bench.lease(0, 1);
    bench.epochs(0, 1, 1, 10);
    bench.ended(0, 1, Outcome::Succeeded);
    bench.append();
    bench.acquire(0);
    bench.lease(0, 2);
    bench.fail(append_call(1), Failure::Stale);
    assert_eq!(bench.take(), []);
    bench.pass(HEARTBEAT);
    assert_eq!(bench.heartbeat(), [Fence(2)]);
}

#[test]
fn a_cancelled_trial_is_told_to_stop_and_killed_if_it_does_not() {
    for obeys in [true, false] {
        let mut bench = Bench::running(1);
        bench.lease(0, 1);
        bench.epochs(0, 1, 1, 1);
        bench.pass(100);
        bench.append();
        let acknowledgements = vec![(key(1), CANCELLED)];
        bench.step(Event::Appended {
            fence: Fence(1),
            acknowledgements,
        });
        let frame = ToTrainer::Cancel { pack: 1, trial: 0 };
        assert_eq!(bench.one(), Action::Tell { slot: 0, frame });
        let cancelled = vec![(Fence(1), key(1))];
        bench.step(Event::Heard {
            stale: vec![],
            cancelled,
            drain: false,
        });
        assert_eq!(bench.take(), [], "it has been told");
        bench.epochs(0, 1, 2, 2);
        if obeys {
            bench.frame(0, FromTrainer::PackEnded { pack: 1, largest: 1 });
            bench.acquire(0);
        }
        bench.pass(1_999);
        bench
            .asked
            .retain(|action| !matches!(action, Action::Heartbeat(_)));
        assert_eq!(bench.take(), [], "neither epochs nor an end are sent");
        bench.pass(1);
        if !obeys {
            assert_eq!(bench.one(), Action::Kill { slot: 0 });
            bench.died(0);
            bench.ready(0);
            bench.acquire(0);
        }
        assert_eq!(bench.take(), []);
    }
}

#[test]
fn a_trainer_that_dies_on_one_trial_is_charged_to_it_with_its_last_words() {
    let mut bench = Bench::running(1);
    bench.lease(0, 1);
    bench.epochs(0, 1, 1, 3);
    bench.died(0);
    let error = "the trainer was killed by signal 9 in epoch 4".to_owned();
    let (_, mut reports) = bench.reports();
    let Report {
        attempt,
        end: Some((3, outcome, stderr)),
        ..
    } = reports.remove(0)
    else {
        panic!("no end was said");
    };
    assert_eq!(
        (outcome, stderr.as_str(), attempt),
        (Outcome::Failed { error }, "its last words", 1)
    );
    bench.finished(1);
    bench.ready(0);
    bench.acquire(0);
}

#[test]
fn a_trainer_that_dies_idle_or_after_the_end_is_charged_to_nobody() {
    let mut bench = Bench::running(1);
    bench.died(0);
    bench.ready(0);
    assert_eq!(bench.take(), [], "the request is still under way");
    bench.lease(0, 1);
    bench.epochs(0, 1, 1, 10);
    let outcome = Outcome::Succeeded;
    bench.frame(
        0,
        FromTrainer::Ended {
            pack: 1,
            trial: 0,
            outcome,
        },
    );
    bench.append();
    bench.died(0);
    bench.acknowledge(1, 10);
    assert_eq!(bench.finish(), (Fence(1), 10, Outcome::Succeeded));
}

#[test]
fn a_lease_that_comes_when_its_trainer_is_gone_is_given_back() {
    let mut bench = Bench::running(1);
    bench.died(0);
    bench.leased(0, 1, vec![(key(1), 1, Ok(spec().into()))]);
    assert_eq!(bench.finish(), (Fence(1), 0, Outcome::Released));
    bench.finished(1);
    bench.ready(0);
    bench.acquire(0);
}

#[test]
fn a_trial_that_cannot_be_understood_fails_with_the_reason() {
    let mut bench = Bench::running(1);
    bench.leased(0, 1, vec![(key(1), 1, Err("no such layer".to_owned()))]);
    let error = "no such layer".to_owned();
    assert_eq!(bench.finish().2, Outcome::Failed { error });
    bench.acquire(0);
    bench.finished(1);
}

#[test]
fn what_the_trainer_says_of_a_trial_is_passed_on() {
    for outcome in [
        Outcome::Diverged { epoch: 1 },
        Outcome::Failed {
            error: "too big".to_owned(),
        },
    ] {
        let mut bench = Bench::running(1);
        bench.lease(0, 1);
        bench.ended(0, 1, outcome.clone());
        assert_eq!(bench.finish(), (Fence(1), 0, outcome));
        bench.acquire(0);
        bench.finished(1);
    }
}

#[test]
fn a_pack_that_ends_without_its_trials_ends_gives_them_back() {
    let mut bench = Bench::running(1);
    bench.lease(0, 1);
    bench.frame(0, FromTrainer::PackEnded { pack: 1, largest: 1 });
    assert_eq!(bench.finish().2, Outcome::Released);
    bench.acquire(0);
}

#[test]
fn epochs_out_of_order_fail_the_trial_and_kill_the_trainer() {
    let mut bench = Bench::running(1);
    bench.lease(0, 1);
    bench.epochs(0, 1, 2, 2);
    assert_eq!(bench.asked.remove(0), Action::Kill { slot: 0 });
    assert!(matches!(bench.finish(), (Fence(1), 0, Outcome::Failed { .. })));
    bench.ended(0, 1, Outcome::Succeeded);
    assert_eq!(bench.take(), [], "one that is to be killed gets no more work");
    bench.died(0);
    bench.finished(1);
    bench.ready(0);
    bench.acquire(0);
}

#[test]
fn frames_about_another_pack_are_ignored() {
    let mut bench = Bench::running(1);
    bench.lease(0, 2);
    bench.epochs(0, 1, 1, 1);
    bench.ended(0, 1, Outcome::Succeeded);
    bench.pass(500);
    assert_eq!(bench.take(), []);
}

#[test]
fn epochs_that_are_refused_for_good_fail_the_trial() {
    let mut bench = Bench::running(1);
    bench.lease(0, 1);
    bench.epochs(0, 1, 1, 1);
    bench.pass(100);
    bench.append();
    bench.fail(append_call(1), Failure::Refused("a value is NaN".to_owned()));
    assert_eq!(
        bench.find(|action| matches!(action, Action::Kill { .. })),
        Action::Kill { slot: 0 }
    );
    let error = "the coordinator refused what was reported of it: a value is NaN".to_owned();
    assert_eq!(bench.finish().2, Outcome::Failed { error });
    bench.finished(1);
    bench.pass(HEARTBEAT);
    assert_eq!(bench.heartbeat(), []);
}

#[test]
fn an_end_that_is_refused_becomes_a_failure_and_is_not_said_for_ever() {
    let mut bench = Bench::running(1);
    bench.lease(0, 1);
    bench.epochs(0, 1, 1, 9);
    bench.ended(0, 1, Outcome::Succeeded);
    bench.acquire(0);
    bench.append();
    bench.acknowledge(1, 9);
    bench.finish();
    bench.fail(append_call(1), Failure::Refused("10 are wanted".to_owned()));
    let error = "the coordinator refused what was reported of it: 10 are wanted".to_owned();
    assert_eq!(bench.finish().2, Outcome::Failed { error });
    bench.fail(append_call(1), Failure::Refused("still not".to_owned()));
    bench.pass(HEARTBEAT);
    assert_eq!(bench.heartbeat(), [], "its lease runs out");
}

#[test]
fn a_full_outbox_pauses_trainers_and_asks_for_nothing_until_it_drains() {
    let (outbox_bytes, stop_after) = (100, None);
    let mut bench = Bench::with(
        2,
        Options {
            outbox_bytes,
            stop_after,
            ..options()
        },
    );
    bench.start(2);
    bench.lease(0, 1);
    bench.epochs(0, 1, 1, 1);
    assert!(!bench.session.is_paused());
    bench.epochs(0, 1, 2, 2);
    bench.epochs(0, 1, 3, 3);
    assert!(bench.session.is_paused());
    bench.step(Event::Acquired {
        slot: 1,
        lease: Err(100),
    });
    bench.pass(99);
    assert_eq!(bench.take(), []);
    bench.pass(700);
    let (_, blocks) = bench.append();
    assert_eq!(blocks, [block(1, 3)]);
    assert_eq!(bench.take(), [], "the idle slot does not ask");
    bench.acknowledge(1, 2);
    assert!(!bench.session.is_paused());
    bench.acquire(1);
    bench.append();
}

#[test]
fn a_stopped_agent_gives_back_what_it_holds_and_goes() {
    let mut bench = Bench::running(3);
    bench.lease(0, 1);
    bench.lease(1, 2);
    bench.epochs(0, 1, 1, 4);
    bench.step(Event::Stop);
    for slot in 0..2 {
        bench.find(|action| *action == Action::Kill { slot });
    }
    let released = [bench.finish(), bench.finish()].map(|(fence, _, outcome)| (fence.0, outcome));
    assert_eq!(released, [(1, Outcome::Released), (2, Outcome::Released)]);
    bench.leased(2, 3, vec![(key(3), 1, Ok(spec().into()))]);
    assert_eq!(bench.finish().2, Outcome::Released, "also what comes now");
    bench.died(0);
    bench.ready(0);
    assert_eq!(bench.take(), []);
    bench.finished(1);
    bench.finished(3);
    assert_eq!(bench.take(), []);
    bench.finished(2);
    assert_eq!(bench.one(), Action::Exit(Exit::Asked));
}

#[test]
fn a_stopped_agent_goes_after_a_while_whoever_answers_or_when_asked_twice() {
    for twice in [true, false] {
        let mut bench = Bench::running(1);
        bench.lease(0, 1);
        bench.step(Event::Stop);
        bench.find(|action| matches!(action, Action::Kill { .. }));
        bench.finish();
        if twice {
            bench.step(Event::Stop);
        } else {
            bench.pass(2_999);
            bench
                .asked
                .retain(|action| !matches!(action, Action::Heartbeat(_)));
            assert_eq!(bench.take(), []);
            bench.pass(1);
        }
        assert_eq!(bench.one(), Action::Exit(Exit::Asked));
    }
    let mut bench = Bench::running(1);
    bench.step(Event::Stop);
    assert_eq!(
        bench.one(),
        Action::Exit(Exit::Asked),
        "with nothing in hand it goes at once"
    );
}

#[test]
fn an_agent_that_may_not_train_alone_for_ever_gives_up() {
    let (outbox_bytes, stop_after) = (1 << 20, Some(10_000));
    let mut bench = Bench::with(
        1,
        Options {
            outbox_bytes,
            stop_after,
            ..options()
        },
    );
    bench.start(1);
    bench.pass(HEARTBEAT);
    bench.heartbeat();
    bench.heard(&[]);
    bench.pass(9_999);
    bench.take();
    assert!(!bench.ended);
    bench.pass(1);
    assert_eq!(bench.one(), Action::Exit(Exit::ServerLost(10_000)));
}

/// A pack of so many trials, told apart by their repetition; every second one is to be gone on from.
fn pack_of(trials: u32) -> Vec<Trial> {
    let trial = |repetition| Trial {
        spec: TrialSpec { repetition, ..spec() },
        continued: repetition % 2 == 0,
    };
    (0..trials).map(trial).collect()
}

impl Bench {
    /// A slot of this kind that trains so many trials at once, and has asked for work.
    fn of(kind: DeviceKind, lanes: u32, options: Options) -> Self {
        let mut bench = Self::with(1, options);
        bench.appears(kind, lanes);
        bench.take();
        bench.step(Event::Registered {
            heartbeat_interval: 1_000_000,
        });
        bench.heartbeat();
        bench.heard(&[]);
        bench
    }

    fn appears(&mut self, kind: DeviceKind, lanes: u32) {
        let device = Device { kind, ..device() };
        self.step(Event::Ready {
            slot: 0,
            device,
            lanes,
            memory: 1 << 30,
        });
    }

    /// The size asked for where the shape is not known, and the sizes of known ones.
    fn asks_for(&mut self) -> (u32, Vec<u32>) {
        match self.find(|action| matches!(action, Action::Acquire { .. })) {
            Action::Acquire {
                max_trials, sizes, ..
            } => {
                let shape = spec().shape();
                assert!(sizes.iter().all(|(of, _)| *of == shape), "{sizes:?}");
                (max_trials, sizes.into_iter().map(|(_, trials)| trials).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    fn pack(&mut self, fence: u64, trials: u32) {
        let pack = pack_of(trials).into_iter().map(Ok);
        let trials = (0..).zip(pack).map(|(index, trial)| (key(index), 1, trial));
        self.leased(0, fence, trials.collect());
    }

    fn told(&mut self) -> ToTrainer {
        match self.find(|action| matches!(action, Action::Tell { .. })) {
            Action::Tell { frame, .. } => frame,
            other => panic!("{other:?}"),
        }
    }

    /// All trials of a pack end without an epoch, and are given back or finished.
    fn ends(&mut self, fence: u64, trials: u32, largest: u32) {
        for trial in 0..trials {
            let outcome = Outcome::Diverged { epoch: 1 };
            self.frame(
                0,
                FromTrainer::Ended {
                    pack: fence,
                    trial,
                    outcome,
                },
            );
        }
        self.frame(0, FromTrainer::PackEnded { pack: fence, largest });
        self.finishes(fence, trials);
    }

    /// The ends that are told of so many trials, which are all acknowledged.
    fn finishes(&mut self, fence: u64, trials: u32) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        while outcomes.len() < trials as usize {
            let (of, reports) = self.reports();
            assert_eq!(of, Fence(fence));
            let keys: Vec<TrialKey> = reports.iter().map(|report| report.key).collect();
            outcomes.extend(reports.into_iter().map(|report| report.end.expect("an end").1));
            self.step(Event::Appended {
                fence: of,
                acknowledgements: keys.into_iter().map(|key| (key, OVER)).collect(),
            });
        }
        outcomes
    }
}

#[test]
fn the_trials_of_a_pack_come_and_go_by_themselves() {
    let mut bench = Bench::of(DeviceKind::Cpu, 3, options());
    assert_eq!(bench.asks_for(), (3, vec![]), "as many as it trains at once");
    bench.pack(1, 3);
    let trials = pack_of(3);
    assert_eq!(
        bench.told(),
        ToTrainer::Train { pack: 1, trials },
        "and nothing is measured on a processor"
    );
    let epochs = |bench: &mut Bench, trial, first, last| {
        let block = block(first, last);
        bench.frame(
            0,
            FromTrainer::Epochs {
                pack: 1,
                trial,
                block,
            },
        );
    };
    epochs(&mut bench, 2, 1, 4);
    epochs(&mut bench, 0, 1, 2);
    bench.pass(100);
    let (_, reports) = bench.reports();
    let keys: Vec<_> = reports
        .iter()
        .map(|report| (report.key.index, report.blocks.len()))
        .collect();
    assert_eq!(keys, [(0, 1), (2, 1)], "those of all trials go together");
    // One ends while another goes on: its end does not wait for the other to fall silent.
    let outcome = Outcome::Succeeded;
    bench.frame(
        0,
        FromTrainer::Ended {
            pack: 1,
            trial: 2,
            outcome,
        },
    );
    epochs(&mut bench, 0, 3, 3);
    let acknowledgements = vec![(key(0), durable(2)), (key(2), durable(4))];
    bench.step(Event::Appended {
        fence: Fence(1),
        acknowledgements,
    });
    let (_, reports) = bench.reports();
    let told: Vec<_> = reports
        .iter()
        .map(|report| (report.key.index, report.blocks.len(), report.end.clone()))
        .collect();
    let end = Some((4, Outcome::Succeeded, String::new()));
    assert_eq!(told, [(2, 0, end), (0, 1, None)], "ends come first");
    bench.step(Event::Appended {
        fence: Fence(1),
        acknowledgements: vec![(key(2), OVER), (key(0), durable(3))],
    });
    epochs(&mut bench, 0, 4, 4);
    // One is cancelled while another goes on: the trainer is told, and is not killed for going on.
    let cancelled = vec![(Fence(1), key(1))];
    bench.step(Event::Heard {
        stale: vec![],
        cancelled,
        drain: false,
    });
    assert_eq!(bench.told(), ToTrainer::Cancel { pack: 1, trial: 1 });
    bench.pass(10_000);
    let Action::Append { .. } = bench.one() else {
        panic!("it was killed for another trial")
    };
    bench.step(Event::Appended {
        fence: Fence(1),
        acknowledgements: vec![(key(0), durable(4))],
    });
    bench.frame(
        0,
        FromTrainer::Ended {
            pack: 1,
            trial: 0,
            outcome: Outcome::Diverged { epoch: 5 },
        },
    );
    bench.frame(0, FromTrainer::PackEnded { pack: 1, largest: 3 });
    assert_eq!(bench.asks_for(), (3, vec![]));
    assert_eq!(bench.finishes(1, 1), [Outcome::Diverged { epoch: 5 }]);
}

#[test]
fn a_trainer_that_dies_on_several_trials_charges_none_and_gets_half_as_many() {
    let mut bench = Bench::of(DeviceKind::Cpu, 5, options());
    assert_eq!(bench.asks_for(), (5, vec![]));
    for (fence, trials, next) in [(1, 5, 2), (2, 2, 1)] {
        bench.pack(fence, trials);
        bench.told();
        bench.died(0);
        assert_eq!(bench.finishes(fence, trials), vec![lost(trials); trials as usize]);
        bench.appears(DeviceKind::Cpu, 5);
        assert_eq!(bench.asks_for(), (5, vec![next]));
    }
    // Alone it is charged.
    bench.pack(3, 1);
    bench.told();
    bench.died(0);
    assert!(matches!(bench.finishes(3, 1)[..], [Outcome::Failed { .. }]));
    bench.appears(DeviceKind::Cpu, 5);
    assert_eq!(bench.asks_for(), (5, vec![1]));
    // And what does well is trusted again, with twice as much each time.
    for (fence, trials, next) in [(4, 1, vec![2]), (5, 2, vec![4]), (6, 4, vec![])] {
        bench.pack(fence, trials);
        bench.told();
        bench.ends(fence, trials, trials);
        assert_eq!(bench.asks_for(), (5, next));
    }
}

#[test]
fn a_pack_that_does_well_in_one_slot_lifts_no_care_in_another() {
    let mut bench = Bench::running(2);
    let pair = |fence| {
        vec![
            (key(fence), 1, Ok(spec().into())),
            (key(fence + 10), 1, Ok(spec().into())),
        ]
    };
    for slot in 0..2 {
        bench.leased(slot, slot as u64 + 1, pair(slot as u64 + 1));
        bench.told();
    }
    bench.died(0);
    assert_eq!(bench.finishes(1, 2), [lost(2), lost(2)]);
    bench.frame(1, FromTrainer::PackEnded { pack: 2, largest: 2 });
    assert_eq!(bench.asks_for(), (1, vec![]));
    bench.finishes(2, 2);
    bench.ready(0);
    assert_eq!(bench.asks_for(), (1, vec![1]));
}

#[test]
fn a_gpu_measures_a_shape_that_it_meets_for_the_first_time_and_asks_for_packs_of_that_size() {
    let mut bench = Bench::of(DeviceKind::Cuda, 1, options());
    assert_eq!(bench.asks_for(), (1, vec![]));
    bench.pack(1, 1);
    let ToTrainer::Measure {
        pack: 1,
        spec: measured,
        sizes,
        memory,
    } = bench.told()
    else {
        panic!("nothing is measured")
    };
    assert_eq!((measured, memory), (pack_of(1).remove(0).spec, 1 << 30));
    assert_eq!(sizes, [1, 4, 16, 64, 100], "no pack of the sweep can be larger");
    let rate = |trials, epochs_per_second| Rate {
        trials,
        epochs_per_second,
        bytes: 0,
    };
    let rates = vec![rate(1, 10.0), rate(4, 40.0), rate(16, 150.0), rate(64, 155.0)];
    bench.frame(
        0,
        FromTrainer::Measured {
            pack: 1,
            rates,
            error: None,
        },
    );
    let size = Size {
        trials: 16,
        epochs_per_second: 150.0,
    };
    let Action::Learn {
        machine,
        shape,
        size: learned,
    } = bench.find(|action| matches!(action, Action::Learn { .. }))
    else {
        panic!("nothing is kept")
    };
    assert_eq!((shape, learned), (spec().shape(), size));
    assert_eq!(
        bench.told(),
        ToTrainer::Train {
            pack: 1,
            trials: pack_of(1)
        }
    );
    bench.ends(1, 1, 1);
    assert_eq!(bench.asks_for(), (1, vec![16]));
    bench.pack(2, 16);
    assert!(
        matches!(bench.told(), ToTrainer::Train { pack: 2, .. }),
        "once is enough"
    );
    // Memory was too small for sixteen after all.
    bench.ends(2, 16, 8);
    let Action::Learn { size, .. } = bench.find(|action| matches!(action, Action::Learn { .. })) else {
        panic!("nothing is kept")
    };
    assert_eq!(size.trials, 8);
    assert_eq!(bench.asks_for(), (1, vec![8]));

    // The next start knows it, and a bound is a bound.
    let mut table = Table::default();
    table.insert(machine, shape, size);
    let mut bench = Bench::of(
        DeviceKind::Cuda,
        1,
        Options {
            table: table.clone(),
            ..options()
        },
    );
    assert_eq!(bench.asks_for(), (1, vec![8]));
    bench.pack(1, 8);
    assert!(matches!(bench.told(), ToTrainer::Train { .. }));
    let mut bench = Bench::of(
        DeviceKind::Cuda,
        1,
        Options {
            table,
            max_pack: 5,
            ..options()
        },
    );
    assert_eq!(bench.asks_for(), (1, vec![5]));
}

#[test]
fn a_measurement_that_fails_or_dies_keeps_nothing_from_being_trained() {
    let mut bench = Bench::of(DeviceKind::Cuda, 1, options());
    bench.asks_for();
    bench.pack(1, 1);
    bench.told();
    bench.died(0);
    assert_eq!(
        bench.finishes(1, 1),
        [Outcome::Released],
        "the trial had not begun"
    );
    bench.appears(DeviceKind::Cuda, 1);
    assert_eq!(bench.asks_for(), (1, vec![1]));
    bench.pack(2, 1);
    assert!(
        matches!(bench.told(), ToTrainer::Train { .. }),
        "what has killed a trainer is not tried again"
    );
    bench.died(0);
    assert!(matches!(bench.finishes(2, 1)[..], [Outcome::Failed { .. }]));

    let mut bench = Bench::of(DeviceKind::Cuda, 1, options());
    bench.asks_for();
    bench.pack(2, 1);
    bench.told();
    let error = Some("batch_size is 0".to_owned());
    bench.frame(
        0,
        FromTrainer::Measured {
            pack: 2,
            rates: vec![],
            error,
        },
    );
    assert_eq!(
        bench.told(),
        ToTrainer::Train {
            pack: 2,
            trials: pack_of(1)
        }
    );
    bench.ends(2, 1, 1);
    bench.asks_for();
    bench.pack(3, 1);
    assert!(
        matches!(bench.told(), ToTrainer::Train { .. }),
        "it is not tried again and again"
    );
}

#[test]
fn a_drained_agent_finishes_what_it_has_and_goes() {
    let mut bench = Bench::running(2);
    bench.lease(0, 1);
    let drained = |bench: &mut Bench| {
        bench.step(Event::Heard {
            stale: vec![],
            cancelled: vec![],
            drain: true,
        });
    };
    drained(&mut bench);
    bench.epochs(0, 1, 1, 10);
    bench.ended(0, 1, Outcome::Succeeded);
    assert_eq!(bench.finish(), (Fence(1), 10, Outcome::Succeeded));
    bench.finished(1);
    assert_eq!(
        bench.take(),
        [],
        "one request is still under way: it may bring a lease"
    );
    bench.step(Event::Acquired {
        slot: 1,
        lease: Err(100),
    });
    assert_eq!(bench.one(), Action::Exit(Exit::Drained));
}

#[test]
fn a_trial_that_is_refused_harms_its_pack_no_further() {
    let mut bench = Bench::of(DeviceKind::Cpu, 2, options());
    assert_eq!(bench.asks_for(), (2, vec![]));
    bench.pack(1, 2);
    bench.told();
    for trial in 0..2 {
        let block = block(1, 1);
        bench.frame(
            0,
            FromTrainer::Epochs {
                pack: 1,
                trial,
                block,
            },
        );
    }
    bench.pass(100);
    let (_, reports) = bench.reports();
    assert_eq!(reports.len(), 2);
    let refused = Acknowledgement {
        refused: Some("epoch 1 came again with other values".to_owned()),
        ..Acknowledgement::default()
    };
    bench.step(Event::Appended {
        fence: Fence(1),
        acknowledgements: vec![(reports[0].key, refused), (reports[1].key, durable(1))],
    });
    let kill = |action: &Action| matches!(action, Action::Kill { .. });
    assert_eq!(bench.find(kill), Action::Kill { slot: 0 });
    let ends = bench.finishes(1, 2);
    assert!(
        matches!(&ends[..], [Outcome::Failed { error }, Outcome::Released] if error.contains("other values")),
        "{ends:?}"
    );
}

#[test]
fn a_coordinator_with_too_much_to_do_gets_the_pause_it_asks_for_and_is_not_lost() {
    let mut bench = Bench::with(
        1,
        Options {
            stop_after: Some(20_000),
            ..options()
        },
    );
    bench.ready(0);
    assert_eq!(bench.take(), [Action::Register(vec![device()])]);
    for _ in 0..20 {
        bench.step(Event::Failed {
            call: Call::Register,
            failure: Failure::Busy {
                why: "4096 calls are under way".to_owned(),
                pause: 3_000,
            },
        });
        bench.pass(2_999);
        assert_eq!(bench.take(), [], "called again before the pause was over");
        bench.pass(1 + 5_000);
        assert_eq!(bench.take(), [Action::Register(vec![device()])]);
    }
}
